"""FINN's own stitching of real layers, up to the design folder: what is in it, and what is refused."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from finnyaml.errors import StepFailed
from finnyaml.finn.estimates import capacity
from finnyaml.finn.stitched import stitch
from finnyaml.rtl.design import Design, Fifo
from tests.finn.two_layers import CLOCK_NS, PART, build_folder, dense, generated, network, node, thresholds

FIFOS = [f"StreamingFIFO_rtl_{number}" for number in range(4)]
MVAU, DWC, LEVELS = "MVAU_rtl_0", "StreamingDataWidthConverter_rtl_0", "Thresholding_rtl_0"
CHAIN = [FIFOS[0], MVAU, FIFOS[1], DWC, FIFOS[2], LEVELS, FIFOS[3]]


@pytest.fixture(scope="module", autouse=True)
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where FINN puts generated code."""
    with build_folder(tmp_path_factory.mktemp("finn")) as folder:
        yield folder


@dataclass(frozen=True)
class Stitched:
    """model: before. after: as it is returned."""

    model: Any
    after: Any
    folder: Path
    design: Design


@pytest.fixture(scope="module")
def stitched(tmp_path_factory: pytest.TempPathFactory) -> Stitched:
    model = generated(network([dense(), thresholds()]))
    folder = tmp_path_factory.mktemp("stitched") / "design"
    after = stitch(model, PART, CLOCK_NS, folder)
    return Stitched(model, after, folder, Design.load(folder))


def operator(model: Any, name: str) -> Any:
    from qonnx.custom_op.registry import getCustomOp

    return getCustomOp(model.get_node_from_name(name))


# What the folder holds.


def test_streams_in_and_out(stitched: Stitched) -> None:
    design = stitched.design
    first, last = design.input, design.output
    assert (first.name, first.datatype, first.shape, first.folded) == ("s_axis_0", "UINT4", (1, 3, 8), (1, 3, 2, 4))
    assert (last.name, last.datatype, last.shape, last.folded) == ("m_axis_0", "UINT2", (1, 3, 6), (1, 3, 2, 3))
    assert (first.width, first.producer, first.consumer) == (16, None, CHAIN[0])
    assert (last.width, last.producer, last.consumer) == (8, CHAIN[-1], None)
    assert (first.tensor, last.tensor) == ("global_in", "global_out")


def test_streams_between_nodes(stitched: Stitched) -> None:
    edges = stitched.design.edges
    assert [(each.producer, each.consumer) for each in edges] == list(pairwise(CHAIN))
    assert [each.name for each in edges] == [f"{name}_out0" for name in CHAIN[:-1]]
    sums = edges[1]
    assert (sums.datatype, sums.shape, sums.folded, sums.width) == ("INT10", (1, 3, 6), (1, 3, 3, 2), 24)
    assert (edges[3].folded, edges[3].width) == ((1, 3, 2, 3), 32), "after the width converter"


def test_fifos(stitched: Stitched) -> None:
    assert stitched.design.fifos == (
        Fifo(FIFOS[0], 2, 16, "auto", None, MVAU),
        Fifo(FIFOS[1], 2, 20, "auto", MVAU, DWC),
        Fifo(FIFOS[2], 2, 30, "auto", DWC, LEVELS),
        Fifo(FIFOS[3], 2, 6, "auto", LEVELS, None),
    )


def test_the_neighbours_of_a_fifo_are_no_fifos(stitched: Stitched, tmp_path: Path) -> None:
    """A second FIFO behind the last one, as FINN makes them of one that is too large for its memory."""
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP

    model = copy.deepcopy(stitched.model)
    before = model.get_node_from_name(FIFOS[3])
    behind = copy.deepcopy(before)
    behind.name = "StreamingFIFO_rtl_4"
    behind.input[0] = before.output[0] = "between"
    model.graph.node.append(behind)
    model.set_tensor_shape("between", model.get_tensor_shape("global_out"))
    for attribute in ("code_gen_dir_ipgen", "ipgen_path", "ip_path"):
        operator(model, behind.name).set_nodeattr(attribute, "")
    stitch(model.transform(PrepareIP(PART, CLOCK_NS)), PART, CLOCK_NS, tmp_path)
    found = Design.load(tmp_path)
    assert [(each.producer, each.consumer) for each in found.fifos[2:]] == [
        (DWC, LEVELS),
        (LEVELS, None),
        (LEVELS, None),
    ]
    assert found.output.producer == behind.name and found.edges[-1].tensor == "between"


