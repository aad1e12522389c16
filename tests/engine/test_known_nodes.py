"""Names in settings files that the last build did not have, found at plan time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finnyaml.engine.known_nodes import unmatched
from tests.plan.catalog import Maker

NODES = {"Defaults": {}, "MVAU_hls_0": {}, "Pool_hls_0": {}}


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    made = Maker(tmp_path)
    made.write("model.onnx", "not looked into")
    made.write("build/final_hw_config.json", json.dumps(NODES))
    made.write("folding.json", '{\n "Defaults": {},\n "MVAU_hls_0": {},\n "StreamingMaxPool_hls_0": {}\n}\n')
    return made


def told(maker: Maker, folding: str) -> list[tuple[str, int, str]]:
    plan = maker.plan(f"steps: [tidy_up]\nfolding: {folding}\n")
    return [(item.message, item.where.line if item.where else 0, str(item.hint)) for item in unmatched(plan)]


def test_an_old_name_is_found_at_its_line_with_the_rename(maker: Maker) -> None:
    ((message, line, hint),) = told(maker, "{file: folding.json}")
    assert message == "the last build had no node StreamingMaxPool_hls_0"
    assert line == 4
    assert "rename: {StreamingMaxPool_hls_0: Pool_hls_0}" in hint


def test_in_the_recipe_too(maker: Maker) -> None:
    ((message, line, _),) = told(maker, "{nodes: {MVAU_hls_7: {PE: 1}}}")
    assert (message, line) == ("the last build had no node MVAU_hls_7", 3)


@pytest.mark.parametrize(
    "more", ["rename: {StreamingMaxPool: Pool}", "nodes: {StreamingMaxPool_hls_0: null}", "unknown: warn"]
)
def test_what_the_recipe_mends_is_not_told(maker: Maker, more: str) -> None:
    assert told(maker, f"{{file: folding.json, {more}}}") == []


def test_before_the_first_build_nothing_is_known(maker: Maker) -> None:
    (maker.folder / "build/final_hw_config.json").unlink()
    assert told(maker, "{file: folding.json}") == []
