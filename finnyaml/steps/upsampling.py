"""Nearest upsampling becomes FINN's layer that repeats pixels, exactly. Runs in workers."""

from __future__ import annotations

import copy

from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.errors import StepFailed
from finnyaml.finn.door import upsampling
from finnyaml.graph.surgery import Repaired
from finnyaml.graph.view import View, is_hardware, name
from finnyaml.lint.layers import holds_integers, why_not_repeating


def upsample_nearest(model: ModelWrapper) -> Repaired:
    """Make FINN's upsampling layer of every Resize that repeats pixels.

    PyTorch exports `nn.Upsample` as Resize, channels first; FINN has a layer for it, channels last, and its own step
    asks for another operator. Belongs after `streamline`, before `convert_to_hw`.

    Raises:
        StepFailed: a Resize that interpolates, or of values that are not integers.
    """
    model = copy.deepcopy(model)
    view = View(model)
    found = [node for node in view.nodes if node.op_type in ("Resize", "Upsample")]
    if not found:
        return Repaired(model, ())
    for node in found:
        reason = why_not_repeating(view, node)
        if reason is not None:
            raise StepFailed(
                f"upsample_nearest: {name(node)}: {reason}",
                hint="use nn.Upsample(scale_factor=2, mode='nearest'), or a transposed convolution",
            )
        if not holds_integers(view, str(node.input[0])):
            raise StepFailed(
                f"upsample_nearest: {name(node)} gets values that are not integers",
                hint="put a quantizer before the upsampling; and run it later: after streamline",
            )
    changes = [f"{name(node)} is FINN's layer that repeats pixels" for node in found]
    model = upsampling(model)
    left = [node.name for node in model.graph.node if node.op_type in ("Resize", "Upsample") and not is_hardware(node)]
    if left:
        raise StepFailed(f"upsample_nearest: FINN did not convert {', '.join(left)}: its layout is not known")
    return Repaired(model, tuple(changes))
