"""Layers are made once, by what they are: with a stand-in for FINN that writes what a layer is into its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.finn.layer_code import FOLDER, Work, text_of
from finnyaml.store import Store
from finnyaml.worker.content import Places
from finnyaml.worker.context import Context, Keeping
from finnyaml.worker.job import Done
from finnyaml.worker.layers import Layers
from finnyaml.worker.sandbox import Sandbox

SETTINGS: Mapping[str, Any] = {"fpgapart": "xc7z020clg400-1", "clk": 10.0}


def network(
    *names: str, weight: float = 1.0, rows: int = 4, vectors: int = 1, datatype: str = "INT4", **attributes: Any
) -> ModelWrapper:
    """Equal layers in a row, each with weights of its own that are equal too."""
    attributes = {"PE": 2, "SIMD": 2, "ram_style": "auto", "backend": "fpgadataflow", **attributes}
    nodes = [
        helper.make_node(
            "MVAU_hls",
            [f"t{at}", f"{name}_w"],
            [f"t{at + 1}"],
            name=name,
            domain="finn.custom_op.fpgadataflow.hls",
            **attributes,
        )
        for at, name in enumerate(names)
    ]
    ends = [helper.make_tensor_value_info(f"t{at}", TensorProto.FLOAT, [vectors, rows]) for at in (0, len(names))]
    model = ModelWrapper(helper.make_model(helper.make_graph(nodes, "layers", ends[:1], ends[1:])))
    for at in range(len(names) + 1):
        model.set_tensor_shape(f"t{at}", [vectors, rows])
        model.set_tensor_datatype(f"t{at}", DataType[datatype])
    for name in names:
        model.set_initializer(f"{name}_w", np.full((rows, rows), weight, np.float32))
    return model


def written(node: Any, folder: Path) -> dict[str, bytes]:
    """What the stand-in writes for a layer: its name in file names and texts, and its folder."""
    pe = next(item.i for item in node.attribute if item.name == "PE")
    return {
        f"top_{node.name}.cpp": f"void {node.name}() {{ /* PE {pe} */ }}\n".encode(),
        f"hls_syn_{node.name}.tcl": f"set top {node.name}\nadd_files {folder}/top_{node.name}.cpp\n".encode(),
    }


@dataclass
class Bench:
    """A store, and sandboxes in which a step makes layers."""

    folder: Path
    write: Callable[[Any, Path], Mapping[str, bytes]] = written
    env: dict[str, str | None] = field(default_factory=dict)
    reads: dict[str, Any] = field(default_factory=dict)
    curious: set[str] = field(default_factory=set)
    basis: str = "code"

    def __post_init__(self) -> None:
        self.store = Store.open(self.folder / "store")
        self.made: list[str] = []
        self.sandboxes = 0

    def step(self, model: ModelWrapper, **settings: Any) -> tuple[int, int]:
        """Run it; how many layers were there, and how many were made. Files are in `files` then."""
        self.sandboxes += 1
        root = self.folder / f"sandbox{self.sandboxes}"
        sandbox = Sandbox(root, self.store, Places.of(root, {}))
        sandbox.checkout({}, {})
        keeping = Keeping(
            self.store, Places.of(root, {}), self.basis, lambda reads, programs: reads.get("env", {}) == self.env
        )
        context = Context(
            "step_hw_codegen", {}, None, dict, Path, root, root, self.folder / "store/cache", {}, {}, keeping
        )
        layers = Layers(context, keeping)
        work = Work(
            "code", {**SETTINGS, **settings}, model, [node for node in model.graph.node if not text_of(node, FOLDER)]
        )

        def own() -> ModelWrapper:
            for node in model.graph.node:
                if not text_of(node, FOLDER):
                    self._make(node, root)
            work.curious = self.curious
            return model

        layers.around(work, own)
        files, removed = sandbox.commit({})
        reads = {**self.reads, "env": self.env}
        done = Done("d", None, files, removed, (), reads, {}, (), 0.0, 0.0, 0)
        layers.keep(done)
        self.files = {
            str(path.relative_to(root)): path.read_bytes().replace(str(root).encode(), b"ROOT")
            for path in (root / "build").rglob("*")
            if path.is_file()
        }
        self.attributes = {
            node.name: [
                (item.name, helper.get_attribute_value(item))
                if item.s == b""
                else (item.name, item.s.replace(str(root).encode(), b"ROOT"))
                for item in node.attribute
            ]
            for node in model.graph.node
        }
        return layers.there, layers.made

    def _make(self, node: Any, root: Path) -> None:
        self.made.append(node.name)
        folder = root / "build" / f"code_gen_ipgen_{node.name}_0"
        folder.mkdir(parents=True)
        node.attribute.append(helper.make_attribute(FOLDER, str(folder)))
        node.attribute.append(helper.make_attribute("gen_top_module", node.name))
        node.attribute.append(helper.make_attribute("depth", 7))
        for name, data in self.write(node, folder).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are named as a worker lets FINN name them."""

    def mkdtemp(prefix: str, dir: Path) -> str:
        path = dir / f"{prefix}0"
        path.mkdir()
        return str(path)

    monkeypatch.setattr("finnyaml.worker.layers.tempfile.mkdtemp", mkdtemp)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_layer_that_was_made_is_laid_in_as_it_was(bench: Bench) -> None:
    assert bench.step(network("MVAU_hls_0")) == (0, 1)
    files, attributes = bench.files, bench.attributes
    assert bench.step(network("MVAU_hls_0")) == (1, 0)
    assert (bench.files, bench.attributes) == (files, attributes)
    assert bench.made == ["MVAU_hls_0"]


