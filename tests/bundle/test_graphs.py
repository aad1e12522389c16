"""Graphs of a bundle: of numpy, of onnxruntime in one or several pieces, with weights that are set later."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from finnyaml.accelerator import AcceleratorError, Bundle
from finnyaml.accelerator.devices.weights import external_weights, runtime_weights
from finnyaml.accelerator.graphs import Sessions, open_graph, values_at
from finnyaml.accelerator.numbers.datatypes import parse
from tests.bundle.sample import LAYER, WEIGHT_FILE, sample_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sample_bundle(tmp_path / "sample", weights=True)


@pytest.fixture
def bundle(folder: Path) -> Bundle:
    return Bundle.load(folder)


@pytest.fixture
def golden(bundle: Bundle) -> dict[str, np.ndarray]:
    return bundle.arrays("golden/samples.npz")


def test_nothing_to_do(bundle: Bundle) -> None:
    values = np.arange(3, dtype=np.uint8)
    assert open_graph({"kind": "none"}, bundle)(values) is values


def test_hardware_layers_that_have_no_graph(bundle: Bundle) -> None:
    with pytest.raises(AcceleratorError, match="not supported: this bundle cannot be emulated: no form for Shuffle"):
        open_graph({"kind": "missing", "why": "no form for Shuffle"}, bundle)


def test_an_unknown_kind(bundle: Bundle) -> None:
    with pytest.raises(AcceleratorError, match=r"not supported: .*'tensorrt'"):
        open_graph({"kind": "tensorrt"}, bundle)


@pytest.mark.parametrize("optimise", [True, False])
def test_weights_are_zero_bits_until_they_are_set(
    bundle: Bundle, golden: dict[str, np.ndarray], optimise: bool
) -> None:
    spec = bundle.data["contract"]["hardware"]
    spec["segments"][0]["optimise"] = optimise
    graph = open_graph(spec, bundle)
    assert isinstance(graph, Sessions) and graph.layers == {LAYER}
    values = golden["accelerator_inputs"]
    np.testing.assert_array_equal(graph(values), golden["without_weights"])
    ((entry, words),) = runtime_weights(bundle)
    graph.set_weights(entry["layer"], words.tobytes())
    for count in (64, 5, 1):
        result = graph(values[:count])
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, golden["accelerator_outputs"][:count])
    assert external_weights(bundle) == []


def test_one_bit_is_one_weight(bundle: Bundle) -> None:
    """Bit 3 of the nibble at a position is the sign of that INT4."""
    graph = open_graph(bundle.data["contract"]["hardware"], bundle)
    assert isinstance(graph, Sessions)
    ((_, words),) = runtime_weights(bundle)
    position = int(bundle.arrays("graphs/weights.npz")[LAYER][5, 2])
    weights = []
    for flipped in (0, 1 << 3):
        changed = words.copy()
        changed[position // 32] ^= np.uint32(flipped << (position % 32))
        graph.set_weights(LAYER, changed.tobytes())
        weights.append(graph._values["weights"])
    difference = weights[1] - weights[0]
    assert abs(difference[5, 2]) == 8 and np.count_nonzero(difference) == 1


def test_values_are_where_their_positions_say() -> None:
    bits = np.unpackbits(np.array([0b1011_0110, 0b0000_0001], np.uint8), bitorder="little")
    positions = np.array([[0, 4], [7, 2]])
    np.testing.assert_array_equal(values_at(positions, bits, parse("INT3")), [[-2, 3], [3, -3]])
    np.testing.assert_array_equal(values_at(positions, bits, parse("BIPOLAR")), [[-1, 1], [1, 1]])
    with pytest.raises(AcceleratorError, match="not a TERNARY value"):
        values_at(np.array([3]), bits, parse("TERNARY"))


def test_weights_that_are_no_values_are_damaged(bundle: Bundle) -> None:
    spec = bundle.data["contract"]["hardware"]
    spec["weights"][0]["datatype"] = "TERNARY"
    graph = open_graph(spec, bundle)
    assert isinstance(graph, Sessions)
    with pytest.raises(AcceleratorError, match=f"weights damaged: {WEIGHT_FILE}: the bits 10 are not a TERNARY value"):
        graph.set_weights(LAYER, b"\xaa" * 400)


def test_too_few_weights(bundle: Bundle) -> None:
    graph = open_graph(bundle.data["contract"]["hardware"], bundle)
    assert isinstance(graph, Sessions)
    with pytest.raises(
        AcceleratorError, match=f"weights damaged: {WEIGHT_FILE} has 4 bytes of weights, {LAYER} needs 216"
    ):
        graph.set_weights(LAYER, b"\0" * 4)
    with pytest.raises(ValueError, match=f"no layer MVAU_hls_9 .* there is: {LAYER}"):
        graph.set_weights("MVAU_hls_9", b"")


def test_pieces_run_one_after_the_other(bundle: Bundle) -> None:
    """The second takes what the first made and what the first was given."""

    def save(name: str, op: str, inputs: list[str], output: str, constant: float) -> dict[str, object]:
        graph = helper.make_graph(
            [helper.make_node("Add", [inputs[0], "c"], ["sum"]), helper.make_node(op, ["sum", inputs[-1]], [output])],
            name,
            [helper.make_tensor_value_info(i, TensorProto.FLOAT, ["n", 2]) for i in dict.fromkeys(inputs)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 2])],
            [numpy_helper.from_array(np.float32(constant), "c")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
        onnx.save(model, str(bundle.folder / f"graphs/{name}.onnx"))
        return {
            "file": f"graphs/{name}.onnx",
            "optimise": True,
            "without": [],
            "one_by_one": False,
            "inputs": list(dict.fromkeys(inputs)),
            "outputs": [output],
        }

    segments = [save("one", "Mul", ["x"], "y", 1), save("two", "Sub", ["y", "x"], "z", 10)]
    graph = open_graph(
        {"kind": "onnxruntime", "input": "x", "output": "z", "segments": segments, "weights": []}, bundle
    )
    x = np.array([[1, 2], [3, 4], [5, 6]], np.uint8)
    np.testing.assert_array_equal(graph(x), (x + 1.0) * x + 10 - x)


def test_a_damaged_graph(bundle: Bundle) -> None:
    path = bundle.folder / "graphs/hardware.onnx"
    for data in (path.read_bytes()[:-40], b""):
        path.write_bytes(data)
        with pytest.raises(AcceleratorError, match=r"bundle damaged: onnxruntime .* cannot open graphs/hardware.onnx"):
            open_graph(bundle.data["contract"]["hardware"], bundle)


@pytest.mark.parametrize("field", ["ir_version", "opset"])
def test_an_old_onnxruntime_is_not_a_damaged_bundle(bundle: Bundle, field: str) -> None:
    """Ours is old where the graph is of a version that does not exist yet."""
    path = bundle.folder / "graphs/hardware.onnx"
    model = onnx.load(path)
    if field == "opset":
        model.opset_import[0].version = 99
    else:
        model.ir_version = 99
    path.write_bytes(model.SerializeToString())
    with pytest.raises(AcceleratorError, match=r"is too old for graphs/hardware.onnx") as raised:
        open_graph(bundle.data["contract"]["hardware"], bundle)
    assert raised.value.name == "package missing" and "1.17 or later" in str(raised.value.hint)


def test_without_onnxruntime(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        AcceleratorError, match=r"package missing: graphs/hardware.onnx .* onnxruntime, which is not installed"
    ):
        open_graph(bundle.data["contract"]["hardware"], bundle)
    open_graph(bundle.data["contract"]["head"], bundle)


def test_a_weight_file_that_is_missing(bundle: Bundle) -> None:
    (bundle.folder / WEIGHT_FILE).unlink()
    with pytest.raises(AcceleratorError, match=f"weights not loaded: there is no {WEIGHT_FILE}"):
        runtime_weights(bundle)


@pytest.mark.parametrize("word", ["0000000g", "123456789", "-1", "0x_1", "é"])
def test_a_word_that_is_none(bundle: Bundle, word: str) -> None:
    path = bundle.folder / WEIGHT_FILE
    lines = path.read_text().split()
    lines[6] = word
    path.write_text("\n".join(lines), encoding="latin-1")
    with pytest.raises(AcceleratorError, match=r"weights damaged: .* word 7 is '.*', not 32 bits in hexadecimal"):
        runtime_weights(bundle)


def test_another_number_of_words(bundle: Bundle) -> None:
    path = bundle.folder / WEIGHT_FILE
    lines = path.read_text().splitlines(keepends=True)
    for text in ("".join(lines[:-1]), "".join([*lines, lines[0]]), ""):
        path.write_text(text)
        with pytest.raises(AcceleratorError, match=r"weights damaged: .* bytes, 486 when the bundle was made"):
            runtime_weights(bundle)


def test_other_weights_of_the_same_number_are_welcome(bundle: Bundle) -> None:
    path = bundle.folder / WEIGHT_FILE
    path.write_text("deadbeef\n" * 54)
    assert runtime_weights(bundle)[0][1].tolist() == [0xDEADBEEF] * 54


def test_external_weights_are_bytes(bundle: Bundle) -> None:
    entry = {"file": "driver/runtime_weights/idma1.npy", "dma": "idma1", "repeats": 1, "layer": "MVAU_hls_1"}
    bundle.data["driver"]["external_weights"] = [entry]
    path = bundle.folder / entry["file"]
    with pytest.raises(AcceleratorError, match=r"weights not loaded: there is no driver/runtime_weights/idma1\.npy"):
        external_weights(bundle)
    np.save(path, np.arange(6, dtype=np.uint8).reshape(2, 3))
    ((found, array),) = external_weights(bundle)
    assert found == entry and array.tobytes() == bytes(range(6))
    for damaged in (path.read_bytes()[:-2], path.read_bytes()[:5], b""):
        path.write_bytes(damaged)
        with pytest.raises(AcceleratorError, match="weights damaged"):
            external_weights(bundle)
    for array in (np.zeros(3), np.array([None])):
        np.save(path, array)
        with pytest.raises(AcceleratorError, match="weights damaged"):
            external_weights(bundle)
