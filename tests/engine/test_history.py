"""Logs of earlier runs, piece by piece: they may be larger than memory."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from finnyaml.cli.log import _document
from finnyaml.engine import record, workspace
from finnyaml.engine.history import History
from finnyaml.errors import FinnyamlError
from finnyaml.store.streams import CHUNK
from tests.engine.conftest import Make
from tests.engine.world import World, task


@pytest.fixture
def here(world: Make) -> World:
    """A workspace with one run, in which task `a` was cached."""
    made = world(task("a", "model"))
    run = workspace.private(made.plan.recipe.workspace) / "runs" / "20260101-000000-abcd"
    (run / "logs").mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"tasks": {"a": {"state": "cached"}}}))
    return made


def of_run(here: World, content: bytes) -> History:
    log = workspace.private(here.plan.recipe.workspace) / "runs" / "20260101-000000-abcd" / "logs" / "a.log"
    log.write_bytes(content)
    return History(here.plan.recipe, here.store)


def of_store(here: World, content: bytes) -> History:
    record.save_last_build(here.plan.recipe.workspace, {"a": {"log": here.store.put_bytes(content)}})
    return History(here.plan.recipe, here.store)


@pytest.mark.parametrize("history", [of_run, of_store])
@pytest.mark.parametrize("content", [b"", b"a line\n", b"\xff\xfe", b"x" * (CHUNK - 1) + "ä\u20ac".encode() + b"\xc3"])
def test_a_log_in_pieces_is_the_log(here: World, history: type[History], content: bytes) -> None:
    found = history(here, content)  # type: ignore[call-arg, arg-type]
    entry = found.entry("a")
    assert entry.log_size == len(content)
    assert "".join(found.text(entry)) == content.decode(errors="replace")
    told = json.loads("".join(_document({"step": "a"}, found.text(entry))))
    assert told == {"step": "a", "log": content.decode(errors="replace")}


@pytest.mark.parametrize("history", [of_run, of_store])
def test_a_large_log_is_never_in_memory(here: World, history: type[History]) -> None:
    found = history(here, b"x" * (32 << 20))  # type: ignore[call-arg, arg-type]
    tracemalloc.start()
    assert sum(map(len, _document({}, found.text(found.entry("a"))))) > 32 << 20
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_log_that_is_gone_is_told_before_anything_is_printed(here: World) -> None:
    found = of_store(here, b"a line\n")
    entry = found.entry("a")
    here.store.delete(entry.blob or "")
    with pytest.raises(FinnyamlError, match="no longer has the log of a"):
        next(_document({}, found.text(entry)))
