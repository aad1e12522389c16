"""How rules are written: a function from a graph and its stage to findings, registered under the id of its rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from finnyaml.graph.view import View
from finnyaml.lint.catalogue import RULES, Finding, Rule


@dataclass(frozen=True)
class Stage:
    """Where in a build a graph comes from, and what the recipe wants of it.

    `task` is the task that made the graph, `uses` the step of FINN that it ran ("step_streamline"; for a step of
    finnyaml or of the user its own name), `after` all such names that ran up to here, `uses` among them. `data_dtype`
    is the QONNX data type of the data set (UINT8), None where nobody said.

    `config` holds what the recipe asks for, as far as it says anything, by the names of `DataflowBuildConfig`:
    `target_fps`, `synth_clk_period_ns` (nanoseconds), `board`, `fpga_part`, `standalone_thresholds`; and the content
    of the two files, in FINN's format, as `folding` and `specialize`; `prefer`, the style of all other layers; and
    `toolchain`, `open` or `vivado`.
    """

    task: str
    uses: str
    config: Mapping[str, Any] = field(default_factory=dict)
    after: frozenset[str] = frozenset()
    data_dtype: str | None = None

    def past(self, step: str) -> bool:
        """Whether `step` (FINN's name) has run."""
        return step in self.after or step == self.uses


Check = Callable[[View, Stage], Iterator[Finding]]

CHECKS: dict[str, Check] = {}
"""What checks each rule, by its id."""

_KNOWN = dict(RULES)
"""The rules of the catalogue, and those that plug-ins declare."""


def checks(rule: str | Rule) -> Callable[[Check], Check]:
    """Register a function as what checks a rule: that of this id in the catalogue, or one that a plug-in declares."""
    id_ = rule if isinstance(rule, str) else _KNOWN.setdefault(rule.id, rule).id

    def register(function: Check) -> Check:
        if id_ in CHECKS:
            raise ValueError(f"the rule {id_} is checked twice")
        CHECKS[_KNOWN[id_].id] = function
        return function

    return register


def finding(rule: str, message: str, **details: Any) -> Finding:
    """A finding with the severity and the repair that its rule has, unless `details` name others."""
    known = _KNOWN[rule]
    return Finding(rule, message=message, **{"severity": known.severity, "repair": known.repair, **details})
