"""`python -m accelerator` as a user runs it: what it prints, what it leaves, and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from finnyaml.accelerator import __main__ as cli
from finnyaml.accelerator.__main__ import main
from finnyaml.accelerator.devices.emulator import Emulator
from finnyaml.accelerator.errors import AcceleratorError
from tests.bundle.board_files import attach, write_hwh
from tests.bundle.digits import digits_bundle, held_out
from tests.bundle.sample import WEIGHT_FILE, read_json, sample_bundle, write_json


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_bundle(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, labels = held_out()
    path = tmp_path_factory.mktemp("data") / "test.npz"
    np.savez(path, images=images, labels=labels, lying=images.transpose(0, 1, 3, 2))
    return path


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return sample_bundle(tmp_path / "sample", weights=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "SECONDS", 0.01)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


def verdict(said: str) -> str:
    return said.rstrip().splitlines()[-1]


def test_it_runs_from_the_folder_of_the_bundle(digits: Path) -> None:
    words = [sys.executable, "-m", "accelerator", "info"]
    done = subprocess.run(words, cwd=digits, capture_output=True, text=True, check=True)
    assert "uint8 [n, 1, 8, 8] NCHW, 0 to 255" in done.stdout
    assert done.stdout.index("missing") < done.stdout.index("uint8")
    assert done.stderr == ""


def test_a_numpy_of_the_users_own_is_named(sample: Path) -> None:
    (sample / "numpy.py").write_text("images = 1\n")
    done = subprocess.run([sys.executable, "-m", "accelerator", "info"], cwd=sample, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("numpy.py has the name of NumPy and is found before it: rename it")


def test_info_says_the_contract_in_words_and_what_to_expect(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(capsys, "info", "--bundle", digits)
    assert code == 0
    for part in ("Pynq-Z2", "transpose NCHW to NHWC", "idma0: UINT8 [1, 8, 8, 1]", "class index", "top1 ", "images/s"):
        assert part in said


def test_answers_go_to_a_file_or_to_the_terminal(
    digits: Path, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("predict", "--bundle", digits, "--emulate", "--data", archive, "--batch", 33)
    code, said, _ = run(capsys, *common, "--out", tmp_path / "outputs.npy")
    outputs = np.load(tmp_path / "outputs.npy")
    assert code == 0
    assert outputs.shape == (500, 1)
    assert "500 outputs in" in said
    code, said, _ = run(capsys, *common)
    assert [int(line) for line in said.splitlines()] == outputs[:, 0].tolist()


@pytest.mark.parametrize("command", ["predict", "validate"])
@pytest.mark.parametrize("name", ["ans", "out.npz", "out.npy", "out.txt"])
def test_answers_go_to_the_very_file_that_was_named(
    digits: Path, archive: Path, tmp_path: Path, command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (command, "--bundle", digits, "--emulate", "--data", archive, "--out", tmp_path / name)
    code, said, _ = run(capsys, *words)
    assert code == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with (tmp_path / name).open("rb") as stream:
        found = np.load(stream)
        assert len(found if command == "predict" else found["outputs"]) == 500
    if command == "predict":
        assert said.rstrip().endswith(str(tmp_path / name))


@pytest.mark.parametrize("option", ["--json", "--out"])
@pytest.mark.parametrize("place", ["nowhere/x", "."])
def test_a_file_that_cannot_be_written_is_said_before_anything_runs(
    digits: Path, archive: Path, tmp_path: Path, option: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("validate", "--bundle", digits, "--emulate", "--data", archive, option, tmp_path / place)
    code, said, error = run(capsys, *words)
    assert (code, said) == (2, "")
    assert error.startswith(f"wrong use: {option} ") and "cannot be written" in error


def test_a_report_of_before_stays_where_the_run_fails(digits: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "outputs.npy").write_text("of before")
    for name in ("outputs.npy", "new.npy"):
        words = ["predict", "--bundle", digits, "--emulate", "--data", "nowhere.npz", "--out", tmp_path / name]
        assert main([str(word) for word in words]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["outputs.npy"]
    assert (tmp_path / "outputs.npy").read_text() == "of before"


def test_few_samples_are_not_said_to_agree(digits: Path, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = run(capsys, "validate", "--bundle", digits, "--emulate", "--data", archive, "--limit", 5)
    assert code == 0
    assert "so few samples prove little" in verdict(said)


def test_the_selftest_ends_in_a_verdict_and_writes_its_report(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, _ = run(capsys, "selftest", "--bundle", digits, "--emulate", "--json", tmp_path / "report.json")
    assert code == 0
    assert verdict(said) == "OK: as built, without a board"
    assert said.count("of the emulation, not of a board") == 2
    assert "estimated 100,000 images/s" in said
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ok"]
    assert report["emulated"]
    assert report["speed"]["images_per_s"] > 0


def test_the_selftest_reports_all_damage(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bitfile = attach(sample)
    write_hwh(sample, 187.5)
    write_json(sample, read_json(sample))
    bitfile.write_bytes(bitfile.read_bytes()[:999])
    (sample / WEIGHT_FILE).unlink()
    code, said, _ = run(capsys, "selftest", "--bundle", sample, "--emulate")
    assert code == 1
    assert verdict(said) == "FAILED: bitfile damaged, weights not loaded, clock differs"
    assert "truncated: 999 of " in said


def test_a_validation_keeps_every_prediction(
    digits: Path, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, report = tmp_path / "predictions.npz", tmp_path / "report.json"
    common = ("validate", "--bundle", digits, "--emulate", "--data", archive)
    code, said, _ = run(capsys, *common, "--batch", 77, "--out", kept, "--json", report)
    assert code == 0
    assert verdict(said) == "OK: exactly as in the build, on the same data"
    with np.load(kept) as arrays:
        assert sorted(arrays.files) == ["index", "labels", "outputs", "predictions"]
        share = np.mean(arrays["predictions"] == arrays["labels"])
        assert arrays["index"].tolist() == list(range(500))
    assert json.loads(report.read_text())["found"]["value"] == share


def test_a_validation_of_a_part_and_of_wrong_images(
    digits: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("validate", "--bundle", digits, "--emulate", "--data", archive)
    code, said, _ = run(capsys, *common, "--limit", 100)
    assert (code, "of 100)" in said) == (0, True)
    code, said, _ = run(capsys, *common, "--images", "lying")
    assert code == 1
    assert verdict(said) == "FAILED: accuracy differs, wrong layout"


def test_refused_images_are_wrong_use(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = held_out()
    np.savez(tmp_path / "float.npz", images=images / 255, labels=labels)
    code, said, _ = run(capsys, "validate", "--bundle", digits, "--emulate", "--data", tmp_path / "float.npz")
    assert code == 2
    assert verdict(said) == "FAILED: wrong dtype, wrong input scaling"
    code, _, said = run(capsys, "predict", "--bundle", digits, "--emulate", "--data", tmp_path / "float.npz")
    assert code == 2
    assert said.startswith("wrong dtype: ")


def test_missing_weights_stop_a_validation_with_their_name(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sample / WEIGHT_FILE).unlink()
    report = tmp_path / "report.json"
    words = ("validate", "--bundle", sample, "--emulate", "--data", sample / "golden/samples.npz", "--json", report)
    code, _, said = run(capsys, *words)
    assert code == 1
    assert said.startswith("weights not loaded: ")
    (problem,) = json.loads(report.read_text())["problems"]
    assert problem["name"] == "weights not loaded"


@pytest.mark.parametrize("command", ["selftest", "predict", "validate"])
def test_without_a_bitfile_only_the_emulation_runs(
    digits: Path, archive: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = () if command == "selftest" else ("--data", archive)
    code, out, err = run(capsys, command, "--bundle", digits, *data)
    assert code == 4
    assert "bitfile missing" in out + err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "nowhere.npz"), "cannot read nowhere.npz"),
        (("--data", "ARCHIVE", "--images", "pictures"), "no array 'pictures'"),
        (("--data", "OBJECTS"), "cannot read"),
        (("--data", "TEXT"), "cannot read"),
    ],
)
def test_files_that_cannot_be_read_are_wrong_use(
    digits: Path,
    archive: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("text")
    files = {"ARCHIVE": archive, "OBJECTS": tmp_path / "objects.npy", "TEXT": tmp_path / "text.npz"}
    code, _, said = run(capsys, "predict", "--bundle", digits, "--emulate", *(files.get(word, word) for word in words))
    assert code == 2
    assert said.startswith("wrong use: ")
    assert message in said
    assert "Traceback" not in said


def test_a_folder_without_a_bundle_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = run(capsys, "info", "--bundle", tmp_path)
    assert code == 2
    assert "bundle.json" in said


def test_wrong_words_are_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["prove"], ["predict"], ["selftest", "--batch", "0"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2


def test_what_a_bundle_says_does_not_steer_the_terminal(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = read_json(sample)
    data["target"]["board"] = "board\x1b[2J\u202e\x07"
    write_json(sample, data)
    code, said, _ = run(capsys, "info", "--bundle", sample)
    assert code == 0 and "board?[2J??" in said
    code, _, said = run(capsys, "predict", "--bundle", sample, "--data", sample / "\x1b[31m.npz")
    assert code == 2 and "?[31m.npz" in said


OLD = '{"ok": true}'


@pytest.mark.parametrize(
    ("error", "code", "name", "says"),
    [
        (RuntimeError("could not load the overlay"), 1, "error", "RuntimeError: could not load the overlay"),
        (PermissionError(13, "Permission denied"), 1, "error", "PermissionError: [Errno 13] Permission denied"),
        (AcceleratorError("DMA stopped", name="device"), 1, "device", "DMA stopped"),
        (KeyboardInterrupt(), 130, "interrupted", "ended from outside"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("when", ["opening", "running"])
def test_a_selftest_that_dies_reports_what_it_has_found(
    sample: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    name: str,
    says: str,
    when: str,
) -> None:
    """Whatever ends it, an old report that all is well does not stay, and other findings are in the new one."""
    (sample / "README.md").write_text("changed")
    report = tmp_path / "report.json"
    report.write_text(OLD)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(*((Emulator, "__init__", fail) if when == "opening" else (Emulator, "execute", fail)))
    words = ["selftest", "--bundle", sample, "--emulate", "--json", report]
    assert run(capsys, *words)[0] == code
    written = json.loads(report.read_text())
    assert written["ok"] is False
    problems = {problem["name"]: problem["message"] for problem in written["problems"]}
    assert says in problems[name] and "README.md" in problems["file changed"]


def test_runs_that_had_ended_are_in_the_report_of_one_that_failed(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The accelerator gives wrong outputs, one at a time, and dies at the first larger batch."""
    execute = Emulator.execute

    def wrong(self: Emulator, packed: np.ndarray) -> np.ndarray:
        if len(packed) > 1:
            raise RuntimeError("the bus is gone")
        return np.zeros_like(execute(self, packed))

    monkeypatch.setattr(Emulator, "execute", wrong)
    report = tmp_path / "report.json"
    assert run(capsys, "selftest", "--bundle", sample, "--emulate", "--json", report)[0] == 1
    written = json.loads(report.read_text())
    assert [each["order"] for each in written["runs"]] == ["one at a time in order", "one at a time backwards"]
    assert len(written["problems"]) == 2 and written["problems"][1]["message"] == "RuntimeError: the bus is gone"


def test_a_command_that_is_killed_leaves_no_report_that_all_is_well(sample: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(OLD)
    dies = "import os; from accelerator import __main__ as m; m.selftest = lambda *words, **kinds: os._exit(9)"
    words = [sys.executable, "-c", f"{dies}; m.main(['selftest', '--emulate', '--json', {str(report)!r}])"]
    assert subprocess.run(words, cwd=sample, check=False).returncode == 9
    assert json.loads(report.read_text())["problems"][0]["name"] == "not finished"
