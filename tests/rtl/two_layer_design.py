"""The design folder of two real FINN layers, and what they compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.finn import two_layers

FRAMES = 5
MVAU = "MVAU_rtl_0"


def stitched(folder: Path, part: str = two_layers.PART) -> tuple[np.ndarray, np.ndarray]:
    """Write the design to `folder`; returns inputs [FRAMES, 3, 8] and what has to come out, [FRAMES, 3, 6].

    A dense layer of UINT4 with INT3 weights, its thresholds, and FIFOs and a width converter around, by FINN itself.
    """
    from finnyaml.finn.stitched import stitch

    generated = folder.parent / "finn"
    generated.mkdir()
    with two_layers.build_folder(generated), pytest.MonkeyPatch.context() as patch:
        patch.setattr(two_layers, "PART", part)
        model = two_layers.network([two_layers.dense(), two_layers.thresholds()])
        weights, levels = (model.get_initializer(name) for name in ("weights", "levels"))
        stitch(two_layers.generated(model), part, two_layers.CLOCK_NS, folder)
    inputs = np.random.default_rng(1).integers(0, 16, (FRAMES, 3, 8))
    sums = inputs @ weights.astype(int)
    return inputs, (sums[..., None] >= levels).sum(axis=-1)
