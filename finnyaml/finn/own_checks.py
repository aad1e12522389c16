"""FINN's own checks of a build configuration, where it has them: run, and told as data. Runs inside workers."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

MODULE = "finn.builder.build_dataflow_checks"


def there() -> bool:
    """Whether this FINN has them."""
    return importlib.util.find_spec(MODULE) is not None


def failed(config: Any) -> list[dict[str, str]]:
    """What FINN finds wrong with a configuration: `name`, `severity` ("error", "warning"), `message`, `hint` of each.

    A check that ends in an exception itself (that of V80 boards does so without Vivado) is one finding that says so.
    """
    try:
        report = importlib.import_module(MODULE).run_all_config_checks(config)
    except Exception as error:
        message = f"FINN's checks of the configuration end in {type(error).__name__}: {error}"
        return [{"name": "config-checks", "severity": "warning", "message": message, "hint": ""}]
    return [
        {
            "name": check.name,
            "severity": "error" if check.severity.name == "ERROR" else "warning",
            "message": check.message,
            "hint": check.suggestion or "",
        }
        for check in report.checks
        if not check.passed and check.severity.name != "INFO"
    ]
