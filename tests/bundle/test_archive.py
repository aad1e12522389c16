from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from finnyaml.bundle import archives
from tests.bundle.built import again, built
from tests.bundle.sample import read_json


def test_the_archive_is_the_same_wherever_and_whenever_it_is_made(tmp_path: Path) -> None:
    first = built(tmp_path / "a")
    mask = os.umask(0o077)
    try:
        second = built(tmp_path / "b" / "c d")
    finally:
        os.umask(mask)
    archives = [bundle.with_name("sample.tar.gz").read_bytes() for bundle in (first, second)]
    assert archives[0] == archives[1]
    assert gzip.decompress(archives[0])[:100].rstrip(b"\0") == b"sample/LICENSES.md"  # ... and no file name in its head
    assert archives[0][3] == 0 and archives[0][4:8] == b"\0\0\0\0"
    third = again(tmp_path / "a", tmp_path / "a/parts", points=[])
    assert third.with_name("sample.tar.gz").read_bytes() != archives[0]


def test_what_is_in_it(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    with tarfile.open(bundle.with_name("sample.tar.gz")) as archive:
        members = archive.getmembers()
        names = [member.name for member in members]
        assert names == sorted(f"sample/{name}" for name in [*read_json(bundle)["files"], "bundle.json"])
        assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", archives.EPOCH)}
        modes = {name: member.mode for name, member in zip(names, members, strict=True)}
        assert modes.pop("sample/deploy.sh") == 0o755 and set(modes.values()) == {0o644}
        archive.extractall(tmp_path / "x", filter="data")
    for path in (tmp_path / "x/sample").rglob("*"):
        assert path.is_dir() or path.read_bytes() == (bundle / path.relative_to(tmp_path / "x/sample")).read_bytes()


def test_an_archive_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    archive = bundle.with_name("sample.tar.gz")
    before = archive.read_bytes()
    with pytest.raises(FileNotFoundError):
        archives.write_bundle(bundle, ["README.md", "nothing.md"])
    assert archive.read_bytes() == before
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["sample", "sample.tar.gz"]


def test_building_again_drops_what_was_there(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    (bundle / "old.txt").write_text("x")
    shutil.rmtree(bundle / "graphs")
    again(tmp_path, tmp_path / "parts")
    assert not (bundle / "old.txt").exists() and (bundle / "graphs/head.json").is_file()
