"""The networks and the faults of `seeded`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bench import ROOT

RECIPES = ROOT / "recipes"
_DIGITS = f"{RECIPES}/digits-cnv/data.py:load"


@dataclass(frozen=True)
class Network:
    """A recipe without its steps and points, and those."""

    recipe: Mapping[str, Any]
    verify: Mapping[str, Any]
    steps: Sequence[str | Mapping[str, Any]]


@dataclass(frozen=True)
class Fault:
    """A fault (of `seeded_faults`) at a node, in a step of its own behind `after`, or in FINN's `step` in its place.

    `inside`: the transformation of that step in which it is. `says`: what the cause has to say, a regular expression.
    """

    network: str
    after: str
    fault: str
    node: str
    says: str
    options: Mapping[str, Any] = field(default_factory=dict)
    step: str = ""
    inside: str = ""

    @property
    def name(self) -> str:
        """The id of its step, unlike any other's."""
        number = sum(other.network == self.network for other in FAULTS[: FAULTS.index(self)])
        return f"f{number:02}_{self.fault}"

    @property
    def what(self) -> str:
        """It in a few words."""
        place = f"in {self.step}{f', {self.inside}' if self.inside else ''}" if self.step else f"after {self.after}"
        return f"{self.network} {place}: {self.node}"


def _flow(before: Sequence[str] = (), after: Sequence[str] = (), last: Sequence[str] = ()) -> list[str]:
    """FINN's steps up to the narrowest types, with further ones after tidy_up, convert_to_hw and at the end."""
    return [
        *("qonnx_to_finn", "tidy_up", *before, "streamline", "convert_to_hw", *after, "minimize_bit_width_initial"),
        *("create_dataflow_partition", "specialize_layers", "target_fps_parallelization", "apply_folding_config"),
        *("minimize_bit_width", *last),
    ]


def _recipe(model: Mapping[str, Any], shape: Sequence[int], *, classes: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "model": {**model, "input": {"shape": list(shape), "datatype": "UINT8", "layout": "NCHW"}},
        "preprocess": ["to_tensor"],
        **({"postprocess": [{"top_k": 1}]} if classes else {}),
        "folding": {"target_fps": 1000},
        "target": {"board": "ZCU102", "clock_ns": 10.0},
        "finn": {"standalone_thresholds": True},
        **more,
    }


def _own(function: str, **arguments: Any) -> dict[str, Any]:
    return {"brevitas": f"seeded_networks.py:{function}", "args": arguments}


def _trained(folder: str, file: str, function: str, **arguments: Any) -> dict[str, Any]:
    weights = f"{RECIPES}/{folder}/weights.pth"
    return {"brevitas": f"{RECIPES}/{file}:{function}", "args": arguments, "weights": weights}


def _digits(size: int = 14, limit: int = 500) -> dict[str, Any]:
    return {"python": _DIGITS, "args": {"split": "test", "size": size}, "limit": limit}


_LABELS = {"data": _digits()}
_AGREEMENT = {"data": _digits(), "metric": "agreement"}
_COLOUR = {"data": {"python": "seeded_networks.py:colours", "args": {}}, "metric": "agreement"}
_MNIST = {"data": _digits(28)}
_BIPOLAR = ("represent_padding",), (), ("widen_accumulators",)

NETWORKS: Mapping[str, Network] = {
    "mlp": Network(
        _recipe(_trained("tfc-w1a1", "tfc-w1a1/model.py", "tfc_w1a1"), (1, 1, 28, 28)),
        _MNIST,
        _flow(last=["widen_accumulators"]),
    ),
    "bipolar": Network(
        _recipe(_trained("digits-cnv", "digits-cnv/model.py", "digits_cnv", act_bits=1), (1, 1, 14, 14)),
        _LABELS,
        _flow(*_BIPOLAR),
    ),
    "ternary": Network(
        _recipe(
            _trained("digits-cnv-w2a2", "digits-cnv/model.py", "digits_cnv", act_bits=2, weight_bits=2),
            (1, 1, 14, 14),
        ),
        _LABELS,
        _flow(),
    ),
    "rtl": Network(
        _recipe(_trained("digits-rtl", "digits-rtl/model.py", "digits_rtl"), (1, 1, 14, 14)),
        _LABELS,
        _flow(after=["leave_to_host"]),
    ),
    "signed": Network(
        _recipe(_own("signed"), (1, 1, 14, 14), classes=False),
        {"data": {"python": "seeded_networks.py:numbers", "args": {}}, "metric": "mse"},
        _flow(after=["leave_to_host"]),
    ),
    "channels": Network(_recipe(_own("channels"), (1, 1, 14, 14)), _AGREEMENT, _flow()),
    "depthwise": Network(_recipe(_own("depthwise"), (1, 1, 14, 14)), _AGREEMENT, _flow()),
    "residual": Network(
        _recipe(_own("residual"), (1, 1, 16, 16)),
        {"data": _digits(16), "metric": "agreement"},
        [
            {"uses": "seeded_networks.py:branches", "id": "streamline", "expect": "exact"}
            if step == "streamline"
            else step
            for step in _flow()
        ],
    ),
    **{
        name: Network(
            _recipe(_own("example", name=name), (1, 1, 28, 28)), {"data": _digits(28), "metric": "agreement"}, _flow()
        )
        for name in ("TFC_1W2A", "TFC_2W2A")
    },
    **{
        name: Network(
            _recipe(_own("example", name=name), (1, 3, 32, 32)),
            _COLOUR,
            _flow(last=["widen_accumulators"] if name == "CNV_1W1A" else ()),
        )
        for name in ("CNV_1W1A", "CNV_1W2A", "CNV_2W2A")
    },
}
"""The first six have faults put in; all have to be let be as they are."""


