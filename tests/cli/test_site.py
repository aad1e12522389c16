"""Site files as the command line meets them: which apply, what is wrong with them, what doctor shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.errors import RecipeError
from finnyaml.site.load import RemoteSpec, load_site


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with a user's site file."""
    (tmp_path / "config/finnyaml").mkdir(parents=True)
    (tmp_path / "config/finnyaml/site.yaml").write_text("store: own\nremote: {url: 's3://users/one', write: false}\n")
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def project(tmp_path: Path, text: str = "") -> Path:
    folder = tmp_path / "lab/project/recipes"
    folder.mkdir(parents=True)
    if text:
        (tmp_path / "lab/finnyaml.site.yaml").write_text(text)
    return folder


def test_there_is_none(tmp_path: Path) -> None:
    found = load_site(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path)})
    assert (found.files, found.store, found.remote) == ((), None, None)


def test_of_the_user(tmp_path: Path, home: dict[str, str]) -> None:
    found = load_site(project(tmp_path), home)
    assert found.store == tmp_path / "config/finnyaml/own"
    assert found.remote == RemoteSpec("s3://users/one", write=False)


def test_the_project_comes_first_key_by_key(tmp_path: Path, home: dict[str, str]) -> None:
    found = load_site(project(tmp_path, "remote: {url: 'sftp://me:secret@host/x'}\n"), home)
    assert found.store == tmp_path / "config/finnyaml/own"
    assert found.remote == RemoteSpec("sftp://me:secret@host/x", write=False)
    assert found.remote.shown == "sftp://host/x"
    assert [file.name for file in found.files] == ["finnyaml.site.yaml", "site.yaml"]


def test_the_variable_stands_alone(tmp_path: Path, home: dict[str, str]) -> None:
    folder = project(tmp_path, "store: /lab\n")
    (tmp_path / "other.yaml").write_text("store: ~/of-other\n")
    assert load_site(folder, {**home, "FINNYAML_SITE": str(tmp_path / "other.yaml")}).store == Path.home() / "of-other"
    assert load_site(folder, {**home, "FINNYAML_SITE": ""}).store is None


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("stor: x\n", "unknown key 'stor'", "1:1"),
        ("store: 3\n", "store must be text, not", "1:8"),
        ("remote: {write: true}\n", "remote.url is missing", "1:9"),
        ("remote: {url: lab}\n", "remote.url: 'lab' cannot be", "1:15"),
        ("remote: s3://x\n", "remote must be a mapping", "1:9"),
        ("store: [\n", "not valid YAML|expected|syntax", "2:1"),
        ("- 1\n", "must be a mapping", "1:1"),
        ("remote: {url: 's3://x', key_file: none}\n", "remote.key_file: cannot read", "1:35"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, message: str, place: str) -> None:
    folder = project(tmp_path, text)
    with pytest.raises(RecipeError, match=message) as error:
        load_site(folder, {"XDG_CONFIG_HOME": str(tmp_path)})
    where = error.value.problems[0].where
    assert where is not None
    assert f"{where.line}:{where.column}" == place


def test_a_secret_that_others_can_read(tmp_path: Path) -> None:
    folder = project(tmp_path, "remote: {url: 's3://x', key_file: key}\n")
    key = tmp_path / "lab/key"
    key.write_bytes(b"0123456789abcdef\n")
    key.chmod(0o644)
    with pytest.raises(RecipeError, match="others can read"):
        load_site(folder, {})
    key.chmod(0o600)
    remote = load_site(folder, {}).remote
    assert remote is not None
    assert remote.key == b"0123456789abcdef"
    assert "0123" not in repr(remote)
    key.write_bytes(b"short")
    with pytest.raises(RecipeError, match="too short for a secret"):
        load_site(folder, {})


def test_one_that_is_named_and_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read the site file"):
        load_site(tmp_path, {"FINNYAML_SITE": str(tmp_path / "none")})
