"""Verification of networks of real size: MobileNetV1 and ResNet-18 at 224x224, with random weights.

Each is built by finnyaml to hardware layers, with images at every step: this gives the memory of the worker. Then the
executor runs each step's graph beside plain onnxruntime on the same network in floating point, as PyTorch exports it;
time is processor time for an image. What is done once for a step (compiling, the self-check on two images) is apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import ROOT, table

COUNTS = (20, 60)
"""Images in the data set: memory must not follow from it."""

TIMED = 16
"""Images that are timed at each step."""

MEMORY_BAR = 2 << 30
TIME_BAR = 2.0

RECIPE = """
name: {name}
model:
  brevitas: {model}
  args: {args}
  input: {{shape: [1, 3, 224, 224], datatype: UINT8, layout: NCHW}}
preprocess: [to_tensor]
steps: {steps}
finn: {{standalone_thresholds: true}}
target: {{board: ZCU104}}
verify: {{data: {{npz: images.npz, inputs: x}}, metric: agreement}}
"""

EXAMPLES = ROOT / "recipes" / "finn-examples"
STAGES = "[[32], [64], [128, 128], [256, 256], [512, 512, 512, 512, 512, 512], [1024, 1024]]"

RESNET_18 = f"""
import sys

sys.path.insert(0, {str(ROOT / "recipes" / "digits-resnet")!r})
from brevitas.nn import QuantLinear
from model import Block, convolution, relu
from torch import nn


def resnet_18():
    width, layers = 64, [convolution(3, 64, 7, stride=2), relu(), nn.MaxPool2d(3, stride=2, padding=1)]
    for stage in range(4):
        for block in range(2):
            outputs = 64 * 2**stage
            layers.append(Block(width, outputs, stride=2 if stage and not block else 1))
            width = outputs
    dense = QuantLinear(512, 1000, bias=False, weight_bit_width=3)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense)
"""

NETWORKS: Mapping[str, Mapping[str, str]] = {
    "mobilenet-v1": {
        "model": f"{EXAMPLES}/stand_in.py:mobilenet",
        "args": f"{{channels: {STAGES}, pixels: 224}}",
        "steps": f'[qonnx_to_finn, tidy_up, "{EXAMPLES}/steps.py:streamline_depthwise", streamline, convert_to_hw]',
    },
    "resnet-18": {
        "model": "resnet_18.py:resnet_18",
        "args": "{}",
        "steps": "[qonnx_to_finn, tidy_up, sum_pools, streamline, streamline_branches, convert_to_hw]",
    },
}


def run(folder: Path) -> None:
    """Print a table for each network: each step beside the float network, and the memory of the worker."""
    for name, parts in NETWORKS.items():
        place = folder / name
        place.mkdir()
        (place / "resnet_18.py").write_text(RESNET_18)
        (place / "recipe.yaml").write_text(RECIPE.format(name=name, **parts))
        once: dict[str, float] = {}
        peaks = {}
        for count in COUNTS:
            images = np.random.default_rng(0).integers(0, 256, (count, 3, 224, 224)).astype(np.uint8)
            np.savez(place / "images.npz", x=images)
            measured = _built(place)
            peaks[count] = max(peak for _, peak in measured.values())
            once = {step: cpu for step, (cpu, _) in measured.items()}
        listed = ", ".join(f"{peak / 2**20:,.0f} MiB with {count} images" for count, peak in peaks.items())
        met = "met" if max(peaks.values()) <= MEMORY_BAR else "NOT met"
        print(f"{name}, memory of the worker: {listed}; bar 2,048 MiB: {met}\n", flush=True)
        _timed(name, place, once)


def _timed(name: str, place: Path, whole: Mapping[str, float]) -> None:
    """Each step's graph beside the float network; and what a point took as a whole in the build."""
    plain = _alone("float", name, place)
    seconds = {step: _alone("stage", _model(place, step), place) for step in whole if step != "source"}
    rows = [["onnxruntime, in floating point", f"{plain:.3f} s", "1.0x", ""]]
    rows += [[step, f"{cpu:.3f} s", f"{cpu / plain:.1f}x", f"{whole[step]:.1f} s"] for step, cpu in seconds.items()]
    table([f"{name}, CPU per image", "", "of float", f"point of {COUNTS[-1]}"], rows)
    worst = max(seconds.values()) / plain
    print(
        f"the slowest step: {worst:.1f}x, bar {TIME_BAR:g}x: {'met' if worst <= TIME_BAR else 'NOT met'}\n", flush=True
    )


