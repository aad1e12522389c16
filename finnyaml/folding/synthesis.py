"""Synthesis of just the layers that a search wants to know of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from finnyaml.errors import StepFailed
from finnyaml.finn.alone import Constants, can_be, content, design
from finnyaml.rtl.synthesis.each import each
from finnyaml.rtl.synthesis.script import family_of


class Synthesis:
    """What layers take by Yosys, each by itself.

    part, clock_ns: what they are made for. work: for what is in between. cache: where counts are kept, shared by all
    builds: a layer of the same content is not synthesised again.

    Raises StepFailed: Yosys does not know the part.
    """

    def __init__(self, part: str, clock_ns: float, work: Path, cache: Path) -> None:
        try:
            family_of(part)
        except StepFailed as error:
            hint = "leave `folding.optimize.costs` out, or say `costs: estimate`, which needs no synthesis"
            raise StepFailed(f"costs: synthesis: {error.message}", hint=hint) from None
        self._part, self._clock_ns, self._work, self._cache = part, clock_ns, work, cache
        self._asked: dict[str, str] = {}

    def of(self, layers: Iterable[Any], constants: Constants) -> dict[str, Mapping[str, int]]:
        """Of those that were not asked for before: resources, by `finnyaml.finn.alone.content`.

        Layers that cannot stand alone, and those that Yosys does not manage, are left out.
        """
        folders: dict[str, Path] = {}
        for layer in layers:
            key = content(layer, constants)
            if key in self._asked:
                continue
            self._asked[key] = layer.onnx_node.name or layer.onnx_node.op_type
            if can_be(layer, constants):
                folder = self._work / "designs" / key
                try:
                    design(layer, constants, self._part, self._clock_ns, folder)
                except StepFailed as error:
                    self._left_out(key, error)
                else:
                    folders[key] = folder
        counted = each(list(folders.values()), self._work, self._cache, lambda said: print(said, flush=True))
        found: dict[str, Mapping[str, int]] = {}
        for key, counts in zip(folders, counted, strict=True):
            if isinstance(counts, StepFailed):
                self._left_out(key, counts)
            else:
                (found[key],) = counts.values()
        return found

    def _left_out(self, key: str, error: StepFailed) -> None:
        print(f"{self._asked[key]} is not synthesised by itself: {error.message}", flush=True)
