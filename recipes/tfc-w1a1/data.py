"""The digits of ../digits-cnv at the 28x28 pixels that TFC takes."""

import importlib.util
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).parents[1] / "digits-cnv" / "data.py"


def load(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images as uint8, NCHW, [n, 1, 28, 28], 0 to 255, and labels, int64 [n], of the split "train" or "test"."""
    spec = importlib.util.spec_from_file_location("digits", SOURCE)  # by file: this module, too, is called data
    digits = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(digits)
    return digits.load(split, size=28)
