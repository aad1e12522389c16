"""What `docs/extending.md` shows is the example package, with something for each door."""

from __future__ import annotations

import pytest

from finnyaml.plugins import DOORS
from tests.plugins.example import SOURCE, blocks
from tests.project import ROOT

LONGEST = 20


@pytest.mark.parametrize("name", blocks())
def test_a_block_is_the_file_of_the_example(name: str) -> None:
    assert blocks()[name] == (SOURCE / name).read_text()


def test_blocks_are_short() -> None:
    sizes = {
        name: sum(bool(line.strip()) for line in text.splitlines())
        for name, text in blocks().items()
        if name.endswith(".py")
    }
    assert len(sizes) == len(DOORS) and max(sizes.values()) <= LONGEST


def test_every_door_is_in_the_example_and_in_the_table() -> None:
    page, project = (ROOT / "docs" / "extending.md").read_text(), blocks()["pyproject.toml"]
    for group in DOORS:
        assert f"| `finnyaml.{group}` |" in page and f'"finnyaml.{group}"]' in project
