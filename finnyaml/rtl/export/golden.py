"""Tensors as the words of a stream, in the hexadecimal files that $readmemh reads."""

from __future__ import annotations

import numpy as np

from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.accelerator.numbers.packing import pack
from finnyaml.errors import StepFailed
from finnyaml.rtl.design import Stream


def words(values: np.ndarray, stream: Stream) -> str:
    """Frames [frames, *stream.shape[1:]] to one line per beat, each a number as wide as the stream.
    Raises StepFailed: a value that the datatype of the stream does not have, or values of another shape."""
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


def payload(stream: Stream) -> int:
    """The bits of a beat that carry values; those above fill it up to whole bytes and may be anything."""
    return stream.folded[-1] * parse(stream.datatype).bits
