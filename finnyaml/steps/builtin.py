"""The steps that finnyaml adds to FINN's: exact repairs, used in a recipe like any other step. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Builtin:
    """`does` in one line. `function` is `module:function`, from a model to a `finnyaml.graph.surgery.Repaired`.

    `after` is the step of FINN (without `step_`) after which it belongs, or `before` that before which; neither where
    no rule proposes it.
    """

    does: str
    function: str
    after: str | None = None
    before: str | None = None

    @property
    def place(self) -> str | None:
        """Where it belongs, in words: "after tidy_up"."""
        return f"after {self.after}" if self.after else f"before {self.before}" if self.before else None


STEPS: Mapping[str, Builtin] = {
    "represent_bipolar": Builtin(
        "Lets all activations and weights of -1 and +1 be INT2, as RTL layers need them, exact.",
        "finnyaml.steps.bipolar:represent_bipolar",
        "tidy_up",
    ),
    "leave_to_host": Builtin(
        "Leaves scales, biases and the choice of labels that end the network to the host, exact.",
        "finnyaml.steps.host:leave_to_host",
    ),
    "convert_quantizers": Builtin(
        "Makes thresholds of quantizers with a zero point or another rounding, and of truncations, exact.",
        "finnyaml.steps.quantizers:convert_quantizers",
        before="qonnx_to_finn",
    ),
    "fold_bias_quantizers": Builtin(
        "Stores quantized biases as the numbers that they are, exact.",
        "finnyaml.steps.quantizers:fold_bias_quantizers",
        before="qonnx_to_finn",
    ),
    "absorb_activations": Builtin(
        "Makes sigmoid, tanh, leaky ReLU and the like a part of the thresholds behind them, exact.",
        "finnyaml.steps.activations:absorb_activations",
        "tidy_up",
    ),
    "absorb_splits": Builtin(
        "Lets a layer behind a split of channels read all of them, with weights of 0, exact.",
        "finnyaml.steps.splits:absorb_splits",
        "tidy_up",
    ),
    "expand_groups": Builtin(
        "Makes convolutions with groups dense ones, with weights of 0, exact.",
        "finnyaml.steps.splits:expand_groups",
        "tidy_up",
    ),
    "lift_to_4d": Builtin(
        "Makes convolutions and pooling along one dimension two-dimensional, exact.",
        "finnyaml.steps.lifting:lift_to_4d",
        "tidy_up",
    ),
    "sum_pools": Builtin(
        "Makes average pooling a sum in hardware and one scale, exact.",
        "finnyaml.steps.pooling:sum_pools",
        "tidy_up",
    ),
    "lower_transposed_convolutions": Builtin(
        "Makes transposed convolutions convolutions over an image with zeros between its pixels, exact.",
        "finnyaml.steps.transposed:lower_transposed_convolutions",
        "tidy_up",
    ),
    "streamline_branches": Builtin(
        "Moves scales and transposes past forks and joins, so that branches compute with integers, exact.",
        "finnyaml.steps.branches:streamline_branches",
        "streamline",
    ),
    "upsample_nearest": Builtin(
        "Makes FINN's layer that repeats pixels of nearest upsampling, exact.",
        "finnyaml.steps.upsampling:upsample_nearest",
        "streamline",
    ),
    "represent_padding": Builtin(
        "Lets bipolar activations that meet zero padding hold the 0: INT2 instead of BIPOLAR, exact.",
        "finnyaml.steps.repairs:represent_padding",
        "tidy_up",
    ),
    "correct_annotations": Builtin(
        "Corrects signed data types of values that are never negative to unsigned ones, exact.",
        "finnyaml.steps.repairs:correct_annotations",
        "streamline",
    ),
    "clip_thresholds": Builtin(
        "Raises negative thresholds of layers with unsigned inputs to 0, exact.",
        "finnyaml.steps.repairs:clip_thresholds",
        "streamline",
    ),
    "keep_bipolar_weights": Builtin(
        "Stores weights of -1 and +1 in one bit again where FINN has widened them, exact.",
        "finnyaml.steps.repairs:keep_bipolar_weights",
        "minimize_bit_width",
    ),
    "widen_accumulators": Builtin(
        "Gives matrix layers whose sums FINN's data type does not hold one that does, exact.",
        "finnyaml.steps.widening:widen_accumulators",
        "minimize_bit_width",
    ),
}
"""All of them by name."""
