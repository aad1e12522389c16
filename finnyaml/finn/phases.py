"""Running a part of a FINN phase. Runs inside workers."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any

from finnyaml.finn.door import open_door
from finnyaml.finn.introspect import WHOLE, phase_statements


def segment(phase: str, index: str) -> Callable[[Any, Any], Any]:
    """The statement `index` of a phase as a function `(model, cfg) -> model` in the phase's own module.

    A phase is a row of steps, some under conditions that depend on the model; those cannot be told apart before the
    model is there. So the statement itself runs, unchanged, as one task.
    """
    function = open_door().phases[phase]
    if index == WHOLE:
        return function
    statement = phase_statements(function)[int(index)]
    module = ast.parse("def part(model, cfg):\n    return model")
    definition = module.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.body.insert(0, statement)
    namespace = dict(vars(sys.modules[function.__module__]))
    exec(compile(ast.fix_missing_locations(module), f"<{phase}>", "exec"), namespace)  # noqa: S102 - FINN's own source
    return namespace["part"]  # type: ignore[no-any-return]
