"""How rules are written: a function from a graph and its stage to findings, registered under the id of its rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from finnyaml.graph.view import View
from finnyaml.lint.catalogue import RULES, Rule
from finnyaml.lint.finding import Finding
from finnyaml.lint.stage import Stage

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
    """A finding with the severity that its rule has."""
    return Finding(rule, _KNOWN[rule].severity, message, **details)
