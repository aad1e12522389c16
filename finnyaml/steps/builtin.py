"""The steps that finnyaml adds to FINN's: exact repairs, used in a recipe like any other step. Data only."""

from __future__ import annotations

from collections.abc import Mapping

STEPS: Mapping[str, str] = {
    "represent_bipolar": "Lets all activations and weights of -1 and +1 be INT2, as RTL layers need them, exact.",
    "leave_to_host": "Leaves scales, biases and the choice of labels that end the network to the host, exact.",
    "represent_padding": "Lets bipolar activations that meet zero padding hold the 0: INT2 instead of BIPOLAR, exact.",
    "correct_annotations": "Corrects signed data types of values that are never negative to unsigned ones, exact.",
    "clip_thresholds": "Raises negative thresholds of layers with unsigned inputs to 0, exact.",
    "keep_bipolar_weights": "Stores weights of -1 and +1 in one bit again where FINN has widened them, exact.",
    "widen_accumulators": "Gives matrix layers whose sums FINN's data type does not hold one that does, exact.",
}
"""Name to one line of what the step does to the graph."""
