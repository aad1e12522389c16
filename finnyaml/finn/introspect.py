"""Ask the installed FINN what it has, and take its phases apart. Runs inside workers."""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import inspect
import operator
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any

from finnyaml.finn.catalog import Catalog, Field, FinnStep, Phase
from finnyaml.finn.door import Finn, open_door

FILE_SUFFIXES = ("_file", "_path", "_npy")
"""FINN annotates some file names as plain `str`; these endings give them away."""

WHOLE = "all"
"""The index of a segment that is the whole phase."""

_Kind = tuple[str, "tuple[str, ...]", "str | None"]


def catalog(finn: Finn, identity: str, distribution: str, version: str) -> Catalog:
    """Everything that a recipe can name of this FINN."""
    return Catalog(
        identity=identity,
        distribution=distribution,
        version=version,
        fields=_fields(finn.config_class),
        steps={name: FinnStep(name, _summary(step), step.__module__) for name, step in finn.steps.items()},
        phases={name: _phase(name, function, finn) for name, function in finn.phases.items()},
        flows=_flows(finn.config_module, finn),
        boards=dict(finn.boards),
        datatypes=tuple(finn.datatypes),
        points={point: name for name, step in finn.steps.items() for point in _points(step)},
        shells=dict(finn.shells),
        outputs=_outputs(finn),
    )


def _fields(config_class: type) -> dict[str, Field]:
    hints = typing.get_type_hints(config_class)
    docs = _field_docs(config_class)
    fields = {}
    for item in dataclasses.fields(config_class):
        optional, hint = _strip_optional(hints[item.name])
        kind, choices, inner = _kind(item.name, hint)
        default, doc = plain(_default(item)), docs.get(item.name, "")
        fields[item.name] = Field(item.name, kind, optional, default, choices, inner, doc, _member_names(hint))
    return fields


def _default(item: dataclasses.Field[Any]) -> Any:
    if item.default is not dataclasses.MISSING:
        return item.default
    if item.default_factory is not dataclasses.MISSING:
        return item.default_factory()
    return None


def plain(value: Any) -> Any:
    """The JSON form of a configuration value, as a recipe would write it (an enum member by its value)."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return repr(value)


def _strip_optional(hint: Any) -> tuple[bool, Any]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        return len(members) < len(typing.get_args(hint)), functools.reduce(operator.or_, members)
    return False, hint


def _kind(name: str, hint: Any) -> _Kind:
    """(kind, choices, kind of list items) of one annotation."""
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    members = arguments if origin in (typing.Union, types.UnionType) else (hint,)
    if origin is typing.Literal:
        return "enum", tuple(str(plain(value)) for value in arguments), None
    if origin is list:
        inner, choices, _ = _kind(name, arguments[0]) if arguments else ("object", (), None)
        return "list", choices, inner
    if origin is tuple:
        return "list", (), "object"
    if origin is dict:
        return "dict", (), None
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return "enum", tuple(str(member.value) for member in hint), None
    if any(isinstance(member, type) and issubclass(member, PurePath) for member in members):
        return "path", (), None
    if hint is str and name.endswith(FILE_SUFFIXES):
        return "path", (), None
    return hint.__name__ if hint in (bool, int, float, str) else "object", (), None


def _member_names(hint: Any) -> tuple[str, ...]:
    """What Python calls the choices of an enum, or of a list of them."""
    if typing.get_origin(hint) is list:
        return _member_names(typing.get_args(hint)[0]) if typing.get_args(hint) else ()
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return tuple(member.name for member in hint)
    return ()


def _field_docs(config_class: type) -> dict[str, str]:
    """The `#:` comments above each field: FINN's own documentation of its options."""
    try:
        lines = inspect.getsource(config_class).splitlines()
    except OSError:
        return {}
    docs: dict[str, str] = {}
    comment: list[str] = []
    for line in lines:
        text = line.strip()
        if text.startswith("#:"):
            comment.append(text[2:].strip())
            continue
        name, separator, _ = text.partition(":")
        if separator and comment and name.isidentifier():
            docs[name] = " ".join(comment)
        comment = []
    return docs


