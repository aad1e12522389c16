"""Weights that a driver writes: files as FINN makes them, found in the graph again, bit for bit."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import gen_finn_dt_tensor

from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.graphs import Sessions, open_graph, values_at
from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.bundle.weight_positions import probed, quickly, stored, words
from finnyaml.errors import StepFailed
from finnyaml.finn import partitions
from finnyaml.recipe.model import InputSpec
from finnyaml.verify.executor import BatchedModel
from tests.bundle.accelerators import HARDWARE, LAST, bytes_of, data, external, golden, node, writeable, written
from tests.bundle.conftest import Built

SPEC = InputSpec(None, "UINT8", "NCHW")
LAYERS = ("MVAU_hls_0", "Thresholding_rtl_1", "MVAU_hls_4")


def raw(bundle: Bundle, file: str) -> bytes:
    read = words if file.endswith(".dat") else stored
    return np.packbits(read(bundle.path(file).read_bytes()), bitorder="little").tobytes()


def hardware(bundle: Bundle) -> Sessions:
    """The hardware graph with the weights of the bundle's files."""
    opened = open_graph(bundle.data["contract"]["hardware"], bundle)
    assert isinstance(opened, Sessions)
    for entry in (*bundle.data["driver"]["runtime_weights"], *bundle.data["driver"]["external_weights"]):
        opened.set_weights(entry["layer"], raw(bundle, entry["file"]))
    return opened


def finns_files(model: ModelWrapper, folder: Path) -> dict[str, bytes]:
    """What FINN's own driver generator writes for the partitions that its synthesis would make."""
    from finn.transformation.fpgadataflow.make_driver import MakePYNQDriver

    made = partitions.partitioned(model, folder / "partitions")
    for name, dma in partitions.dma_names(made).items():
        getCustomOp(next(n for n in made.graph.node if n.name == name)).set_nodeattr("instance_name", dma)
    made.set_metadata_prop("pynq_driver_dir", str(folder))
    MakePYNQDriver("zynq-iodma", "FINNDMAOverlay")._generate_weight_files(made)
    return {path.name: path.read_bytes() for path in (folder / "runtime_weights").iterdir()}


@pytest.fixture(scope="module")
def loaded(built_network: Built, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelWrapper, Bundle]:
    """digits-cnv with two kinds of layers that are written over AXI-lite, and one that streams its weights."""
    stages = built_network("digits-cnv")
    model = external(writeable(stages[LAST], *LAYERS), "MVAU_hls_2")
    folder = tmp_path_factory.mktemp("loaded")
    return model, written(folder, model, stages["dataflow_parent"], data(bytes_of((1, 14, 14))), spec=SPEC)


def test_files_and_numbers_are_those_of_finns_driver_generator(
    loaded: tuple[ModelWrapper, Bundle], tmp_path: Path
) -> None:
    model, bundle = loaded
    driver = bundle.data["driver"]
    finns = {name.split("_MVAU")[0].split("_Thr")[0]: content for name, content in finns_files(model, tmp_path).items()}
    ours = {}
    for entry in driver["runtime_weights"]:
        number = f"{entry['ip'].rpartition('_')[2]}_{entry['layer_index']}"
        ours[number] = bundle.path(entry["file"]).read_bytes()
        assert entry["file"] == f"driver/runtime_weights/{number}_{entry['layer']}.dat"
        assert entry["ip"].startswith("StreamingDataflowPartition_")
    for entry in driver["external_weights"]:
        ours[f"{entry['dma']}.npy"] = bundle.path(entry["file"]).read_bytes()
    assert ours == finns
    assert [entry["layer"] for entry in driver["runtime_weights"]] == list(LAYERS)
    assert [(e["dma"], e["layer"]) for e in driver["external_weights"]] == [("idma0", "MVAU_hls_2")]
    # the engine for the weights takes the first name, as in FINN
    assert [port["name"] for port in bundle.data["contract"]["accelerator"]["inputs"]] == ["idma1"]
    shape = model.get_tensor_shape(next(n.output[0] for n in model.graph.node if n.name == "MVAU_hls_2"))
    assert driver["external_weights"][0]["repeats"] == shape[1] * shape[2]


def test_with_its_weights_it_computes_the_build_and_without_something_else(loaded: tuple[ModelWrapper, Bundle]) -> None:
    _, bundle = loaded
    found = golden(bundle)
    np.testing.assert_array_equal(hardware(bundle)(found["accelerator_inputs"]), found["accelerator_outputs"])
    silent = open_graph(bundle.data["contract"]["hardware"], bundle)
    np.testing.assert_array_equal(silent(found["accelerator_inputs"]), found["without_weights"])
    assert not np.array_equal(found["without_weights"], found["accelerator_outputs"])


