"""A step function of the installed FINN."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from finnyaml.finn import specialize, target
from finnyaml.finn.door import open_door
from finnyaml.worker import layers
from finnyaml.worker.context import Context, made_model, needed_model

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> ModelWrapper:
    """Call the step; where a style of layers is preferred, settle which layers get it."""
    step, model = open_door().steps[context.uses], needed_model(context)
    if context.params.get("prefer"):
        return _specialized(context, step, model)
    with layers.reused(context):
        return made_model(step(model, context.config()), context)


def _specialized(context: Context, step: Callable[..., Any], model: ModelWrapper) -> ModelWrapper:
    """Layers in the style that the recipe prefers; the report and the log say why the others are not."""
    style, config = context.params["prefer"], context.config()
    asked = specialize.prefer(model, style)
    in_hls = specialize.wanted_in_hls(asked, config.specialize_layers_config_file)
    specialized = made_model(step(asked, config), context)
    settled = specialize.settle(specialized, target.part_and_clock(config)[0], in_hls)
    path = context.root / "out" / "report" / "layer_styles.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settled.styles, indent=1) + "\n")
    others = [item for item in settled.styles if item["style"] != style]
    for item in others:
        print(f"{item['node']} ({item['op_type']}) is made in {item['style'].upper()}: {item['why']}")
    context.metrics["styles"] = {"preferred": style, "layers": len(settled.styles), "others": len(others)}
    return settled.model
