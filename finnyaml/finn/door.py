"""The one door to FINN: the only place that imports it. Runs inside workers.

Importing the step functions takes some ten seconds, the configuration alone under one, so each is imported when it is
first needed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from finnyaml.errors import INSTALL_FINN, FinnyamlError
from finnyaml.finn import identity

StepFunction = Callable[..., Any]

STEPS = "finn.builder.build_dataflow_steps"
"""FINN's module with the step functions."""


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
        let_anybody_import_steps()
        module = _import(STEPS)
        _tell_tools_where_finn_is(Path(str(module.__file__)).parents[1])
        return module

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
    def shells(self) -> Mapping[str, str]:
        """Boards of FINN's two tables, and the shell (a value of its `ShellFlowType`) that it makes for them."""
        basic, shells = _import("finn.util.basic"), self.config_module.ShellFlowType.__members__
        tables = (("pynq_part_map", "VIVADO_ZYNQ"), ("alveo_part_map", "VITIS_ALVEO"))
        return {
            board: str(shells[shell].value)
            for table, shell in tables
            if shell in shells
            for board in getattr(basic, table, {})
        }

    @functools.cached_property
    def datatypes(self) -> tuple[str, ...]:
        """QONNX's named data types with the integer widths that networks use."""
        named = ("BIPOLAR", "TERNARY", "BINARY", "FLOAT32")
        return (*named, *(f"{sign}INT{bits}" for sign in ("", "U") for bits in range(2, 33)))


@functools.cache
def open_door() -> Finn:
    """The FINN of this process."""
    return Finn()


def register_reshape() -> None:
    """Make FINN's Reshape layer known, where this FINN has one: it registers it only along with its RTL layers."""
    if importlib.util.find_spec("finn.custom_op.fpgadataflow.reshape") is not None:
        _import("finn.custom_op.fpgadataflow.reshape")


def upsampling(model: Any) -> Any:
    """The model with FINN's layers that repeat pixels in place of every Resize (`finnyaml.finn.upsampling`)."""
    return _import("finnyaml.finn.upsampling").repeat_pixels(model)


def branches(model: Any) -> Any:
    """The model with scales and transposes moved past forks and joins (`finnyaml.finn.branches`)."""
    return _import("finnyaml.finn.branches").streamline_branches(model)


def activation_functions() -> types.ModuleType:
    """FINN's module with the piecewise polynomials that its activation layers compute."""
    return _import("finn.custom_op.general.pwpolyfunction")


def rtl_source(name: str) -> str | None:
    """The text of a file of FINN's RTL library (`mvu/mvu_vvu_axi.sv`); None where this FINN does not have it."""
    root = identity.package_root("finn")
    path = None if root is None else root / "finn-rtllib" / name
    return path.read_text() if path is not None and path.is_file() else None


def _import(name: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except FinnyamlError:
        raise
    except Exception as error:  # whatever its modules do while they are imported
        told, hint = _why_not(error)
        raise FinnUnusable(f"FINN does not import here: {told}", hint=hint) from error


def _why_not(error: Exception) -> tuple[str, str]:
    """What keeps FINN from being imported, and what to do."""
    install = f"{INSTALL_FINN}, or run finnyaml in the environment that has FINN"
    if isinstance(error, KeyError) and str(error.args[0]).startswith("FINN_"):
        return (
            f"the environment variable {error.args[0]} is not set",
            _set_root() if "FINN_ROOT" in error.args else install,
        )
    missing = isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0]
    if missing and missing not in identity.SOURCE_PACKAGES:
        return f"it needs {missing}, which is not installed", f"install {missing} in the environment of this Python"
    told = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
    return told, install


def _set_root() -> str:
    root = identity.package_root("finn")
    place = root.parents[1] if root is not None and (root.parents[1] / "finn-rtllib").is_dir() else "its checkout"
    return f"export FINN_ROOT={place}, as FINN's container does"


class _StepsFinder(importlib.abc.MetaPathFinder):
    """Finds FINN's module with the steps as Python would, and lets anybody import it without Vivado."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != STEPS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                with _no_simulator_needed():
                    execute(module)
                _tell_tools_where_finn_is(Path(str(module.__file__)).parents[1])

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def let_anybody_import_steps() -> None:
    """Let a custom step import FINN's steps in any worker of this process, as one that has run a step of FINN can."""
    if not any(isinstance(finder, _StepsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _StepsFinder())


@contextlib.contextmanager
def _no_simulator_needed() -> Iterator[None]:
    """Let the step module import a name from `finn.xsi` that it uses in annotations only.

    To give that name, finn-plus wants Vivado, and where it is installed builds its simulator; where that fails, no
    step at all could be imported. Taken away afterwards: a step that simulates gets the real one on first use.
    """
    try:
        xsi: Any = importlib.import_module("finn.xsi")
    except ImportError:
        xsi = None
    if xsi is None or "SimEngine" in vars(xsi):
        yield
        return
    xsi.SimEngine = type("SimEngine", (), {"__doc__": "Stands in for FINN's simulator in annotations."})
    try:
        yield
    finally:
        del xsi.SimEngine


def _tell_tools_where_finn_is(package: Path) -> None:
    """Set what the Tcl scripts of finn-plus look up in the environment, as `finn build` does before it runs steps."""
    for variable, name in (("FINN_RTLLIB", "finn-rtllib"), ("FINN_CUSTOM_HLS", "custom_hls")):
        if (package / name).is_dir():
            os.environ[variable] = str(package / name)
