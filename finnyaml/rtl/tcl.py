"""Tcl, as far as words go: commands, braces, quotes, brackets. Nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Union

_VARIABLE = re.compile(r"\$(?:::env\((\w+)\)|(?P<other>[\w:(]+))")
_ESCAPES = {"n": "\n", "t": "\t"}


class TclError(ValueError):
    """What is not Tcl, or more of it than is read here. The message quotes the line."""


@dataclass(frozen=True)
class Substitution:
    """A word that is a command in brackets."""

    words: tuple[Word, ...]

    def __str__(self) -> str:
        return f"[{' '.join(map(str, self.words))}]"


Word = Union[str, Substitution]  # noqa: UP007 - a name that refers to itself


def commands(script: str, environment: Mapping[str, str]) -> Iterator[tuple[str, tuple[Word, ...]]]:
    """Each command with the line it starts in, for messages. environment: what `$::env(...)` may name.

    Raises TclError: braces, quotes or brackets that do not close; variables; a bracket inside a word.
    """
    parser = _Parser(script, environment)
    while (found := parser.command("")) is not None:
        if found:
            yield parser.quote, found


class _Parser:
    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self.text = text.replace("\\\n", " ")
        self.at = 0
        self.environment = environment
        self.quote = ""

    def command(self, end: str) -> tuple[Word, ...] | None:
        """The next command's words; None at the end of the text. end: "]" inside brackets."""
        words: list[Word] = []
        while True:
            self._skip(" \t")
            character = self.text[self.at : self.at + 1]
            if not character:
                if end:
                    raise self._error("a bracket is not closed")
                return tuple(words) or None
            if character == end:
                self.at += 1
                return tuple(words)
            if character in "\n;":
                if end:
                    raise self._error("only one command in brackets is read here")
                self.at += 1
                return tuple(words)
            if character == "#" and not words:
                end_of_line = self.text.find("\n", self.at)
                self.at = end_of_line if end_of_line >= 0 else len(self.text)
                continue
            if not words and not end:
                self.quote = self.text[self.at :].partition("\n")[0].strip()
            words.append(self._word(end))

    def _word(self, end: str) -> Word:
        character = self.text[self.at]
        if character == "{":
            return self._closed(self._braced())
        if character == '"':
            return self._closed(self._quoted())
        if character == "[":
            self.at += 1
            inner = Substitution(self.command("]") or ())
            self._closed("")
            return inner
        return self._substituted(self._until(f" \t\n;{end}"))

    def _braced(self) -> str:
        depth, start = 0, self.at
        for at in range(start, len(self.text)):
            if self.text[at - 1] == "\\" and at > start:
                continue
            depth += {"{": 1, "}": -1}.get(self.text[at], 0)
            if depth == 0:
                self.at = at + 1
                return self.text[start + 1 : at]
        raise self._error("a brace is not closed")

    def _quoted(self) -> str:
        self.at += 1
        text = self._until('"')
        if self.at >= len(self.text):
            raise self._error("a quote is not closed")
        self.at += 1
        return self._substituted(text)

    def _closed(self, text: str) -> str:
        if self.text[self.at : self.at + 1] not in ("", " ", "\t", "\n", ";", "]"):
            raise self._error("something follows a closed word")
        return text

    def _until(self, ends: str) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in ends:
            self.at += 2 if self.text[self.at] == "\\" else 1
        self.at = min(self.at, len(self.text))
        return self.text[start : self.at]

    def _substituted(self, text: str) -> str:
        if re.search(r"(?<!\\)\[", text):
            raise self._error("a bracket inside a word is not read here")

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name is None or name not in self.environment:
                raise self._error(f"the variable {match[0]} is not known")
            return self.environment[name]

        text = _VARIABLE.sub(value, text)
        return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)

    def _skip(self, characters: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in characters:
            self.at += 1

    def _error(self, message: str) -> TclError:
        return TclError(f"{message}: `{self.quote}`")
