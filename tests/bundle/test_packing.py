"""Packing, against FINN's own and against Python's integers, which know no width."""

from __future__ import annotations

import math

import numpy as np
import pytest
from finn.util.data_packing import finnpy_to_packed_bytearray, packed_bytearray_to_finnpy
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.datatype import DataType

from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.accelerator.numbers import packing
from finnyaml.accelerator.numbers.datatypes import Datatype, parse
from finnyaml.accelerator.numbers.packing import pack, unpack

INTEGERS = ["BIPOLAR", "BINARY", "TERNARY", *(f"INT{n}" for n in range(2, 33)), *(f"UINT{n}" for n in range(1, 33))]
FIXED = [f"FIXED<{bits},{whole}>" for bits in range(2, 33) for whole in {1, bits // 2, bits - 1} if 0 < whole < bits]
NAMES = [*INTEGERS, *FIXED, "FLOAT16", "FLOAT32"]
WIDE = [*(f"INT{n}" for n in range(1, 65)), *(f"UINT{n}" for n in range(1, 65)), "BIPOLAR", "TERNARY"]


def codes_of(datatype: Datatype, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random integers that the datatype has (times `step`), both ends among them; int64 or uint64."""
    container = np.uint64 if datatype.integers[0] == np.uint64 else np.int64
    low, high = datatype.integers[1:]
    random = np.random.default_rng(seed)
    values = random.integers(low, high, shape, dtype=container, endpoint=True)
    if datatype.kind == "bipolar":
        return np.where(values > 0, 1, -1)
    values.flat[random.integers(values.size)] = high
    values.flat[random.integers(values.size)] = low
    return values


def float_values(datatype: Datatype, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Values of the datatype as FINN hands them around: float32, so only such of the wide ones as float32 has."""
    if datatype.kind == "float":
        values = np.random.default_rng(seed).normal(0, 100, shape).astype(datatype.numpy)
        values.flat[0] = [np.inf, -np.inf, np.nan, -0.0, 1.0][seed % 5]
        return values
    integers = codes_of(datatype, shape, seed)
    spare = max(0, datatype.bits - 24)
    return ((integers >> spare << spare) * datatype.step).astype(np.float32)


shapes = st.one_of(
    st.tuples(st.integers(1, 4), st.integers(1, 70)),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 12)),
)


@settings(max_examples=600, deadline=None)
@given(name=st.sampled_from(NAMES), shape=shapes, seed=st.integers(0, 2**32))
def test_packs_as_finn_does(name: str, shape: tuple[int, ...], seed: int) -> None:
    values = float_values(parse(name), shape, seed)
    expected = finnpy_to_packed_bytearray(values, DataType[name], reverse_inner=True, reverse_endian=True)
    packed = pack(values, parse(name))
    assert packed.dtype == np.uint8 and packed.shape == expected.shape
    np.testing.assert_array_equal(packed, expected)


@settings(max_examples=600, deadline=None)
@given(name=st.sampled_from(NAMES), shape=shapes, seed=st.integers(0, 2**32))
def test_unpacks_as_finn_does(name: str, shape: tuple[int, ...], seed: int) -> None:
    datatype = parse(name)
    values = float_values(datatype, shape, seed)
    packed = pack(values, datatype)
    unpacked = unpack(packed, datatype, shape[-1])
    assert unpacked.dtype == datatype.numpy and unpacked.shape == shape
    np.testing.assert_array_equal(unpacked.astype(np.float64), values.astype(np.float64))
    if not (
        datatype.kind == "fixed" and (datatype.bits in (8, 16) or datatype.bits > 24)
    ):  # FINN fails or rounds there
        finn = packed_bytearray_to_finnpy(packed, DataType[name], shape, reverse_inner=True, reverse_endian=True)
        np.testing.assert_array_equal(unpacked.astype(np.float32), finn)


@settings(max_examples=600, deadline=None)
@given(name=st.sampled_from(WIDE), rows=st.integers(0, 5), n=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_the_bit_string_is_one_long_integer(name: str, rows: int, n: int, seed: int) -> None:
    """All 64 bits of integers, whose low ones float32 cannot hold; nothing at all, too."""
    datatype = parse(name)
    values = codes_of(datatype, (rows, n), seed) if rows else np.zeros((0, n), np.int64)
    packed = pack(values, datatype)
    assert packed.shape == (rows, math.ceil(n * datatype.bits / 8))
    for row, data in zip(values.tolist(), packed, strict=True):
        codes = [(value > 0) if name == "BIPOLAR" else value % (1 << datatype.bits) for value in row]
        number = sum(code << (index * datatype.bits) for index, code in enumerate(codes))
        assert data.tobytes() == number.to_bytes(len(data), "little")
    np.testing.assert_array_equal(unpack(packed, datatype, n), values)


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(["BIPOLAR", "TERNARY", "INT3", "INT8", "INT7", "INT16", "INT12", "FIXED<9,4>", "FLOAT32"]),
    container=st.sampled_from(["int8", "int16", "int32", "int64", "float16", "float32", "float64", ">i4", ">f4"]),
    seed=st.integers(0, 2**32),
)
def test_the_container_does_not_matter(name: str, container: str, seed: int) -> None:
    datatype = parse(name)
    values = codes_of(parse("BIPOLAR"), (3, 7), seed)  # every one of them has -1 and 1
    np.testing.assert_array_equal(pack(values.astype(container), datatype), pack(values, datatype))


def test_unsigned_and_boolean_containers() -> None:
    values = np.array([[0, 1, 1, 0, 1]])
    for container in ("bool", "uint8", "uint16", "uint32", "uint64"):
        np.testing.assert_array_equal(pack(values.astype(container), parse("BINARY")), [[0b10110]])
        np.testing.assert_array_equal(pack(values.astype(container), parse("INT4")), [[0x10, 0x01, 0x01]])


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(INTEGERS),
    container=st.sampled_from(
        ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float16", "float32", "float64"]
    ),
    value=st.one_of(
        st.integers(-300, 300), st.sampled_from([s * 2**k + d for k in range(33) for s in (-1, 1) for d in (-1, 0, 1)])
    ),
)
def test_what_the_datatype_does_not_have_is_refused(name: str, container: str, value: int) -> None:
    """For whole numbers qonnx is asked: `DataType.allowed`."""
    limits = np.finfo(container) if np.dtype(container).kind == "f" else np.iinfo(container)
    values = np.ones((2, 9), container)
    values[1, 7] = min(max(value, int(limits.min)), int(limits.max))
    exact = int(values[1, 7])
    if DataType[name].allowed(exact):
        assert unpack(pack(values, parse(name)), parse(name), 9)[1, 7] == exact
    else:
        with pytest.raises(AcceleratorError, match=r"wrong range.*at \[1, 7\]") as refusal:
            pack(values, parse(name))
        assert refusal.value.name == "wrong range" and name in str(refusal.value)


