"""How fast an accelerator is, with and without what the host does around it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from .report import Speed

if TYPE_CHECKING:
    from ..accelerator import Accelerator
    from .golden import Golden

BATCH = 256
"""Images that are handed over at once for the throughput."""


def measure(accelerator: Accelerator, golden: Golden, seconds: float) -> Speed:
    """The speed on golden samples; each of its four figures is measured for so many seconds."""
    times = -(-BATCH // len(golden))
    images, values = (np.concatenate([array] * times)[:BATCH] for array in (golden.inputs, golden.accelerator_inputs))
    return Speed(
        len(images),
        len(values) / _seconds(lambda: accelerator.run(values), seconds),
        len(images) / _seconds(lambda: accelerator.predict(images), seconds),
        1000 * _seconds(lambda: accelerator.run(values[:1]), seconds),
        1000 * _seconds(lambda: accelerator.predict(images[:1]), seconds),
    )


def _seconds(call: Callable[[], Any], seconds: float) -> float:
    """What a call takes: the median of as many as there is time for, so that an interruption does not count."""
    found: list[float] = []
    while not found or sum(found) < seconds:
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return float(np.median(found))
