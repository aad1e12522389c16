"""`finnyaml graph`: the DAG of a recipe as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finnyaml.engine.session import Session
from finnyaml.errors import FinnyamlError, Problem, RecipeError
from finnyaml.plan import draw
from finnyaml.plan.draw import Box

SUFFIXES = {".svg": "svg", ".md": "mermaid", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "text"}


def form_of(wanted: str | None, file: Path | None) -> str:
    """The format asked for, else the one that the file's name says. RecipeError where it is none."""
    known = sorted(set(SUFFIXES.values()))
    if wanted is None:
        return SUFFIXES.get(file.suffix.lower(), "text") if file else "text"
    if wanted not in known:
        raise RecipeError([Problem(f"--format {wanted}: there is no such format", hint=f"one of {', '.join(known)}")])
    return wanted


def picture(session: Session, form: str, *, fenced: bool = True) -> str:
    """The plan of a session, with the state of every task, as text of this format."""
    boxes = list(_boxes(session))
    if form == "svg":
        return draw.svg(boxes, f"{session.recipe.name}, built with {session.catalog}")
    return draw.mermaid(boxes, fenced=fenced) if form == "mermaid" else draw.text(boxes)


def put(text: str, file: Path) -> None:
    """Write a file that the user asked for. FinnyamlError where it cannot be written."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FinnyamlError(f"cannot write {file}: {error.strerror}") from error


def _boxes(session: Session) -> Iterator[Box]:
    plan = session.plan
    statuses = session.judge().survey(set(plan.tasks))
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
