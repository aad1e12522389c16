"""A network of 24 million parameters, beside one plain Python process that does the same; then huge files and logs.

The network takes thirteen steps to FINN's estimates. Each of them hands on a model of 97 MB, and two of them change its
weights. What counts is how much of that is digested, written and kept more than once.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks.bench import (
    ROOT,
    Project,
    clean_environment,
    finnyaml_command,
    in_turn,
    median,
    table,
    verdict,
)
from benchmarks.bench import (
    run as run_command,
)

ROUNDS = 2
NOOPS = 10
WIDTHS = (784, 4096, 4096, 960, 10)
MB = 1e6
CLI_BAR = 300 * (1 << 20)

RECIPE = """\
model: {onnx: net.onnx, input: {datatype: UINT8, layout: NC}}
preprocess: [to_tensor]
postprocess: [top_k: 1]
steps: estimate_only
folding: {target_fps: 100}
target: {board: Pynq-Z1, clock_ns: 10.0}
outputs: [estimate_reports]
finn: {standalone_thresholds: true}
"""

HUGE = """\
model: {onnx: net.onnx, input: {datatype: UINT8, layout: NC}}
steps: ["steps.py:huge"]
targets: {all: huge}
"""

STEPS = """\
import sys

def huge(model, cfg):
    with open(f"{cfg.output_dir}/huge.bin", "wb") as file:
        for number in range(%d):
            file.write(bytes([number %% 256]) * (1 << 20))
    for number in range(%d):
        sys.stdout.write("INFO: a line of a log of a tool that prints a lot: " + "x" * 48 + "\\n")
    return model
"""
"""Writes so many MiB, and prints so many lines of 100 bytes."""

HUGES = (("file of 1,000 MiB", 1000, 0), ("file of 3,000 MiB", 3000, 0), ("log of 1 GB, 10^7 lines", 0, 10_000_000))


def run(folder: Path) -> None:
    """Print both tables."""
    project = _project(folder / "big", RECIPE)
    _network(WIDTHS, project.folder / "net.onnx")
    _flow(folder, project)
    print()
    _huge(folder)


def _flow(folder: Path, project: Project) -> None:
    size = (project.folder / "net.onnx").stat().st_size
    project.finnyaml("plan")  # the store knows FINN from here on
    known = folder / "knows-finn"
    shutil.copytree(project.store, known)
    memory: list[int] = []

    def plain() -> float:
        output = folder / "plain"
        shutil.rmtree(output, ignore_errors=True)
        command = [sys.executable, str(Path(__file__).with_name("plain_big.py")), "net.onnx", str(output)]
        return run_command(command, project.folder, clean_environment(PYTHONPATH=str(ROOT)))[0]

    def cold() -> float:
        for left in (project.store, project.folder / "build"):
            shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(known, project.store)
        seconds, peak = _watched(project, "build")
        memory.append(peak)
        return seconds

    seconds = in_turn({"plain": plain, "cold": cold}, ROUNDS)
    best = {name: min(values) for name, values in seconds.items()}
    store = _used(project.store) - _used(known)
    workspace = _used(project.folder / "build")
    models = len([*(project.folder / "build" / "intermediate_models").glob("*.onnx")])
    small = Project.of_digits(folder / "small", folder / "small-store")
    small.build()
    small.finnyaml("build")  # the ordinary way, which leaves the stamp of the quick path
    project.finnyaml("build")
    noop = in_turn({"small": lambda: small.finnyaml("build")[0], "big": lambda: project.finnyaml("build")[0]}, NOOPS)
    idle = {name: median(values) for name, values in noop.items()}
    table(
        [f"24 M parameters, {size / MB:.0f} MB as ONNX", "", "of"],
        [
            ["one plain Python process", f"{best['plain']:.1f} s", ""],
            ["cold build", f"{best['cold']:.1f} s", f"{best['cold'] / best['plain']:.2f}x plain"],
            ["the store grows by", f"{store / MB:.0f} MB", f"{store / size:.2f}x the model"],
            ["the workspace has", f"{workspace / MB:.0f} MB", f"{workspace / size:.2f}x the model ({models} models)"],
            ["nothing to do", f"{idle['big'] * 1000:.0f} ms", f"{idle['big'] / idle['small']:.2f}x a small network"],
            ["memory of the command", f"{max(memory) / (1 << 20):.0f} MiB", ""],
        ],
    )
    verdict("cold build to plain process", best["cold"] / best["plain"], 1.1)
    verdict("store to model", store / size, 2.5)
    verdict("no-op to that of a small network", idle["big"] / idle["small"], 2.0)


def _huge(folder: Path) -> None:
    rows = []
    for name, megabytes, lines in HUGES:
        project = _project(folder / "huge", HUGE)
        _network((64, 10), project.folder / "net.onnx")
        (project.folder / "steps.py").write_text(STEPS % (megabytes, lines))
        seconds, peak = _watched(project, "build")
        (events,) = (project.folder / "build" / ".finnyaml" / "runs").glob("*/events.jsonl")
        told = [json.loads(line) for line in events.read_text().splitlines()]
        worker = max(event["peak_memory"] for event in told if event["event"] == "task_finished")
        _, shown = _watched(project, "log", "huge")
        peaks = [f"{value / (1 << 20):.0f} MiB" for value in (peak, worker, shown)]
        rows.append([f"a step that leaves a {name}", f"{seconds:.1f} s", *peaks])
        verdict(f"memory of the commands with a {name}", max(peak, shown) / CLI_BAR, 1.0)
        shutil.rmtree(project.folder)
        shutil.rmtree(project.store)
    table(["", "build", "memory of the command", "of its worker", "of `finnyaml log`"], rows)


def _project(folder: Path, recipe: str) -> Project:
    folder.mkdir()
    (folder / "recipe.yaml").write_text(recipe)
    return Project(folder, folder.with_name(f"{folder.name}-store"))


def _network(widths: Sequence[int], path: Path) -> None:
    """Fully connected layers of 4 bits, with weights at random (seeded), as Brevitas exports them."""
    import torch
    from brevitas.export import export_qonnx
    from brevitas.nn import QuantLinear, QuantReLU  # type: ignore[import-untyped]

    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for width, following in pairwise(widths):
        layers += [QuantLinear(width, following, bias=False, weight_bit_width=4)]
        layers += [torch.nn.BatchNorm1d(following), QuantReLU(bit_width=4, return_quant_tensor=True)]
    network = torch.nn.Sequential(*layers[:-2]).eval()
    export_qonnx(network, args=torch.zeros(1, widths[0]), export_path=str(path), dynamo=False)


def _watched(project: Project, *command: str) -> tuple[float, int]:
    """Run finnyaml: seconds, and the peak of its own resident memory in bytes, without that of its workers."""
    environment = clean_environment(FINNYAML_STORE=str(project.store), PYTHONPATH=str(ROOT))
    name, *rest = command
    started = time.perf_counter()
    process = subprocess.Popen(
        [*finnyaml_command(), name, "recipe.yaml", *rest],
        cwd=project.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(0.02)
    seconds = time.perf_counter() - started
    _, told = process.communicate()
    if process.returncode:
        raise SystemExit(f"finnyaml {' '.join(command)} in {project.folder} ended with {process.returncode}:\n{told}")
    return seconds, peak


def _resident(process: int) -> int:
    """The peak of the resident memory of a process in bytes; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)


def _used(folder: Path) -> int:
    """Bytes on the disk, without what is only a second name."""
    found = {(status.st_dev, status.st_ino): status for path in folder.rglob("*") if (status := path.lstat())}
    return sum(status.st_blocks * 512 for status in found.values())
