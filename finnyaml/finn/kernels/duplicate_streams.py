"""One stream in, the same stream out several times."""

from __future__ import annotations

from math import prod

from finn.custom_op.fpgadataflow.duplicatestreams import DuplicateStreams

from finnyaml.finn.kernels.kernel import Kernel, Module


class DuplicateStreams_rtl(Kernel, DuplicateStreams):  # type: ignore[misc]
    """FINN's DuplicateStreams, for any number of outputs and any datatype."""

    def why_not(self) -> str | None:
        return None

    def module(self) -> Module:
        parameters = {"WIDTH": self.get_instream_width(), "COUNT": len(self.onnx_node.output)}
        return Module("finnyaml_duplicate_streams", parameters)

    def get_number_output_values(self) -> dict[str, int]:
        """Beats per output; FINN's leaves out the first dimension, which is 1 only for images."""
        beats = prod(int(size) for size in self.get_folded_output_shape()[:-1])
        return {f"out{i}": beats for i in range(len(self.onnx_node.output))}

    def lut_estimation(self, fpgapart: str) -> int:
        return int(self.get_instream_width()) + 2 * len(self.onnx_node.output)
