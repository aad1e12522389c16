"""Real faults in a real small design: each is named as what it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.rtl import performance, verilator
from finnyaml.rtl.design import Design
from finnyaml.rtl.explain.explanation import KINDS, Explanation
from finnyaml.rtl.explain.flow import slow
from finnyaml.rtl.explain.search import explain
from finnyaml.rtl.simulation import Build, Run, Stalls
from tests.rtl import small_network

FIRST, LAST = "MVAU_rtl_0", "MVAU_rtl_1"
BEATS = small_network.WIDTH // small_network.PE
BYPASS = "StreamingFIFO_rtl_1"


@dataclass(frozen=True)
class Case:
    """A design folder that may be changed, and what it should do."""

    folder: Path
    work: Path
    cache: Path
    inputs: np.ndarray
    expected: dict[str, np.ndarray]
    constants: dict[str, np.ndarray]

    def run(self, **how: Any) -> Run:
        """A run of the program that `explain` needs too, so that it is compiled once for all tests."""
        return verilator.compile(self.folder, self.work, self.cache, Build(edges=True)).run(self.inputs, **how)

    def explain(self, run: Run | None = None, **how: Any) -> Explanation:
        run = run or self.run()
        assert not run.finished or not np.array_equal(run.outputs, self.expected["global_out"])
        found = explain(self.folder, self.work, self.cache, self.inputs, self.expected, run, **how)
        assert found.kind in KINDS
        return found

    def change(self, image: str, line: int, change: Callable[[str], str]) -> None:
        """Change one line of a memory image."""
        file = self.folder / "data" / image
        lines = file.read_text().split("\n")
        lines[line] = change(lines[line])
        file.write_text("\n".join(lines))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Case:
    from finnyaml.finn.stitched import stitch

    folder = tmp_path_factory.mktemp("explain")
    with pytest.MonkeyPatch.context() as patch:
        model = small_network.generated(folder / "finn", patch)
        inputs = small_network.frames(24)
        expected = small_network.executed(model, inputs)
        named = {"w0": f"{FIRST}_param0", "w1": f"{LAST}_param0", "t0": "Thresholding_rtl_0_param0"}
        constants = {name: model.get_initializer(tensor) for name, tensor in named.items()}
        stitch(model, small_network.PART, small_network.CLOCK, folder / "design")
    cache = small_network.cache(tmp_path_factory)
    return Case(folder / "design", folder / "work", cache, inputs, expected, constants)


@pytest.fixture
def case(sound: Case, tmp_path: Path) -> Case:
    shutil.copytree(sound.folder, tmp_path / "design")
    return replace(sound, folder=tmp_path / "design")


def flipped(bit: int) -> Callable[[str], str]:
    return lambda word: f"{int(word, 16) ^ 1 << bit:0{len(word)}x}"


def test_nothing_is_wrong(sound: Case) -> None:
    run = sound.run()
    assert run.finished and np.array_equal(run.outputs, sound.expected["global_out"])
    with pytest.raises(ValueError, match="right"):
        explain(sound.folder, sound.work, sound.cache, sound.inputs, sound.expected, run)


@pytest.mark.parametrize(("layer", "line", "bit"), [(0, 37, 2), (0, 255, 15), (1, 0, 4), (1, 100, 11)])
def test_a_flipped_bit_of_a_weight(case: Case, layer: int, line: int, bit: int) -> None:
    case.change(f"MVAU_rtl_{layer}__memblock.dat", line, flipped(bit))
    found = case.explain()
    assert (found.kind, found.node) == ("weight", f"MVAU_rtl_{layer}")
    # A word has SIMD weights for each of PE output channels, the lowest bits are those of the first.
    channel, which = divmod(bit // 4, small_network.PE)
    column, row = line // BEATS * small_network.PE + channel, line % BEATS * small_network.PE + which
    value = int(case.constants[f"w{layer}"][row, column])
    wrong = (value & 0xF) ^ 1 << bit % 4
    delta = (wrong - 16 if wrong > 7 else wrong) - value
    assert (found.details["row"], found.details["column"], found.details["delta"]) == (row, column, delta)
    assert f"of input {row} for output channel {column} is too" in found.message and f"by {abs(delta)}" in found.message


def test_several_weights_of_a_channel(case: Case) -> None:
    for line in (32, 33):
        case.change(f"{LAST}__memblock.dat", line, flipped(1))
    found = case.explain()
    assert (found.kind, found.node, found.details["wrong_channels"]) == ("values", LAST, [4])
    assert "no single weight explains them" in found.message


def test_the_first_wrong_value_is_shown(case: Case) -> None:
    case.change(f"{LAST}__memblock.dat", 0, flipped(2))
    found = case.explain()
    got, want = case.run().outputs, case.expected["global_out"]
    frame, channel = np.argwhere(got != want)[0]
    first = {"frame": frame, "channel": channel, "got": got[frame, channel], "want": want[frame, channel]}
    assert found.details["first"] == first
    assert found.details["wrong"] == (got[: found.details["frames"]] != want[: found.details["frames"]]).sum()


def test_exchanged_channels(case: Case) -> None:
    block = 3
    for line in range(block * BEATS, (block + 1) * BEATS):
        case.change(f"{FIRST}__memblock.dat", line, lambda word: word[2:] + word[:2])
    found = case.explain()
    assert (found.kind, found.node) == ("channels", FIRST)
    assert found.details["channels"] == [2 * block, 2 * block + 1]
    assert "output channels 6 and 7 are exchanged" in found.message


def test_exchanged_inputs(case: Case) -> None:
    rows = 5
    for line in range(rows, BEATS * BEATS, BEATS):
        case.change(f"{LAST}__memblock.dat", line, lambda word: "".join(reversed(word[2:] + word[:2])))
    found = case.explain()
    assert (found.kind, found.node, found.details["inputs"]) == ("channels", LAST, [2 * rows, 2 * rows + 1])
    assert "takes its inputs 10 and 11 for each other" in found.message


@pytest.mark.parametrize("bit", [6, 8])
def test_a_flipped_bit_of_a_threshold(case: Case, bit: int) -> None:
    # Images are one per PE and stage of the search; the first stage has the middle threshold of each channel.
    line = 5
    channel = line * small_network.PE + 1
    case.change("Thresholding_rtl_0__Thresholding_rtl_0_threshs_1_0.dat", line, flipped(bit))
    found = case.explain()
    assert (found.kind, found.node, found.details["channel"]) == ("thresholds", "Thresholding_rtl_0", channel)
    assert found.details["levels"] == [7, 8]
    right = int(case.constants["t0"][channel, 7])
    size = "large" if (right & 0x3FFF) ^ 1 << bit > right & 0x3FFF else "small"
    assert f"the threshold between the levels 7 and 8 is too {size}" in found.message


def test_what_is_not_known_is_said(case: Case) -> None:
    case.change(f"{LAST}__memblock.dat", 0, flipped(2))
    known = {name: values for name, values in case.expected.items() if not name.startswith(("MVAU", "Thresh"))}
    found = explain(case.folder, case.work, case.cache, case.inputs, known, case.run())
    assert found.node == "StreamingFIFO_rtl_6"
    assert f"What {LAST} should give is not known" in found.message  # the FIFO behind the thresholds is right


def test_what_comes_and_goes(sound: Case) -> None:
    run = sound.run()
    outputs = run.outputs.copy()
    outputs[3, 2] += 1
    found = sound.explain(replace(run, outputs=outputs), stalls=Stalls(input=20, output=20))
    assert (found.kind, found.node) == ("values", None)
    assert "depends on when words come" in found.message


@pytest.fixture(scope="module")
def shallow(sound: Case) -> Run:
    simulator = verilator.compile(sound.folder, sound.work, sound.cache, Build(dynamic_fifos=True))
    assert simulator.run(sound.inputs[:4], depths={BYPASS: 16}).finished
    return simulator.run(sound.inputs[:4], depths={BYPASS: 6})


def test_a_fifo_that_is_too_shallow_for_its_branch(sound: Case, shallow: Run) -> None:
    assert not shallow.finished
    found = sound.explain(shallow, depths={BYPASS: 6})
    assert (found.kind, found.node) == ("stuck", BYPASS)
    assert f"{BYPASS} (depth 6, between DuplicateStreams_rtl_0 and IntegerAdd_rtl_0) is full" in found.message
    assert (
        f"IntegerAdd_rtl_0 (IntegerAdd_rtl) takes nothing out because it waits for data from {FIRST}" in found.message
    )
    assert found.details["fifos"] == [{"fifo": BYPASS, "depth": 6}]


def test_a_layer_that_is_stuck_by_itself(sound: Case, shallow: Run) -> None:
    """The state is made up: none of FINN's layers hangs."""
    idle = dict.fromkeys(shallow.stuck, (False, True))
    held = {**idle, "s_axis_0": (True, False), "StreamingFIFO_rtl_4_out0": (True, False)}
    found = sound.explain(replace(shallow, stuck=held))
    assert (found.kind, found.node) == ("stuck", "Thresholding_rtl_0")
    assert "takes no more data from IntegerAdd_rtl_0" in found.message


