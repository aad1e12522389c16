"""An exact repair (`finnyaml.steps.builtin`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnyaml.steps.builtin import STEPS
from finnyaml.worker.context import Context, needed_model
from finnyaml.worker.functions import function_of

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> ModelWrapper:
    """Make an exact change to the graph and say what was changed."""
    repaired = function_of(STEPS[context.uses].function)(needed_model(context))
    for sentence in (*repaired.changes, *repaired.notes):
        print(sentence)
    context.figures["changes"] = len(repaired.changes)
    return repaired.model
