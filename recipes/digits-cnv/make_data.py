"""Write `digits.npz` from scikit-learn's copy of the handwritten digits. Run once; the result is committed.

Needs scikit-learn. The split is a fixed permutation, so everyone measures on the same held-out images:

    python make_data.py
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TRAIN_IMAGES = 1297


def main() -> None:
    """Write images (uint8 [1797, 8, 8], 0..16), labels (uint8 [1797]) and the indices of both splits (uint16)."""
    digits = load_digits()
    order = np.random.RandomState(0).permutation(len(digits.target)).astype(np.uint16)
    np.savez_compressed(
        Path(__file__).with_name("digits.npz"),
        images=digits.images.astype(np.uint8),
        labels=digits.target.astype(np.uint8),
        train=order[:TRAIN_IMAGES],
        test=order[TRAIN_IMAGES:],
    )


if __name__ == "__main__":
    main()