def _model(place: Path, step: str) -> str:
    """The graph that a step left in the workspace."""
    models = place / "build" / "intermediate_models"
    return next(str(path) for path in (models / f"{step}.onnx", models / f"step_{step}.onnx") if path.exists())


def _built(place: Path) -> dict[str, tuple[float, int]]:
    """Processor seconds and the peak of memory (bytes) of each verification point, by its step."""
    command = [sys.executable, "-m", "finnyaml", "build", "--json", "--store", "store"]
    done = subprocess.run(
        command, cwd=place, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    if done.returncode:
        raise SystemExit(f"the build of {place.name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    tasks = json.loads(done.stdout)["tasks"]
    return {
        task["checks"]: (task["measurement"]["cpu_seconds"], task["peak_memory"])
        for task in tasks.values()
        if task.get("measurement", {}).get("cpu_seconds")
    }


def _alone(what: str, name: str, place: Path) -> float:
    """Processor seconds for an image, in a process of its own."""
    script = [sys.executable, "-W", "ignore", "-m", "benchmarks.large", what, name, str(place)]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _stage(path: str) -> float:
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.verify.executor import BatchedModel

    batched = BatchedModel(ModelWrapper(path))
    data = np.random.default_rng(0).integers(0, 256, (TIMED, *batched.input_shape[1:])).astype(np.float32)
    batched.run(data[:2])
    started = time.process_time()
    batched.run(data)
    return (time.process_time() - started) / TIMED


def _plain(name: str, place: Path) -> float:
    import onnxruntime
    import torch

    path = str(place / "float.onnx")
    module = _mobilenet() if name == "mobilenet-v1" else _resnet()
    torch.onnx.export(module.eval(), (torch.zeros(1, 3, 224, 224),), path, dynamo=False)
    session = onnxruntime.InferenceSession(path)
    image = np.random.default_rng(0).random((1, 3, 224, 224), np.float32)
    feed = {session.get_inputs()[0].name: image}
    session.run(None, feed)
    started = time.process_time()
    for _ in range(TIMED):
        session.run(None, feed)
    return (time.process_time() - started) / TIMED


def _mobilenet() -> Any:
    from torch import nn

    def block(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> list[nn.Module]:
        layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [layer, nn.BatchNorm2d(outputs), nn.ReLU()]

    layers, width = block(3, 32, 3, 2, 1), 32
    for number, outputs in enumerate((64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)):
        layers += block(width, width, 3, 2 if number in (1, 3, 5, 11) else 1, width) + block(width, outputs, 1, 1, 1)
        width = outputs
    return nn.Sequential(*layers, nn.AvgPool2d(7), nn.Flatten(), nn.Linear(1024, 1000))


def _resnet() -> Any:
    from torch import nn

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                *(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()),
                *(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)),
            )
            same = stride == 1 and inputs == outputs
            self.beside = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

        def forward(self, x: Any) -> Any:
            return (self.body(x) + self.beside(x)).relu()

    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, 2, 1))
    width = 64
    for stage in range(4):
        for number in range(2):
            layers.append(Block(width, 64 * 2**stage, 2 if stage and not number else 1))
            width = 64 * 2**stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


if __name__ == "__main__":
    print(_stage(sys.argv[2]) if sys.argv[1] == "stage" else _plain(sys.argv[2], Path(sys.argv[3])))
