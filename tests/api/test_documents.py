"""The notebook and the script of the documentation run, and give what they promise."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.project import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, warm_store: Path) -> Path:
    """A copy of the documents and recipes, beside a store of their own that knows the installed FINN."""
    folder = tmp_path_factory.mktemp("documents")
    for name in ("from-onnx", "digits-cnv"):  # the latter has the data
        shutil.copytree(ROOT / "recipes" / name, folder / "recipes" / name, ignore=shutil.ignore_patterns("build*"))
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "notebook.ipynb", folder / "docs")
    shutil.copytree(warm_store, folder / "store")
    return folder


@pytest.fixture
def environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINNYAML_STORE", str(folder / "store"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def _shown(cell: Any) -> str:
    """All that a cell shows, as text and as HTML."""
    return "".join(
        output.get("text", "") + "".join(output.get("data", {}).get(kind, "") for kind in ("text/plain", "text/html"))
        for output in cell.outputs
    )


@pytest.mark.long
def test_the_notebook_runs(folder: Path, environment: None) -> None:
    notebook = nbformat.read(folder / "docs" / "notebook.ipynb", as_version=4)
    # Plots and widgets are not needed; what a cell raises ends the test with its traceback.
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder / "docs"}}
    )
    client.execute()
    shown = [_shown(cell) for cell in notebook.cells if cell.cell_type == "code"]
    assert not any("<script" in text for text in shown)
    plan, build, table, sweep, model, _, gate = shown[1:]
    assert "never built with this store" in plan and "<table>" in plan
    assert "29 of 29 tasks" in build and "from-onnx is built: 15 ran" in build and "key numbers" in build
    assert table.count("passed") >= 13 and "0.986" in table
    ran = [int(row) for row in re.findall(r"<th>\d+</th>\s*<td>(\d+)</td>", sweep)]
    assert ran == [5, 0, 5]  # of fifteen; what the recipe itself asks for is built already
    assert "MatMul" in model
    assert "top1 is 98.6 %, and the least allowed is 99 %" in gate


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert cells and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}


@pytest.mark.long
def test_the_script_runs(folder: Path, environment: None) -> None:
    text = (ROOT / "docs" / "python-api.md").read_text()
    script, handler = re.findall(r"```python\n(.*?)```", text, re.S)
    (folder / "script.py").write_text(script + handler)
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""
    told = [re.fullmatch(r"(\d+) fps, \d+ LUT, top1 0\.986", line) for line in done.stdout.splitlines()[-2:]]
    slow, fast = [int(line[1]) for line in told if line]
    assert 10_000 <= slow < 100_000 <= fast
