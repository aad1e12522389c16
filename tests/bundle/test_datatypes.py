"""FINN's datatypes, as qonnx has them."""

from __future__ import annotations

import numpy as np
import pytest
from qonnx.core.datatype import DataType

from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.accelerator.numbers.datatypes import parse

NAMES = [
    *("BIPOLAR", "BINARY", "TERNARY", "FLOAT16", "FLOAT32", "FIXED<8,4>", "FIXED<32,16>", "FIXED<4,-2>", "FIXED<8, 3>"),
    *(f"{sign}INT{bits}" for sign in ("", "U") for bits in range(1, 65)),
]


@pytest.mark.parametrize("name", NAMES)
def test_widths_and_limits_are_those_of_qonnx(name: str) -> None:
    ours, theirs = parse(name), DataType[name]
    assert (ours.bits, ours.signed, ours.low, ours.high) == (
        theirs.bitwidth(),
        theirs.signed(),
        theirs.min(),
        theirs.max(),
    )
    assert ours.step == (theirs.scale_factor() if theirs.is_fixed_point() else 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_container_holds_all_values_and_is_the_smallest(name: str) -> None:
    ours = parse(name)
    for value in (ours.low, ours.high):
        assert ours.numpy.type(value) == value
    if ours.kind == "integer":
        assert ours.numpy == DataType[name].to_numpy_dt()


def test_float64_has_no_counterpart_in_qonnx() -> None:
    assert parse("FLOAT64").numpy == np.float64


@pytest.mark.parametrize(
    "name", ["", "INT", "INT0", "INT65", "int8", "UINT8 ", "FIXED<4,4>", "FIXED<65,1>", "SCALEDINT<8>"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(AcceleratorError, match="unknown datatype: '"):
        parse(name)
