"""What the tests know of the two stitched layers of `two_layer_design`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class TwoLayers:
    """folder: the design. inputs [frames, 3, 8] and outputs [frames, 3, 6], as numpy computes them."""

    folder: Path
    inputs: np.ndarray
    outputs: np.ndarray
