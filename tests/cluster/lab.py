"""A project on a real Slurm: what its jobs have done, as their folders in the store tell it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from finnyaml.engine import jobs, slurm
from tests.project import Project
from tests.waiting import wait_until

SITE = """
executors:
  cluster: {kind: slurm, partition: main, time: 5min}
needs:
  scale: {executor: cluster}
  same: {executor: cluster}
  report: {executor: cluster}
"""


class Lab(Project):
    """A project whose steps run on the cluster; only `model` runs here."""

    def __init__(self, folder: Path, store: Path, site: str = SITE) -> None:
        super().__init__(folder, store)
        self.site(site)

    def site(self, text: str) -> None:
        """Write the site file."""
        self.write("finnyaml.site.yaml", text)

    def environment(self, **more: str) -> dict[str, str]:
        """That of any project, with its site file."""
        return super().environment(**{"FINNYAML_SITE": str(self.folder / "finnyaml.site.yaml"), **more})

    def folders(self) -> list[Path]:
        """Those of all jobs, the oldest first."""
        return sorted((self.store / "jobs").glob("*"), key=lambda folder: folder.stat().st_ctime)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of that kind of all jobs."""
        found = (folder / "events.jsonl" for folder in (self.store / "jobs").glob("*"))
        lines = (line for path in found if path.exists() for line in path.read_text().splitlines())
        return sorted(
            (event for event in map(json.loads, lines) if event["event"] == kind), key=lambda event: event["time"]
        )

    def worked(self, task: str) -> int:
        """How often a task was done to its end on a node."""
        return sum(event["task"] == task for event in self.events("task_finished"))

    def ids(self) -> list[str]:
        """The jobs that were submitted."""
        return [record.id for record in map(jobs.read, self.folders()) if record is not None]

    def on_node(self, task: str, pattern: str) -> None:
        """Wait until a task has printed this on its node."""
        wait_until(
            lambda: any(re.search(pattern, log.read_text()) for log in self.store.glob(f"jobs/*/logs/{task}.log")),
            lambda: self._started[-1].poll() is None,
        )

    def state(self, job: str) -> str:
        """What Slurm says of a job."""
        return slurm.described(job).get("JobState", "")

    def found(self, job: str) -> None:
        """Wait until a build has found the job that another one had submitted."""
        runs = self.folder / "build/.finnyaml/runs"

        def look() -> bool:
            told = "".join(events.read_text() for events in runs.glob("*/events.jsonl"))
            return any(f'"job": "{job}"' in line for line in told.splitlines() if '"job_found"' in line)

        wait_until(look, lambda: self._started[-1].poll() is None)

    def start_now(self, job: str) -> None:
        """Let a job that was queued again start at once: Slurm would wait for two minutes."""
        wait_until(lambda: self.state(job) == "PENDING")
        subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=True)


def slurm_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the script that sets Slurm up."""
    script = Path(__file__).with_name("slurm")
    return subprocess.run([script, *arguments], capture_output=True, text=True, check=False, env=os.environ)
