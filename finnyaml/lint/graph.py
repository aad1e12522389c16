"""The door to the rules: a graph and where it stands in, what is wrong with it out. Runs inside workers."""

from __future__ import annotations

import functools

from qonnx.core.modelwrapper import ModelWrapper

from finnyaml import plugins
from finnyaml.errors import FinnyamlError
from finnyaml.graph.view import View
from finnyaml.lint import (  # noqa: F401 - importing these is what registers their rules
    activations,
    branches,
    conversion,
    folding,
    inputs,
    layers,
    left,
    matrices,
    padding,
    quantizers,
    rtl,
    thresholds,
)
from finnyaml.lint.catalogue import RULES, Finding
from finnyaml.lint.rules import CHECKS, Check, Stage

__all__ = ["Finding", "Stage", "check"]


def check(model: ModelWrapper, stage: Stage) -> list[Finding]:
    """All that the rules find in `model`, which is not changed.

    A graph without hardware layers is checked without importing FINN. Rules that the recipe ignores are checked too:
    `catalogue.suppressed` takes their findings out.
    """
    view = View(model)
    return [found for rule in _rules() for found in rule(view, stage)]


@functools.cache
def _rules() -> tuple[Check, ...]:
    """What checks the rules, those of plug-ins last."""
    found = [check for rule, check in CHECKS.items() if rule in RULES]
    for name, plugin in plugins.installed("lint_rules").items():
        found.append(plugins.load("lint_rules", name))
        if CHECKS.get(name) is not found[-1]:
            raise FinnyamlError(f"{plugin} has to be decorated with `@checks(Rule({name!r}, ...))`")
    return tuple(found)
