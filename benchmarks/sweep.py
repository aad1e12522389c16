"""What many variants cost: a prefix that they share is paid once, and planning grows no faster than their number."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

from benchmarks.bench import ROOT, clean_environment, finnyaml_command, table
from tests.project import tiny_model

DIGITS = ROOT / "recipes"
VARIANTS = 24
PLANNED = (10, 100, 1000)
LONGEST_PLAN, MOST_MEMORY = 10.0, 1 << 30
STEPS, CACHED = 15, 10_000
LONGEST_JUDGEMENT = 15.0

MARK = '''
import numpy as np


def mark(model, cfg, number):
    """Write a number into the one weight, so that every task has a result of its own."""
    name = model.graph.initializer[0].name
    model.set_initializer(name, np.full_like(model.get_initializer(name), number))
    return model
'''


def run(folder: Path, variants: int = VARIANTS) -> None:
    """Print what `variants` of digits-rtl cost, then what planning many variants costs, and judging many results."""
    _shared(folder / "shared", variants)
    _planning(folder / "planning")
    _judging(folder / "judging")


def _finnyaml(folder: Path, *words: str) -> tuple[float, float, int, str]:
    """Run a command: its seconds, those of its processor time, its peak memory (bytes), and what it printed."""
    environment = clean_environment(FINNYAML_STORE=str(folder.parent / "store"), PYTHONPATH=str(ROOT))
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        started = time.perf_counter()
        process = subprocess.Popen([*finnyaml_command(), *words], cwd=folder, env=environment, stdout=out, stderr=err)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        told, wrong = out.read(), err.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} in {folder} ended with {process.returncode}:\n{told}\n{wrong}")
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, told


def _shared(folder: Path, variants: int) -> None:
    """digits-rtl up to its simulation: variants that differ in the number of frames share all that is before."""
    for name in ("digits-cnv", "digits-rtl"):
        shutil.copytree(DIGITS / name, folder / name, ignore=shutil.ignore_patterns("build*", "__pycache__"))
    project = folder / "digits-rtl"
    text = (project / "recipe.yaml").read_text()
    head, _, rest = text.partition("  # Images through the hardware")
    tail = rest.partition("toolchain: open")[2].partition("\nverify:")[0]
    entry = '  - {uses: rtl.simulate, with: {frames: "${frames}"}}\n'
    data = "\nverify: {data: {python: ../digits-cnv/data.py:load, args: {split: test}}, points: []}\n"
    (project / "all.yaml").write_text(
        f"{head}{entry}\ntoolchain: open{tail}{data}"
        f"matrix: {{frames: {[*range(50, 50 + variants)]}}}\noutput: build-all\n"
    )
    _finnyaml(project, "plan", "all.yaml")  # asks FINN once for what it has
    seconds, _, _, told = _finnyaml(project, "build", "all.yaml", "--json", "--jobs", "1")
    records = json.loads(told)["variants"].values()
    ran = [(name, task["seconds"]) for record in records for name, task in record["tasks"].items() if _ran(task)]
    counts = Counter(name for name, _ in ran)
    once = sum(spent for name, spent in ran if counts[name] == 1)
    own = sum(spent for name, spent in ran if counts[name] > 1)
    each = sum(len(record["tasks"]) for record in records)
    print(f"digits-rtl to rtl.simulate, {variants} variants that differ in `frames`, one worker:\n")
    table(
        ["", "tasks", "ran", "seconds in tasks"],
        [
            ["shared by all", f"{each - variants:,}", f"{sum(n for n in counts.values() if n == 1)}", f"{once:.1f}"],
            ["rtl.simulate", f"{variants}", f"{counts['simulate']}", f"{own:.1f}"],
        ],
    )
    alone = once * variants + own
    print(f"\nthe whole build: {seconds:.0f} s; each variant by itself: {alone:.0f} s in tasks, and as many starts")


def _ran(task: dict[str, object]) -> bool:
    return task["state"] == "ran"


def _planning(folder: Path) -> None:
    """`finnyaml plan` of digits-cnv with an empty store: 15 tasks a variant, nothing built."""
    shutil.copytree(DIGITS / "digits-cnv", folder / "project", ignore=shutil.ignore_patterns("build*", "__pycache__"))
    project = folder / "project"
    text = (project / "recipe.yaml").read_text().partition("\nverify:")[0]
    text = text.replace("target_fps: 2000", "target_fps: '${fps}'")
    rows = []
    for count in PLANNED:
        (project / f"{count}.yaml").write_text(f"{text}\nmatrix: {{fps: {[*range(1, count + 1)]}}}\n")
        _finnyaml(project, "plan", f"{count}.yaml")
        seconds, processor, memory, _ = _finnyaml(project, "plan", f"{count}.yaml")
        each = f"{1000 * processor / count:.1f} ms"
        rows.append([f"{count:,}", f"{seconds:.2f} s", f"{processor:.2f} s", each, f"{memory >> 20} MiB"])
    print("\n`finnyaml plan` of digits-cnv, 15 tasks a variant, nothing built:\n")
    table(["variants", "time", "processor", "a variant", "memory"], rows)
    fits = processor < LONGEST_PLAN and memory < MOST_MEMORY
    print(f"\n{PLANNED[-1]:,} variants in less than {LONGEST_PLAN:g} s of processor time and 1 GiB: {_met(fits)}")


def _judging(folder: Path) -> None:
    """`finnyaml plan` where all is built: every task is judged by its trace."""
    project = folder / "project"
    project.mkdir(parents=True)
    tiny_model(project / "tiny.onnx")
    (project / "steps.py").write_text(MARK)
    variants = -(-CACHED // STEPS)
    entries = [f'  - {{id: t{n}, uses: "steps.py:mark", with: {{number: {n}}}}}' for n in range(STEPS - 2)]
    last = '  - {id: last, uses: "steps.py:mark", with: {number: "${n}"}}'
    head = [
        "name: many",
        f"matrix: {{n: {[*range(variants)]}}}",
        "model: {onnx: tiny.onnx, input: {datatype: FLOAT32}}",
    ]
    (project / "recipe.yaml").write_text("\n".join([*head, "steps:", *entries, last]) + "\n")
    seconds, *_ = _finnyaml(project, "build", "recipe.yaml", "--jobs", "1")
    judged, processor, memory, told = _finnyaml(project, "plan", "recipe.yaml")
    assert " up to date, 0 to run" in told, told[-500:]
    print(f"\n{variants * STEPS:,} cached tasks ({variants} variants, built in {seconds:.0f} s):\n")
    rows = [[f"{judged:.2f} s", f"{processor:.2f} s", f"{memory >> 20} MiB"]]
    table(["judged in", "processor", "memory"], rows)
    print(f"\nless than {LONGEST_JUDGEMENT:g} s of processor time: {_met(processor < LONGEST_JUDGEMENT)}")


def _met(fits: bool) -> str:
    return "met" if fits else "NOT met"
