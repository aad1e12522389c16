"""Mistakes in data: each made to the held-out digits, and recognised on a classifier that really works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finnyaml.accelerator import Accelerator
from finnyaml.accelerator.checks.classes import Fraction
from finnyaml.accelerator.checks.diagnose import Case, recognise
from finnyaml.accelerator.checks.golden import load
from finnyaml.accelerator.checks.mistakes import possible
from finnyaml.accelerator.checks.report import ValidationReport
from finnyaml.accelerator.checks.validate import validate
from finnyaml.accelerator.contract import Bundle
from tests.bundle.digits import digits_bundle, held_out

SCALING, LAYOUT = "wrong input scaling", "wrong layout"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bundles by what the user gives: grey bytes, three channels of bytes, grey values of 0 to 1."""
    made = tmp_path_factory.mktemp("digits")
    return {
        "grey": digits_bundle(made / "grey"),
        "colour": digits_bundle(made / "colour", 3),
        "unit": digits_bundle(made / "unit", dtype="float32"),
    }


def data(kind: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = held_out(3 if kind == "colour" else 1)
    return ((images / 255).astype(np.float32) if kind == "unit" else images), labels


def validated(folder: Path, images: np.ndarray, labels: np.ndarray) -> ValidationReport:
    with Accelerator(folder, emulate=True) as accelerator:
        return validate(accelerator, images, labels)


ACCEPTED = [
    ("grey", lambda x: x.transpose(0, 1, 3, 2), LAYOUT, "height and width are exchanged"),
    ("grey", lambda x: (x / 255).astype(np.uint8), SCALING, "only 0 and 1 are left"),
    ("grey", lambda x: (x / 255 / 255).astype(np.uint8), SCALING, "divided by 255 more than once"),
    ("grey", lambda x: x - np.uint8(128), SCALING, "shifted by 128"),
    ("grey", lambda x: 255 - x, SCALING, "inverted"),
    ("colour", lambda x: x.transpose(0, 1, 3, 2), LAYOUT, "height and width are exchanged"),
    ("colour", lambda x: x[:, ::-1], LAYOUT, "channels are in reverse order"),
    ("colour", lambda x: x.transpose(0, 2, 3, 1).reshape(x.shape), LAYOUT, "NHWC bytes reshaped to NCHW"),
    ("colour", lambda x: (x / 255).astype(np.uint8), SCALING, "only 0 and 1 are left"),
    ("unit", lambda x: x / 255, SCALING, "divided by 255 twice"),
    ("unit", lambda x: x.transpose(0, 1, 3, 2), LAYOUT, "height and width are exchanged"),
    ("unit", lambda x: 1 - x, SCALING, "inverted"),
]


@pytest.mark.parametrize(("kind", "make", "name", "what"), ACCEPTED)
def test_a_mistake_that_the_accelerator_accepts_is_recognised(folders, kind, make, name, what) -> None:
    images, labels = data(kind)
    report = validated(folders[kind], make(images), labels)
    assert [problem.name for problem in report.problems] == ["accuracy differs", name]
    assert what in report.problems[1].message
    assert "the golden samples, made wrong in the same way, are right in" in report.problems[1].message
    assert report.exit_code == 1


REFUSED = [
    ("grey", lambda x: (x / 255).astype(np.float32), "wrong dtype", SCALING, "divided by 255, to 0 to 1"),
    ("grey", lambda x: x / 255 / 255, "wrong dtype", SCALING, "divided by 255 twice"),
    ("grey", lambda x: x.astype(np.float32), "wrong dtype", "wrong dtype", "float32 instead of uint8, with the right"),
    ("grey", lambda x: x.astype(np.int64), "wrong dtype", "wrong dtype", "int64 instead of uint8, with the right"),
    ("grey", lambda x: (x.astype(int) - 128).astype(np.int8), "wrong dtype", SCALING, "bytes less 128"),
    ("unit", lambda x: (x * 255).astype(np.float32), SCALING, SCALING, "bytes of 0 to 255"),
    ("unit", lambda x: np.rint(x * 255).astype(np.uint8), "wrong dtype", SCALING, "bytes of 0 to 255"),
]


@pytest.mark.parametrize(("kind", "make", "refusal", "name", "what"), REFUSED)
def test_of_refused_images_more_is_said(folders, kind, make, refusal, name, what) -> None:
    images, labels = data(kind)
    report = validated(folders[kind], make(images), labels)
    assert [problem.name for problem in report.problems] == [refusal, name]
    assert what in report.problems[1].message
    assert report.found is None
    assert report.exit_code == 2


def test_images_of_another_shape_are_only_refused(folders) -> None:
    images, labels = data("colour")
    report = validated(folders["colour"], images.transpose(0, 2, 3, 1), labels)
    assert [problem.name for problem in report.problems] == ["wrong layout"]
    assert report.exit_code == 2


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_what_is_no_known_mistake_is_not_called_one(folders, kind) -> None:
    """Noise in the images, other images altogether, pixels in no order at all, and images upside down."""
    images, labels = data(kind)
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, images.shape).astype(np.uint8)
    pixels = random.permutation(64)
    for wrong in (
        np.where(random.random(images.shape) < 0.6, noise, images),
        noise,
        images.reshape(*images.shape[:2], 64)[..., pixels].reshape(images.shape),
        images[:, :, ::-1],
    ):
        report = validated(folders[kind], wrong, labels)
        assert [problem.name for problem in report.problems] == ["accuracy differs"]
        assert "not recognised" in report.notes[-1]
        assert len(report.tried) > 3


