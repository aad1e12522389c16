"""The rules and their findings: what the command line and the documentation know of them, without the graph world."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from finnyaml import plugins

Severity = Literal["error", "warning", "info"]
"""`error`: the build will fail or compute something else; `warning`: hardly what was meant; `info`: a chance."""


@dataclass(frozen=True)
class Rule:
    """One rule.

    `title` is one line; `repair` is the step of finnyaml that repairs what it finds, if there is one. `lasting`: what
    it finds is found at every later stage, too, until something has settled it. `root`: what other rules find at later
    stages often follows from it, and is told once it is settled.
    """

    id: str
    severity: Severity
    title: str
    repair: str | None = None
    lasting: bool = False
    root: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that a rule has to say.

    `rule` is the id in the catalogue, `node` the name of the node it is about (None: the whole graph, or its input),
    `hint` what to do, `repair` the step of finnyaml that repairs it exactly, `pointer` the place in the recipe.
    `settled_by` are further steps of finnyaml after which it is none.
    """

    rule: str
    severity: Severity
    message: str
    node: str | None = None
    hint: str | None = None
    repair: str | None = None
    pointer: tuple[str | int, ...] | None = None
    settled_by: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Finding:
        """The finding that `plain` made the JSON form of."""
        lists = {"pointer": plain["pointer"] and tuple(plain["pointer"]), "settled_by": tuple(plain["settled_by"])}
        return cls(**{**plain, **lists})


RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        Rule(
            "quantizer-not-convertible",
            "error",
            "A quantizer has a zero point or a rounding that FINN's conversion does not take",
            "convert_quantizers",
        ),
        Rule(
            "bias-with-one-scale",
            "error",
            "A quantized bias has one scale for all channels",
            "fold_bias_quantizers",
            lasting=True,
        ),
        Rule(
            "activation-before-quantizer",
            "error",
            "An activation function stands before a quantizer and would be computed in floating point",
            "absorb_activations",
            lasting=True,
        ),
        Rule(
            "operator-without-hardware",
            "error",
            "FINN has no hardware layer for an operator inside the network",
        ),
        Rule(
            "grouped-convolution",
            "error",
            "A convolution has groups of several channels",
            "expand_groups",
            lasting=True,
            root=True,
        ),
        Rule(
            "split-of-channels",
            "error",
            "A layer reads a part of the channels that a Split or Slice has cut off",
            "absorb_splits",
            lasting=True,
            root=True,
        ),
        Rule(
            "one-dimensional-layer",
            "error",
            "A convolution or pooling works along one dimension, and FINN's layers have two",
            "lift_to_4d",
            lasting=True,
            root=True,
        ),
        Rule(
            "average-not-convertible",
            "error",
            "An average is not in the form that FINN has hardware for",
            "sum_pools",
            lasting=True,
            root=True,
        ),
        Rule(
            "upsampling-not-converted",
            "error",
            "An upsampling is not converted by FINN's step",
            "upsample_nearest",
            lasting=True,
            root=True,
        ),
        Rule(
            "transposed-convolution",
            "error",
            "A transposed convolution is not converted by FINN's flow",
            "lower_transposed_convolutions",
            lasting=True,
            root=True,
        ),
        Rule(
            "binary-values-joined",
            "error",
            "Branches of -1 and +1 join before binary weights, and FINN makes bits of one branch only",
            "represent_bipolar",
            lasting=True,
        ),
        Rule(
            "branches-not-streamlined",
            "error",
            "Branches join, and scales stand before the join",
            "streamline_branches",
            lasting=True,
            root=True,
        ),
        Rule(
            "padding-cannot-be-represented",
            "error",
            "A convolution is padded with a value that its input data type does not have",
            "represent_padding",
            lasting=True,
        ),
        Rule(
            "padded-pooling-of-signed-values",
            "error",
            "FINN cannot make hardware of a padded max-pooling of signed values",
            lasting=True,
        ),
        Rule(
            "signed-output-never-negative",
            "error",
            "A threshold layer claims a signed output but never gives a negative value",
            "correct_annotations",
            lasting=True,
        ),
        Rule(
            "negative-threshold-on-unsigned-input",
            "error",
            "A threshold layer with an unsigned input has negative thresholds: FINN stops on a bare assertion",
            "clip_thresholds",
            lasting=True,
        ),
        Rule("threshold-not-convertible", "error", "FINN cannot make hardware of this threshold layer", lasting=True),
        Rule(
            "node-between-hardware-layers",
            "error",
            "A node that FINN has not converted stands between its layers",
            lasting=True,
        ),
        Rule("float-in-dataflow", "warning", "Floating-point arithmetic is left inside the accelerator", lasting=True),
        Rule("input-cannot-hold-data", "error", "The graph input's data type cannot hold the data"),
        Rule("input-is-float", "warning", "The graph input is annotated float, but the data is integer"),
        Rule("folding-does-not-divide", "error", "PE or SIMD does not divide what the layer folds"),
        Rule("no-folding", "warning", "Nothing is folded: every matrix layer runs with PE = SIMD = 1"),
        Rule("throughput-off-target", "warning", "The estimated throughput is far from target_fps"),
        Rule("unnamed-bottleneck", "warning", "A layer that the folding does not name is the slowest"),
        Rule("runtime-weights-ignored", "warning", "runtime_writeable_weights has no effect with this mem_mode"),
        Rule("rtl-not-possible", "warning", "RTL is asked for, but FINN will make the layer in HLS"),
        Rule(
            "output-queue-too-short", "warning", "A matrix layer in RTL loses results when the next layer makes it wait"
        ),
        Rule(
            "accumulator-too-narrow",
            "error",
            "The data type of a matrix layer cannot hold the sums that it can reach",
            "widen_accumulators",
        ),
        Rule("bipolar-weights-widened", "info", "Weights of -1 and +1 are stored in two bits", "keep_bipolar_weights"),
    )
}
"""All rules of finnyaml by id, in the order of the documentation."""


def rule_ids() -> tuple[str, ...]:
    """The ids of all rules, those of plug-ins last."""
    return (*RULES, *plugins.installed("lint_rules"))


def suppressed(findings: Iterable[Finding], ignore: Collection[tuple[str, str | None]]) -> list[Finding]:
    """The findings without those that the recipe ignores (`lint: {ignore: [...]}`).

    `ignore` has (rule id, node name) pairs; the node is None where the whole rule is meant.
    """
    return [found for found in findings if not {(found.rule, None), (found.rule, found.node)} & set(ignore)]
