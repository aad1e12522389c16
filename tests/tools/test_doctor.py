"""What doctor reports. Tools are stand-ins, not the real ones."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import pytest

from finnyaml import __version__
from finnyaml.tools import preload, registry
from finnyaml.tools.doctor import Report, examine
from tests.tools import standins


def states(report: Report) -> dict[str, str]:
    return {check.name: check.state for check in (*report.packages, *report.tools)}


def test_a_machine_without_tools(tmp_path: Path) -> None:
    report = examine(tmp_path / "store", {"PATH": "", "HOME": str(tmp_path), "FINN_DEPS": str(tmp_path)})
    found = states(report)
    assert found["vivado"] == "missing"
    assert found["xilinx_licence"] == "note"
    assert {check.name for check in report.tools} == set(registry.TOOLS)
    assert all(check.enables and check.hint for check in report.tools)
    assert json.loads(json.dumps(asdict(report)))["python"]["state"] == "found"


def test_a_machine_with_tools(tmp_path: Path) -> None:
    report = examine(tmp_path / "store", standins.xilinx(tmp_path))
    vivado = next(check for check in report.tools if check.name == "vivado")
    assert (vivado.state, vivado.version, vivado.where) == ("found", "2022.2", str(tmp_path / "bin" / "vivado"))
    assert states(report)["finnyaml"] == "found"
    assert report.packages[0].version == __version__


def test_finn_is_reported_from_its_metadata(tmp_path: Path) -> None:
    finn = next(check for check in examine(tmp_path, {}).packages if check.name == "FINN")
    assert (finn.state, finn.where) == ("found", "finn-plus")


def test_the_store_need_not_exist_but_its_place_must_be_writable(tmp_path: Path) -> None:
    assert examine(tmp_path / "not" / "yet", {}).store.state in ("found", "note")
    assert not (tmp_path / "not").exists()
    file = tmp_path / "file"
    file.touch()
    broken = examine(file / "store", {}).store
    assert broken.state == "missing"
    assert str(file) in (broken.note or "")


def test_recording_is_tried(tmp_path: Path) -> None:
    compiler = tmp_path / "gcc"
    assert examine(tmp_path).recording.state == "found"
    without = examine(tmp_path, {"PATH": str(tmp_path)}).recording
    assert without.state == "note" and "there is no C compiler" in (without.note or "")
    compiler.write_text("#!/bin/sh\necho it is broken >&2; exit 1\n")
    compiler.chmod(0o755)
    assert "it is broken" in (examine(tmp_path, {"PATH": str(tmp_path)}).recording.note or "")
    compiler.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done; /bin/echo > "$2"\n')
    assert "told nothing" in (examine(tmp_path, {"PATH": str(tmp_path)}).recording.note or "")


def test_recording_is_tried_as_builds_do_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "a b"
    assert examine(store).recording.state == "found"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "c d"))
    (tmp_path / "c d").mkdir()
    monkeypatch.setattr(preload, "TEMPORARY", [str(tmp_path / "e:f")])
    without = examine(store).recording
    assert without.state == "note" and "no folder for a link" in (without.note or "")


def test_a_link_to_the_recorder_is_in_no_folder_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(preload, "TEMPORARY", [])
    folder = tmp_path / f"finnyaml-{os.getuid()}"
    folder.mkdir(mode=0o755)
    with pytest.raises(preload.Unavailable):
        preload.library(tmp_path / "a b")
    folder.chmod(0o700)
    assert preload.library(tmp_path / "a b").parent == folder
