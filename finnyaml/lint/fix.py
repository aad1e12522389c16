"""The edit of a recipe that puts a repair in: as text, with everything else left as it was written.

Only data and text here, no FINN: whether the flow has the step that the repair comes after shows when the plan is made.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from finnyaml.errors import Problem, RecipeError
from finnyaml.files import content
from finnyaml.recipe.build import default_id
from finnyaml.recipe.compose import compose
from finnyaml.recipe.document import parse
from finnyaml.recipe.model import Recipe
from finnyaml.recipe.node import merge
from finnyaml.recipe.validate import structure

Span = yaml.Node
"""A piece of the text with its marks."""


class ByHand(Exception):
    """The edit cannot be made by machine; the message says what to do instead."""


@dataclass(frozen=True)
class Proposal:
    """A recipe file as it is and as it should be."""

    path: Path
    before: str
    after: str

    def diff(self, base: Path | None = None) -> str:
        """The unified diff, the file named relative to `base` (default: the current folder)."""
        name = os.path.relpath(self.path, base or Path.cwd())
        lines = (self.before.splitlines(keepends=True), self.after.splitlines(keepends=True))
        made = difflib.unified_diff(*lines, f"a/{name}", f"b/{name}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in made)


def has_step(recipe: Recipe, repair: str) -> bool:
    """Whether the recipe runs the step `repair` already."""
    return any(default_id(entry.uses) == repair for entry in recipe.steps.written)


def propose_for(path: Path, repair: str, place: str, environ: Mapping[str, str] | None = None) -> Proposal:
    """The edit of the recipe at `path` that runs `repair` at a place: "after tidy_up", "before qonnx_to_finn".

    Raises:
        ByHand: the recipe's form does not let it be done by machine.
        RecipeError: the recipe does not load as it is.
    """
    text = content(path, follow=True).decode("utf-8")
    composed = compose(path, (), os.environ if environ is None else environ, [])[0]  # the steps of the first variant
    assert isinstance(composed.root.value, dict)
    steps = composed.root.value.get("steps")
    edited = propose(text, repair, place, inherited=None if steps is None else steps.plain())
    faults = structure(merge(composed.root, _without_extends(edited, path)))
    if faults:
        raise ByHand(f"insert {repair} {place} by hand: {faults[0].problem.message}")
    return Proposal(path, text, edited)


def propose(text: str, repair: str, place: str, inherited: Any = None) -> str:
    """The text of a recipe with the step `repair` put in at a place, comments and all else kept.

    The place is "after tidy_up" (or `tidy_up` alone) or "before qonnx_to_finn".

    `inherited` is the plain value of `steps` with what the recipe extends; it counts where `text` has no steps.

    Raises:
        ByHand: no place for it that is certain, or an edit that would change more than the steps.
        RecipeError: `text` is not a recipe.
    """
    body = text.removeprefix("\ufeff")
    plain = _plain(body)
    root = yaml.compose(body, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    side, _, step = place.rpartition(" ")
    edit = _Edit(body, repair, side or "after", step)
    written = next((pair for pair in root.value if pair[0].value == "steps"), None)
    if written is None:
        wanted = edit.added(root, inherited)
    elif isinstance(written[1], yaml.ScalarNode):
        wanted = edit.scalar(*written)
    elif isinstance(written[1], yaml.MappingNode):
        wanted = edit.mapping(written[1], plain["steps"], inherited)
    else:
        wanted = edit.listed(written[1], plain["steps"])
    # What has been written must be what was meant, whatever else the text holds (aliases, say).
    try:
        got = _plain(edit.text)
    except RecipeError as error:
        raise edit.by_hand("the recipe would not load any more") from error
    if got != {**plain, "steps": wanted}:
        raise edit.by_hand("its steps are written in a way that cannot be edited by machine")
    return text[: len(text) - len(body)] + edit.text


class _Edit:
    """One edit in progress; each method changes `text` and returns the steps that it should now say."""

    def __init__(self, text: str, repair: str, side: str, step: str) -> None:
        self.text = text
        self._repair = repair
        self._side = side
        self._step = step
        self._insertion = f"{{{side}: {step}, steps: {repair}}}"
        self._value = {side: step, "steps": repair}
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def by_hand(self, why: str) -> ByHand:
        return ByHand(f"insert the step {self._repair} {self._side} {self._step} by hand: {why}")

    def scalar(self, key: Span, steps: yaml.ScalarNode) -> Any:
        """`steps: flow` becomes a flow with an edit: on the same line, or in a block where a comment follows."""
        wanted = {"flow": steps.value, "insert": [self._value]}
        end = steps.end_mark.index
        stop = _line_end(self.text, end)
        comment = self.text[end:stop]
        if not comment.strip().startswith("#") or self._newline != "\n":
            inline = f"{{flow: {self._source(steps)}, insert: [{self._insertion}]}}"
            self._replace(steps.start_mark.index, end, inline)
            return wanted
        indentation = " " * (key.start_mark.column + 2)
        flow = f"{indentation}flow: {self._source(steps)}"
        gap = steps.end_mark.column + len(comment) - len(comment.lstrip()) - len(flow)
        first = stop
        while re.match(r"\n[ \t]+#", self.text[stop:]):  # the comment goes on
            stop = _line_end(self.text, stop + 1)
        block = f":\n{flow}{' ' * max(gap, 2)}{comment.strip()}{self.text[first:stop]}"
        self._replace(key.end_mark.index, stop, f"{block}\n{indentation}insert: [{self._insertion}]")
        return wanted

    def mapping(self, steps: yaml.MappingNode, plain: dict[str, Any], inherited: Any) -> Any:
        """A flow with edits gets one more."""
        entries = {key.value: (key, value) for key, value in steps.value}
        if isinstance(inherited, dict) and "insert" in inherited and "insert" not in plain:
            raise self.by_hand("a list of insertions of its own would replace those that it inherits")
        if "insert" in entries:
            value = entries["insert"][1]
            if not isinstance(value, yaml.SequenceNode):
                raise self.by_hand("`insert` is not a list")
            if value.value:
                self._add(value, value.value[-1], value.start_mark.column, self._insertion, "- ")
            else:
                self._replace(value.start_mark.index + 1, value.start_mark.index + 1, self._insertion)
            return {**plain, "insert": [*plain["insert"], self._value]}
        if not steps.value:
            raise self.by_hand("`steps` is empty")
        key, value = entries.get("flow") or steps.value[-1]
        self._add(steps, value, key.start_mark.column, f"insert: [{self._insertion}]")
        return {**plain, "insert": [self._value]}

    def listed(self, steps: yaml.SequenceNode, plain: list[Any]) -> Any:
        """A list of steps gets one more, beside the step that it belongs to."""
        ids = [_id(entry) for entry in plain]
        if ids.count(self._step) != 1:
            raise self.by_hand(f"its list of steps has {self._step} {ids.count(self._step)} times")
        index = ids.index(self._step)
        if self._side == "before":
            if isinstance(plain[index], dict) and "needs" in plain[index]:
                raise self.by_hand(f"{self._step} says what it needs, so let it need {self._repair} instead")
            self._add_before(steps, steps.value[index])
            return [*plain[:index], self._repair, *plain[index:]]
        for entry in plain:
            needs = entry.get("needs", ()) if isinstance(entry, dict) else ()
            if self._step in ([needs] if isinstance(needs, str) else needs):
                message = f"{_id(entry)} needs {self._step} by name, so let it need {self._repair} instead"
                raise self.by_hand(message)
        self._add(steps, steps.value[index], steps.start_mark.column, self._repair, "- ")
        return [*plain[: index + 1], self._repair, *plain[index + 1 :]]

    def added(self, root: yaml.MappingNode, inherited: Any) -> Any:
        """A recipe that inherits its steps gets a key of its own that edits them."""
        if isinstance(inherited, str):
            wanted: Any = {"flow": inherited, "insert": [self._value]}
            line = f"steps: {{flow: {_scalar(inherited)}, insert: [{self._insertion}]}}"
        elif isinstance(inherited, dict) and "insert" not in inherited:
            wanted, line = {"insert": [self._value]}, f"steps: {{insert: [{self._insertion}]}}"
        elif isinstance(inherited, list):
            raise self.by_hand("the recipe that it extends lists the steps, so that is the one to edit")
        else:
            raise self.by_hand("the recipe that it extends inserts steps, so that is the one to edit")
        key, value = next((pair for pair in root.value if pair[0].value == "extends"), root.value[-1])
        self._add(root, value, key.start_mark.column, line)
        return wanted

    def _add(self, items: yaml.CollectionNode, node: Span, column: int, text: str, mark: str = "") -> None:
        """Add `text` to `items` behind `node`; in a block on a line of its own, so that a comment stays with `node`."""
        end = _line_end(self.text, _end(node))
        if items.flow_style:
            self._replace(_end(node), _end(node), f", {text}")
        elif end == len(self.text):
            self._replace(end, end, f"{self._newline}{' ' * column}{mark}{text}")
        else:
            self._replace(end + 1, end + 1, f"{' ' * column}{mark}{text}{self._newline}")

    def _add_before(self, items: yaml.SequenceNode, node: Span) -> None:
        """Add the repair to `items` before `node`; in a block on a line of its own."""
        start = node.start_mark.index
        if items.flow_style:
            self._replace(start, start, f"{self._repair}, ")
        else:
            column = items.start_mark.column
            line = self.text.rfind("\n", 0, start) + 1
            self._replace(line, line, f"{' ' * column}- {self._repair}{self._newline}")

    def _replace(self, start: int, end: int, text: str) -> None:
        self.text = self.text[:start] + text + self.text[end:]

    def _source(self, node: Span) -> str:
        return self.text[node.start_mark.index : node.end_mark.index]


def _end(node: Span) -> int:
    """Where the text of a node ends. PyYAML puts the end of a block behind the blank lines and comments after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _line_end(text: str, start: int) -> int:
    """Where the line at `start` ends."""
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _id(entry: Any) -> str:
    """The id of an entry of a plain list of steps."""
    written = entry if isinstance(entry, dict) else {"uses": entry}
    return str(written.get("id") or default_id(str(written.get("uses"))))


def _scalar(text: str) -> str:
    """`text` as YAML inside { }."""
    return yaml.safe_dump(text, default_flow_style=True).split("\n")[0]


def _plain(text: str) -> dict[str, Any]:
    problems: list[Problem] = []
    node = parse(text, Path("recipe.yaml"), problems)
    if node is None or not isinstance(node.value, dict) or problems:
        raise RecipeError(problems or [Problem("the recipe is not a mapping")])
    plain = node.plain()
    assert isinstance(plain, dict)
    return plain


def _without_extends(text: str, path: Path) -> Any:
    node = parse(text, path, [])
    assert node is not None
    assert isinstance(node.value, dict)
    return type(node).of({key: value for key, value in node.value.items() if key != "extends"}, node.where)
