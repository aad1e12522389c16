"""What a plain YAML scalar means, and how one is written: the core schema of YAML 1.2.

PyYAML reads YAML 1.1, where `on` and `no` are booleans, `20:30` is 1230 and 2024-01-01 a date. None of that helps
in a recipe, so finnyaml resolves scalars itself.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal

Scalar = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER = 100
_ELSEWHERE = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n", "."))
"""Words that are more than text in some YAML."""


def resolve(text: str) -> Scalar:
    """The value of the plain scalar `text`.

    Raises ValueError for numbers that have no exact place in JSON (infinite, not a number, over 100 digits).
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("a recipe holds finite numbers only")
    decimal = _DECIMAL.fullmatch(text)
    based = None if decimal else _BASED.fullmatch(text)
    if not (decimal or based or _FLOAT.fullmatch(text)):
        return text
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} characters")
    if decimal:
        return int(text)
    if based:
        return int(text, 0)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number too large for a 64-bit float")
    return number


def written(value: object, plain: str = r"[A-Za-z_/][\w./+-]*") -> str:
    """A single value as YAML: text that fits `plain` as it is, where every YAML takes it for text, else quoted.

    `${` is not a variable in it. Numbers have no exponent, which YAML 1.1 takes for text.
    """
    if isinstance(value, str) and re.fullmatch(plain, value, re.ASCII) and value.lower() not in _ELSEWHERE:
        return value
    if isinstance(value, float) and math.isfinite(value) and "e" in repr(value):
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    return json.dumps(value, ensure_ascii=False).replace("${", "$${")