def test_under_another_name_it_is_what_would_have_been_made_for_that(bench: Bench, tmp_path: Path) -> None:
    bench.step(network("MVAU_hls_0"))
    assert bench.step(network("MVAU_hls_12", "MVAU_hls_3")) == (2, 0)
    anew = Bench(tmp_path / "another")
    assert anew.step(network("MVAU_hls_12", "MVAU_hls_3")) == (0, 2)
    assert (bench.files, bench.attributes) == (anew.files, anew.attributes)


def test_a_changed_layer_is_the_only_one_that_is_made(bench: Bench) -> None:
    bench.step(network("MVAU_hls_0", "MVAU_hls_1"))
    changed = network("MVAU_hls_0", "MVAU_hls_1")
    next(item for item in changed.graph.node[1].attribute if item.name == "PE").i = 4
    assert bench.step(changed) == (1, 1)
    assert bench.made[2:] == ["MVAU_hls_1"]


@pytest.mark.parametrize(
    "change",
    [
        {"PE": 4},
        {"SIMD": 4},
        {"ram_style": "block"},
        {"backend": "other"},
        {"new": 1},
        {"floats": [1.5]},
        {"weight": 2.0},
        {"rows": 8},
        {"vectors": 2},
        {"datatype": "INT5"},
    ],
    ids=str,
)
def test_whatever_a_layer_is_counts(bench: Bench, change: dict[str, Any]) -> None:
    bench.step(network("MVAU_hls_0"))
    assert bench.step(network("MVAU_hls_0", **change)) == (0, 1)


@pytest.mark.parametrize("change", [{"fpgapart": "xczu3eg-sbva484-1-e"}, {"clk": 5.0}, {"more": "x"}], ids=str)
def test_so_do_part_and_clock(bench: Bench, change: dict[str, Any]) -> None:
    bench.step(network("MVAU_hls_0"))
    assert bench.step(network("MVAU_hls_0"), **change) == (0, 1)


def test_so_do_code_and_tools(bench: Bench) -> None:
    bench.step(network("MVAU_hls_0"))
    bench.basis = "other code"
    assert bench.step(network("MVAU_hls_0")) == (0, 1)


def test_so_do_variables_that_were_read(bench: Bench) -> None:
    bench.env = {"FINN_X": "1"}
    bench.step(network("MVAU_hls_0"))
    assert bench.step(network("MVAU_hls_0")) == (1, 0)
    bench.env = {"FINN_X": "2"}
    assert bench.step(network("MVAU_hls_0")) == (0, 1)


def test_so_does_the_operator(bench: Bench) -> None:
    bench.step(network("MVAU_hls_0"))
    other = network("MVAU_hls_0")
    other.graph.node[0].op_type = "VVAU_hls"
    assert bench.step(other) == (0, 1)


def test_names_of_tensors_do_not_count(bench: Bench) -> None:
    bench.step(network("MVAU_hls_0"))
    other = network("MVAU_hls_0")
    other.rename_tensor("t0", "global_in")
    assert bench.step(other) == (1, 0)


MORE = {
    **dict.fromkeys(("text", "link", "dir", "environment", "module", "looks", "package"), "x"),
    "tree": "build/other/x",
    "file": "@inputs/x",
    "stat": "@tree/build/other",
}


@pytest.mark.parametrize("kind", MORE)
def test_a_step_that_read_what_cannot_be_taken_over_keeps_none(bench: Bench, kind: str) -> None:
    bench.reads = {kind: {MORE[kind]: "y"}}
    bench.step(network("MVAU_hls_0"))
    bench.reads = {}
    assert bench.step(network("MVAU_hls_0")) == (0, 1)


