"""FINN's own checks of a configuration, which the FINN that is installed here does not have: a module stands in."""

from __future__ import annotations

import sys
import types
from enum import Enum
from typing import Any

import pytest

from finnyaml.finn import own_checks


class Severity(Enum):
    ERROR = "ERROR"
    WARNING = "WARNING"
    INFO = "INFO"


def check(severity: Severity, passed: bool = False, suggestion: str | None = "do it") -> types.SimpleNamespace:
    name = f"{severity.name.lower()}_{passed}"
    return types.SimpleNamespace(name=name, severity=severity, passed=passed, message="wrong", suggestion=suggestion)


def stand_in(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    module = types.ModuleType(own_checks.MODULE)
    module.run_all_config_checks = answer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, own_checks.MODULE, module)


def test_what_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [
        check(Severity.ERROR),
        check(Severity.ERROR, passed=True),
        check(Severity.WARNING, suggestion=None),
        check(Severity.INFO),
    ]
    stand_in(monkeypatch, lambda cfg: types.SimpleNamespace(checks=listed))
    assert own_checks.failed("the configuration") == [
        {"name": "error_False", "severity": "error", "message": "wrong", "hint": "do it"},
        {"name": "warning_False", "severity": "warning", "message": "wrong", "hint": ""},
    ]


def test_a_check_that_fails_itself_is_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(cfg: Any) -> Any:
        return cfg[0]

    stand_in(monkeypatch, broken)
    (found,) = own_checks.failed(None)
    assert found["severity"] == "warning" and "end in TypeError: 'NoneType'" in found["message"]
