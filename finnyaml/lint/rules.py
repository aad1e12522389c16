"""How rules are written: a function from a graph and its stage to findings, registered under the id of its rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from finnyaml.graph.view import View
from finnyaml.lint.catalogue import RULES
from finnyaml.lint.finding import Finding
from finnyaml.lint.stage import Stage

Check = Callable[[View, Stage], Iterator[Finding]]

CHECKS: dict[str, Check] = {}
"""What checks each rule, by its id."""


def checks(rule: str) -> Callable[[Check], Check]:
    """Register a function as what checks `rule`."""

    def register(function: Check) -> Check:
        if rule in CHECKS:
            raise ValueError(f"the rule {rule} is checked twice")
        CHECKS[RULES[rule].id] = function
        return function

    return register


def finding(rule: str, message: str, **details: Any) -> Finding:
    """A finding with the severity that the catalogue gives to its rule."""
    return Finding(rule, RULES[rule].severity, message, **details)
