"""One recipe that stands for many: `matrix:` makes variants of its variables, `when:` lays settings over them.

Combinations follow GitHub Actions: the product of the lists; without what an entry of `exclude` fits; then each entry
of `include` adds its variables to all combinations of the product whose values from the lists it leaves as they are. An
entry that fits none of them is a further combination.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import chain, islice, product
from math import prod
from typing import Any

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.recipe.node import Node, merge
from finnyaml.recipe.paths import LONGEST_ID
from finnyaml.recipe.variables import Variables
from finnyaml.recipe.words import kind
from finnyaml.text import did_you_mean, either, quoted

MOST = 1024
"""So many variants a recipe may have; planning takes some milliseconds for each. Of more, `search` tries some."""

WORDS = ("include", "exclude", "name")
"""Keys of `matrix:` that are not variables."""

FIXED = ("extends", "name", "env", "matrix", "when", "output", "objectives", "search")
"""Sections that no condition can change: they are read before, say which variant it is, or compare variants."""

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]*")

Values = Mapping[str, Node]


@dataclass(frozen=True)
class Variant:
    """A recipe with the values of one combination among its `vars`, and all that `when:` lays over it.

    `name` is None for a recipe without a matrix. `values` are those that it has from the lists of the matrix.
    """

    name: str | None
    root: Node
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """Which variants are asked for: all whose names fit one of the patterns, and for which every condition holds.

    `where` are conditions as the command line has them (`recipe.where`). `tried` are the combinations that a search is
    about, each with a value from every list; None where the recipe itself says which there are.
    """

    patterns: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    tried: tuple[Mapping[str, Any], ...] | None = None


ALL = Wanted()


def lists_of(matrix: Node | None) -> dict[str, list[Node]]:
    """The variables of a matrix that have a list of values."""
    written = matrix.value if matrix is not None and isinstance(matrix.value, dict) else {}
    named = {name: node.value for name, node in written.items() if name not in WORDS and _NAME.fullmatch(name)}
    return {name: value for name, value in named.items() if isinstance(value, list)}


def variants(
    root: Node,
    environ: Mapping[str, str],
    problems: list[Problem],
    tried: Sequence[Mapping[str, Any]] | None = None,
) -> list[Variant]:
    """The variants of a recipe, in the order of its matrix; without one, the recipe itself.

    Of a recipe with a `search`, those that were `tried` and are not excluded; where none is, the first of all stands
    for the others. What is wrong with `matrix` and `when` goes to `problems`, as far as the schema cannot say it.
    """
    matrix = root.get("matrix")
    searched = root.get("search") is not None
    if matrix is None or not isinstance(matrix.value, dict):
        found = [Variant(None, root)]
    else:
        some = _picked(lists_of(matrix), tried or ()) if searched else None
        combinations = list(_combinations(matrix, problems, some))
        if searched and not combinations:
            combinations = list(islice(_first(matrix), 1))
        found = [_variant(root, matrix, values, lists, environ, problems) for values, lists in combinations]
        _check_names(found, matrix, problems)
    return _Conditions(root, environ, problems).applied(found, warn=matrix is not None and not searched)


def chosen(found: Sequence[Variant], patterns: Sequence[str]) -> list[Variant]:
    """The variants whose names fit one of the patterns (`*`, `?`, `[...]`); all where there is none.

    Raises:
        RecipeError: a pattern fits no variant.
    """
    names = [variant.name for variant in found if variant.name is not None]
    if patterns and not names:
        raise RecipeError([Problem("--variant: the recipe has no `matrix:`, so it has no variants")])
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            message = f"--variant {quoted(pattern)}: there is no such variant"
            raise RecipeError([Problem(message, hint=did_you_mean(pattern, names, 3))])
    wanted = patterns or ["*"]
    return [item for item in found if item.name is None or any(fnmatchcase(item.name, each) for each in wanted)]


Combination = tuple[dict[str, Node], tuple[str, ...]]
"""The values of a variant, and which of them give it its name."""


def _picked(lists: Mapping[str, Sequence[Node]], tried: Sequence[Mapping[str, Any]]) -> list[dict[str, Node]]:
    """The combinations that were tried, as far as the lists still have their values."""
    known = {name: {_text(node): node for node in values} for name, values in lists.items()}
    texts = [{name: json.dumps(value, sort_keys=True) for name, value in values.items()} for values in tried]
    fitting = [one for one in texts if all(name in one and one[name] in nodes for name, nodes in known.items())]
    return [{name: nodes[one[name]] for name, nodes in known.items()} for one in fitting]


def _first(matrix: Node) -> Iterator[Combination]:
    """Combinations of a search that is too large to make them all: the first values, the second ones, ..., and others.

    So one that is not excluded is among the first few.
    """
    lists = lists_of(matrix)
    longest = max(map(len, lists.values()), default=0)
    ranks = ([values[rank % len(values)] for values in lists.values() if values] for rank in range(longest))
    for values in chain(ranks, islice(product(*lists.values()), MOST)):
        yield from _combinations(matrix, [], [dict(zip(lists, values, strict=True))])


def _combinations(
    matrix: Node, problems: list[Problem], searched: list[dict[str, Node]] | None = None
) -> Iterator[Combination]:
    """Every combination of values, or of those that are `searched`."""
    assert isinstance(matrix.value, dict)
    written = {name: node.value for name, node in matrix.value.items() if name not in WORDS}
    lists = lists_of(matrix)
    if searched is None and prod(map(len, lists.values())) > MOST:
        problems.append(_too_many(matrix))
        return
    if searched is None:
        made = [dict(zip(lists, values, strict=True)) for values in product(*lists.values())] if lists else []
    else:
        made = searched
    for entry in _entries(matrix, "exclude"):
        stray = [name for name in entry if name not in lists]
        fits = [values for values in made if not stray and _fits(entry, values)]
        for name in stray:
            hint = did_you_mean(name, lists)
            problems.append(Problem(f"`exclude`: the matrix has no list {quoted(name)}", _key(entry[name]), hint))
        if not fits and not stray and entry and searched is None:
            where = _key(next(iter(entry.values())))
            message, hint = "`exclude` leaves out nothing: no combination has these values", "correct or remove it"
            problems.append(Problem(message, where, hint, "warning"))
        made = [values for values in made if values not in fits]
    added = []
    for entry in _entries(matrix, "include"):
        shared = {name: node for name, node in entry.items() if name in lists}
        among = [position for position, values in enumerate(made) if _fits(shared, values)]
        if searched is not None:
            if away := next((node for name, node in shared.items() if not _is_among(node, lists[name])), None):
                hint = "put the value into the list of the variable"
                message = "`include` fits no combination, and a search tries only what the lists have"
                problems.append(Problem(message, _key(away), hint))
        elif not among:
            added.append((dict(entry), tuple(entry)))
        for position in among:
            made[position] = {**made[position], **entry}
    found = [*((values, tuple(lists)) for values in made), *added]
    if len(found) > MOST:
        problems.append(_too_many(matrix))
    elif (
        not found and searched is None and all(lists.get(name) for name in written)
    ):  # else the schema says what is wrong
        hint = "a variable with a list of values, or `include`"
        problems.append(Problem("the matrix has no variants", matrix.place, hint))
    yield from found[:MOST]


def _too_many(matrix: Node) -> Problem:
    hint = "leave some out, or have some of them tried: `search: {trials: 100}`"
    return Problem(f"the matrix has more than {MOST} variants", matrix.place, hint)


def _entries(matrix: Node, word: str) -> Iterator[dict[str, Node]]:
    node = matrix.get(word)
    for entry in node.value if node and isinstance(node.value, list) else ():
        if isinstance(entry.value, dict):
            yield entry.value


def _fits(entry: Values, values: Values) -> bool:
    return all(name in values and _same(node, values[name]) for name, node in entry.items())


def _same(one: Node, other: Node) -> bool:
    """Whether two values are the same; `1`, `true` and `"1"` are not."""
    return _text(one) == _text(other)


def _is_among(node: Node, values: Iterable[Node]) -> bool:
    return any(_same(node, each) for each in values)


def _text(node: Node) -> str:
    return json.dumps(node.plain(), sort_keys=True)


def _key(node: Node) -> Where:
    return node.key or node.where


def _variant(
    root: Node,
    matrix: Node,
    values: dict[str, Node],
    naming: tuple[str, ...],
    environ: Mapping[str, str],
    problems: list[Problem],
) -> Variant:
    """The recipe with these values among its variables. What gives it its name is substituted for that."""
    own = values.pop("name", None)
    plain = {name: values[name].plain() for name in lists_of(matrix) if name in values}
    given = root.get("vars")
    before = given.value if given and isinstance(given.value, dict) else {}
    fields = {**(root.value if isinstance(root.value, dict) else {})}
    place = given or matrix
    fields["vars"] = Node.of({**before, **values}, place.where, place.key)
    made = Node.of(fields, root.where, root.key)
    variables = Variables(made, environ, problems)
    template = own or matrix.get("name")
    if template is not None:
        return Variant(_clean([variables.resolved(template)], template.where, problems), made, plain)
    parts = [variables.resolved(values[name]) for name in naming if name != "name"]
    return Variant(_clean(parts, matrix.place, problems), made, plain)


def name_of(values: Iterable[object]) -> str | None:
    """What a variant with these values is called; None where that is nothing that a folder can be called."""
    words = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(words)).strip("-.")
    return name if name and len(os.fsencode(name)) <= LONGEST_ID else None


def _clean(parts: Sequence[Node], where: Where, problems: list[Problem]) -> str | None:
    """The name that these values make: a folder is called so. None where they make none."""
    for part in parts:
        if isinstance(part.value, dict | list | None):
            message = f"{kind(part.plain())} cannot be part of the name of a variant"
            problems.append(Problem(message, part.where, "say how variants are called: `name: ${board}-${net}`"))
            return None
    words = [part.value for part in parts]
    name = name_of(words)
    if name is None:
        message = f"a variant cannot be called {quoted('-'.join(map(str, words)))}"
        hint = f"its name is that of a folder: 1 to {LONGEST_ID} letters, digits, `.`, `_` and `-`"
        problems.append(Problem(message, where, hint))
        return None
    return name


def _check_names(found: Sequence[Variant], matrix: Node, problems: list[Problem]) -> None:
    seen: set[str] = set()
    for name in (variant.name.lower() for variant in found if variant.name):  # some file systems know no case
        if name in seen:
            where = (matrix.get("name") or matrix).place
            hint = "give `matrix` a `name:` with every variable that tells them apart, such as `name: ${board}-${fps}`"
            problems.append(Problem(f"two variants are called {quoted(name)}", where, hint))
        seen.add(name)


class _Conditions:
    """`when:` of one recipe."""

    def __init__(self, root: Node, environ: Mapping[str, str], problems: list[Problem]) -> None:
        when = root.get("when")
        items = when.value if when and isinstance(when.value, list) else []
        self._entries = [
            (condition, then)
            for item in items
            if (condition := item.get("if")) and (then := item.get("then"))
            if isinstance(condition.value, dict) and isinstance(then.value, dict)
        ]
        self._environ = environ
        self._problems = problems
        self._held: set[int] = set()
        self._known: set[str] = set()

    def applied(self, found: Sequence[Variant], *, warn: bool) -> list[Variant]:
        """The variants with what holds for them laid over; `warn` of what holds for none."""
        if not self._entries:
            return list(found)
        for _, then in self._entries:
            for name in FIXED:
                if node := then.get(name):
                    message = f"`{name}` cannot be laid over by a condition"
                    self._problems.append(Problem(message, _key(node), "write it at the top of the recipe"))
        done = [replace(variant, root=self._over(variant.root)) for variant in found]
        for index, (condition, _) in enumerate(self._entries):
            assert isinstance(condition.value, dict)
            unknown = [name for name in condition.value if name not in self._known]
            for name in unknown:
                hint = did_you_mean(name, self._known) or "define it under `vars:` or `matrix:`"
                self._problems.append(
                    Problem(f"there is no variable {quoted(name)}", _key(condition.value[name]), hint)
                )
            if warn and not unknown and index not in self._held:
                message = f"this holds for no variant: none has {_told(condition)}"
                self._problems.append(Problem(message, condition.place, "correct or remove it", "warning"))
        return done

    def _over(self, root: Node) -> Node:
        for index, (condition, then) in enumerate(self._entries):
            assert isinstance(condition.value, dict)
            variables = Variables(root, self._environ, [])  # what is wrong with them is said where they are used
            self._known.update(variables.names)
            if all(self._holds(name, node, variables) for name, node in condition.value.items()):
                self._held.add(index)
                kept = {name: node for name, node in then.children() if name not in FIXED}
                root = merge(root, Node.of({str(name): node for name, node in kept.items()}, then.where, then.key))
        return root

    def _holds(self, name: str, node: Node, variables: Variables) -> bool:
        value = variables.value(name)
        wanted = node.value if isinstance(node.value, list) else [node]
        return value is not None and any(_same(value, each) for each in wanted)


def _told(condition: Node) -> str:
    assert isinstance(condition.value, dict)
    parts = []
    for name, node in condition.value.items():
        values = node.value if isinstance(node.value, list) else [node]
        parts.append(f"{name} = {either(str(value.plain()) for value in values)}")
    return " and ".join(parts)
