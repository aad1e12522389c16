"""An exact repair: one of finnyaml (`finnyaml.steps.builtin`) or a plug-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnyaml.steps.builtin import STEPS
from finnyaml.steps.code import load_function
from finnyaml.worker.context import Context, code_ref, needed_model
from finnyaml.worker.functions import function_of

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> ModelWrapper:
    """Make an exact change to the graph and say what was changed."""
    own = STEPS.get(context.uses)
    function = function_of(own.function) if own else load_function(code_ref(context), context.recipe_dir)
    repaired = function(needed_model(context))
    for sentence in (*repaired.changes, *repaired.notes):
        print(sentence)
    context.metrics["changes"] = len(repaired.changes)
    return repaired.model
