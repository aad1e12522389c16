"""What the bundle promises: the contract of input and output, read from `bundle.json`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .errors import AcceleratorError, damaged
from .numbers import packing
from .numbers.datatypes import Datatype, parse

FORMAT = 2


@dataclass(frozen=True)
class Port:
    """One stream of the accelerator. The shapes are FINN's, each with a batch of 1 in front.

    `normal` is the shape that the graph has, `folded` splits its innermost dimension as the hardware takes it (SIMD or
    PE values at a time), `packed` has these values as bytes.
    """

    name: str
    datatype: Datatype
    layout: str | None
    normal: tuple[int, ...]
    folded: tuple[int, ...]
    packed: tuple[int, ...]

    def fold(self, batch: int) -> tuple[int, ...]:
        """The folded shape of so many samples."""
        return (batch, *self.folded[1:])

    def pack(self, values: np.ndarray) -> np.ndarray:
        """Values [n, *normal[1:]] of any numeric dtype to uint8 [n, *packed[1:]].

        Raises AcceleratorError: "wrong shape", or "wrong range" for values that the datatype does not have.
        """
        if values.shape[1:] != self.normal[1:]:
            raise AcceleratorError(
                f"{self.name} takes values of shape {_shape(self.normal)}, not {list(values.shape)}", name="wrong shape"
            )
        return packing.pack(values.reshape(self.fold(len(values))), self.datatype)

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """uint8 [n, *packed[1:]] to values [n, *normal[1:]] in the smallest dtype that holds them.

        Raises AcceleratorError: "wrong output": another shape, or bits that are not values of the datatype.
        """
        if packed.dtype != np.uint8 or packed.shape[1:] != self.packed[1:]:
            raise AcceleratorError(
                f"{self.name} moves uint8 of shape {_shape(self.packed)}, not {packed.dtype} {list(packed.shape)}",
                name="wrong output",
            )
        values = packing.unpack(packed, self.datatype, self.folded[-1])
        return values.reshape(len(packed), *self.normal[1:])


@dataclass(frozen=True)
class User:
    """What the user hands over or gets: one sample of it. `range` are the smallest and the largest value."""

    name: str
    datatype: Datatype
    dtype: np.dtype
    shape: tuple[int, ...]
    layout: str | None
    range: tuple[float, float] | None
    scale: Any
    does: tuple[str, ...]
    meaning: str | None


@dataclass(frozen=True)
class Bundle:
    """A bundle folder and what its `bundle.json` says; `data` is all of it."""

    folder: Path
    data: dict[str, Any]
    input: User
    output: User
    accelerator_input: Port
    accelerator_output: Port

    @classmethod
    def load(cls, folder: str | Path | None = None) -> Bundle:
        """Read the bundle in this folder; by default the one that this package is part of.

        Raises AcceleratorError: no `bundle.json`, not one of this format, it was edited, or it lacks something.
        """
        root = (Path(folder) if folder is not None else Path(__file__).parents[1]).resolve()
        data = _read(root / "bundle.json")
        try:
            contract = data["contract"]
            ports = contract["accelerator"]
            return cls(
                root,
                data,
                _user(contract["input"]),
                _user(contract["output"]),
                _port(ports["inputs"]),
                _port(ports["outputs"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            what = f"the contract is not complete ({type(error).__name__}: {error})"
            raise damaged(f"{root / 'bundle.json'}: {what}") from error

    @property
    def name(self) -> str:
        """The name that the recipe gave."""
        return str(self.data["name"])

    def path(self, relative: str) -> Path:
        """The path of a file of this bundle, whether it is there or not.

        Raises AcceleratorError: it would be outside the bundle's folder.
        """
        path = (self.folder / relative).resolve()
        if self.folder not in path.parents:
            raise AcceleratorError(f"'{relative}' is not inside the bundle", name="bundle damaged")
        return path

    def arrays(self, relative: str) -> dict[str, np.ndarray]:
        """The arrays of an .npz file of this bundle by name, each with the shape and dtype that it was stored with.

        Raises AcceleratorError: "bundle damaged": there is no such file, or it is none.
        """
        try:
            with self.path(relative).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except AcceleratorError:
            raise
        except Exception as error:  # of a damaged file NumPy and zipfile say it with a dozen types
            raise damaged(f"{relative}: {error}") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise AcceleratorError(
            f"there is no readable {file}",
            name="no bundle",
            hint="name the folder that has bundle.json: the one that was copied to the board",
        ) from error
    except (ValueError, RecursionError) as error:
        raise damaged(f"{file}: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else None
        raise AcceleratorError(
            f"{file} has format {found}, this package reads format {FORMAT}",
            name="bundle damaged",
            hint="use the accelerator/ folder that came with the bundle",
        )
    if data.get("digest") != digest_of(data):
        raise AcceleratorError(
            f"{file} is not as it was made: its digest is not that of its content",
            name="bundle damaged",
            hint="somebody has edited it; take the one of the bundle's .tar.gz. What is to be different belongs in the "
            "recipe, and a bitfile is added by finnyaml bundle attach",
        )
    return data


def digest_of(data: dict[str, Any]) -> str:
    """The SHA-256 of all that a `bundle.json` says, but its own `digest`, in hexadecimal."""
    rest = {key: value for key, value in data.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _user(entry: dict[str, Any]) -> User:
    limits = entry["range"]
    return User(
        name=entry["name"],
        datatype=parse(entry["datatype"]),
        dtype=np.dtype(entry["dtype"]),
        shape=tuple(entry["shape"]),
        layout=entry["layout"],
        range=(limits[0], limits[1]) if limits is not None else None,
        scale=entry["scale"],
        does=tuple(entry["does"]),
        meaning=entry.get("meaning"),
    )


def _port(entries: list[dict[str, Any]]) -> Port:
    if len(entries) != 1:
        names = ", ".join(entry["name"] for entry in entries)
        raise AcceleratorError(f"this package drives one stream in and one out, not {names}", name="not supported")
    entry = entries[0]
    datatype = parse(entry["datatype"])
    normal, folded, packed = (tuple(entry[shape]) for shape in ("normal", "folded", "packed"))
    if prod(folded) != prod(normal) or packed != (*folded[:-1], (folded[-1] * datatype.bits + 7) // 8):
        raise ValueError(f"{entry['name']}: {normal}, {folded} and {packed} are not shapes of the same {datatype.name}")
    return Port(entry["name"], datatype, entry["layout"], normal, folded, packed)


def _shape(shape: tuple[int, ...]) -> str:
    return str(["n", *shape[1:]]).replace("'", "")
