"""Weights that the driver has to bring: over AXI-lite, or in memory."""

from __future__ import annotations

import numpy as np
import pytest

from finnyaml.accelerator import Accelerator, AcceleratorError, Bundle
from finnyaml.accelerator.devices.board import open_board
from finnyaml.accelerator.devices.transport import Transport
from tests.board.conftest import Board
from tests.bundle.sample import CLASSES, LAYER, WEIGHT_FILE, sample_bundle, write_json

EXTERNAL = "driver/runtime_weights/idma1.npy"


def golden(board: Board, name: str) -> np.ndarray:
    with np.load(board.folder / "golden/samples.npz") as arrays:
        return arrays[name]


@pytest.fixture
def external(tmp_path) -> Board:
    """The sample with its weights in memory, streamed three times per sample."""
    board = Board(sample_bundle(tmp_path / "external", weights=True))
    data = board.data
    words = [int(word, 16) for word in (board.folder / WEIGHT_FILE).read_text().split()]
    (board.folder / WEIGHT_FILE).unlink()
    np.save(board.folder / EXTERNAL, np.array(words, "<u4").view(np.uint8))
    data["driver"]["external_weights"] = [{"file": EXTERNAL, "dma": "idma1", "repeats": 3, "layer": LAYER}]
    data["driver"]["runtime_weights"] = []
    data["contract"]["hardware"]["weights"][0].update(file=EXTERNAL, format="npy")
    write_json(board.folder, data)
    board.attach()
    return board


@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("kind", ["weighted", "external"])
def test_predictions_are_those_of_the_emulation(request: pytest.FixtureRequest, kind: str, batch: int) -> None:
    board: Board = request.getfixturevalue(kind)
    device = open_board(Bundle.load(board.folder), batch, board.standin())
    accelerator = Accelerator(board.folder, batch=batch, device=device)
    for _ in range(2):
        assert np.array_equal(
            accelerator.run(golden(board, "accelerator_inputs")), golden(board, "accelerator_outputs")
        )


def test_without_weights_it_computes_something_else(weighted: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Transport, "_write_weights", lambda _: 0)
    device = open_board(Bundle.load(weighted.folder), 64, weighted.standin())
    found = Accelerator(weighted.folder, device=device).run(golden(weighted, "accelerator_inputs"))
    assert np.array_equal(found, golden(weighted, "without_weights"))
    assert not np.array_equal(found, golden(weighted, "accelerator_outputs"))


def test_the_first_sample_is_right_only_because_of_the_dummy_run(
    weighted: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Transport._write_weights
    monkeypatch.setattr(Transport, "_write_weights", lambda self: write(self) * 0)
    device = open_board(Bundle.load(weighted.folder), 64, weighted.standin())
    found = Accelerator(weighted.folder, device=device).run(golden(weighted, "accelerator_inputs"))
    assert np.array_equal(found[1:], golden(weighted, "accelerator_outputs")[1:])
    assert np.array_equal(found[0], golden(weighted, "without_weights")[0])


@pytest.mark.parametrize(("kind", "file"), [("weighted", WEIGHT_FILE), ("external", EXTERNAL)])
def test_a_missing_weight_file(request: pytest.FixtureRequest, kind: str, file: str) -> None:
    board: Board = request.getfixturevalue(kind)
    (board.folder / file).unlink()
    with pytest.raises(AcceleratorError, match=f"there is no {file}") as caught:
        open_board(Bundle.load(board.folder), 4, Board(board.folder).standin())
    assert caught.value.name == "weights not loaded"


def test_one_flipped_bit_in_the_weight_file_changes_answers(weighted: Board) -> None:
    file = weighted.folder / WEIGHT_FILE
    words = file.read_text().split()
    file.write_text("".join(f"{word}\n" for word in [f"{int(words[0], 16) ^ 8:08x}", *words[1:]]))
    device = open_board(Bundle.load(weighted.folder), 64, weighted.standin())
    found = Accelerator(weighted.folder, device=device).run(golden(weighted, "accelerator_inputs"))
    assert not np.array_equal(found, golden(weighted, "accelerator_outputs"))


def test_weights_that_the_memory_does_not_keep(weighted: Board) -> None:
    file = weighted.folder / WEIGHT_FILE
    words = file.read_text().split()
    words[5] = f"{int(words[5], 16) | 1:08x}"
    file.write_text("".join(f"{word}\n" for word in words))
    standin = weighted.standin()
    standin.broken_word = 5
    with pytest.raises(AcceleratorError, match=r"1 of \d+ words, first word 5: 0x") as caught:
        open_board(Bundle.load(weighted.folder), 4, standin)
    assert caught.value.name == "weights damaged"


def test_more_weights_than_the_layer_takes(weighted: Board) -> None:
    (weighted.folder / WEIGHT_FILE).write_text("00000000\n" * (1 << 17))
    write_json(weighted.folder, weighted.data)
    with pytest.raises(AcceleratorError, match="has 131072 words, StreamingDataflowPartition_0 takes 65536"):
        open_board(Bundle.load(weighted.folder), 4, weighted.standin())


def test_layers_in_one_partition_have_an_interface_each(weighted: Board) -> None:
    """PYNQ knows only the last one."""
    data = weighted.data
    (entry,) = data["driver"]["runtime_weights"]
    second = entry["file"].replace("0_0_", "0_1_")
    (weighted.folder / second).write_text("00000001\n00000002\n")
    data["driver"]["runtime_weights"].append({**entry, "file": second, "layer_index": 1, "layer": "MVAU_hls_1"})
    write_json(weighted.folder, data)
    weighted.attach()
    standin = weighted.standin()
    standin.fabric.graph = lambda values: np.zeros((len(values), CLASSES))  # the sample's graph has one such layer
    open_board(Bundle.load(weighted.folder), 64, standin)
    first, other = (standin.fabric.weights[layer].words for layer in (LAYER, "MVAU_hls_1"))
    assert first[:2].tolist() != [1, 2] and np.count_nonzero(first) > 2
    assert other[:3].tolist() == [1, 2, 0]
