"""The accelerator's two streams, as FINN's drivers take them: names of the DMA engines, datatypes, shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finnyaml.errors import StepFailed
from finnyaml.finn.driver_data import driver_shapes
from finnyaml.graph.operators import HARDWARE, PARTITION

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

CHANNELS_LAST = {4: "NHWC", 3: "NWC", 2: "NC"}
"""How FINN's layers lay out their data, where the graph does not say it."""
_CUT = "add create_dataflow_partition (and what comes before it)"


@dataclass(frozen=True)
class Port:
    """One stream. tensor: of the model. The shapes are FINN's, with a batch of 1 in front; `packed` counts bytes."""

    name: str
    tensor: str
    datatype: str
    layout: str | None
    normal: tuple[int, ...]
    folded: tuple[int, ...]
    packed: tuple[int, ...]

    def as_data(self) -> dict[str, Any]:
        """As the contract has it."""
        return {
            "name": self.name,
            "datatype": self.datatype,
            "layout": self.layout,
            "normal": list(self.normal),
            "folded": list(self.folded),
            "packed": list(self.packed),
        }


def is_partitioned(model: ModelWrapper) -> bool:
    """Whether the hardware layers are in partitions of their own, one per kernel, as FINN's synthesis leaves them."""
    return all(node.op_type == PARTITION for node in model.graph.node)


def check_hardware(model: ModelWrapper, parent: ModelWrapper | None) -> None:
    """Refuse what is not an accelerator with one stream in and one out.

    Raises:
        StepFailed: layers that are not hardware, no dataflow parent, several inputs or outputs.
    """
    outside = [n for n in model.graph.node if not n.domain.startswith(HARDWARE)]
    if outside or not model.graph.node:
        found = f": {outside[0].op_type} {outside[0].name} is not a hardware layer" if outside else ""
        raise StepFailed(f"the accelerator has not been cut out of the graph{found}", hint=f"{_CUT} to the steps")
    if parent is None:
        raise StepFailed(
            "the accelerator has not been cut out of the graph: the graph around it (dataflow_parent.onnx), which says "
            "what the host has to do, is not there",
            hint=f"{_CUT} to the steps; where it is there already, FINN writes that graph unless the recipe says "
            "`save_intermediate_models: false`",
        )
    known = {i.name for i in model.graph.initializer}
    for ends, word in ((model.graph.input, "inputs"), (model.graph.output, "outputs")):
        names = [end.name for end in ends if end.name not in known]
        if len(names) != 1:
            raise StepFailed(
                f"the accelerator has {len(names)} {word} ({', '.join(names)}); a bundle is for one stream in, one out",
                hint="let the network's inputs meet, and its outputs part, outside of the hardware layers",
            )


def ports(model: ModelWrapper) -> tuple[Port, Port]:
    """The input and the output of an accelerator that `check_hardware` accepts.

    In a partitioned model these are FINN's own words (`get_driver_shapes`); before that, what they will be.
    """
    tensors = (data_input(model), model.graph.output[0].name)
    if is_partitioned(model):
        try:
            said = driver_shapes(model)
        except AssertionError as error:
            raise StepFailed(
                f"the accelerator has no DMA engines that a driver could use: {error}",
                hint="`instrumentation_no_dma: true` makes a bitfile that only measures itself; leave it out",
            ) from error
        names = (said["idma_names"][0] or "idma0", said["odma_names"][0] or "odma0")
        folded = (said["ishape_folded"][0], said["oshape_folded"][0])
    else:
        names = ("idma0", "odma0")
        folded = (
            _first(model, tensors[0]).get_folded_input_shape(),
            _last(model, tensors[1]).get_folded_output_shape(),
        )
    first, last = (_port(model, *each) for each in zip(names, tensors, folded, strict=True))
    return first, last


def data_input(model: ModelWrapper) -> str:
    """The name of a graph's first input that is not a constant."""
    known = {i.name for i in model.graph.initializer}
    return next(str(i.name) for i in model.graph.input if i.name not in known)


def _first(model: ModelWrapper, tensor: str) -> Any:
    from qonnx.custom_op.registry import getCustomOp

    consumers = model.find_consumers(tensor)
    if len(consumers) != 1:
        raise StepFailed(
            f"{len(consumers)} hardware layers read the accelerator's input; FINN's DMA engine feeds one",
            hint="FINN's InsertFork duplicates streams; does the flow have convert_to_hw?",
        )
    return getCustomOp(consumers[0])


def _last(model: ModelWrapper, tensor: str) -> Any:
    from qonnx.custom_op.registry import getCustomOp

    return getCustomOp(model.find_producer(tensor))


def _port(model: ModelWrapper, name: str, tensor: str, folded: Sequence[int]) -> Port:
    normal = tuple(int(size) for size in model.get_tensor_shape(tensor))
    datatype = model.get_tensor_datatype(tensor)
    folded = tuple(int(size) for size in folded)
    said = model.get_tensor_layout(tensor)
    return Port(
        name=name,
        tensor=tensor,
        datatype=datatype.name,
        layout="".join(said) if said else CHANNELS_LAST.get(len(normal)),
        normal=normal,
        folded=folded,
        packed=(*folded[:-1], math.ceil(folded[-1] * datatype.bitwidth() / 8)),
    )
