"""How many samples are computed at once follows from what they need, and changes no result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.recipe.model import InputSpec
from finnyaml.verify import memory
from finnyaml.verify.data.dataset import DataSet
from finnyaml.verify.executor import BatchedModel
from finnyaml.verify.reference import torch_reference
from tests.verify.executor.graphs import graph, node

RANDOM = np.random.default_rng(4)
MEGABYTE = 1_000_000
SAMPLES = RANDOM.integers(-5, 6, (23, 1, 500))


def wide(**kinds: Any) -> Any:
    """Values are few at both ends, and 500 x 500 (1 MB) in the middle: two of them at once."""
    nodes = [node("Mul", ["x", "column"], ["m"]), node("Add", ["m", "offset"], ["a"])]
    nodes += [node("Transpose", ["a"], ["t"], perm=[0, 2, 1]), node("ReduceMax", ["t"], ["y"], axes=[1], keepdims=1)]
    random = np.random.default_rng(5)
    column, offset = random.integers(-9, 10, (1, 500, 1)), random.integers(-9, 10, (1, 500, 500))
    shapes = {"x": [1, 1, 500], **{name: [1, 500, 500] for name in "mat"}, "y": [1, 1, 500]}
    constants = {"column": column.astype(np.float32), "offset": offset.astype(np.float32)}
    return BatchedModel(graph(nodes, shapes, constants, {"x": "INT4"}), **kinds)


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the bytes that there are, on a machine with plenty."""
    monkeypatch.setattr(memory, "memory", lambda: 10**12)
    return lambda size: monkeypatch.setattr(memory, "BOUND", size)


@pytest.mark.parametrize("kinds", [{}, {"optimise": False}], ids=str)
def test_large_values_inside_a_graph_make_small_batches(bound: Any, kinds: dict[str, Any]) -> None:
    bound(20 * MEGABYTE)
    assert wide(**kinds).at_once in range(9, 11)
    bound(MEGABYTE)
    assert wide(**kinds).at_once == 1, "one sample in any case"
    bound(10**10)
    assert wide(**kinds).at_once == memory.MOST
    bound(20 * MEGABYTE)
    assert wide(taps="all", **kinds).at_once in range(3, 6), "what is asked for is held to the end"


def test_nodes_that_run_one_sample_at_a_time_count_too(bound: Any) -> None:
    bound(20 * MEGABYTE)
    model = wide(without=["Mul", "Add"])
    assert len(model.fallbacks) == 2 and model.at_once in range(5, 8)


def test_no_result_depends_on_how_many_samples_are_computed_at_once(bound: Any) -> None:
    wanted = wide().run(SAMPLES)["y"]
    results = [wanted]
    for size in (1, 5, 11):
        bound(size * 2 * MEGABYTE + MEGABYTE // 10)
        model = wide()
        assert model.at_once == size
        results.append(model.run(SAMPLES)["y"])
    assert all(np.array_equal(wanted, found) for found in results) and wanted.shape == (23, 1, 500)


def test_sums_of_reals_are_equal_too(bound: Any) -> None:
    each = 4 * (9 * 64 + 2 * 9 * 48)
    weight, values = RANDOM.normal(size=(64, 48)).astype(np.float32), RANDOM.normal(size=(23, 9, 64))
    model = graph([node("MatMul", ["x", "w"], ["y"])], {"x": [1, 9, 64], "y": [1, 9, 48]}, {"w": weight})
    wanted = BatchedModel(model).run(values)["y"]
    for size in (1, 4, 22):
        bound(size * each)
        batched = BatchedModel(model)
        assert batched.at_once == size and np.array_equal(batched.run(values)["y"], wanted)


def test_a_violation_in_a_later_part_is_reported_with_all_extremes(bound: Any) -> None:
    bound(2 * MEGABYTE)
    model = wide()
    samples = np.zeros((6, 1, 500))
    samples[1, 0, 0], samples[4, 0, 0] = -30, 40
    wide_enough = wide()
    model.run(samples)
    bound(10**10)
    wide_enough.run(samples)
    assert model.at_once < 2 and [vars(v) for v in model.violations] == [vars(v) for v in wide_enough.violations]
    assert (model.violations[0].low, model.violations[0].high) == (-30, 40)


def test_the_reference_in_torch_computes_few_large_samples_at_once(bound: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    seen: list[int] = []

    class Wide(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 64, 3, padding=1)

        def forward(self, x: Any) -> Any:
            seen.append(len(x))
            return self.conv(x).mean((2, 3))

    images = RANDOM.random((23, 1, 62, 62)).astype(np.float32)  # 1 MB inside for each
    module = Wide()
    bound(400 * MEGABYTE)
    function = torch_reference(module, InputSpec((1, 1, 62, 62)), [], [], tmp_path)
    wanted = function(images)
    assert seen == [1, 23]
    del seen[:]
    bound(41 * MEGABYTE)
    found = torch_reference(module, InputSpec((1, 1, 62, 62)), [], [], tmp_path)(images)
    assert seen == [1, 10, 10, 3] and np.allclose(found, wanted, atol=1e-6)


def test_large_samples_are_read_a_few_at_a_time(bound: Any) -> None:
    class Samples:
        shape, labelled = (1000, 500, 500), False

        def __len__(self) -> int:
            return 1000

    data = DataSet(Samples(), None, None, None)  # type: ignore[arg-type]
    bound(80 * MEGABYTE)
    assert data.batch == 10
    bound(10**10)
    assert data.batch == memory.MOST


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = memory.memory(tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.memory(tmp_path) == machine > MEGABYTE
    (tmp_path / "memory.max").write_text("64000000\n")
    assert memory.memory(tmp_path) == 64_000_000
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("32000000\n")
    assert memory.memory(tmp_path) == 32_000_000
    monkeypatch.setattr(memory, "memory", lambda: 32_000_000)
    assert memory.at_once(100_000) == 20


def test_a_graph_that_is_looked_at_holds_a_piece_at_a_time() -> None:
    model = wide(taps="all", optimise=False, apart=1.5 * MEGABYTE)
    seen: list[tuple[list[str], set[str]]] = []
    sample = SAMPLES[:1].astype(np.float32)
    made = model.look(sample, lambda nodes, values: seen.append(([n.op_type for n in nodes], set(values))), ["y"])
    assert seen == [(["Mul", "Add"], {"x", "m", "a"}), (["Transpose", "ReduceMax"], {"a", "t", "y"})]
    np.testing.assert_array_equal(made["y"], wide().run(sample)["y"])
