"""The mismatches as a picture: a heat map over the pixels, and bars per channel."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from finnyaml.verify.bisect.result import TensorFinding
from finnyaml.verify.bisect.where import image_axes

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_SIDE = 400
_MARGIN = 70
_TOP = 110
_GAP = 150
_INK, _FAINT = (30, 30, 30), (110, 110, 110)
# From "none" to "all": light to dark, so that it reads in grey and with any colour vision.
_COLOURS = np.array([(247, 247, 247), (253, 212, 158), (252, 141, 89), (215, 48, 31), (103, 0, 13)], float)

Box = tuple[int, int, int, int]


def draw(wrong: np.ndarray, axis: int | None, finding: TensorFinding, title: str) -> bytes:
    """A PNG of where a tensor is wrong.

    Args:
        wrong: which elements [n, ...] differ.
        axis: the tensor's channel axis, or None.
        finding: what the picture is about; its words stand over it.
        title: the first line, which says in what it happened.
    """
    from PIL import Image, ImageDraw

    panels = _panels(wrong, axis, finding.where.channels)
    lines = [
        (18, _INK, title),
        (14, _FAINT, f"{finding.node}: {finding.layer}"),
        (14, _FAINT, f"{100 * finding.share:.1f} % of its elements differ: {finding.where.text}"),
    ]
    widths = [
        len(panels) * (_SIDE + _GAP) - _GAP // 2,
        *(round(_font(height).getlength(line)) for height, _, line in lines),
    ]
    size = (2 * _MARGIN + max(widths), _TOP + _SIDE + _MARGIN)
    image = Image.new("RGB", size, "white")
    canvas = ImageDraw.Draw(image)
    for top, (height, ink, line) in zip((14, 42, 62), lines, strict=True):
        canvas.text((_MARGIN, top), line, ink, _font(height))
    for number, (name, labels, shares) in enumerate(panels):
        left = _MARGIN + number * (_SIDE + _GAP)
        box = (left, _TOP, left + _SIDE, _TOP + _SIDE)
        canvas.text((left, _TOP - 22), name, _INK, _font(14))
        if shares.ndim == 2:
            _heat_map(canvas, box, shares, labels)
        else:
            _bars(canvas, box, shares, labels[0])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _panels(
    wrong: np.ndarray, axis: int | None, channels: tuple[int, ...]
) -> list[tuple[str, tuple[str, str], np.ndarray]]:
    """What to draw: title, names of the axes (x, y), shares [h, w] or [channels]."""
    panels: list[tuple[str, tuple[str, str], np.ndarray]] = []
    axes = image_axes(wrong, axis)
    if axes is not None:
        shown = wrong.take(channels, axis) if channels else wrong  # sound channels would only make it pale
        others = tuple(other for other in range(wrong.ndim) if other not in axes)
        title = "share of differing elements per pixel" + (" of the wrong channels" if channels else "")
        panels.append((title, ("column", "row"), shown.mean(axis=others)))
    if axis is None:
        per_channel = wrong.reshape(len(wrong), -1).mean(axis=0)
    else:
        per_channel = wrong.mean(axis=tuple(other for other in range(wrong.ndim) if other != axis))
    panels.append(("share of differing elements per channel", ("channel", ""), per_channel))
    return panels


def _heat_map(canvas: ImageDraw, box: Box, shares: np.ndarray, labels: tuple[str, str]) -> None:
    left, top, _, _ = box
    cell = _SIDE / max(shares.shape)
    scale = float(shares.max())
    height, width = shares.shape
    for (row, column), share in np.ndenumerate(shares):
        corner = (round(left + column * cell), round(top + row * cell))
        opposite = (round(left + (column + 1) * cell) - 1, round(top + (row + 1) * cell) - 1)
        canvas.rectangle((corner, opposite), fill=_colour(share / scale))
        if cell >= 38:
            middle = (left + (column + 0.5) * cell, top + (row + 0.5) * cell)
            ink = "white" if share > 0.6 * scale else _INK
            canvas.text(middle, _percent(share), ink, _font(11), anchor="mm")
    right, bottom = round(left + width * cell), round(top + height * cell)
    canvas.rectangle((left - 1, top - 1, right, bottom), outline=_INK)
    for tick in _ticks(width):
        canvas.text((left + (tick + 0.5) * cell, bottom + 5), str(tick), _FAINT, _font(12), anchor="mt")
    for tick in _ticks(height):
        canvas.text((left - 6, top + (tick + 0.5) * cell), str(tick), _FAINT, _font(12), anchor="rm")
    canvas.text(((left + right) / 2, bottom + 24), labels[0], _INK, _font(13), anchor="mt")
    canvas.text((left - 30, (top + bottom) / 2), labels[1], _INK, _font(13), anchor="rm")
    _colour_bar(canvas, (right + 16, top, right + 32, bottom), scale)


def _colour_bar(canvas: ImageDraw, box: Box, scale: float) -> None:
    left, top, right, bottom = box
    for line in range(top, bottom):
        canvas.line((left, line, right, line), fill=_colour((bottom - line) / (bottom - top)))
    canvas.rectangle(box, outline=_INK)
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - part * (bottom - top)
        canvas.line((right, y, right + 4, y), fill=_INK)
        canvas.text((right + 8, y), _percent(part * scale), _FAINT, _font(12), anchor="lm")


def _bars(canvas: ImageDraw, box: Box, shares: np.ndarray, label: str) -> None:
    left, _, right, bottom = box
    scale = float(shares.max())
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - part * _SIDE
        canvas.line((left, y, right, y), fill=(225, 225, 225))
        canvas.text((left - 6, y), _percent(part * scale), _FAINT, _font(12), anchor="rm")
    width = _SIDE / len(shares)
    gap = 1 if width >= 3 else 0
    for channel, share in enumerate(shares):
        if share > 0:
            edges = round(left + channel * width), round(left + (channel + 1) * width) - gap
            height = max(round(share / scale * _SIDE), 2)  # a rare mismatch must not vanish
            canvas.rectangle((edges[0], bottom - height, max(edges), bottom), fill=_colour(0.75))
            if len(shares) <= 10:
                tall = height > 20  # then the figure goes into the bar
                spot = (sum(edges) / 2, bottom - height + (5 if tall else -4))
                ink = "white" if tall else _FAINT
                canvas.text(spot, _percent(share), ink, _font(11), anchor="mt" if tall else "mb")
    canvas.line((left, bottom, right, bottom), fill=_INK)
    for channel in _ticks(len(shares)):
        canvas.text((left + (channel + 0.5) * width, bottom + 5), str(channel), _FAINT, _font(12), anchor="mt")
    canvas.text(((left + right) / 2, bottom + 24), label, _INK, _font(13), anchor="mt")


def _ticks(size: int) -> range:
    step = next(step for step in (1, 2, 4, 5, 8, 16, 32, 64, 128, 256, 512, size) if size / step <= 12)
    return range(0, size, step)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.2g} %"


def _colour(part: float) -> tuple[int, int, int]:
    position = float(np.clip(part, 0, 1)) * (len(_COLOURS) - 1)
    red, green, blue = (np.interp(position, range(len(_COLOURS)), _COLOURS[:, band]) for band in range(3))
    return int(red), int(green), int(blue)


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
