"""The types, as programs outside of this package see them: mypy and pyright, both strict."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OUTSIDE = Path(__file__).parent / "outside"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is not in this repository: finnyaml is an installed package to it."""
    folder = tmp_path_factory.mktemp("outside")
    shutil.copytree(OUTSIDE, folder, dirs_exist_ok=True)
    (folder / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
    return folder


def test_mypy(program: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache"]
    good = subprocess.run([*command, "use.py"], cwd=program, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stdout + good.stderr
    wrong = subprocess.run([*command, "wrong.py"], cwd=program, capture_output=True, text=True, check=False)
    assert _lines(wrong.stdout) == [5, 6, 7], wrong.stdout + wrong.stderr


def test_pyright(program: Path) -> None:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run(command, cwd=program, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = {(Path(item["file"]).name, item["range"]["start"]["line"] + 1) for item in found}
    assert errors == {("wrong.py", 5), ("wrong.py", 6), ("wrong.py", 7)}, found


def _lines(told: str) -> list[int]:
    return sorted({int(line.split(":")[1]) for line in told.splitlines() if ": error:" in line})
