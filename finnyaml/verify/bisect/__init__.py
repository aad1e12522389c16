"""Loss of lost accuracy: which transformation of a step, which tensor, where in it, and why.

Runs in workers. `find_loss` is the door, `sentences` and `to_json` tell what it found.
"""

from finnyaml.verify.bisect.report import sentences, to_json
from finnyaml.verify.bisect.result import Cause, Loss, Samples, Skipped, TensorFinding, Transformation, Where
from finnyaml.verify.bisect.within import find_loss

__all__ = [
    "Cause",
    "Loss",
    "Samples",
    "Skipped",
    "TensorFinding",
    "Transformation",
    "Where",
    "find_loss",
    "sentences",
    "to_json",
]
