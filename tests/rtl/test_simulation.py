"""Stitched designs run: real layers of FINN against numpy, and a stand-in for what FINN's layers do not do wrong."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.accelerator.numbers.packing import unpack
from finnyaml.errors import StepFailed
from finnyaml.rtl import verilator
from finnyaml.rtl.simulation import Build, Run, Simulator, Stalls
from tests.rtl import stand_in
from tests.rtl.stand_in import Fault
from tests.rtl.two_layers import TwoLayers

StandIns = Callable[[Path, Fault], Simulator]


# Real layers.


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"stalls": Stalls(input=60)},
        {"stalls": Stalls(output=60)},
        {"stalls": Stalls(40, 40, seed=2)},
        {"stalls": Stalls(95, 95, seed=3)},
        {"processes": 2},
        {"processes": 9, "stalls": Stalls(20, 20)},
        {"every": 100},
    ],
    ids=str,
)
def test_outputs_are_bit_exact(simulator: Simulator, two_layers: TwoLayers, how: dict[str, Any]) -> None:
    run = simulator.run(two_layers.inputs, **how)
    assert run.finished and not run.stuck and not run.edges
    assert run.outputs.dtype == np.uint8
    np.testing.assert_array_equal(run.outputs, two_layers.outputs)
    assert sum(run.chunks) == len(two_layers.inputs) and len(run.chunks) == min(5, how.get("processes", 1))
    assert run.first_in.shape == run.last_out.shape == (len(two_layers.inputs),)
    assert (run.last_out > run.first_in).all()


def test_a_run_is_the_same_again_and_another_with_another_seed(simulator: Simulator, two_layers: TwoLayers) -> None:
    def times(seed: int) -> list[int]:
        return simulator.run(two_layers.inputs, stalls=Stalls(30, 30, seed)).last_out.tolist()

    assert times(1) == times(1)
    assert times(1) != times(2)


def test_stalls_cost_cycles(simulator: Simulator, two_layers: TwoLayers) -> None:
    quick = simulator.run(two_layers.inputs).cycles
    beats = simulator.design.input.beats * len(two_layers.inputs)
    slow = simulator.run(two_layers.inputs, stalls=Stalls(input=90)).cycles
    assert quick < slow and 7 * beats < slow


def test_frames_keep_their_distance(simulator: Simulator, two_layers: TwoLayers) -> None:
    run = simulator.run(two_layers.inputs, every=100, patience=60)
    assert np.diff(run.first_in).min() == 100
    assert run.finished  # waiting for the next frame is not a standstill


def test_new_weights_need_no_new_program(simulator: Simulator, two_layers: TwoLayers, tmp_path: Path) -> None:
    folder = tmp_path / "design"
    shutil.copytree(two_layers.folder, folder)
    (weights,) = (folder / "data").glob("*memblock*")
    weights.write_text("\n".join(reversed(weights.read_text().split())) + "\n")
    run = replace(simulator, folder=folder).run(two_layers.inputs)
    assert run.finished and not np.array_equal(run.outputs, two_layers.outputs)


def test_fills_are_of_every_fifo_and_within_what_it_holds(simulator: Simulator, two_layers: TwoLayers) -> None:
    run = simulator.run(two_layers.inputs, stalls=Stalls(output=90))
    assert run.fill.keys() == {fifo.node for fifo in simulator.design.fifos}
    assert set(run.fill.values()) == {5}  # fifo.sv holds 5 where 2 are asked for


@pytest.mark.parametrize("processes", [1, 2])
def test_edges_have_every_word(full_simulator: Simulator, two_layers: TwoLayers, processes: int) -> None:
    run = full_simulator.run(two_layers.inputs, stalls=Stalls(20, 20), processes=processes)
    design = full_simulator.design
    assert list(run.edges) == [edge.name for edge in design.edges]
    values = {}
    for edge in design.edges:
        datatype, n = parse(edge.datatype), edge.folded[-1]
        words = run.edges[edge.name]
        assert words.shape == (len(two_layers.inputs) * edge.beats, edge.width // 8)
        values[edge.name] = unpack(words[:, : (n * datatype.bits + 7) // 8], datatype, n).reshape(-1, *edge.shape[1:])
    np.testing.assert_array_equal(values[design.edges[0].name], two_layers.inputs)
    np.testing.assert_array_equal(values[design.edges[-1].name], two_layers.outputs)


def test_depths_are_taken_at_run_time(full_simulator: Simulator, two_layers: TwoLayers) -> None:
    name = full_simulator.design.fifos[0].node
    deep = full_simulator.run(two_layers.inputs, depths={name: 40}, stalls=Stalls(output=90))
    assert deep.fill[name] > 5
    shallow = full_simulator.run(two_layers.inputs, stalls=Stalls(output=90))
    assert shallow.fill[name] == 5
    for run in (deep, shallow):
        np.testing.assert_array_equal(run.outputs, two_layers.outputs)


def test_a_steady_run_ends_as_soon_as_everything_repeats(full_simulator: Simulator, two_layers: TwoLayers) -> None:
    inputs = np.concatenate([two_layers.inputs] * 6)
    name = full_simulator.design.fifos[0].node
    for depth in (2, 40):
        whole = full_simulator.run(inputs, depths={name: depth})
        short = full_simulator.run(inputs, depths={name: depth}, steady=True)
        ended = len(short.last_out)
        assert short.finished and short.period == 1 and ended < len(inputs) / 2
        np.testing.assert_array_equal(short.last_out, whole.last_out[:ended])
        np.testing.assert_array_equal(short.outputs, whole.outputs[:ended])
        assert set(np.diff(whole.last_out)[ended - 2 :]) == {np.diff(short.last_out)[-1]}
        assert short.fill[name] == max(5, depth)  # the frames never end, so that it stays full
        assert 0 < short.swing[name] < 5


def test_fifos_that_do_not_tell_have_no_steady_run(simulator: Simulator, two_layers: TwoLayers) -> None:
    with pytest.raises(ValueError, match="see Build"):
        simulator.run(two_layers.inputs, steady=True)


# A stand-in, for words of 1208 bits and for designs that do wrong.


def run_of(simulator: Simulator, **how: Any) -> Run:
    return simulator.run(stand_in.frames(6), **how)


@pytest.mark.parametrize("stalls", [Stalls(), Stalls(50, 50)])
def test_wide_words(tmp_path: Path, stand_in_simulator: StandIns, stalls: Stalls) -> None:
    run = run_of(stand_in_simulator(tmp_path / "design", Fault.NONE), stalls=stalls)
    np.testing.assert_array_equal(run.outputs, stand_in.frames(6))
    if stalls == Stalls():
        assert run.first_in.tolist() == [0, 3, 6, 9, 12, 15] and run.last_out.tolist() == [3, 6, 9, 12, 15, 18]
        assert run.cycles == 19


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault.TAKES_VALID_BACK, "handshake: m_axis_0_tvalid fell before the word was taken, in cycle .*Register_0"),
        (Fault.CHANGES_ITS_WORD, "handshake: m_axis_0_tdata changed before the word was taken, in cycle"),
    ],
)
def test_a_broken_handshake_is_named(tmp_path: Path, stand_in_simulator: StandIns, fault: Fault, message: str) -> None:
    simulator = stand_in_simulator(tmp_path / "design", fault)
    with pytest.raises(StepFailed, match=message):
        run_of(simulator, stalls=Stalls(output=50))
    assert run_of(simulator).finished  # a receiver that is always ready cannot tell


@pytest.mark.parametrize("processes", [1, 2])
def test_a_design_that_gets_stuck(tmp_path: Path, stand_in_simulator: StandIns, processes: int) -> None:
    simulator = stand_in_simulator(tmp_path / "design", Fault.GETS_STUCK)
    run = run_of(simulator, patience=50, processes=processes)
    assert not run.finished
    assert run.stuck == {"s_axis_0": (True, False), "m_axis_0": (False, True)}
    np.testing.assert_array_equal(run.outputs, stand_in.frames(6)[:2])
    assert run.first_in.tolist() == [0, 3, 6] and run.last_out.tolist() == [3, 6]
    assert run.cycles == processes * 58


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault.FAILS_A_CHECK, r"top\.sv:\d+: Assertion failed in .*dut: four words"),
        (Fault.ENDS_THE_SIMULATION, r"top\.sv:\d+: .*the sources ended the simulation"),
    ],
)
def test_a_check_in_the_sources_that_fails(
    tmp_path: Path, stand_in_simulator: StandIns, fault: Fault, message: str
) -> None:
    with pytest.raises(StepFailed, match=message):
        run_of(stand_in_simulator(tmp_path / "design", fault))


def test_values_that_the_datatype_does_not_have_are_refused(tmp_path: Path, stand_in_simulator: StandIns) -> None:
    simulator = stand_in_simulator(tmp_path / "design", Fault.NONE)
    with pytest.raises(StepFailed, match=r"do not fit s_axis_0: .*16"):
        simulator.run(stand_in.frames(2) + 1)


@pytest.mark.parametrize(
    "how",
    [{"stalls": Stalls(96)}, {"stalls": Stalls(0, -1)}, {"depths": {"a": 2}}, {"waveform": Path("never.fst")}],
    ids=str,
)
def test_what_cannot_be_done_is_refused(tmp_path: Path, stand_in_simulator: StandIns, how: dict[str, Any]) -> None:
    simulator = stand_in_simulator(tmp_path / "design", Fault.NONE)
    with pytest.raises(ValueError, match="per cent" if "stalls" in how else "see Build"):
        run_of(simulator, **how)
    with pytest.raises(ValueError, match="are not frames"):
        simulator.run(stand_in.frames(2)[:, :2])


# Waveforms, of the stand-in: those of real layers take long to compile.

HEADER, GEOMETRY, HIERARCHY, WAVES = 0, 3, 6, 8
"""Kinds of blocks of an FST file."""
RESET_CYCLES = 16


def test_a_waveform_is_a_sound_fst_file(tmp_path: Path, program_cache: Path) -> None:
    stand_in.write(tmp_path / "design", Fault.NONE)
    simulator = verilator.compile(tmp_path / "design", tmp_path / "work", program_cache, Build(waveform=True))
    file = tmp_path / "new" / "run.fst"
    run = simulator.run(stand_in.frames(40), stalls=Stalls(20, 20), waveform=file)
    np.testing.assert_array_equal(run.outputs, stand_in.frames(40))

    blocks = fst_blocks(file.read_bytes())
    contents = dict(blocks)
    assert contents.keys() >= {HEADER, GEOMETRY, HIERARCHY, WAVES}
    hierarchy = contents[HIERARCHY]
    names = lz4_decoded(hierarchy[8:])
    assert len(names) == int.from_bytes(hierarchy[:8], "big") > len(hierarchy)
    for name in (b"finnyaml_sim", b"dut", b"s_axis_0_tready", b"m_axis_0_tdata"):
        assert name in names
    end = int.from_bytes(contents[HEADER][8:16], "big")
    assert end == (2 * (run.cycles + RESET_CYCLES) - 1) * 2500  # ps; half of a period of 5 ns
    words = 40 * stand_in.SHAPE[0] * stand_in.WIDTH // 8
    assert words < file.stat().st_size  # inputs and outputs, half of whose bits change at random: hardly compressible

    written = int(file.stat().st_mtime)
    while int(time.time()) == written:  # dates in FST files have seconds
        time.sleep(0.05)
    simulator.run(stand_in.frames(40), stalls=Stalls(20, 20), waveform=tmp_path / "again.fst")
    assert (tmp_path / "again.fst").read_bytes() == file.read_bytes()
    assert b"Thu Jan  1 00:00:00 1970\n" in contents[HEADER]


def fst_blocks(content: bytes) -> list[tuple[int, bytes]]:
    """The blocks of an FST file: kind, and what follows its length."""
    blocks = []
    while content:
        length = int.from_bytes(content[1:9], "big")
        assert 8 <= length < len(content)
        blocks.append((content[0], content[9 : 1 + length]))
        content = content[1 + length :]
    return blocks


def lz4_decoded(block: bytes) -> bytes:
    """An LZ4 block, read as its specification says."""
    text, at = bytearray(), 0

    def length(low: int) -> int:
        nonlocal at
        more = low == 15
        while more:
            low += block[at]
            more = block[at] == 255
            at += 1
        return low

    while True:
        token = block[at]
        at += 1
        literals = length(token >> 4)
        text += block[at : at + literals]
        at += literals
        if at == len(block):
            return bytes(text)
        distance = int.from_bytes(block[at : at + 2], "little")
        at += 2
        for _ in range(length(token & 15) + 4):
            text.append(text[-distance])


@pytest.mark.long
def test_modules_that_are_kept_apart_do_the_same(
    full_simulator: Simulator,
    two_layers: TwoLayers,
    program_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verilator, "WIDE", 0)
    apart = verilator.compile(two_layers.folder, tmp_path, program_cache, full_simulator.build)
    assert apart.program != full_simulator.program
    depths = {fifo.node: 7 for fifo in apart.design.fifos}
    expected, found = (each.run(two_layers.inputs, depths=depths) for each in (full_simulator, apart))
    assert np.array_equal(found.outputs, expected.outputs) and found.outputs.any()
    assert np.array_equal(found.last_out, expected.last_out) and found.fill == expected.fill
    assert all(np.array_equal(found.edges[name], expected.edges[name]) for name in expected.edges)
