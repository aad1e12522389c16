"""What all exact repairs do to a graph. Runs in workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

Node = Any
"""An ONNX node (`onnx.NodeProto`)."""


@dataclass(frozen=True)
class Repaired:
    """The repaired model, and one sentence for each thing that was changed; none: there was nothing to repair.

    notes: sentences on what was found and left as it is.
    """

    model: ModelWrapper
    changes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def set_attributes(node: Node, **values: Any) -> None:
    """Set attributes of a node, whether it had them written or by default."""
    kept = [attribute for attribute in node.attribute if attribute.name not in values]
    del node.attribute[:]
    node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in values.items())])


def store_constant(model: ModelWrapper, name: str, values: np.ndarray, *, like: str) -> None:
    """Store a constant of any shape with the annotations of another; under the same name in its place."""
    datatype = model.get_tensor_datatype(like)
    model.set_initializer(name, values)
    model.set_tensor_datatype(name, datatype)


def free_name(name: str, taken: set[str]) -> str:
    """`name`, or the first with underscores behind it that is not taken; it is taken then."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def integer_type(low: int, high: int) -> str:
    """The narrowest integer type from `low` to `high`, of two bits at least."""
    bits = max(high.bit_length(), 2) if low >= 0 else max((-low - 1).bit_length(), high.bit_length()) + 1
    return f"{'UINT' if low >= 0 else 'INT'}{bits}"