def test_a_layer_that_gives_too_little(sound: Case, shallow: Run) -> None:
    """Told from what passed; the numbers are made up."""
    from finnyaml.rtl.explain import flow

    design = Design.load(sound.folder)
    whole = {edge.name: np.zeros((4 * edge.beats, edge.width // 8), np.uint8) for edge in design.edges}
    whole[f"{FIRST}_out0"] = whole[f"{FIRST}_out0"][:-3]
    idle = dict.fromkeys(shallow.stuck, (False, True))
    found = flow.stuck(design, replace(shallow, stuck=idle, edges=whole, first_in=np.arange(4)))
    assert (found.kind, found.node) == ("stuck", FIRST)
    assert f"gave only {4 * BEATS - 3} of {4 * BEATS} words" in found.message


def figures(design: Design, run: Run, interval: float, **most: int) -> dict[str, Any]:
    """The figures of a run, with another interval and these fills."""
    found = performance.metrics(design, run)
    assert found["interval"] == 256
    fifos = {node: {**fifo, "most": most.get(node, 0)} for node, fifo in found["fifos"].items()}
    return {**found, "interval": interval, "fifos": fifos}


def test_a_design_that_is_too_slow(sound: Case) -> None:
    """Intervals and fills are made up: this design is as fast with any depths with which it does not hang."""
    design, run = Design.load(sound.folder), sound.run()
    folded = slow(design, performance.metrics(design, run), 100)
    assert folded.node in (FIRST, LAST) and "alone takes 256 cycles per frame" in folded.message
    full = {"StreamingFIFO_rtl_0": 2, BYPASS: 32, "StreamingFIFO_rtl_2": 1}
    found = slow(design, figures(design, run, 300, **full), 256)
    assert (found.kind, found.node) == ("slow", BYPASS)
    assert "waits there for its other input" in found.message and "too shallow" in found.message
    in_line = slow(design, figures(design, run, 300, StreamingFIFO_rtl_0=2, StreamingFIFO_rtl_4=2), 256)
    assert in_line.node == "StreamingFIFO_rtl_4"
    outside = slow(design, figures(design, run, 300, **{BYPASS: 31}), 256)
    assert outside.node is None and "no FIFO was ever full" in outside.message
