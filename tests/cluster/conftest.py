"""A real Slurm of two nodes on this machine, for all tests of a process that ask for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.lab import Lab, slurm_script


@pytest.fixture(scope="session")
def slurm_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where it lies; what talks to it finds it by $SLURM_CONF."""
    folder = tmp_path_factory.mktemp("slurm")
    done = slurm_script("start", str(folder))
    if done.returncode != 0:
        slurm_script("stop", str(folder))
        pytest.skip(f"NO TEST OF A CLUSTER: {done.stderr.strip() or done.stdout.strip()}")
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    yield folder
    slurm_script("stop", str(folder))
    if before is None:
        del os.environ["SLURM_CONF"]
    else:
        os.environ["SLURM_CONF"] = before


@pytest.fixture
def lab(tmp_path: Path, store_folder: Path, slurm_folder: Path) -> Iterator[Lab]:
    """A fresh project whose steps run on the cluster."""
    made = Lab(tmp_path / "project", store_folder)
    yield made
    made.kill()
