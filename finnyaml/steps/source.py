"""Where a model comes from: a Brevitas module or an ONNX file, made into one clean QONNX graph.

Runs in a worker. torch and Brevitas, which take seconds, are imported where they are used.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnx import external_data_helper as external
from qonnx.core import data_layout
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.make_input_chanlast import MakeInputChannelsLast
from qonnx.util.cleanup import cleanup_model

from finnyaml.errors import StepFailed
from finnyaml.graph.origin import SCOPES
from finnyaml.graph.view import View
from finnyaml.recipe.model import InputSpec
from finnyaml.steps import exporting
from finnyaml.steps.code import explain
from finnyaml.steps.joined import cast_mixed
from finnyaml.text import did_you_mean

if TYPE_CHECKING:
    import torch


def export_brevitas(
    factory: Callable[..., Any],
    args: Mapping[str, Any],
    weights: Path | None,
    weights_key: str | None,
    shape: Sequence[int],
    options: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """Make the module, load its weights and export it to QONNX in eval mode.

    Equal source, arguments and weights give an equal graph: without a weights file the initial weights come from a
    fixed seed, and metadata that holds paths of this machine is dropped.

    The factory returns a `torch.nn.Module` when called with `args`. Of the checkpoint `weights` only tensors are read,
    its pickled code is never run; `weights_key` is its entry with the state dict (None: it is the state dict). `shape`
    is that of the module's float32 input, batch first (NCHW for images). `options` are for Brevitas' export.

    Raises:
        StepFailed: whatever of this the user can mend, told with their file and line.
    """
    import torch

    module = load_module(factory, args, weights, weights_key)
    sample = torch.zeros(*shape)
    try:
        with torch.no_grad(), exporting.noting_what_ran(module) as ran:
            module(sample)
    except Exception as error:
        raise StepFailed(
            f"the model does not take an input of shape {list(shape)}: {explain(error)}",
            hint="model.input.shape is the shape that forward() gets, the batch first: [1, channels, height, width]",
        ) from error
    model = exporting.export(module, sample, options or {})
    exporting.refuse_what_is_lost(model, ran)
    return _without_traces_of_this_machine(model)


def load_module(
    factory: Callable[..., Any], args: Mapping[str, Any], weights: Path | None, weights_key: str | None
) -> torch.nn.Module:
    """Make the module and load its weights; in eval mode. Arguments and errors as for `export_brevitas`."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = _make(factory, args)
    if weights is not None:
        _load_weights(module, _read_checkpoint(weights), weights, weights_key)
    return module.eval()


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read an ONNX file of any dialect; tensors that it keeps in files beside it are taken in (`external_files`).

    What the ONNX checker objects to is a warning only: it does not know the operators of QONNX and FINN.

    Raises:
        StepFailed: not readable, no ONNX, or its external data is missing or outside its folder.
    """
    model = _parse(path)
    for file in external_files(path, model):
        if not file.is_file():
            raise StepFailed(
                f"{path} keeps tensors in {file.name}, and that file is not there",
                hint="keep both files together, or save the model as one: onnx.save(onnx.load(...), ...)",
            )
    try:
        external.load_external_data_for_model(model, str(path.parent))
    except Exception as error:
        names = ", ".join(file.name for file in external_files(path, model)) or "the model itself"
        raise StepFailed(
            f"{path} keeps tensors in {names}, and they cannot be read from there: {_first_line(error)}",
            hint="copy all its files again, or save the model as one: onnx.save(onnx.load(...), ...)",
        ) from error
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        warnings.warn(f"{path.name}: the ONNX checker objects: {error}", stacklevel=2)
    return model


def external_files(path: Path, model: onnx.ModelProto | None = None) -> list[Path]:
    """The files beside `path` that hold tensors of it, sorted: they are read along with it.

    Raises:
        StepFailed: not readable, no ONNX, or a file is outside the folder of `path`.
    """
    names = {
        _location(path, tensor)
        for tensor in external._get_all_tensors(model if model is not None else _parse(path))
        if external.uses_external_data(tensor)
    }
    for name in names:
        if not (path.parent / name).resolve().is_relative_to(path.parent.resolve()):
            raise StepFailed(
                f"{path} keeps tensors in {name}: refused, since that is outside the folder of the model",
                hint="save the model as one file: onnx.save(onnx.load(...), ...)",
            )
    return sorted(path.parent / name for name in names)


def _location(path: Path, tensor: onnx.TensorProto) -> str:
    """The file that holds a tensor, as the model names it."""
    try:
        location = external.ExternalDataInfo(tensor).location
        (path.parent / location).resolve()  # else it is not a name
        return str(location)
    except (TypeError, ValueError) as error:
        raise StepFailed(
            f"{path} does not say properly where it keeps a tensor: {_first_line(error)}",
            hint="the file is damaged: copy it again, or save the model as one: onnx.save(onnx.load(...), ...)",
        ) from error


def annotate_input(model: onnx.ModelProto, spec: InputSpec) -> ModelWrapper:
    """Clean the graph up and write on its one input what the recipe says of the data.

    The input is called `global_in` afterwards, as FINN wants. Data that arrives channels-last (NHWC, NWC) for a model
    that wants channels first gets a transpose at the front of the graph; the input then has the shape of the data.

    Raises:
        StepFailed: not exactly one input and one output, an input that is not float32, a shape that is not fixed or not
            the recipe's, an unknown datatype, or a layout or datatype that contradicts the model's own.
    """
    try:
        wrapper = ModelWrapper(model)
    except Exception as error:
        raise StepFailed(f"qonnx cannot take the model: {explain(error)}") from error
    _fix_shape(wrapper, _only_input(wrapper), spec.shape)
    _refuse_constant(wrapper)
    datatype = find_datatype(spec.datatype) if spec.datatype else None
    try:
        wrapper = cleanup_model(wrapper)
    except Exception as error:
        raise StepFailed(f"qonnx cannot clean the model up: {explain(error)}") from error
    if spec.layout:
        wrapper = _deliver(wrapper, spec.layout)
    if datatype:
        name = wrapper.graph.input[0].name
        own = wrapper.get_tensor_datatype(name)
        if own.name not in ("FLOAT32", datatype.name):
            raise StepFailed(
                f"the model says that its input is {own.name}, the recipe says {datatype.name}",
                hint="values of one are not values of the other; change model.input.datatype or the model",
            )
        wrapper.set_tensor_datatype(name, datatype)
    cast_mixed(wrapper)
    return wrapper


def find_datatype(name: str) -> Any:
    """The QONNX datatype of this name (UINT8, BIPOLAR, FIXED<8,4>, ...).

    Raises:
        StepFailed: there is none; with the nearest name.
    """
    try:
        datatype = DataType[name]
        if datatype.bitwidth() < 1:
            raise ValueError("no bits")
        return datatype
    except Exception as error:
        common = [*DataType.get_accumulator_dt_cands(), "FLOAT32", "FLOAT16"]
        near = did_you_mean(name.upper(), common)
        hint = near if near and near.startswith("did") else "for example UINT8, INT4, BIPOLAR, FIXED<8,4>, FLOAT32"
        raise StepFailed(f"'{name}' is not a datatype of QONNX", hint=hint) from error


def transformed(model: ModelWrapper, *transformations: Any) -> ModelWrapper:
    """The model after these transformations of QONNX or FINN, nodes and tensors named anew."""
    for transformation in (*transformations, GiveUniqueNodeNames(), GiveReadableTensorNames()):
        model = model.transform(transformation)
    return model


def _make(factory: Callable[..., Any], args: Mapping[str, Any]) -> torch.nn.Module:
    import torch

    name = getattr(factory, "__name__", repr(factory))
    try:
        signature = inspect.signature(factory)
        signature.bind(**args)
    except TypeError as error:
        known = [name for name, kind in signature.parameters.items() if kind.kind is not kind.VAR_KEYWORD]
        unknown = [given for given in args if given not in known]
        hint = did_you_mean(unknown[0], known) if unknown else None
        raise StepFailed(f"{name}{signature} cannot be called with model.args: {error}", hint=hint) from error
    except ValueError:
        pass  # some callables written in C do not tell their signature
    try:
        module = factory(**args)
    except (Exception, SystemExit) as error:
        raise StepFailed(f"{name}() failed: {explain(error)}") from error
    if not isinstance(module, torch.nn.Module):
        is_class = isinstance(module, type) and issubclass(module, torch.nn.Module)
        hint = "return an instance, not the class" if is_class else "return the module alone"
        raise StepFailed(f"{name}() returned {_kind(module)}, not a torch.nn.Module", hint=hint)
    return module


def _read_checkpoint(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        hint = "write it again with torch.save(model.state_dict(), path)"
        raise StepFailed(f"cannot read the weights {path}: {error.strerror or error}", hint=hint) from error
    except Exception as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code:
            raise StepFailed(
                f"{path} holds more than tensors: loading it would run '{code[1]}'. Refused, nothing of it was run",
                hint="save the tensors alone: torch.save(model.state_dict(), path)",
            ) from error
        raise StepFailed(
            f"{path} is not a PyTorch checkpoint, or a damaged one; nothing of it was run ({_reason(error)})",
            hint="write it with torch.save(model.state_dict(), path)",
        ) from error


def _reason(error: Exception) -> str:
    """What torch says, without its advice to load the file unsafely."""
    inner = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))
    return inner[1] if inner else f"{type(error).__name__}: {_first_line(error)}"


def _load_weights(module: torch.nn.Module, checkpoint: Any, path: Path, key: str | None) -> None:
    if not isinstance(checkpoint, Mapping):
        raise StepFailed(
            f"{path} holds {_kind(checkpoint)}, not a state dict",
            hint="write it with torch.save(model.state_dict(), path)",
        )
    state = checkpoint
    if key is not None:
        if key not in checkpoint:
            names = [str(name) for name in checkpoint][:20]
            raise StepFailed(f"{path} has no '{key}' (model.weights_key)", hint=did_you_mean(key, names))
        state = checkpoint[key]
        if not isinstance(state, Mapping):
            raise StepFailed(f"'{key}' of {path} is {_kind(state)}, not a state dict")
    try:
        module.load_state_dict(state)
    except Exception as error:
        nested = [str(name) for name, value in state.items() if isinstance(value, Mapping)]
        hint = "does model.args describe the network that was trained?"
        if nested:
            hint = f"is the state dict inside? model.weights_key: {' or '.join(nested)}"
        elif state and all(str(name).startswith("module.") for name in state):
            hint = "it was saved from DataParallel: save model.module.state_dict()"
        problems = [line.strip()[:400] for line in str(error).splitlines()[1:]] or [explain(error)]
        raise StepFailed(f"the weights {path} do not fit the model:\n  " + "\n  ".join(problems), hint=hint) from error


def _without_traces_of_this_machine(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter notes on source files and its intermediate forms: graphs are compared by content."""
    del model.metadata_props[:]
    graph = model.graph
    for item in (graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    for node in graph.node:
        scopes = [entry for entry in node.metadata_props if entry.key == SCOPES]
        del node.metadata_props[:]
        node.metadata_props.extend(scopes)
        node.doc_string = ""
    return model


def _parse(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
    except OSError as error:
        hint = "is the path right, and may you read the file?"
        raise StepFailed(f"cannot read the model {path}: {error.strerror or error}", hint=hint) from error
    except Exception as error:
        raise StepFailed(f"{path} is not an ONNX model: {_first_line(error)}", hint=_what_it_is(path)) from error
    if not model.ir_version or not model.graph.node:
        raise StepFailed(f"{path} is not an ONNX model: there is no graph in it", hint=_what_it_is(path))
    return model


def _what_it_is(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "the file is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: fetch the file with `git lfs pull`"
    if start.startswith((b"PK", b"\x80")):
        return "it looks like a PyTorch checkpoint: that is model.brevitas with model.weights"
    return "export the model with brevitas.export.export_qonnx"


def _only_input(wrapper: ModelWrapper) -> Any:
    """The graph's input, an `onnx.ValueInfoProto`. StepFailed unless it has one float32 input, and one output."""
    view = View(wrapper)
    for ends, word in ((view.inputs, "inputs"), (view.outputs, "outputs")):
        if len(ends) != 1:
            raise StepFailed(f"the model has {len(ends)} {word} ({', '.join(ends) or 'none'}); finnyaml builds for one")
    tensor = next(tensor for tensor in wrapper.graph.input if tensor.name == view.inputs[0])
    kind = tensor.type.tensor_type.elem_type
    if kind != onnx.TensorProto.FLOAT:
        types = onnx.TensorProto.DataType
        name = types.Name(kind).lower() if kind in types.values() else f"type {kind}"
        raise StepFailed(
            f"the model's input '{tensor.name}' is an ONNX {name}; FINN keeps integers in float32 tensors",
            hint="export with a float32 input and say model.input.datatype (UINT8, ...) in the recipe",
        )
    return tensor


def _refuse_constant(wrapper: ModelWrapper) -> None:
    """Raise StepFailed where the output does not depend on the input: no build could be right."""
    view = View(wrapper)
    if not exporting.depends(view, view.outputs[0], view.inputs[0]):
        raise StepFailed(
            f"the output '{view.outputs[0]}' of the model does not depend on its input '{view.inputs[0]}'",
            hint="a part of the network was lost when it was exported, or its result is not returned",
        )


def _fix_shape(wrapper: ModelWrapper, tensor: Any, wanted: Sequence[int] | None) -> None:
    """Check the input's shape against the recipe's; a dimension that the model leaves open takes the recipe's."""
    dims = tensor.type.tensor_type.shape.dim
    open_dims = [index for index, dim in enumerate(dims) if dim.dim_value <= 0]
    text = [dim.dim_value if dim.dim_value > 0 else dim.dim_param or "?" for dim in dims]
    if wanted is None:
        if open_dims or not dims:
            raise StepFailed(
                f"the model's input '{tensor.name}' has the open shape {text}; FINN builds for a fixed one",
                hint="say model.input.shape in the recipe",
            )
        return
    fits = len(dims) == len(wanted) and all(dim.dim_value in (size, 0) for dim, size in zip(dims, wanted, strict=True))
    if not fits and dims:
        raise StepFailed(
            f"the model's input '{tensor.name}' has the shape {text}, the recipe says {list(wanted)}",
            hint="model.input.shape is the model's own shape, whatever the layout of the data is",
        )
    if open_dims or not dims:
        wrapper.set_tensor_shape(tensor.name, list(wanted))
        del wrapper.graph.value_info[:]  # shapes that followed from the open one
        for output in wrapper.graph.output:
            output.type.tensor_type.ClearField("shape")


def _deliver(wrapper: ModelWrapper, layout: str) -> ModelWrapper:
    name = wrapper.graph.input[0].name
    shape = wrapper.get_tensor_shape(name)
    known = ["NCHW", "NHWC", "NCW", "NWC", "NC", "N"]
    if layout not in known:
        raise StepFailed(f"'{layout}' is not a layout", hint=did_you_mean(layout.upper(), known))
    if len(layout) != len(shape):
        raise StepFailed(f"the layout {layout} has {len(layout)} dimensions, the input {shape} has {len(shape)}")
    if len(shape) < 2:
        return wrapper
    own = wrapper.get_tensor_layout(name)
    channels_last = data_layout.get_channels_last_layout_for_ndims(len(shape))
    if own == channels_last != list(layout):
        raise StepFailed(
            f"the model says that its input is {''.join(own)}, the recipe says that the data is {layout}",
            hint=f"deliver the data as {''.join(own)}",
        )
    if list(layout) == channels_last and layout != "NC":
        return transformed(wrapper, MakeInputChannelsLast())
    wrapper.set_tensor_layout(name, list(layout))
    return wrapper


def _kind(value: object) -> str:
    return "nothing (None)" if value is None else f"a {type(value).__name__}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
