"""Bundles that were completed by hand in a workspace, and what a later build makes of them."""

from __future__ import annotations

import json
from pathlib import Path

from finnyaml.engine.deliveries import Delivered, delivered, is_bundle, set_aside

WANTED = {"bundle/net/bundle.json": "aaaa", "bundle/net/README.md": "bbbb", "report/bundle.json": "cccc"}


def attached(root: Path, to: str | None, name: str = "bundle/net") -> None:
    path = root / name / "bundle.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"attached": {"to": to} if to else None}))


def test_one_that_this_build_made_stays_as_it_is(tmp_path: Path) -> None:
    attached(tmp_path, "aaaa")
    found = delivered(tmp_path, WANTED, several=False)
    assert found == Delivered(kept=("bundle/net/", "bundle/net.tar.gz"), outdated=())


def test_one_of_an_earlier_build_is_outdated(tmp_path: Path) -> None:
    attached(tmp_path, "ffff")
    assert delivered(tmp_path, WANTED, several=False) == Delivered((), ("bundle/net",))


def test_one_that_no_build_wants_any_more_is_outdated(tmp_path: Path) -> None:
    attached(tmp_path, "aaaa")
    assert delivered(tmp_path, dict.fromkeys(WANTED), several=False) == Delivered((), ("bundle/net",))


def test_what_is_set_aside_replaces_nothing(tmp_path: Path) -> None:
    for number in (1, 2):
        attached(tmp_path, "ffff")
        (tmp_path / "bundle/net/net.bit").write_text(str(number))
        place = set_aside(tmp_path, "bundle/net", tmp_path / ".finnyaml")
        assert (place / "net.bit").read_text() == str(number)
        assert not (tmp_path / "bundle/net").exists()
    assert len([*place.parent.iterdir()]) == 2


def test_without_a_bitfile_attached_there_is_nothing_to_keep(tmp_path: Path) -> None:
    assert delivered(tmp_path, WANTED, several=False) == Delivered((), ())
    attached(tmp_path, None)
    assert delivered(tmp_path, WANTED, several=False) == Delivered((), ())
    (tmp_path / "bundle/net/bundle.json").write_text("{")
    assert delivered(tmp_path, WANTED, several=False) == Delivered((), ())


def test_what_lies_behind_a_link_is_not_ours(tmp_path: Path) -> None:
    attached(tmp_path / "elsewhere", "ffff", "net")
    root = tmp_path / "workspace"
    root.mkdir()
    (root / "bundle").symlink_to(tmp_path / "elsewhere")
    assert delivered(root, WANTED, several=False) == Delivered((), ())


def test_with_several_targets_each_has_a_folder(tmp_path: Path) -> None:
    attached(tmp_path, "aaaa", "small/bundle/net-small")
    found = delivered(tmp_path, {"small/bundle/net-small/bundle.json": "aaaa"}, several=True)
    assert found.kept == ("small/bundle/net-small/", "small/bundle/net-small.tar.gz")
    assert not is_bundle("bundle/report/x.json", several=True)  # a target of that name
