"""Names of files that mean the same on another machine, also where links lead to the recipe."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnyaml.store.names import Names

PYTHON = sysconfig.get_paths()["purelib"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/net/model.py", "@recipe/model.py"),
        ("/data/net/deep/a.npy", "@recipe/deep/a.npy"),
        ("/data/shared/a.npy", "@recipe/../shared/a.npy"),
        ("/data/network/a.npy", "@recipe/../network/a.npy"),
        ("/data/net/../shared/a.npy", "@recipe/../shared/a.npy"),
        ("/mnt/a.npy", "/mnt/a.npy"),
        (f"{PYTHON}/torch/x.py", "@python/torch/x.py"),
        (f"{PYTHON}2/x.py", f"{PYTHON}2/x.py"),
    ],
)
def test_names(path: str, name: str) -> None:
    names = Names(None, Path("/data/net"))
    assert names.hide(path) == name
    assert names.path(name) == Path(path.replace("net/../", ""))


@given(st.lists(st.sampled_from(["data", "net", "a", "b c", "..x", "caf\udce9"]), min_size=1).map("/".join))
def test_every_absolute_path_comes_back(path: str) -> None:
    names = Names(Path("/sandbox"), Path("/data/net"))
    assert names.path(names.hide(f"/{path}")) == Path(f"/{path}")


@pytest.mark.parametrize("home", ["/home/anna", "/home", "/tmp", "/"])
def test_only_neighbours_are_named_by_the_recipe(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What two projects of one user have in common says nothing about where the one is from the other."""
    monkeypatch.setenv("HOME", "/home/anna")
    names = Names(None, Path(home, "net"))
    other = str(Path(home, "data", "a.npy"))
    assert names.hide(other) == other


def test_inside_the_sandbox() -> None:
    names = Names(Path("/sandbox"), Path("/data/net"))
    assert names.inside("/sandbox/build/a") == "build/a"
    assert names.inside("/sandbox2/build/a") is None
    assert names.path("@inputs/a.npy") == Path("/sandbox/inputs/a.npy")
    revealed = names.reveal({"file": "@inputs/a.npy", "list": ["@inputs/b", 1, None], "text": "x@inputs/c"})
    assert revealed == {"file": "/sandbox/inputs/a.npy", "list": ["/sandbox/inputs/b", 1, None], "text": "x@inputs/c"}


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A recipe's folder that is reached through a link; its neighbours are beside where the link leads to."""
    (tmp_path / "disk/project/net").mkdir(parents=True)
    (tmp_path / "disk/project/shared").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home/net").symlink_to(tmp_path / "disk/project/net")
    return tmp_path / "home/net"


def test_both_names_of_a_linked_folder_are_the_recipe(linked: Path) -> None:
    names = Names(None, linked)
    for folder in (linked, linked.resolve()):
        assert names.hide(folder / "model.py") == "@recipe/model.py"
        assert names.hide(folder / "../shared/a.npy") == "@recipe/../shared/a.npy"
        assert names.hide(folder) == "@recipe/."
    assert names.path("@recipe/model.py") == linked / "model.py"
    assert names.path("@recipe/../shared/a.npy") == linked.resolve().parent / "shared/a.npy"


def test_a_link_to_the_home_folder_is_the_recipe_too(linked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(linked.resolve()))
    assert Names(None, linked).hide(linked.resolve() / "model.py") == "@recipe/model.py"


def test_up_from_a_link_inside_the_folder(linked: Path, tmp_path: Path) -> None:
    (linked / "data").symlink_to(tmp_path / "disk/project/shared")
    names = Names(None, linked)
    name = names.hide(linked / "data/../a.npy")  # as `finnyaml.recipe.paths.located` leaves it
    assert names.path(name) == tmp_path / "disk/project/a.npy"


def test_a_link_inside_the_folder_keeps_its_name(linked: Path) -> None:
    """It may lead elsewhere tomorrow."""
    (linked / "today.npy").symlink_to(linked / "v1.npy")
    assert Names(None, linked).hide(linked / "today.npy") == "@recipe/today.npy"


def test_a_neighbour_by_an_absolute_name_comes_back(linked: Path, tmp_path: Path) -> None:
    names = Names(None, linked)
    for path in (tmp_path / "home/other.npy", tmp_path / "disk/other.npy"):
        assert names.path(names.hide(path)) == path
