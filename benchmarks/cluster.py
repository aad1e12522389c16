"""Variants on one node of a cluster and on two, on a real Slurm; each has a step that takes as long as a tool would.

Nodes have one processor each, and lie on this machine (`tests/cluster/slurm`); it takes root. What a job costs beside
its step is in the figures: Slurm, Python, FINN's imports in a new worker.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

from benchmarks.bench import table, verdict
from tests.cluster.lab import Lab, slurm_script
from tests.project import warm

VARIANTS = 6
SECONDS = 20
"""How long the stand-in of a tool takes."""

SITE = """
executors: {{cluster: {{kind: slurm, partition: {partition}}}}}
needs: {{same: {{executor: cluster}}}}
"""


def run(folder: Path) -> None:
    """Print how long the variants take on one node and on two."""
    started = slurm_script("start", str(folder / "slurm"))
    if started.returncode != 0:
        raise SystemExit(started.stderr.strip())
    os.environ["SLURM_CONF"] = str(folder / "slurm/slurm.conf")
    try:
        store = warm(folder / "warm")
        found = {
            nodes: _measured(folder / partition, store, partition) for nodes, partition in ((1, "one"), (2, "main"))
        }
    finally:
        slurm_script("stop", str(folder / "slurm"))
    table(
        ["nodes", "time", "jobs", "a job beside its step"],
        [
            [str(nodes), f"{seconds:.0f} s", str(jobs), f"{beside:.1f} s"]
            for nodes, (seconds, jobs, beside) in found.items()
        ],
    )
    print(f"\n{VARIANTS} variants, each with a step of {SECONDS} s.")
    verdict("two nodes to one", found[2][0] / found[1][0], 1 / 1.8)


def _measured(folder: Path, store: Path, partition: str) -> tuple[float, int, float]:
    """How long all variants take, how many jobs that are, and how long a job is there beside its step."""
    lab = Lab(folder, shutil.copytree(store, folder.with_suffix(".store")), SITE.format(partition=partition))
    lab.step(f"import time; time.sleep({SECONDS}); return model")
    recipe = (lab.folder / "recipe.yaml").read_text().replace("by: 2.0", 'by: "${by}"')
    lab.write(
        "recipe.yaml", f"matrix: {{by: {json.dumps([float(number) for number in range(2, 2 + VARIANTS)])}}}\n{recipe}"
    )
    lab.build("--to", "scale")
    begun = time.monotonic()
    lab.build()
    seconds = time.monotonic() - begun
    started, ended = (sum(event["time"] for event in lab.events(kind)) for kind in ("job_started", "committed"))
    return seconds, len(lab.ids()), (ended - started) / VARIANTS - SECONDS
