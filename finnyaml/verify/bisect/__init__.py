"""Localisation of lost accuracy: which transformation of a step, which tensor, where in it, and why.

Runs in workers. `localise` is the door, `sentences` and `to_json` tell what it found.
"""

from finnyaml.verify.bisect.localise import localise
from finnyaml.verify.bisect.report import sentences, to_json
from finnyaml.verify.bisect.result import Cause, Localisation, Samples, Skipped, TensorFinding, Transformation, Where

__all__ = [
    "Cause",
    "Localisation",
    "Samples",
    "Skipped",
    "TensorFinding",
    "Transformation",
    "Where",
    "localise",
    "sentences",
    "to_json",
]
