"""Max pooling, sums, and quantised averages over windows."""

from __future__ import annotations

from math import prod

from finn.custom_op.fpgadataflow.pool import Pool

from finnyaml.finn.kernels.kernel import Kernel, Module, not_integers, too_narrow


class Pool_rtl(Kernel, Pool):  # type: ignore[misc]
    """FINN's Pool behind a depthwise sliding window, for MaxPool, AccPool and QuantAvgPool."""

    def why_not(self) -> str | None:
        function = self.get_nodeattr("Function")
        datatype = self.get_input_datatype()
        if function == "AvgPool":
            return (
                "is an AvgPool, for which FINN's Python keeps the fraction that its integer output cannot hold, so no "
                "hardware equals it (QuantAvgPool has a rounding that is defined)"
            )
        if function == "MaxPool":
            return None if datatype.is_integer() else f"has {datatype.name} values, and the kernel compares integers"
        lowest, highest = self._sums()
        ends = lowest >> self._shift(), highest >> self._shift()
        return not_integers(datatype) or too_narrow(self.get_output_datatype(), *ends)

    def module(self) -> Module:
        datatype = self.get_input_datatype()
        is_maximum = self.get_nodeattr("Function") == "MaxPool"
        return Module(
            "finnyaml_pool",
            {
                "PE": self.get_nodeattr("PE"),
                "KERNEL": self._window(),
                "IN_BITS": datatype.bitwidth(),
                "ACC_BITS": datatype.bitwidth() if is_maximum else self._sum_bits(),
                "OUT_BITS": self.get_output_datatype().bitwidth(),
                "SHIFT": self._shift(),
                # BIPOLAR's bits are in the order of its values
                "SIGNED": int(datatype.signed() and datatype.bitwidth() > 1),
                "MAXIMUM": int(is_maximum),
            },
        )

    def lut_estimation(self, fpgapart: str) -> int:
        parameters = self.module().parameters
        bits = int(parameters["PE"]) * int(parameters["ACC_BITS"])
        # a comparison and a choice, or a sum; then the two places of the output
        return int(1.5 * bits if parameters["MAXIMUM"] else bits) + int(self.get_outstream_width()) + 8

    def _window(self) -> int:
        return prod(int(size) for size in self.get_nodeattr("KernelSize"))

    def _sums(self) -> tuple[int, int]:
        datatype = self.get_input_datatype()
        return int(self._window() * datatype.min()), int(self._window() * datatype.max())

    def _sum_bits(self) -> int:
        """Bits for all sums, and at least those of the result, of which the hardware takes the lowest."""
        lowest, highest = self._sums()
        bits = highest.bit_length() if lowest == 0 else max((-lowest - 1).bit_length(), highest.bit_length()) + 1
        return max(bits, int(self.get_output_datatype().bitwidth()))

    def _shift(self) -> int:
        """By how many bits FINN's Python shifts the sums of a QuantAvgPool."""
        if self.get_nodeattr("Function") != "QuantAvgPool":
            return 0
        largest: int = (2 ** int(self.get_input_datatype().bitwidth()) - 1) * self._window()
        return max(0, largest.bit_length() - int(self.get_output_datatype().bitwidth()))