def test_a_layer_that_asks_for_its_neighbours_is_not_kept(bench: Bench) -> None:
    bench.curious = {"MVAU_hls_0"}
    bench.step(network("MVAU_hls_0"))
    bench.curious = set()
    assert bench.step(network("MVAU_hls_0")) == (0, 1)
    assert bench.step(network("MVAU_hls_0")) == (1, 0)


def test_a_layer_whose_tensors_are_named_in_it_is_not_kept(bench: Bench) -> None:
    bench.write = lambda node, folder: {"top.v": f"// {node.input[0]}".encode()}
    bench.step(network("MVAU_hls_0"))
    assert bench.step(network("MVAU_hls_0")) == (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        b"x\0y",
        b"\x93NUMPY\0 MVAU_hls_0",
        b"xMVAU_hls_0",
        b"MVAU_hls_01",
        b"mvau_hls_0",
        b"MVAU_HLS_0",
        b"xcode_gen_ipgen_MVAU_hls_0_0",
    ],
    ids=repr,
)
def test_where_the_name_cannot_be_told_it_counts(bench: Bench, text: bytes) -> None:
    bench.write = lambda node, folder: {"top.v": text}
    bench.step(network("MVAU_hls_0"))
    assert bench.step(network("MVAU_hls_0")) == (1, 0)
    assert bench.step(network("MVAU_hls_1")) == (0, 1)


def test_an_array_is_the_same_under_all_names(bench: Bench) -> None:
    bench.write = lambda node, folder: {"weights.npy": b"\x93NUMPY\0\0\1\2"}
    bench.step(network("MVAU_hls_0"))
    assert bench.step(network("MVAU_hls_1")) == (1, 0)


@pytest.mark.parametrize("name", ["top", "PE", "auto", "layer", "2"])
def test_a_name_that_may_be_a_word_counts(bench: Bench, name: str) -> None:
    bench.step(network(name))
    assert bench.step(network("MVAU_hls_1")) == (0, 1)
    assert bench.step(network(name)) == (1, 0)


def test_a_layer_with_a_graph_inside_is_finns_own_matter(bench: Bench) -> None:
    def looped() -> ModelWrapper:
        model = network("MVAU_hls_0")
        body = helper.make_graph([], "body", [], [])
        model.graph.node[0].attribute.append(helper.make_attribute("body", body))
        return model

    bench.step(looped())
    assert bench.step(looped()) == (0, 1)


def test_two_layers_of_one_name_are_both_made(bench: Bench) -> None:
    bench.step(network("MVAU_hls_0"))
    model = network("MVAU_hls_0", "MVAU_hls_1")
    model.graph.node[1].name = "MVAU_hls_0"
    for node in model.graph.node:
        node.attribute.append(helper.make_attribute(FOLDER, ""))
    bench._make = lambda node, root: node.attribute.pop()  # type: ignore[method-assign]
    assert bench.step(model) == (0, 2)


def _records(bench: Bench) -> list[Path]:
    return list((bench.folder / "store/cache/layers").iterdir())


def test_a_damaged_record_is_no_record(bench: Bench) -> None:
    bench.step(network("MVAU_hls_0"))
    (record,) = _records(bench)
    record.write_bytes(record.read_bytes().replace(b"MVAU", b"MVAV"))
    assert bench.step(network("MVAU_hls_0")) == (0, 1)
    assert bench.step(network("MVAU_hls_0")) == (1, 0)


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_a_layer_whose_files_are_damaged_is_made_anew(bench: Bench, harm: str) -> None:
    bench.step(network("MVAU_hls_0"))
    files = bench.files
    (record,) = _records(bench)
    entries = json.loads(record.read_bytes().partition(b"\n")[2])["data"]["files"].values()
    for entry in list(entries)[-1:]:
        blob = bench.folder / "store/objects" / entry["blob"][:2] / entry["blob"]
        blob.chmod(0o644)
        blob.unlink() if harm == "gone" else blob.write_bytes(b"other")
    assert bench.step(network("MVAU_hls_0")) == (0, 1)
    assert bench.files == files
    assert bench.step(network("MVAU_hls_0")) == (1, 0)


def test_nothing_is_kept_of_a_step_that_wrote_beside_its_layers(bench: Bench) -> None:
    bench.write = lambda node, folder: {"a.v": b"a", "../shared/b.v": b"b"}
    bench.step(network("MVAU_hls_0"))
    assert bench.step(network("MVAU_hls_0")) == (0, 1)
