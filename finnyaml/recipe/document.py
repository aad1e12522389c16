"""From YAML text to nodes with positions, and clear errors for everything that is not a plain recipe.

PyYAML only delivers parse events; the tree is built here. So nothing is ever constructed from a tag, an alias
shares its node instead of copying it, and the limits on size hold before anything is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import yaml

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.files import kind_of, reading
from finnyaml.recipe.node import MAX_DEPTH, MAX_NODES, Node
from finnyaml.recipe.paths import is_folder, similar_recipe
from finnyaml.recipe.scalars import Scalar, resolve
from finnyaml.recipe.words import kind
from finnyaml.text import did_you_mean, printable, quoted

MAX_BYTES = 1024 * 1024
"""The largest recipe file, in bytes."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What YAML refuses as a character, and (surrogates) what cannot be encoded.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_KINDS = {"str": str, "int": int, "float": (float, int), "bool": bool, "null": type(None), "map": dict, "seq": list}
_TAGS: dict[str, Any] = {f"tag:yaml.org,2002:{name}": kinds for name, kinds in _KINDS.items()}

_SYNTAX_HINTS = {
    "mapping values are not allowed": "check the indentation of this line, and quote a text that holds ': '",
    "could not find expected ':'": "a key is followed by ': ' and its value",
    "did not find expected key": "the keys of one mapping all start in the same column",
    "did not find expected '-'": "the entries of one list all start with '- ' in the same column",
    "did not find expected ',' or": "separate the items by ',' and close every bracket",
    "cannot start any token": "quote a text that starts with a special character such as @, ` or %",
    "unexpected end of stream": "close the quote",
    "document start": "a recipe is one YAML document; quote a text that starts with & or *",
    "undefined tag handle": "recipes are plain data: write the value without a tag",
}


def read(path: Path, problems: list[Problem]) -> Node:
    """Read the recipe file `path`, whose top level is a mapping.

    What is wrong but does not hide the rest (duplicate keys, say) goes to `problems`.
    Raises RecipeError, `problems` included, when the file cannot be read as a recipe at all.
    """
    node = parse(_text(path, problems), path, problems)
    if node is None:
        _fail(problems, "the recipe is empty", Where(path, 1, 1), "write at least `model:` and `steps:`")
    if not isinstance(node.value, dict):
        message = f"a recipe is a mapping of `key: value` lines, but this file holds {kind(node.plain())}"
        _fail(problems, message, node.where, "start with `model:`")
    return node


def parse(text: str, file: Path, problems: list[Problem]) -> Node | None:
    """The one YAML document in `text`, or None if there is none. `file` is the name for positions.

    Raises RecipeError as `read` does.
    """
    text = text.removeprefix("\ufeff")
    if bad := _FORBIDDEN.search(text):
        where = _where(text, bad.start(), file)
        _fail(problems, f"the character U+{ord(bad[0]):04X} is not allowed in YAML", where, "remove it")
    try:
        return _Composer(text, file, problems).document()
    except yaml.MarkedYAMLError as error:
        _fail(problems, *_syntax(error, text, file))
    except yaml.YAMLError as error:  # pragma: no cover - all characters are checked above
        _fail(problems, f"not valid YAML: {printable(str(error))}", Where(file, 1, 1), None)


def lines_of(text: str) -> list[str]:
    """The lines of `text` as YAML counts them."""
    return _LINE_BREAK.split(text)


def _text(path: Path, problems: list[Problem]) -> str:
    """The text of the file, read at most up to the limit."""
    try:
        with reading(path, follow=True) as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        _unreadable(path, error, problems)
    if len(data) > MAX_BYTES:
        hint = "is this really the recipe? Put data into files of its own and name them in the recipe"
        _fail(problems, f"the file is larger than {MAX_BYTES // 1024} KiB, which no recipe is", Where(path, 1, 1), hint)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        utf16 = " (it looks like UTF-16)" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        message = f"not UTF-8 text (byte 0x{data[error.start]:02x})"
        _fail(problems, message, _where(before, len(before), path), f"save the file as UTF-8{utf16}")


def _unreadable(path: Path, error: OSError, problems: list[Problem]) -> NoReturn:
    name = quoted(path)
    if is_folder(path):
        recipe = path / "recipe.yaml"
        hint = f"did you mean {quoted(recipe)}?" if recipe.exists() else "name the YAML file in it"
        _fail(problems, f"{name} is a folder, not a recipe", None, hint)
    if (found := kind_of(path)) not in ("a file", None):
        _fail(problems, f"{name} is {found}, not a recipe", None, "write the recipe into a file, and name that")
    if isinstance(error, FileNotFoundError):
        _fail(problems, f"there is no recipe {name}", None, similar_recipe(path))
    _fail(problems, f"cannot read {name}: {error.strerror}", None, None)


def _fail(problems: list[Problem], message: str, where: Where | None, hint: str | None) -> NoReturn:
    raise RecipeError([*problems, Problem(message, where, hint)])


def _where(text: str, offset: int, file: Path) -> Where:
    lines = lines_of(text[:offset])
    return Where(file, len(lines), len(lines[-1]) + 1)


