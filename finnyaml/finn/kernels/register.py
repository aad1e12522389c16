"""Our kernels made known to FINN, and given the layers that they cover. Imports FINN only when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finnyaml import plugins
from finnyaml.finn.kernels import kernels

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def register() -> None:
    """Make FINN know our kernels and those of plug-ins; a second call changes nothing.

    What FINN's `SpecializeLayers` chooses stays as it was: it keeps the list of RTL layers that it had. Its
    `SetFolding` folds our kernels as it does the HLS layers that they replace (see `folding`).
    """
    from finn.custom_op.fpgadataflow import rtl
    from finn.transformation.fpgadataflow import specialize_layers

    from finnyaml.finn.kernels import folding
    from finnyaml.finn.kernels.duplicate_streams import DuplicateStreams_rtl
    from finnyaml.finn.kernels.global_acc_pool import GlobalAccPool_rtl
    from finnyaml.finn.kernels.integer_add import IntegerAdd_rtl
    from finnyaml.finn.kernels.label_select import LabelSelect_rtl
    from finnyaml.finn.kernels.pool import Pool_rtl

    if specialize_layers.rtl_variants is rtl.custom_op:
        specialize_layers.rtl_variants = dict(rtl.custom_op)
    further = [plugins.load("kernels", layer) for layer in plugins.installed("kernels")]
    for kernel in (Pool_rtl, DuplicateStreams_rtl, IntegerAdd_rtl, GlobalAccPool_rtl, LabelSelect_rtl, *further):
        rtl.custom_op[kernel.__name__] = kernel
    folding.adapt()


def use_kernels(model: ModelWrapper) -> tuple[ModelWrapper, list[tuple[str, str]]]:
    """Give every HLS layer that one of our kernels covers to that kernel.

    The model is one after FINN's step specialize_layers. Layers keep their tensors and the attributes that both
    variants have, and all are named anew as FINN does it (`Pool_rtl_0`).

    Returns:
        The model, and for each HLS layer for which there is a kernel that does not cover it: its name, and a sentence
        that says why. Layers for which there is none at all are not mentioned.
    """
    from finnyaml.finn.kernels.conversion import converted

    register()
    return converted(model, kernels())
