"""`finnyaml graph`: the DAG of a recipe as a picture."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finnyaml.cli.arguments import RECIPE, Recipe, Sets, StoreOption, Variants
from finnyaml.cli.console import problems, raw, save, tell
from finnyaml.errors import Problem, RecipeError
from finnyaml.text import few, relative

if TYPE_CHECKING:
    from finnyaml.engine.session import Session
    from finnyaml.plan.draw import Box
    from finnyaml.plan.status import Status

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
    variants: Variants = [],  # noqa: B006
    store: StoreOption = None,
) -> None:
    """Draw the steps, what each needs, and its state.

    `text` is for terminals. `mermaid` pastes into Markdown on GitHub
    (a file named .mmd gets it without the fence). `dot` is for Graphviz:
    `finnyaml graph --format dot | dot -Tsvg > graph.svg` makes a picture.
    Hover over a box of it to read why it would run.
    """
    from finnyaml.engine.session import open_sessions
    from finnyaml.recipe.matrix import Wanted

    form = form_of(form, output)
    sessions = open_sessions(recipe, sets, store, 1, tell, wanted=Wanted(tuple(variants)))
    with contextlib.closing(sessions[0]):
        problems(tuple(dict.fromkeys(problem for session in sessions for problem in session.warnings)))
        text = _picture(sessions, form, fenced=output is None or output.suffix == ".md")
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


def _picture(sessions: Sequence[Session], form: str, *, fenced: bool) -> str:
    """The plan of a recipe, with the state of every task, as text of this format."""
    from finnyaml.plan import draw

    boxes = list(_boxes(sessions))
    if form == "dot":
        first = sessions[0]
        name = first.recipe.name if len(sessions) == 1 else relative(first.recipe.path)
        return draw.dot(boxes, f"{name}, built with {first.catalog}")
    return draw.mermaid(boxes, fenced=fenced) if form == "mermaid" else draw.text(boxes)


def _boxes(sessions: Sequence[Session]) -> Iterator[Box]:
    """A box for each step; for one that several variants share, one box."""
    from finnyaml.api.plan import works
    from finnyaml.plan.draw import Box
    from finnyaml.plan.select import select
    from finnyaml.plan.status import Looks

    looks = Looks()
    drawn: dict[tuple[str, str], tuple[Session, Status]] = {}
    whose: dict[tuple[str, str], list[str]] = {}
    work: dict[str, dict[str, tuple[str, str]]] = {}
    for session in sessions:
        plan, variant = session.plan, session.recipe.variant or ""
        statuses = session.judge(looks=looks).survey(set(plan.tasks), select(plan).forced)
        found = works(plan, statuses)
        work[variant] = {name: (name, found[name]) for name, task in plan.tasks.items() if task.is_step}
        for name, each in work[variant].items():
            drawn.setdefault(each, (session, statuses[name]))
            whose.setdefault(each, []).append(variant)
    several = Counter(name for name, _ in drawn)

    def label(each: tuple[str, str]) -> str:
        return each[0] if several[each[0]] == 1 else f"{each[0]} [{few(whose[each])}]"

    for each, (session, status) in drawn.items():
        plan, mine = session.plan, work[session.recipe.variant or ""]
        task = plan.tasks[each[0]]
        # A target without a name of its own is just the end of a branch.
        targets = tuple(target for target, end in plan.targets.items() if end == task.id != target)
        missing = [f"needs {', '.join(status.missing)}"] if status.missing else []
        note = "; ".join([*missing, *map(str, status.reasons)])
        needs = tuple(label(mine[need]) for need in dict.fromkeys(task.needs) if need in mine)
        yield Box(label(each), task.uses, needs, status.state, targets, note)
