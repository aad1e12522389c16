"""A bitfile or a .hwh that is not the one of the bundle is not driven, unless somebody says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finnyaml.accelerator import AcceleratorError, Bundle
from finnyaml.accelerator.devices.board import open_board
from finnyaml.accelerator.devices.hwh import read_hwh
from finnyaml.accelerator.files import sha256_of
from tests.board.conftest import Board
from tests.bundle.sample import read_json, write_json


def record(board: Board) -> None:
    """List bitfile and .hwh with their digests, as `finnyaml bundle attach` does."""
    data = read_json(board.folder)
    for path in (board.folder / "bitfile").iterdir():
        entry = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        data["files"][path.relative_to(board.folder).as_posix()] = entry
    write_json(board.folder, data)


def exchange(hwh: Path, one: str, other: str) -> None:
    """The addresses of two blocks, each for the other's."""
    text = hwh.read_text(encoding="utf-8")
    ranges = read_hwh(hwh).ranges
    first, second = (f"0x{ranges[name][0][0]:08X}" for name in (one, other))
    hwh.write_text(text.replace(first, "0x?").replace(second, first).replace("0x?", second), encoding="utf-8")


def opened(board: Board, **kinds: Any) -> Any:
    return open_board(Bundle.load(board.folder), 4, board.standin(), **kinds)


def test_exchanged_addresses_are_not_driven(board: Board) -> None:
    record(board)
    bundle = Bundle.load(board.folder)
    opened(board).close()
    exchange(board.folder / "bitfile/finn-accel.hwh", bundle.accelerator_input.name, bundle.accelerator_output.name)
    with pytest.raises(AcceleratorError, match=r"finn-accel\.hwh: its content is not what was built") as raised:
        opened(board)
    assert raised.value.name == "bitfile differs"
    assert "memory of others" in str(raised.value.hint)


def test_a_changed_bitfile_is_driven_only_where_somebody_says_so(board: Board) -> None:
    record(board)
    bitfile = board.folder / "bitfile/finn-accel.bit"
    content = bytearray(bitfile.read_bytes())
    content[-1] ^= 1
    bitfile.write_bytes(content)
    with pytest.raises(AcceleratorError, match=r"finn-accel\.bit: its content"):
        opened(board)
    opened(board, changed=True).close()


@pytest.mark.parametrize("which", ["accelerator_input", "accelerator_output"])
def test_streams_of_another_width_are_those_of_another_folding(board: Board, which: str) -> None:
    port = getattr(Bundle.load(board.folder), which)
    hwh = board.folder / "bitfile/finn-accel.hwh"
    text = hwh.read_text(encoding="utf-8")

    def with_stream(size: int) -> None:
        stream = (
            f'<BUSINTERFACES><BUSINTERFACE NAME="axis_0" TYPE="INITIATOR" VLNV="xilinx.com:interface:axis:1.0">'
            f'<PARAMETER NAME="TDATA_NUM_BYTES" VALUE="{size}"/></BUSINTERFACE></BUSINTERFACES>'
        )
        head, module, rest = text.partition(f'INSTANCE="{port.name}"')
        begin, end, rest = rest.partition("</MODULE>")
        hwh.write_text(head + module + begin + stream + end + rest, encoding="utf-8")
        record(board)

    with_stream(port.packed[-1])
    opened(board).close()
    with_stream(2 * port.packed[-1])
    with pytest.raises(AcceleratorError, match=f"the stream of {port.name} is {16 * port.packed[-1]} bits wide"):
        opened(board)
