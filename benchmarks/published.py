"""Networks whose results on a board are public: accuracy after every step, interval and resources beside those.

The networks are Brevitas' trained TFC in the QONNX model zoo, on MNIST's 10,000 test images; the folding is the
published one. The data is not part of this project: `FINNYAML_DATA` names its folder, else `shared/data` beside the
checkout is looked for. It holds `tfc/` (TFC_1W1A.onnx, ..., mnist_t10k.npz with x and y), `finn-configs/` and
`published.json`.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import ROOT, table

NETWORKS = ("TFC_1W1A", "TFC_1W2A", "TFC_2W2A")
LAST = "minimize_bit_width"
STEPS = (
    *("qonnx_to_finn", "tidy_up", "streamline", "convert_to_hw", "minimize_bit_width_initial"),
    *("create_dataflow_partition", "specialize_layers", "apply_folding_config", LAST),
    *("widen_accumulators", "generate_estimate_reports"),
)
FLATTEN = {"Reshape_rtl_0": {"PE": 28}}
"""finn-plus makes the flatten a layer. Published foldings are older and do not name it, so that it takes 784 cycles."""

RESOURCES = ("LUT", "BRAM_18K", "DSP")


def run(folder: Path) -> None:
    """Print a table of accuracy, one of intervals and resources, and what equal scores do to the accuracy."""
    found = data()
    if found is None:
        print("NOT RUN: its data is not here. FINNYAML_DATA names the folder that has tfc/ and published.json.")
        return
    warnings.filterwarnings("ignore")
    results = json.loads((found / "published.json").read_text())["results"]
    of_board = {_name(item["network"]): item for item in results if item["network"] and "tfc" in item["network"]}
    built = {name: _built(found, name, folder / name) for name in NETWORKS}
    _accuracy(built, of_board)
    folded = {name: _built(found, name, folder / f"{name}-folded", nodes=FLATTEN) for name in NETWORKS}
    _hardware(built, folded, of_board)
    for name, result in built.items():
        print(f"\n{name}: {_ties(result, float(of_board[name]['board_measured']['top1_percent']))}", flush=True)


def data() -> Path | None:
    """The folder of the data; None where it is not here."""
    named = os.environ.get("FINNYAML_DATA")
    places = [Path(named)] if named else [parent / "shared" / "data" for parent in ROOT.parents]
    return next((place for place in places if (place / "published.json").is_file()), None)


def _name(network: str) -> str:
    """`TFC_1W2A` of `models/bnn-pynq/tfc-w1a2_qonnx.onnx`."""
    kind, _, bits = Path(network).name.partition("_")[0].partition("-")
    return f"{kind.upper()}_{bits[1]}W{bits[3]}A"


def _built(found: Path, name: str, folder: Path, **folding: Any) -> Any:
    """The network with the published folding, and more of it; measured if that is all."""
    import finnyaml

    folder.mkdir(parents=True)
    kind = f"tfc-w{name[4]}a{name[6]}"
    configs = found / "finn-configs" / "bnn-pynq"
    recipe = {
        "name": name,
        "model": {
            "onnx": str(found / "tfc" / f"{name}.onnx"),
            "input": {"shape": [1, 1, 28, 28], "datatype": "UINT8", "layout": "NCHW"},
        },
        "preprocess": ["to_tensor"],
        "postprocess": [{"top_k": 1}],
        "steps": STEPS,
        "specialize": {"file": str(configs / "specialize_layers_config" / f"{kind}_specialize_layers.json")},
        "folding": {"file": str(configs / "folding_config" / f"{kind}_folding_config.json"), **folding},
        "target": {"board": "RFSoC2x2", "clock_ns": 10.0},
        "outputs": ["estimate_reports"],
        "finn": {"standalone_thresholds": False},
        "verify": {
            "data": {"npz": str(found / "tfc" / "mnist_t10k.npz"), "inputs": "x", "labels": "y"},
            "on_fail": "defer",
            **({"points": []} if folding else {}),
        },
        "output": "build",
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe, indent=1))  # JSON is YAML
    return finnyaml.load(path, store=folder.parent / "store").build(jobs=1)


def _accuracy(built: Mapping[str, Any], of_board: Mapping[str, Any]) -> None:
    steps = list(dict.fromkeys(step for result in built.values() for step in result.measurements))
    rows = [(step, *(_percent(result.measurements.get(step)) for result in built.values())) for step in steps]
    rows.append(("on the board, published", *(f"{of_board[name]['board_measured']['top1_percent']}" for name in built)))
    table(("top1 of 10,000 in %", *built), rows)
    print()


def _percent(measured: Any) -> str:
    return "" if measured is None or measured.value is None else f"{100 * measured.value:.2f}"


def _hardware(built: Mapping[str, Any], folded: Mapping[str, Any], of_board: Mapping[str, Any]) -> None:
    rows = []
    for name, result in built.items():
        theirs, ours = of_board[name], _estimates(result)
        estimate = theirs["finn_estimate"]
        on_board = theirs["board_measured"]["interval_cycles"]
        for what, report in (("cycles", ours), ("cycles, the flatten folded", _estimates(folded[name]))):
            slow = f"{report['max_cycles']} ({', '.join(report['slowest'])})"
            rows.append((f"{name}: {what}", slow, f"{estimate['max_cycles']:g}", on_board))
        for what in RESOURCES:
            vivado = theirs["vivado_bitfile"]
            measured = vivado[what] + (2 * vivado["BRAM_36K"] if what == "BRAM_18K" else 0)
            rows.append((f"{name}: {what}", f"{ours[what]:g}", f"{estimate[what]:g}", f"{measured:g}"))
    table(("", "here, estimated", "published estimate", "Vivado and board"), [tuple(map(str, row)) for row in rows])


def _estimates(result: Any) -> dict[str, Any]:
    """Cycles and resources of FINN's own estimates; BRAM in units of 18 kbit."""
    reports = {path.stem: json.loads(path.read_text()) for path in result.files("generate_estimate_reports").values()}
    cycles = reports["estimate_layer_cycles"]
    total = reports["estimate_layer_resources"]["total"]
    most = max(cycles.values())
    return {
        "max_cycles": most,
        "slowest": [layer for layer, taken in cycles.items() if taken == most],
        **{what: total.get(what, 0) for what in RESOURCES},
    }


def _ties(result: Any, published: float) -> str:
    """What becomes of the accuracy if another of equal scores wins."""
    path = next(path for name, path in result.files(f"verify.{LAST}").items() if name.endswith(".npz"))
    with np.load(path) as kept:
        scores, labels = kept["scores"].reshape(len(kept["labels"]), -1), kept["labels"]
    best = scores == scores.max(axis=1, keepdims=True)
    tied = best.sum(axis=1) > 1
    first = best.argmax(axis=1) == labels
    last = best.shape[1] - 1 - best[:, ::-1].argmax(axis=1) == labels
    possible = best[np.arange(len(labels)), labels]
    sure = possible & ~tied
    return (
        f"{int(tied.sum())} images have two or more highest scores. Right with the first of them {int(first.sum())}, "
        f"with the last {int(last.sum())}, with the worst {int(sure.sum())}, with the best {int(possible.sum())}; "
        f"published {round(published * len(labels) / 100)}."
    )
