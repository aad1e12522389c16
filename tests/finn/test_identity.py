"""Which FINN is installed: told by the content of its sources, found without importing it."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from finnyaml.finn import identity
from tests.project import rewrite


class Memos(dict[str, Mapping[str, Any]]):
    """Kept documents, and how often one was found."""

    def __init__(self) -> None:
        super().__init__()
        self.found = 0

    def memo(self, name: str) -> Mapping[str, Any] | None:
        self.found += name in self
        return self.get(name)


def digest(root: Path, memos: Memos | None = None) -> str:
    memos = Memos() if memos is None else memos
    return identity.tree_digest(root, memos.memo, memos.__setitem__)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "finn"
    (root / "sub").mkdir(parents=True)
    (root / "__init__.py").write_text("VERSION = 1\n")
    (root / "sub/template.v").write_text("module x;\n")
    return root


def test_the_installed_finn_is_found() -> None:
    memos = Memos()
    found = identity.find(memos.memo, memos.__setitem__)
    assert found is not None
    assert found.version == importlib.metadata.version(found.distribution).partition("+")[0]
    assert str(found) == f"{found.distribution} {found.version}"
    assert found.libraries.keys() == {*identity.LIBRARIES, "python"}
    assert all((root / "__init__.py").exists() or root.is_dir() for root in found.roots.values())
    again = identity.find(memos.memo, memos.__setitem__)
    assert (again, memos.found) == (found, len(found.roots))


def test_nothing_is_imported_to_find_it() -> None:
    code = """
import sys
from finnyaml.finn import identity
assert identity.find(lambda name: {"digest": "known"}, None)
print([name for name in ("finn", "qonnx", "torch", "onnx", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_without_finn_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "package_root", lambda package: None)
    assert identity.find(lambda name: None, dict[str, Any]().__setitem__) is None


def test_a_module_or_nothing_is_no_package() -> None:
    assert identity.package_root("this") is None
    assert identity.package_root("no_such_package_at_all") is None
    assert identity.package_root("json") == Path(os.__file__).resolve().parent / "json"


def test_equal_sources_in_another_folder_are_the_same(package: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere/finn"
    other.parent.mkdir()
    before = digest(package)
    package.rename(other)
    assert digest(other) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "sub/template.v").write_text("module y;\n"),
        lambda root: (root / "sub/template.v").rename(root / "sub/other.v"),
        lambda root: (root / "sub/template.v").unlink(),
        lambda root: (root / "new.py").write_text(""),
        lambda root: os.rename(root / "sub", root / "bus"),
    ],
)
def test_every_change_of_the_sources_is_another_installation(package: Path, change: Callable[[Path], Any]) -> None:
    memos = Memos()
    before = digest(package, memos)
    change(package)
    assert digest(package, memos) != before
    assert memos.found == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "__pycache__").mkdir() or (root / "__pycache__/x.cpython-311.pyc").write_text(""),
        lambda root: (root / "old.pyc").write_text(""),
        lambda root: (root / "empty").mkdir(),
        lambda root: (root / "dangling").symlink_to("nowhere"),
        lambda root: os.utime(root / "__init__.py", (1, 1)),
    ],
)
def test_what_python_leaves_is_no_change(package: Path, change: Callable[[Path], Any]) -> None:
    before = digest(package)
    change(package)
    assert digest(package) == before


def test_unchanged_files_are_not_read_again(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "RACY", 0)
    memos = Memos()
    before = digest(package, memos)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"read {path}"))
    assert digest(package, memos) == before
    assert memos.found == 1


def test_files_that_just_changed_are_read_again(package: Path) -> None:
    memos = Memos()
    digest(package, memos)
    assert digest(package, memos) and memos.found == 0


def test_writing_in_place_without_a_new_time_or_size_is_a_change(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "RACY", 0)
    memos = Memos()
    before = digest(package, memos)
    rewrite(package / "__init__.py", "VERSION = 2\n")
    assert digest(package, memos) != before
    assert memos.found == 0


def test_a_link_in_a_circle_ends(package: Path) -> None:
    (package / "sub/up").symlink_to("..")
    assert digest(package)
