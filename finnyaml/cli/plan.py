"""`finnyaml plan` and `build --dry-run`: what would run, and why."""

from __future__ import annotations

import typer

from finnyaml.cli.arguments import (
    RECIPE,
    Distrust,
    Force,
    Json,
    Only,
    Recipe,
    RemoteOption,
    Sets,
    Start,
    Stop,
    StoreOption,
    Target,
    Targets,
    Variants,
    WhereOption,
)
from finnyaml.cli.console import show, tell


def plan(
    recipe: Recipe = RECIPE,
    targets: Targets = None,
    target: Target = [],  # noqa: B006
    start: Start = None,
    stop: Stop = None,
    only: Only = [],  # noqa: B006
    force: Force = [],  # noqa: B006
    distrust: Distrust = False,
    sets: Sets = [],  # noqa: B006
    variants: Variants = [],  # noqa: B006
    where: WhereOption = [],  # noqa: B006
    as_json: Json = False,
    store: StoreOption = None,
    remote: RemoteOption = None,
) -> None:
    """Say what a build would run, and why.

    The reasons name the value, the file or the code that changed.
    """
    from finnyaml import api
    from finnyaml.cli.progress import watching

    with watching(quiet=as_json) as progress:
        planned = (
            api.Recipe(recipe, sets, store=store, remote=remote)
            .variants(*variants, where=where)
            .plan(
                *(targets or ()),
                *target,
                start=start,
                stop=stop,
                only=only,
                force=force,
                distrust=distrust,
                progress=progress,
            )
        )
    if not as_json:
        tell(*planned.notes)
    show(planned.to_json() if as_json else None, str(planned).splitlines(), hang=4)
    raise typer.Exit(planned.exit_code)
