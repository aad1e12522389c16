"""The tutorial does what it says: its commands run on its files, and what it shows of their output is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.project import ROOT

PAGE = ROOT / "docs/tutorial.md"


def blocks() -> Iterator[tuple[str, str]]:
    """The files of the page, as (name, text), and its console sessions, as ("", text), in order."""
    for info, text in re.findall(r"^```(\w[^\n]*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        title = re.search(r'title="([^"]+)"', info)
        if title or info == "console":
            yield title[1] if title else "", text


def commands(session: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a console session, each with the lines that are shown below it, without those left out."""
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
        lines = (line.strip().removesuffix("...") for line in shown.splitlines())
        yield command, [line for line in map(normal, lines) if line]


def normal(line: str) -> str:
    """A line as it is on every machine: without figures, and blanks are one."""
    return " ".join(re.sub(r"\d[\d.,]*", "#", line).split())


@pytest.mark.long
@pytest.mark.timeout(3600)  # a dozen commands, most of which import FINN or torch
def test_the_tutorial(tmp_path: Path, store_folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "FINNYAML_STORE": str(store_folder)}
    ran, code, folder = [], 0, tmp_path
    for name, text in blocks():
        if name == "recipe.yaml":  # the page tells readers to edit that of `init`, and shows what it is then
            edited = (tmp_path / name).read_text().replace("# postprocess:\n#   - top_k", "postprocess:\n  - top_k")
            assert yaml.safe_load(edited) == yaml.safe_load(text)
            text = edited
        if name:
            (tmp_path / name).write_text(text)
            continue
        for command, shown in commands(text):
            if command.startswith("cd "):
                folder = folder / command.removeprefix("cd ")
                continue
            done = subprocess.run(
                ["bash", "-c", f"(exit {code}); {command}"],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=600,
            )
            code = done.returncode
            printed = [normal(line) for line in done.stdout.splitlines()]
            for line in shown:  # in any order: steps and measurements run at the same time
                assert any(real.startswith(line) for real in printed), f"{line!r} is not in\n$ {command}\n{done.stdout}"
            ran.append((command, code))
    assert len(ran) > 10
    assert [item for item in ran if item[1]] == [("finnyaml build", 3)]
