"""The one door to FINN: the only place that imports it. Runs inside workers.

Importing the step functions takes some ten seconds, the configuration alone under one, so each is imported when it is
first needed.
"""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Callable, Mapping
from typing import Any

from finnyaml.errors import FinnyamlError

StepFunction = Callable[..., Any]


class FinnUnusable(FinnyamlError):
    """FINN is not installed here, or does not import."""


class Finn:
    """What finnyaml uses of an imported FINN. Attributes import on first use."""

    @functools.cached_property
    def config_module(self) -> types.ModuleType:
        """FINN's module with the build configuration and the named flows."""
        return _import("finn.builder.build_dataflow_config")

    @property
    def config_class(self) -> type:
        """`DataflowBuildConfig`."""
        return self.config_module.DataflowBuildConfig  # type: ignore[no-any-return]

    @functools.cached_property
    def steps_module(self) -> types.ModuleType:
        """FINN's module with the step functions."""
        _let_steps_import_without_vivado()
        return _import("finn.builder.build_dataflow_steps")

    @functools.cached_property
    def steps(self) -> Mapping[str, StepFunction]:
        """Step functions by FINN's registered names."""
        return dict(self.steps_module.build_dataflow_step_lookup)

    @functools.cached_property
    def phases(self) -> Mapping[str, StepFunction]:
        """Phase functions of newer FINN versions; empty where this FINN has none."""
        try:
            module = importlib.import_module("finn.builder.build_dataflow_phases")
        except ModuleNotFoundError:
            return {}
        return dict(getattr(module, "build_dataflow_phase_lookup", {}))

    @functools.cached_property
    def boards(self) -> Mapping[str, str]:
        """Board names and their FPGA parts."""
        basic = _import("finn.util.basic")
        boards: dict[str, str] = {}
        for name in ("pynq_part_map", "alveo_part_map", "part_map"):
            boards.update(getattr(basic, name, {}))
        return boards

    @functools.cached_property
    def datatypes(self) -> tuple[str, ...]:
        """QONNX's named data types with the integer widths that networks use."""
        named = ("BIPOLAR", "TERNARY", "BINARY", "FLOAT32")
        return (*named, *(f"{sign}INT{bits}" for sign in ("", "U") for bits in range(2, 33)))


@functools.cache
def open_door() -> Finn:
    """The FINN of this process."""
    return Finn()


def _import(name: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise FinnUnusable(
            f"FINN does not import here: {error}",
            hint="install it with `pip install 'finnyaml[finn]'`, or run finnyaml in the environment that has FINN",
        ) from error


def _let_steps_import_without_vivado() -> None:
    """Give `finn.xsi` the name that the step module imports for its annotations.

    finn-plus binds `finn.xsi.SimEngine` only after it has found Vivado, and raises otherwise; the steps that really
    simulate bring it up themselves and fail with their own message.
    """
    try:
        xsi = importlib.import_module("finn.xsi")
    except ImportError:
        return
    if "SimEngine" not in vars(xsi) and _vivado_absent():
        xsi.SimEngine = type("SimEngine", (), {"__doc__": "Stands in for the simulator that needs Vivado."})  # type: ignore[attr-defined]


def _vivado_absent() -> bool:
    import os

    return "XILINX_VIVADO" not in os.environ
