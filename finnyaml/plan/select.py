"""Which tasks a command is about: targets, `--from`, `--to`, `--only`, `--force`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finnyaml.errors import Problem, RecipeError
from finnyaml.finn import aliases
from finnyaml.plan import bundles
from finnyaml.plan.graph import Plan
from finnyaml.plan.status import Status
from finnyaml.text import did_you_mean


@dataclass(frozen=True)
class Selection:
    """`tasks`: all that is looked at; `runnable`: those of them that may run, the others have to be cached.

    Of the runnable ones, `forced` run whatever the store has, and `distrusted` where there are doubts about what it
    has. `targets` are the recipe's targets that are complete with these tasks. `partial`: the command asked for less
    than a target, namely up to `stops`.
    """

    tasks: set[str]
    runnable: frozenset[str]
    forced: frozenset[str]
    targets: frozenset[str]
    stops: tuple[str, ...]
    partial: bool
    distrusted: frozenset[str] = frozenset()

    def ends(self, plan: Plan) -> dict[str, str]:
        """Each target that is touched, and the task that it is built up to."""
        if not self.partial:
            return {name: plan.targets[name] for name in self.targets}
        touched = {}
        for name, end in plan.targets.items():
            within = plan.ancestors([end])
            stops = {plan.tasks[task].checks or task for task in self.stops}
            for task in plan.tasks:  # in topological order: the furthest is the last
                if task in stops and task in within:
                    touched[name] = task
        return touched

    def check(self, statuses: Mapping[str, Status]) -> None:
        """Refuse where a task outside the runnable ones is not cached. Raises RecipeError."""
        problems = [
            Problem(
                f"{name} comes before what was selected and is not up to date: {_first(status)}",
                hint="build it first, or leave out --from/--only",
            )
            for name, status in statuses.items()
            if name not in self.runnable and status.state not in ("cached", "waiting")
        ]
        if problems:
            raise RecipeError(problems)


def select(
    plan: Plan,
    targets: Sequence[str] = (),
    start: str | None = None,
    stop: str | None = None,
    only: Sequence[str] = (),
    force: Sequence[str] = (),
    *,
    distrust: bool = False,
) -> Selection:
    """The selection that the command line describes; names may be targets or step ids.

    What the recipe runs in every build (`always: true`) is forced. `distrust`: so is what may differ.

    Raises:
        RecipeError: a name that is neither, or words that exclude each other.
    """
    if only and (start or stop):
        raise RecipeError([Problem("--only already says which steps; it does not go with --from or --to")])
    wanted = [task for name in targets for task in _tasks(plan, name)] or list(plan.targets.values())
    stops = {name: _task(plan, name) for name in ([stop] if stop else only)}
    if stops:
        within = plan.ancestors(wanted)
        within |= plan.points(within)
        for name, task in stops.items():
            if task not in within:
                option = "--to" if stop else "--only"
                raise RecipeError([Problem(f"{option} {name}: it is not among the selected steps")])
        wanted = list(stops.values())
    tasks = plan.ancestors(wanted)
    if not only:
        tasks |= plan.points(tasks)
    forced = frozenset(_task(plan, name) for name in force)
    if stray := sorted(forced - tasks):
        raise RecipeError([Problem(f"--force {stray[0]}: it is not among the selected steps")])
    runnable = tasks
    if start:
        runnable = plan.descendants([_task(plan, start)]) & tasks
        if not runnable:
            raise RecipeError([Problem(f"--from {start}: it is not among the selected steps")])
    if only:
        runnable = set(wanted)
    forced |= {task for task in runnable if plan.tasks[task].trust.always}
    complete = frozenset(name for name, end in plan.targets.items() if end in tasks)
    partial = bool(stops) or not {plan.tasks[task].checks or task for task in wanted} <= set(plan.targets.values())
    distrusted = frozenset(runnable if distrust else ())
    return Selection(tasks, frozenset(runnable), forced, complete, tuple(wanted), partial, distrusted)


def _tasks(plan: Plan, name: str) -> list[str]:
    """The tasks of a target; the word `bundle` means those of all targets."""
    if name == bundles.NAME:
        return [task.id for task in plan.tasks.values() if task.kind == name] or [_task(plan, name)]
    return [_task(plan, name)]


def _task(plan: Plan, name: str) -> str:
    if name in plan.targets:
        return plan.targets[name]
    if name in plan.tasks:
        return name
    real = aliases.resolve(name, [task.uses for task in plan.tasks.values()])
    found = [task.id for task in plan.tasks.values() if real is not None and task.uses == real]
    if len(found) == 1:
        return found[0]
    raise RecipeError(
        [
            Problem(
                f"{name!r} is neither a target nor a step of this recipe",
                hint=did_you_mean(name, {*plan.targets, *plan.tasks, bundles.NAME}, 3),
            )
        ]
    )


def _first(status: Status) -> str:
    return "; ".join(str(reason) for reason in status.reasons[:3]) or status.state
