"""The bundle's own host package, run on its golden samples where it was made: it computes what the build does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from finnyaml.accelerator.contract import FORMAT, Bundle, digest_of
from finnyaml.accelerator.graphs import Sessions, open_graph
from finnyaml.bundle.names import FACTS
from finnyaml.bundle.weight_positions import stored, words
from finnyaml.errors import StepFailed


def prove(
    content: Mapping[str, Any], folder: Path, driver_folder: Path | None, found: Mapping[str, np.ndarray]
) -> None:
    """Compare head, hardware layers, tail and packing with the golden samples, bit by bit.

    content: of contract.json; its files are in `folder`, FINN's weight files perhaps in `driver_folder`. found: the
    arrays of the golden samples, each [samples, ...].
    Raises StepFailed: something differs; then this is a defect of finnyaml, and no such bundle is made.
    """
    facts = folder / FACTS
    data = {"format": FORMAT, "name": "", "files": {}, **content}
    facts.write_text(json.dumps({**data, "digest": digest_of(data)}), encoding="utf-8")
    try:
        bundle = Bundle.load(folder)
    finally:
        facts.unlink()
    contract = content["contract"]
    inputs, outputs = found["accelerator_inputs"], found["accelerator_outputs"]
    _same("head", open_graph(contract["head"], bundle)(found["inputs"]), inputs)
    _same("tail", open_graph(contract["tail"], bundle)(outputs), found["outputs"])
    for port, values in ((bundle.accelerator_input, inputs), (bundle.accelerator_output, outputs)):
        _same("packing", port.unpack(port.pack(values)), values)
    if contract["hardware"]["kind"] == "missing":
        return
    hardware = open_graph(contract["hardware"], bundle)
    if isinstance(hardware, Sessions) and hardware.layers:
        _same("hardware graph without weights", hardware(inputs), found["without_weights"])
        for entry in (*content["driver"]["runtime_weights"], *content["driver"]["external_weights"]):
            hardware.set_weights(entry["layer"], _raw(entry["file"], folder, driver_folder))
    _same("hardware graph", hardware(inputs), outputs)


def _raw(file: str, folder: Path, driver_folder: Path | None) -> bytes:
    """The bytes that a driver writes."""
    path = folder / file
    if not path.exists() and driver_folder is not None:
        path = driver_folder / "runtime_weights" / path.name
    read = words if path.suffix == ".dat" else stored
    return np.packbits(read(path.read_bytes()), bitorder="little").tobytes()


def _same(what: str, made: np.ndarray, wanted: np.ndarray) -> None:
    if made.shape == wanted.shape and np.array_equal(made, wanted, equal_nan=made.dtype.kind == "f"):
        return
    where = f"{list(made.shape)}, not {list(wanted.shape)}"
    if made.shape == wanted.shape:
        differing = (made != wanted).reshape(len(made), -1).any(axis=1)
        where = f"sample {int(differing.argmax())} of {len(made)}"
    raise StepFailed(
        f"the bundle's {what} does not compute what the build does ({where})",
        hint="please report this, with the recipe; the verification points of the build are not affected",
    )
