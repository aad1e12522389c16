"""Our kernels made known to FINN. Imports FINN only when it is called."""

from __future__ import annotations

from finnyaml import plugins
from finnyaml.errors import StepFailed
from finnyaml.finn.identity import distribution_of_finn


def register() -> None:
    """Make FINN know our kernels and those of plug-ins; a second call changes nothing.

    What FINN's `SpecializeLayers` chooses stays as it was: it keeps the list of RTL layers that it had. Its
    `SetFolding` folds our kernels as it does the HLS layers that they replace (see `folding`).

    Raises:
        StepFailed: this FINN does not have the layers that our kernels stand for.
    """
    try:
        from finn.custom_op.fpgadataflow import rtl
        from finn.transformation.fpgadataflow import specialize_layers

        from finnyaml.finn.kernels import folding
        from finnyaml.finn.kernels.duplicate_streams import DuplicateStreams_rtl
        from finnyaml.finn.kernels.global_acc_pool import GlobalAccPool_rtl
        from finnyaml.finn.kernels.integer_add import IntegerAdd_rtl
        from finnyaml.finn.kernels.label_select import LabelSelect_rtl
        from finnyaml.finn.kernels.pool import Pool_rtl
    except ModuleNotFoundError as error:  # FINN 0.10
        finn = " ".join(distribution_of_finn())
        raise StepFailed(
            f"finnyaml's own RTL layers do not go with {finn}: it has no {error.name}",
            hint="leave `specialize: {prefer: ...}` out; FINN itself chooses RTL where it can",
        ) from error

    if specialize_layers.rtl_variants is rtl.custom_op:
        specialize_layers.rtl_variants = dict(rtl.custom_op)
    further = [plugins.load("kernels", layer) for layer in plugins.installed("kernels")]
    for kernel in (Pool_rtl, DuplicateStreams_rtl, IntegerAdd_rtl, GlobalAccPool_rtl, LabelSelect_rtl, *further):
        rtl.custom_op[kernel.__name__] = kernel
    folding.adapt()
