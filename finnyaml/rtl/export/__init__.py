"""A design as a folder that any simulator or a Vivado project can take, with a test bench that checks itself."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import finnyaml
from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.accelerator.numbers.packing import pack
from finnyaml.errors import StepFailed
from finnyaml.rtl import names, overlay
from finnyaml.rtl.design import Design, Stream

TEMPLATES = Path(__file__).parent / "templates"
ENDING = ".j2"
RESET_NS = 200
"""DSP slices need 100 ns before they take data, and Xilinx' models as long for their own reset."""


def export(
    folder: Path,
    destination: Path,
    inputs: np.ndarray,
    outputs: np.ndarray,
    told: Mapping[str, int] | None = None,
) -> None:
    """Write the design in `folder` to `destination`, which is new or empty, and needs nothing outside of itself.

    inputs [frames, *input.shape[1:]] and outputs [frames, *output.shape[1:]]: what the test bench sends, and what has
    to come out. told: which wrong bits these show (`finnyaml.bundle.telling.Told`, plain).
    Raises StepFailed: golden values that do not fit the streams, a name that no script can have, a destination with
    files in it, FINN's sources are others than expected.
    """
    design = Design.load(folder)
    names.check_design(design)
    if len(inputs) != len(outputs) or not len(inputs):
        raise StepFailed(f"a test bench needs as many inputs as outputs, not {len(inputs)} and {len(outputs)}")
    destination.mkdir(parents=True, exist_ok=True)
    if any(destination.iterdir()):
        raise StepFailed(f"{destination} is not empty", hint="give the export a folder of its own")
    vectors = {"inputs.hex": words(inputs, design.input), "outputs.hex": words(outputs, design.output)}
    mended = overlay.overlay(folder, design, destination, overlay.SIMULATION)
    for image in design.data:
        (destination / image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / image, destination / image)
    (destination / "files.f").write_text("".join(f"{source}\n" for source in design.sources), encoding="utf-8")
    (destination / "testbench").mkdir()
    for name, text in vectors.items():
        (destination / "testbench" / name).write_text(text, encoding="utf-8")
    environment = Environment(  # noqa: S701  # no HTML; the names in it have been checked, the rest are numbers
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    changed = [name for name in design.sources if (folder / name).read_bytes() != (destination / name).read_bytes()]
    rewritten = [name for name in changed if name not in mended]
    context = {**_context(design, len(inputs)), "rewritten": rewritten, "mended": mended, "told": told}
    for template in sorted(TEMPLATES.rglob(f"*{ENDING}")):
        name = template.relative_to(TEMPLATES).as_posix()
        text = environment.get_template(name).render(context)
        (destination / name.removesuffix(ENDING)).write_text(text, encoding="utf-8")


def _context(design: Design, frames: int) -> dict[str, Any]:
    return {
        "design": design,
        "version": finnyaml.__version__,
        "frames": frames,
        "input": _stream(design.input),
        "output": _stream(design.output),
        "half_period": f"{design.clock_ns / 2:g}",
        "reset_cycles": max(16, ceil(RESET_NS / design.clock_ns)),
        # FINN's estimate can be wrong, but not by this much
        "patience": 3 * max(design.latency_cycles, design.max_cycles) + 10_000,
    }


def _stream(stream: Stream) -> dict[str, Any]:
    """What templates say of a stream; a datatype is letters, digits and < , >. payload: the bits of a beat that carry
    values; those above fill it up to whole bytes and may be anything.
    """
    return {
        "name": stream.name,
        "datatype": stream.datatype,
        "shape": " x ".join(map(str, stream.shape[1:])),
        "per_word": stream.folded[-1],
        "beats": stream.beats,
        "width": stream.width,
        "payload": stream.folded[-1] * parse(stream.datatype).bits,
    }


def words(values: np.ndarray, stream: Stream) -> str:
    """Frames [frames, *stream.shape[1:]] to one line per beat, each a number as wide as the stream.

    Raises StepFailed: a value that the datatype of the stream does not have, or values of another shape.
    """
    if values.shape[1:] != stream.shape[1:]:
        raise StepFailed(
            f"golden values of shape {values.shape} are not frames of {stream.tensor} {stream.shape}",
            hint="the design takes one tensor and gives one, in the layout that its nodes have",
        )
    try:
        beats = pack(values.reshape(-1, stream.folded[-1]), parse(stream.datatype))
    except AcceleratorError as error:
        raise StepFailed(f"golden values for {stream.tensor} do not fit {stream.datatype}: {error}") from error
    width = stream.width // 8
    padded: np.ndarray = np.zeros((len(beats), width), np.uint8)
    padded[:, : beats.shape[1]] = beats
    digits = padded[:, ::-1].tobytes().hex()
    return "".join(f"{digits[at : at + 2 * width]}\n" for at in range(0, len(digits), 2 * width))
