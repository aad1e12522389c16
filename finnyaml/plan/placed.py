"""A step in its place: what an entry of a recipe became."""

from __future__ import annotations

from dataclasses import dataclass

from finnyaml.recipe.model import StepEntry


@dataclass(frozen=True)
class Placed:
    """An entry with everything resolved but its needs: `kind` is that of its task.

    `phase` is the phase that brought it, `index` which part of that phase a segment is. `step` is the step of FINN that
    it is or stands for; `names` are ids that mean it together with all else that this step, or the entry, became.
    """

    id: str
    kind: str
    uses: str
    entry: StepEntry
    phase: str | None = None
    index: str | None = None
    step: str | None = None
    names: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it is FINN's step, run without Xilinx' tools."""
        return self.kind == "finn_open"
