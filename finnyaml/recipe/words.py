"""How the errors of a recipe speak: quoting, naming places and kinds of values, the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from finnyaml.recipe.model import Pointer

_LONGEST = 60


def quoted(text: object) -> str:
    """`text` in quotes, on one line, shortened (but no path), and with nothing in it that a terminal would obey."""
    shown = printable(str(text).replace("\n", "\\n").replace("\t", "\\t"))
    return f"'{shown[: _LONGEST - 3]}...'" if len(shown) > _LONGEST and not isinstance(text, Path) else f"'{shown}'"


def printable(text: str) -> str:
    """`text` with every character that has no picture replaced by U+FFFD."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def dotted(pointer: Pointer) -> str:
    """`pointer` as the user would write it after `--set`: steps.0.uses."""
    return printable(".".join(str(part) for part in pointer)) or "the recipe"


def kind(value: Any) -> str:
    """What `value` is, in the user's words, with the value itself where it is short."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The one of `names` that the writer of `word` most likely meant, if any is near."""
    # Lower case, - as _: `Target-FPS` is nothing but target_fps.
    plain = {_folded(name): name for name in names}
    found = difflib.get_close_matches(_folded(word), list(plain), n=1, cutoff=0.6)
    return plain[found[0]] if found else None


def did_you_mean(word: str, names: Iterable[str]) -> str | None:
    """A hint with the nearest of `names`, else (if they are few) with all of them."""
    known = sorted(set(names))
    if near := nearest(word, known):
        return f"did you mean {quoted(near)}?"
    if 0 < len(known) <= 20:
        return f"known here: {', '.join(printable(name) for name in known)}"
    return None


def either(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *head, last = words
    return f"{', '.join(head)} or {last}" if head else last


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")[:100]
