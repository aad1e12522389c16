"""Layers are made once: the folding of one layer of CNV_1W1A changes, then that of several.

Vitis HLS is a stand-in that leaves empty files and notes its calls (tests/tools/standins.py), so the seconds of
hw_ipgen mean nothing; how often it was called does.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from benchmarks.bench import ROOT, Project, table
from tests.tools import standins

RECIPE = """
name: cnv
model:
  brevitas: stand_in.py:network
  args: {name: cnv_1W1A}
  input: {shape: [1, 3, 32, 32], layout: NCHW, datatype: UINT8}
preprocess: [to_tensor]
postprocess: [top_k: 1]
toolchain: vivado
lint: {ignore: [padding-cannot-be-represented, accumulator-too-narrow]}
steps:
  flow: hw_codegen
  insert:
  - {after: minimize_bit_width, steps: widen_accumulators}
  - {after: hw_codegen, steps: hw_ipgen}
folding: {target_fps: 3000}
target: {board: ZCU104, clock_ns: 10.0}
finn: {standalone_thresholds: true}
output: build
"""


def run(folder: Path) -> None:
    """Print how long code generation took, and how many layers went to Vitis HLS."""
    project = Project(folder / "cnv", folder / "store")
    project.folder.mkdir()
    shutil.copy(ROOT / "recipes/finn-examples/stand_in.py", project.folder)
    (project.folder / "recipe.yaml").write_text(RECIPE)
    environ = standins.xilinx(folder / "xilinx")
    environ["PATH"] += os.pathsep + os.environ["PATH"]
    rows = []

    def build(change: str, *options: str) -> list[str]:
        before = len(standins.calls(folder / "xilinx/bin", "vitis_hls"))
        project.build(*options, **environ)
        calls = len(standins.calls(folder / "xilinx/bin", "vitis_hls")) - before
        tasks = json.loads((project.folder / "build/.finnyaml/last.json").read_text())["tasks"]
        row = [change]
        for step in ("hw_codegen", "hw_ipgen"):
            layers = tasks[step]["metrics"].get("layers")
            row.append(f"{layers['made']} of {layers['there'] + layers['made']}" if layers else "all")
            if step == "hw_codegen":
                row.append(f"{tasks[step]['seconds']:.1f} s")
        rows.append([*row, str(calls)])
        return [tasks[step]["digest"] for step in ("hw_codegen", "hw_ipgen")]

    build("first build, store empty")
    folding = json.loads((project.folder / "build/report/auto_folding_config.json").read_text())
    name = next(name for name in folding if name.startswith("MVAU") and folding[name]["PE"] > 1)
    other = f"folding.nodes={{{name}: {{PE: {folding[name]['PE'] // 2}}}}}"
    laid_in = build(f"PE of {name}", "--set", other)
    anew = build("the same, all layers anew", "--set", other, "--force", "hw_codegen", "--force", "hw_ipgen")
    build("target_fps 3000 to 1500", "--set", "folding.target_fps=1500")
    table(["changed", "layers with code made", "time", "IP made", "calls of Vitis HLS"], rows)
    print(f"\nWhat was laid in {'equals' if laid_in == anew else 'DIFFERS FROM'} what FINN makes of all layers.")