def test_what_finn_expects_of_it(stitched: Stitched) -> None:
    design = stitched.design
    assert (design.finn, design.part, design.clock_ns) == ("finn-plus 1.6.1", PART, CLOCK_NS)
    assert [each.name for each in design.nodes] == CHAIN
    dense_layer = design.nodes[1]
    assert (dense_layer.op_type, dense_layer.cycles) == ("MVAU_rtl", 3 * (8 // 4) * (6 // 2))
    assert dense_layer.estimate["DSP"] == operator(stitched.model, MVAU).node_res_estimation(PART)["DSP"] > 0
    assert [each["module"] for each in dense_layer.sources] == [MVAU, f"{MVAU}_memstream_wrapper"]
    assert design.max_cycles == 18
    assert design.latency_cycles >= design.max_cycles
    assert design.device == {"LUT": 274000, "FF": 548000, "BRAM18": 1824, "URAM": 0, "DSP": 2520}


def test_capacities_are_those_of_the_device() -> None:
    from finn.util.basic import part_map

    ultra96 = capacity(part_map["Ultra96"])
    assert ultra96["LUT"] > 0 and ultra96 == capacity(part_map["Ultra96-V2"]) != capacity(PART)
    four_regions = capacity(part_map["U250"])
    assert four_regions["BRAM18"] > 4 * 1000 and four_regions["URAM"] > 0
    assert capacity("xczu5ev-sfvc784-1-i") == capacity("xcve2802-vsvh1760-2MP-e-S") == {}


def test_the_folder_needs_nothing_else(stitched: Stitched, build: Path) -> None:
    folder, design = stitched.folder, stitched.design
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert files == {*design.sources, *design.data, "design.json"}
    assert len(design.data) == 1 + 3 * 2, "weights, and thresholds per PE and stage"
    for file in design.sources:
        assert str(build) not in (folder / file).read_text()
    assert f'"data/{LEVELS}__{LEVELS}_"' in (folder / f"src/{LEVELS}.v").read_text()
    memory = Path(operator(stitched.model, MVAU).get_nodeattr("code_gen_dir_ipgen")) / "memblock.dat"
    assert (folder / f"data/{MVAU}__memblock.dat").read_bytes() == memory.read_bytes()


def test_the_same_network_gives_the_same_folder(stitched: Stitched, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with build_folder(tmp_path / "elsewhere"):
        again = generated(network([dense(), thresholds()]))
        stitch(again, PART, CLOCK_NS, tmp_path / "design")
    before, now = (Path(operator(m, MVAU).get_nodeattr("code_gen_dir_ipgen")) for m in (stitched.model, again))
    assert before.name != now.name and before.parent != now.parent
    assert contents(tmp_path / "design") == contents(stitched.folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# The Verilog, as slang understands it.


COMPILATIONS: list[Any] = []  # slang's symbols lie in the memory of their compilation and do not keep it alive


def elaborate(files: list[Path], top: str) -> tuple[Any, list[str]]:
    """The top instance, and the errors of each file by its name."""
    from pyslang import Bag, SourceManager, ast, syntax

    options = ast.CompilationOptions()
    options.topModules = {top}
    manager, compilation = SourceManager(), ast.Compilation(Bag([options]))
    COMPILATIONS.append((manager, compilation))
    for file in files:
        compilation.addSyntaxTree(syntax.SyntaxTree.fromFile(str(file), manager))
    errors = [each for each in compilation.getAllDiagnostics() if each.isError()]
    (found,) = compilation.getRoot().topInstances
    return found, [f"{Path(str(manager.getFileName(each.location))).name}: {each.code}" for each in errors]


def connected(top: Any) -> dict[str, set[str]]:
    """Net to the "node.port" pairs on it."""
    found: dict[str, set[str]] = {}
    for instance in (each for each in top.body if each.kind.name == "Instance"):
        for each in instance.portConnections:
            expression = each.expression.left if each.expression.kind.name == "Assignment" else each.expression
            net = str(expression.syntax).strip()
            found.setdefault(net, set()).add(f"{instance.name}.{each.port.name}:{each.port.direction.name}")
    return found


def test_every_stream_has_both_ends(stitched: Stitched) -> None:
    files = [stitched.folder / each for each in stitched.design.sources]
    top, errors = elaborate(files, "finn_design")
    assert not [each for each in errors if each.startswith("top.sv")]
    nets = connected(top)
    for stream in (stitched.design.input, *stitched.design.edges, stitched.design.output):
        for signal, there, back in (("tdata", "Out", "In"), ("tvalid", "Out", "In"), ("tready", "In", "Out")):
            ends = {f"{stream.producer}.out0_V_{signal}:{there}", f"{stream.consumer}.in0_V_{signal}:{back}"}
            expected = {end for end in ends if not end.startswith("None.")}
            assert nets[f"{stream.name}_{signal}"] == expected
    for name in ("ap_clk", "ap_rst_n"):
        assert nets[name] == {f"{each}.{name}:In" for each in CHAIN}


def test_finns_own_project_is_complete(stitched: Stitched) -> None:
    """What FINN's execution of stitched designs reads."""
    project = Path(stitched.after.get_metadata_prop("vivado_stitch_proj"))
    wrapper = Path(stitched.after.get_metadata_prop("wrapper_filename"))
    assert stitched.after.get_metadata_prop("vivado_stitch_ifnames")
    files = [Path(each) for each in (project / "all_verilog_srcs.txt").read_text().split()]
    assert files[-1] == wrapper and all(file.is_file() for file in files)
    top, errors = elaborate(files, wrapper.stem)
    assert not [each for each in errors if each.startswith(("finn_design_wrapper.v", "finn_design.sv"))]
    assert {port.name for port in top.body.portList} == {
        "ap_clk",
        "ap_rst_n",
        *(f"{name}_{signal}" for name in ("s_axis_0", "m_axis_0") for signal in ("tdata", "tvalid", "tready")),
    }
    images = Path(operator(stitched.after, MVAU).get_nodeattr("code_gen_dir_ipgen"))
    (memory,) = (file for file in files if file.name == f"{MVAU}_memstream_wrapper.v")
    assert f'"{images}/memblock.dat"' in memory.read_text()


def test_vivado_is_asked_again_afterwards(stitched: Stitched) -> None:
    from finn.transformation.fpgadataflow import create_stitched_ip
    from finn.util import basic

    for name in ("launch_process_helper", "resolve_xilinx_tool", "wait_for_file"):
        assert getattr(create_stitched_ip, name) is getattr(basic, name)


# What is refused.


def refused(model: Any, folder: Path) -> StepFailed:
    with pytest.raises(StepFailed) as found:
        stitch(model, PART, CLOCK_NS, folder)
    assert not (folder / "design.json").exists()
    return found.value


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        (MVAU, "pumpedMemory", 1),
        (MVAU, "pumpedCompute", 1),
        (MVAU, "runtime_writeable_weights", 1),
        (LEVELS, "runtime_writeable_weights", 1),
        (MVAU, "mem_mode", "external"),
        (MVAU, "mem_mode", "external_mem"),
        (MVAU, "mem_mode", "dynamic"),
        (LEVELS, "mlo_max_iter", 2),
        (FIFOS[2], "impl_style", "virtual"),
        (FIFOS[2], "depth_monitor", 1),
    ],
)
def test_an_attribute_that_is_not_covered(
    stitched: Stitched, tmp_path: Path, name: str, attribute: str, value: object
) -> None:
    model = copy.deepcopy(stitched.model)
    operator(model, name).set_nodeattr(attribute, value)
    error = refused(model, tmp_path)
    assert error.message.startswith(f"not covered by the open RTL path for finn-plus 1.6.1: {name}, ")
    assert attribute in error.message and error.hint


def test_a_layer_that_is_configured_at_run_time(tmp_path: Path) -> None:
    sizes = {"ImgDim": [4, 4], "Padding": [1, 1, 1, 1], "NumChannels": 2, "SIMD": 1, "inputDataType": "UINT4"}
    padding = network_of(node("FMPadding", ["x"], ["y"], **sizes), (1, 4, 4, 2), (1, 6, 6, 2))
    operator(padding, "FMPadding_rtl_0").set_nodeattr("dynamic_mode", 1)
    assert "FMPadding_rtl_0, configured over AXI-lite at run time (dynamic_mode)" in refused(padding, tmp_path).message


def network_of(layer: Any, before: tuple[int, ...], after: tuple[int, ...]) -> Any:
    """One layer of UINT4, specialised."""
    from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
    from qonnx.transformation.general import GiveUniqueNodeNames

    from tests.verify.executor.one_layer import Tensor, graph

    made = graph([layer], {"x": Tensor(before, "UINT4"), "y": Tensor(after, "UINT4")}, "x", ["y"])
    return made.transform(SpecializeLayers(PART)).transform(GiveUniqueNodeNames())


def test_hls_layers_are_named_with_what_would_make_rtl_of_them(tmp_path: Path) -> None:
    sizes = {"ImgDim": [4, 4], "OutImgDims": [2, 2], "Channels": 2, "KernelSize": [2, 2], "Stride": [2, 2]}
    rest = {"Function": "MaxPool", "BatchSize": 1, "PE": 1, "InputDataType": "UINT4", "OutputDataType": "UINT4"}
    pool = network_of(node("Pool", ["x"], ["y"], "hls", **sizes, **rest), (1, 4, 4, 2), (1, 2, 2, 2))
    error = refused(pool, tmp_path)
    assert "Pool_hls_0: Pool of integers has no RTL variant of FINN's, but one of finnyaml's" in error.message
    error = refused(network([dense("hls"), thresholds()]), tmp_path)
    assert "In finn-plus 1.6.1, MVAU_hls_0: MVAU has an RTL variant" in error.message
    assert "at least 2 bits" in error.message and "represent_bipolar" in error.message
    assert "prefer: rtl" in str(error.hint)


def test_an_hls_layer_without_any_rtl(tmp_path: Path) -> None:
    sizes = {"HO": 8, "WO": 8, "HI": 4, "WI": 4, "NumChannels": 2, "SIMD": 1, "inputDataType": "UINT4"}
    model = network_of(node("UpsampleNearestNeighbour", ["x"], ["y"], "hls", **sizes), (1, 4, 4, 2), (1, 8, 8, 2))
    assert "UpsampleNearestNeighbour has no RTL variant; let the host compute it" in refused(model, tmp_path).message


@pytest.mark.parametrize("op_type", ["FINNLoop", "NodeContainer"])
def test_graphs_within_the_graph(stitched: Stitched, tmp_path: Path, op_type: str) -> None:
    """Stand-ins: a node of that type, without a body, is enough to be refused."""
    from onnx import helper

    model = copy.deepcopy(stitched.model)
    last = model.get_node_from_name(CHAIN[-1])
    looped = helper.make_node(op_type, list(last.input), list(last.output), "Loop_0", domain=last.domain)
    model.graph.node.remove(last)
    model.graph.node.append(looped)
    assert "Loop_0, a loop over layers" in refused(model, tmp_path).message


def test_layers_that_are_no_hardware(stitched: Stitched, tmp_path: Path) -> None:
    from onnx import helper

    model = copy.deepcopy(stitched.model)
    last = model.get_node_from_name(CHAIN[-1])
    model.graph.node.append(helper.make_node("Relu", list(last.input), ["elsewhere"], "Relu_7"))
    assert "not one of hardware layers alone: Relu_7" in refused(model, tmp_path).message


def test_names_that_verilog_cannot_have(stitched: Stitched, tmp_path: Path) -> None:
    model = copy.deepcopy(stitched.model)
    model.get_node_from_name(LEVELS).name = "/conv1/Quant.0"
    assert "/conv1/Quant.0 cannot be the name of a Verilog module" in refused(model, tmp_path).message


def test_several_inputs_or_outputs(stitched: Stitched, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    model = copy.deepcopy(stitched.model)
    model.graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1, 4]))
    assert "has 2 inputs (global_in, second)" in refused(model, tmp_path).message
    model = copy.deepcopy(stitched.model)
    model.graph.output.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1, 4]))
    assert "has 2 outputs (global_out, second)" in refused(model, tmp_path).message


