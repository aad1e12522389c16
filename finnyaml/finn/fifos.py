"""FIFO depths in a model: put in, and as the file that lets another build have them without looking for them."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

FIFO = "StreamingFIFO_rtl"
_GENERATED = ("code_gen_dir_ipgen", "ipgen_path", "ip_path")


def with_depths(model: ModelWrapper, depths: Mapping[str, int], part: str, clock_ns: float) -> ModelWrapper:
    """A copy of the model whose FIFOs have these depths, with new HDL for those that change.

    depths: in beats, at least 2, by FIFO node; others stay. part, clock_ns (the period): for FINN's PrepareIP.

    The code of those that change is deleted where it is in FINN's build folder: the model that was handed in has no
    code for them any more. The layers around are told, so that FINN's InsertFIFO would make FIFOs of these depths
    again: it takes the larger one of the producer's outFIFODepths and the consumer's inFIFODepths.

    Raises:
        ValueError: a name that is not a FIFO of the model.
    """
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP

    model = copy.deepcopy(model)
    fifos = _fifos(model)
    if unknown := depths.keys() - fifos.keys():
        raise ValueError(f"no FIFOs of the model: {', '.join(sorted(unknown))}")
    for name, depth in depths.items():
        fifo = fifos[name]
        if fifo.get_nodeattr("depth") != depth:
            fifo.set_nodeattr("depth", depth)
            _delete(fifo.get_nodeattr("code_gen_dir_ipgen"))
            for attribute in _GENERATED:
                fifo.set_nodeattr(attribute, "")
        _tell_neighbours(model, fifo.onnx_node, depth)
    return model.transform(PrepareIP(part, clock_ns), make_deepcopy=False)  # generates only what has no code


def fifo_config(model: ModelWrapper) -> dict[str, Any]:
    """What FINN reads from `fifo_config_file` with `auto_fifo_depths: false`, for the depths that the model has.

    Its FIFOs go by their names, which are equal in a build with the same layers: FINN numbers them in their order.
    """
    fifos = _fifos(model)
    sections = {"fifo_depths": "depth", "impl_style": "impl_style", "ram_style": "ram_style"}
    return {section: {name: fifo.get_nodeattr(of) for name, fifo in fifos.items()} for section, of in sections.items()}


def fifo_report(model: ModelWrapper) -> dict[str, Any]:
    """What FINN's step_set_fifo_depths reports as fifo_sizing.json: depths, and sizes in bits."""
    config = fifo_config(model)
    depths = config["fifo_depths"]
    widths = {name: fifo.get_instream_width() for name, fifo in _fifos(model).items()}
    sizes = {name: width * depths[name] for name, width in widths.items()}
    effective = {name: width * ceil(depths[name] / 32) * 32 for name, width in widths.items()}
    return {
        **config,
        "fifo_sizes": sizes,
        "fifo_sizes_effective": effective,
        "total_fifo_size_kiB": sum(sizes.values()) / 8.0 / 1024.0,
        "total_fifo_size_effective_kiB": sum(effective.values()) / 8.0 / 1024.0,
    }


def _fifos(model: ModelWrapper) -> dict[str, Any]:
    """FINN's objects of the FIFOs by name."""
    return {node.name: getCustomOp(node) for node in model.graph.node if node.op_type == FIFO}


def _delete(code: str) -> None:
    """Delete generated code, unless it is somewhere else than FINN puts it."""
    from finn.util.settings import get_settings

    built = Path(get_settings().finn_build_dir).resolve()
    if code and built in Path(code).resolve().parents:
        shutil.rmtree(code, ignore_errors=True)


def _tell_neighbours(model: ModelWrapper, fifo: Any, depth: int) -> None:
    producer, consumer = model.find_producer(fifo.input[0]), model.find_consumer(fifo.output[0])
    if producer is not None:
        _set_one(producer, "outFIFODepths", list(producer.output).index(fifo.input[0]), depth)
    if consumer is not None:
        _set_one(consumer, "inFIFODepths", list(consumer.input).index(fifo.output[0]), depth)


def _set_one(node: Any, attribute: str, index: int, depth: int) -> None:
    operator = getCustomOp(node)
    depths = [int(each) for each in operator.get_nodeattr(attribute)]
    depths += [0] * (index + 1 - len(depths))
    depths[index] = depth
    operator.set_nodeattr(attribute, depths)
