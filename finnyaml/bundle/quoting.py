"""Values in files of other languages: quoted for the place where they stand, so that no value can become code there.

While a template is filled in, every value is only a mark. `place` then reads the text with all marks in it, sees where
each one stands (in code, in a string, in a comment ...), and puts the value there as that language wants it.
"""

from __future__ import annotations

import ast
import html
import json
import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from finnyaml.bundle.contexts import json_contexts, markdown_contexts, marks, python_contexts, shell_contexts


class Unquotable(ValueError):
    """A value that cannot stand where the template has it. `mark` is its number."""

    def __init__(self, message: str, mark: int = -1) -> None:
        super().__init__(message)
        self.mark = mark


class Quoted(str):
    """Text that a filter has made for one language, or that the author of a template vouches for ("raw")."""

    __slots__ = ("language",)
    language: str

    def __new__(cls, text: str, language: str) -> Quoted:
        made = super().__new__(cls, text)
        made.language = language
        return made


@dataclass(frozen=True)
class Language:
    """How values get into files of one language.

    `contexts` tells for each mark in a text, in order, where it stands; `quote` has a function for each such place (one
    that is not there takes no values); `check` raises ValueError for a finished text that is not of this language.
    """

    name: str
    contexts: Callable[[str], Iterator[str]]
    quote: Mapping[str, Callable[[Any], str]]
    check: Callable[[str], object] = str

    def literal(self, value: Any) -> Quoted:
        """The value as it stands in code of this language."""
        return Quoted(self.quote["code"](value), self.name)


def language_of(path: str) -> Language:
    """The language of a file, by the end of its name."""
    return LANGUAGES.get(PurePosixPath(path).suffix, UNKNOWN)


def place(text: str, values: Sequence[Any], language: Language) -> str:
    """Replace the marks in a text (`mark` makes them) by the values, each quoted for where it stands.

    Raises:
        Unquotable: a value that cannot stand there, or (without a mark) a text that is not of this language then.
    """
    places = language.contexts(text)

    def quoted(match: re.Match[str]) -> str:
        number = int(match[1])
        try:
            if text.endswith("\\", 0, match.start()):  # it would take away what quotes the value
                raise ValueError("a value cannot stand directly after a backslash; put that into the value")
            return _quoted(values[number], next(places), language)
        except ValueError as error:
            raise Unquotable(str(error), number) from error

    placed = MARK.sub(quoted, text)
    try:
        language.check(placed)
    except (ValueError, SyntaxError) as error:
        raise Unquotable(f"this is no valid {language.name}: {error}") from error
    return placed


def mark(number: int) -> str:
    """The mark of the value of this number: of characters for private use, which no template has."""
    return f"\ue000{number}\ue001"


MARK = re.compile("\ue000([0-9]+)\ue001")


def text(value: Any) -> str:
    """A value as text: itself, or its JSON."""
    return str(value) if isinstance(value, str) else json_literal(value)


def json_literal(value: Any) -> str:
    """A value of JSON, ASCII only."""
    try:
        return json.dumps(value, allow_nan=False)
    except TypeError as error:
        raise ValueError(f"{type(value).__name__} is no value: only text, numbers, lists and mappings are") from error


def python_literal(value: Any) -> str:
    """A literal of Python."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{python_literal(key)}: {python_literal(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(python_literal, value))}]"
    if value is None or (isinstance(value, (str, bool, int, float)) and not _infinite(value)):
        return repr(str(value) if isinstance(value, str) else value)
    raise ValueError(f"{value!r} has no literal in Python")


def plain(value: Any) -> str:
    """Text of one line; a line break or any other control character could be read as more than text."""
    found = text(value)
    if not found.isprintable():
        raise ValueError(f"{found!r} has control characters, which cannot stand in plain text")
    return found


def one_line(value: Any) -> str:
    """Text of one line: line breaks are blanks, other control characters are written out."""
    return "".join(_visible(character) for character in re.sub(r"\s+", " ", text(value)))


def markdown(value: Any) -> str:
    """Text that Markdown shows as it is, also in tables; nothing in it is a tag."""
    found = html.escape(one_line(value), quote=False)
    return re.sub(r"([\\`*_\[\]|~$]|#+$)", r"\\\1", found)  # a heading may end with #


def _quoted(value: Any, where: str, language: Language) -> str:
    if isinstance(value, Quoted) and (
        value.language == "raw" or language is UNKNOWN or (value.language == language.name and where == "code")
    ):
        return str(value)
    if where not in language.quote:
        raise ValueError(f"a value cannot stand {where}")
    return language.quote[where](value)


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _visible(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def _in_python_string(value: Any) -> str:
    escaped = text(value).encode("unicode_escape").decode("ascii")
    return escaped.replace('"', "\\x22").replace("'", "\\x27")


def _check_shell(script: str) -> None:
    if "\0" in script:
        raise ValueError("a NUL character cannot stand in it")


def _begin(value: Any) -> str:
    """Without the signs that make a list or a heading at the begin of a line."""
    return re.sub(r"^(\d*)([-+#=.)])", r"\1\\\2", markdown(value))


def _span(value: Any) -> str:
    """A backtick would end the code; its double means nothing to a shell, if somebody copies it there."""
    return one_line(value).replace("`", "\u02cb")


def _block(value: Any) -> str:
    found = one_line(value)
    if found.lstrip().startswith(("```", "~~~")):
        raise ValueError(f"{found!r} would end the block of code in which it stands")
    return found


PYTHON = Language(
    "Python",
    python_contexts,
    {"code": python_literal, "string": _in_python_string, "comment": one_line},
    ast.parse,
)
SHELL = Language(
    "shell",
    shell_contexts,
    {
        "code": lambda value: shlex.quote(text(value)),
        "double": lambda value: re.sub(r'([\\"$`])', r"\\\1", text(value)),
        "single": lambda value: text(value).replace("'", "'\\''"),
        "comment": one_line,
    },
    _check_shell,
)
JSON = Language(
    "JSON",
    json_contexts,
    {"code": json_literal, "string": lambda value: json_literal(text(value))[1:-1]},
    json.loads,
)
MARKDOWN = Language(
    "Markdown",
    markdown_contexts,
    {
        "code": markdown,
        "begin": _begin,
        "span": _span,
        "span in a table": lambda value: _span(value).replace("|", "\\|"),
        "block": _block,
    },
)
TEXT = Language("plain text", lambda text: marks(text, "code"), {"code": plain})
_FILTER = (
    "here: it is not known how to quote for this kind of file; say it with a filter ({{ x | json }}, {{ x | raw }})"
)
UNKNOWN = Language("this kind of file", lambda text: marks(text, _FILTER), {})

LANGUAGES = {".py": PYTHON, ".sh": SHELL, ".json": JSON, ".md": MARKDOWN, ".txt": TEXT}
