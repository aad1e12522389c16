"""Which samples are golden, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.bundle.archives import write_npz
from finnyaml.bundle.golden import as_dtype, at_random, check_fits, fitting, of_data
from finnyaml.errors import StepFailed
from finnyaml.verify.data.dataset import DataSet
from tests.bundle.accelerators import Arrays, data


@pytest.mark.parametrize(("size", "count"), [(1000, 64), (64, 64), (10, 64), (300, 7), (1, 1)])
def test_they_are_spread_over_the_whole_data_set(size: int, count: int) -> None:
    inputs = np.arange(size)[:, None] / 10
    found = of_data(data(inputs, np.arange(size) * 10 // size), count)
    assert len(found.index) == min(size, count) and found.index[0] == 0 and (np.diff(found.index) > 0).all()
    np.testing.assert_array_equal(found.inputs, inputs[found.index])
    assert found.labels is not None and found.source == "the data set of the recipe"
    assert found.range == (0.0, (size - 1) / 10)
    if count >= 20:  # sorted by class, and yet of every class as many as can be
        counts = np.bincount(found.labels)
        assert counts.max() - counts.min() <= 1


def test_they_are_of_the_samples_that_the_recipe_takes() -> None:
    inputs = np.arange(100)[:, None]
    limited = DataSet(Arrays(inputs), 30, 4, None)
    assert set(of_data(limited, 10).index) <= set(np.concatenate(limited.chunks(30)))
    assert of_data(limited, 10).labels is None


@pytest.mark.parametrize(
    "name", ["BIPOLAR", "BINARY", "TERNARY", "INT3", "UINT8", "INT32", "UINT32", "FIXED<8,4>", "FLOAT32"]
)
def test_random_values_are_of_the_datatype_and_always_the_same(name: str) -> None:
    datatype = parse(name)
    found = at_random((3, 5), datatype, 20)
    assert found.inputs.shape == (20, 3, 5) and (found.labels, found.range) == (None, None)
    assert found.source == "random values"
    check_fits(found.inputs, datatype, "it")
    assert len(np.unique(found.inputs)) > 1
    np.testing.assert_array_equal(found.inputs, at_random((3, 5), datatype, 20).inputs)


def test_values_that_a_stream_cannot_carry_are_refused() -> None:
    check_fits(np.array([[-4.0, 3.0]]), parse("INT3"), "the accelerator's input")
    for name, value in {"INT3": 4, "UINT8": -1, "BIPOLAR": 0, "TERNARY": 2, "FIXED<4,2>": 0.1, "BINARY": 0.5}.items():
        with pytest.raises(StepFailed, match=f"the accelerator's output is {value} for a golden sample"):
            check_fits(np.array([[1, value]]), parse(name), "the accelerator's output")
    check_fits(np.array([np.nan, 1e30]), parse("FLOAT32"), "anything")


def test_data_that_is_not_what_the_recipe_says_is_refused() -> None:
    assert as_dtype(np.array([0.0, 255.0]), np.dtype(np.uint8), "the images").dtype == np.uint8
    for wrong in (0.5, 256.0, -1.0):
        with pytest.raises(StepFailed, match=f"the images hold {wrong}, which is not uint8"):
            as_dtype(np.array([0.0, wrong]), np.dtype(np.uint8), "the images")


@pytest.mark.parametrize(
    ("name", "dtype"), [("UINT8", "uint8"), ("BIPOLAR", "int8"), ("INT17", "int32"), ("FIXED<8,4>", "float32")]
)
def test_boundary_values_are_kept_in_the_smallest_dtype(name: str, dtype: str) -> None:
    assert fitting(np.ones((2, 3), np.float32), parse(name), "it").dtype == np.dtype(dtype)


def test_archives_are_equal_when_their_arrays_are(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.float32(1.5), "c": np.arange(6).reshape(2, 3).T}
    for name in ("first", "second"):
        write_npz(tmp_path / name / "x.npz", arrays)
    assert (tmp_path / "first/x.npz").read_bytes() == (tmp_path / "second/x.npz").read_bytes()
    with np.load(io.BytesIO((tmp_path / "first/x.npz").read_bytes()), allow_pickle=False) as read:
        assert list(read.files) == ["a", "b", "c"]
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].shape == np.shape(array)
