"""Runs the accelerator of this bundle: `from accelerator import Accelerator; Accelerator().predict(images)`.

Python 3.8 or newer and numpy; on the board PYNQ, without a board onnxruntime. All else it knows from `bundle.json`.
"""

from .accelerator import Accelerator
from .contract import Bundle
from .errors import AcceleratorError

__all__ = ["Accelerator", "AcceleratorError", "Bundle"]
