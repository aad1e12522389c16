"""A step of the recipe's author."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnyaml.steps import code
from finnyaml.worker.context import Context, code_ref, made_model, needed_model

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> ModelWrapper:
    """Call code of the user: `function(model, cfg, **with)`."""
    function = code.load_function(code_ref(context), context.recipe_dir)
    return made_model(function(needed_model(context), context.config(), **context.params["with"]), context)