def test_text_is_refused_and_nothing_is_tried(folders) -> None:
    images, labels = data("grey")
    report = validated(folders["grey"], images.astype("U3"), labels)
    assert [problem.name for problem in report.problems] == ["wrong dtype"]
    assert report.tried == ()


def test_a_mistake_that_does_no_harm_is_not_called_the_cause(folders) -> None:
    """A stand-in for a network that does not care which side is up; wrong labels are what makes the accuracy worse."""

    class Symmetric:
        bundle = Bundle.load(folders["grey"])

        def predict(self, images: np.ndarray) -> np.ndarray:
            with Accelerator(folders["grey"], emulate=True) as accelerator:
                upright = images if images[0, 0, 0].sum() > images[0, 0, :, 0].sum() else images.transpose(0, 1, 3, 2)
                return accelerator.predict(upright)

    images, labels = data("grey")
    expected = Fraction.of(validated(folders["grey"], images, labels).outputs[:, 0] == labels)
    outputs = Symmetric().predict(images)
    wrong = np.flatnonzero(outputs[:, 0] == labels)[::20]
    labels[wrong] = (labels[wrong] + 5) % 10
    problem, tried = recognise(Case(Symmetric(), load(Symmetric.bundle), images, labels, outputs, expected, 1))
    assert problem is None
    (harmless,) = [trial for trial in tried if "height and width" in trial.what]
    assert harmless.undone is not None
    assert not harmless.undone.differs(expected)


@pytest.mark.parametrize(("given", "recognised_as"), [(1, SCALING), (2, None)])
def test_a_mistake_that_cannot_be_undone_has_to_give_the_same_classes(folders, given, recognised_as) -> None:
    """A stand-in for a network that answers 1 to golden samples with the mistake, and `given` to the data."""

    class Constant:
        bundle = Bundle.load(folders["grey"])

        def predict(self, images: np.ndarray) -> np.ndarray:
            return np.ones((len(images), 1), np.int64)

    images, labels = data("grey")
    golden = load(Constant.bundle)
    lost, outputs = (images / 255).astype(np.uint8), np.full((len(images), 1), given)
    problem, _ = recognise(Case(Constant(), golden, lost, labels, outputs, Fraction(440, 500), 1))
    assert (problem.name if problem else None) == recognised_as


def test_labels_that_count_from_one_are_recognised(folders) -> None:
    images, labels = data("grey")
    report = validated(folders["grey"], images[:300], labels[:300] + 1)
    assert "the labels count from 1" in report.problems[-1].message
    assert {problem.name for problem in report.problems[1:]} == {"wrong labels"}


@pytest.mark.parametrize("kind", ["grey", "colour", "unit"])
def test_undoing_a_mistake_gives_the_images_back(folders, kind) -> None:
    bundle = Bundle.load(folders[kind])
    images, _ = data(kind)
    found = possible(bundle.input, images, images)
    assert len(found) > 1
    for mistake in found:
        assert mistake.make is not None
        assert mistake.undo is not None
        wrong = mistake.make(images)
        assert wrong.shape == images.shape
        np.testing.assert_allclose(mistake.undo(wrong), images, atol=1e-6)
        assert not np.array_equal(wrong, images)


def test_a_fractional_image_has_no_mistakes_of_integers_and_a_vector_none_of_axes(folders) -> None:
    wanted = Bundle.load(folders["unit"]).input
    images, _ = data("unit")
    assert not any("shifted" in mistake.what for mistake in possible(wanted, images, images))
    vector = type(wanted)(**{**vars(wanted), "shape": (7,), "layout": None})
    flat = images.reshape(len(images), -1)[:, :7]
    assert not any(mistake.name == LAYOUT for mistake in possible(vector, flat, flat))
