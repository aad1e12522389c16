"""Runs this suite in .venv-board, where the real pynq is, from the environment that has finnyaml."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-board/bin/python"
SECONDS = 600


def run_board_suite(bundle: Path | None = None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it on a bundle folder (it is copied; by default the suite makes its own small one)."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "PYTHON", "PYNQ_"))}
    if bundle is not None:
        environ["FINNYAML_BUNDLE"] = str(bundle.resolve())
    command = [str(PYTHON), "-m", "pytest", "-c", "tests/board/pytest.ini", "-q", "tests/board", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environ, timeout=SECONDS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
