"""The indices of the largest values."""

from __future__ import annotations

from math import ceil, log2, prod

from finn.custom_op.fpgadataflow.labelselect import LabelSelect

from finnyaml.finn.kernels.kernel import Kernel, Module, too_narrow


class LabelSelect_rtl(Kernel, LabelSelect):  # type: ignore[misc]
    """FINN's LabelSelect in the order of its Python, which is that of ONNX's TopK: of equal values the first wins."""

    def why_not(self) -> str | None:
        datatype = self.get_input_datatype()
        labels, top = self.get_nodeattr("Labels"), self.get_nodeattr("K")
        if not datatype.is_integer():
            return f"has {datatype.name} values, and the kernel compares integers"
        if not 1 <= top <= labels:
            return f"asks for the {top} largest of {labels} values"
        return too_narrow(self.get_output_datatype(), 0, labels - 1)

    def module(self) -> Module:
        datatype = self.get_input_datatype()
        return Module(
            "finnyaml_label_select",
            {
                "LABELS": self.get_nodeattr("Labels"),
                "PE": self.get_nodeattr("PE"),
                "TOP": self.get_nodeattr("K"),
                "IN_BITS": datatype.bitwidth(),
                "OUT_BITS": self.get_output_datatype().bitwidth(),
                # BIPOLAR's bits are in the order of its values
                "SIGNED": int(datatype.signed() and datatype.bitwidth() > 1),
            },
        )

    def get_number_output_values(self) -> int:
        """Beats of the output; FINN's leaves out the input vectors, of which there may be several."""
        return self._vectors() * int(self.get_nodeattr("K"))

    def get_exp_cycles(self) -> int:
        """One per beat of the input or of the output, whichever has more."""
        beats = int(self.get_nodeattr("Labels")) // int(self.get_nodeattr("PE"))
        return self._vectors() * max(beats, int(self.get_nodeattr("K")))

    def lut_estimation(self, fpgapart: str) -> int:
        labels, lanes = int(self.get_nodeattr("Labels")), int(self.get_nodeattr("PE"))
        key = 1 + int(self.get_input_datatype().bitwidth()) + max(1, ceil(log2(labels)))
        # per stage: a tree of comparisons and choices, and a choice for each value that is handed on
        stages = int(self.get_nodeattr("K"))
        return int(stages * lanes * key * 1.5 + (stages - 1) * lanes * key) + int(self.get_outstream_width()) + 16

    def _vectors(self) -> int:
        return prod(int(size) for size in self.get_nodeattr("numInputVectors"))
