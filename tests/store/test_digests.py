"""What lies outside the store, as traces record it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finnyaml.store import digests
from tests.project import rewrite


def _becomes(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "in place": lambda file: rewrite(file, "two"),
    "gone": lambda file: file.unlink(),
    "a program": lambda file: file.chmod(0o755),
    "a folder": lambda file: _becomes(file, Path.mkdir),
    "a link": lambda file: _becomes(file, lambda path: path.symlink_to("other")),
    "a FIFO": lambda file: _becomes(file, os.mkfifo),
    "another": lambda file: file.with_name("new").touch(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_in_a_folder_that_was_looked_at_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    memos: dict[str, Any] = {}
    monkeypatch.setattr(digests, "RACY", 0)  # what has just changed is remembered, too

    def look() -> str | None:
        return digests.looks_digest(tmp_path / "d", memos.get, memos.__setitem__)

    assert look() is None
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "other").write_text("one")
    file = tmp_path / "d" / "file"
    file.write_text("one")
    before = look()
    with monkeypatch.context() as context:
        context.delattr(digests, "look_digest")  # nothing is read again
        assert look() == before is not None
    CHANGES[change](file)
    assert look() not in (None, before)


def test_what_has_just_changed_is_not_remembered(tmp_path: Path) -> None:
    memos: dict[str, Any] = {}
    (tmp_path / "file").touch()
    digests.looks_digest(tmp_path, memos.get, memos.__setitem__)
    assert memos == {}
