"""Runs the accelerator of this bundle: `from accelerator import Accelerator; Accelerator().predict(images)`.

Python 3.8 or newer and numpy; on the board PYNQ, without a board onnxruntime. All else it knows from `bundle.json`.
"""

import numpy

if not hasattr(numpy, "ndarray"):  # Python looks into the folder of a script first, and finds it there
    raise ImportError(
        f"{numpy.__file__ or list(numpy.__path__)} has the name of NumPy and is found before it: rename it"
    )

from .accelerator import Accelerator
from .contract import Bundle
from .errors import AcceleratorError

__all__ = ["Accelerator", "AcceleratorError", "Bundle"]
