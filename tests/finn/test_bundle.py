"""The deployment bundle of a real build: made by the real FINN, run as the board would, with the accelerator emulated.

What runs the bundle sees neither FINN nor QONNX nor ONNX: importing one of them is an error there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.recipe.model import CodeRef
from finnyaml.steps.code import forget_user_modules, load_function
from tests.board.files import blocks_of, write_bit, write_hwh
from tests.board.run import run_board_suite
from tests.finn.conftest import copy_recipes
from tests.project import ROOT, Project

FENCE = """
import runpy, sys

class Fence:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("finn", "finnyaml", "qonnx", "onnx", "torch", "brevitas"):
            raise ImportError(f"{name} is not on a board")

sys.meta_path.insert(0, Fence())
sys.argv = ["accelerator", *sys.argv[1:]]
sys.path.insert(0, ".")
runpy.run_module("accelerator", run_name="__main__")
"""


def host(bundle: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the bundle's own command line in its folder, behind the fence."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-c", FENCE, *map(str, arguments)],
        cwd=bundle,
        env={**environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (bundle,) = folder.iterdir()
    return bundle


def facts(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "bundle.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_recipes(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def delivered(recipes: Path, built_digits: Project) -> Project:
    """digits-cnv-fixed, which says nothing of a bundle, built with one asked for."""
    project = Project(recipes / "digits-cnv-fixed", built_digits.store, empty=True)
    project.build("--target", "bundle")
    return project


@pytest.fixture(scope="module")
def original(delivered: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(delivered.folder / "build/bundle/digits-cnv-fixed.tar.gz", tmp_path_factory.mktemp("original"))


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    """A copy of the unpacked bundle, to spoil."""
    return Path(shutil.copytree(original, tmp_path / original.name))


@pytest.fixture(scope="module")
def held_out(recipes: Path) -> tuple[np.ndarray, np.ndarray]:
    """The 500 images and labels that the build was measured on."""
    load = load_function(CodeRef("data.py:load", "load", file=recipes / "digits-cnv/data.py"), recipes)
    images, labels = load("test")
    forget_user_modules()
    return images, labels


@pytest.fixture(scope="module")
def test_set(held_out: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "test.npz"
    np.savez(path, images=held_out[0], labels=held_out[1])
    return path


def changed(test_set: Path, folder: Path, images: np.ndarray) -> Path:
    with np.load(test_set) as archive:
        np.savez(folder / "changed.npz", images=images, labels=archive["labels"])
    return folder / "changed.npz"


@pytest.mark.long
def test_two_builds_of_one_recipe_are_one_archive(
    delivered: Project, warm_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another folder, another store, everything built anew."""
    folder = tmp_path_factory.mktemp("again")
    store = folder / "store"
    shutil.copytree(warm_store, store)
    again = Project(copy_recipes(folder) / "digits-cnv-fixed", store, empty=True)
    again.build("bundle")
    first, second = (
        hashlib.sha256((project.folder / "build/bundle/digits-cnv-fixed.tar.gz").read_bytes()).hexdigest()
        for project in (delivered, again)
    )
    assert first == second


def test_the_folder_is_what_the_archive_holds(delivered: Project, original: Path) -> None:
    folder = delivered.folder / "build/bundle/digits-cnv-fixed"
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    packed = {str(path.relative_to(original)): path.read_bytes() for path in original.rglob("*") if path.is_file()}
    assert files == packed
    assert not (folder.parent / ".parts").exists()
    assert {name: entry["sha256"] for name, entry in facts(original)["files"].items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "bundle.json"
    }


def test_the_bundle_says_what_was_built(original: Path) -> None:
    found = facts(original)
    assert (found["name"], found["target"]["board"]) == ("digits-cnv-fixed", "ZCU102")
    assert found["target"]["part"].startswith("xczu9eg")
    assert found["target"]["clock"] == {"requested_mhz": 50.0, "achieved_mhz": None, "source": None, "slack_ns": None}
    assert found["contract"]["input"]["layout"] == "NCHW" and found["contract"]["input"]["range"] == [0, 255]
    assert found["accuracy"]["final"]["samples"] == 500
    assert {point["shown"] for point in found["accuracy"]["points"]} == {"98.8 %"}
    assert "bitfile" in {item["what"] for item in found["missing"]}
    assert found["resources"]["estimated"]["LUT"] > 1000 and found["resources"]["synthesised"] is None
    lines = (original / "README.md").read_text().splitlines()
    assert any("bitfile" in line for line in lines[:6])


def test_emulated_it_predicts_what_the_build_did(
    delivered: Project, original: Path, test_set: Path, tmp_path: Path
) -> None:
    """All 500 held-out digits, one by one; 500 is not a multiple of the batch."""
    done = host(original, "validate", "--emulate", "--batch", "64", "--data", test_set, "--out", tmp_path / "out.npz")
    assert done.returncode == 0, done.stdout + done.stderr
    with (
        np.load(tmp_path / "out.npz") as told,
        np.load(delivered.folder / "build/verification/hw_codegen.npz") as built,
    ):
        assert np.array_equal(told["predictions"], built["predictions"])
    assert "98.8 %" in done.stdout


