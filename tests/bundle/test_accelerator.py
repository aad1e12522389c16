"""Images in, outputs out: `Accelerator` on the emulator, and on stand-ins for devices that do wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from finnyaml.accelerator import Accelerator, AcceleratorError
from tests.bundle.sample import CLASSES, IMAGE, sample_bundle


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_bundle(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def golden(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "golden/samples.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


class StandIn:
    """A stand-in for a device: records how many samples it was given, and answers with these bytes."""

    name = "stand-in"
    clock_mhz = None

    def __init__(self, answer: np.ndarray | None = None) -> None:
        self.calls: list[int] = []
        self.closed = 0
        self._answer = answer

    def execute(self, packed: np.ndarray) -> np.ndarray:
        self.calls.append(len(packed))
        return np.zeros((len(packed), 3, 2), np.uint8) if self._answer is None else self._answer

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_golden_samples_in_batches(folder: Path, golden: dict[str, np.ndarray], batch: int) -> None:
    with Accelerator(folder, emulate=True, batch=batch) as accelerator:
        np.testing.assert_array_equal(accelerator.head(golden["inputs"]), golden["accelerator_inputs"])
        outputs = accelerator.run(golden["accelerator_inputs"])
        np.testing.assert_array_equal(outputs, golden["accelerator_outputs"])
        np.testing.assert_array_equal(accelerator.tail(outputs), golden["outputs"])
        outputs = accelerator.predict(golden["inputs"])
    np.testing.assert_array_equal(outputs, golden["outputs"])
    assert outputs.dtype == np.int64 and len(np.unique(outputs)) == CLASSES


def test_batches_are_full_but_for_the_last(folder: Path, golden: dict[str, np.ndarray]) -> None:
    device = StandIn()
    accelerator = Accelerator(folder, device=device, batch=25)
    assert accelerator.device is device
    assert accelerator.predict(golden["inputs"]).shape == (64, 1)
    assert device.calls == [25, 25, 14]


def test_no_images_are_no_answers(folder: Path) -> None:
    device = StandIn()
    accelerator = Accelerator(folder, device=device)
    outputs = accelerator.predict(np.zeros((0, *IMAGE), np.uint8))
    assert outputs.shape == (0, 1) and outputs.dtype == np.int64
    outputs = accelerator.run(np.zeros((0, 4, 6, 2), np.uint8))
    assert outputs.shape == (0, CLASSES) and outputs.dtype == np.uint8
    assert accelerator.head(np.zeros((0, *IMAGE), np.uint8)).shape == (0, 4, 6, 2)
    assert accelerator.tail(outputs).shape == (0, 1)
    assert device.calls == []


def test_wrong_images_never_reach_the_device(folder: Path, golden: dict[str, np.ndarray]) -> None:
    device = StandIn()
    accelerator = Accelerator(folder, device=device)
    for images in (golden["inputs"] / 255, golden["accelerator_inputs"], golden["inputs"][0]):
        with pytest.raises(AcceleratorError):
            accelerator.predict(images)
    with pytest.raises(AcceleratorError, match=r"wrong range: the value -1 .* UINT8"):
        accelerator.run(np.full((1, 4, 6, 2), -1))
    with pytest.raises(AcceleratorError, match="wrong shape: idma0"):
        accelerator.run(golden["inputs"])
    assert device.calls == []


def test_a_device_that_returns_something_else(folder: Path) -> None:
    values = np.zeros((2, 4, 6, 2), np.uint8)
    for answer, match in (
        (np.zeros((1, 3, 2), np.uint8), "device: 2 samples in, 1 out of stand-in"),
        (np.zeros((2, 3, 3), np.uint8), "wrong output: odma0"),
        (np.zeros((2, 3, 2), np.float32), "wrong output: odma0"),
    ):
        with pytest.raises(AcceleratorError, match=match):
            Accelerator(folder, device=StandIn(answer)).run(values)


def test_the_device_is_given_back(folder: Path) -> None:
    device = StandIn()
    with pytest.raises(ZeroDivisionError), Accelerator(folder, device=device):
        raise ZeroDivisionError
    assert device.closed == 1


def test_a_tail_of_another_shape(folder: Path) -> None:
    accelerator = Accelerator(folder, device=StandIn())
    with pytest.raises(AcceleratorError, match=r"bundle damaged: the head graph returned shape \[1, 6, 4, 2\]"):
        accelerator.head(np.zeros((1, 2, 6, 4), np.uint8))


def test_arguments_that_make_no_sense(folder: Path) -> None:
    with pytest.raises(ValueError, match="batch of 0"):
        Accelerator(folder, emulate=True, batch=0)
    with pytest.raises(ValueError, match="driver 'vitis': there are 'pynq' and 'finn'"):
        Accelerator(folder, driver="vitis")


def test_the_package_finds_the_bundle_that_it_lies_in(folder: Path, tmp_path: Path) -> None:
    """As a user has it: only the folder, from any working directory, without finnyaml."""
    script = (
        "import sys; sys.modules['finnyaml'] = sys.modules['qonnx'] = sys.modules['onnx'] = None\n"
        f"sys.path.insert(0, {str(folder)!r})\n"
        "import numpy as np\n"
        "from accelerator import Accelerator\n"
        "accelerator = Accelerator(emulate=True)\n"
        "golden = np.load(accelerator.bundle.path('golden/samples.npz'))\n"
        "print((accelerator.predict(golden['inputs']) == golden['outputs']).all(), accelerator.bundle.folder)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", str(folder.resolve())], done.stderr
