"""Repeat one failed job alone, with its output on the terminal: `python -m finnyaml.worker.rerun JOB.json [FOLDER]`.

The sandbox stays in FOLDER (default: `rerun-<task>` here) for a look around; a debugger can be attached.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from finnyaml.worker.job import Failure, Job


def main(arguments: list[str]) -> int:
    """Run the job; 0 where it succeeds now, 1 where it still fails, 2 for a wrong call."""
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    data = json.loads(Path(arguments[0]).read_text())
    job = Job.from_json(data["job"])
    folder = Path(arguments[1] if len(arguments) == 2 else f"rerun-{job.task}").resolve()
    (folder / "build").mkdir(parents=True, exist_ok=True)

    import os

    os.environ["FINN_BUILD_DIR"] = str(folder / "build")
    from finnyaml.worker.__main__ import Worker

    result = Worker(Path(data["store"]), folder).run(replace(job, log=os.devnull))
    if isinstance(result, Failure):
        print(result.traceback or result.message, file=sys.stderr)
        return 1
    print(f"{job.task} succeeds now, in {result.seconds:.1f} s; its sandbox is {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
