"""Validation of a whole data set: the figure, its comparison with the build's, and where a difference comes from."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from finnyaml.accelerator import Accelerator, AcceleratorError
from finnyaml.accelerator.checks.classes import Fraction, right
from finnyaml.accelerator.checks.report import ValidationReport
from finnyaml.accelerator.checks.validate import validate
from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.graphs import Sessions
from finnyaml.verify.metrics import wilson
from tests.bundle.board_files import attach, write_hwh
from tests.bundle.digits import digits_bundle, held_out
from tests.bundle.sample import WEIGHT_FILE, read_json, sample_bundle, write_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_bundle(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A bundle that the test may change."""
    return digits_bundle(tmp_path / "digits")


@pytest.fixture
def weighted(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """A bundle with weights that are loaded at run time, and the data on which its accuracy was measured."""
    folder = sample_bundle(tmp_path / "weighted", weights=True)
    golden = np.load(folder / "golden/samples.npz")
    return folder, golden["inputs"], golden["labels"]


def validated(folder: Path, images: np.ndarray, labels: np.ndarray, batch: int = 256) -> ValidationReport:
    with Accelerator(folder, emulate=True, batch=batch) as accelerator:
        return validate(accelerator, images, labels)


def names(report: ValidationReport) -> list[str]:
    return [problem.name for problem in report.problems]


@pytest.mark.parametrize("batch", [1, 33, 256, 1000])
def test_the_data_of_the_build_has_exactly_its_accuracy_whatever_the_batch(folder: Path, batch: int) -> None:
    images, labels = held_out()
    report = validated(folder, images, labels, batch)
    assert report.ok
    assert report.found == report.expected
    assert report.found is not None
    assert report.found.count == len(images)
    assert report.comparison == "exactly as in the build, on the same data"
    golden = np.load(folder / "golden/samples.npz")
    assert report.outputs is not None
    np.testing.assert_array_equal(report.outputs[golden["index"]], golden["outputs"])
    data = json.loads(json.dumps(report.plain()))
    assert data["found"]["value"] == report.found.value
    assert "outputs" not in data


def test_other_data_agrees_within_chance(folder: Path) -> None:
    images, labels = held_out()
    report = validated(folder, images[37:250], labels[37:250])
    assert report.ok
    assert report.found != report.expected
    assert report.comparison.startswith("agrees with the build")


def test_one_answer_less_on_the_same_data_is_a_difference(own: Path) -> None:
    """Far from significant, and wrong all the same."""
    images, labels = held_out()
    data = read_json(own)
    final = data["accuracy"]["final"]
    final["value"] = (round(final["value"] * final["samples"]) + 1) / final["samples"]
    write_json(own, data)
    report = validated(own, images, labels)
    assert names(report) == ["accuracy differs"]
    assert "on the same data they have to be equal" in report.problems[0].message


def test_labels_that_are_not_those_of_the_golden_samples_are_named(folder: Path) -> None:
    images, labels = held_out()
    report = validated(folder, images, np.random.default_rng(0).permutation(labels))
    assert names(report) == ["accuracy differs", "wrong labels"]
    assert "golden samples are in this data, with other labels" in report.problems[1].message


def test_weights_that_were_not_loaded_are_found_by_the_golden_samples(
    weighted: tuple[Path, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, images, labels = weighted
    monkeypatch.setattr(Sessions, "set_weights", lambda self, layer, raw: None)
    report = validated(folder, images, labels)
    assert names(report) == ["accuracy differs", "outputs differ", "weights not loaded"]
    assert report.tried == ()


def test_a_damaged_weight_file_is_found_though_the_accuracy_hardly_changes(
    weighted: tuple[Path, np.ndarray, np.ndarray],
) -> None:
    folder, images, labels = weighted
    words = (folder / WEIGHT_FILE).read_text().split()
    words[0] = f"{int(words[0], 16) ^ 0x88888888:08x}"
    (folder / WEIGHT_FILE).write_text("\n".join(words) + "\n")
    found = names(validated(folder, images, labels))
    assert "weights damaged" in found
    assert "accelerator's outputs differ" in found


def test_damage_that_changes_no_answer_is_named_all_the_same(weighted: tuple[Path, np.ndarray, np.ndarray]) -> None:
    folder, images, labels = weighted
    with (folder / WEIGHT_FILE).open("rb+") as file:
        first = file.read(1)
        file.seek(0)
        file.write(first.upper() if first.upper() != first else b"0")
    text = (folder / "README.md").read_text()
    (folder / "README.md").write_text(text.replace("s", "S", 1))
    (folder / "driver/runtime_weights/9_0_MVAU_hls_9.dat").write_text("00000000\n")
    report = validated(folder, images, labels)
    assert report.exit_code == 1
    assert {"weights damaged", "file changed"} <= set(names(report))
    assert "driver/runtime_weights/9_0_MVAU_hls_9.dat: is not of this bundle" in [p.message for p in report.problems]


@pytest.mark.parametrize("refused", [False, True])
def test_another_clock_is_named_though_all_answers_are_right(own: Path, refused: bool) -> None:
    images, labels = held_out()
    attach(own)
    write_hwh(own, 214.0)
    write_json(own, read_json(own))
    report = validated(own, images.astype(np.int64) if refused else images, labels)
    assert names(report) == [*(["wrong dtype"] * 2 if refused else []), "clock differs"]
    assert report.exit_code == (2 if refused else 1)
    assert not report.notes


@pytest.mark.parametrize("count", [1, 5, 15])
def test_few_samples_prove_little(folder: Path, count: int) -> None:
    images, labels = held_out()
    outputs = validated(folder, images, labels).outputs
    assert outputs is not None
    right = np.flatnonzero(outputs[:, 0] == labels)[:count]
    report = validated(folder, images[right], labels[right])
    assert report.ok
    assert report.comparison == "does not contradict the build, but so few samples prove little"


def test_another_clock_is_named_where_the_accuracy_is_worse(own: Path) -> None:
    images, labels = held_out()
    attach(own)
    write_hwh(own, 214.0)
    write_json(own, read_json(own))
    found = names(validated(own, 255 - images, labels))
    assert found == ["accuracy differs", "clock differs", "wrong input scaling"]


def test_without_a_figure_of_the_build_the_golden_samples_say_what_to_expect(own: Path) -> None:
    images, labels = held_out()
    data = read_json(own)
    data["accuracy"] = None
    write_json(own, data)
    assert validated(own, images, labels).comparison.startswith("agrees with the golden samples")
    assert names(validated(own, images.transpose(0, 1, 3, 2), labels)) == ["accuracy differs", "wrong layout"]


def test_a_metric_that_is_no_accuracy_is_not_compared(own: Path) -> None:
    images, labels = held_out()
    data = read_json(own)
    data["accuracy"].update(
        metric="agreement",
        k=None,
        kind="agreement",
        final={"step": "x", "value": 1.0, "samples": 500, "interval": None},
    )
    write_json(own, data)
    report = validated(own, images, labels)
    assert report.expected is None
    assert report.ok


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "no labels"),
        (np.zeros(499, int), "500 images but 499 labels"),
        (np.zeros((500, 10), int), "argmax"),
        (np.zeros(500), "float64"),
        ([[1], [2, 3]] * 250, "class index"),
        (np.ma.masked_array(np.zeros(500, int), mask=True), "masked"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(folder: Path, labels: np.ndarray, message: str) -> None:
    with pytest.raises(AcceleratorError, match=message) as caught:
        validated(folder, held_out()[0], labels)
    assert caught.value.name == "wrong labels"


def test_values_are_not_validated_as_classes(own: Path) -> None:
    data = read_json(own)
    data["contract"]["output"]["meaning"] = "values"
    write_json(own, data)
    with pytest.raises(AcceleratorError, match="not classes"):
        validated(own, *held_out())


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (5, 5), (444, 500), (1, 3), (9999, 10000)])
def test_the_interval_is_that_of_the_build_side(hits: int, count: int) -> None:
    assert Fraction(hits, count).interval == pytest.approx(wilson(hits, count))


@pytest.mark.parametrize(
    ("one", "other", "limits"),
    [  # method 10 of R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, table II
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((10, 10), (10, 10), (-0.2775, 0.2775)),
    ],
)
def test_shares_differ_as_newcombes_interval_says(
    one: tuple[int, int], other: tuple[int, int], limits: tuple[float, float]
) -> None:
    first, second = Fraction(*one), Fraction(*other)
    assert first.differs(second) == (limits[0] > 0)
    assert second.differs(first) == first.differs(second)
    room = math.hypot(first.value - first.interval[0], second.interval[1] - second.value)
    assert first.value - second.value - room == pytest.approx(limits[0], abs=1e-4)


def test_scores_are_ranked_with_the_lowest_index_first_among_equals(folder: Path) -> None:
    output = Bundle.load(folder).output
    scores = np.array([[1, 3, 3, 0]] * 4)
    as_scores = type(output)(**{**vars(output), "meaning": "scores", "shape": (4,)})
    labels = np.array([1, 2, 0, 7])
    assert right(scores, labels, as_scores, 1).tolist() == [True, False, False, False]
    assert right(scores, labels, as_scores, 2).tolist() == [True, True, False, False]
