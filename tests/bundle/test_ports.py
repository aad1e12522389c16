"""The accelerator's streams are FINN's: names, datatypes and shapes as its drivers get them."""

from __future__ import annotations

from pathlib import Path

import pytest
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import gen_finn_dt_tensor

from finnyaml.errors import StepFailed
from finnyaml.finn import partitions
from finnyaml.finn.ports import check_hardware, ports
from tests.bundle.accelerators import HARDWARE, LAST, graph, node, scores
from tests.bundle.conftest import Built


def finished(model: ModelWrapper, folder: Path) -> ModelWrapper:
    """The model as FINN's synthesis leaves it: partitioned, with the names of the DMA engines."""
    made = partitions.partitioned(model, folder)
    for name, dma in partitions.dma_names(made).items():
        getCustomOp(next(n for n in made.graph.node if n.name == name)).set_nodeattr("instance_name", dma)
    return made


@pytest.mark.parametrize("name", ["digits-cnv", "TFC_1W1A"])
def test_before_synthesis_they_are_what_finn_will_say_after_it(name: str, built_network: Built, tmp_path: Path) -> None:
    from finn.util.basic import get_driver_shapes

    model = built_network(name)[LAST]
    made = finished(model, tmp_path)
    said = get_driver_shapes(made)
    for first, last in (ports(model), ports(made)):
        assert [first.name] == said["idma_names"] and [last.name] == said["odma_names"]
        assert [f"DataType['{first.datatype}']", f"DataType['{last.datatype}']"] == [*said["idt"], *said["odt"]]
        assert [first.normal, first.folded, first.packed] == [
            said[f"ishape_{s}"][0] for s in ("normal", "folded", "packed")
        ]
        assert [last.normal, last.folded, last.packed] == [
            said[f"oshape_{s}"][0] for s in ("normal", "folded", "packed")
        ]


@pytest.mark.parametrize("folding", [(1, 1), (7, 4), (1, 3), (7, 12)])
@pytest.mark.parametrize(
    "datatype", ["BIPOLAR", "BINARY", "TERNARY", "INT3", "UINT8", "INT17", "FIXED<9,4>", "FLOAT32"]
)
def test_packed_shapes_are_those_of_finns_packing(folding: tuple[int, int], datatype: str) -> None:
    from finn.util.data_packing import finnpy_to_packed_bytearray

    model = scores(folding)
    model.set_tensor_datatype("in", DataType[datatype])
    first, last = ports(model)
    assert first.folded == (1, 12 // folding[1], folding[1]) and last.folded == (1, 7 // folding[0], folding[0])
    for port in (first, last):
        dummy = gen_finn_dt_tensor(DataType[port.datatype], port.folded)
        packed = finnpy_to_packed_bytearray(dummy, DataType[port.datatype], reverse_inner=True, reverse_endian=True)
        assert port.packed == packed.shape


def test_layouts_are_those_of_the_graph_or_of_finns_layers(built_network: Built) -> None:
    first, last = ports(built_network("digits-cnv")[LAST])
    assert (first.layout, last.layout) == ("NHWC", "NC")
    assert ports(scores())[0].layout == "NC"
    # the flattening of TFC is inside: its stream is what the user hands over
    assert ports(built_network("TFC_1W1A")[LAST])[0].layout == "NCHW"


def test_a_graph_without_an_accelerator_is_refused(built_network: Built) -> None:
    stages = built_network("digits-cnv")
    for step in ("step_streamline", "step_convert_to_hw"):
        with pytest.raises(StepFailed, match=r"has not been cut out of the graph: .* is not a hardware layer") as error:
            check_hardware(stages[step], None)
        assert str(error.value.hint).startswith("add create_dataflow_partition (and what comes before it)")
    # all of it is hardware, and either nobody has cut it out, or FINN did not keep what is around it
    with pytest.raises(StepFailed, match=r"has not been cut out of the graph: .*dataflow_parent\.onnx") as error:
        check_hardware(stages[LAST], None)
    missing, _, second = str(error.value.hint).partition(";")
    assert "add create_dataflow_partition" in missing and "save_intermediate_models: false" in second


def test_several_streams_are_refused() -> None:
    twice = node(
        "DuplicateStreams",
        ["x"],
        ["a", "b"],
        domain=HARDWARE,
        NumChannels=4,
        PE=1,
        NumOutputStreams=2,
        inputDataType="INT4",
        numInputVectors=[1],
        outFIFODepths=[2, 2],
    )
    model = graph([twice], {"x": [1, 4], "a": [1, 4], "b": [1, 4]}, {}, {"x": "INT4"}, ("x", "a"))
    model.graph.output.append(model.graph.value_info.pop())
    with pytest.raises(StepFailed, match=r"2 outputs \(a, b\)"):
        check_hardware(model, scores())


def test_a_bitfile_without_dma_engines_is_refused(built_network: Built, tmp_path: Path) -> None:
    """As FINN builds it for measuring only, with `instrumentation_no_dma`."""
    from finn.transformation.fpgadataflow.create_dataflow_partition import CreateDataflowPartition

    model = built_network("TFC_1W1A")[LAST].transform(CreateDataflowPartition(str(tmp_path)))
    with pytest.raises(StepFailed, match="no DMA engines") as error:
        ports(model)
    assert "instrumentation_no_dma" in str(error.value.hint)
