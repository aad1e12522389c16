from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from finnyaml.cli.doctor import verdict
from finnyaml.engine import installed
from finnyaml.tools import doctor
from tests.cli.conftest import Command
from tests.project import ROOT


@pytest.fixture(autouse=True)
def imports(monkeypatch: pytest.MonkeyPatch) -> Callable[[doctor.Check], None]:
    """FINN takes 10 s to import; tests say what came of it."""

    def say(check: doctor.Check) -> None:
        monkeypatch.setattr(installed, "imported", lambda root: check)

    say(doctor.Check("FINN imports", "found", "1.6.1"))
    return say


def test_what_is_there_and_what_is_missing(finnyaml: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    answer = finnyaml("doctor")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert any(line.split()[:3] == ["ok", "FINN", "1.6.1"] for line in lines)
    place = next(index for index, line in enumerate(lines) if line.split()[:2] == ["missing", "vivado"])
    assert any("-> install Vivado" in line for line in lines[place : place + 4])
    assert "\x1b" not in answer.out  # colours are for terminals


def test_json(finnyaml: Command) -> None:
    data = finnyaml("doctor", "--json").data
    assert data["python"]["state"] == "found" and {check["name"] for check in data["packages"]} >= {"FINN", "torch"}


def test_a_store_that_cannot_be_written_is_4(finnyaml: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = finnyaml("doctor", "--store", tmp_path / "file" / "store")
    assert answer.code == 4 and "Nothing can be built here" in answer.out


def test_no_finn_is_4(tmp_path: Path) -> None:
    report = doctor.examine(tmp_path, {})
    packages = [replace(check, state="missing" if check.name == "FINN" else check.state) for check in report.packages]
    assert verdict(report) == 0
    assert verdict(replace(report, packages=tuple(packages))) == 4


def test_a_finn_that_does_not_import_is_4(finnyaml: Command, imports: Callable[[doctor.Check], None]) -> None:
    imports(doctor.Check("FINN imports", "missing", enables="every FINN step", note="No module named 'mip'"))
    answer = finnyaml("doctor")
    assert answer.code == 4 and "No module named 'mip'" in answer.out and "Nothing can be built here" in answer.out


def test_finn_is_imported_in_a_worker(finn_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a module in its way that FINN's configuration imports."""
    monkeypatch.undo()
    (tmp_path / "mip.py").write_text("raise ImportError('it is broken')\n")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    found = installed.imported(finn_store)
    assert found.state == "missing" and found.note and "it is broken" in found.note and found.hint
