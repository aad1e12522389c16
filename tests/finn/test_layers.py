"""A layer that is laid in, under another name, is what FINN makes for that name: all operators, real FINN."""

from __future__ import annotations

import copy
import functools
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import layers as drawn
from finnyaml.finn.kernels.register import register
from finnyaml.finn.layer_code import FOLDER, each_layer
from finnyaml.store import Store
from finnyaml.worker.content import Places
from finnyaml.worker.context import Context, Keeping
from finnyaml.worker.job import Done
from finnyaml.worker.layers import Layers
from finnyaml.worker.sandbox import Sandbox
from tests.finn.two_layers import CLOCK_NS, PART, build_folder, dense, network, thresholds


class Bench:
    """One sandbox, in which FINN generates code."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store.open(root / "store")
        self.places = Places.of(root, {})
        self.sandbox = Sandbox(root, self.store, self.places)
        self.keeping = Keeping(self.store, self.places, "code", lambda reads, programs: True)

    def layers(self) -> Layers:
        context = Context("step_hw_codegen", {}, None, dict, Path, self.root, self.root, self.root / "kept", {}, {})
        return Layers(context, self.keeping)

    def make(self, model: Any, layers: Layers | None) -> dict[str, Any]:
        """The files that generating code leaves, and the attributes of the nodes."""
        from finn.transformation.fpgadataflow.prepare_ip import PrepareIP

        self.sandbox.checkout({}, {})
        if layers is None:
            model = model.transform(PrepareIP(PART, CLOCK_NS))
        else:
            with each_layer(layers.around) as known:
                assert known
                model = model.transform(PrepareIP(PART, CLOCK_NS))
        files, removed = self.sandbox.commit({})
        found: dict[str, Any] = dict(files)
        for node in model.graph.node:
            assert any(item.name == FOLDER for item in node.attribute), node.op_type
            found[node.name] = [item.SerializeToString(deterministic=True) for item in node.attribute]
        if layers is not None:
            layers.keep(Done("d", None, files, removed, (), {}, {}, (), 0.0, 0.0, 0))
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    register()
    root = tmp_path_factory.mktemp("layers")
    with build_folder(root / "build"):
        yield Bench(root)


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are named as a worker lets FINN name them."""

    def mkdtemp(suffix: str = "", prefix: str = "", dir: str | Path = "") -> str:
        path = Path(dir, f"{prefix}0{suffix}")
        path.mkdir()
        return str(path)

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)


@functools.cache
def models() -> dict[str, Any]:
    """For each operator of the costs of layers, the first layer that is drawn."""
    found: dict[str, Any] = {}
    for number, each in enumerate(drawn.every()):
        found.setdefault(" ".join(op_type for op_type, *_ in each.nodes), (each, number))
    return found


def renamed(model: Any, more: int) -> Any:
    """The same layers under other names, as FINN gives them, between tensors whose names are not words of any file."""
    other = copy.deepcopy(model)
    for name in other.get_all_tensor_names():
        other.rename_tensor(name, f"tensor_{name}")
    for node in other.graph.node:
        node.name = f"{node.op_type}_{more + int(node.name.rpartition('_')[2])}"
    return other


def check(bench: Bench, model: Any) -> None:
    one, other = renamed(model, 0), renamed(model, 117)
    first, then = bench.layers(), bench.layers()
    alone = [bench.make(each, None) for each in (one, other)]
    assert bench.make(one, first) == alone[0]
    assert bench.make(other, then) == alone[1]
    assert (then.there, then.made) == (len(model.graph.node), 0)


@pytest.mark.parametrize("op_types", models())
def test_rtl_layers_under_another_name(bench: Bench, op_types: str) -> None:
    check(bench, drawn._model(*models()[op_types]))


@pytest.mark.parametrize("style", ["hls", "rtl"])
def test_a_dense_layer_and_its_thresholds(bench: Bench, style: str) -> None:
    check(bench, network([dense(style), thresholds()]))


WAYS: dict[str, Callable[[Any], object]] = {
    "graph": lambda model: model.graph,
    "producer": lambda model: model.find_producer("tensor_sums"),
    "other tensor": lambda model: model.get_initializer("tensor_levels"),
    "change": lambda model: model.set_tensor_datatype("tensor_weights", model.get_tensor_datatype("tensor_weights")),
    "random": lambda model: random.random(),
    "numpy": lambda model: np.random.rand(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_layer_whose_code_depends_on_more_is_made_each_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    from finn.transformation.fpgadataflow import prepare_ip

    single = prepare_ip._codegen_single_node

    def greedy(node: Any, model: Any, *arguments: Any) -> None:
        single(node, model, *arguments)
        if node.op_type == "MVAU_rtl":
            WAYS[way](model)

    monkeypatch.setattr(prepare_ip, "_codegen_single_node", greedy)
    bench.keeping = replace(bench.keeping, basis=way)
    model = renamed(network([dense(), thresholds()]), 0)
    bench.make(model, bench.layers())
    again = bench.layers()
    bench.make(model, again)
    assert (again.there, again.made) == (1, 1)
