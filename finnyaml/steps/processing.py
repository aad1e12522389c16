"""Pre- and post-processing inside the graph: the accelerator, the reference and the data see the same arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.insert_topk import InsertTopK
from qonnx.transformation.merge_onnx_models import MergeONNXModels

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import InputSpec, Processing
from finnyaml.steps.code import explain, load_function
from finnyaml.steps.source import annotate_input, export_brevitas, find_datatype, read_onnx, transformed


def preprocess(model: ModelWrapper, stages: Sequence[Processing], spec: InputSpec, recipe_dir: Path) -> ModelWrapper:
    """Put all stages before the model, in data order: the first of `stages` touches the data first."""
    for stage in reversed(stages):
        model = prepend(model, stage, spec, recipe_dir)
    return model


def postprocess(model: ModelWrapper, stages: Iterable[Processing], recipe_dir: Path) -> ModelWrapper:
    """Put all stages behind the model, in data order."""
    for stage in stages:
        model = append(model, stage, recipe_dir)
    return model


def prepend(model: ModelWrapper, stage: Processing, spec: InputSpec, recipe_dir: Path) -> ModelWrapper:
    """Put one stage before the model.

    All arithmetic is float32. The graph input keeps its shape (`onnx` stages bring their own) and the datatype of the
    recipe; where the recipe is silent, `to_tensor` takes UINT8 and every other stage FLOAT32.

    The model is as `annotate_input` or an earlier `prepend` returned it; the stage `to_tensor` (x / 255), `normalize`
    ((x - mean) / std, a number or one per channel), `brevitas` or `onnx`. Modules that the recipe names are looked for
    in `recipe_dir`.

    Raises:
        StepFailed: a datatype that `to_tensor` cannot take, values that do not fit the channels, a graph of the user's
            that does not fit the model.
    """
    datatype = spec.datatype
    if stage.kind == "to_tensor":
        datatype = datatype or "UINT8"
        if datatype != "UINT8":
            raise StepFailed(
                f"to_tensor divides bytes by 255, but model.input.datatype is {datatype}",
                hint="use datatype: UINT8, or normalize with a mean and std of your own",
            )
        model = _insert_first(model, [("Div", np.asarray([255.0], np.float32))])
    elif stage.kind == "normalize":
        mean = _per_channel(model, "mean", stage.options.get("mean", 0.0))
        std = _per_channel(model, "std", stage.options.get("std", 1.0))
        if not std.all():
            raise StepFailed("normalize: std is 0, and data is divided by it", hint="give the deviation of the data")
        model = _insert_first(model, [("Sub", mean), ("Div", std)])
    elif stage.kind in ("brevitas", "onnx"):
        shape = model.get_tensor_shape(model.graph.input[0].name)
        # What the recipe says of the data does not hold behind the stage: x / 128 of an INT8 is not integer.
        model.set_tensor_datatype(model.graph.input[0].name, DataType["FLOAT32"])
        model = _merge(_own_graph(stage, shape, recipe_dir), model, "preprocess")
    else:
        hint = "there is: to_tensor, normalize, brevitas, onnx"
        raise StepFailed(f"'{stage.kind}' is not a pre-processing", hint=hint)
    model.set_tensor_datatype(model.graph.input[0].name, find_datatype(datatype or "FLOAT32"))
    return model


def append(model: ModelWrapper, stage: Processing, recipe_dir: Path) -> ModelWrapper:
    """Put one stage behind the model.

    The model is as `annotate_input`, `prepend` or an earlier `append` returned it; the stage `top_k` (int64 indices
    [..., k] of the k highest scores along the last axis, highest first), `brevitas` or `onnx`.

    Raises:
        StepFailed: k is more than there are scores, the model ends in a TopK already, an own graph does not fit.
    """
    output = model.graph.output[0].name
    shape = model.get_tensor_shape(output)
    if stage.kind == "top_k":
        return _top_k(model, int(stage.options.get("k", 1)), shape)
    if stage.kind in ("brevitas", "onnx"):
        return _merge(model, _own_graph(stage, shape, recipe_dir), "postprocess")
    raise StepFailed(f"'{stage.kind}' is not a post-processing", hint="there is: top_k, brevitas, onnx")


def _insert_first(model: ModelWrapper, operations: Sequence[tuple[str, np.ndarray]]) -> ModelWrapper:
    """Let the data pass through `operations` (operator, constant right operand) before anything else touches it."""
    source = model.graph.input[0].name
    shape, layout = model.get_tensor_shape(source), model.get_tensor_layout(source)
    consumers, tensor = model.find_consumers(source), source
    for position, (operator, value) in enumerate(operations):
        constant = model.make_new_valueinfo_name()
        model.set_initializer(constant, value)
        result = model.make_new_valueinfo_name()
        model.graph.value_info.append(helper.make_tensor_value_info(result, TensorProto.FLOAT, shape))
        model.set_tensor_datatype(result, DataType["FLOAT32"])
        if layout:
            model.set_tensor_layout(result, layout)
        model.graph.node.insert(position, helper.make_node(operator, [tensor, constant], [result]))
        tensor = result
    for node in consumers:
        for index, name in enumerate(node.input):
            if name == source:
                node.input[index] = tensor
    return transformed(model, InferShapes())


def _per_channel(model: ModelWrapper, what: str, value: Any) -> np.ndarray:
    """The constant (float32) of a normalisation: [1], or one number per channel along the input's axis of channels."""
    values: np.ndarray = np.asarray(value, np.float32).reshape(-1)
    if not np.isfinite(values).all():
        raise StepFailed(f"normalize: {what} is not finite: {value}")
    if values.size == 1 or (values == values[0]).all():
        return values[:1]  # streamlining moves one number where it does not move one per channel
    name = model.graph.input[0].name
    shape, layout = model.get_tensor_shape(name), model.get_tensor_layout(name)
    axis = layout.index("C") if layout else min(1, len(shape) - 1)
    if values.size != shape[axis]:
        raise StepFailed(
            f"normalize: {what} has {values.size} values, the data {shape} has {shape[axis]} channels",
            hint="give one number for all channels, or one per channel",
        )
    return values.reshape([-1 if index == axis else 1 for index in range(len(shape))])


