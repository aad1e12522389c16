"""The place in a build at which a graph is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Stage:
    """Where in a build a graph comes from, and what the recipe wants of it.

    `task` is the task that made the graph, `uses` the step of FINN that it ran ("step_streamline"; for a step of
    finnyaml or of the user its own name), `after` all such names that ran up to here, `uses` among them. `data_dtype`
    is the QONNX data type of the data set (UINT8), None where nobody said.

    `config` holds what the recipe asks for, as far as it says anything, by the names of `DataflowBuildConfig`:
    `target_fps`, `synth_clk_period_ns` (nanoseconds), `board`, `fpga_part`, `standalone_thresholds`; and the content
    of the two files, in FINN's format, as `folding` and `specialize`; and `prefer`, the style of all other layers.
    """

    task: str
    uses: str
    config: Mapping[str, Any] = field(default_factory=dict)
    after: frozenset[str] = frozenset()
    data_dtype: str | None = None

    def past(self, step: str) -> bool:
        """Whether `step` (FINN's name) has run."""
        return step in self.after or step == self.uses
