"""Large tensors of ONNX models as objects of their own: cut out where a model is kept, put back where it is given.

What is left of a model is its *frame*: the same protobuf, with a stand-in for the raw data of each large tensor. A
stand-in is a mark and the digest of what stood there, so the digest of the frame names the whole model. The wire format
is read here and not by protobuf: so a model comes back equal byte for byte, whatever is in it, piece by piece and
without onnx. Data that is not raw (`float_data`) and functions stay in the frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from finnyaml.store.model import Part
from finnyaml.store.streams import Piece

LARGE = 1 << 16
"""From so many bytes on a tensor is an object of its own."""

MARK = b"finnyaml tensor:"
_STAND_IN = re.compile(MARK + rb"([0-9a-f]{64})")
_STAND_IN_SIZE = len(MARK) + 64

_INSIDE = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
}
"""Messages of ONNX by the number of the field that they are in."""
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14

_Change = Callable[[memoryview], Sequence[Piece | Part] | None]
"""From the raw data of a tensor to the field that takes its place; None where it stays."""


def cut(data: bytes, keep: Callable[[memoryview], str]) -> tuple[bytes, tuple[Part, ...]]:
    """The frame of a model and its parts; `keep` stores what is cut out, and returns its digest.

    What is not a model, has no large tensor, or holds the mark already is given back as it is.
    """
    found: list[Part] = []

    def change(raw: memoryview) -> Sequence[Piece | Part]:
        found.append(Part(keep(raw), len(raw)))
        return _field(_RAW_DATA, [stand_in(found[-1])])

    try:
        pieces = _changed(memoryview(data), "model", LARGE, change)
    except (ValueError, IndexError):
        return data, ()
    frame = _joined(pieces or ())
    # Where the model has a mark of its own, nobody could tell it from a stand-in.
    return (frame, tuple(dict.fromkeys(found))) if found and frame.count(MARK) == len(found) else (data, ())


def stand_in(part: Part) -> bytes:
    """What the frame has in the place of a part."""
    return MARK + part.digest.encode()


def whole(frame: bytes, parts: Iterable[Part]) -> list[Piece | Part]:
    """What the model consists of, in order: pieces of the frame and the parts. ValueError where they do not fit."""
    return _with(frame, parts, lambda part: _field(_RAW_DATA, [part]))


def beside(frame: bytes, parts: Iterable[Part], place: Callable[[Part], str]) -> bytes:
    """The model with its parts as external data, in files that `place` names as seen from its folder.

    ValueError where frame and parts do not fit.
    """

    def named(part: Part) -> Iterator[Piece | Part]:
        for key, value in (("location", place(part)), ("length", str(part.size))):
            entry = [*_field(1, [key.encode()]), *_field(2, [value.encode()])]
            yield from _field(_EXTERNAL_DATA, entry)
        yield _varint(_DATA_LOCATION << 3) + b"\1"

    return _joined(_with(frame, parts, lambda part: list(named(part))))


def _with(frame: bytes, parts: Iterable[Part], field: Callable[[Part], Sequence[Piece | Part]]) -> list[Piece | Part]:
    known = {part.digest.encode(): part for part in parts}
    met = set()

    def change(raw: memoryview) -> Sequence[Piece | Part] | None:
        found = _STAND_IN.fullmatch(raw)
        if found is None or found[1] not in known:
            return None
        met.add(found[1])
        return field(known[found[1]])

    try:
        pieces = _changed(memoryview(frame), "model", _STAND_IN_SIZE, change) if known else None
    except IndexError as error:
        raise ValueError("the frame is not a model") from error
    if met != known.keys():
        raise ValueError("the frame lacks stand-ins")
    return pieces or [frame]


def _changed(message: memoryview, kind: str, smallest: int, change: _Change) -> list[Piece | Part] | None:
    """The message with the raw data of its tensors changed, as far as it has `smallest` bytes; None where none is."""
    pieces: list[Piece | Part] = []
    done = 0
    for number, begin, start, end in _fields(message):
        if end - start < smallest:
            continue
        field: Sequence[Piece | Part] | None = None
        if kind == "tensor":
            field = change(message[start:end]) if number == _RAW_DATA else None
        elif number in _INSIDE[kind]:
            inner = _changed(message[start:end], _INSIDE[kind][number], smallest, change)
            field = _field(number, inner) if inner is not None else None
        if field is not None:
            pieces += [message[done:begin], *field]
            done = end
    return [*pieces, message[done:]] if pieces else None


def _fields(message: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Every field that has a length: its number, where it begins, where its value begins and ends."""
    at = 0
    while at < len(message):
        begin = at
        key, at = _number(message, at)
        kind = key & 7
        if kind == 2:
            size, start = _number(message, at)
            at = start + size
            if at > len(message):
                raise ValueError("a field is longer than its message")
            yield key >> 3, begin, start, at
        elif kind == 0:
            _, at = _number(message, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError("not a protobuf message")


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """The varint at a place, and where it ends."""
    value = shift = 0
    while (byte := message[at]) & 0x80:
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return value | byte << shift, at + 1


def _joined(pieces: Iterable[Piece | Part]) -> bytes:
    return b"".join(piece for piece in pieces if not isinstance(piece, Part))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, pieces: Sequence[Piece | Part]) -> list[Piece | Part]:
    size = sum(piece.size if isinstance(piece, Part) else len(piece) for piece in pieces)
    return [_varint(number << 3 | 2) + _varint(size), *pieces]