@pytest.mark.parametrize("layer", [*LAYERS, "MVAU_hls_2"])
def test_other_weights_do_what_a_build_with_them_would(
    layer: str, loaded: tuple[ModelWrapper, Bundle], tmp_path: Path
) -> None:
    """FINN writes the file of the other weights, too."""
    model, bundle = loaded
    other = copy.deepcopy(model)
    tensor = next(n.input[1] for n in other.graph.node if n.name == layer)
    values = other.get_initializer(tensor)
    changed = values.copy()
    if layer.startswith("MVAU"):
        changed = np.random.default_rng(0).permutation(values.reshape(-1)).reshape(values.shape)
    else:
        changed[: len(changed) // 2] -= 1
    other.set_initializer(tensor, changed)
    entries = [*bundle.data["driver"]["runtime_weights"], *bundle.data["driver"]["external_weights"]]
    entry = next(entry for entry in entries if entry["layer"] == layer)
    prefix = f"{entry['ip'].rpartition('_')[2]}_" if "ip" in entry else entry["dma"]
    files = finns_files(other, tmp_path)
    content = next(content for name, content in files.items() if name.startswith(prefix))
    read = words if "ip" in entry else stored
    emulated = hardware(bundle)
    emulated.set_weights(layer, np.packbits(read(content), bitorder="little").tobytes())
    executed = BatchedModel(other)
    inputs = bytes_of((14, 14, 1), 60)
    expected = executed.run(inputs)[executed.outputs[0]]
    np.testing.assert_array_equal(emulated(inputs), expected)
    assert not np.array_equal(expected, hardware(bundle)(inputs))


def test_one_flipped_bit_is_one_other_weight(loaded: tuple[ModelWrapper, Bundle]) -> None:
    _, bundle = loaded
    with np.load(bundle.path("graphs/weights.npz"), allow_pickle=False) as arrays:
        positions = {name: arrays[name] for name in arrays.files}
    assert set(positions) == {*LAYERS, "MVAU_hls_2"}
    for weight in bundle.data["contract"]["hardware"]["weights"]:
        bits = np.unpackbits(np.frombuffer(raw(bundle, weight["file"]), np.uint8), bitorder="little")
        place = positions[weight["layer"]]
        datatype = parse(weight["datatype"])
        before = values_at(place, bits, datatype)
        flipped = bits.copy()
        flipped[place.reshape(-1)[-1]] ^= 1
        if datatype.kind == "ternary" and before.reshape(-1)[-1] != 0:  # the highest bit alone is not a TERNARY value
            flipped[place.reshape(-1)[-1] + 1] ^= 1
        after = values_at(place, flipped, datatype)
        assert np.flatnonzero((before != after).reshape(-1)).tolist() == [before.size - 1]


def test_files_of_finns_driver_are_taken_as_they_are(built_network: Built, tmp_path: Path) -> None:
    stages = built_network("digits-cnv")
    model = writeable(stages[LAST], "MVAU_hls_0")
    samples = data(bytes_of((1, 14, 14)))
    driver = tmp_path / "driver"
    finns = finns_files(model, driver)
    (name,) = finns
    bundle = written(tmp_path / "a", model, stages["dataflow_parent"], samples, spec=SPEC, driver_folder=driver)
    assert bundle.data["driver"]["runtime_weights"][0]["file"] == f"driver/runtime_weights/{name}"
    assert not list((tmp_path / "a/driver/runtime_weights").iterdir())
    lines = finns[name].decode().split()
    lines[0] = f"{int(lines[0], 16) ^ 1:08x}"
    (driver / "runtime_weights" / name).write_text("\n".join(lines) + "\n")
    with pytest.raises(StepFailed, match=f"{name} does not hold the weights of MVAU_hls_0") as error:
        written(tmp_path / "b", model, stages["dataflow_parent"], samples, spec=SPEC, driver_folder=driver)
    assert "another build" in str(error.value.hint)


def test_after_synthesis_the_partitions_are_taken_as_they_are(built_network: Built, tmp_path: Path) -> None:
    """The graph that FINN's synthesis leaves: kernels with DMA engines, in files of their own."""
    stages = built_network("digits-cnv")
    model = external(writeable(stages[LAST], "Thresholding_rtl_1"), "MVAU_hls_2")
    samples = data(bytes_of((1, 14, 14)))
    before = written(tmp_path / "before", model, stages["dataflow_parent"], samples, spec=SPEC)
    made = partitions.partitioned(model, tmp_path / "kernels")
    after = written(tmp_path / "after", made, stages["dataflow_parent"], samples, spec=SPEC)
    contracts = [bundle.data["contract"] for bundle in (before, after)]
    assert contracts[0]["accelerator"] == contracts[1]["accelerator"]
    assert contracts[0]["inside"] == contracts[1]["inside"]
    found = [golden(bundle) for bundle in (before, after)]
    for name, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][name], err_msg=name)
    numbers = [
        [(e["ip"], e["layer_index"]) for e in bundle.data["driver"]["runtime_weights"]] for bundle in (before, after)
    ]
    assert numbers[0] == numbers[1]


