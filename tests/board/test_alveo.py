"""Driving an Alveo card through the real PYNQ, on a stand-in for XRT."""

from __future__ import annotations

import numpy as np
import pytest

from finnyaml.accelerator import Accelerator, AcceleratorError, Bundle
from finnyaml.accelerator.devices import transport
from finnyaml.accelerator.devices.board import open_board
from tests.board import files
from tests.board.alveo_standin import AlveoStandIn
from tests.board.conftest import Board
from tests.bundle.sample import sample_bundle, write_json


@pytest.fixture
def card(tmp_path) -> Board:
    """The sample with runtime-writeable weights, as for an Alveo card."""
    board = Board(sample_bundle(tmp_path / "card", weights=True))
    attach(board, mhz=100)
    return board


def attach(board: Board, *, mhz: int, without: str = "") -> None:
    data = board.data
    (board.folder / "bitfile").mkdir(exist_ok=True)
    names = [block.name for block in files.blocks_of(data) if block.name != without]
    files.write_xclbin(board.folder / "bitfile/finn-accel.xclbin", names, mhz)
    data["target"].update(platform="alveo", part="xcu250-figd2104-2L-e", board="U250")
    data["driver"].update(platform="alveo", bitfile="bitfile/finn-accel.xclbin")
    write_json(board.folder, data)


def test_predictions_are_those_of_the_emulation(card: Board) -> None:
    device = open_board(Bundle.load(card.folder), 7, AlveoStandIn(Bundle.load(card.folder)))
    assert (device.name, device.clock_mhz) == ("alveo", 100.0)
    images = card.images(30)
    with Accelerator(card.folder, batch=7, device=device) as accelerator:
        assert np.array_equal(accelerator.predict(images), card.emulated().predict(images))


def test_an_inference_that_does_not_finish_is_an_error(card: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PATIENCE", 0.1)
    with pytest.raises(AcceleratorError, match=r"output DMA odma0 did not finish 7 samples.*still running"):
        open_board(Bundle.load(card.folder), 7, AlveoStandIn(Bundle.load(card.folder), never_finish=True))


def test_another_clock(card: Board) -> None:
    attach(card, mhz=200)
    with pytest.raises(AcceleratorError, match=r"says 200 MHz.*the build asked for 100 MHz") as caught:
        open_board(Bundle.load(card.folder), 7, AlveoStandIn(Bundle.load(card.folder)))
    assert caught.value.name == "clock differs"


def test_a_kernel_that_is_not_there(card: Board) -> None:
    attach(card, mhz=100, without="idma0")
    with pytest.raises(
        AcceleratorError, match="has no idma0 with an address, only StreamingDataflowPartition_0, odma0"
    ):
        open_board(Bundle.load(card.folder), 7, AlveoStandIn(Bundle.load(card.folder)))


def test_a_pynq_that_cannot_start_kernels(card: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYNQ 4.0.0 as it is: its DefaultIP has no `start`."""
    monkeypatch.setattr("tests.board.alveo_standin.KERNEL", "finn:standin:nothing:1.0")
    with pytest.raises(AcceleratorError, match="cannot start the kernel idma0"):
        open_board(Bundle.load(card.folder), 7, AlveoStandIn(Bundle.load(card.folder)))
