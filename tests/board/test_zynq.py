"""Driving a Zynq through the real PYNQ: the outputs are those of the emulation, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from finnyaml.accelerator import Accelerator, AcceleratorError, Bundle
from finnyaml.accelerator.devices import transport
from finnyaml.accelerator.devices.board import open_board
from tests.board.conftest import ZYNQ7, Board


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_predictions_are_those_of_the_emulation(board: Board, batch: int) -> None:
    images = board.images(61)  # of which neither 7 nor 64 is a divisor
    standin = board.standin()
    device = open_board(Bundle.load(board.folder), batch, standin)
    with Accelerator(board.folder, batch=batch, device=device) as accelerator, board.emulated() as emulated:
        expected = emulated.predict(images)
        assert np.array_equal(accelerator.predict(images), expected)
        assert np.array_equal(accelerator.predict(images), expected)
        values = emulated.head(images)
        assert np.array_equal(accelerator.run(values), emulated.run(values))
    with np.load(board.folder / board.data["golden"]["file"]) as golden:
        assert np.array_equal(expected, golden["outputs"][:61])
    assert len(np.unique(expected)) > 1


def test_the_output_engine_is_started_before_the_input_engine(board: Board) -> None:
    standin = board.standin()
    device = open_board(Bundle.load(board.folder), 4, standin)
    Accelerator(board.folder, batch=4, device=device).predict(board.images(6))
    source, sink = device._bundle.accelerator_input.name, device._bundle.accelerator_output.name
    assert standin.fabric.order == [sink, source, sink, source]


def test_more_samples_than_the_buffers_hold_go_in_parts(board: Board) -> None:
    standin = board.standin()
    device = open_board(Bundle.load(board.folder), 5, standin)
    emulated = board.emulated()
    packed = device._bundle.accelerator_input.pack(emulated.head(board.images(12)))
    assert np.array_equal(device.execute(packed), emulated.device.execute(packed))
    assert standin.fabric.moved == [5, 5, 2]
    device.close()
    device.close()


def test_an_inference_that_does_not_finish_is_an_error(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PATIENCE", 0.1)
    device = open_board(Bundle.load(board.folder), 4, board.standin(never_finish=True))
    with pytest.raises(
        AcceleratorError, match=r"output DMA \w+ did not finish 3 samples.*input DMA \w+: still busy"
    ) as first:
        Accelerator(board.folder, device=device).predict(board.images(3))
    assert first.value.name == "device" and "nothing was done before" in str(first.value)
    with pytest.raises(AcceleratorError, match="still busy with an earlier inference"):
        Accelerator(board.folder, device=device).predict(board.images(3))


def test_a_second_run_shows_that_only_the_first_inference_is_right(board: Board) -> None:
    images = board.images(20)
    device = open_board(Bundle.load(board.folder), 20, board.standin(only_first=True))
    accelerator, emulated = Accelerator(board.folder, device=device), board.emulated()
    values = emulated.head(images)
    assert np.array_equal(accelerator.run(values), emulated.run(values))
    assert not np.array_equal(accelerator.run(values), emulated.run(values))


def test_a_block_that_the_overlay_does_not_have(board: Board) -> None:
    name = board.data["contract"]["accelerator"]["outputs"][0]["name"]
    board.attach(without=name)
    with pytest.raises(
        AcceleratorError, match=rf"finn-accel.hwh has no {name} with an address, only .*idma0"
    ) as caught:
        open_board(Bundle.load(board.folder), 1, board.standin())
    assert caught.value.name == "bitfile differs"


def test_a_device_that_fails(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Root permissions required.")

    standin = board.standin()
    monkeypatch.setattr(standin, "download", refuse)
    with pytest.raises(AcceleratorError, match=r"PYNQ cannot load finn-accel.bit: Root permissions") as caught:
        open_board(Bundle.load(board.folder), 1, standin)
    assert caught.value.name == "device"


def test_zynq_7000(board: Board) -> None:
    board.attach(part=ZYNQ7)
    device = open_board(Bundle.load(board.folder), 8, board.standin())
    images = board.images(8)
    assert np.array_equal(Accelerator(board.folder, device=device).predict(images), board.emulated().predict(images))
