"""What FINN's sources need before an open tool takes them: small edits of known files, made in a copy.

Every edit has to apply exactly once, so a FINN whose sources have changed is refused instead of built wrongly. What an
edit is for and which FINN it was written for is part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from finnyaml.errors import StepFailed
from finnyaml.rtl.design import Design


@dataclass(frozen=True)
class Replace:
    """`old`, which is in the text exactly once, becomes `new`."""

    old: str
    new: str


@dataclass(frozen=True)
class Move:
    """The text from `first` to `last`, both included, goes in front of `before`, which comes earlier.

    Without `before` it is dropped. Each of them is in the text exactly once.
    """

    first: str
    last: str
    before: str | None = None


@dataclass(frozen=True)
class Patch:
    """The edits of one file, known by its name in src/. why: what the tool cannot do, for messages.

    only: SHA-256 of the one text that the edits are for. They mend what is wrong in it, and any other text is left as
    it is: nobody knows whether it has the fault.
    """

    file: str
    why: str
    edits: tuple[Replace | Move, ...]
    only: str | None = None


Patches = Mapping[str, tuple[Patch, ...]]
"""By the FINN that they were written for, as `Design.finn` names it; the newest last."""

ADD_MULTI = Patch(
    "add_multi.sv",
    "a constant function may not be declared inside a generate block",
    (
        Move(
            first="\t\ttypedef int unsigned  leaf_load_t[2*N-1];\n",
            last="localparam leaf_load_t   LEAF_LOAD = init_leaf_loads();\n",
            before="\tuwire [SUM_WIDTH-1:0]  sum0;\n",
        ),
    ),
)
FIFO = Patch(
    "fifo.sv",
    "a constant function may not fill an unpacked struct from an assignment pattern",
    (
        Replace("typedef struct {\n\t\tint unsigned  lo;", "typedef struct packed {\n\t\tint unsigned  lo;"),
        Replace(
            "automatic abits_t  abits = '{ lo: $clog2(DEPTH_REQ), hi: 0 };",
            "automatic abits_t  abits;\n\t\tabits.lo = $clog2(DEPTH_REQ);\n\t\tabits.hi = 0;",
        ),
    ),
)
MVU = Patch(
    "mvu.sv",
    "a check that waits 100 ns from the start of a simulation is not hardware",
    (Move(first="\tif(1) begin : blkRecoveryWatch\n", last="\tend : blkRecoveryWatch\n"),),
)
THRESHOLDING = Patch(
    "thresholding.sv",
    "the first stage selects a range of no bits",
    (Replace("1 : p.ptr[M-1:SN+1] < 2**stage", "1 : (p.ptr[M-1:0] >> (SN+1)) < 2**stage"),),
)
OUTPUT_QUEUE = Patch(
    "mvu_vvu_axi.sv",
    "the output queue is too short where results follow each other closely, so that some are lost",
    (
        Replace(
            "localparam int unsigned  MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH;\n",
            "// finnyaml: when the queue says stop it holds one result, and one more comes for each SF cycles that\n"
            "\t\t// the core takes (mvu.sv: SOFT_DEPTH), and for the cycle in which it says so.\n"
            "\t\tlocalparam int unsigned  SOFT_DEPTH = 4 + $clog2(SIMD) + (SIMD == 1);\n"
            "\t\tlocalparam int unsigned  LATENCY =\n"
            "\t\t\tSOFT_DEPTH > CORE_PIPELINE_DEPTH? SOFT_DEPTH : CORE_PIPELINE_DEPTH;\n"
            "\t\tlocalparam int unsigned  STILL_COMING = (LATENCY + SF) / SF;\n"
            "\t\tlocalparam int unsigned  MAX_IN_FLIGHT =\n"
            "\t\t\tSTILL_COMING > CORE_PIPELINE_DEPTH? STILL_COMING : CORE_PIPELINE_DEPTH;\n",
        ),
    ),
    only="f4c91ae7cbb2887c92b034c2364481e9d40e31313bbd1aff82491c1350388dab",
)
"""Found by simulation; tests/rtl/test_lost_results.py shows the fault and that it is gone."""

SIMULATION: Patches = {"finn-plus 1.6.1": (ADD_MULTI, FIFO, OUTPUT_QUEUE)}
SYNTHESIS: Patches = {"finn-plus 1.6.1": (ADD_MULTI, FIFO, MVU, OUTPUT_QUEUE, THRESHOLDING)}


def overlay(folder: Path, design: Design, destination: Path, patches: Patches) -> dict[str, str]:
    """Copy the sources of a design folder to `destination`, under the same relative names, those with patches patched.

    Data is not copied. For a FINN that has no entry in `patches` those of the newest that has one are tried.
    Returns what was wrong in the sources that are other hardware now, by their name in the folder.
    Raises StepFailed: a patch does not fit the file that FINN has.
    """
    mended = {}
    for source in design.sources:
        path = destination / source
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (folder / source).read_text(encoding="utf-8")
        name = PurePosixPath(source).name
        path.write_text(patched_source(name, text, design.finn, patches), encoding="utf-8")
        for patch in _patches(name, text, design.finn, patches):
            if patch.only is not None:
                mended[source] = patch.why
    return mended


def patched_source(name: str, text: str, finn: str, patches: Patches) -> str:
    """The text of the source of that name with all patches for it.

    Raises StepFailed: a patch does not fit.
    """
    known = _known(finn, patches)
    for patch in _patches(name, text, finn, patches):
        text = patched(text, patch, finn, known)
    return text


def mends(patch: Patch, text: str) -> bool:
    """Whether a patch is for this very text of a source."""
    return patch.only == hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _known(finn: str, patches: Patches) -> str:
    return finn if finn in patches else list(patches)[-1]


def _patches(name: str, text: str, finn: str, patches: Patches) -> list[Patch]:
    """Those for a source of this name and text."""
    named = (patch for patch in patches[_known(finn, patches)] if patch.file == name)
    return [patch for patch in named if patch.only is None or mends(patch, text)]


def patched(text: str, patch: Patch, finn: str, known: str) -> str:
    """The text of a source with the edits made. finn: whose source it is; known: the FINN that the patch is for.

    Raises StepFailed: an edit does not apply exactly once.
    """
    for edit in patch.edits:
        marks = (edit.old,) if isinstance(edit, Replace) else (edit.first, edit.last, edit.before)
        counts = {mark: text.count(mark) for mark in marks if mark is not None}
        wrong = next((mark for mark, count in counts.items() if count != 1), None)
        after = text if wrong is not None else _applied(text, edit)
        if after is None or wrong is not None:
            what = f"has '{wrong.strip()}' {counts[wrong]} times" if wrong else "has its parts in another order"
            raise StepFailed(
                f"{patch.file} of {finn} cannot be taken as it is ({patch.why}), and the change that finnyaml makes "
                f"to that of {known} does not fit: the file {what}",
                hint=f"use {known}, or Vivado for this step; a FINN that has changed this file needs a newer finnyaml",
            )
        text = after
    return text


def _applied(text: str, edit: Replace | Move) -> str | None:
    """The text with the edit, whose marks are all there once; None where they are in an order that makes no sense."""
    if isinstance(edit, Replace):
        return text.replace(edit.old, edit.new)
    start, end = text.index(edit.first), text.index(edit.last) + len(edit.last)
    if end < start + len(edit.first):
        return None
    block, rest = text[start:end], text[:start] + text[end:]
    if edit.before is None:
        return rest
    place = text.index(edit.before)
    return rest[:place] + block + rest[place:] if place <= start else None