def test_it_finds_itself_sound(original: Path) -> None:
    done = host(original, "selftest", "--emulate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "64" in done.stdout


def test_pack_it_into_a_program(original: Path, held_out: tuple[np.ndarray, np.ndarray]) -> None:
    """As the README of the bundle says it."""
    program = (
        "import sys; sys.path.insert(0, '.'); import numpy as np; from accelerator import Accelerator\n"
        "images = np.load(sys.argv[1])['images']\n"
        "with Accelerator(emulate=True) as accelerator: print(accelerator.predict(images[:5]).ravel().tolist())"
    )
    path = original.parent / "five.npz"
    np.savez(path, images=held_out[0])
    done = subprocess.run([sys.executable, "-c", program, path], cwd=original, capture_output=True, text=True)
    assert json.loads(done.stdout) == held_out[1][:5].tolist(), done.stderr


def _spoilt_golden(bundle: Path) -> None:
    path = bundle / "golden/samples.npz"
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["outputs"] = (arrays["outputs"] + 1) % 10
    np.savez(path, **arrays)


def test_an_edited_golden_file_is_named(bundle: Path) -> None:
    _spoilt_golden(bundle)
    done = host(bundle, "selftest", "--emulate")
    assert done.returncode == 1 and "golden samples changed" in done.stdout


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (lambda images: images.transpose(0, 2, 3, 1), {"wrong layout"}),
        (lambda images: images.transpose(0, 1, 3, 2), {"accuracy differs", "wrong layout"}),
        (lambda images: images.astype(np.float32), {"wrong dtype"}),
        (lambda images: (images / 255).astype(np.float32), {"wrong dtype", "wrong input scaling"}),
        (lambda images: (images / 255 / 255).astype(np.float32), {"wrong dtype", "wrong input scaling"}),
        (lambda images: (images / 255.0).astype(np.uint8), {"accuracy differs", "wrong input scaling"}),
        (lambda images: (images / 255.0 / 255.0).astype(np.uint8), {"accuracy differs", "wrong input scaling"}),
        (lambda images: 255 - images, {"accuracy differs", "wrong input scaling"}),
    ],
    ids=[
        "NHWC",
        "H and W",
        "float",
        "float over 255",
        "float over 255 twice",
        "over 255",
        "over 255 twice",
        "inverted",
    ],
)
def test_wrong_data_is_named(original: Path, test_set: Path, tmp_path: Path, spoil: Any, names: set[str]) -> None:
    with np.load(test_set) as archive:
        data = changed(test_set, tmp_path, spoil(archive["images"]))
    done = host(original, "validate", "--emulate", "--data", data, "--json", tmp_path / "report.json")
    assert done.returncode in (1, 2)
    report = json.loads((tmp_path / "report.json").read_text())
    assert {problem["name"] for problem in report["problems"]} == names


@pytest.mark.long
def test_an_attached_bitfile_outlives_the_next_build(recipes: Path, built_digits: Project, tmp_path: Path) -> None:
    """The .bit and .hwh are made up (tests/board/files.py)."""
    project = Project(recipes / "attached", built_digits.store, empty=True)
    project.write("recipe.yaml", "extends: ../digits-cnv-fixed/recipe.yaml\nname: attached\n")
    project.build("--target", "bundle")
    bundle = project.folder / "build/bundle/attached"
    part = facts(bundle)["target"]["part"]
    write_bit(tmp_path / "x.bit", part)
    write_hwh(tmp_path / "x.hwh", part, blocks_of(facts(bundle)), 50.0)
    done = project.run("bundle", "attach", str(bundle), "--bitfile", str(tmp_path / "x.bit"))
    assert done.returncode == 0, done.stderr
    archive = bundle.with_name("attached.tar.gz").read_bytes()
    for arguments in (("--target", "bundle"), ()):
        project.build(*arguments)
        assert facts(bundle)["driver"]["bitfile"] == "bitfile/finn-accel.bit"
        assert bundle.with_name("attached.tar.gz").read_bytes() == archive
    assert host(bundle, "selftest", "--emulate").returncode == 0
    done = project.run("build", "recipe.yaml", "--target", "bundle", "--set", "bundle.golden=8")
    assert "was of another build, and a bitfile was attached to it" in done.stderr
    aside = project.folder / "build/.finnyaml/attached/attached-1"
    assert facts(aside)["driver"]["bitfile"] == "bitfile/finn-accel.bit"
    assert host(aside, "selftest", "--emulate").returncode == 0
    assert facts(bundle)["driver"]["bitfile"] is None and not (bundle / "bitfile").exists()


@pytest.mark.long
def test_a_gate_that_stops_the_build_stops_the_bundle(recipes: Path, built_digits: Project) -> None:
    project = Project(recipes / "digits-cnv", built_digits.store, empty=True)
    result = project.build("bundle", code=3)
    assert result["tasks"]["bundle"]["state"] == "not run"
    assert not (project.folder / "build/bundle").exists()


