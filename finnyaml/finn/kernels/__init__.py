"""Layers of our own behind FINN's custom-op interface, in SystemVerilog, where FINN's RTL library has a gap.

Each is FINN's own layer with a different backend: shapes, datatypes, folding and Python execution are FINN's.
`docs/rtl-kernels.md` says what each computes and where its limits are. Nothing here imports FINN before it is called.
"""

from __future__ import annotations

from collections.abc import Mapping

KERNELS: Mapping[str, str] = {
    "Pool": "Pool_rtl",
    "DuplicateStreams": "DuplicateStreams_rtl",
    "ElementwiseAdd": "IntegerAdd_rtl",
    "GlobalAccPool": "GlobalAccPool_rtl",
    "LabelSelect": "LabelSelect_rtl",
}
"""FINN's layers, by op type before specialisation, to the op types of our kernels for them."""
