"""Files that are not what was built, each under the name of its kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.accelerator import AcceleratorError
from finnyaml.accelerator.checks.digests import file_problems, handoff_clock_mhz, hardware_problems
from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.files import changed_files
from tests.bundle.board_files import attach, write_hwh
from tests.bundle.sample import WEIGHT_FILE, read_json, sample_bundle, seal, write_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sample_bundle(tmp_path / "sample", weights=True)


def test_nothing_is_wrong_with_a_bundle_as_built(folder: Path) -> None:
    attach(folder)
    bundle = Bundle.load(folder)
    assert changed_files(bundle) == []
    assert hardware_problems(bundle) == []
    assert handoff_clock_mhz(bundle) == 100.0


def test_every_kind_of_change_is_named_and_all_are_reported(folder: Path) -> None:
    bitfile = attach(folder)
    size = bitfile.stat().st_size
    bitfile.write_bytes(bitfile.read_bytes()[:1000])
    weights = folder / WEIGHT_FILE
    weights.write_text(weights.read_text().replace("0", "1", 1))
    golden = bytearray((folder / "golden/samples.npz").read_bytes())
    golden[500] ^= 1
    (folder / "golden/samples.npz").write_bytes(golden)
    (folder / "README.md").unlink()
    with (folder / "graphs/tail.json").open("a") as file:
        file.write(" ")

    found = {str(problem) for problem in file_problems(Bundle.load(folder))}

    assert found == {
        f"bitfile damaged: bitfile/finn-accel.bit: truncated: 1000 of {size} bytes",
        f"weights damaged: {WEIGHT_FILE}: its content is not what was built (SHA-256 differs)",
        "golden samples changed: golden/samples.npz: its content is not what was built (SHA-256 differs)",
        "file changed: README.md: missing",
        f"file changed: graphs/tail.json: 1 bytes longer than the {(folder / 'graphs/tail.json').stat().st_size - 1} "
        "that were built",
    }


def test_line_ends_of_windows_are_called_so(folder: Path) -> None:
    readme = folder / "README.md"
    readme.write_bytes(readme.read_bytes().replace(b"\n", b"\r\n"))
    (problem,) = file_problems(Bundle.load(folder))
    assert "line ends are those of Windows (CRLF)" in problem.message
    readme.write_bytes(readme.read_bytes() + b"more")
    (problem,) = file_problems(Bundle.load(folder))
    assert "bytes longer" in problem.message


def test_files_that_would_be_used_beside_those_of_the_bundle_are_noticed(folder: Path) -> None:
    stray = ["accelerator/deep/old.py", "driver/runtime_weights/1_0_MVAU_hls_1.dat", "graphs/old.onnx"]
    for name in [*stray, "accelerator/__pycache__/old.cpython-38.pyc", "notes.txt", "golden/mine.npz"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("0\n")
    problems = file_problems(Bundle.load(folder))
    assert [str(problem) for problem in problems] == [f"file changed: {name}: is not of this bundle" for name in stray]


def test_missing_weights_and_bitfile_have_names_of_their_own(folder: Path) -> None:
    attach(folder).unlink()
    (folder / WEIGHT_FILE).unlink()
    names = [problem.name for problem in file_problems(Bundle.load(folder))]
    assert names == ["bitfile missing", "weights not loaded"]


def test_a_truncated_bitfile_is_noticed_by_its_own_head_too(folder: Path) -> None:
    bitfile = attach(folder)
    bitfile.write_bytes(bitfile.read_bytes()[:1000])
    write_json(folder, read_json(folder))  # as if it had been attached so
    bundle = Bundle.load(folder)
    assert changed_files(bundle) == []
    assert [problem.name for problem in hardware_problems(bundle)] == ["bitfile damaged"]


def test_a_handoff_of_another_clock_is_noticed_beside_other_damage(folder: Path) -> None:
    bitfile = attach(folder)
    write_hwh(folder, 187.5)
    bitfile.write_bytes(bitfile.read_bytes()[:1000])
    write_json(folder, read_json(folder))
    problems = hardware_problems(Bundle.load(folder))
    assert [problem.name for problem in problems] == ["bitfile damaged", "clock differs"]
    assert "187.5 MHz" in problems[1].message
    assert "100 MHz" in problems[1].message


def test_a_device_that_runs_at_another_clock_is_noticed(folder: Path) -> None:
    class Board:
        name = "board"
        clock_mhz = 50.0

    (problem,) = hardware_problems(Bundle.load(folder), Board())  # type: ignore[arg-type]
    assert problem.name == "clock differs"
    assert "50 MHz" in problem.message


def test_paths_in_bundle_json_cannot_leave_the_bundle(folder: Path) -> None:
    data = read_json(folder)
    data["files"]["../outside"] = {"sha256": "0" * 64, "bytes": 1}
    seal(folder, data)
    with pytest.raises(AcceleratorError, match="not inside the bundle"):
        changed_files(Bundle.load(folder))
