"""The self-test of a bundle on the stand-in: what is found when something is wrong with the board or its files."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from finnyaml.accelerator import Accelerator, Bundle, text
from finnyaml.accelerator.checks.report import SelftestReport
from finnyaml.accelerator.checks.selftest import selftest
from finnyaml.accelerator.devices.board import open_board
from finnyaml.accelerator.devices.transport import Transport
from tests.board.conftest import Board, make_settings
from tests.board.standin import Counters, StandIn
from tests.bundle.sample import WEIGHT_FILE, write_json


def run(board: Board, standin: StandIn | None = None) -> SelftestReport:
    bundle = Bundle.load(board.folder)
    device = standin or board.standin()
    return selftest(
        bundle, lambda: Accelerator(board.folder, device=open_board(bundle, 64, device)), emulate=False, seconds=0.05
    )


def names(report: SelftestReport) -> set[str]:
    return {problem.name for problem in report.problems}


@pytest.mark.parametrize("kind", ["board", "weighted"])
def test_all_is_well(request: pytest.FixtureRequest, kind: str) -> None:
    report = run(request.getfixturevalue(kind))
    assert report.ok, report.problems
    assert (report.device, report.emulated) == ("zynq", False)
    assert report.clock_mhz == pytest.approx(report.expected_clock_mhz, rel=0.001)


def test_only_the_first_inference_is_right(board: Board) -> None:
    report = run(board, board.standin(only_first=True))
    # Where weights are loaded, the first inference is one of zeros that nobody sees.
    loaded = bool(board.data["driver"]["runtime_weights"])
    assert names(report) == {"stale outputs" if loaded else "only the first inference is correct"}, report.problems


def test_the_first_inference_is_nobodys_where_weights_are_loaded(weighted: Board) -> None:
    assert names(run(weighted, weighted.standin(only_first=True))) == {"stale outputs"}


def test_the_cycles_that_the_instrumentation_counts(board: Board) -> None:
    assert run(board).counted is None
    board.edit(instrumentation=True)
    board.attach()
    standin = board.standin()
    report = run(board, standin)
    assert report.ok, report.problems
    assert report.counted is not None
    assert (report.counted["latency"], report.counted["interval"]) == (1000, 500)
    assert standin.fabric.gpio.words[2] == 0  # the accelerator is the DMA engines' again
    said = "\n".join(text.selftest(report))
    assert "latency 1,000 cycles, interval 500 cycles: " in said and "images/s, for the accelerator alone" in said
    assert not report.notes
    json.dumps(report.plain())


def test_an_overflow_that_the_instrumentation_saw(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.edit(instrumentation=True)
    board.attach()
    monkeypatch.setitem(Counters.figures, "status", 2)
    report = run(board)
    assert report.ok, report.problems
    assert any("overflow" in note for note in report.notes)


def test_weights_that_were_never_written(weighted: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Transport, "_write_weights", lambda _: 0)
    assert "weights not loaded" in names(run(weighted))


def test_one_flipped_bit_in_a_weight_file(weighted: Board) -> None:
    file = weighted.folder / WEIGHT_FILE
    text = file.read_text()
    file.write_text(f"{int(text[0], 16) ^ 8:x}{text[1:]}")
    assert "weights damaged" in names(run(weighted))


def test_a_wrong_clock_in_the_hwh(board: Board) -> None:
    board.attach(mhz=2.5 * board.data["driver"]["clock_mhz"])
    report = run(board)
    assert names(report) == {"clock differs"}, report.problems
    assert report.device == "not opened"


def test_a_truncated_bitfile(board: Board) -> None:
    bitfile = board.folder / "bitfile/finn-accel.bit"
    bitfile.write_bytes(bitfile.read_bytes()[:-100])
    assert names(run(board)) == {"bitfile damaged"}
    write_json(board.folder, board.data)  # even if its digest is noted as it is now
    assert names(run(board)) == {"bitfile damaged"}


@pytest.mark.parametrize("driver", ["pynq", "finn"])
def test_pynq_without_a_board(board: Board, driver: str) -> None:
    """The package as the bundle has it, on this machine."""
    make_settings(board)
    command = [sys.executable, "-m", "accelerator", "selftest", "--driver", driver]
    done = subprocess.run(command, cwd=board.folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "No Devices Found" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