def test_uint8_128_is_no_int8() -> None:
    """FINN's drivers turn it into -128 without a word."""
    with pytest.raises(AcceleratorError, match=r"the value 128 at .* none of INT8, which has -128 to 127"):
        pack(np.array([[127, 128]], np.uint8), parse("INT8"))


@pytest.mark.parametrize("bad", [0.5, 1e-30, -1e-30, np.nan, np.inf, -np.inf, 127.00001, 1e30])
@pytest.mark.parametrize("name", ["BIPOLAR", "TERNARY", "INT2", "INT8", "INT9", "INT24", "INT32", "INT64", "UINT3"])
def test_fractions_and_what_is_no_number_are_refused(name: str, bad: float) -> None:
    for container in ("float32", "float64"):
        values = np.ones((4, 5), container)
        values[2, 3] = bad
        with pytest.raises(AcceleratorError, match="wrong range"):
            pack(values, parse(name))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (2.0**31, "INT32"),
        (2.0**32, "UINT32"),
        (2.0**63, "INT64"),
        (2.0**64, "UINT64"),
        (32768.0, "INT16"),
        (-1.0, "UINT64"),
    ],
)
def test_the_first_value_too_large_is_refused_in_every_float(value: float, name: str) -> None:
    """A cast that saturates, as ARM's does, comes back equal after rounding."""
    for container in (np.float16, np.float32, np.float64):
        with np.errstate(over="ignore"):
            values = np.array([[value]]).astype(container)
        with pytest.raises(AcceleratorError, match="wrong range"):
            pack(values, parse(name))


