"""Archives of outputs: written by batch, equal for equal outputs, and compared sample by sample."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import DataSpec
from finnyaml.verify.data.dataset import DataSet, open_data
from finnyaml.verify.data.layout import delivered, fitted
from finnyaml.verify.outputs import Archive, Stored, golden, keep


def data_set(folder: Path, inputs: np.ndarray, limit: int | None = None, shuffle: int | None = None) -> DataSet:
    np.save(folder / "x.npy", inputs)
    spec = {**vars(DataSpec("npy")), "file": "x.npy", "limit": limit, "shuffle": shuffle}
    return open_data(spec, lambda name: folder / name, folder)


def test_an_archive_holds_what_was_added_and_leaves_nothing_else(tmp_path: Path) -> None:
    with Archive(tmp_path / "a.npz", 5) as archive:
        archive.add(index=np.arange(3), outputs=np.ones((3, 2), np.float32), labels=None)
        archive.add(index=np.arange(3, 5), outputs=np.zeros((2, 2), np.float32), labels=None)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert sorted(found.files) == ["index", "outputs"]
        assert found["outputs"].tolist() == [[1, 1]] * 3 + [[0, 0]] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_an_archive_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    def fail(batch: np.ndarray) -> np.ndarray:
        raise ValueError("no")

    (folder := tmp_path / "outputs").mkdir()
    with pytest.raises(ValueError):
        keep(fail, data_set(tmp_path, np.zeros((3, 1))), folder / "a.npz", None)
    assert list(folder.iterdir()) == []


def test_an_archive_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    calls = []

    def fail_later(batch: np.ndarray) -> np.ndarray:
        calls.append(len(batch))
        if len(calls) > 1:
            raise ValueError("no")
        return batch

    (folder := tmp_path / "outputs").mkdir()
    with pytest.raises(ValueError):
        keep(fail_later, data_set(tmp_path, np.zeros((600, 1))), folder / "a.npz", None)
    assert calls[1:] and list(folder.iterdir()) == []


def test_equal_outputs_are_equal_files(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)
    for name in ("a", "b"):
        keep(lambda batch: batch * 2, data_set(tmp_path, x), tmp_path / f"{name}.npz", None)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_memory_is_that_of_a_batch(tmp_path: Path) -> None:
    data = data_set(tmp_path, np.zeros((20_000, 500), np.float32))  # 40 MB in, 40 MB out
    tracemalloc.start()
    keep(lambda batch: batch + 1, data, tmp_path / "a.npz", None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


def test_outputs_are_found_by_sample_also_in_a_choice_of_samples(tmp_path: Path) -> None:
    x = np.arange(100, dtype=np.float32).reshape(100, 1)
    keep(lambda batch: batch * 10, data_set(tmp_path, x, limit=50, shuffle=3), tmp_path / "a.npz", None)
    fewer = data_set(tmp_path, x, limit=20, shuffle=3)
    (batch,) = fewer.batches(64)
    (found,) = Stored("source", tmp_path / "a.npz", "outputs").pieces(fewer.chunks(64))
    assert (found == batch.inputs * 10).all() and len(found) == 20
    with pytest.raises(StepFailed, match="the reference source lacks samples"):
        list(Stored("source", tmp_path / "a.npz", "outputs").pieces([np.arange(100)]))


def test_stored_outputs_have_a_row_for_every_sample(tmp_path: Path) -> None:
    np.save(tmp_path / "gold.npy", np.arange(100))
    (found,) = Stored("gold.npy", tmp_path / "gold.npy", None).pieces([np.array([3, 50, 99])])
    assert found.tolist() == [3, 50, 99]


def test_golden_samples_are_as_finn_reads_them(tmp_path: Path) -> None:
    images = np.arange(2 * 2 * 2 * 3, dtype=np.uint8).reshape(2, 3, 2, 2)
    golden(lambda batch: batch.sum(axis=(1, 2, 3)), data_set(tmp_path, images), tmp_path, 1, None)
    given, expected = (np.load(tmp_path / f"golden_{name}.npy") for name in ("input", "output"))
    assert given.dtype == expected.dtype == np.float32
    assert given.shape == (1, 3, 2, 2) and expected.tolist() == [float(images[0].sum())]


@pytest.mark.parametrize(
    ("given", "layout", "order", "shape"),
    [
        ((5, 3, 4, 6), "NCHW", (0, 1, 2, 3), (1, 3, 4, 6)),
        ((5, 3, 4, 6), "NCHW", (0, 2, 3, 1), (1, 4, 6, 3)),
        ((5, 4, 6, 3), "NHWC", (0, 3, 1, 2), (1, 3, 4, 6)),
        ((5, 4, 6, 3), None, (0, 3, 1, 2), (1, 3, 4, 6)),
        ((5, 7, 2), "NCW", (0, 2, 1), (1, 2, 7)),
        ((5, 1, 8, 8), "NC", (0, 1, 2, 3), (1, 64)),
        ((5, 64), None, (0, 1), (1, 1, 8, 8)),
    ],
)
def test_data_is_turned_to_what_a_graph_takes(
    given: tuple[int, ...], layout: str | None, order: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    batch = np.arange(np.prod(given)).reshape(given)
    np.testing.assert_array_equal(fitted(batch, shape, layout), batch.transpose(order).reshape(5, *shape[1:]))


def test_a_layout_that_is_known_decides_where_shapes_do_not() -> None:
    batch = np.arange(27).reshape(1, 3, 3, 3)
    assert (delivered(batch, "NHWC", "NCHW") == batch.transpose(0, 3, 1, 2)).all()
    assert (delivered(batch, "NCHW", "NCHW") == batch).all()


def test_data_that_does_not_fit_is_refused() -> None:
    with pytest.raises(StepFailed, match=r"samples of the shape \[3, 5, 5\], the graph takes \[3, 4, 4\]"):
        fitted(np.zeros((2, 3, 5, 5)), (1, 3, 4, 4), "NCHW")
    with pytest.raises(StepFailed):  # the same number of values, in an order that nobody knows
        fitted(np.zeros((2, 4, 6)), (1, 3, 8), None)
