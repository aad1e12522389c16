"""The steps that finnyaml adds to FINN's: exact repairs, used in a recipe like any other step. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Builtin:
    """`does` in one line. `function` is `module:function`, from a model to a `finnyaml.graph.surgery.Repaired`.

    `after` is the step of FINN (without `step_`) after which it belongs; None where no rule proposes it.
    """

    does: str
    function: str
    after: str | None = None


STEPS: Mapping[str, Builtin] = {
    "represent_bipolar": Builtin(
        "Lets all activations and weights of -1 and +1 be INT2, as RTL layers need them, exact.",
        "finnyaml.steps.bipolar:represent_bipolar",
    ),
    "leave_to_host": Builtin(
        "Leaves scales, biases and the choice of labels that end the network to the host, exact.",
        "finnyaml.steps.host:leave_to_host",
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
