"""Slow imports that kinds of tasks need, done before the clock of a task starts."""

from __future__ import annotations


def finn() -> None:
    """FINN's step functions, checked when they apply settings."""
    from finnyaml.finn import invalid_settings
    from finnyaml.finn.door import open_door

    _ = open_door().steps
    invalid_settings.install()


def brevitas() -> None:
    """Brevitas and torch."""
    import brevitas.export  # noqa: F401


def configuration() -> None:
    """FINN's build configuration, and QONNX."""
    import qonnx.core.modelwrapper  # noqa: F401

    from finnyaml.finn.door import let_anybody_import_steps, open_door

    let_anybody_import_steps()  # a custom step may want to call them
    _ = open_door().config_module
