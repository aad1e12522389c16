"""Repeat one failed job alone, with its output on the terminal: `python -m finnyaml.worker.rerun JOB.json [FOLDER]`.

The sandbox stays in FOLDER (default: `rerun-<task>` here) for a look around; a debugger can be attached.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from finnyaml.tools.environment import of_worker
from finnyaml.worker.job import Failure, Job


def main(arguments: list[str]) -> int:
    """Run the job; 0 where it succeeds now, 1 where it still fails, 2 for a wrong call."""
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    data = json.loads(Path(arguments[0]).read_text())
    job = Job.from_json(data["job"])
    folder = Path(arguments[1] if len(arguments) == 2 else f"rerun-{job.task}").resolve()
    for name in ("build", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    environment = of_worker(folder)
    if environment != dict(os.environ):  # some of it counts only from the start of a process
        command = [sys.executable, "-m", "finnyaml.worker.rerun", arguments[0], str(folder)]
        os.execve(sys.executable, command, environment)  # noqa: S606 - this very program
    from finnyaml.worker.attempt import attempt
    from finnyaml.worker.worker import Worker

    result = attempt(Worker(Path(data["store"]), folder), replace(job, log=str(folder / f"{job.task}.log")))
    if isinstance(result, Failure):
        print(result.traceback or result.message, file=sys.stderr)
        if result.cause:
            print(f"cause: {result.cause}, {result.cause_log or 'in the output above'}", file=sys.stderr)
        print(f"its sandbox is {folder}", file=sys.stderr)
        return 1
    print(f"{job.task} succeeds now, in {result.seconds:.1f} s; its sandbox is {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
