"""The golden samples of a bundle: real inputs with what has to come out at every place on the way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from ..contract import Bundle
from ..errors import AcceleratorError


@dataclass(frozen=True, eq=False)
class Golden:
    """N samples, a row each.

    `index` [N]: which samples of the data set they are. `inputs`: as the user has them. `accelerator_inputs` and
    `accelerator_outputs`: the values at the accelerator's boundary (normal layout, batch in front). `outputs`: what the
    user gets. `without_weights`: the accelerator's outputs if weights loaded at run time were all zero bits.
    """

    index: np.ndarray
    inputs: np.ndarray
    accelerator_inputs: np.ndarray
    accelerator_outputs: np.ndarray
    outputs: np.ndarray
    labels: np.ndarray | None = None
    without_weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.index)


def load(bundle: Bundle) -> Golden:
    """The golden samples of `bundle`.

    Raises AcceleratorError: "golden samples changed": the file is not there or cannot be read.
    """
    name = bundle.data["golden"]["file"]
    changed = partial(AcceleratorError, name="golden samples changed", hint="copy the bundle again")
    required = ("index", "inputs", "accelerator_inputs", "accelerator_outputs", "outputs")
    try:
        with bundle.path(name).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            found = {key: archive[key] for key in (*required, "labels", "without_weights") if key in archive.files}
    except AcceleratorError:
        raise
    except Exception as error:  # of a damaged file NumPy and zipfile say it with a dozen types
        raise changed(f"{name} cannot be read: {error}") from error
    lacking = [key for key in required if key not in found]
    if lacking:
        raise changed(f"{name} lacks {', '.join(lacking)}")
    if len({len(array) for array in found.values()}) != 1 or not len(found["index"]):
        raise changed(f"the arrays of {name} differ in length")
    return Golden(**found)
