"""One document out of many places: `extends`, `--set`, variables.

The order: the extended recipes from the root to the leaf, merged; then every `--set`; then the matrix and what
`when` lays over each variant of it; then variables. So a derived recipe or an option can change a variable that a base
uses.

Paths are relative to the file that wrote them. Whoever resolves one takes the folder of its position,
`node.where.file.parent`; that is why a value from `--set` claims to be in a file named `--set` in the recipe's folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.files import kind_of
from finnyaml.recipe.document import parse, read
from finnyaml.recipe.matrix import ALL, Variant, Wanted, chosen, lists_of, variants
from finnyaml.recipe.node import MAX_DEPTH, MAX_NODES, Node, merge
from finnyaml.recipe.paths import is_file, is_folder, located, similar_file
from finnyaml.recipe.schema import strict_schema
from finnyaml.recipe.trials import tried
from finnyaml.recipe.validate import structure
from finnyaml.recipe.variables import Variables
from finnyaml.recipe.where import fitting
from finnyaml.recipe.words import dotted, kind
from finnyaml.text import did_you_mean, quoted

OPTION = "--set"
"""The file name in the position of a value that came from the command line; its line says which option it was."""


@dataclass(frozen=True)
class Composed:
    """The whole document, still with positions, and what it was made of."""

    root: Node
    files: tuple[Path, ...]
    """The recipe, then what it extends, up to the root."""
    env: Mapping[str, str]
    """The environment variables that were used."""
    unresolved: frozenset[Where]
    """Where a variable could not be substituted; that is among the problems already."""
    variant: str | None = None
    """The name of the variant; None for a recipe without a matrix."""
    variants: tuple[str, ...] = ()
    """The names of all variants."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The values of this variant, and below all that there are, from the lists of the matrix."""
    lists: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """What is wrong with its variables."""


def compose(
    path: Path, sets: Sequence[str], environ: Mapping[str, str], problems: list[Problem], wanted: Wanted = ALL
) -> list[Composed]:
    """Read the recipe at the absolute `path` with all it extends, apply `sets`, substitute variables.

    One document for each variant of its matrix that is `wanted`, or the one of a recipe without a matrix. What is wrong
    with all of them but does not hide the rest goes to `problems`.

    Raises:
        RecipeError: with `problems`, where a file cannot be read as a recipe, or there is no such variant.

    What chooses the variants is checked once, and then is an empty section in each of them.
    """
    chain = _chain(path, problems)
    root = chain[-1][1]
    for _, derived in reversed(chain[:-1]):
        root = merge(root, derived)
    for number, option in enumerate(sets, start=1):
        root = assign(root, option, Where(path.parent / OPTION, number, 1), problems)
    _check_sets(root, sets, path, problems)
    _check_size(root, path, problems)
    every = variants(root, environ, problems, wanted.tried or _tried(root, path.parent))
    try:
        found = chosen(every, wanted.patterns)
    except RecipeError as error:
        raise RecipeError([*problems, *error.problems]) from None
    files = tuple(file for file, _ in chain)
    names = tuple(variant.name for variant in every if variant.name is not None)
    found = found or [Variant(None, root)]  # of a matrix without variants the rest is checked all the same
    known = {problem.where for problem in problems}
    choosing = structure(_only(root, CHOOSING), schema=_schema_of(CHOOSING))
    problems += [fault.problem for fault in choosing if fault.problem.where not in known]
    lists = {name: tuple(node.plain() for node in nodes) for name, nodes in lists_of(root.get("matrix")).items()}
    made = [_composed(variant, names, lists, files, environ, problems) for variant in found]
    return _fitting(made, wanted, problems)


def _tried(root: Node, folder: Path) -> tuple[Mapping[str, Any], ...] | None:
    """What a search has tried, where the recipe has one."""
    output = root.get("output")
    place = "build" if output is None else output.value
    return tried(folder / place) if root.get("search") is not None and isinstance(place, str) else None


CHOOSING = ("matrix", "when")
NOT_OF_A_VARIANT = (*CHOOSING, "objectives", "search")
"""What chooses and compares variants; what it says of one variant has become part of that."""


def _only(root: Node, names: Sequence[str]) -> Node:
    fields = root.value if isinstance(root.value, dict) else {}
    return Node.of({name: fields[name] for name in names if name in fields}, root.where, root.key)


def _schema_of(names: Sequence[str]) -> dict[str, Any]:
    known = strict_schema()
    return {"properties": {name: known["properties"][name] for name in names}, "$defs": known["$defs"]}


def _fitting(made: list[Composed], wanted: Wanted, problems: list[Problem]) -> list[Composed]:
    """The variants for which the conditions of the command line hold."""
    if not wanted.where:
        return made
    if made[0].variant is None:
        raise RecipeError([*problems, Problem("--where: the recipe has no `matrix:`, so it has no variants")])
    documents = []
    for each in made:
        document = each.root.plain()
        documents.append({name: value for name, value in document.items() if name not in NOT_OF_A_VARIANT})
    return [made[at] for at in fitting(wanted.where, documents)]


def _composed(
    variant: Variant,
    names: tuple[str, ...],
    lists: Mapping[str, tuple[Any, ...]],
    files: tuple[Path, ...],
    environ: Mapping[str, str],
    common: list[Problem],
) -> Composed:
    problems: list[Problem] = []
    _check_size(variant.root, files[0], common)
    variables = Variables(variant.root, environ, problems)
    root = variables.apply(variant.root)
    unresolved = frozenset(variables.unresolved)
    if variant.name is None and root.get("matrix") is not None:
        problems = []  # what is wrong is the matrix, and its variables are not there for that
    assert isinstance(root.value, dict)
    fields = dict(root.value)
    for name in CHOOSING:
        if node := fields.get(name):
            fields[name] = Node(None, node.place, node.key)
    root = Node.of(fields, root.where, root.key)
    chosen_values = dict(variant.values)
    return Composed(root, files, variables.used, unresolved, variant.name, names, chosen_values, lists, tuple(problems))


