"""A small FINN made up by hand: a stand-in for what `finnyaml.finn.introspect` reads from a real one.

Its names are like those of real versions, so that recipes read naturally; nothing here is asked from FINN. That the
real catalog agrees with the real FINN is tested in `tests/finn/test_phases.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from finnyaml.errors import Problem, RecipeError
from finnyaml.finn.catalog import Catalog, Field, FinnStep, Phase
from finnyaml.plan import graph
from finnyaml.plan.graph import Plan
from finnyaml.recipe.load import load_recipe
from finnyaml.recipe.model import ModelSource, Recipe, Settings, StepEntry, Steps

STEPS = (
    "step_qonnx_to_finn",
    "step_tidy_up",
    "step_streamline",
    "step_convert_to_hw",
    "step_minimize_bit_width",
    "step_specialize_layers",
    "step_hw_codegen",
    "step_set_fifo_depths",
    "step_hw_ipgen",
)

FIELDS = (
    Field("target_fps", "int", True, None),
    Field("mvau_wwidth_max", "int", True, 36),
    Field("folding_two_pass_relaxation", "bool", False, True),
    Field("folding_config_file", "path", True, None),
    Field("specialize_layers_config_file", "path", True, None),
    Field("fifo_config_file", "path", True, None),
    Field("auto_fifo_depths", "bool", False, True),
    Field("auto_fifo_strategy", "enum", False, "characterize", ("characterize", "largefifo_rtlsim")),
    Field("large_fifo_mem_style", "enum", False, "auto", ("auto", "block", "ultra")),
    Field("board", "str", True, None),
    Field("fpga_part", "str", True, None),
    Field("synth_clk_period_ns", "float", False, 10.0),
    Field("hls_clk_period_ns", "float", True, None),
    Field("shell_flow_type", "enum", True, None, ("vivado_zynq", "vitis_alveo")),
    Field("vitis_platform", "str", True, None),
    Field("generate_outputs", "list", False, ["estimate_reports"], ("estimate_reports", "bitfile"), "enum"),
    Field("standalone_thresholds", "bool", False, False, doc="Thresholds in layers of their own."),
    Field("verify_input_npy", "path", False, "input.npy"),
    Field("verify_steps", "list", True, None, ("initial_python", "streamlined_python"), "enum"),
    Field("signature", "list", True, None, (), "int"),
    Field("save_intermediate_models", "bool", False, True),
    Field("output_dir", "path", False, "out"),
    Field("steps", "list", True, None),
)

CATALOG = Catalog(
    identity="made-up",
    distribution="finn",
    version="0.99",
    fields={field.name: field for field in FIELDS},
    steps={name: FinnStep(name, "", "made.up") for name in STEPS},
    phases={
        "phase_prepare": Phase(
            "phase_prepare", "", "made.up", (("step", "step_qonnx_to_finn"), ("step", "step_tidy_up"))
        ),
        "phase_build": Phase(
            "phase_build", "", "made.up", (("segment", "0"), ("step", "step_hw_codegen"), ("segment", "2"))
        ),
        "phase_single": Phase("phase_single", "", "made.up", (("segment", "all"),)),
    },
    flows={"short": STEPS[:4], "default": STEPS, "phased": ("phase_prepare", "step_streamline", "phase_build")},
    boards={"Pynq-Z2": "xc7z020clg400-1", "ZCU102": "xczu9eg-ffvb1156-2-e"},
    points={
        "initial_python": "step_tidy_up",
        "streamlined_python": "step_streamline",
        "node_by_node_rtlsim": "step_hw_ipgen",
    },
)

CODE = {"finnyaml/worker": "0123", "finnyaml/verify": "89ab", "finnyaml/lint": "cdef", "finn": "0.99 (4567)"}
"""Code, made up as well."""


def code_of(*references: str) -> dict[str, str]:
    """Which of it stands behind references: that of the rooms that these name, and what runs everything."""
    rooms = {name for name in CODE for reference in references if name.rpartition("/")[2] in reference}
    return {name: CODE[name] for name in CODE if name in {*rooms, "finnyaml/worker", "finn"}}


@dataclass(frozen=True)
class Maker:
    """Plans recipes that it writes into a folder."""

    folder: Path

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def recipe(self, text: str, sets: Sequence[str] = ()) -> Recipe:
        """The recipe with this text; one without a model gets one."""
        model = "" if "model:" in text or "extends:" in text else "model: {onnx: model.onnx}\n"
        return load_recipe(self.write("recipe.yaml", model + text), sets, {})[0]

    def plan(self, text: str, sets: Sequence[str] = ()) -> Plan:
        return self.planned(text, sets)[0]

    def planned(self, text: str, sets: Sequence[str] = ()) -> tuple[Plan, tuple[Problem, ...]]:
        """The plan with its warnings."""
        return graph.build(self.recipe(text, sets), CATALOG, code_of)

    def refused(self, text: str, sets: Sequence[str] = ()) -> tuple[Problem, ...]:
        """The problems of a recipe that loads but cannot be planned."""
        recipe = self.recipe(text, sets)
        with pytest.raises(RecipeError) as refused:
            graph.build(recipe, CATALOG, code_of)
        return refused.value.problems


def recipe_of(entries: Sequence[StepEntry], folder: Path = Path("/recipes/one"), **parts: Any) -> Recipe:
    """A recipe without a file, for properties of plans."""
    values: dict[str, Any] = {
        "path": folder / "recipe.yaml",
        "name": "made",
        "description": "",
        "model": ModelSource(onnx=folder / "model.onnx"),
        "preprocess": (),
        "postprocess": (),
        "steps": Steps(entries=tuple(entries)),
        "settings": Settings(),
        "targets": {},
        "workspace": folder / "build",
        "files": (),
        "env": {},
        "resolved": {},
    }
    return Recipe(**{**values, **parts})
