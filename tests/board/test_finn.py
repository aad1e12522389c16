"""FINN's own drivers on the same stand-in: the real finn-plus-driver package, and (stood in) the generated kind."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from pynq.ps import Clocks

from finnyaml.accelerator import Accelerator, AcceleratorError, Bundle
from finnyaml.accelerator.devices.finn_driver import open_driver
from tests.board.conftest import Board, io_shapes, make_settings
from tests.bundle.sample import WEIGHT_FILE, write_json

GENERATED = Path(__file__).with_name("generated_driver_base.py")


def finn_plus(board: Board) -> None:
    make_settings(board)


def generated(board: Board) -> None:
    """driver.py and driver_base.py as FINN leaves them, and no settings.json."""
    shapes = io_shapes(board.data)
    shapes["input_dma_name"], shapes["output_dma_name"] = shapes["idma_names"], shapes["odma_names"]
    (board.folder / "driver").mkdir(exist_ok=True)
    (board.folder / "driver/driver.py").write_text(
        f"from driver_base import FINNExampleOverlay\n\nio_shape_dict = {shapes!r}\n\nassert FINNExampleOverlay\n"
    )
    shutil.copy(GENERATED, board.folder / "driver/driver_base.py")
    board.edit(settings=None, generated="driver/driver.py")


@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("style", [finn_plus, generated])
@pytest.mark.parametrize("kind", ["board", "weighted"])
def test_predictions_are_those_of_the_emulation(request: pytest.FixtureRequest, kind: str, style, batch: int) -> None:
    board: Board = request.getfixturevalue(kind)
    style(board)
    standin = board.standin()
    device = open_driver(Bundle.load(board.folder), batch, standin)
    standin.fabric.moved.clear()
    assert device.name == "finn"
    assert device.clock_mhz == pytest.approx(board.data["driver"]["clock_mhz"], rel=0.001)
    images = board.images(61)
    with Accelerator(board.folder, batch=batch, device=device) as accelerator:
        expected = board.emulated().predict(images)
        assert np.array_equal(accelerator.predict(images), expected)
        assert np.array_equal(accelerator.predict(images), expected)
    assert sum(standin.fabric.moved) == 2 * len(images)


def test_the_generated_driver_gets_the_clock_and_leaves_no_modules_behind(board: Board) -> None:
    generated(board)
    data = board.data
    data["target"]["clock"]["requested_mhz"] = data["driver"]["clock_mhz"] = 200.0
    write_json(board.folder, data)
    board.attach(mhz=187.498, wizard=False)
    device = open_driver(Bundle.load(board.folder), 2, board.standin())
    assert device.clock_mhz == pytest.approx(187.498, rel=0.001)
    assert not {"driver", "driver_base"} & set(sys.modules)


def test_the_clock_that_finns_driver_sets_is_checked(board: Board) -> None:
    """finn-plus's sets PL clock 0 to 100 MHz, whatever the .hwh says: here there is no clocking wizard behind it."""
    data = board.data
    data["target"]["clock"].update(requested_mhz=50.0, achieved_mhz=50.0)
    data["driver"]["clock_mhz"] = 50.0
    write_json(board.folder, data)
    board.attach(mhz=50, wizard=False)
    finn_plus(board)
    standin = board.standin()
    with pytest.raises(AcceleratorError, match=r"at (100|99.999) MHz, finn-accel.hwh says 50 MHz") as caught:
        open_driver(Bundle.load(board.folder), 2, standin)
    assert caught.value.name == "clock differs" and "--driver pynq" in str(caught.value)
    assert Clocks.fclk0_mhz == pytest.approx(100, rel=0.001)
    generated(board)
    assert open_driver(Bundle.load(board.folder), 2, board.standin()).clock_mhz == pytest.approx(50, rel=0.001)


@pytest.mark.parametrize("style", [finn_plus, generated])
def test_the_driver_gets_the_weights_of_this_bundle_and_no_others(weighted: Board, style) -> None:
    style(weighted)
    stray = weighted.folder / "driver/runtime_weights/0_1_MVAU_hls_1.dat"
    shutil.copy(weighted.folder / WEIGHT_FILE, stray)
    with pytest.raises(AcceleratorError, match=r"0_1_MVAU_hls_1.dat: not of this bundle") as caught:
        open_driver(Bundle.load(weighted.folder), 2, weighted.standin())
    assert caught.value.name == "file changed"
    (weighted.folder / WEIGHT_FILE).rename(stray)
    with pytest.raises(AcceleratorError, match="there is no") as caught:
        open_driver(Bundle.load(weighted.folder), 2, weighted.standin())
    assert caught.value.name == "weights not loaded"


def test_the_class_is_the_one_of_the_package(board: Board) -> None:
    finn_plus(board)
    device = open_driver(Bundle.load(board.folder), 2, board.standin())
    assert type(device._driver).__module__ == "finn_plus_driver.overlays.dma"


def test_the_class_with_instrumentation(weighted: Board) -> None:
    weighted.edit(type="FINNDMAInstrumentationOverlay", instrumentation=True)
    finn_plus(weighted)
    weighted.attach()
    device = open_driver(Bundle.load(weighted.folder), 7, weighted.standin())
    assert type(device._driver).__name__ == "FINNDMAInstrumentationOverlay"
    images = weighted.images(10)
    found = Accelerator(weighted.folder, device=device).predict(images)
    assert np.array_equal(found, weighted.emulated().predict(images))
    assert device._driver.get_current_mode() == "dma"


def test_weights_that_the_memory_does_not_keep(weighted: Board) -> None:
    finn_plus(weighted)
    file = weighted.folder / WEIGHT_FILE
    words = file.read_text().split()
    words[5] = f"{int(words[5], 16) | 1:08x}"
    file.write_text("".join(f"{word}\n" for word in words))
    standin = weighted.standin()
    standin.broken_word = 5
    with pytest.raises(AcceleratorError) as caught:
        open_driver(Bundle.load(weighted.folder), 2, standin)
    assert caught.value.name == "weights damaged"


def test_a_missing_folder_of_weights(weighted: Board) -> None:
    finn_plus(weighted)
    shutil.rmtree(weighted.folder / "driver/runtime_weights")
    with pytest.raises(AcceleratorError) as caught:
        open_driver(Bundle.load(weighted.folder), 2, weighted.standin())
    assert caught.value.name == "weights not loaded"


def test_a_bundle_without_a_driver_of_finn(board: Board) -> None:
    board.edit(settings=None, generated=None)
    with pytest.raises(AcceleratorError, match="no driver of FINN"):
        open_driver(Bundle.load(board.folder), 2, board.standin())


def test_settings_that_the_driver_does_not_understand(board: Board) -> None:
    finn_plus(board)
    (board.folder / "driver/settings.json").write_text('{"driver_information": {"driver_type": "FINNDMAOverlay"}}')
    with pytest.raises(AcceleratorError, match=r"cannot open the board: TypeError.*io_shape_dict") as caught:
        open_driver(Bundle.load(board.folder), 2, board.standin())
    assert caught.value.name == "device" and "--driver pynq" in str(caught.value)


def test_without_the_package(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    finn_plus(board)
    monkeypatch.setitem(sys.modules, "finn_plus_driver", None)
    with pytest.raises(AcceleratorError, match="needs finn_plus_driver") as caught:
        open_driver(Bundle.load(board.folder), 2, board.standin())
    assert caught.value.name == "package missing"
