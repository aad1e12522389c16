"""What a bitfile says of itself: `.bit` (Zynq, ZynqMP) and `.xclbin` (Alveo). Only its head is read."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import AcceleratorError

_AGAIN = "copy it again from the build (FINN leaves it in bitfile/)"

# xclbin: the axlf structure of XRT's xclbin.h.
_LENGTH = 304  # u64: the whole file, bytes
_SECTIONS = 448  # u32, and from the next multiple of 8 on as many headers
_HEADER = struct.Struct("<I16s4xQQ")  # kind, name, offset, size
_IP_LAYOUT, _CLOCKS = 8, 11
_IP = struct.Struct("<IIQ64s")  # type, properties, base address, name
_IP_KERNEL = 1
_FREQUENCY = struct.Struct("<HB5x128s")  # MHz, type, name
_DATA_CLOCK = 1  # the type of the clock that FINN's kernels run on


@dataclass(frozen=True)
class Bitfile:
    """The head of a `.bit` file. `part` is as Vivado wrote it: without speed grade for 7 series ("7z020clg400")."""

    part: str


@dataclass(frozen=True)
class Xclbin:
    """The head of an `.xclbin` file: its kernels' instances, the frequency of their clock (None: unknown)."""

    kernels: tuple[str, ...]
    clock_mhz: float | None


def read_bitfile(path: Path) -> Bitfile | Xclbin:
    """Read the head of a bitfile and check that the rest is there.

    Raises AcceleratorError: "bitfile missing" (there is no such file), "bitfile damaged" (no bitfile, cut short, or
    longer than its head says).
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read_xclbin(path, file, size) if path.suffix == ".xclbin" else _read_bit(path, file, size)
    except OSError as error:
        raise AcceleratorError(f"cannot read {path}: {error.strerror}", name="bitfile missing", hint=_AGAIN) from error
    except (struct.error, IndexError) as error:
        raise _damaged(f"{path} ends before its head does") from error


def same_part(one: str, other: str) -> bool:
    """Whether two names are of the same part: 7z020clg400 is xc7z020clg400-1 without the speed grade."""
    short, long = sorted((_letters(one), _letters(other)), key=len)
    return bool(short) and long.startswith(short)


def _letters(part: str) -> str:
    return re.sub(r"^xc(?=[0-9a-z])|[^0-9a-z]", "", part.strip().lower())


def _read_bit(path: Path, file: BinaryIO, size: int) -> Bitfile:
    """A field of no meaning, a two-byte 1, then fields: a letter, the length, the text; `e` has the payload."""
    head = file.read(1 << 16)
    (length,) = struct.unpack_from(">H", head, 0)
    at = 2 + length
    if head[at : at + 3] != b"\x00\x01a":
        raise _damaged(f"{path} is not a .bit file of Vivado: it does not begin with the head of one")
    at += 2
    texts = {}
    while head[at] != ord("e"):
        (length,) = struct.unpack_from(">H", head, at + 1)
        texts[chr(head[at])] = head[at + 3 : at + 3 + length].rstrip(b"\0").decode("ascii", "replace")
        at += 3 + length
    (payload,) = struct.unpack_from(">I", head, at + 1)
    _check_size(path, size, at + 5 + payload)
    return Bitfile(texts.get("b", ""))


def _read_xclbin(path: Path, file: BinaryIO, size: int) -> Xclbin:
    head = file.read(_SECTIONS + 8)
    if head[:8] != b"xclbin2\0":
        raise _damaged(f"{path} is not an .xclbin file of Vitis: it does not begin with 'xclbin2'")
    (length,) = struct.unpack_from("<Q", head, _LENGTH)
    (count,) = struct.unpack_from("<I", head, _SECTIONS)
    _check_size(path, size, length)
    headers = file.read(min(count * _HEADER.size, size))  # a damaged head may ask for gigabytes
    sections = {}
    for index in range(count):
        kind, _, offset, section_size = _HEADER.unpack_from(headers, index * _HEADER.size)
        if kind in (_IP_LAYOUT, _CLOCKS):
            file.seek(min(offset, size))
            sections[kind] = file.read(min(section_size, size))
    return Xclbin(_kernels(sections.get(_IP_LAYOUT, bytes(4))), _clock(sections.get(_CLOCKS, bytes(2))))


def _kernels(section: bytes) -> tuple[str, ...]:
    """The names of the kernels' instances; the section has "kernel:instance"."""
    (count,) = struct.unpack_from("<i", section)
    entries = (_IP.unpack_from(section, 8 + index * _IP.size) for index in range(count))
    names = (name.split(b"\0")[0].decode("ascii", "replace") for kind, _, _, name in entries if kind == _IP_KERNEL)
    return tuple(name.rpartition(":")[2] for name in names)


def _clock(section: bytes) -> float | None:
    (count,) = struct.unpack_from("<H", section)
    entries = (_FREQUENCY.unpack_from(section, 2 + index * _FREQUENCY.size) for index in range(count))
    return next((float(mhz) for mhz, kind, _ in entries if kind == _DATA_CLOCK), None)


def _check_size(path: Path, size: int, expected: int) -> None:
    if size != expected:
        what = "is cut short" if size < expected else "has more than it should"
        raise _damaged(f"{path} {what}: it has {size} bytes, its head says {expected}")


def _damaged(message: str) -> AcceleratorError:
    return AcceleratorError(message, name="bitfile damaged", hint=_AGAIN)