def test_a_gate_that_stops_takes_the_former_bundle_out(recipes: Path, built_digits: Project) -> None:
    project = Project(recipes / "stopped", built_digits.store, empty=True)
    project.write("recipe.yaml", "extends: ../digits-cnv-fixed/recipe.yaml\nname: stopped\n")
    project.build("--target", "bundle")
    project.build()
    assert (project.folder / "build/bundle/stopped/bundle.json").exists()  # nobody asks for it, and it is of this build
    project.build("--set", "verify.min=0.999", code=3)
    assert not (project.folder / "build/bundle").exists()


def test_a_template_of_ones_own_only_fills_the_bundle_again(recipes: Path, built_digits: Project) -> None:
    project = Project(recipes / "own-words", built_digits.store, empty=True)
    project.write("words/notes.md.j2", "# {{ name | md }} of {{ vars.lab | md }}\n")
    project.write(
        "recipe.yaml",
        """
        extends: ../digits-cnv-fixed/recipe.yaml
        name: own-words
        bundle: {templates: words, files: [notes.md.j2], vars: {lab: E_7}}
        """,
    )
    project.build()
    notes = project.folder / "build/bundle/own-words/notes.md"
    assert notes.read_text() == "# own-words of E\\_7\n"
    project.write("words/notes.md.j2", "# {{ name | md }}, or {{ vars.lab | md }}\n")
    assert project.ran() == ["bundle"]
    assert notes.read_text() == "# own-words, or E\\_7\n"
    project.write("words/notes.md.j2", "fine\n{{ vars.lbl | md }}\n")
    failed = project.run("build", "recipe.yaml")
    assert failed.returncode == 1 and "notes.md.j2:2" in failed.stderr + failed.stdout


@pytest.fixture(scope="module")
def with_weights(recipes: Path, built_digits: Project) -> Path:
    """The bundle of a variant whose last layer gets its weights when the bitfile is loaded."""
    project = Project(recipes / "weights", built_digits.store, empty=True)
    project.write(
        "recipe.yaml",
        """
        extends: ../digits-cnv-fixed/recipe.yaml
        name: weights
        folding: {nodes: {MVAU_hls_3: {mem_mode: internal_decoupled, runtime_writeable_weights: 1}}}
        bundle: {golden: 32}
        """,
    )
    project.build()
    return project.folder / "build/bundle/weights"


def _weight_file(bundle: Path) -> Path:
    (entry,) = facts(bundle)["driver"]["runtime_weights"]
    return bundle / entry["file"]


@pytest.mark.long
def test_weights_that_are_loaded_give_the_same_answers(with_weights: Path, test_set: Path) -> None:
    done = host(with_weights, "validate", "--emulate", "--data", test_set)
    assert done.returncode == 0 and "98.8 %" in done.stdout, done.stdout + done.stderr


@pytest.mark.long
def test_one_flipped_bit_of_a_weight_is_named(with_weights: Path, tmp_path: Path) -> None:
    spoilt = Path(shutil.copytree(with_weights, tmp_path / "spoilt"))
    words = _weight_file(spoilt).read_text().splitlines()
    words[1] = f"{int(words[1], 16) ^ 4:08x}"
    _weight_file(spoilt).write_text("\n".join(words) + "\n")
    done = host(spoilt, "selftest", "--emulate")
    assert done.returncode == 1 and "weights damaged: driver/runtime_weights/" in done.stdout


@pytest.mark.long
def test_the_emulation_computes_with_the_weights_of_the_file(with_weights: Path, tmp_path: Path) -> None:
    spoilt = Path(shutil.copytree(with_weights, tmp_path / "spoilt"))
    words = _weight_file(spoilt).read_text().splitlines()
    _weight_file(spoilt).write_text("".join(f"{int(word, 16) ^ 0xFFFFFFFF:08x}\n" for word in words))
    done = host(spoilt, "selftest", "--emulate")
    assert done.returncode == 1 and "accelerator's outputs differ" in done.stdout


@pytest.mark.long
@pytest.mark.parametrize("command", ["selftest", "validate"])
def test_missing_weights_are_named(with_weights: Path, test_set: Path, tmp_path: Path, command: str) -> None:
    spoilt = Path(shutil.copytree(with_weights, tmp_path / "spoilt"))
    _weight_file(spoilt).unlink()
    data = ["--data", test_set] if command == "validate" else []
    done = host(spoilt, command, "--emulate", *data)
    assert done.returncode == 1 and "weights not loaded" in done.stdout + done.stderr


@pytest.mark.long
def test_the_real_pynq_drives_it(original: Path) -> None:
    """Over the software stand-in of tests/board, below PYNQ's device interface."""
    if not (ROOT / ".venv-board").exists():
        pytest.skip("there is no .venv-board (make setup-board)")
    done = run_board_suite(original)
    assert done.returncode == 0, done.stdout + done.stderr