def _summary(function: Any) -> str:
    return " ".join((inspect.getdoc(function) or "").split())


def _points(step: Any) -> list[str]:
    """The verification points of a step: the names it hands to FINN's `verify_step`."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(step)))
    except (OSError, TypeError, SyntaxError):
        return []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "verify_step"]
    return [
        argument.value
        for call in calls
        for argument in (*call.args, *(keyword.value for keyword in call.keywords))
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]


def _outputs(finn: Finn) -> dict[str, tuple[str, ...]]:
    """Each output with the steps that make it: those that begin with a question whether it is asked for."""
    names = {member: str(kind.value) for member, kind in finn.config_module.DataflowOutputType.__members__.items()}
    makers: dict[str, tuple[str, ...]] = {}
    for name, step in finn.steps.items():
        try:
            (function,) = ast.parse(textwrap.dedent(inspect.getsource(step))).body
        except (OSError, TypeError, SyntaxError, ValueError):
            continue
        tests = [statement.test for statement in getattr(function, "body", ()) if isinstance(statement, ast.If)]
        asked = {node.attr for test in tests for node in ast.walk(test) if isinstance(node, ast.Attribute)}
        for output in sorted(asked & names.keys()):
            makers[names[output]] = (*makers.get(names[output], ()), name)
    return makers


def _flows(module: types.ModuleType, finn: Finn) -> dict[str, tuple[str, ...]]:
    """Every list of steps that FINN's configuration module defines, by the name FINN gave it.

    `estimate_only_dataflow_steps` is the flow `estimate_only`, `default_build_dataflow_steps` the flow `default`.
    """
    flows = {}
    for name, value in vars(module).items():
        if not (isinstance(value, list) and value and name.endswith("_steps")):
            continue
        if all(isinstance(step, str) and (step in finn.steps or step in finn.phases) for step in value):
            short = name.removesuffix("_steps").removesuffix("_dataflow").removesuffix("_build")
            flows[short] = tuple(value)
    return flows


def _phase(name: str, function: Any, finn: Finn) -> Phase:
    """Split a phase into its top-level statements, so that each step in it is cached on its own.

    A statement `model = wrapper(step_x, model, cfg)` is the step; statements with conditions or loops become a segment,
    which runs as one task exactly as FINN wrote it. A phase whose statements hang together is one segment.
    """
    parts = [("segment", WHOLE)]
    statements = phase_statements(function)
    if _separable(statements):
        steps = [_called_step(statement, finn) for statement in statements]
        parts = [("step", step) if step else ("segment", str(index)) for index, step in enumerate(steps)]
    return Phase(name, _summary(function), function.__module__, tuple(parts))


def _separable(statements: Sequence[ast.stmt]) -> bool:
    """Whether only `model` goes from each statement to the next: no other variable, no early return."""
    bound: set[str] = set()
    for statement in statements:
        nodes = list(ast.walk(statement))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        if any(isinstance(node, ast.Return) for node in nodes) or bound.intersection(node.id for node in names):
            return False
        bound.update(node.id for node in names if not isinstance(node.ctx, ast.Load))
        for node in nodes:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                bound.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                bound.add(node.name)
        bound.discard("model")
    return True


def phase_statements(function: Any) -> list[ast.stmt]:
    """The statements of a phase, without docstring and final `return model`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    body = typing.cast(ast.FunctionDef, tree.body[0]).body
    return [
        statement
        for statement in body
        if not isinstance(statement, ast.Return)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    ]


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


def _called_step(statement: ast.stmt, finn: Finn) -> str | None:
    """The step of `model = step_x(model, cfg)` or `model = wrapper(step_x, model, cfg)`; None for anything else."""
    if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)):
        return None
    if [ast.unparse(target) for target in statement.targets] != ["model"]:
        return None
    call = statement.value
    names = [node.id if isinstance(node, ast.Name) else "" for node in (call.func, *call.args)]
    if call.keywords or names[-2:] != ["model", "cfg"] or len(names) not in (3, 4):
        return None
    return names[-3] if names[-3] in finn.steps else None