def _on(network: str, *rows: tuple[Any, ...]) -> list[Fault]:
    return [Fault(network, *row[:4], *row[4:]) for row in rows]


def _within(network: str, *rows: tuple[Any, ...]) -> list[Fault]:
    """Rows of (step before, step, transformation, fault, node, says, options)."""
    return [Fault(network, after, *row[:3], *row[3:], step=step, inside=inside) for after, step, inside, *row in rows]


FAULTS: Sequence[Fault] = [
    *_on(
        "mlp",
        ("tidy_up", "exchange", "MatMul:1", "weight columns 3 and 9 exchanged", {"a": 3, "b": 9}),
        ("tidy_up", "sign", "MatMul:0", "weight .*changed sign", {"count": 300}),
        ("streamline", "move", "MultiThreshold:1", r"threshold \[5, 0\] moved by \+12", {"by": 12, "index": 5}),
        ("streamline", "setting", "TopK:0", "largest 1 -> 0", {"name": "largest", "value": 0}),
        ("convert_to_hw", "setting", "MVAU:2", "binaryXnorMode 1 -> 0", {"name": "binaryXnorMode", "value": 0}),
        ("specialize_layers", "reverse", "MVAU:0", "weight rows in reverse order", {"axis": 0}),
        ("specialize_layers", "transpose", "MVAU:1", "weight rows and columns exchanged", {}),
        ("apply_folding_config", "exchange", "MVAU:-1", "weight columns 2 and 7", {"a": 2, "b": 7}),
        ("widen_accumulators", "narrow", "MVAU:1", "INT4", {"to": "INT4"}),
    ),
    *_within(
        "mlp",
        (
            "tidy_up",
            "streamline",
            "ConvertBipolarMatMulToXnorPopcount",
            "exchange",
            "XnorPopcountMatMul:1",
            "weight",
            {"a": 1, "b": 8},
        ),
        ("streamline", "convert_to_hw", "", "move", "Thresholding:2", "threshold", {"by": 6}),
    ),
    *_on(
        "bipolar",
        ("represent_padding", "transpose", "Conv:1", "kernel rows and kernel columns exchanged", {"axes": [2, 3]}),
        (
            "streamline",
            "setting",
            "Im2Col:1",
            r"pad_amount \[4, 4, 4, 4\] -> \[3, 4, 5, 4\]",
            {"name": "pad_amount", "value": [3, 4, 5, 4]},
        ),
        ("convert_to_hw", "setting", "Thresholding:1", "ActVal -1 -> 0", {"name": "ActVal", "value": 0}),
        (
            "specialize_layers",
            "setting",
            "FMPadding:1",
            r"Padding \[4, 4, 4, 4\] -> \[4, 5, 4, 3\]",
            {"name": "Padding", "value": [4, 5, 4, 3]},
        ),
        ("minimize_bit_width", "sign", "MVAU:2", "weight", {"count": 40}),
        ("widen_accumulators", "narrow", "MVAU:3", "INT5", {"to": "INT5"}),
    ),
    *_on(
        "ternary",
        ("tidy_up", "exchange", "Conv:2", "weight input channels 0 and 9 exchanged", {"a": 0, "b": 9}),
        ("tidy_up", "multiply", "BatchNormalization:1", "variance", {"by": 2.0, "place": 4}),
        ("streamline", "move", "MultiThreshold:2", "threshold row 4 moved by", {"by": 9, "index": 4}),
        ("convert_to_hw", "setting", "Pool:0", "Function MaxPool -> ", {"name": "Function", "value": "QuantAvgPool"}),
        ("convert_to_hw", "setting", "Thresholding:3", "ActVal -1 -> 0", {"name": "ActVal", "value": 0}),
        ("specialize_layers", "exchange", "MVAU:1", "weight rows 4 and 300 exchanged", {"a": 4, "b": 300, "axis": 0}),
        ("apply_folding_config", "narrow", "Thresholding:2", "INT3", {"to": "INT3", "thresholds": True}),
        ("minimize_bit_width", "reverse", "Thresholding:4", "threshold rows in reverse order", {}),
    ),
    *_on(
        "rtl",
        (
            "tidy_up",
            "setting",
            "Conv:1",
            r"pads \[1, 1, 1, 1\] -> \[0, 1, 2, 1\]",
            {"name": "pads", "value": [0, 1, 2, 1]},
        ),
        ("tidy_up", "coarse", "MultiThreshold:2", "rounded to integers", {"how": "near"}),
        ("streamline", "sign", "MatMul:0", "weight .*changed sign", {"count": 3}),
        ("convert_to_hw", "clip", "MVAU:2", "weight cut off at -2 and 2", {"low": -2, "high": 2}),
        ("leave_to_host", "exchange", "MVAU:-1", "weight columns 0 and 1 exchanged", {"a": 0, "b": 1}),
        (
            "specialize_layers",
            "move",
            "Thresholding:0",
            "threshold column 3 moved by",
            {"by": 40, "index": 3, "axis": 1},
        ),
        (
            "apply_folding_config",
            "setting",
            "FMPadding:1",
            r"Padding \[1, 1, 1, 1\] -> \[0, 1, 2, 1\]",
            {"name": "Padding", "value": [0, 1, 2, 1]},
        ),
        ("minimize_bit_width", "narrow", "MVAU:-1", "INT7", {"to": "INT7"}),
        ("minimize_bit_width", "multiply", "Thresholding:1", "threshold row 2 multiplied by", {"by": 2, "index": 2}),
    ),
    *_within(
        "rtl",
        (
            "tidy_up",
            "streamline",
            "LowerConvsToMatMul",
            "setting",
            "Im2Col:1",
            r"padding \[1, 1, 1, 1\] -> \[0, 1, 2, 1\]",
            {"name": "pad_amount", "value": [0, 1, 2, 1]},
        ),
        ("tidy_up", "streamline", "AbsorbMulIntoMultiThreshold", "move", "MultiThreshold:1", "threshold", {"by": 9}),
    ),
    *_on(
        "signed",
        ("tidy_up", "coarse", "Mul:-1", "final scale rounded", {"how": "2"}),
        ("tidy_up", "move", "MultiThreshold:1", "threshold", {"by": 0.05}),
        ("streamline", "drop", "Mul:-1", "is gone", {}),
        ("streamline", "coarse", "Mul:-1", "final scale rounded", {"how": "power"}),
        ("streamline", "setting", "MultiThreshold:0", "out_bias -8 -> -7", {"name": "out_bias", "value": -7.0}),
        ("convert_to_hw", "setting", "Thresholding:1", "ActVal -8 -> -7", {"name": "ActVal", "value": -7}),
        ("specialize_layers", "exchange", "MVAU:1", "weight rows 4 and 30", {"a": 4, "b": 30, "axis": 0}),
        ("apply_folding_config", "sign", "MVAU:1", r"weight \[\d+, \d\] changed sign", {}),
        ("minimize_bit_width", "narrow", "MVAU:-1", "INT6", {"to": "INT6"}),
        (
            "minimize_bit_width",
            "move",
            "Thresholding:0",
            r"threshold \[2, 5\]|threshold row 2 moved",
            {"by": 3, "index": 2},
        ),
    ),
    *_on(
        "channels",
        ("tidy_up", "average", "Mul:0", "scale", {}),
        ("tidy_up", "exchange", "Mul:0", "scale", {"a": 0, "b": 3}),
        (
            "streamline",
            "setting",
            "MultiThreshold:1",
            r"out_bias (\(not set\)|0) -> 1",
            {"name": "out_bias", "value": 1.0},
        ),
        (
            "streamline",
            "setting",
            "Transpose:-1",
            r"perm \[0, 3, 1, 2\] -> \[0, 3, 2, 1\]",
            {"name": "perm", "value": [0, 3, 2, 1]},
        ),
        ("convert_to_hw", "move", "MVAU:1", r"weight .*moved by \+1", {"by": 1, "index": 2, "axis": 1}),
        (
            "specialize_layers",
            "exchange",
            "Thresholding:1",
            "threshold rows 0 and 5 exchanged",
            {"a": 0, "b": 5, "axis": 0},
        ),
        ("minimize_bit_width", "narrow", "MVAU:1", "INT6", {"to": "INT6"}),
    ),
]