def test_constants_are_no_inputs(stitched: Stitched) -> None:
    from onnx import TensorProto, helper

    from finnyaml.graph.view import View

    model = copy.deepcopy(stitched.model)
    weights = model.get_node_from_name(MVAU).input[1]
    model.graph.input.append(helper.make_tensor_value_info(weights, TensorProto.FLOAT, [8, 6]))
    assert View(model).inputs == ["global_in"]


def test_code_that_was_not_generated(stitched: Stitched, tmp_path: Path) -> None:
    error = refused(network([dense(), thresholds()]), tmp_path)
    assert f"{MVAU}, {LEVELS}, without generated code" in error.message and "hw_codegen" in str(error.hint)
    model = copy.deepcopy(stitched.model)
    operator(model, LEVELS).set_nodeattr("code_gen_dir_ipgen", str(tmp_path / "gone"))
    assert f": {LEVELS}, without generated code" in refused(model, tmp_path).message


def set_attribute(name: str, **attributes: object) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for attribute, value in attributes.items():
            operator(model, name).set_nodeattr(attribute, value)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_attribute(FIFOS[1], depth=7), f"{FIFOS[1]} has a depth of 7, and its Verilog depth 2"),
        (set_attribute(MVAU, PE=3), f"{MVAU} hands .* over as .*, {FIFOS[1]} takes it as"),
        (set_attribute(FIFOS[0], dataType="UINT8"), r"the stream of .* has 16 bits in Verilog; FINN says 32"),
    ],
)
def test_code_that_was_generated_for_something_else(
    stitched: Stitched, tmp_path: Path, change: Callable[[Any], None], message: str
) -> None:
    model = copy.deepcopy(stitched.model)
    change(model)
    with pytest.raises(StepFailed, match=message):
        stitch(model, PART, CLOCK_NS, tmp_path)


