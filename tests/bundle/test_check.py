"""Images that are not what the contract says: each mistake by its name, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from finnyaml.accelerator import AcceleratorError, Bundle
from finnyaml.accelerator.checks.check import check_images
from finnyaml.accelerator.numbers.datatypes import parse
from tests.bundle.sample import IMAGE, sample_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Takes uint8 [n, 2, 4, 6], NCHW, 0 to 255."""
    return Bundle.load(sample_bundle(tmp_path_factory.mktemp("sample")))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, *IMAGE)).astype(np.uint8)


def with_input(bundle: Bundle, **changes: object) -> Bundle:
    return replace(bundle, input=replace(bundle.input, **changes))


def refused(images: np.ndarray, bundle: Bundle) -> AcceleratorError:
    with pytest.raises(AcceleratorError) as caught:
        check_images(images, bundle)
    assert caught.value.hint
    return caught.value


def test_images_as_the_contract_says_pass_as_they_are(bundle: Bundle, images: np.ndarray) -> None:
    assert check_images(images, bundle) is images
    assert check_images(list(images), bundle).shape == images.shape
    assert check_images(images[:0], bundle).shape == (0, *IMAGE)


def test_divided_by_255_already(bundle: Bundle, images: np.ndarray) -> None:
    error = refused(images.astype(np.float32) / 255, bundle)
    assert error.name == "wrong dtype" and "float32" in error.message and "uint8" in error.message
    assert "wrong input scaling" in error.hint and "scaled already" in error.hint


