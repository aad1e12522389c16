"""Words for people: quoted texts, nearest names, sizes, durations, percentages, paths. One place for each."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

PROGRESS = "... "
"""How a line begins that a step prints to say how far it is: the last is shown while the step runs."""

_LONGEST = 60
_LONGEST_LINE = 4_000
_MOST_LINES = 60
_ABOUT_THE_REST = 5_000
"""What `shortened` adds, with a long path, must not be shortened again."""

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours and movements
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]{0,4000}(?:\x07|\x1b\\|\x9c)"  # titles, links
    r"|\x1b[ -/]*[0-~]"
)


def printable(text: str) -> str:
    """`text` with every character that has no picture replaced by U+FFFD."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def visible(text: str) -> str:
    """`text`, of one or several lines, without anything in it that a terminal would obey.

    Escape sequences go, of what a carriage return writes over the last is left, tabs are blanks, and every other
    character that has no picture (directions of writing, too) is U+FFFD.
    """
    if text.isprintable():
        return text
    lines = _ESCAPES.sub("", text).split("\n")
    return "\n".join(printable(_blanks(line.rstrip("\r").rpartition("\r")[2])) for line in lines)


def _blanks(line: str) -> str:
    return "".join(" " if letter.isspace() else letter for letter in line.expandtabs())


def shortened(text: str, place: object = None) -> str:
    """`text` where it has a length that people read, else its beginning and how much more there is, and where."""
    if len(text) <= _LONGEST_LINE + _ABOUT_THE_REST and text.count("\n") < _MOST_LINES:
        return text
    head = "\n".join(text.split("\n", _MOST_LINES)[:_MOST_LINES])[:_LONGEST_LINE]
    return f"{head} ... ({counted(len(text) - len(head), 'character')} more{f': see {place}' if place else ''})"


def quoted(text: object) -> str:
    """`text` in quotes, on one line, shortened (but no path), and with nothing in it that a terminal would obey."""
    shown = printable(str(text).replace("\n", "\\n").replace("\t", "\\t"))
    return f"'{shown[: _LONGEST - 3]}...'" if len(shown) > _LONGEST and not isinstance(text, Path) else f"'{shown}'"


def listed(words: Iterable[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`; `word` is what stands before the last."""
    *head, last = words
    return f"{', '.join(head)} {word} {last}" if head else last


def either(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return listed(words, "or")


def few(names: Sequence[str]) -> str:
    """Up to three names; of more, the first and how many others there are."""
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"


def near(word: str, names: Iterable[str], most: int = 1) -> Sequence[str]:
    """Those of `names` that the writer of `word` most likely meant, the likeliest first."""
    # Lower case, - as _: `Target-FPS` is nothing but target_fps.
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_folded(name), name)
    return [plain[found] for found in difflib.get_close_matches(_folded(word), list(plain), n=most, cutoff=0.6)]


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The one of `names` that the writer of `word` most likely meant, if any is near."""
    return next(iter(near(word, names)), None)


def did_you_mean(
    word: str, names: Iterable[str], most: int = 1, *, else_: str = "known here", few: int = 20
) -> str | None:
    """A hint with the nearest of `names`, at most so many; else with the first few of them all, after `else_`."""
    known = sorted(set(names))
    if found := near(word, known, most):
        return f"did you mean {either(map(quoted, found))}?"
    if not known:
        return None
    more = f" and {len(known) - few} more" if len(known) > few else ""
    return f"{else_}: {', '.join(map(printable, known[:few]))}{more}"


def counted(number: int, word: str) -> str:
    """`1 step`, `1,204 steps`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


class Whole(str):
    """A line that is never broken: to be copied, or part of something aligned."""

    __slots__ = ()


def columns(stream: TextIO) -> int | None:
    """How long a line may be there; None where it may have any length."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def wrapped(line: str, width: int | None, hang: int = 0) -> str:
    """`line` as it is printed, broken between words where it is longer than `width` (None: any) and not `Whole`.

    What follows is indented as the text after a label that stands in a column of its own (`  log:       ...`), else
    by two more than the line where that is indented, else by `hang`. A word that is longer than a line stays whole.
    Nothing in it is left that a terminal would obey (`visible`), or too long to be read (`shortened`).
    """
    if isinstance(line, Whole):
        return visible(line)
    line = shortened(visible(line))
    if width is None or len(line) <= width:
        return line
    label, own = re.match(r"[^:]{0,24}:\s{2,}", line), len(line) - len(line.lstrip())
    indent = len(label[0]) if label else own + 2 if own else hang
    broken = textwrap.wrap(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(broken)


def percent(fraction: float) -> str:
    """A fraction (0 to 1) as a percentage with one decimal; 100.0 % and 0.0 % only where it is all or nothing."""
    if not 0 < fraction < 1:
        return f"{100 * fraction:.1f} %"
    return f"{min(max(100 * fraction, 0.1), 99.9):.1f} %"


def size(count: int) -> str:
    """Bytes as people read them: `512 B`, `1.5 KiB`, `552 MiB`."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds as people read them: `0.3 s`, `4 min 05 s`, `2 h 03 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def relative(path: Path) -> str:
    """A path as seen from here, where it is below or beside here."""
    try:
        shown = os.path.relpath(path)
    except ValueError:
        return str(path)
    return shown if not shown.startswith("../../..") else str(path)


def age(seconds: float) -> str:
    """A time span in its largest unit: `3 min`, `5 h`, `12 d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")[:100]