def unit(datatype: str, folding: tuple[int, int], op_type: str = "MVAU_hls") -> tuple[object, np.ndarray]:
    """FINN's object of a layer of 6 x 8 weights, and weights for it. folding: PE, SIMD."""
    attributes = {"MW": 8, "MH": 6, "PE": folding[0], "SIMD": folding[1], "weightDataType": datatype}
    attributes |= {"inputDataType": "INT4", "outputDataType": "INT32", "noActivation": 1, "numInputVectors": [1]}
    made = node(
        op_type,
        ["x", "w"],
        ["y"],
        domain=f"{HARDWARE}.{op_type[-3:]}",
        backend="fpgadataflow",
        mem_mode="internal_decoupled",
        runtime_writeable_weights=1,
        **attributes,
    )
    return getCustomOp(made), np.asarray(gen_finn_dt_tensor(DataType[datatype], (8, 6)), np.float32)


def thresholds(backend: str, datatype: str, pe: int, channels: int = 4) -> tuple[object, np.ndarray]:
    """FINN's object of a Thresholding layer of 4 channels and 3 steps, and thresholds for it."""
    made = node(
        f"Thresholding_{backend}",
        ["x", "t"],
        ["y"],
        domain=f"{HARDWARE}.{backend}",
        backend="fpgadataflow",
        NumChannels=4,
        PE=pe,
        numSteps=3,
        inputDataType=datatype,
        weightDataType=datatype,
        outputDataType="UINT2",
        numInputVectors=[1],
        runtime_writeable_weights=1,
    )
    values = np.asarray(gen_finn_dt_tensor(DataType[datatype], (channels, 3)), np.float32)
    return getCustomOp(made), np.sort(values, axis=1)


CASES = {
    **{
        f"{datatype} {pe}x{simd} {op_type}": unit(datatype, (pe, simd), op_type)
        for datatype in ("BIPOLAR", "BINARY", "TERNARY", "INT3", "UINT5", "INT8", "FIXED<7,3>")
        for pe, simd in ((1, 1), (3, 2), (6, 8))
        for op_type in ("MVAU_hls", "MVAU_rtl")
    },
    **{
        f"{backend} thresholds {datatype} {pe}": thresholds(backend, datatype, pe)
        for backend in ("hls", "rtl")
        for datatype in ("INT9", "UINT8", "INT24")
        for pe in (1, 2, 4)
    },
    "hls thresholds FLOAT32": thresholds("hls", "FLOAT32", 2),
    "rtl thresholds for all channels": thresholds("rtl", "INT9", 2, channels=1),
}


@pytest.mark.parametrize("case", CASES)
def test_every_weight_is_found_in_what_finn_writes(case: str, tmp_path: Path) -> None:
    layer, values = CASES[case]
    datatype = parse(layer.get_input_datatype(1).name)  # type: ignore[attr-defined]

    def encode(tensor: np.ndarray) -> np.ndarray:
        layer.make_weight_file(tensor, "decoupled_runtime", str(tmp_path / "w.dat"))  # type: ignore[attr-defined]
        return words((tmp_path / "w.dat").read_bytes())

    with quickly():
        positions = probed(encode, values.shape, datatype)
    assert positions is not None and len(np.unique(positions)) == values.size
    np.testing.assert_array_equal(positions, probed(encode, values.shape, datatype))  # by FINN alone it is the same
    np.testing.assert_array_equal(values_at(positions, encode(values), datatype), values)


def test_a_file_that_lacks_weights_has_no_positions() -> None:
    def encode(tensor: np.ndarray) -> np.ndarray:
        bits: np.ndarray = (tensor.reshape(-1)[:-1] > 0).astype(np.uint8)
        return bits

    assert probed(encode, (3, 4), parse("INT4")) is None


def test_lines_that_finn_cannot_stream_are_said(built_network: Built, tmp_path: Path) -> None:
    stages = built_network("digits-cnv")
    model = external(stages[LAST], "MVAU_hls_0")
    layer = getCustomOp(next(n for n in model.graph.node if n.name == "MVAU_hls_0"))
    layer.set_nodeattr("PE", 1)
    layer.set_nodeattr("SIMD", 9)  # 9 x 2 bits are five hexadecimal digits
    with pytest.raises(StepFailed, match="FINN cannot write the external weights of MVAU_hls_0") as error:
        written(tmp_path, model, stages["dataflow_parent"], data(bytes_of((1, 14, 14))), spec=SPEC)
    assert "PE * SIMD" in str(error.value.hint)
