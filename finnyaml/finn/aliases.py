"""Step names that changed between versions of FINN.

The one list that FINN cannot be asked for: a version knows its own names only. Each row holds names of one step,
newest first; which of them is real is decided by the installed FINN.
"""

from __future__ import annotations

from collections.abc import Iterable

SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("step_convert_to_hw", "step_convert_to_hls"),
    ("step_hw_codegen", "step_hls_codegen"),
    ("step_hw_ipgen", "step_hls_ipgen"),
    ("step_make_driver", "step_make_pynq_driver"),
)

OPTIONAL: frozenset[str] = frozenset(("step_minimize_bit_width_initial",))
"""Steps that a later step does again, so that a FINN that does not have them builds the same without."""


def left_out(name: str, known: Iterable[str]) -> bool:
    """Whether the installed FINN does not have step `name`, and a recipe that lists it means the same without it."""
    full = name if name.startswith("step_") else f"step_{name}"
    return full in OPTIONAL and full not in known


def resolve(name: str, known: Iterable[str]) -> str | None:
    """The name that the installed FINN has for step `name`; None where it has none.

    `name` may lack the prefix `step_` and may be an older or newer name of the same step.
    """
    known = set(known)
    full = name if name.startswith("step_") else f"step_{name}"
    if full in known:
        return full
    for row in SYNONYMS:
        if full in row:
            return next((other for other in row if other in known), None)
    return None


def short(name: str) -> str:
    """The name without FINN's prefix, as finnyaml writes it: `streamline` for `step_streamline`."""
    return name.removeprefix("step_")
