"""How each kind of task runs, inside a worker: from the model of the tasks before it to the model it makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from finnyaml.errors import StepFailed
from finnyaml.worker import delivery, open_rtl, verification
from finnyaml.worker.context import Context, code_ref, input_spec, needed_model, processing_stage

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def brevitas(context: Context) -> ModelWrapper:
    """Export a Brevitas module to QONNX and annotate its input."""
    from finnyaml.steps import code, source

    params = context.params
    spec = input_spec(params)
    factory = code.load_function(code_ref(context), context.recipe_dir)
    weights = context.file(params["weights"]) if params.get("weights") else None
    proto = source.export_brevitas(factory, params["args"], weights, params.get("weights_key"), spec.shape or ())
    return source.annotate_input(proto, spec)


def onnx(context: Context) -> ModelWrapper:
    """Read an ONNX file, QONNX or FINN dialect, and annotate its input."""
    from finnyaml.steps import source

    proto = source.read_onnx(context.file(context.params["file"]))
    return source.annotate_input(proto, input_spec(context.params))


def processing(context: Context) -> ModelWrapper:
    """Merge pre- or post-processing stages into the graph."""
    from finnyaml.steps import processing as stages

    model = needed_model(context)
    listed = [processing_stage(context, item) for item in context.params["stages"]]
    if context.uses == "preprocess":
        return stages.preprocess(model, listed, input_spec(context.params), context.recipe_dir)
    return stages.postprocess(model, listed, context.recipe_dir)


def finn_step(context: Context) -> ModelWrapper:
    """Call a step function of the installed FINN."""
    from finnyaml.finn.door import open_door

    step, model = open_door().steps[context.uses], needed_model(context)
    if context.params.get("toolchain") == "open":
        from finnyaml.finn import xsi

        open_rtl.refuse_hls(model, context.uses)
        with xsi.installed(context.cache):
            return _checked(step(model, context.config()), context)
    if context.params.get("prefer"):
        return _specialized(context, step, model)
    return _checked(step(model, context.config()), context)


def _specialized(context: Context, step: Callable[..., Any], model: ModelWrapper) -> ModelWrapper:
    """Layers in the style that the recipe prefers; the report and the log say why the others are not."""
    from finnyaml.finn import specialize, target

    style, config = context.params["prefer"], context.config()
    asked = specialize.prefer(model, style)
    in_hls = specialize.wanted_in_hls(asked, config.specialize_layers_config_file)
    specialized = _checked(step(asked, config), context)
    settled = specialize.settle(specialized, target.part_and_clock(config)[0], in_hls)
    path = context.root / "out" / "report" / "layer_styles.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settled.styles, indent=1) + "\n")
    others = [item for item in settled.styles if item["style"] != style]
    for item in others:
        print(f"{item['node']} ({item['op_type']}) is made in {item['style'].upper()}: {item['why']}")
    context.figures["styles"] = {"preferred": style, "layers": len(settled.styles), "others": len(others)}
    return settled.model


def finn_segment(context: Context) -> ModelWrapper:
    """Run one compound statement of a FINN phase, exactly as FINN wrote it."""
    from finnyaml.finn.phases import segment

    phase, index = context.params["phase"], context.params["index"]
    return _checked(segment(phase, index)(needed_model(context), context.config()), context)


def repair(context: Context) -> ModelWrapper:
    """Make an exact change to the graph (`finnyaml.steps.repairs`), and say what was changed."""
    from finnyaml.steps import repairs

    repaired = getattr(repairs, context.uses)(needed_model(context))
    for sentence in (*repaired.changes, *repaired.notes):
        print(sentence)
    context.figures["changes"] = len(repaired.changes)
    return repaired.model


def lint(context: Context) -> None:
    """Ask the rules about graphs that lie among the staged inputs; the figures hold what they find, by task."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.lint.graph import Stage, check

    told = {}
    for item in context.params["stages"]:
        model = ModelWrapper(str(context.root / "inputs" / item["file"]))
        stage = Stage(item["task"], item["uses"], item["config"], frozenset(item["after"]), item["data_dtype"])
        told[item["task"]] = [finding.plain() for finding in check(model, stage)]
    context.figures["findings"] = told


def custom(context: Context) -> ModelWrapper:
    """Call code of the user: `function(model, cfg, **with)`."""
    from finnyaml.steps import code

    function = code.load_function(code_ref(context), context.recipe_dir)
    return _checked(function(needed_model(context), context.config(), **context.params["with"]), context)


RUNNERS: Mapping[str, Callable[[Context], Any]] = {
    "brevitas": brevitas,
    "onnx": onnx,
    "processing": processing,
    "finn": finn_step,
    "segment": finn_segment,
    "code": custom,
    "repair": repair,
    "rtl": open_rtl.rtl,
    "rtl_simulation": open_rtl.rtl,
    "lint": lint,
    "reference": verification.reference,
    "torch_reference": verification.reference,
    "verify": verification.verify,
    "bisect": verification.bisect,
    "contract": delivery.contract,
    "bundle": delivery.bundle,
}


def _import_finn() -> None:
    from finnyaml.finn import invalid_settings
    from finnyaml.finn.door import open_door

    _ = open_door().steps
    invalid_settings.install()


def _import_brevitas() -> None:
    import brevitas.export  # noqa: F401


def _import_config() -> None:
    import qonnx.core.modelwrapper  # noqa: F401

    from finnyaml.finn.door import open_door

    _ = open_door().config_module


WARM_UP: Mapping[str, Callable[[], None]] = {
    "brevitas": _import_brevitas,
    "bundle": _import_config,
    "code": _import_config,
    "finn": _import_finn,
    "rtl": _import_finn,
    "rtl_simulation": _import_finn,
    "segment": _import_finn,
    "torch_reference": _import_brevitas,
}
"""Slow imports that a kind of task needs, done before its clock starts."""


def _checked(result: Any, context: Context) -> ModelWrapper:
    from qonnx.core.modelwrapper import ModelWrapper

    if isinstance(result, ModelWrapper):
        return result
    got = "None" if result is None else f"a {type(result).__name__}"
    raise StepFailed(
        f"{context.uses} returned {got} instead of a ModelWrapper",
        hint="a step ends with `return model`",
    )
