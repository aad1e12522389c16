"""The picture of a loss: what is in it, and that it is the same every time."""

from __future__ import annotations

import io

import numpy as np
import pytest

from finnyaml.verify.bisect import picture
from finnyaml.verify.bisect.result import TensorFinding, Where


def finding(wrong: np.ndarray, *channels: int) -> TensorFinding:
    where = Where("channels", "all of it", channels=channels)
    return TensorFinding("t", "Conv_1", "Conv", (1,), "a layer", "t", float(wrong.mean()), 1.0, 2.0, len(wrong), where)


def bordered(channels: int) -> np.ndarray:
    """wrong [4, channels, 6, 8]: half of the samples, in the outer 2 pixels."""
    wrong = np.zeros((4, channels, 6, 8), bool)
    wrong[:2] = True
    wrong[..., 2:-2, 2:-2] = False
    return wrong


@pytest.mark.parametrize("axis", [1, 3])
def test_the_heat_map_and_the_bars_show_fractions(axis: int) -> None:
    wrong = bordered(3)
    wrong[:, 1] = False
    expected = np.full((6, 8), 1 / 3)
    expected[2:-2, 2:-2] = 0
    made = picture.figure(np.moveaxis(wrong, 1, axis), axis, finding(wrong), "tidy_up: Something")
    heat, bars, _ = made.axes
    np.testing.assert_allclose(heat.images[0].get_array(), expected)
    assert [(bar.get_x() + 0.4, bar.get_height()) for bar in bars.patches] == [(0, 40 / 96), (2, 40 / 96)]
    assert [text.get_text() for text in bars.texts] == ["42 %", "42 %"]


def test_sound_channels_do_not_make_the_heat_map_pale() -> None:
    wrong = bordered(4)
    wrong[:, 1:] = False
    made = picture.figure(wrong, 1, finding(wrong, 0), "x")
    assert made.axes[0].images[0].get_array().max() == 0.5
    assert made.axes[0].get_title() == "elements that differ, by pixel (wrong channels only)"


@pytest.mark.parametrize(("shape", "axis"), [((5, 7), 1), ((5, 7), None), ((5, 7, 1, 1), 1)])
def test_what_is_no_image_has_bars_only(shape: tuple[int, ...], axis: int | None) -> None:
    wrong = np.zeros(shape, bool)
    wrong[0, 3] = True
    (bars,) = picture.figure(wrong, axis, finding(wrong), "x").axes
    assert [(bar.get_x() + 0.4, bar.get_height()) for bar in bars.patches] == [(3, 0.2)]


def pixels(png: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("channels", [40, 4096])
def test_one_wrong_channel_of_many_is_seen(channels: int) -> None:
    wrong = np.zeros((4, channels), bool)
    wrong[:, channels // 2] = True
    red, green, blue = np.moveaxis(pixels(picture.draw(wrong, 1, finding(wrong), "x")), -1, 0)
    column = ((red > 180) & (green < 100) & (blue < 100)).sum(axis=0)
    assert column.max() > 200


def test_all_words_are_there_and_inside() -> None:
    wrong = bordered(3)
    made = picture.figure(wrong, 1, finding(wrong), "a very long name of a transformation " * 8)
    made.draw_without_rendering()
    texts = [text for text in made.texts if text.get_text()]
    said = " ".join(" ".join(text.get_text() for text in texts).split())
    assert said.count("transformation") == 8
    assert "Conv_1: a layer 42 % of its elements differ: all of it" in said
    for text in texts:
        box = text.get_window_extent()
        assert made.bbox.x0 <= box.x0 and box.x1 <= made.bbox.x1 and made.bbox.y0 <= box.y0 and box.y1 <= made.bbox.y1


def test_it_is_the_same_every_time() -> None:
    import matplotlib

    wrong = bordered(3)
    one = picture.draw(wrong, 1, finding(wrong), "x")
    assert one.startswith(b"\x89PNG")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "blue"}):
        assert picture.draw(wrong, 1, finding(wrong), "x") == one
