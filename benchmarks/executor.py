"""The batched executor beside qonnx's `execute_onnx`, at every stage of digits-cnv and Brevitas' CNV_1W1A.

Both execute the same stage models in one process, in turn. Also: the CPU time of 10,000 images through all stages of
digits-cnv, and the memory that a run of 10,000 images needs beside one of 1,000 (Linux only).
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import table
from benchmarks.networks import NETWORKS, images, signature, stages

BATCH = 250
ROUNDS = 3
BARS = {"digits-cnv": 200, "CNV_1W1A": 100}
CPU_BAR = 10.0  # seconds for 10,000 images through all stages of digits-cnv


def run(folder: Path) -> None:
    """Print the three tables."""
    warnings.filterwarnings("ignore", message="The values of tensor")
    with contextlib.redirect_stdout(io.StringIO()):  # FINN talks
        built = {name: stages(NETWORKS[name], folder / name) for name in BARS}
    for name, bar in BARS.items():
        _speed(name, built[name], bar)
    _all_stages(built["digits-cnv"])
    _memory(built["digits-cnv"]["step_hw_codegen"], folder)


def _speed(name: str, models: dict[str, Any], bar: int) -> None:
    """Time per image at each stage: median of some rounds, both in each."""
    from qonnx.core.onnx_exec import execute_onnx

    from finnyaml.verify.executor import BatchedModel

    rows, totals = [], np.zeros(2)
    for stage, model in models.items():
        batched = BatchedModel(model)
        samples = images(NETWORKS[name], BATCH).reshape(BATCH, *batched.input_shape[1:])
        batched.run(samples[:8])

        def one_by_one(batched: BatchedModel = batched, samples: np.ndarray = samples) -> None:
            execute_onnx(batched.model, {batched.input: samples[:1]})

        def batch(batched: BatchedModel = batched, samples: np.ndarray = samples) -> None:
            batched.run(samples)

        times = [(_seconds(one_by_one), _seconds(batch) / BATCH) for _ in range(ROUNDS)]
        seconds = np.array([statistics.median(column) for column in zip(*times, strict=True)])
        totals += seconds
        rows.append(_row(stage.removeprefix("step_"), seconds))
    rows.append(_row("all stages", totals))
    table([f"{name}, per image", "execute_onnx", "batched", "faster"], rows)
    faster = totals[0] / totals[1]
    print(f"{name}, all stages: {faster:.0f}x faster, bar {bar}x: {'met' if faster >= bar else 'NOT met'}\n")


def _row(stage: str, seconds: np.ndarray) -> list[str]:
    return [stage, f"{seconds[0] * 1e3:.1f} ms", f"{seconds[1] * 1e3:.3f} ms", f"{seconds[0] / seconds[1]:.0f}x"]


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _all_stages(models: dict[str, Any]) -> None:
    """10,000 images through all stages; stages of one signature compute the same, so one of them does it."""
    from finnyaml.verify.executor import BatchedModel

    rows, total = [], 0.0
    seen: dict[bytes, str] = {}
    data = images(NETWORKS["digits-cnv"], 10_000)
    for stage, model in models.items():
        started = time.process_time()
        batched = BatchedModel(model, threads=1)
        same = seen.setdefault(signature(batched), stage)
        if same == stage:
            for start in range(0, len(data), BATCH):
                batched.run(data[start : start + BATCH].reshape(-1, *batched.input_shape[1:]))
        seconds = time.process_time() - started
        total += seconds
        rows.append([stage.removeprefix("step_"), f"{seconds:.2f} s", f"as {same}" if same != stage else ""])
    rows.append(["all stages", f"{total:.2f} s", ""])
    table(["digits-cnv, 10,000 images", "CPU", ""], rows)
    print(f"all stages: {total:.1f} s of CPU time, bar {CPU_BAR:.0f} s: {'met' if total <= CPU_BAR else 'NOT met'}\n")


def _memory(model: Any, folder: Path) -> None:
    """Peak memory of runs of two lengths, each in a process of its own."""
    path = str(folder / "stage.onnx")
    model.save(path)
    rows = []
    for count in (BATCH, 1_000, 10_000):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            before, peak = pool.apply(_peak, (path, count))
        rows.append([f"{count:,} images", f"{before / 1024:.0f} MB", f"{(peak - before) / 1024:.0f} MB"])
    table([f"memory, {BATCH} images in a batch", "before", "more while running"], rows)


def _peak(path: str, count: int) -> tuple[int, int]:
    """Peak resident kilobytes before the first batch and after the last; the images are made batch by batch."""
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.verify.executor import BatchedModel

    batched = BatchedModel(ModelWrapper(path))
    random = np.random.default_rng(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _kilobytes("VmHWM")
    for _ in range(0, count, BATCH):
        batched.run(random.integers(0, 256, (BATCH, *batched.input_shape[1:])))
    return before, _kilobytes("VmHWM")


def _kilobytes(figure: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(figure))
