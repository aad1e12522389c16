"""The clock: compared with the .hwh, set through the real `pynq.ps.Clocks`, read back. And what counts its cycles."""

from __future__ import annotations

import warnings

import pytest
from pynq.ps import Clocks

from finnyaml.accelerator import AcceleratorError, Bundle
from finnyaml.accelerator.devices.board import open_board
from tests.board.conftest import ZYNQ7, ZYNQMP, Board
from tests.bundle.sample import write_json


def expect(board: Board, *, requested: float, achieved: float | None) -> None:
    data = board.data
    data["target"]["clock"].update(requested_mhz=requested, achieved_mhz=achieved)
    data["driver"]["clock_mhz"] = achieved or requested
    write_json(board.folder, data)


@pytest.mark.parametrize("part", [ZYNQ7, ZYNQMP])
def test_a_clocking_wizard_gets_100_mhz(board: Board, part: str) -> None:
    expect(board, requested=200, achieved=200)
    board.attach(part=part, mhz=200, wizard=True)
    device = open_board(Bundle.load(board.folder), 1, board.standin())
    assert Clocks.fclk0_mhz == pytest.approx(100, rel=0.001)
    assert device.clock_mhz == pytest.approx(200, rel=0.001)


def test_a_processor_clock_of_a_zynq_7000(board: Board) -> None:
    """PYNQ 4.0.0 leaves it at 100 MHz."""
    expect(board, requested=50, achieved=None)
    board.attach(part=ZYNQ7, mhz=50, wizard=False)
    device = open_board(Bundle.load(board.folder), 1, board.standin())
    assert Clocks.fclk0_mhz == device.clock_mhz == 50


@pytest.mark.parametrize("achieved", [187.5, None])
def test_a_processor_clock_is_set_to_what_vivado_built_not_to_what_was_asked_for(
    board: Board, achieved: float | None
) -> None:
    expect(board, requested=200, achieved=achieved)
    board.attach(part=ZYNQMP, mhz=187.498, wizard=False)
    device = open_board(Bundle.load(board.folder), 1, board.standin())
    assert Clocks.fclk0_mhz == pytest.approx(187.498, rel=0.001)
    assert device.clock_mhz == pytest.approx(Clocks.fclk0_mhz)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Clocks.fclk0_mhz = 200.0  # the trap
    assert Clocks.fclk0_mhz == pytest.approx(214.283, rel=0.001)


@pytest.mark.parametrize(
    ("mhz", "achieved", "message"),
    [
        (100, None, "says 100 MHz .*the build asked for 200 MHz"),
        (214.28, 187.5, "says 214.28 MHz .*the build achieved 187.5 MHz"),
    ],
)
def test_another_clock_in_the_hwh(board: Board, mhz: float, achieved: float | None, message: str) -> None:
    expect(board, requested=200, achieved=achieved)
    board.attach(mhz=mhz)
    standin = board.standin()
    with pytest.raises(AcceleratorError, match=message) as caught:
        open_board(Bundle.load(board.folder), 1, standin)
    assert caught.value.name == "clock differs"
    assert not hasattr(standin, "timestamp")  # nothing was loaded


def test_a_board_that_cannot_be_set_to_it(board: Board) -> None:
    """Its PLL does not run at what Vivado took for it: at 1500 MHz, where 1333 were meant."""
    expect(board, requested=666, achieved=666.5)
    board.attach(part=ZYNQMP, mhz=666.5, wizard=False)
    warnings.simplefilter("ignore")  # PYNQ's, of which we make an error; pytest restores the filters
    with pytest.raises(AcceleratorError, match=r"PL clock 0 runs at 749.992 MHz") as caught:
        open_board(Bundle.load(board.folder), 1, board.standin())
    assert caught.value.name == "clock differs"


def test_instrumentation(board: Board) -> None:
    board.edit(instrumentation=True)
    board.attach()
    standin = board.standin()
    device = open_board(Bundle.load(board.folder), 1, standin)
    device.clock_mhz = 100.0
    modes: list[int] = []
    gpio = standin.fabric.gpio
    write = gpio.write
    gpio.write = lambda offset, value: (modes.append((offset, value)), write(offset, value))
    found = device.instrumentation(seconds=0)
    assert found == {
        "ok": True,
        "min_latency": 900,
        "latency": 1000,
        "interval": 500,
        "checksum": 0x123456,
        "latency_ms": 0.01,
        "fps": 200000.0,
    }
    assert modes == [(0, 0), (8, 1), (0, 0), (8, 0)]  # reset, theirs; reset, ours


def test_no_instrumentation(board: Board) -> None:
    device = open_board(Bundle.load(board.folder), 1, board.standin())
    with pytest.raises(AcceleratorError, match="built without instrumentation"):
        device.instrumentation()
