"""The stand-ins do what they are told, and their failures are recognised. They are not the real tools."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.tools import standins
from tests.tools.logs import first_error


def run(folder: Path, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(folder / tool), *arguments], capture_output=True, text=True, check=False, cwd=folder)


def test_a_call_is_recorded(tmp_path: Path) -> None:
    standins.install(tmp_path, "vivado")
    (tmp_path / "x.tcl").touch()
    assert run(tmp_path, "vivado", "-mode", "batch", "-source", "x.tcl").returncode == 0
    (call,) = standins.calls(tmp_path, "vivado")
    assert call["argv"] == ["-mode", "batch", "-source", "x.tcl"]
    assert call["cwd"] == str(tmp_path)
    assert call["env"]["PATH"] == os.environ["PATH"]
    assert standins.calls(tmp_path, "vitis_hls") == []


def test_it_leaves_files_and_vitis_hls_its_project(tmp_path: Path) -> None:
    standins.install(tmp_path, "vivado", files={"a/b.txt": "text"})
    run(tmp_path, "vivado", "-mode", "batch")
    assert (tmp_path / "a" / "b.txt").read_text() == "text"
    standins.install(tmp_path, "vitis_hls")
    (tmp_path / "hls_syn.tcl").write_text("set config_proj_name project_MVAU_hls_0\n")
    run(tmp_path, "vitis_hls", "hls_syn.tcl")
    assert (tmp_path / "project_MVAU_hls_0" / "sol1" / "impl" / "ip" / "component.xml").exists()


def test_it_writes_its_log_where_it_stands(tmp_path: Path) -> None:
    standins.install(tmp_path, "vivado", "no_licence")
    run(tmp_path, "vivado", "-mode", "batch")
    found = first_error(tmp_path / "vivado.log")
    assert found is not None
    assert "[Common 17-345]" in found.text


@pytest.mark.parametrize(
    ("behaviour", "code", "cause", "hint"),
    [
        ("works", 0, None, None),
        ("no_licence", 1, "ERROR: [Common 17-345]", "XILINXD_LICENSE_FILE"),
        ("buried_error", 1, "ERROR: [Synth 8-439]", None),
        ("out_of_disk", 1, "ERROR: [Common 17-49]", "disk"),
        ("unknown_part", 1, "ERROR: [Coretcl 2-106]", "part"),
        ("fails_silently", 1, None, None),
        ("crashes", -signal.SIGSEGV, "Abnormal program termination (11)", "crashed"),
        ("killed", -signal.SIGKILL, None, None),
    ],
)
def test_failures_are_recognised(
    tmp_path: Path, behaviour: str, code: int, cause: str | None, hint: str | None
) -> None:
    standins.install(tmp_path, "vivado", behaviour)
    done = run(tmp_path, "vivado", "-mode", "batch")
    assert done.returncode == code
    found = first_error(done.stdout)
    assert (found is None) == (cause is None)
    if found is not None and cause is not None:
        assert found.text.startswith(cause)
        assert hint is None or hint in (found.hint or "")


def test_what_a_shell_says_of_a_killed_tool_is_recognised(tmp_path: Path) -> None:
    standins.install(tmp_path, "vivado", "killed")
    script = tmp_path / "make_project.sh"
    script.write_text(f"#!/bin/bash\ncd {tmp_path}\n./vivado -mode batch -source x.tcl\ncd /\n")
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
    found = first_error(done.stdout + done.stderr)
    assert found is not None
    assert "Killed" in found.text
    assert "memory" in (found.hint or "")
