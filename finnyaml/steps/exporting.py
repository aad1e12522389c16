"""A Brevitas module as a QONNX graph, and whether the graph has all of the module. Runs in workers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

from finnyaml.errors import StepFailed
from finnyaml.graph.origin import SCOPES, module_of
from finnyaml.graph.view import View
from finnyaml.steps.code import explain
from finnyaml.text import visible

if TYPE_CHECKING:
    import torch

_RECURRENT = ("LSTM", "GRU", "RNN")


def export(module: torch.nn.Module, sample: torch.Tensor, options: Mapping[str, Any]) -> onnx.ModelProto:
    """Export by PyTorch's exporter, else by its older one, which traces; its graph has to give the module's answers.

    `options` are arguments of Brevitas' `export_qonnx`; `dynamo` among them says which exporter, and no other is asked.

    Raises:
        StepFailed: no exporter can, or what was traced is another network (a decision on data is left out); with the
            cause.
    """
    from brevitas.export import export_qonnx

    chosen, options = options.get("dynamo"), {key: value for key, value in options.items() if key != "dynamo"}
    why: BaseException | None = None
    if chosen is not False:
        try:
            return export_qonnx(module, args=sample, **options)
        except Exception as error:
            why = _cause(error)
    if chosen is not True:
        try:
            wanted = _answers(module, sample)
            model = export_qonnx(module, args=sample, dynamo=False, **options)
            if not _same(model, wanted):
                raise ValueError("the graph that was traced does not give the module's answers")
        except Exception as error:
            why = why or _cause(error)
        else:
            reason = f", since the newer one fails: {visible(explain(why))}" if why else ""
            print(f"exported by PyTorch's older exporter (dynamo=False){reason}")
            return _named_by_module(model)
    assert why is not None, "an exporter was asked, and gave nothing"
    raise StepFailed(
        f"Brevitas cannot export the model to QONNX: {visible(explain(why))}",
        hint="forward() has to be traceable: no control flow that depends on data, operators that ONNX has",
    ) from why


def _named_by_module(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph of the older exporter, changed so that its nodes know their modules as those of the newer one do."""
    for node in model.graph.node:  # it names nodes by module: /features/3/Conv
        parts = node.name.strip("/").split("/")
        entry = node.metadata_props.add()
        entry.key, entry.value = SCOPES, repr(["", ".".join(parts[:-1]), parts[-1]])
    return model


def _answers(module: torch.nn.Module, sample: torch.Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """A few inputs of very different kinds, with what the module gives for them."""
    import torch

    drawn = torch.Generator().manual_seed(0)
    noise = [torch.randn(sample.shape, generator=drawn) for _ in range(4)]
    inputs = [torch.full_like(sample, 1.0), torch.full_like(sample, -1.0), *noise, -noise[0]]
    with torch.no_grad():
        outputs = [module(each) for each in inputs]
    values = [getattr(each, "value", each) for each in outputs]
    return [(each.numpy(), np.asarray(value)) for each, value in zip(inputs, values, strict=True)]


def _same(model: onnx.ModelProto, wanted: list[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether a graph gives these answers, but for a step of a quantizer here and there."""
    wrapper = cleanup_model(ModelWrapper(model, make_deepcopy=True))
    source = wrapper.graph.input[0].name
    for given, answer in wanted:
        (got,) = execute_onnx(wrapper, {source: given}).values()
        if np.abs(got - answer).mean() > 0.02 * np.abs(answer).max() + 1e-6:
            return False
    return True


def _cause(error: BaseException) -> BaseException:
    """What an exporter's error was raised from in the first place: its own text is a page on what to try."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@contextlib.contextmanager
def noting_what_ran(module: torch.nn.Module) -> Iterator[dict[str, str]]:
    """Modules with weights that are called meanwhile: their names, with the names of their classes."""
    ran: dict[str, str] = {}
    hooks = []
    for name, part in module.named_modules():
        weights = [value for value in part.parameters(recurse=False) if value.ndim > 1]
        if weights or any(word in type(part).__name__ for word in _RECURRENT):

            def note(called: Any, *_: object, name: str = name) -> None:
                ran.setdefault(name, type(called).__name__)

            hooks.append(part.register_forward_hook(note))
    try:
        yield ran
    finally:
        for hook in hooks:
            hook.remove()


def refuse_what_is_lost(model: onnx.ModelProto, ran: dict[str, str]) -> None:
    """Raise StepFailed where a module that ran has no node in the graph, and what it gave became a constant."""
    found = {name for node in model.graph.node if (name := module_of(node)) is not None}
    if not found - {""}:
        return  # an exporter that does not say
    lost = {name: kind for name, kind in ran.items() if not any(f"{each}.".startswith(f"{name}.") for each in found)}
    view = View(ModelWrapper(model))
    if lost and not (view.inputs and view.outputs and depends(view, view.outputs[0], view.inputs[0])):
        pass  # named below
    else:
        lost = {name: kind for name, kind in lost.items() if any(word in kind for word in _RECURRENT)}
    outermost = [name for name in lost if not any(name.startswith(f"{other}.") for other in lost)]
    if outermost:
        name = outermost[0]
        recurrent = any(word in lost[name] for word in _RECURRENT)
        raise StepFailed(
            f"the export left out '{name}' ({lost[name]}): it has no node in the graph, and what it computed for one "
            "sample became a constant, so that the network would give the same answer to every input",
            hint=f"FINN builds feed-forward networks: use convolutions over time (QuantConv1d) in place of {lost[name]}"
            if recurrent
            else "let forward() of that module be traceable by torch.export",
        )


def depends(view: View, tensor: str, source: str) -> bool:
    """Whether `tensor` is computed from `source`."""
    todo, seen = [tensor], set()
    while todo:
        name = todo.pop()
        if name == source:
            return True
        node = view.producer(name)
        if node is not None and id(node) not in seen:
            seen.add(id(node))
            todo += node.input
    return False
