"""Names that go into the scripts of other programs: plain ones only, so that none of them can be more than a name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from finnyaml.errors import StepFailed
from finnyaml.rtl.design import Design

_PLAIN = re.compile(r"[A-Za-z0-9_][\w./+-]*", re.ASCII)


def check(names: Iterable[str]) -> None:
    """Letters, digits and _ . / + - alone, no .. and not from the root. Raises StepFailed: another name."""
    for name in names:
        if not _PLAIN.fullmatch(name) or ".." in name:
            raise StepFailed(
                f"{name!r} cannot be a name in a design: other tools' scripts would not take it as one",
                hint="rename the node in the network",
            )


def check_design(design: Design) -> None:
    """`check` for all that a design names: files, nodes, streams, the top and the part."""
    nodes = (node.name for node in design.nodes)
    check((*design.sources, *design.data, design.top, design.part, design.input.name, design.output.name, *nodes))