def _top_k(model: ModelWrapper, k: int, shape: Sequence[int]) -> ModelWrapper:
    producer = model.find_producer(model.graph.output[0].name)
    if producer is not None and producer.op_type == "TopK":
        raise StepFailed("top_k: the model ends in a TopK already", hint="leave top_k out of postprocess")
    if not 1 <= k <= shape[-1]:
        raise StepFailed(f"top_k: {k} of {shape[-1]} scores: the model's output has the shape {list(shape)}")
    return transformed(model, InsertTopK(k=k), InferShapes())


def _own_graph(stage: Processing, shape: Sequence[int], recipe_dir: Path) -> ModelWrapper:
    """The user's stage as a clean graph; a module of theirs gets an input of `shape`."""
    if stage.file is not None:
        return annotate_input(read_onnx(stage.file), InputSpec())
    assert stage.code is not None
    factory = load_function(stage.code, recipe_dir)
    return annotate_input(export_brevitas(factory, stage.options.get("args", {}), None, None, shape), InputSpec())


def _merge(first: ModelWrapper, second: ModelWrapper, where: str) -> ModelWrapper:
    given, taken = first.graph.output[0], second.graph.input[0]
    shapes = first.get_tensor_shape(given.name), second.get_tensor_shape(taken.name)
    types = given.type.tensor_type.elem_type, taken.type.tensor_type.elem_type
    if shapes[0] != shapes[1] or types[0] != types[1]:
        raise StepFailed(
            f"{where}: the stages do not fit: one gives {_tensor(shapes[0], types[0])}, "
            f"the next takes {_tensor(shapes[1], types[1])}"
        )
    for model in (first, second):
        model.model.opset_import.sort(key=lambda entry: entry.domain)  # the merge takes the first for ONNX's own
    opsets = {entry.domain: entry.version for model in (first, second) for entry in model.model.opset_import}
    try:
        merged = second.transform(MergeONNXModels(first))
    except Exception as error:
        raise StepFailed(f"{where}: qonnx cannot merge the stages: {explain(error)}") from error
    present = {entry.domain for entry in merged.model.opset_import}
    for domain in sorted(opsets.keys() - present):  # the merge keeps ONNX's own operator set only
        merged.model.opset_import.add(domain=domain, version=opsets[domain])
    return merged


def _tensor(shape: Sequence[int], kind: int) -> str:
    return f"{TensorProto.DataType.Name(kind).lower()} {list(shape)}"
