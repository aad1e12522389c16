"""A bundle and the files that are attached to it: bitfile, hardware handoff, the bundle's own description."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from finnyaml.accelerator.devices.bitfile import read_bitfile
from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.bundle.attach import attach
from finnyaml.errors import FinnyamlError
from tests.board.files import write_xclbin
from tests.bundle.board_files import attach as board_files
from tests.bundle.built import built
from tests.bundle.sample import sample_bundle
from tests.fuzz.mutation import EDGES, damaged, edited
from tests.fuzz.watch import watched

WORDS = (
    *b'null true [] {} -1 1e999 NaN "" "..\\/..\\/x" "/etc/passwd"'.split(),
    *(b"9" * 400, b"[" * 500, b'"\\ud800"', b"\xff", b"\0", b"<!ENTITY a 'b'>", b"&a;"),
    *b'CLKFREQUENCY="0" BASEVALUE="x" <x>'.split(),
)
TEXTS = ("json", "hwh")


class Bundles:
    """`kind` is the file that is damaged: bit, hwh, json (of the bundle), xclbin (which no other file goes with)."""

    def __init__(self, folder: Path) -> None:
        folder = folder / "bundles"
        self._whole = built(folder / "built", weights=True)
        self._parts = board_files(sample_bundle(folder / "for", weights=True)).parent
        self._now = folder / "now"
        write_xclbin(self._parts / "finn-accel.xclbin", ["idma0", "odma0"], 100)
        files = {ending: self._parts / f"finn-accel.{ending}" for ending in ("bit", "hwh", "xclbin")}
        files["json"] = self._whole / "bundle.json"
        self.seeds = {kind: [path.read_bytes()] for kind, path in files.items()}
        for kind, seeds in self.seeds.items():
            assert self.check(kind, seeds[0])

    def mutated(self, kind: str, seed: bytes, chance: Random) -> bytes:
        return edited(seed, chance, WORDS) if kind in TEXTS else damaged(seed, chance, EDGES)

    def check(self, kind: str, data: bytes) -> bool:
        """Whether it is taken. A refusal is told, and changes nothing; anything else is a fault."""
        bundle, bitfile = self._place(kind, data)
        before = _state(self._now)
        try:
            with watched(str(self._now), may_change=str(self._now)):
                if kind == "xclbin":
                    read_bitfile(bitfile)
                else:
                    attach(bundle, bitfile)
        except (FinnyamlError, AcceleratorError):
            assert _state(self._now) == before, "it refuses, and has changed something"
            return False
        return True

    def _place(self, kind: str, data: bytes) -> tuple[Path, Path]:
        """The bundle and the bitfile, one file of them damaged."""
        shutil.rmtree(self._now, ignore_errors=True)
        shutil.copytree(self._whole, self._now / "sample")
        shutil.copytree(self._parts, self._now / "vivado")
        bitfile = self._now / "vivado/finn-accel.bit"
        target = self._now / "sample/bundle.json" if kind == "json" else bitfile.with_suffix(f".{kind}")
        target.write_bytes(data)
        return self._now / "sample", target if kind == "xclbin" else bitfile


def _state(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
