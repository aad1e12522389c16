"""FINN's own checks of a build configuration."""

from __future__ import annotations

from finnyaml.finn import own_checks
from finnyaml.worker.context import Context


def run(context: Context) -> None:
    """Keep what FINN finds wrong with the configuration."""
    context.metrics["findings"] = own_checks.failed(context.config())
