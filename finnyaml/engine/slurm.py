"""Slurm as this needs it: submit by submitit, ask `squeue` and `scontrol`, cancel. No accounting database is asked."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnyaml.errors import FinnyamlError, ToolMissing
from finnyaml.site.needs import Place
from finnyaml.text import shortened

OVER = frozenset(
    ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE", "BOOT_FAIL", "PREEMPTED")
)
"""States in which a job does nothing any more."""

UNKNOWN = "UNKNOWN"
"""The state of a job of which Slurm has not said anything yet."""

REQUEUES = 3
"""How often a job is queued again after it reached its time limit."""

_HOUR = 60
"""Minutes that a job gets of which nobody says how long it takes."""

_ASK = 2.0
"""Seconds between two questions to `squeue`, for all jobs of a build together."""

_LONG = 60.0
"""Seconds after which a command of Slurm that does not answer is left alone."""


@dataclass(frozen=True)
class State:
    """A job as Slurm has it: PENDING, RUNNING, ...; `nodes` where it runs, `reason` why it does not.

    `comment` has the name of the folder of a job of ours: ids come again when a cluster is set up anew.
    """

    name: str
    nodes: str = ""
    reason: str = ""
    comment: str = ""

    @property
    def over(self) -> bool:
        """Whether it does nothing any more."""
        return self.name in OVER


class Refused(FinnyamlError):
    """Slurm did not take a job, or does not answer."""


def check() -> None:
    """Raises ToolMissing where jobs cannot be submitted from here."""
    try:
        import submitit  # noqa: F401
    except ImportError:
        raise ToolMissing(
            "the site file has steps run on Slurm, which takes submitit, and it is not installed",
            hint="pip install 'finnyaml[cluster]'; or leave the site file out: FINNYAML_SITE= finnyaml build ...",
        ) from None
    for command in ("sbatch", "srun", "squeue", "scontrol", "scancel"):
        if shutil.which(command) is None:
            raise ToolMissing(
                f"the site file has steps run on Slurm, and there is no {command} on PATH",
                hint="build on a machine of the cluster from which jobs are submitted",
            )


def submit(work: Callable[[], object], name: str, there: Place, folder: Path) -> str:
    """Submit a job that does `work` at a place, with its files in a folder; returns its id.

    Raises:
        Refused: with what sbatch said.
    """
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    # As for workers: what lies in the current folder is not to be imported.
    python = shlex.join([sys.executable, *(["-P"] if sys.version_info >= (3, 11) else [])])
    executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=REQUEUES, python=python)
    executor.update_parameters(**_parameters(name, there), comment=folder.name)
    try:
        job = str(executor.submit(work).job_id)
        for pickle in folder.glob("*.pkl"):
            pickle.chmod(0o600)  # it is code for this user's job, and has the whole recipe
        return job
    except (FailedJobError, FailedSubmissionError, OSError) as error:
        raise refused(str(error), there) from None


def _parameters(name: str, there: Place) -> dict[str, Any]:
    """What submitit is told; it knows no licences, so they go the way that it leaves open for any option."""
    more: dict[str, Any] = {"requeue": True, **there.executor.options}
    if there.licenses:
        more["licenses"] = ",".join(f"{licence}:{count}" for licence, count in sorted(there.licenses.items()))
    minutes = there.resources.time or _HOUR
    found = {
        "job_name": name,
        "additional_parameters": more,
        "setup": ["set -e", *there.setup, "set +e"] if there.setup else None,
        "partition": there.executor.partition,
        "cpus_per_task": there.resources.cpus,
        "mem": None if there.resources.memory is None else f"{there.resources.memory}M",
        "time": minutes,
        "signal_delay_s": min(90, minutes * 15),  # before the limit, to be queued again
        "srun_args": ["--export=ALL"],
    }
    return {key: value for key, value in found.items() if value is not None}


def refused(said: str, there: Place) -> Refused:
    """What sbatch said, and what to do."""
    lines = re.findall(r"(?:sbatch|srun): (?:error: )?(.+)", said) or [said.strip().splitlines()[-1] if said else ""]
    reason = "; ".join(dict.fromkeys(line.strip() for line in lines))
    executor, place = there.executor, f" ({there.executor.where})" if there.executor.where else ""
    hint = f"see executor {executor.name} in the site file{place}"
    if re.search(r"partition", reason, re.IGNORECASE):
        hint = f"`sinfo` lists the partitions; {hint}"
    elif re.search(r"icense", reason):
        hint = f"`scontrol show licenses` lists the licences; see `needs` in the site file{place}"
    elif re.search(r"MaxSubmit|MaxJob|QOS|policy|temporarily|too many", reason, re.IGNORECASE):
        hint = f"fewer `jobs` in the queue: {hint}; what was submitted goes on, and the next build takes it"
    return Refused(f"Slurm did not take the job: {shortened(reason)}", hint=hint)


class Queue:
    """What Slurm says of jobs. Threads may ask for one each: `squeue` is called once for all, and not too often."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._asked = float("-inf")
        self._wanted: set[str] = set()
        self._states: dict[str, State] = {}

    def state(self, job: str) -> State | None:
        """The state of a job; None where Slurm does not know it (any more).

        While Slurm does not answer, it is what it was last.
        """
        with self._guard:
            fresh = time.monotonic() - self._asked < _ASK
            if not fresh or job not in self._wanted:
                self._wanted.add(job)
                self._look()
            return self._states.get(job)

    def _look(self) -> None:
        found = states(self._wanted)
        self._asked = time.monotonic()
        if found is None:
            self._states = {job: self._states.get(job, State(UNKNOWN)) for job in self._wanted}
        else:
            self._states = found


def states(jobs: Iterable[str]) -> dict[str, State] | None:
    """The states of those jobs that Slurm knows; None where it does not answer."""
    wanted = sorted(jobs)
    if not wanted:
        return {}
    done = _run("squeue", "--noheader", "--states=all", "--format=%i|%T|%N|%r|%k", f"--jobs={','.join(wanted)}")
    # An id that Slurm has forgotten is an error where no other is asked for.
    if done is None or (done.returncode != 0 and "Invalid job id" not in done.stderr):
        return None
    rows = (line.split("|", 4) for line in done.stdout.splitlines() if line.count("|") >= 4)
    return {job: State(*state) for job, *state in rows}


def answers() -> list[str]:
    """The partitions that Slurm has; none where it does not answer."""
    done = _run("sinfo", "--noheader", "--format=%R")
    return done.stdout.split() if done is not None and done.returncode == 0 else []


def described(job: str) -> dict[str, str]:
    """What `scontrol show job` says; empty where Slurm does not know the job (any more)."""
    done = _run("scontrol", "show", "job", "--oneliner", job)
    return dict(re.findall(r"(\w+)=(\S+)", done.stdout)) if done is not None and done.returncode == 0 else {}


def cancel(jobs: Sequence[str]) -> None:
    """Cancel jobs; those that have ended are fine."""
    if jobs:
        _run("scancel", *jobs)


def job_here() -> str:
    """The id of the job that this process is a part of; empty where it is of none."""
    return os.environ.get("SLURM_JOB_ID", "")


def node_here() -> str:
    """The name that Slurm has for this machine."""
    return os.environ.get("SLURMD_NODENAME") or os.uname().nodename


def _run(*command: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_LONG, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
