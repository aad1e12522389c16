"""Operators by what they do, for all who look at graphs: ONNX's, QONNX's and FINN's layers."""

from __future__ import annotations

HARDWARE = "finn.custom_op.fpgadataflow"
"""The domain of FINN's hardware layers, and the beginning of those of their HLS and RTL variants."""

PARTITION = "StreamingDataflowPartition"
"""The node that stands for hardware layers which FINN cut out into a graph of their own."""

PASSING = frozenset(
    (
        *("Concat", "Crop", "DuplicateStreams", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "MaxPoolNHWC"),
        *("Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze", "Upsample"),
    )
)
"""Give out values of their (first) inputs, so what can be represented does not change."""

MATRIX = frozenset(("MatMul", "Gemm", "XnorPopcountMatMul", "MVAU", "VVAU"))
CONVOLUTION = frozenset(("Conv", "ConvTranspose", "VVAU"))
THRESHOLD = frozenset(("MultiThreshold", "Thresholding"))
QUANTIZER = frozenset(("Quant", "IntQuant", "BipolarQuant", "Trunc"))
POOL = frozenset(("MaxPool", "MaxPoolNHWC", "StreamingMaxPool", "Pool", "AveragePool", "QuantAvgPool2d"))
SCALE = frozenset(("Mul", "Div", "ElementwiseMul", "ElementwiseDiv"))
BIAS = frozenset(("Add", "Sub", "ElementwiseAdd", "ElementwiseSub"))

CHOICES = frozenset(("TopK", "LabelSelect"))
"""Make classes of scores."""

LINEAR = SCALE | BIAS
"""Scale, or add a bias."""

WINDOWS = frozenset(("Im2Col", "ConvolutionInputGenerator", "FMPadding", "FMPadding_Pixel", "Pad"))
"""Only copy elements, and pad."""