def _check_size(root: Node, path: Path, problems: list[Problem]) -> None:
    if root.size > MAX_NODES:
        message = f"more than {MAX_NODES} values together with the recipes that it extends"
        raise RecipeError([*problems, Problem(message, Where(path, 1, 1))])


def _check_sets(root: Node, sets: Sequence[str], path: Path, problems: list[Problem]) -> None:
    """A variable of the matrix has its value from there, so an option that sets it would do nothing."""
    for number, option in enumerate(sets, start=1):
        parts = option.partition("=")[0].strip().split(".")
        if parts[0] == "vars" and len(parts) > 1 and root.get("matrix", parts[1]):
            message = f"{OPTION} {quoted(option)}: `matrix` gives `{parts[1]}` its values"
            hint = f"choose variants with `--variant`, or set the list: {OPTION} matrix.{parts[1]}=[...]"
            problems.append(Problem(message, Where(path.parent / OPTION, number, 1), hint))


def assign(root: Node, option: str, where: Where, problems: list[Problem]) -> Node:
    """Apply one `path=value`: the path is dotted, with indexes into lists; the value is YAML.

    Mappings that the path needs are made; null removes what is there. An option that cannot be applied is added
    to `problems` and changes nothing.
    """
    path, equals, text = option.partition("=")
    parts = path.strip().split(".")
    found: list[Problem] = []
    if not equals or not all(parts):
        hint = "for example --set folding.target_fps=2000"
        found.append(Problem(f"{quoted(option)} is not of the form path=value", where, hint))
    elif parts[0] == "extends":
        found.append(Problem("`extends` cannot be set from the command line", where, "write a small recipe for it"))
    elif len(parts) > MAX_DEPTH:
        found.append(Problem(f"the path has more than {MAX_DEPTH} parts", where))
    else:
        try:
            value = parse(text, where.file, found) or Node(None, where)
            root = _assigned(root, parts, (), value.moved(where), where)
        except RecipeError as error:
            found = list(error.problems)
        except _Unfit as unfit:
            found.append(Problem(*unfit.args))
    problems.extend(replace(problem, where=where, message=_naming(option, problem.message)) for problem in found)
    return root


def _naming(option: str, message: str) -> str:
    return message if quoted(option) in message else f"{OPTION} {quoted(option)}: {message}"


class _Unfit(Exception):
    """A `--set` path that leads nowhere: (message, where, hint)."""


def _assigned(node: Node, parts: list[str], done: tuple[str, ...], value: Node, where: Where) -> Node:
    """`node` with `value` at `parts`; `done` are the parts that led to `node`."""
    if not parts:
        return value
    head, rest = parts[0], parts[1:]
    if isinstance(node.value, list):
        if not head.isdecimal() or int(head) >= len(node.value):
            count = len(node.value)
            hint = f"its indexes are 0 to {count - 1}" if count else "it is empty"
            raise _Unfit(f"{dotted(done)} is a list of {count} and has no {quoted(head)}", where, hint)
        items = list(node.value)
        items[int(head)] = _assigned(items[int(head)], rest, (*done, head), value, where)
        return Node.of(items, node.where, node.key)
    if not isinstance(node.value, dict | None):
        raise _Unfit(f"{dotted(done)} is {kind(node.plain())}, not a mapping", where, f"set {dotted(done)} itself")
    fields = dict(node.value or {})
    if not rest and value.value is None and head in fields:
        del fields[head]
    else:
        child = fields.get(head, Node(None, where, where))
        fields[head] = _assigned(child, rest, (*done, head), value, where)
    return Node.of(fields, node.where, node.key)


def _chain(path: Path, problems: list[Problem]) -> list[tuple[Path, Node]]:
    """The recipe and what it extends, each without its `extends` key, the root last."""
    chain: list[tuple[Path, Node]] = []
    while True:
        node = read(path, problems)
        assert isinstance(node.value, dict)
        items = dict(node.value)
        extends = items.pop("extends", None)
        chain.append((path, Node.of(items, node.where)))
        if extends is None or extends.value is None:
            return chain
        path = _base(extends, [file for file, _ in chain], problems)


def _base(extends: Node, files: list[Path], problems: list[Problem]) -> Path:
    """The file that the last of `files` extends. Raises RecipeError if that is not possible."""
    text, where = extends.value, extends.where

    def fail(message: str, hint: str | None) -> RecipeError:
        return RecipeError([*problems, Problem(message, where, hint)])

    if not isinstance(text, str):
        message = f"`extends` must be the path of one recipe, not {kind(extends.plain())}"
        raise fail(message, "extends: ../base/recipe.yaml")
    if "${" in text:
        raise fail("`extends` cannot use variables: they exist only after the recipes are merged", "write the path out")
    base = located(where.file.parent, text)
    if is_folder(base):
        inside = did_you_mean("recipe.yaml", [name.name for name in base.iterdir() if name.suffix in (".yaml", ".yml")])
        raise fail(f"`extends` names the folder {quoted(text)}, not a recipe", inside)
    if not is_file(base):
        if found := kind_of(base):
            raise fail(f"`extends` names {quoted(text)}, which is {found}, not a recipe", "name the file of a recipe")
        raise fail(f"the extended recipe {quoted(text)} does not exist", similar_file(base))
    for index, file in enumerate(files):
        if base.samefile(file):
            cycle = " -> ".join(os.path.relpath(step, files[0].parent) for step in [*files[index:], file])
            raise fail(f"recipes extend each other in a cycle: {cycle}", "one of them must not extend another")
    return base
