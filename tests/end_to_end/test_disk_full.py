"""A store on a disk that really is full: a small file system in memory, made full and then freed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import STEPS, Project


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_and_loses_nothing(project: Project, small_disk: Path) -> None:
    store = small_disk / "store"
    shutil.copytree(project.store, store)
    ballast = small_disk / "ballast"
    taken = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    ballast.write_bytes(b"\0" * (900 * 1024 - taken))
    project.write("steps.py", STEPS.replace('f"{cfg.target_fps}\\n"', "300_000 * 'x'"))
    project.store = store
    done = project.run("build", "recipe.yaml")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "`finnyaml cache gc` frees space" in done.stderr
    assert "Traceback" not in done.stderr
    ballast.unlink()
    assert "report" in project.ran()
    assert project.ran() == []
