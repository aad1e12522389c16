"""The accelerator's two streams, as FINN's drivers take them: names of the DMA engines, datatypes, shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.graph.operators import PARTITION
from finnyaml.graph.view import View, is_hardware

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
        plain = {"name": self.name, "datatype": self.datatype, "layout": self.layout}
        return {**plain, "normal": list(self.normal), "folded": list(self.folded), "packed": list(self.packed)}


def is_partitioned(model: ModelWrapper) -> bool:
    """Whether the hardware layers are in partitions of their own, one per kernel, as FINN's synthesis leaves them."""
    return all(node.op_type == PARTITION for node in model.graph.node)


def check_hardware(model: ModelWrapper, parent: ModelWrapper | None) -> None:
    """Refuse what is not an accelerator with one stream in and one out.

    Raises:
        StepFailed: layers that are not hardware, no dataflow parent, several inputs or outputs.
    """
    outside = [node for node in model.graph.node if not is_hardware(node)]
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
    view = View(model)
    for names, word in ((view.inputs, "inputs"), (view.outputs, "outputs")):
        if len(names) != 1:
            raise StepFailed(
                f"the accelerator has {len(names)} {word} ({', '.join(names)}); a bundle is for one stream in, one out",
                hint="let the network's inputs meet, and its outputs part, outside of the hardware layers",
            )


def ports(model: ModelWrapper) -> tuple[Port, Port]:
    """The input and the output of an accelerator that `check_hardware` accepts.

    In a partitioned model these are FINN's own words (`get_driver_shapes`); before that, what they will be.
    """
    view = View(model)
    tensors = (view.inputs[0], view.outputs[0])
    if is_partitioned(model):
        from finn.util.basic import get_driver_shapes

        try:
            said = get_driver_shapes(model)
        except AssertionError as error:
            raise StepFailed(
                f"the accelerator has no DMA engines that a driver could use: {error}",
                hint="`instrumentation_no_dma: true` makes a bitfile that only measures itself; leave it out",
            ) from error
        names = (said["idma_names"][0] or "idma0", said["odma_names"][0] or "odma0")
        folded = (said["ishape_folded"][0], said["oshape_folded"][0])
    else:
        names = ("idma0", "odma0")
        last = getCustomOp(model.find_producer(tensors[1]))
        folded = (_first(model, tensors[0]).get_folded_input_shape(), last.get_folded_output_shape())
    return _port(model, names[0], tensors[0], folded[0]), _port(model, names[1], tensors[1], folded[1])


def _first(model: ModelWrapper, tensor: str) -> Any:
    consumers = model.find_consumers(tensor)
    if len(consumers) != 1:
        raise StepFailed(
            f"{len(consumers)} hardware layers read the accelerator's input; FINN's DMA engine feeds one",
            hint="FINN's InsertFork duplicates streams; does the flow have convert_to_hw?",
        )
    return getCustomOp(consumers[0])


def _port(model: ModelWrapper, name: str, tensor: str, folded: Sequence[int]) -> Port:
    normal, folded = (tuple(int(size) for size in shape) for shape in (model.get_tensor_shape(tensor), folded))
    datatype = model.get_tensor_datatype(tensor)
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