@pytest.mark.parametrize(("value", "allowed"), [(0.0625, True), (-8, True), (7.9375, True), (8, False), (0.03, False)])
def test_fixed_point_has_its_steps(value: float, allowed: bool) -> None:
    datatype = parse("FIXED<8,4>")
    if allowed:
        assert unpack(pack(np.array([value]), datatype), datatype, 1) == value
    else:
        with pytest.raises(AcceleratorError, match=r"wrong range.*in steps of 0.0625"):
            pack(np.array([value]), datatype)


def test_floats_may_lose_digits_but_not_overflow() -> None:
    np.testing.assert_array_equal(
        pack(np.array([0.1]), parse("FLOAT32")), pack(np.array([0.1], "f4"), parse("FLOAT32"))
    )
    with pytest.raises(AcceleratorError, match="wrong range"):
        pack(np.array([1.0, 1e300]), parse("FLOAT32"))
    with pytest.raises(AcceleratorError, match="wrong range"):
        pack(np.array([70000]), parse("FLOAT16"))


def test_what_is_no_number_at_all_is_refused() -> None:
    for values in (np.array(["1"]), np.array([1j]), np.array([None])):
        with pytest.raises(AcceleratorError, match="wrong dtype"):
            pack(values, parse("INT8"))


def test_bits_that_are_no_ternary_value_are_refused() -> None:
    with pytest.raises(AcceleratorError, match=r"wrong output.*TERNARY"):
        unpack(np.array([[0b10]], np.uint8), parse("TERNARY"), 1)


def test_bits_of_padding_do_not_count() -> None:
    assert unpack(np.array([[0xF3]], np.uint8), parse("UINT3"), 1).tolist() == [[3]]
    assert unpack(np.array([[0xF3, 0xF1]], np.uint8), parse("INT4"), 3).tolist() == [[3, -1, 1]]
    assert unpack(np.array([[0xFF] * 2], np.uint8), parse("BINARY"), 9).shape == (1, 9)


def test_packed_data_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        unpack(np.zeros((2, 4), np.uint8), parse("INT8"), 3)


@pytest.mark.parametrize("name", ["UINT8", "INT3", "BIPOLAR", "INT21", "FLOAT32"])
def test_blocks_do_not_show(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large arrays are done in blocks of rows, the last of which is smaller."""
    datatype = parse(name)
    values = codes_of(parse("BIPOLAR" if name != "UINT8" else name), (11, 3, 5), 3).astype(np.float32)
    whole = pack(values, datatype)
    monkeypatch.setattr(packing, "_BLOCK", 20)
    np.testing.assert_array_equal(pack(values, datatype), whole)
    np.testing.assert_array_equal(unpack(whole, datatype, 5), values)
    values[10, 2, 4] = 0.25
    with pytest.raises(AcceleratorError, match=r"wrong range.*at \[10, 2, 4\]"):
        pack(values, parse("UINT8" if name == "UINT8" else "INT9"))


def test_values_that_lie_scattered_in_memory() -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for view in (values.transpose(2, 0, 1), values[:, ::2], values[..., ::-1]):
        np.testing.assert_array_equal(pack(view, parse("UINT5")), pack(view.copy(), parse("UINT5")))
        np.testing.assert_array_equal(unpack(view, parse("UINT8"), view.shape[-1]), view)
