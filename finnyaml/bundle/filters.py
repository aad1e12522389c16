"""The filters of templates: a value as one language writes it, so that no value can become code there.

Every filter but `raw` gives a single line, so its text is harmless in a comment too.
"""

from __future__ import annotations

import html
import json
import math
import re
import shlex
from collections.abc import Mapping
from typing import Any

from finnyaml.text import quoted


class Safe(str):
    """Text that goes into a file as it is: a filter made it, or a template itself (a macro, a block)."""

    __slots__ = ()


class Unfiltered(ValueError):
    """A value that a template puts out without a filter."""


def only_safe(value: Any) -> str:
    """What a template puts out: text of a filter, or of the template itself. Raises Unfiltered: anything else."""
    if isinstance(value, Safe):
        return value
    raise Unfiltered(f"{quoted(value)} has no filter, which says how it is to be written")


def as_python(value: Any) -> str:
    """A literal of Python."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{as_python(key)}: {as_python(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(as_python, value))}]"
    if isinstance(value, str):
        return repr(str(value))
    if value is None or (isinstance(value, (bool, int, float)) and math.isfinite(value)):
        return repr(value)
    raise ValueError(f"{value!r} has no literal in Python")


def as_shell(value: Any) -> str:
    """One word of bash."""
    found = _text(value)
    if "\0" in found:
        raise ValueError("a NUL character cannot stand in a shell script")
    if found.isprintable():
        return shlex.quote(found)
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}" for byte in found.encode())
    return f"$'{''.join(plain)}'"


def as_json(value: Any) -> str:
    """A value of JSON, ASCII only."""
    try:
        return json.dumps(value, allow_nan=False)
    except TypeError as error:
        kind = type(value).__name__
        raise ValueError(f"{kind} is not a value: only text, numbers, lists and mappings are") from error


def as_markdown(value: Any) -> str:
    """Text that Markdown shows as it is: at the begin of a line, within one and in a table; nothing in it is a tag."""
    plain = html.escape(_one_line(value), quote=False)
    found = re.sub(r"([\\`*_\[\]|~$]|#+$)", r"\\\1", plain)  # headings may end in #
    return re.sub(r"^(\d*)([-+#=.)])(?!\w)", r"\1\\\2", found)  # begins a list, a heading or a line


def as_code(value: Any) -> str:
    """A span of code in Markdown, also in a table."""
    found = _one_line(value)
    return f"`{found}`" if found.strip() and not re.search("[`|]", found) else f"<code>{as_markdown(found)}</code>"


def _text(value: Any) -> str:
    """A value as text: itself, or its JSON."""
    return value if isinstance(value, str) else as_json(value)


def _one_line(value: Any) -> str:
    """Text of one line: line breaks are blanks, other control characters are written out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in re.sub(r"\s+", " ", _text(value)))


FILTERS = {"py": as_python, "sh": as_shell, "json": as_json, "md": as_markdown, "code": as_code, "raw": _text}