SCALED = [
    (lambda x: x / 255, True),
    (lambda x: np.minimum(x, 100) / 255, True),
    (lambda x: (x / 255).astype(np.float16), True),
    (lambda x: x / 127.5 - 1, True),
    (lambda x: (x / 127.5 - 1).astype(np.float16), True),
    (lambda x: x / 255 / 255, False),
    (lambda x: (x / 127.5 - 1) / 255, False),
    (lambda x: x / 255 - 0.5, False),
    (lambda x: x / 256, False),
    (lambda x: x / 512, False),
    (lambda x: (x / 255 - 0.45) / 0.6, False),
    (lambda x: x / 128 - 1, False),
    (lambda x: (x - x.mean()) / 255, False),
    (lambda x: x // 255 / 1, False),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("mistake", "known"), SCALED)
def test_a_hint_for_scaled_images_gives_the_original_ones_or_there_is_none(
    bundle: Bundle, images: np.ndarray, mistake: Callable[[np.ndarray], np.ndarray], known: bool, dtype: type
) -> None:
    wrong = mistake(images.astype(np.float64))
    wrong = wrong if wrong.dtype == np.float16 else wrong.astype(dtype)
    hint = refused(wrong, bundle).hint
    assert ("astype" in hint) == known
    if known:
        expression = hint.partition(", or ")[2]
        original = np.minimum(images, 100) if wrong.min() >= 0 and wrong.max() < 0.5 else images
        np.testing.assert_array_equal(eval(expression, {"np": np, "images": wrong}), original)
    else:
        assert "as the data set of the build has them" in hint


def test_scaled_images_for_signed_integers_have_no_expression(bundle: Bundle, images: np.ndarray) -> None:
    signed = with_input(bundle, dtype=np.dtype(np.int8), datatype=parse("INT8"), range=(-128, 127))
    for wrong in (images / 255, images / 127.5 - 1):
        assert "astype" not in refused(wrong, signed).hint


@pytest.mark.parametrize("ragged", [True, False])
def test_lists_of_images(bundle: Bundle, images: np.ndarray, ragged: bool) -> None:
    given = [images[0], images[1][:, :3]] if ragged else list(images)
    if ragged:
        assert "several shapes" in refused(given, bundle).message
        assert refused([[1, 2], [3]], bundle).name == "wrong shape"
    else:
        np.testing.assert_array_equal(check_images(given, bundle), images)


@pytest.mark.parametrize(
    ("given", "says", "hint"),
    [
        (None, "images are None", "hand over an array"),
        ((image for image in ()), "of the type generator, not an array", "list(images) takes them all"),
        (iter([1]), "not an array", "list(images) takes them all"),
        ({"images": 1}, "of the type dict, not an array", "hand over an array"),
        ([None, None], "image 0 is None", "hand over an array"),
    ],
    ids=["None", "generator", "iterator", "dict", "list of None"],
)
def test_what_is_not_an_array(bundle: Bundle, given: object, says: str, hint: str) -> None:
    error = refused(given, bundle)
    assert (error.name, says in error.message, hint in str(error.hint)) == ("wrong dtype", True, True), error


def test_masked_images(bundle: Bundle, images: np.ndarray) -> None:
    error = refused(np.ma.masked_array(images, images < 3), bundle)
    assert error.name == "wrong dtype" and "mask" in error.message and "filled" in error.hint


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint16"])
def test_another_dtype_with_the_same_values(bundle: Bundle, images: np.ndarray, dtype: str) -> None:
    error = refused(images.astype(dtype), bundle)
    assert error.name == "wrong dtype" and error.hint == "all values fit: images.astype(np.uint8)"


def test_another_dtype_with_values_that_would_wrap(bundle: Bundle, images: np.ndarray) -> None:
    assert "from -7 to" in refused(images.astype(np.int16) - 7, bundle).hint
    signed = with_input(bundle, dtype=np.dtype(np.int8), datatype=parse("INT8"), range=(-128, 127))
    error = refused(images, signed)
    assert error.name == "wrong dtype" and "-128 to 127, and a cast would wrap them" in error.hint


def test_no_numbers_at_all(bundle: Bundle) -> None:
    assert refused(np.array([["a"]]), bundle).name == "wrong dtype"


def test_integers_for_a_float_input(bundle: Bundle, images: np.ndarray) -> None:
    floats = with_input(bundle, dtype=np.dtype(np.float32), datatype=parse("FLOAT32"), range=(0, 1))
    for given in (images, images.astype(np.int64), images.astype(np.float64), np.minimum(images, 230)):
        error = refused(given, floats)
        expression = error.hint.partition("divide them by 255: ")[2]
        fixed = eval(expression, {"np": np, "images": given})
        np.testing.assert_array_equal(fixed, given.astype(np.float32) / np.float32(255))
        assert error.name == "wrong dtype" and check_images(fixed, floats) is fixed
    for sixteenths in (images // 16, images / 255 / 255):
        assert "astype" not in refused(sixteenths, floats).hint
    assert "255" not in refused((images // 16).astype(np.float32), floats).hint
    error = refused(images.astype(np.float32), floats)
    assert error.name == "wrong input scaling" and error.hint == "divide them by 255"
    assert check_images(images.astype(np.float32) / np.float32(255), floats) is not None


def test_channels_last(bundle: Bundle, images: np.ndarray) -> None:
    error = refused(images.transpose(0, 2, 3, 1), bundle)
    assert error.name == "wrong layout" and "(NCHW)" in error.message and error.hint == "images.transpose(0, 3, 1, 2)"


def test_channels_first(bundle: Bundle, images: np.ndarray) -> None:
    nhwc = with_input(bundle, shape=(4, 6, 2), layout="NHWC")
    error = refused(images, nhwc)
    assert error.name == "wrong layout" and error.hint == "images.transpose(0, 2, 3, 1)"


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (0, 1, 3, 2), (0, 3, 2, 1)])
def test_the_hint_for_a_layout_is_right(bundle: Bundle, images: np.ndarray, order: tuple[int, ...]) -> None:
    given = images.transpose(order)
    fixed = eval(refused(given, bundle).hint, {"images": given})
    np.testing.assert_array_equal(fixed, images)


def test_one_image_without_a_batch_axis(bundle: Bundle, images: np.ndarray) -> None:
    error = refused(images[0], bundle)
    assert error.name == "wrong shape" and "batch axis is missing" in error.message
    assert "images[np.newaxis]" in error.hint
    error = refused(images[0].transpose(1, 2, 0), bundle)
    assert error.name == "wrong layout" and error.hint.startswith("images.transpose(2, 0, 1)[np.newaxis]")


def test_another_size(bundle: Bundle, images: np.ndarray) -> None:
    assert refused(images[:, :, :3], bundle).name == "wrong shape"
    assert refused(np.uint8(3), bundle).name == "wrong shape"
    assert (
        "images.reshape(-1, 2, 4, 6), if they are in the order of NCHW" in refused(images.reshape(5, 48), bundle).hint
    )
    grey = with_input(bundle, shape=(1, 4, 6))
    assert refused(images[:, 0], grey).hint == "images.reshape(-1, 1, 4, 6)"


def test_values_out_of_range(bundle: Bundle, images: np.ndarray) -> None:
    narrow = with_input(bundle, range=(0, 15))
    error = refused(np.concatenate([images[:2] & 15, images[2:] | 16]), narrow)
    assert (
        error.name == "wrong range"
        and error.message.startswith("image 2 has values from")
        and "0 to 15" in error.message
    )


@pytest.mark.parametrize("limits", [None, (0, 255)])
def test_nan(bundle: Bundle, images: np.ndarray, limits: tuple[int, int] | None) -> None:
    floats = with_input(bundle, dtype=np.dtype(np.float32), datatype=parse("FLOAT32"), range=limits)
    damaged = images.astype(np.float32)
    check_images(damaged, floats)
    damaged[3, 1, 2, 2] = np.nan
    error = refused(damaged, floats)
    assert error.name == "wrong range" and "NaN in image 3" in error.message
    assert "there is NaN among them" in refused(damaged, bundle).hint


def test_fractions_for_whole_numbers(bundle: Bundle, images: np.ndarray) -> None:
    """The build's graph takes UINT8 in float32."""
    floats = with_input(bundle, dtype=np.dtype(np.float32))
    whole = images.astype(np.float32)
    assert check_images(whole, floats) is whole
    assert refused(whole / 255, floats).name == "wrong input scaling"
    assert refused(whole + 0.5, floats).name == "wrong range"
