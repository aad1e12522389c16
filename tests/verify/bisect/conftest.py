"""The digits network of the recipe at stages of its build, made once in this process with the real FINN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.finn.door import open_door
from finnyaml.recipe.model import CodeRef, InputSpec, Processing
from finnyaml.steps import processing, source
from finnyaml.steps.code import load_function
from finnyaml.verify.bisect.result import Samples
from tests.project import ROOT

DIGITS = ROOT / "recipes" / "digits-cnv"


def _function(name: str) -> Any:
    return load_function(CodeRef(name, name.split(":")[1], file=DIGITS / name.split(":")[0]), DIGITS)


@pytest.fixture(scope="session")
def output_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where FINN's steps write."""
    return tmp_path_factory.mktemp("finn")


@pytest.fixture(scope="session")
def steps(output_dir: Path) -> Callable[[str], Any]:
    """FINN's step functions of one argument, by name without `step_`."""
    door = open_door()
    door.steps  # noqa: B018  # the configuration needs what this sets up
    config = door.config_class(
        output_dir=str(output_dir),
        synth_clk_period_ns=20.0,
        generate_outputs=[],
        board="ZCU102",
        standalone_thresholds=True,
        save_intermediate_models=True,
    )
    return lambda name: lambda model: door.steps[f"step_{name}"](model, config)


@pytest.fixture(scope="session")
def parent(output_dir: Path, partition: Any) -> Any:
    """The dataflow parent that `partition` was cut out of."""
    from qonnx.core.modelwrapper import ModelWrapper

    return ModelWrapper(str(output_dir / "intermediate_models" / "dataflow_parent.onnx"))


@pytest.fixture(scope="session")
def tidy(steps: Any) -> Any:
    """digits-cnv after tidy_up."""
    spec = InputSpec((1, 1, 14, 14), "UINT8", "NCHW")
    factory = _function("model.py:digits_cnv")
    exported = source.export_brevitas(factory, {"act_bits": 1}, DIGITS / "weights.pth", None, (1, 1, 14, 14))
    model = processing.preprocess(source.annotate_input(exported, spec), [Processing("to_tensor")], spec, DIGITS)
    model = processing.postprocess(model, [Processing("top_k", options={"k": 1})], DIGITS)
    return steps("tidy_up")(steps("qonnx_to_finn")(model))


@pytest.fixture(scope="session")
def lowered(tidy: Any) -> Any:
    """The same, streamlined and lowered to matrix products as FINN does, without the fault of its own."""
    from finn.transformation.streamline import Streamline, absorb
    from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
    from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul

    model = tidy
    for transformation in (
        absorb.AbsorbScalarBiasIntoMultiThreshold(),
        Streamline(),
        LowerConvsToMatMul(),
        absorb.AbsorbTransposeIntoMultiThreshold(),
        absorb.AbsorbConsecutiveTransposes(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
    ):
        model = model.transform(transformation)
    return model


@pytest.fixture(scope="session")
def hardware(steps: Any, tidy: Any) -> Any:
    """The same after convert_to_hw."""
    return steps("minimize_bit_width_initial")(steps("convert_to_hw")(steps("streamline")(tidy)))


@pytest.fixture(scope="session")
def partition(steps: Any, hardware: Any) -> Any:
    """The graph inside the dataflow partition."""
    return steps("create_dataflow_partition")(hardware)


@pytest.fixture(scope="session")
def digits() -> Samples:
    """200 held-out digits with labels; float32 [200, 1, 14, 14], 0 to 255."""
    images, labels = _function("data.py:load")("test")
    return Samples(images[:200].astype(np.float32), labels[:200])
