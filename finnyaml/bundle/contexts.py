"""Where marks stand in a text: in code, in a string, in a comment. A small scanner for each language.

Each generator yields one word per mark (see `finnyaml.bundle.quoting`), in order. Values are no part of what scanners
read, so only the author of a template decides what they see. Where a scanner cannot be sure, its word says so, and no
value may stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_MARK = "\ue000[0-9]+\ue001"


def marks(text: str, where: str) -> Iterator[str]:
    """The same word for each mark."""
    yield from (where for _ in re.finditer(_MARK, text))


_PYTHON = re.compile(
    rf"""(?P<comment>\#[^\n]*)
    | (?P<prefix>(?<![A-Za-z0-9_])[A-Za-z]{{0,2}})
      (?: (?P<triple>'''|\"\"\") (?:\\.|(?!(?P=triple)).)* (?P=triple)
        | (?P<quote>['"]) (?:\\.|(?!(?P=quote))[^\n])* (?P=quote) )
    | {_MARK}""",
    re.VERBOSE | re.DOTALL,
)


def python_contexts(text: str) -> Iterator[str]:
    """code, string, comment; not in strings with a prefix."""
    for found in _PYTHON.finditer(text):
        if found["comment"]:
            yield from marks(found["comment"], "comment")
        elif found["triple"] or found["quote"]:
            prefix = found["prefix"]
            refused = f"in a string with the prefix {prefix}: give it to a variable first"
            yield from marks(found[0], refused if prefix else "string")
            if prefix and found[0].count("{") != found[0].count("}"):  # since Python 3.12 strings can nest in there
                yield from marks(text[found.end() :], f"after such a string with the prefix {prefix}: put it above")
                return
        else:
            yield "code"


_SHELL = re.compile(
    rf"""(?P<comment>(?<![^\ \t\n;])(?<!\\[\ \t\n;])\#[^\n]*)
    | (?P<single>(?<!\$)'[^']*')
    | (?P<double>"(?: [^"\\`$] | \\. | \$(?![({{\[\ue000]) | \$\{{[^"'`$(){{}}\\\ue000]*\}} )*")
    | (?P<code>{_MARK})
    | \\. | <<<
    | (?P<hard>["'`] | \(\( | \$\[ | \$(?=\ue000) | << | (?<=[\ \t\n;&|()<>])\#)""",
    re.VERBOSE | re.DOTALL,
)


def shell_contexts(text: str) -> Iterator[str]:
    """code, double, single (quotes), comment; nothing after the first command in quotes, here-document or arithmetic:
    where those end, only a shell knows."""
    for found in _SHELL.finditer(text):
        if found.lastgroup == "hard":
            line = text.count("\n", 0, found.start()) + 1
            why = f"after the {found[0]} in line {line} of the script: above it, set a variable, name={{{{ value }}}}"
            yield from marks(text[found.start() :], why)
            return
        if found.lastgroup:
            yield from marks(found[0], found.lastgroup)


def json_contexts(text: str) -> Iterator[str]:
    """code, string."""
    for found in re.finditer(rf'("(?:\\.|[^"\\])*")|{_MARK}', text, re.DOTALL):
        yield from marks(found[0], "string" if found[1] else "code")


_FENCE = re.compile(r"^ {0,3}(?:[-*+] +|\d+[.)] +)?(`{3,}|~{3,})")
_INLINE = re.compile(
    rf"""(?P<span>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))
    | (?P<hard><[A-Za-z/\ue000][^<>]*>? | \]\([^)]*\)? | ^\ {{0,3}}\[[^\]]*\]:.*)
    | {_MARK}""",
    re.VERBOSE,
)


def markdown_contexts(text: str) -> Iterator[str]:
    """code (running text), begin (of a line of it), span, span in a table, block (of code)."""
    fence = ""
    for line in text.split("\n"):
        if fence:
            yield from marks(line, "block")
            fence = "" if re.match(rf"^\s*{re.escape(fence)}+\s*$", line) else fence
        elif bar := _FENCE.match(line):
            yield from marks(line, "in the line that begins a block of code")
            fence = bar[1]
        else:
            yield from _in_line(line)


def _in_line(line: str) -> Iterator[str]:
    span = "span in a table" if line.lstrip().startswith("|") else "span"
    for found in _INLINE.finditer(line):
        if found["span"]:
            yield from marks(found[0], span)
        elif found["hard"]:
            yield from marks(found[0], "in a tag or the target of a link, unless you vouch for it: {{ value | raw }}")
        else:
            yield "code" if line[: found.start()].strip(" -*+>#") else "begin"
