"""The edits of FINN's sources, on the sources of the installed FINN."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finnyaml.errors import StepFailed
from finnyaml.finn.identity import distribution_of_finn, package_root
from finnyaml.rtl import overlay
from finnyaml.rtl.overlay import Move, Patch, Replace
from tests.rtl import stand_in

FINN = "finn-plus 1.6.1"
ALL = {patch.file: patch for table in (overlay.SIMULATION, overlay.SYNTHESIS) for patch in table[FINN]}


def source(name: str) -> str:
    """A file of the installed FINN's RTL library."""
    root = package_root("finn")
    assert root is not None
    (file,) = (root / "finn-rtllib").rglob(name)
    return file.read_text()


def test_the_installed_finn_is_the_one_that_the_patches_are_for() -> None:
    assert " ".join(distribution_of_finn()) == FINN


@pytest.mark.parametrize("name", ALL)
def test_a_patch_applies_once(name: str) -> None:
    before = source(name)
    after = overlay.patched(before, ALL[name], FINN, FINN)
    assert after != before
    with pytest.raises(StepFailed, match=f"{name} of finn-plus 9.9.9 .*{FINN} does not fit"):
        overlay.patched(after, ALL[name], "finn-plus 9.9.9", FINN)


def test_moved_text_is_still_there() -> None:
    before = source("add_multi.sv")
    after = overlay.patched(before, overlay.ADD_MULTI, FINN, FINN)
    assert sorted(after.splitlines()) == sorted(before.splitlines())
    assert after.index("init_leaf_loads()") < after.index("genTree")


def test_dropped_text_is_gone_and_nothing_else() -> None:
    before = source("mvu.sv")
    after = overlay.patched(before, overlay.MVU, FINN, FINN)
    assert "#100ns" not in after
    start = before.index("\tif(1) begin : blkRecoveryWatch")
    assert after[:start] == before[:start] and before.endswith(after[start:])


@pytest.mark.parametrize(
    ("text", "edit", "message"),
    [
        ("abab", Replace("ab", "c"), "has 'ab' 2 times"),
        ("xyz", Replace("ab", "c"), "has 'ab' 0 times"),
        ("end begin", Move("begin", "end"), "another order"),
        ("begin end before", Move("begin", "end", "before"), "another order"),
        ("begin end", Move("begin", "end", "before"), "has 'before' 0 times"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, edit: Replace | Move, message: str) -> None:
    with pytest.raises(StepFailed, match=message) as caught:
        overlay.patched(text, Patch("some.sv", "why", (edit,)), "finn-plus 2.0", FINN)
    assert "why" in caught.value.message and caught.value.hint and FINN in caught.value.hint


def test_an_overlay_is_a_copy(tmp_path: Path) -> None:
    folder, copy = tmp_path / "design", tmp_path / "copy"
    design = stand_in.write(folder, stand_in.Fault.NONE)
    design = replace(design, sources=("src/fifo.sv", "top.sv"))
    (folder / "src" / "fifo.sv").write_text(source("fifo.sv"))
    overlay.overlay(folder, design, copy, overlay.SIMULATION)
    assert sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*.*")) == ["src/fifo.sv", "top.sv"]
    assert (copy / "top.sv").read_text() == (folder / "top.sv").read_text()
    assert "typedef struct packed" in (copy / "src" / "fifo.sv").read_text()
    assert (folder / "src" / "fifo.sv").read_text() == source("fifo.sv")


def test_another_finn_is_tried_with_the_newest_patches_and_refused_only_where_one_does_not_fit(tmp_path: Path) -> None:
    folder = tmp_path / "design"
    design = replace(stand_in.write(folder, stand_in.Fault.NONE), sources=("src/fifo.sv",), finn="finn-plus 2.0")
    (folder / "src" / "fifo.sv").write_text(source("fifo.sv"))
    overlay.overlay(folder, design, tmp_path / "same", overlay.SIMULATION)
    assert "typedef struct packed" in (tmp_path / "same" / "src" / "fifo.sv").read_text()
    (folder / "src" / "fifo.sv").write_text("module fifo; endmodule\n")
    with pytest.raises(StepFailed, match=r"fifo.sv of finn-plus 2.0 cannot be taken"):
        overlay.overlay(folder, design, tmp_path / "changed", overlay.SIMULATION)
