"""How each kind of task runs, inside a worker: from the model of the tasks before it to the model it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import CodeRef, InputSpec, Processing

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


@dataclass
class Context:
    """What a runner is given.

    `config` makes the recording build configuration; `file` turns an `@recipe/...` name into a path,
    and notes it as read.
    """

    uses: str
    params: Mapping[str, Any]
    model: ModelWrapper | None
    config: Callable[[], Any]
    file: Callable[[str], Path]
    recipe_dir: Path


def brevitas(context: Context) -> ModelWrapper:
    """Export a Brevitas module to QONNX and annotate its input."""
    from finnyaml.steps import code, source

    params = context.params
    spec = _input_spec(params)
    factory = code.load_function(_code_ref(context), context.recipe_dir)
    weights = context.file(params["weights"]) if params.get("weights") else None
    proto = source.export_brevitas(factory, params["args"], weights, params.get("weights_key"), spec.shape or ())
    return source.annotate_input(proto, spec)


def onnx(context: Context) -> ModelWrapper:
    """Read an ONNX file, QONNX or FINN dialect, and annotate its input."""
    from finnyaml.steps import source

    proto = source.read_onnx(context.file(context.params["file"]))
    return source.annotate_input(proto, _input_spec(context.params))


def processing(context: Context) -> ModelWrapper:
    """Merge pre- or post-processing stages into the graph."""
    from finnyaml.steps import processing as stages

    model = _needed_model(context)
    listed = [_stage(context, item) for item in context.params["stages"]]
    if context.uses == "preprocess":
        return stages.preprocess(model, listed, _input_spec(context.params), context.recipe_dir)
    return stages.postprocess(model, listed, context.recipe_dir)


def finn_step(context: Context) -> ModelWrapper:
    """Call a step function of the installed FINN."""
    from finnyaml.finn.door import open_door

    return _checked(open_door().steps[context.uses](_needed_model(context), context.config()), context)


def finn_segment(context: Context) -> ModelWrapper:
    """Run one compound statement of a FINN phase, exactly as FINN wrote it."""
    from finnyaml.finn.phases import segment

    phase, index = context.params["phase"], context.params["index"]
    return _checked(segment(phase, index)(_needed_model(context), context.config()), context)


def custom(context: Context) -> ModelWrapper:
    """Call code of the user: `function(model, cfg, **with)`."""
    from finnyaml.steps import code

    function = code.load_function(_code_ref(context), context.recipe_dir)
    return _checked(function(_needed_model(context), context.config(), **context.params["with"]), context)


RUNNERS: Mapping[str, Callable[[Context], Any]] = {
    "brevitas": brevitas,
    "onnx": onnx,
    "processing": processing,
    "finn": finn_step,
    "segment": finn_segment,
    "code": custom,
}


def _import_finn() -> None:
    from finnyaml.finn import misfits
    from finnyaml.finn.door import open_door

    _ = open_door().steps
    misfits.install()


def _import_brevitas() -> None:
    import brevitas.export  # noqa: F401


def _import_config() -> None:
    import qonnx.core.modelwrapper  # noqa: F401

    from finnyaml.finn.door import open_door

    _ = open_door().config_module


WARM_UP: Mapping[str, Callable[[], None]] = {
    "brevitas": _import_brevitas,
    "code": _import_config,
    "finn": _import_finn,
    "segment": _import_finn,
}
"""Slow imports that a kind of task needs, done before its clock starts."""


def _needed_model(context: Context) -> ModelWrapper:
    if context.model is None:
        raise StepFailed(f"{context.uses} needs a model, and no task before it made one")
    return context.model


def _checked(result: Any, context: Context) -> ModelWrapper:
    from qonnx.core.modelwrapper import ModelWrapper

    if isinstance(result, ModelWrapper):
        return result
    got = "None" if result is None else f"a {type(result).__name__}"
    raise StepFailed(
        f"{context.uses} returned {got} instead of a ModelWrapper",
        hint="a step ends with `return model`",
    )


def _input_spec(params: Mapping[str, Any]) -> InputSpec:
    data = params["input"]
    return InputSpec(tuple(data["shape"]) if data["shape"] else None, data["datatype"], data["layout"])


def _code_ref(context: Context, data: Mapping[str, Any] | None = None) -> CodeRef:
    data = data or context.params["code"]
    file = context.file(data["file"]) if data.get("file") else None
    return CodeRef(data["text"], data["function"], file, data.get("module"))


def _stage(context: Context, data: Mapping[str, Any]) -> Processing:
    return Processing(
        kind=data["kind"],
        options=data["options"],
        code=_code_ref(context, data["code"]) if data.get("code") else None,
        file=context.file(data["file"]) if data.get("file") else None,
    )
