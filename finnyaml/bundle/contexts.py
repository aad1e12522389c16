"""Where marks stand in a text: in code, in a string, in a comment. A small scanner for each language.

Each generator yields one word per mark (see `finnyaml.bundle.quoting`), in order. Values are no part of what scanners
read, so only the author of a template decides what they see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_MARK = "\ue000[0-9]+\ue001"


def _marks(text: str, where: str) -> Iterator[str]:
    yield from (where for _ in re.finditer(_MARK, text))


# -- Python -----------------------------------------------------------------------------------------------------------

_PYTHON = re.compile(
    rf"""(?P<comment>\#[^\n]*)
    | (?P<prefix>(?<![A-Za-z0-9_])[A-Za-z]{{0,2}})
      (?: (?P<triple>'''|\"\"\") (?P<long>(?:\\.|(?!(?P=triple)).)*) (?P=triple)
        | (?P<quote>['"]) (?P<short>(?:\\.|(?!(?P=quote))[^\n])*) (?P=quote) )
    | (?P<code>{_MARK})""",
    re.VERBOSE | re.DOTALL,
)


def python_contexts(text: str) -> Iterator[str]:
    """code, string, comment; not in strings with a prefix."""
    for found in _PYTHON.finditer(text):
        if found["comment"]:
            yield from _marks(found["comment"], "comment")
        elif found["code"]:
            yield "code"
        else:
            plain = found["prefix"].lower() in ("", "u")
            where = "string" if plain else f"in a string with the prefix {found['prefix']}: give it to a variable first"
            yield from _marks(found["long"] or found["short"] or "", where)


# -- shell ------------------------------------------------------------------------------------------------------------

_SHELL = re.compile(
    rf"""(?P<escape>\\.)
    | (?P<ansi>\$'(?:\\.|[^'\\])*')
    | (?P<single>'[^']*')
    | (?P<quote>")
    | (?P<tick>`(?:\\.|[^`\\])*`)
    | (?P<open>\$?\()
    | (?P<close>\))
    | (?P<comment>(?:(?<=[\s;&|()])|(?<![\s\S]))\#[^\n]*)
    | (?P<here><<-?[ \t]*(?P<start>['"\\]?)(?P<word>\w+)['"]?)
    | (?P<string><<<)
    | (?P<line>\n)
    | (?P<mark>{_MARK})""",
    re.VERBOSE | re.DOTALL,
)
_DOUBLE = re.compile(
    rf"(?P<escape>\\.)|(?P<quote>\")|(?P<tick>`(?:\\.|[^`\\])*`)|(?P<open>\$\()|(?P<mark>{_MARK})", re.DOTALL
)
_VARIABLE = "give it to a variable first: name={{ value }}"


def shell_contexts(text: str) -> Iterator[str]:
    """code, double, single (quotes), comment; not in `...`, $'...' and here-documents."""
    at, stack, pending = 0, ["("], ""
    while True:
        inside = stack[-1] == '"'
        found = (_DOUBLE if inside else _SHELL).search(text, at)
        if found is None:
            return
        at = found.end()
        kind = found.lastgroup if found.lastgroup not in ("start", "word") else "here"
        if kind == "mark":
            yield "double" if inside else "code"
        elif kind == "quote":
            if inside:
                stack.pop()
            else:
                stack.append('"')
        elif kind == "open":
            stack.append("(")
        elif kind == "close" and len(stack) > 1:
            stack.pop()
        elif kind in ("single", "comment"):
            yield from _marks(found[0], kind)
        elif kind in ("tick", "ansi"):
            yield from _marks(found[0], f"in `...` or $'...': {_VARIABLE}")
        elif kind == "here":
            pending = found["word"]
        elif kind == "line" and pending:
            end = re.compile(rf"^\t*{pending}$", re.MULTILINE).search(text, at)
            stop = end.end() if end else len(text)
            yield from _marks(text[at:stop], f"in a here-document: {_VARIABLE}")
            at, pending = stop, ""


# -- JSON -------------------------------------------------------------------------------------------------------------


def json_contexts(text: str) -> Iterator[str]:
    """code, string."""
    for found in re.finditer(rf'("(?:\\.|[^"\\])*")|{_MARK}', text, re.DOTALL):
        yield from _marks(found[0], "string" if found[1] else "code")


# -- Markdown ---------------------------------------------------------------------------------------------------------

_FENCE = re.compile(r"^ {0,3}(?:[-*+>] +|\d+[.)] +)?(`{3,}|~{3,})")
_INLINE = re.compile(
    rf"(?P<span>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))|(?P<tag><[A-Za-z/][^<>]*>)|(?P<link>\]\([^)\n]*\))|{_MARK}"
)


def markdown_contexts(text: str) -> Iterator[str]:
    """code (running text), begin (of a line of it), span, span in a table, block (of code), tag, link."""
    fence = ""
    for line in text.split("\n"):
        bar = _FENCE.match(line) if not fence else re.match(rf"^\s*({re.escape(fence)}+)\s*$", line)
        if bar or fence:
            fence = "" if bar and fence else fence or (bar[1] if bar else "")
            yield from _marks(line, "block")
            continue
        span = "span in a table" if line.lstrip().startswith("|") else "span"
        for found in _INLINE.finditer(line):
            kind = found.lastgroup
            if kind is None:
                yield "code" if line[: found.start()].strip(" -*+>#") else "begin"
            else:
                yield from _marks(found[0], span if kind in ("span", "ticks") else kind)


# -- HTML -------------------------------------------------------------------------------------------------------------

_HTML = re.compile(
    rf"""(?P<foreign><(?P<name>script|style)\b.*?</(?P=name)\s*>)
    | (?P<comment><!--.*?-->)
    | (?P<tag><[A-Za-z/](?:"[^"]*"|'[^']*'|[^>"'])*>)
    | (?P<text>{_MARK})""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(rf"""(?P<name>[\w:-]+)\s*=\s*(?P<value>"[^"]*"|'[^']*')|{_MARK}""")


def html_contexts(text: str) -> Iterator[str]:
    """code (running text), attribute, link; not in scripts and styles, nor unquoted in tags."""
    for found in _HTML.finditer(text):
        if found["foreign"]:
            yield from _marks(found[0], f"in a <{found['name']}>: put it into an attribute")
        elif not found["tag"]:
            yield from _marks(found[0], "code")
        else:
            yield from _in_tag(found["tag"])


def _in_tag(tag: str) -> Iterator[str]:
    for found in _ATTRIBUTE.finditer(tag):
        name = (found["name"] or "").lower()
        if not name:
            yield "in a tag without quotes around it"
        elif name.startswith("on") or name == "style":
            yield from _marks(found["value"], f"in the attribute {name}")
        else:
            yield from _marks(found["value"], "link" if name in ("href", "src", "action") else "attribute")
