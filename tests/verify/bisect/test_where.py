"""Fits and patterns, on made-up arrays."""

import numpy as np
import pytest

from finnyaml.verify.bisect.fit import Fit, affine, is_affine
from finnyaml.verify.bisect.where import where


@pytest.fixture
def random():
    return np.random.default_rng(1)


def fit_with(wrong, values=None):
    values = np.arange(wrong.size, dtype=float).reshape(wrong.shape) if values is None else values
    return values, Fit(values + wrong, ~wrong)


@pytest.mark.parametrize("axis", [None, 1, 3])
def test_an_affine_map_is_found_though_many_elements_differ(random, axis):
    a = random.integers(-50, 50, (8, 6, 10, 4)).astype(np.float32)
    shape = [1 if axis is None or index != axis else a.shape[index] for index in range(4)]
    scale, offset = random.uniform(0.5, 2, shape) * random.choice([-1, 1], shape), random.normal(size=shape)
    b = (a * scale + offset).astype(np.float32)
    wrong = random.random(b.shape) < 0.6
    b[wrong] += random.integers(1000, 3000, wrong.sum())
    fit = affine(a, b, axis)
    assert np.array_equal(fit.agree, ~wrong)
    assert np.allclose(fit.expected, a * scale + offset, atol=0.2)


def test_one_wrong_element_among_many_is_seen(random):
    a = random.integers(-1000, 1000, (16, 20, 20, 16)).astype(np.float32)
    b = 2 * a + 3
    b[3, 4, 5, 6] += 1
    assert np.argwhere(~affine(a, b, None).agree).tolist() == [[3, 4, 5, 6]]
    assert not is_affine(a, b, None) and not is_affine(a, b, 3)
    b[3, 4, 5, 6] -= 1
    assert is_affine(a, b, None) and is_affine(a, b, 3)


def test_float_rounding_is_no_difference(random):
    a = random.normal(size=(16, 100)).astype(np.float32)
    b = ((a.astype(np.float64) * 0.1) / 0.3 + 7).astype(np.float32)
    assert affine(a, b, None).agree.all() and is_affine(a, b, None)


@pytest.mark.parametrize(("b", "agrees"), [(2.0, True), (None, False)])
def test_a_constant_equals_constants_only(random, b, agrees):
    other = np.full((4, 50), b) if b is not None else random.normal(size=(4, 50))
    for pair in ((np.full((4, 50), 7.0), other), (other, np.full((4, 50), 7.0))):
        assert affine(*pair, None).agree.all() == agrees
        assert is_affine(*pair, None) == agrees


def test_two_levels_may_be_exchanged():
    a = np.array([[0, 1, 1, 0, 1, 0, 0, 1]] * 4, float)
    assert affine(a, 1 - 2 * a, None).agree.all()


@pytest.mark.parametrize("axis", [1, 3])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_border(axis, width):
    wrong = np.ones((4, 20, 20, 20), bool)
    inner = [slice(None)] + [slice(None) if index == axis else slice(width, -width) for index in (1, 2, 3)]
    wrong[tuple(inner)] = False
    found = where(*fit_with(wrong), axis)
    assert (found.kind, found.width, found.channels) == ("border", width, ())
    assert "outer" in found.text


def test_a_border_on_two_sides_only():
    wrong = np.zeros((4, 10, 10, 8), bool)
    wrong[:, -2:], wrong[:, :, -2:] = True, True
    assert where(*fit_with(wrong), 3).kind == "border"


def test_a_few_wrong_pixels_at_the_edge_are_no_border():
    wrong = np.zeros((4, 10, 10, 8), bool)
    wrong[:, 0, :3] = True
    assert where(*fit_with(wrong), 3).kind == "spread"


@pytest.mark.parametrize("shape", [(4, 10, 10, 16), (4, 16)])
def test_single_channels(random, shape):
    wrong = np.zeros(shape, bool)
    wrong[..., [2, 7]] = random.random((*shape[:-1], 2)) < 0.9
    found = where(*fit_with(wrong), len(shape) - 1)
    assert (found.kind, found.channels) == ("channels", (2, 7))
    assert found.text == "all mismatches lie in channels 2 and 7"


@pytest.mark.parametrize("sign", [1, -1])
def test_saturation(random, sign):
    expected = sign * random.integers(0, 100, (4, 10, 10, 8)).astype(float)
    values = np.clip(expected, -50, 50)
    found = where(values, Fit(expected, values == expected), 3)
    assert (found.kind, found.text) == ("saturated", f"the values are clipped at {50 * sign}")


def test_saturation_on_both_sides(random):
    expected = random.normal(0, 40, (4, 10, 10, 8))
    values = np.clip(expected, -64, 63)
    found = where(values, Fit(expected, values == expected), 3)
    assert (found.kind, found.text) == ("saturated", "the values are clipped at -64 and 63")


def test_all_over(random):
    wrong = random.random((4, 10, 10, 8)) < 0.3
    found = where(*fit_with(wrong), 3)
    assert (found.kind, found.text) == ("spread", "the mismatches are spread over the whole image")
