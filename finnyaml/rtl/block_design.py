"""The block design that FINN describes to Vivado: its cells, and which of their pins are connected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Pin(NamedTuple):
    """A pin or interface pin. cell: path of its cell or hierarchy, "" for a port of the whole design."""

    cell: str
    name: str

    def __str__(self) -> str:
        return f"{self.cell}/{self.name}" if self.cell else self.name

    @property
    def node(self) -> str:
        """The outermost cell: the FINN node."""
        return self.cell.partition("/")[0]


@dataclass(frozen=True)
class Cell:
    """An instance of a module. path: "<node>" or "<node>/<part>"."""

    path: str
    module: str
    parameters: Mapping[str, str]

    @property
    def node(self) -> str:
        """The FINN node that it is, or is part of."""
        return self.path.partition("/")[0]


@dataclass(frozen=True)
class BlockDesign:
    """files: sources in the order of their first mention. nets, interfaces: sets of connected pins, each in the order
    of mention, with those of hierarchies (cells that only hold others) and of the outside.
    """

    files: tuple[str, ...]
    cells: tuple[Cell, ...]
    nets: tuple[tuple[Pin, ...], ...]
    interfaces: tuple[tuple[Pin, ...], ...]
