"""The batched executor: any ONNX graph of a build on a batch of data, exactly as qonnx executes it sample by sample."""

from finnyaml.verify.executor.base import Broken, NotExecutable
from finnyaml.verify.executor.batched import BatchedModel, input_of
from finnyaml.verify.executor.check import checked
from finnyaml.verify.executor.export import Exported, export
from finnyaml.verify.executor.prepare import prepare, whole_model

__all__ = [
    "BatchedModel",
    "Broken",
    "Exported",
    "NotExecutable",
    "checked",
    "export",
    "input_of",
    "prepare",
    "whole_model",
]
