"""What a build of the sample (see `sample.py`) leaves in its sandbox, and the bundle that is put together from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from finnyaml import __version__
from finnyaml.bundle.assemble import assemble
from tests.bundle.sample import read_json, sample_bundle

PERFORMANCE = {
    "critical_path_cycles": 4000,
    "max_cycles": 1000,
    "max_cycles_node_name": "MVAU_hls_0",
    "estimated_throughput_fps": 100000.0,
    "estimated_latency_ns": 40000.0,
}
TARGET = {
    "platform": "zynq-iodma",
    "shell": "vivado_zynq",
    "board": "Pynq-Z2",
    "part": "xc7z020clg400-1",
    "clock_mhz": 100.0,
    "instrumentation": False,
}
MEASURED = {
    "state": "measured",
    "metric": "top1",
    "value": 0.875,
    "shown": "87.5 %",
    "samples": 64,
    "interval": [0.77, 0.94],
    "agreement": 1.0,
}
POINTS = [
    {"step": "tidy_up", **MEASURED},
    {"step": "stitched", "state": "not executable", "metric": "top1", "samples": 64},
]


def sandbox(root: Path, *, weights: bool = False) -> tuple[Path, Path]:
    """A sandbox with FINN's reports in `out`, and the folder of parts as the contract's task leaves it."""
    parts, out = root / "parts", root / "out"
    sample_bundle(parts, weights=weights)
    described = read_json(parts)
    content = {key: described[key] for key in ("contract", "driver", "golden")}
    (parts / "contract.json").write_text(json.dumps(content))
    shutil.rmtree(parts / "accelerator")
    (out / "report").mkdir(parents=True)
    total = {"total": {"LUT": 5834.0, "BRAM_18K": 34.0, "URAM": 0.0, "DSP": 0.0}}
    (out / "report/estimate_layer_resources.json").write_text(json.dumps(total))
    (out / "report/estimate_network_performance.json").write_text(json.dumps(PERFORMANCE))
    return root, parts


def built(root: Path, *, name: str = "sample", weights: bool = False, **changed: Any) -> Path:
    """The bundle of the sample, `changed` in what `assemble` is given."""
    root, parts = sandbox(root, weights=weights)
    return again(root, parts, name=name, **changed)


def again(root: Path, parts: Path, *, name: str = "sample", **changed: Any) -> Path:
    """Put the bundle together from what is in the sandbox now."""
    given: dict[str, Any] = {
        "name": name,
        "recipe": {"digest": "0" * 64, "resolved": {"name": name}},
        "built_with": {
            "finnyaml": __version__,
            "finn": {"distribution": "finn-plus", "version": "1.6.1"},
            "python": "3.11.7",
            "packages": {"qonnx": "1.0.0"},
            "tools": {},
        },
        "target_info": TARGET,
        "points": POINTS,
        "artifacts": {"model": "1" * 64},
        "templates": None,
        "files": [],
        "vars": {},
        **changed,
    }
    target = root / "out/bundle/sample"
    assemble(root, parts, target, **given)
    return target
