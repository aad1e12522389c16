"""Sums of two streams of integers, or of a stream and constants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseAdd
from finn.custom_op.fpgadataflow.rtl.elementwise_binary_rtl import ElementwiseBinary_rtl

from finnyaml.finn.kernels.kernel import Kernel, Module, not_integers, too_narrow

IMAGE = "constants.dat"


class IntegerAdd_rtl(Kernel, ElementwiseAdd):  # type: ignore[misc]
    """FINN's ElementwiseAdd of integers of any widths and signs; constants are the second operand.

    It has another name than FINN's own ElementwiseAdd_rtl, which computes with DSPs of Versal parts.
    """

    def why_not(self) -> str | None:
        if self.lhs_style == "const":
            return "has constants as its first operand"
        if self.get_nodeattr("mlo_max_iter"):
            return "is in a FINNLoop, which gives it other constants in each iteration"
        streams = [self.lhs_shape] if self.rhs_style == "const" else [self.lhs_shape, self.rhs_shape]
        if any(list(shape) != list(self.out_shape) for shape in streams):
            shapes = " and ".join(str([int(size) for size in shape]) for shape in (self.lhs_shape, self.rhs_shape))
            return f"repeats a stream to broadcast {shapes}, and streams pass only once"
        lhs, rhs = self.lhs_dtype, self.rhs_dtype
        ends = int(lhs.min() + rhs.min()), int(lhs.max() + rhs.max())
        return not_integers(lhs) or not_integers(rhs) or too_narrow(self.out_dtype, *ends)

    def module(self) -> Module:
        parameters: dict[str, int | str] = {
            "PE": self.pe,
            "A_BITS": self.lhs_dtype.bitwidth(),
            "B_BITS": self.rhs_dtype.bitwidth(),
            "OUT_BITS": self.out_dtype.bitwidth(),
            "A_SIGNED": int(self.lhs_dtype.signed()),
            "B_SIGNED": int(self.rhs_dtype.signed()),
        }
        if self.rhs_style == "const":
            parameters["CONSTANTS"] = self._words()
            parameters["INIT_FILE"] = f'"{Path(self.get_nodeattr("code_gen_dir_ipgen")) / IMAGE}"'
        return Module("finnyaml_integer_add", parameters)

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """FINN's own way, which for the simulation of elementwise layers knows that constants are not streams."""
        ElementwiseBinary_rtl.execute_node(self, context, graph)

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits per beat of a stream; 0 for constants, whichever way FINN was told to store them."""
        if (self.lhs_style, self.rhs_style)[ind] == "const":
            return 0
        return int(super().get_instream_width(ind))

    def write_data(self, model: Any, folder: Path) -> None:
        if self.rhs_style != "const":
            return
        from finn.util.data_packing import pack_innermost_dim_as_hex_string

        beats = self._beats(model.get_initializer(self.onnx_node.input[1]))[: self._words()]
        bits = -(-self.pe * self.rhs_dtype.bitwidth() // 4) * 4
        words = pack_innermost_dim_as_hex_string(beats, self.rhs_dtype, bits, reverse_inner=True, prefix="")
        (folder / IMAGE).write_text("".join(f"{word}\n" for word in words))

    def lut_estimation(self, fpgapart: str) -> int:
        constants = 0
        if self.rhs_style == "const" and self._words() > 1:
            constants = self.pe * int(self.rhs_dtype.bitwidth()) * -(-self._words() // 64)
        return 2 * int(self.get_outstream_width()) + constants + 8

    def _words(self) -> int:
        """After how many beats the constants come again: the inner axes along which they change, up to the outermost.

        The axis of the channels counts as beats of PE channels.
        """
        shape = [1] * (len(self.out_shape) - len(self.rhs_shape)) + [int(size) for size in self.rhs_shape]
        beats = [int(size) for size in self.get_folded_output_shape()[:-1]]
        changing = [axis for axis, size in enumerate(shape) if size != 1]
        return int(np.prod(beats[changing[0] :])) if changing else 1

    def _beats(self, constants: np.ndarray) -> np.ndarray:
        """The constants [beats, PE] of a whole frame."""
        frame: np.ndarray = np.broadcast_to(constants, [int(size) for size in self.out_shape])
        return frame.reshape(-1, self.pe)