def test_a_tensor_that_two_layers_read(stitched: Stitched, tmp_path: Path) -> None:
    model = copy.deepcopy(stitched.model)
    last, first = model.get_node_from_name(CHAIN[-1]), model.get_node_from_name(CHAIN[1])
    fork = copy.deepcopy(last)
    fork.name, fork.output[0] = "Fork_0", "elsewhere"
    fork.input[0] = first.input[0]
    model.graph.node.append(fork)
    error = refused(model, tmp_path)
    assert f"2 layers read {first.input[0]}" in error.message and "InsertFork" in str(error.hint)


def test_a_memory_image_that_is_gone(stitched: Stitched, tmp_path: Path) -> None:
    model = copy.deepcopy(stitched.model)
    code = Path(operator(model, MVAU).get_nodeattr("code_gen_dir_ipgen"))
    moved = shutil.move(code / "memblock.dat", tmp_path / "memblock.dat")
    try:
        assert f"{MVAU}_memstream_wrapper.v reads {code}/memblock.dat" in refused(model, tmp_path / "design").message
    finally:
        shutil.move(moved, code / "memblock.dat")


def test_a_finn_that_starts_vivado_in_another_way(
    stitched: Stitched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finn.transformation.fpgadataflow import create_stitched_ip

    monkeypatch.delattr(create_stitched_ip, "launch_process_helper")
    assert "finn-plus 1.6.1 starts Vivado in another way" in refused(stitched.model, tmp_path).message
