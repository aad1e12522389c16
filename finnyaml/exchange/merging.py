"""Several drafts as one recipe with a `matrix`, where they differ in few values."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, takewhile
from math import prod
from typing import Any

from finnyaml.exchange.to_recipe import Draft
from finnyaml.exchange.written import WithVariables
from finnyaml.recipe.matrix import MOST as MOST_VARIANTS
from finnyaml.recipe.matrix import WORDS, name_of

MOST = 8
"""In so many values variants of one recipe may differ."""

ORDER = (
    "description", "matrix", "model", "preprocess", "postprocess", "steps", "folding", "specialize", "fifo", "target",
    "outputs", "finn", "when", "verify", "output",
)  # fmt: skip

Path = tuple[str, ...]
"""A place in a recipe."""

MODEL: Path = ("model", "onnx")
_FIRST: tuple[Path, ...] = (("target", "board"), ("target", "part"), MODEL)
"""What people name their builds by, first of all."""


class _Absent:
    """Where a draft has no such value."""


ABSENT = _Absent()
NONE = "none"
"""What a variable says where a draft has no value."""


def merged(drafts: Sequence[Draft], folder: str) -> list[Draft]:
    """The drafts, as few as they can be: those that differ in few values are one, with a matrix.

    `folder` is what a recipe is called where the names of its drafts have nothing in common.
    """
    groups: dict[str, list[Draft]] = {}
    for draft in drafts:
        fixed = [draft.sections.get(name) for name in ("steps", "preprocess", "postprocess")]
        groups.setdefault(_text([fixed, sorted(draft.off)]), []).append(draft)
    return [made for group in groups.values() for made in _one(_without_repeated(group, folder), folder)]


def _without_repeated(drafts: Sequence[Draft], folder: str) -> list[Draft]:
    """The drafts; those that differ only in what a recipe does not have are one, and all that is left out is said."""
    same: dict[str, list[Draft]] = {}
    for draft in drafts:
        same.setdefault(_text([draft.sections, draft.off]), []).append(draft)
    found = []
    for first, *others in same.values():
        every = [first, *others]
        first.name = common_name([draft.name for draft in every], folder)
        first.dropped = _dropped(draft.dropped for draft in every)
        first.todo = _union(draft.todo for draft in every)
        first.copies = _union(draft.copies for draft in every)
        found.append(first)
    return found


def common_name(names: Sequence[str], folder: str) -> str:
    """What names have in common at their beginning, as far as it is whole words."""
    return names[0] if len({*names}) == 1 else _beginning(names).strip("-_.") or folder


def _one(group: list[Draft], folder: str) -> Iterator[Draft]:
    table = _Table(group)
    made = table.draft(common_name([draft.name for draft in group], folder)) if table.fits else None
    if made is not None:
        yield made
        return
    by_model: dict[str, list[Draft]] = {}
    for draft in group:
        by_model.setdefault(_text(draft.sections["model"]), []).append(draft)
    for part in by_model.values():
        yield from _one(part, folder) if len(by_model) > 1 else part


@dataclass(frozen=True)
class _Axis:
    """A variable: the place of its values in the recipe (None: what else tells the drafts apart), its value in each."""

    name: str
    path: Path | None
    values: tuple[Any, ...]
    text: WithVariables | None = None
    """What stands in the recipe, with the variable in it."""


class _Table:
    """Drafts side by side: the values in which they differ, by their places, one for each draft."""

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self._drafts = drafts
        leaves = [dict(_leaves(draft.sections, ())) for draft in drafts]
        places = dict.fromkeys(place for found in leaves for place in found)
        columns = {place: tuple(found.get(place, ABSENT) for found in leaves) for place in places}
        self._same = {place: column[0] for place, column in columns.items() if len(_groups(column)) == 1}
        self._columns = {place: column for place, column in columns.items() if place not in self._same}

    @property
    def fits(self) -> bool:
        """Whether they differ in few values, and no two are the same."""
        columns = self._columns
        rows = {_text([column[index] for column in columns.values()]) for index in range(len(self._drafts))}
        texts = [value for column in columns.values() for value in column if isinstance(value, str)]
        return (
            0 < len(columns) <= MOST
            and len(rows) == len(self._drafts) <= MOST_VARIANTS
            and not any("${" in text for text in texts)
            and all(draft.off == self._drafts[0].off for draft in self._drafts)
        )

    def draft(self, name: str) -> Draft | None:
        """The recipe with a matrix; None where the models have settings of their own."""
        axes = self._axes()
        if not self._told_apart(axes):
            return None
        base: dict[Path, Any] = dict(self._same)
        conditions: dict[str, tuple[dict[str, Any], dict[Path, Any]]] = {}
        for place, column in self._columns.items():
            own = next((axis for axis in axes if axis.path == place), None)
            text = own.text if own else _template(column, axes)
            if text is not None:
                base[place] = text
                exceptions = [index for index, value in enumerate(column) if value is ABSENT]
                needed: tuple[_Axis, ...] = (own,) if own else ()
            else:
                needed = next(some for some in _subsets(axes) if _determines(some, column))
                if any(axis.path == MODEL for axis in needed):
                    return None
                usual = _usual(column)
                if usual is not ABSENT:
                    base[place] = usual
                exceptions = [index for index, value in enumerate(column) if _text(value) != _text(usual)]
            for index in exceptions:
                if_ = {axis.name: axis.values[index] for axis in needed}
                value = None if column[index] is ABSENT else column[index]
                conditions.setdefault(_text(if_), (if_, {}))[1][place] = value
        made = Draft(name, todo=_union(draft.todo for draft in self._drafts))
        made.sections = _ordered(
            {"matrix": self._matrix(axes), "when": list(_together(conditions.values()))}, _nested(base)
        )
        made.off = self._drafts[0].off
        made.copies = _union(draft.copies for draft in self._drafts)
        made.dropped = _dropped(draft.dropped for draft in self._drafts)
        remarks = _union(draft.remarks.items() for draft in self._drafts)
        made.remarks = {place: remark for place, remark in remarks if place in base or place[0] == "steps"}
        return made

    def _axes(self) -> tuple[_Axis, ...]:
        """As few values as tell the drafts apart; their names where other values do not."""
        places = [place for place in _FIRST if place in self._columns]
        others = [place for place in self._columns if place not in places]
        places += sorted(others, key=lambda place: ABSENT in self._columns[place])
        chosen: list[Path] = []
        for place in places:
            column = self._columns[place]
            if all(map(_can_be_chosen, column)) and not self._determined(column, chosen):
                chosen.append(place)
        for place in list(chosen):
            others = [other for other in chosen if other != place]
            if all(self._determined(column, others) for column in self._columns.values()):
                chosen = others
        if not all(self._determined(column, chosen) for column in self._columns.values()):
            return (_Axis("build", None, tuple(_labels([draft.name for draft in self._drafts]))),)
        taken: list[str] = []
        return tuple(self._axis(place, taken) for place in chosen)

    def _told_apart(self, axes: Sequence[_Axis]) -> bool:
        """Whether all follows from the variables, and variants can be called by them."""
        names = [name_of(row) for row in zip(*(axis.values for axis in axes), strict=True)]
        found = {name.lower() for name in names if name is not None}
        return len(found) == len(names) and all(_determines(axes, column) for column in self._columns.values())

    def _determined(self, column: tuple[Any, ...], places: Sequence[Path]) -> bool:
        return _follows([self._columns[place] for place in places], column)

    def _axis(self, place: Path, taken: list[str]) -> _Axis:
        """The variable for the values at a place; of files, without what all of their names have in common."""
        file = place[-1] == "file"
        word = "model" if place == MODEL else place[-2] if file else place[-1]
        name = word if word not in (*taken, *WORDS) else "_".join(place)
        taken.append(name)
        column = self._columns[place]
        start, end = "", ""
        if file or place == MODEL:
            texts = [value for value in column if value is not ABSENT]
            start, end = _around(texts, [draft.name for draft in self._drafts])
            column = tuple(v if v is ABSENT else v[len(start) : len(v) - len(end)] for v in column)
        values = tuple(NONE if value is ABSENT else value for value in column)
        return _Axis(name, place, values, WithVariables(f"{start}${{{name}}}{end}"))

    def _matrix(self, axes: Sequence[_Axis]) -> dict[str, Any]:
        lists = {axis.name: [*dict.fromkeys(axis.values)] for axis in axes}
        names = self._known_names(axes)
        if names is None and prod(map(len, lists.values())) == len(self._drafts):
            return lists
        rows = [{axis.name: axis.values[index] for axis in axes} for index in range(len(self._drafts))]
        return {"include": [{"name": name, **row} for name, row in zip(names, rows, strict=True)] if names else rows}

    def _known_names(self, axes: Sequence[_Axis]) -> list[str] | None:
        """What the builds were called, where one number tells them apart and they are not called by it."""
        (axis, *others) = axes
        names = [draft.name for draft in self._drafts]
        if others or axis.path in (*_FIRST, None) or len({*names}) < len(names):
            return None
        labels = _labels(names)
        return None if [*map(str.lower, labels)] == [str(value).lower() for value in axis.values] else labels


# -- values -----------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    """A text that is the same for values that are the same; `1`, `true` and `"1"` are not."""
    return json.dumps(value, sort_keys=True, default=str)


def _leaves(value: Any, place: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*place, str(key)))
    else:
        yield place, value


def _groups(column: Iterable[Any]) -> set[str]:
    return {"" if value is ABSENT else _text(value) for value in column}


def _follows(columns: Sequence[tuple[Any, ...]], column: tuple[Any, ...]) -> bool:
    """Whether equal values in `columns` mean equal ones in `column`."""
    seen: dict[str, Any] = {}
    rows = (_text([_groups([other[index]]).pop() for other in columns]) for index in range(len(column)))
    return all(
        _groups([seen.setdefault(row, value), value]) == _groups([value])
        for row, value in zip(rows, column, strict=True)
    )


def _determines(axes: Sequence[_Axis], column: tuple[Any, ...]) -> bool:
    return _follows([axis.values for axis in axes], column)


def _subsets(axes: Sequence[_Axis]) -> Iterator[tuple[_Axis, ...]]:
    for size in range(1, len(axes) + 1):
        yield from combinations(axes, size)


def _can_be_chosen(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) < 100 and value != NONE and "\n" not in value
    return value is ABSENT or isinstance(value, int | float)


def _usual(column: tuple[Any, ...]) -> Any:
    """The value that most drafts have, the first of several."""
    counted = Counter("" if value is ABSENT else _text(value) for value in column)
    most = counted.most_common(1)[0][0]
    return next(value for value in column if _groups([value]) == {most})


def _template(column: tuple[Any, ...], axes: Sequence[_Axis]) -> WithVariables | None:
    """A text with variables in it that gives all these values."""
    found = set()
    for index, value in enumerate(column):
        text = value if isinstance(value, str) else ""
        for axis in sorted(axes, key=lambda axis: -len(str(axis.values[index]))):
            part = axis.values[index]
            if isinstance(part, str) and len(part) > 1:
                pieces = re.split(r"(\$\{\w+\})", text)
                text = "".join(p if p.startswith("${") else p.replace(part, f"${{{axis.name}}}") for p in pieces)
        found.add(text)
    (text, *others) = found
    return WithVariables(text) if text and not others else None


# -- words ------------------------------------------------------------------------------------------------------------


def _common(texts: Sequence[str]) -> str:
    return "".join(signs[0] for signs in takewhile(lambda signs: len({*signs}) == 1, zip(*texts, strict=False)))


def _beginning(names: Sequence[str]) -> str:
    """What names have in common at their beginning, up to where a word ends in all of them."""
    start = _common(names)
    if all(name[len(start) :][:1] in ("", "-", "_", ".") for name in names):
        return start
    return start[: max(start.rfind(sign) for sign in "-_.") + 1]


def _around(texts: Sequence[str], names: Sequence[str]) -> tuple[str, str]:
    """The folder and the ending that file names have in common; both empty where nothing would be left of one.

    What is left is what the builds are called by, if that is in their `names`.
    """
    before = "".join(_common(texts).rpartition("/")[:2])
    ending = _common([text[::-1] for text in texts])[::-1]
    found = [ending[sign.start() :] for sign in re.finditer(r"[-_.]", ending)]
    endings = [after for after in found if all(len(text) > len(before) + len(after) for text in texts)]
    for after in reversed(endings):
        if len(texts) == len(names) and all(
            text[len(before) : -len(after)] in name for text, name in zip(texts, names, strict=True)
        ):
            return before, after
    return (before, endings[0]) if endings else ("", "")


def _labels(names: Sequence[str]) -> list[str]:
    """Names without what all of them begin and end with."""
    start = len(_beginning(names))
    rest = [name[start:].strip("-_.") for name in names]
    return rest if all(rest) and len({*map(str.lower, rest)}) == len(rest) else list(names)


# -- the recipe -------------------------------------------------------------------------------------------------------


def _nested(leaves: Mapping[Path, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place, value in leaves.items():
        inside = found
        for key in place[:-1]:
            inside = inside.setdefault(key, {})
        inside[place[-1]] = value
    return found


def _ordered(made: Mapping[str, Any], sections: Mapping[str, Any]) -> dict[str, Any]:
    every = {**made, **sections}
    return {name: every[name] for name in ORDER if every.get(name) not in (None, [], {})}


def _together(conditions: Iterable[tuple[dict[str, Any], dict[Path, Any]]]) -> Iterator[dict[str, Any]]:
    """Entries of `when:`; values of one variable that want the same are one entry."""
    listed: dict[str, tuple[str, list[Any], dict[str, Any]]] = {}
    for if_, leaves in conditions:
        then = _nested(leaves)
        if len(if_) > 1:
            yield {"if": if_, "then": then}
            continue
        ((name, value),) = if_.items()
        listed.setdefault(_text([name, then]), (name, [], then))[1].append(value)
    for name, values, then in listed.values():
        yield {"if": {name: values[0] if len(values) == 1 else values}, "then": then}


def _union(lists: Iterable[Iterable[Any]]) -> list[Any]:
    found: list[Any] = []
    for items in lists:
        found += [item for item in items if item not in found]
    return found


def _dropped(lists: Iterable[Iterable[tuple[str, str]]]) -> list[tuple[str, str]]:
    """What is left out: an option with several values once, with all of them."""
    values: dict[tuple[str, str], list[str]] = {}
    for what, why in _union(lists):
        option, _, value = what.partition(": ")
        values.setdefault((option, why), []).append(value)
    return [(f"{option}: {', '.join(found)}" if any(found) else option, why) for (option, why), found in values.items()]