def _syntax(error: yaml.MarkedYAMLError, text: str, file: Path) -> tuple[str, Where, str | None]:
    """Message, place and hint for what the YAML parser says."""
    mark = error.problem_mark or error.context_mark
    where = Where(file, mark.line + 1, mark.column + 1) if mark else Where(file, 1, 1)
    lines = lines_of(text)
    # The parser may notice a tab only later, but never before the construct that it was reading.
    first = error.context_mark.line if error.context_mark else where.line - 1
    for number in range(first, min(where.line, len(lines))):
        indentation = re.match(r"\s*", lines[number])
        if indentation and "\t" in indentation[0]:
            place = Where(file, number + 1, indentation[0].index("\t") + 1)
            return "a tab in the indentation: YAML is indented with spaces", place, "replace the tab by spaces"
    reason = error.problem or "syntax error"
    hint = next((hint for words, hint in _SYNTAX_HINTS.items() if words in reason), None)
    if where.line <= len(lines) and re.search(r"[^'\"\w]\$\{", lines[where.line - 1]):
        hint = 'inside { } and [ ], quote a variable: "${name}"'
    context = ""
    if error.context and error.context_mark and error.context_mark.line + 1 != where.line:
        context = f" ({error.context} that began in line {error.context_mark.line + 1})"
    return f"not valid YAML: {reason}{context}", where, hint


class _Composer:
    """Builds the node tree of one document from parse events."""

    def __init__(self, text: str, file: Path, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems
        self._events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
        self._anchors: dict[str, Node | None] = {}
        self._count = 0

    def document(self) -> Node | None:
        next(self._events)  # stream start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), 1)
        next(self._events)  # document end
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            hint = "keep one of them; recipes build on each other with `extends:`"
            self._fail("a second YAML document begins here, but a recipe is one document", self._at(event), hint)
        # A lone `---` or `~` is as empty as no document.
        return None if root.value is None else root

    def _node(self, event: Any, depth: int) -> Node:
        where = self._at(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), where, depth)
        self._grow(1, where)
        self._check_depth(depth, where)
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event, where), where)
        elif isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(item, depth + 1))
            node = Node.of(items, where)
            self._check_tag(event.tag, items, where)
        else:
            node = self._mapping(where, depth)
            self._check_tag(event.tag, node.value, where)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _mapping(self, where: Where, depth: int) -> Node:
        items: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if merge:
                self._merge(value, merged)
            elif not isinstance(key.value, str):
                hint = f"quote it: '{key.value}'" if isinstance(key.value, int | float) else "quote it"
                self._add(f"a key must be text, but this is {kind(key.plain())}", key.where, hint)
            elif key.value in items:
                first = items[key.value].key
                line = first.line if first else 0
                message = f"duplicate key {quoted(key.value)}: line {line} has it already"
                self._add(message, key.where, "remove one of them")
            else:
                items[key.value] = value.under(key.where)
        return Node.of({**merged, **items}, where)

    def _merge(self, value: Node, into: dict[str, Node]) -> None:
        """`<<: *base` or `<<: [*first, *second]`: the earlier one wins, and keys written beside it win over both."""
        for source in value.value if isinstance(value.value, list) else [value]:
            if isinstance(source.value, dict):
                self._grow(source.size, value.where)
                for key, child in source.value.items():
                    into.setdefault(key, child)
            else:
                message = f"`<<` merges mappings, but this is {kind(source.plain())}"
                self._add(message, source.where, "name an alias: <<: *base")

    def _alias(self, anchor: str, where: Where, depth: int) -> Node:
        if anchor not in self._anchors:
            hint = did_you_mean(anchor, self._anchors) or f"mark a value with &{anchor}"
            self._fail(f"unknown alias *{anchor}", where, hint)
        node = self._anchors[anchor]
        if node is None:
            self._fail(f"the alias *{anchor} is inside the very value that it names", where, "write the value out")
        self._grow(node.size, where)
        self._check_depth(depth + node.depth - 1, where)
        return replace(node, where=where, key=None)

    def _scalar(self, event: yaml.ScalarEvent, where: Where) -> Scalar:
        text: str = event.value
        if "\0" in text:
            self._add("the character U+0000 is not allowed in a recipe", where, "remove \\0")
        if (event.tag is None and not event.implicit[0]) or event.tag in ("!", "tag:yaml.org,2002:str"):
            return text
        try:
            value = resolve(text)
        except ValueError as error:
            self._add(f"{quoted(text)}: {error}", where, "quote it if you mean text")
            return text
        self._check_tag(event.tag, value, where)
        return value

    def _check_tag(self, tag: str | None, value: object, where: Where) -> None:
        if tag is None or tag == "!":
            return
        short = tag.replace("tag:yaml.org,2002:", "!!")
        if tag not in _TAGS:
            self._add(f"unknown tag {quoted(short)}", where, "recipes are plain data: write the value without a tag")
        elif not isinstance(value, _TAGS[tag]):
            shown = kind(value) if not isinstance(value, list | dict) else kind(type(value)())
            self._add(f"the tag {short} does not fit {shown}", where, "remove the tag")

    def _grow(self, size: int, where: Where) -> None:
        self._count += size
        if self._count > MAX_NODES:
            hint = "aliases inside aliases multiply; no recipe needs that"
            self._fail(f"more than {MAX_NODES} values when all aliases are written out", where, hint)

    def _check_depth(self, depth: int, where: Where) -> None:
        if depth > MAX_DEPTH:
            self._fail(f"nested deeper than {MAX_DEPTH} levels", where, "no recipe needs that")

    def _at(self, event: Any) -> Where:
        mark = event.start_mark
        return Where(self._file, mark.line + 1, mark.column + 1)

    def _add(self, message: str, where: Where, hint: str | None) -> None:
        self._problems.append(Problem(message, where, hint))

    def _fail(self, message: str, where: Where, hint: str | None) -> NoReturn:
        _fail(self._problems, message, where, hint)
