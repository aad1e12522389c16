"""Where a step runs and what it gets there: what the site file says of its tools and of it, and what it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.recipe.model import MODEST, Resources

LOCAL = "local"
"""The executor that is this machine, and always there."""

ALL = "*"
"""Of all steps."""


@dataclass(frozen=True)
class Executor:
    """What runs steps. `kind` is `local` or `slurm`; the rest says how jobs are submitted.

    `setup` are commands that a job runs first. `jobs` is how many of one build may be in the queue. `options` are
    further ones of sbatch, by their long names.
    """

    name: str
    kind: str = "local"
    partition: str | None = None
    resources: Resources = MODEST
    setup: tuple[str, ...] = ()
    jobs: int = 100
    options: Mapping[str, str | int | bool] = field(default_factory=dict)
    where: Where | None = None


@dataclass(frozen=True)
class Needs:
    """What the steps with some tool, or of some name, need; None and empty where the site file is silent."""

    executor: str | None = None
    resources: Resources = MODEST
    licenses: Mapping[str, int] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    where: Where | None = None

    def over(self, other: Needs) -> Needs:
        """These, which are of something more special, laid over `other`."""
        return Needs(
            self.executor or other.executor,
            self.resources.over(other.resources),
            {**other.licenses, **self.licenses},
            tuple(dict.fromkeys((*other.setup, *self.setup))),
            self.where if self.executor else other.where or self.where,
        )


@dataclass(frozen=True)
class Place:
    """Where a step runs that does not run on this machine, and what it gets there."""

    executor: Executor
    resources: Resources = MODEST
    licenses: Mapping[str, int] = field(default_factory=dict)
    setup: tuple[str, ...] = ()


def place(
    executors: Mapping[str, Executor],
    needs: Mapping[str, Needs],
    tools: Iterable[str],
    names: Iterable[str],
    wanted: Resources = MODEST,
) -> Place | None:
    """The place of a step with these tools and names that asks for at least `wanted`; None: this machine.

    What is said of a step comes before what is said of its tools, and that before what is said of all. Of several
    tools the most counts.

    Raises:
        RecipeError: its tools are to be used by different executors.
    """
    of_tools = Needs()
    for tool in tools:
        mine = needs.get(tool, Needs())
        if of_tools.executor and mine.executor and of_tools.executor != mine.executor:
            name = next(iter(names), tool)
            message = f"{name} needs {tool} and another tool, which run on different executors"
            raise RecipeError([Problem(message, mine.where, f"say `needs: {{{name}: {{executor: ...}}}}`")])
        of_tools = replace(of_tools.over(mine), resources=of_tools.resources | mine.resources)
    found = Needs()
    for name in names:
        found = found.over(needs.get(name, Needs()))
    found = found.over(of_tools).over(needs.get(ALL, Needs()))
    executor = executors.get(found.executor or LOCAL, Executor(LOCAL))
    if executor.kind == LOCAL:
        return None
    resources = found.resources.over(executor.resources) | wanted
    return Place(executor, resources, found.licenses, (*executor.setup, *found.setup))
