"""Layers of our own behind FINN's custom-op interface, in SystemVerilog, where FINN's RTL library has a gap.

Each is FINN's own layer with a different backend: shapes, datatypes, folding and Python execution are FINN's.
`docs/rtl-kernels.md` says what each computes and where its limits are. Nothing here imports FINN before it is called.
"""

from __future__ import annotations

from collections.abc import Mapping

from finnyaml import plugins

KERNELS: Mapping[str, str] = {
    "Pool": "Pool_rtl",
    "DuplicateStreams": "DuplicateStreams_rtl",
    "ElementwiseAdd": "IntegerAdd_rtl",
    "GlobalAccPool": "GlobalAccPool_rtl",
    "LabelSelect": "LabelSelect_rtl",
}
"""FINN's layers, by op type before specialisation, to the op types of our kernels for them."""


def kernels() -> Mapping[str, str]:
    """The same with the kernels of plug-ins: the name of the entry point is the layer, that of the class the kernel."""
    further = plugins.installed("kernels", KERNELS)
    return {**KERNELS, **{layer: plugin.target.rpartition(":")[2] for layer, plugin in further.items()}}
