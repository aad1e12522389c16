"""Which operators FINN has layers for is asked from the installed FINN."""

from __future__ import annotations

import importlib
import inspect

from finnyaml.finn.converters import called_by_flow, converters
from finnyaml.finn.door import open_door


def test_the_converters_are_those_of_the_installed_finn() -> None:
    found = converters()
    assert found["Concat"] and found["Resize"] and found["ReduceMean"] and found["MatMul"]
    assert "InferElementwiseBinaryOperation" in found["Mul"]
    assert "LSTM" not in found and "LeakyRelu" not in found
    named = {name for names in found.values() for name in names}
    assert {"InferConcatLayer", "InferUpsample", "InferPoolFromReduce"} <= named
    assert open_door().steps
    package = importlib.import_module("finn.transformation.fpgadataflow.convert_to_hw.upsample")
    assert inspect.isclass(package.InferUpsample)


def test_what_no_step_of_finn_calls_is_known() -> None:
    calls = called_by_flow()
    assert "InferConcatLayer" in calls and "InferPixelPaddingDeconv" not in calls
