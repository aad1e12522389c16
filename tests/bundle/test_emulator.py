"""The emulator moves the bytes that the board's DMA engines would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from finnyaml.accelerator import AcceleratorError, Bundle
from finnyaml.accelerator.devices.emulator import Emulator
from tests.bundle.sample import WEIGHT_FILE, sample_bundle


@pytest.mark.parametrize("weights", [False, True])
def test_bytes_in_bytes_out(tmp_path: Path, weights: bool) -> None:
    """UINT8 is a byte as it is; three UINT4 are two bytes, the first the lowest."""
    bundle = Bundle.load(sample_bundle(tmp_path / "sample", weights=weights))
    golden = bundle.arrays("golden/samples.npz")
    emulator = Emulator(bundle)
    assert emulator.name == "emulator" and emulator.clock_mhz is None
    given = golden["accelerator_inputs"].reshape(-1, 4, 6, 1, 2)
    nibbles = golden["accelerator_outputs"].reshape(-1, 3, 3)
    expected = np.stack([nibbles[..., 0] | nibbles[..., 1] << 4, nibbles[..., 2]], axis=-1)
    for count in (1, 64):
        packed = emulator.execute(given[:count])
        assert packed.dtype == np.uint8
        np.testing.assert_array_equal(packed, expected[:count])
    emulator.close()


def test_without_its_weight_file(tmp_path: Path) -> None:
    bundle = Bundle.load(sample_bundle(tmp_path / "sample", weights=True))
    (bundle.folder / WEIGHT_FILE).unlink()
    with pytest.raises(AcceleratorError, match="weights not loaded"):
        Emulator(bundle)


def test_a_layer_that_no_file_is_named_for(tmp_path: Path) -> None:
    bundle = Bundle.load(sample_bundle(tmp_path / "sample", weights=True))
    bundle.data["driver"]["runtime_weights"].clear()
    with pytest.raises(AcceleratorError, match=r"weights not loaded: bundle\.json names no weight file for MVAU_hls_0"):
        Emulator(bundle)


def test_a_graph_that_does_not_keep_to_the_datatype(tmp_path: Path) -> None:
    """A sixteenth threshold makes 16 possible, which UINT4 has not."""
    bundle = Bundle.load(sample_bundle(tmp_path / "sample"))
    path = bundle.folder / "graphs/hardware.onnx"
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        if tensor.name == "thresholds":
            values = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(np.full((len(values), 16), -1e9, np.float32), "thresholds"))
    onnx.save(model, str(path))
    with pytest.raises(AcceleratorError, match=r"wrong output: the value 16\.0 .* UINT4"):
        Emulator(bundle).execute(np.zeros((1, 4, 6, 1, 2), np.uint8))
