"""Sums over whole images, per channel."""

from __future__ import annotations

from math import ceil, prod

from finn.custom_op.fpgadataflow.globalaccpool import GlobalAccPool

from finnyaml.finn.kernels.kernel import Kernel, Module, not_integers, too_narrow


class GlobalAccPool_rtl(Kernel, GlobalAccPool):  # type: ignore[misc]
    """FINN's GlobalAccPool; the sums leave while the last pixel comes in."""

    def why_not(self) -> str | None:
        if len(self.get_nodeattr("numInputVectors")) != 3:
            return "does not work on images, for which alone FINN defines the sum"
        datatype = self.get_input_datatype()
        lowest, highest = self._pixels() * datatype.min(), self._pixels() * datatype.max()
        return not_integers(datatype) or too_narrow(self.get_output_datatype(), int(lowest), int(highest))

    def module(self) -> Module:
        datatype = self.get_input_datatype()
        return Module(
            "finnyaml_global_acc_pool",
            {
                "PE": self.get_nodeattr("PE"),
                "FOLDS": self.get_folded_input_shape()[-2],
                "PIXELS": self._pixels(),
                "IN_BITS": datatype.bitwidth(),
                "OUT_BITS": self.get_output_datatype().bitwidth(),
                "SIGNED": int(datatype.signed()),
            },
        )

    def get_exp_cycles(self) -> int:
        """One per beat of the input; for its HLS layer FINN counts the beats of the output in addition."""
        return prod(int(size) for size in self.get_folded_input_shape()[:-1])

    def lut_estimation(self, fpgapart: str) -> int:
        bits = int(self.get_outstream_width())
        memory = bits * ceil(self.get_folded_input_shape()[-2] / 64) if self.get_folded_input_shape()[-2] > 1 else 0
        return 2 * bits + memory + 16

    def _pixels(self) -> int:
        return prod(int(size) for size in self.get_nodeattr("numInputVectors")[1:])
