"""The reference: the network as its author wrote it, run on the data set with the recipe's pre- and post-processing.

A Brevitas module runs in PyTorch, so that a fault of the export shows as well; an ONNX file runs in the batched
executor. Runs in a worker.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import InputSpec, Processing
from finnyaml.steps.code import explain, load_function
from finnyaml.verify.data.layout import fitted
from finnyaml.verify.memory import at_once

Function = Callable[[np.ndarray], np.ndarray]
"""From a batch [n, ...] to a batch [n, ...]."""


_AT_ONCE = 4
"""How often inputs and outputs of the largest module are held at once: quantizers compute in many small operations,
and branches keep what they begin with.
"""


def torch_reference(
    module: Any, spec: InputSpec, preprocess: Sequence[Processing], postprocess: Sequence[Processing], recipe_dir: Path
) -> Function:
    """The function from data to outputs: all stages and the module, in float32.

    It takes batches as the recipe's input has them ([n, ...], numbers of any type), and returns what the graph of the
    build returns: scores [n, classes], or the indices of the highest ones [n, k] after `top_k`. When called it raises
    StepFailed if the module does not take the data.
    """
    functions: list[Function] = [
        *(_stage(stage, spec, recipe_dir) for stage in preprocess),
        lambda batch: fitted(batch, spec.shape or batch.shape, spec.layout),
        _of_module(module),
        *(_stage(stage, spec, recipe_dir) for stage in postprocess),
    ]
    return lambda batch: functools.reduce(lambda x, function: function(x), functions, np.asarray(batch, np.float32))


def graph_reference(model: Any, samples: np.ndarray | None = None) -> Function:
    """The same from a graph that has the stages in it already (`ModelWrapper`), on the batched executor.

    With a few `samples` [n, ...] it is first compared with qonnx's own execution.
    """
    from finnyaml.verify.executor import BatchedModel, checked, input_of

    compiled = BatchedModel(model) if samples is None else checked(model, fitted(samples, input_of(model)[1], None))
    output = compiled.outputs[0]
    return lambda batch: compiled.run(fitted(batch, compiled.input_shape, None))[output]


def _stage(stage: Processing, spec: InputSpec, recipe_dir: Path) -> Function:
    """What one stage computes; one of the user's is a module or a graph."""
    if stage.kind == "to_tensor":
        return lambda batch: batch / np.float32(255)
    if stage.kind == "normalize":
        return functools.partial(_normalised, options=stage.options, layout=spec.layout)
    if stage.kind == "top_k":
        count = int(stage.options.get("k", 1))
        return lambda scores: np.argsort(-scores, axis=-1, kind="stable")[..., :count]
    from finnyaml.steps import source

    if stage.kind == "onnx":
        assert stage.file is not None
        return graph_reference(source.annotate_input(source.read_onnx(stage.file), InputSpec()))
    assert stage.code is not None
    factory = load_function(stage.code, recipe_dir)
    return _of_module(source.load_module(factory, stage.options.get("args", {}), None, None))


def _normalised(batch: np.ndarray, options: Mapping[str, Any], layout: str | None) -> np.ndarray:
    axis = layout.index("C") if layout and "C" in layout else min(1, batch.ndim - 1)
    shape = [-1 if index == axis else 1 for index in range(batch.ndim)]
    mean, std = (np.reshape(options.get(name, usual), shape) for name, usual in (("mean", 0.0), ("std", 1.0)))
    result: np.ndarray = (batch - mean.astype(np.float32)) / std.astype(np.float32)
    return result


@contextlib.contextmanager
def _largest() -> Iterator[list[int]]:
    """In a list, how many bytes the inputs and outputs of a module called inside are together, of the largest one."""
    from torch.nn.modules.module import register_module_forward_hook

    found = [0]

    def look(module: Any, inputs: Any, output: Any) -> None:
        found[0] = max(found[0], _bytes(inputs) + _bytes(output))

    hook = register_module_forward_hook(look)
    try:
        yield found
    finally:
        hook.remove()


def _bytes(values: Any) -> int:
    """The bytes of tensors, and of those in tuples and lists (a QuantTensor is one)."""
    if isinstance(values, (tuple, list)):
        return sum(map(_bytes, values))
    return int(getattr(values, "nbytes", 0))


def _of_module(module: Any) -> Function:
    import torch

    sizes: dict[tuple[int, ...], int] = {}

    def run(batch: np.ndarray) -> np.ndarray:
        shape = batch.shape[1:]
        if shape not in sizes:
            with _largest() as largest:
                computed(batch[:1])
            sizes[shape] = at_once(_AT_ONCE * largest[0])
        parts = [computed(batch[i : i + sizes[shape]]) for i in range(0, len(batch), sizes[shape])]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def computed(batch: np.ndarray) -> np.ndarray:
        try:
            with torch.no_grad():
                answer = module(torch.from_numpy(np.ascontiguousarray(batch)))
        except Exception as error:
            raise StepFailed(
                f"the model does not take the data of verify.data ({list(batch.shape)}): {explain(error)}",
                hint="verify.data has to be what the accelerator will get: the raw data, before any pre-processing",
            ) from error
        value = getattr(answer, "value", answer)  # a Brevitas module may return a QuantTensor
        result: np.ndarray = value.detach().numpy()
        return result

    return run
