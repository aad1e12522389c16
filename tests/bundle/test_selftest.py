"""The self-test on sound bundles, damaged ones, and accelerators with the faults that people have met on boards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from finnyaml.accelerator import Accelerator
from finnyaml.accelerator.checks.faults import Observed, recognised
from finnyaml.accelerator.checks.report import SelftestReport
from finnyaml.accelerator.checks.selftest import selftest
from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.devices.emulator import Emulator
from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.accelerator.graphs import Sessions
from tests.bundle.board_files import attach, write_hwh
from tests.bundle.sample import CLASSES, LAYER, SAMPLES, WEIGHT_FILE, read_json, sample_bundle, write_json

QUICK = 0.01


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_bundle(tmp_path_factory.mktemp("sound"), weights=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sample_bundle(tmp_path / "sample", weights=True)


class Faulty:
    """The emulator with a fault: `fault(outputs, state)` gets the unpacked outputs of a call, and a list to keep."""

    name = "stand-in with a fault"
    clock_mhz: float | None = None

    def __init__(self, bundle: Bundle, fault: Callable[[np.ndarray, list], np.ndarray]) -> None:
        self._emulator = Emulator(bundle)
        self._port = bundle.accelerator_output
        self._fault = fault
        self._state: list = []

    def execute(self, packed: np.ndarray) -> np.ndarray:
        outputs = self._port.unpack(self._emulator.execute(packed))
        return self._port.pack(self._fault(outputs.copy(), self._state))

    def close(self) -> None:
        pass


def outcome(folder: Path, fault: Callable[[np.ndarray, list], np.ndarray] | None = None) -> SelftestReport:
    bundle = Bundle.load(folder)
    device = Faulty(bundle, fault) if fault else Emulator(bundle)
    return selftest(bundle, lambda: Accelerator(folder, device=device), not fault, QUICK)


def names(report: SelftestReport) -> list[str]:
    return [problem.name for problem in report.problems]


def test_a_sound_bundle_passes_and_says_how_fast_it_is(sound: Path) -> None:
    report = outcome(sound)
    assert report.ok
    assert report.exit_code == 0
    assert report.emulated
    assert report.samples == SAMPLES
    assert [(run.batch, run.wrong) for run in report.runs] == [(batch, ()) for batch in (1, 1, 7, 7, 64, 64)]
    assert report.speed is not None
    assert report.speed.accelerator_images_per_s > 0
    assert report.speed.latency_ms > 0
    assert report.estimate is not None
    json.dumps(report.plain())


@pytest.mark.parametrize("bit", [3, 64 + 31])
def test_a_flipped_bit_in_a_weight_file_shows_in_its_digest_and_in_its_channel(folder: Path, bit: int) -> None:
    words = [int(word, 16) for word in (folder / WEIGHT_FILE).read_text().split()]
    words[bit // 32] ^= 1 << bit % 32
    (folder / WEIGHT_FILE).write_text("".join(f"{word:08x}\n" for word in words))
    slots = np.load(folder / "graphs/weights.npz")[LAYER]
    channel = int(np.argwhere(slots == bit // 4 * 4)[0][1])

    report = outcome(folder)

    assert names(report) == ["weights damaged", "accelerator's outputs differ"]
    assert f"in 1 of {CLASSES} channels ({channel})" in report.problems[1].message


def test_missing_weights_are_named_once(folder: Path) -> None:
    (folder / WEIGHT_FILE).unlink()
    bundle = Bundle.load(folder)
    report = selftest(bundle, lambda: Accelerator(folder, emulate=True), True, QUICK)
    assert names(report) == ["weights not loaded"]
    assert WEIGHT_FILE in report.problems[0].message
    assert report.exit_code == 1


def test_weights_that_nobody_wrote_are_recognised_by_the_outputs(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sessions, "set_weights", lambda self, layer, raw: None)
    report = outcome(sound)
    assert names(report) == ["weights not loaded"]
    assert "in all 6 runs: 64 of 64 samples differ" in report.problems[0].message


def only_first(outputs: np.ndarray, state: list) -> np.ndarray:
    good = 0 if state else 1
    state.append(True)
    outputs[good:] = 15 - outputs[good:]
    return outputs


def first_for_ever(outputs: np.ndarray, state: list) -> np.ndarray:
    state.append(outputs[0].copy())
    return np.broadcast_to(state[0], outputs.shape).copy()


def first_of_each_call(outputs: np.ndarray, state: list) -> np.ndarray:
    outputs[1:] = outputs[0]
    return outputs


def all_zero(outputs: np.ndarray, state: list) -> np.ndarray:
    return np.zeros_like(outputs)


def late(outputs: np.ndarray, state: list) -> np.ndarray:
    state.append(outputs)
    return state[-2] if len(state) > 1 and len(state[-2]) == len(outputs) else np.zeros_like(outputs)


def shifted(outputs: np.ndarray, state: list) -> np.ndarray:
    return np.roll(outputs, 1, axis=0)


def backwards(outputs: np.ndarray, state: list) -> np.ndarray:
    return outputs[::-1]


def one_late(outputs: np.ndarray, state: list) -> np.ndarray:
    """One result too many stays in a FIFO after the first call."""
    results = np.concatenate([state[-1], outputs]) if state else outputs
    state.append(results[-1:])
    return results[: len(outputs)]


def first_lost(outputs: np.ndarray, state: list) -> np.ndarray:
    results = np.concatenate([state[-1] if state else np.zeros_like(outputs[:1]), outputs])
    state.append(results[-1:])
    return results[:-1]


def channels_backwards(outputs: np.ndarray, state: list) -> np.ndarray:
    return outputs[:, ::-1]


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (only_first, "only the first inference is correct"),
        (first_for_ever, "only the first inference is correct"),
        (first_of_each_call, "only the first inference is correct"),
        (all_zero, "constant output"),
        (late, "stale outputs"),
        (one_late, "only the first inference is correct"),
        (first_lost, "stale outputs"),
        (shifted, "samples out of order"),
        (backwards, "samples out of order"),
        (channels_backwards, "accelerator's outputs differ"),
    ],
)
def test_a_fault_of_the_accelerator_is_recognised(
    sound: Path, fault: Callable[[np.ndarray, list], np.ndarray], name: str
) -> None:
    report = outcome(sound, fault)
    assert names(report) == [name]
    assert report.exit_code == 1


def observed(classes: list[int], got: Callable[[np.ndarray], np.ndarray]) -> tuple[list[Observed], np.ndarray]:
    """What a self-test sees of an accelerator with TopK inside, [n, 1], whose outputs `got` makes of the right ones."""
    expected, forwards = np.array(classes)[:, None], np.arange(len(classes))
    orders = [(batch, rows) for batch in (1, 3, len(classes)) for rows in (forwards, forwards[::-1])]
    outputs = got(np.concatenate([expected[rows] for _, rows in orders]))
    parts = outputs.reshape(len(orders), len(classes), 1)
    return [Observed(batch, "", rows, part) for (batch, rows), part in zip(orders, parts, strict=True)], expected


def but_first(value: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda right: np.concatenate([right[:1], np.full_like(right[1:], value)])


@pytest.mark.parametrize(
    ("got", "name"),
    [
        (but_first(1), "only the first inference is correct"),
        (but_first(3), "only the first inference is correct"),
        (lambda right: np.full_like(right, 1), "constant output"),
        (lambda right: np.concatenate([right[:1] * 0, right[:-1]]), "stale outputs"),
        (lambda right: np.concatenate([right[:1], right[:-1]]), "only the first inference is correct"),
        (lambda right: (right + 1) % 4, None),
        (lambda right: np.where(np.arange(len(right))[:, None] % 20 == 4, np.roll(right, 1, axis=0), right), None),
        (lambda right: np.where(np.arange(len(right))[:, None] == 4, 2, right), None),
        (lambda right: right, None),
    ],
)
def test_where_outputs_are_classes_chance_is_not_taken_for_a_fault(
    got: Callable[[np.ndarray], np.ndarray], name: str | None
) -> None:
    """Every class is that of some other sample too, and a constant one is right now and then."""
    runs, expected = observed([3, 1, 0, 3, 1, 0, 2, 2, 1, 0], got)
    problem = recognised(runs, expected, None)
    assert (problem.name if problem else None) == name


def test_the_same_wrong_class_in_every_run_is_not_left_over_from_another_sample() -> None:
    """Where there are two classes, a wrong one is that of the sample before as often as not."""
    classes = [0, 1, 0, 0, 1, 0, 0, 1, 0, 0]
    places = np.concatenate([np.arange(10), np.arange(10)[::-1]] * 3)[:, None]
    runs, expected = observed(classes, lambda right: np.where(np.isin(places, [1, 4]), 0, right))
    assert recognised(runs, expected, None) is None


def test_an_unknown_fault_is_located(sound: Path) -> None:
    """One channel of one sample, only in the first call with all of them."""

    def fault(outputs: np.ndarray, state: list) -> np.ndarray:
        state.append(True)
        if len(outputs) == SAMPLES and state.count(True) == 2 * SAMPLES + 2 * 10 + 1:
            outputs[5, 4] ^= 1
        return outputs

    report = outcome(sound, fault)
    golden = np.load(sound / "golden/samples.npz")["accelerator_outputs"]
    assert names(report) == ["accelerator's outputs differ"]
    assert report.problems[0].message == (
        f"in 1 of 6 runs (all at once in order): 1 of {SAMPLES} samples differ (5), in 1 of 9 channels (4)\n"
        f"sample 5: channel 4: expected {golden[5, 4]}, got {golden[5, 4] ^ 1}"
    )
    assert [run.wrong for run in report.runs] == [(), (), (), (), (5,), ()]


def test_an_output_buffer_that_keeps_its_first_content_is_found(sound: Path) -> None:
    """Only where all samples are run at once, the second time: it would be right if they came in the same order."""

    def fault(outputs: np.ndarray, state: list) -> np.ndarray:
        if len(outputs) == SAMPLES:
            state.append(outputs)
            return state[0]
        return outputs

    report = outcome(sound, fault)
    assert names(report) == ["stale outputs"]
    assert "in 1 of 6 runs (all at once backwards)" in report.problems[0].message


@pytest.mark.parametrize(("part", "name"), [("head", "host's head differs"), ("tail", "host's tail differs")])
def test_a_host_that_computes_something_else_is_told_from_the_accelerator(folder: Path, part: str, name: str) -> None:
    path = folder / f"graphs/{part}.json"
    program = json.loads(path.read_text())
    if part == "head":
        flip = {"op": "Sub", "inputs": ["limit", "y0"], "outputs": ["y"], "attributes": {}}
        program["nodes"][-1]["outputs"] = ["y0"]
        program["nodes"].append(flip)
        program["constants"] = "head.npz"
        np.savez(folder / "graphs/head.npz", limit=np.float32(255))
    else:
        program["nodes"][-1]["attributes"]["largest"] = 0
    path.write_text(json.dumps(program))
    report = outcome(folder)
    assert list(dict.fromkeys(names(report))) == ["file changed", name]


@pytest.mark.parametrize("array", ["inputs", "accelerator_outputs", "outputs"])
def test_edited_golden_samples_are_named(folder: Path, array: str) -> None:
    path = folder / "golden/samples.npz"
    with np.load(path) as archive:
        golden = dict(archive)
    golden[array][3] ^= 1
    np.savez(path, **golden)
    report = outcome(folder)
    assert names(report)[0] == "golden samples changed"
    assert all("(3)" in problem.message for problem in report.problems[1:])
    assert len(report.problems) > 1
    assert any("may be theirs" in note for note in report.notes)


def test_a_damaged_golden_file_is_named_once(folder: Path) -> None:
    path = folder / "golden/samples.npz"
    path.write_bytes(path.read_bytes()[:5000])
    assert names(outcome(folder)) == ["golden samples changed"]


def test_without_a_board_a_missing_bitfile_is_only_said(folder: Path, sound: Path) -> None:
    attach(folder).unlink()
    report = outcome(folder)
    assert report.ok
    assert report.notes == ("bitfile missing: bitfile/finn-accel.bit: missing",)
    assert outcome(sound).notes == ("bitfile missing: this bundle has none, so only the emulation runs",)


def test_a_damaged_bitfile_is_not_loaded(folder: Path) -> None:
    bitfile = attach(folder)
    bitfile.write_bytes(bitfile.read_bytes()[:-1])

    def opened() -> Accelerator:
        raise AssertionError("the board was opened")

    report = selftest(Bundle.load(folder), opened, False, QUICK)
    assert names(report) == ["bitfile damaged"]
    assert "truncated: " in report.problems[0].message


def test_the_clock_of_the_handoff_is_compared_with_the_contract(folder: Path) -> None:
    attach(folder)
    write_hwh(folder, 200.0)
    write_json(folder, read_json(folder))
    report = outcome(folder)
    assert names(report) == ["clock differs"]
    assert report.clock_mhz == 200.0
    assert report.expected_clock_mhz == 100.0


def test_a_board_that_cannot_be_opened_is_a_problem_of_the_report(sound: Path) -> None:
    def opened() -> Accelerator:
        raise AcceleratorError("PYNQ is not installed here", name="package missing", hint="install it")

    report = selftest(Bundle.load(sound), opened, False, QUICK)
    assert names(report) == ["package missing"]
    assert "install it" in report.problems[0].message
    assert report.exit_code == 4
