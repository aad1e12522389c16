"""The mismatches as a picture: a heat map over the pixels, and bars per channel."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from finnyaml.verify.bisect.result import TensorFinding
from finnyaml.verify.bisect.where import image_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

WIDTHS, HEIGHT, DPI = {1: 7.0, 2: 11.0}, 5.0, 110
"""In inches, by the number of panels."""
LETTERS = 12
"""Of the text on one inch."""
COLOURS, BAR = "OrRd", "#d7301f"
"""Light to dark, so that it reads in grey and with any colour vision."""
FEW, MANY = 12, 100
"""Up to so many rows, columns or channels have their numbers written in; from so many on, bars have no gaps."""


def draw(wrong: np.ndarray, axis: int | None, finding: TensorFinding, title: str) -> bytes:
    """A PNG of where a tensor is wrong; the same bytes for the same input.

    wrong: which elements differ, bool [n, ...]. axis: the tensor's channel axis, or None. finding: what the picture is
    about, in words below it. title: what stands above it, which says in what it happened.
    """
    import matplotlib.style

    buffer = io.BytesIO()
    with matplotlib.style.context("default"):  # whatever the code of a step has set
        figure(wrong, axis, finding, title).savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def figure(wrong: np.ndarray, axis: int | None, finding: TensorFinding, title: str) -> Figure:
    """The picture, not yet drawn; arguments as of `draw`: wrong is bool [n, ...]."""
    from matplotlib.figure import Figure  # without pyplot: no windows, nothing that outlives the picture
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    axes = image_axes(wrong, axis)
    count = 1 if axes is None else 2
    width = WIDTHS[count]
    made = Figure((width, HEIGHT), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    panels = list(made.subplots(1, count, squeeze=False)[0])
    said = (
        f"{finding.node}: {finding.layer}",
        f"{_percent(finding.fraction)} of its elements differ: {finding.where.text}",
    )
    made.suptitle(textwrap.fill(title, int(width * LETTERS * 0.8)), x=0.02, ha="left", weight="bold")
    made.supxlabel("\n".join(textwrap.fill(line, int(width * LETTERS)) for line in said), x=0.02, ha="left", size=10)
    if axes is not None:
        channels = finding.where.channels
        shown = wrong.take(channels, axis) if channels else wrong  # sound channels would only make it pale
        others = tuple(other for other in range(wrong.ndim) if other not in axes)
        image = _heat_map(panels[0], shown.mean(axis=others))
        made.colorbar(image, ax=panels[0], format=lambda value, _: _percent(value))
        panels[0].set_title(f"elements that differ, by pixel{' (wrong channels only)' if channels else ''}")
    others = (0,) if axis is None else tuple(other for other in range(wrong.ndim) if other != axis)
    _bars(panels[-1], wrong.mean(axis=others).ravel())
    panels[-1].set_title("elements that differ, by channel")
    return made


def _heat_map(panel: Axes, fractions: np.ndarray) -> AxesImage:
    """fractions [h, w], 0 to 1."""
    narrow = max(fractions.shape) > 3 * min(fractions.shape)
    image = panel.imshow(fractions, cmap=COLOURS, vmin=0, aspect="auto" if narrow else "equal")
    panel.set(xlabel="column", ylabel="row")
    if max(fractions.shape) <= FEW:
        for (row, column), value in np.ndenumerate(fractions):
            ink = "white" if value > 0.6 * fractions.max() else "black"
            panel.text(column, row, _percent(value), ha="center", va="center", color=ink, size=8)
    panel.locator_params(integer=True)
    return image


def _bars(panel: Axes, fractions: np.ndarray) -> None:
    """fractions [channels], 0 to 1."""
    channels = np.arange(len(fractions))
    if len(channels) < MANY:
        hit = np.flatnonzero(fractions)
        bars = panel.bar(hit, fractions[hit], fc=BAR, ec=BAR)  # the edge shows even a rare mismatch
        if len(channels) <= FEW:
            panel.bar_label(bars, [_percent(value) for value in fractions[hit]], size=8)
    else:
        panel.stairs(fractions, np.append(channels, len(channels)) - 0.5, fill=True, fc=BAR, ec=BAR, lw=1)
    panel.set(xlabel="channel", xlim=(-0.6, len(channels) - 0.4), ylim=(0, 1.1 * fractions.max()))
    panel.locator_params("x", integer=True)
    panel.yaxis.set_major_formatter(lambda value, _: _percent(value))
    panel.grid(axis="y", color="#e0e0e0")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %" if fraction >= 0.1 or fraction == 0 else f"{100 * fraction:.2g} %"
