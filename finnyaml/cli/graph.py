"""`finnyaml graph`: the DAG of a recipe as a picture."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finnyaml.cli.arguments import RECIPE, Recipe, Sets, StoreOption
from finnyaml.cli.console import problems, raw, save, tell
from finnyaml.errors import Problem, RecipeError

if TYPE_CHECKING:
    from finnyaml.engine.session import Session
    from finnyaml.plan.draw import Box

SUFFIXES = {".dot": "dot", ".gv": "dot", ".md": "mermaid", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "text"}
PICTURES = ("svg", "png", "pdf")


def graph(
    recipe: Recipe = RECIPE,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="text|mermaid|dot",
            help="What to draw (default: what the name after -o says, else text).",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to this file instead of standard output."),
    ] = None,
    sets: Sets = [],  # noqa: B006
    store: StoreOption = None,
) -> None:
    """Draw the steps, what each needs, and its state.

    `text` is for terminals. `mermaid` pastes into Markdown on GitHub
    (a file named .mmd gets it without the fence). `dot` is for Graphviz:
    `finnyaml graph --format dot | dot -Tsvg > graph.svg` makes a picture.
    Hover over a box of it to read why it would run.
    """
    from finnyaml.engine.session import open_session

    form = form_of(form, output)
    with contextlib.closing(open_session(recipe, sets, store, 1, tell)) as session:
        problems(session.warnings)
        text = _picture(session, form, fenced=output is None or output.suffix == ".md")
    if output is None:
        raw(text)
    else:
        save(text + "\n", output)


def form_of(wanted: str | None, file: Path | None) -> str:
    """The format asked for, else the one that the file's name says. RecipeError where there is no such format."""
    ending = file.suffix.lower() if file else ""
    form = wanted or SUFFIXES.get(ending) or (ending[1:] if ending[1:] in PICTURES else "text")
    known = sorted(set(SUFFIXES.values()))
    if form in PICTURES:
        hint = f"Graphviz makes one: finnyaml graph RECIPE --format dot | dot -T{form} > graph.{form}"
        raise RecipeError([Problem(f"finnyaml itself draws no {form.upper()}", hint=hint)])
    if form not in known:
        raise RecipeError([Problem(f"--format {form}: there is no such format", hint=f"one of {', '.join(known)}")])
    return form


def _picture(session: Session, form: str, *, fenced: bool) -> str:
    """The plan of a session, with the state of every task, as text of this format."""
    from finnyaml.plan import draw

    boxes = list(_boxes(session))
    if form == "dot":
        return draw.dot(boxes, f"{session.recipe.name}, built with {session.catalog}")
    return draw.mermaid(boxes, fenced=fenced) if form == "mermaid" else draw.text(boxes)


def _boxes(session: Session) -> Iterator[Box]:
    from finnyaml.plan.draw import Box
    from finnyaml.plan.select import select

    plan = session.plan
    statuses = session.judge().survey(set(plan.tasks), select(plan).forced)
    steps = {name: task for name, task in plan.tasks.items() if task.is_step}
    for name, task in steps.items():
        status = statuses[name]
        # A target without a name of its own is just the end of a branch.
        targets = tuple(target for target, end in plan.targets.items() if end == name != target)
        missing = [f"needs {', '.join(status.missing)}"] if status.missing else []
        note = "; ".join([*missing, *map(str, status.reasons)])
        yield Box(
            name,
            task.uses,
            tuple(need for need in dict.fromkeys(task.needs) if need in steps),
            status.state,
            targets,
            note,
        )
