"""An RTL kernel, for a layer that FINN has as Vitis HLS only."""

from pathlib import Path

from finn.custom_op.fpgadataflow.unsqueeze import Unsqueeze

from finnyaml.finn.kernels.kernel import Kernel, Module


class Unsqueeze_rtl(Kernel, Unsqueeze):
    """FINN's Unsqueeze: other shapes, the same stream."""

    sources = Path(__file__).parent

    def why_not(self):
        return None

    def module(self):
        return Module("finnyaml_example_pass", {"WIDTH": self.get_instream_width()})
