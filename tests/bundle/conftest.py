"""Real builds of small networks, made once for all tests here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Built = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def built_network(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The ModelWrapper after each step of FINN's flow, by step, and "dataflow_parent" (see `benchmarks.networks`)."""
    from benchmarks.networks import NETWORKS, stages

    known: dict[str, dict[str, Any]] = {}

    def build(name: str) -> dict[str, Any]:
        if name not in known:
            folder: Path = tmp_path_factory.mktemp("network") / "output"
            before = os.environ.pop("FINN_BUILD_DIR", None)
            known[name] = stages(NETWORKS[name], folder, "step_minimize_bit_width")
            os.environ.pop("FINN_BUILD_DIR")
            if before is not None:
                os.environ["FINN_BUILD_DIR"] = before
        return known[name]

    return build
