"""Ask the installed FINN what it has, and take its phases apart. Runs inside workers."""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import importlib.util
import inspect
import operator
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any

from finnyaml.finn import own_checks
from finnyaml.finn.catalog import Catalog, Field, FinnStep, Phase
from finnyaml.finn.door import Finn, StepFunction, open_door, rtl_source

FILE_SUFFIXES = ("_file", "_path", "_npy")
"""FINN annotates some file names as plain `str`; these endings give them away."""

LAUNCH = "launch_process_helper"
"""What FINN's module of the stitching starts Vivado with, where `finnyaml.finn.stitched` can stand in for that."""

MINIMAL_FIFOS = "force_minimal_fifos"
"""FINN's strategy that puts in FIFOs without sizing them."""

WHOLE = "all"
"""The index of a segment that is the whole phase."""

_Kind = tuple[str, "tuple[str, ...]", "str | None"]

Around = Callable[[str, StepFunction], StepFunction]
"""What is called in place of a step, of its name and the step."""


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
        lacks=_lacks(finn),
        checks=own_checks.there(),
    )


def _lacks(finn: Finn) -> tuple[str, ...]:
    """What the open RTL path needs of FINN and this one does not have."""
    stitching = sys.modules.get("finn.transformation.fpgadataflow.create_stitched_ip")
    strategies = getattr(finn.config_module, "AutoFIFOSizingMethod", None)
    needs = {
        "finn.util.settings": importlib.util.find_spec("finn.util.settings"),
        "finn.xsi": importlib.util.find_spec("finn.xsi"),
        "fifo.sv": rtl_source("fifo/hdl/fifo.sv"),
        f"{LAUNCH} in create_stitched_ip": stitching and hasattr(stitching, LAUNCH),
        f"the FIFO strategy {MINIMAL_FIFOS}": strategies and MINIMAL_FIFOS in [member.value for member in strategies],
    }
    return tuple(name for name, found in needs.items() if not found)


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

    A statement `model = wrapper(step_x, model, cfg)` is the step. Conditions, loops and the like become a segment,
    which runs as one task exactly as FINN wrote it, together with the statements that make the variables it uses.
    """
    statements = phase_statements(function)
    parts = []
    for first, last in _groups(function, statements):
        step = _called_step(statements[first], finn) if first == last else None
        parts.append(("step", step) if step else ("segment", str(first) if first == last else f"{first}-{last}"))
    return Phase(name, _summary(function), function.__module__, tuple(parts or [("segment", WHOLE)]))


def _groups(function: Any, statements: Sequence[ast.stmt]) -> list[tuple[int, int]]:
    """The first and the last statement of each part: only `model` goes from one part to another, no other variable.

    None where no statement can be told from the others: one may end the phase early, variables go through all of it, or
    it has names of its own for the model and the configuration.
    """
    nodes = [list(ast.walk(statement)) for statement in statements]
    if any(isinstance(node, ast.Return) for inside in nodes for node in inside):
        return []
    if list(inspect.signature(function).parameters) != ["model", "cfg"]:
        return []
    used = [{node.id for node in inside if isinstance(node, ast.Name)} for inside in nodes]
    groups: list[tuple[int, int]] = []
    for index, inside in enumerate(nodes):
        bound = _bound(inside) - {"model"}
        last = max((other for other, names in enumerate(used) if other > index and bound & names), default=index)
        if groups and index <= groups[-1][1]:
            groups[-1] = (groups[-1][0], max(last, groups[-1][1]))
        else:
            groups.append((index, last))
    return [] if groups == [(0, len(statements) - 1)] and len(statements) > 1 else groups


def _bound(nodes: Sequence[ast.AST]) -> set[str]:
    """The names that a statement binds."""
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            bound.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound.add(node.name)
    return bound


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


def segment(phase: str, index: str, around: Around = lambda name, step: step) -> Callable[[Any, Any], Any]:
    """The statements `index` ("2", "2-3") of a phase as a function `(model, cfg) -> model` of the phase's own module.

    A phase is a row of steps, some under conditions that depend on the model; those cannot be told apart before the
    model is there. So the statements themselves run, unchanged, as one task. `around` gives what is called in place of
    each step of FINN.
    """
    finn = open_door()
    function = finn.phases[phase]
    namespace = dict(vars(sys.modules[function.__module__]))
    known = {id(step): (name, step) for name, step in finn.steps.items()}
    namespace |= {name: around(*known[id(value)]) for name, value in namespace.items() if id(value) in known}
    if index == WHOLE:
        return types.FunctionType(function.__code__, namespace, phase, function.__defaults__, function.__closure__)
    first, _, last = index.partition("-")
    module = ast.parse("def part(model, cfg):\n    return model")
    definition = module.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.body[:0] = phase_statements(function)[int(first) : int(last or first) + 1]
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
