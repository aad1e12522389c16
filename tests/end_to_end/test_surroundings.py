"""What a step sees of its surroundings counts, and nothing else does: variables, packages, and what `import` finds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT, Project

WAYS = {
    # Variables
    "by_name": "os.environ['SCALE']",
    "as_bytes": "os.environb[b'SCALE']",
    "in_text": "os.path.expandvars('$SCALE')",
    "all_variables": "dict(os.environ)",
    "a_copy": "os.environ.copy()['SCALE']",
    "by_a_shell": "subprocess.run('echo $SCALE', shell=True)",
    "by_a_fork": "multiprocessing.get_context('fork').Pool(1).map(os.getenv, ['SCALE'])",
    "by_a_loader": "list(torch.utils.data.DataLoader(range(4), num_workers=1))",
    # Packages
    "installed": "__import__('made_up')",
    "installed_before": "importlib.import_module('made_up').VALUE",
    "from_a_text": "exec('import made_up')",
    "in_the_project": "vendor() or importlib.import_module('brought').VALUE",
    # Modules
    "another_folder": "importlib.import_module('helper').VALUE",
    "not_there": "importlib.util.find_spec('nowhere')",
    "before_installed": "exec('import yaml')",
    "sees_nothing": "os.environ.get('TERM')",
}
HEAD = """
import importlib.util
import multiprocessing
import os
import subprocess
import sys

import torch

HERE = os.path.dirname(__file__)


def vendor():
    sys.path.insert(0, os.path.join(HERE, "env/lib/site-packages"))
"""
RECIPE = """
name: tiny
model: {{onnx: tiny.onnx, input: {{datatype: FLOAT32}}}}
steps: [{steps}]
"""


UNRELATED = {"SSH_TTY": "/dev/pts/9", "TERM": "made-up", "OMP_NUM_THREADS": "1", "KMP_SETTINGS": "0", "USER": "other"}


class Surroundings:
    """A project with a step for each way, in a folder of its own; `second` is searched after that folder."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root / "net", root / ("a long name of a store" * 5))
        for name, expression in WAYS.items():
            self.project.write(
                f"{name}/steps.py", f"{HEAD}\n\ndef step(model, cfg):\n    {expression}\n    return model\n"
            )
        steps = ", ".join(f'{{id: {name}, uses: "{name}/steps.py:step"}}' for name in WAYS)
        self.project.write("recipe.yaml", RECIPE.format(steps=steps))
        self.project.write("second/helper.py", "VALUE = 1\n")
        self.project.write("in_the_project/env/lib/site-packages/brought/__init__.py", "VALUE = 1\n")
        user = root / "user"
        done = subprocess.run(
            [sys.executable, "-c", "import site; print(site.getusersitepackages())"],
            env={**os.environ, "PYTHONUSERBASE": str(user)},
            capture_output=True,
            text=True,
            check=True,
        )
        self.installed = Path(done.stdout.strip())
        folders = (self.project.folder / "second", self.installed, ROOT)
        self.variables = {"PYTHONUSERBASE": str(user), "PYTHONPATH": os.pathsep.join(map(str, folders)), "SCALE": "1"}
        self.install("made_up", "1.0")

    def install(self, name: str, version: str) -> None:
        """Put a package among those of the user, instead of an earlier version of it."""
        (self.installed / name).mkdir(parents=True, exist_ok=True)
        (self.installed / name / "__init__.py").write_text("VALUE = 1\n")
        for old in self.installed.glob(f"{name}-*"):
            shutil.rmtree(old)
        about = self.installed / f"{name}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (about / "RECORD").write_text(f"{name}/__init__.py,,\n{about.name}/METADATA,,\n")

    def ran(self, **variables: str) -> set[str]:
        """Build; the steps that ran."""
        return {*self.project.ran(**{**self.variables, **variables})} - {"model"}


@pytest.mark.long
def test_each_way_is_seen_and_nothing_else_is(tmp_path: Path) -> None:
    there = Surroundings(tmp_path)
    write = there.project.write
    assert there.ran() == {*WAYS}
    assert there.ran() == set()

    for folder in (*WAYS, "second"):
        write(f"{folder}/unrelated.py", "")
    for folder in ("another_folder/helper", "second/nowhere", "before_installed/yaml"):
        write(f"{folder}/no_package.txt", "")
    there.install("unrelated", "1.0")
    assert there.ran(**UNRELATED) == set()

    there.install("made_up", "2.0")
    write("in_the_project/env/lib/site-packages/brought/__init__.py", "VALUE = 2\n")
    write("another_folder/helper.py", "VALUE = 2\n")
    write("second/nowhere/__init__.py", "")
    write("before_installed/yaml.py", "")
    assert there.ran(SCALE="2") == {*WAYS} - {"sees_nothing"}
    assert there.ran(SCALE="2") == set()
