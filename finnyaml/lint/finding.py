"""What a rule found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]
"""`error`: the build will fail or compute something else; `warning`: hardly what was meant; `info`: a chance."""


@dataclass(frozen=True)
class Finding:
    """One thing that a rule has to say.

    `rule` is the id in the catalogue, `node` the name of the node it is about (None: the whole graph, or its input),
    `hint` what to do, `repair` the step of finnyaml that repairs it exactly, `pointer` the place in the recipe.
    """

    rule: str
    severity: Severity
    message: str
    node: str | None = None
    hint: str | None = None
    repair: str | None = None
    pointer: tuple[str | int, ...] | None = None

    def plain(self) -> dict[str, Any]:
        """The JSON form."""
        return {**asdict(self), "pointer": None if self.pointer is None else list(self.pointer)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Finding:
        """The finding that `plain` made the JSON form of."""
        pointer = plain["pointer"]
        return cls(**{**plain, "pointer": None if pointer is None else tuple(pointer)})
