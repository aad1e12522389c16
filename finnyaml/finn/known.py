"""What is known of the sentences that FINN, qonnx and Brevitas end in: what they mean, and what to do.

A sentence alone may have many causes; so an entry may name the transformation and the operator that it belongs to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """One sentence (a regular expression), where it is raised, what it means, and what to do about it."""

    sentence: str
    means: str
    remedy: str
    transformation: str = ""
    op_type: str = ""


_SENTENCES = (
    Known(
        r"list index out of range",
        "FINN lowers convolutions over two dimensions only, and this one has one",
        "insert the step lift_to_4d after tidy_up: it makes two-dimensional layers of one-dimensional ones, exact",
        "LowerConvsToMatMul",
        "Conv",
    ),
    Known(
        r"list index out of range",
        "FINN splits by the sizes that a Split is given, and this one has none",
        "give torch.split the sizes of all parts as a list: torch.split(x, [4, 4], 1)",
        "InferSplitLayer",
        "Split",
    ),
    Known(
        r"Only Quant nodes with zero-point == 0",
        "FINN's thresholds know no zero point",
        "insert the step convert_quantizers before qonnx_to_finn: exact; or train with symmetric quantizers (the "
        "default of Brevitas; Uint8ActPerTensorFloat behind a ReLU)",
    ),
    Known(
        r"rounding_mode set to 'FLOOR'|Trunc node must have",
        "FINN's average pooling cuts the fraction off and cannot round",
        "insert the steps convert_quantizers before qonnx_to_finn and sum_pools after tidy_up: exact; or make the "
        "layer with float_to_int_impl_type='FLOOR' and train so",
    ),
    Known(
        r"average pooling with 2D square kernels|padding for average pooling|2D strides with equal values",
        "FINN pools averages over squares, with equal strides and without padding",
        "insert the steps convert_quantizers before qonnx_to_finn and sum_pools after tidy_up: exact",
    ),
    Known(
        r"out_scale must be 1|out_scale=1 or bipolar output needed|out_scale must be equal to 1",
        "a threshold layer of -1 and +1 (a sign) cannot stand alone in hardware: FINN makes it a part of the matrix "
        "layer before it, which `finn: {standalone_thresholds: true}` forbids",
        "say `finn: {standalone_thresholds: false}`; inside the network also: insert the step represent_bipolar after "
        "tidy_up (exact, -1 and +1 as INT2)",
    ),
    Known(
        r"Signed output requires actval < 0",
        "a layer claims a signed data type but never gives a negative value",
        "insert the step correct_annotations after streamline: exact",
    ),
    Known(
        r"orig_thres_matrix >= 0",
        "a threshold layer with unsigned inputs has negative thresholds: its quantizer covers a range that its data "
        "never has",
        "insert the step clip_thresholds after streamline: exact",
    ),
    Known(
        r"out_bias must be integer",
        "the quantizer's zero point is not an integer",
        "use a quantizer with an integer zero point",
    ),
    Known(
        r"FMPadding_Batch doesn't currently support pad_val != 0",
        "FINN's padding layer pads with 0 only, and a maximum of signed values has to be padded with the lowest",
        "leave the padding of the pooling out, or pool unsigned values (behind a ReLU)",
    ),
    Known(
        r"Unsupported/unmapped layer\(s\) found in between FINN operators|cycle-free graph violated",
        "FINN cuts out one piece of hardware layers, and something that it has not converted stands between them",
        "what it is, and why, is said below for each layer; `finnyaml lint` says it again",
    ),
    Known(
        r"cannot reshape array of size",
        "FINN lowers dense and depthwise convolutions, and this one has groups of several channels",
        "insert the step expand_groups after tidy_up: a dense convolution with weights of 0, exact",
        "LowerConvsToMatMul",
        "Conv",
    ),
    Known(
        r"cannot reshape array of size 1 into shape",
        "a bias with one scale for all channels: FINN wants as many scales as there are channels",
        "insert the step fold_bias_quantizers before qonnx_to_finn: exact",
        "ExtractBiasFromConv",
    ),
    Known(
        r"Can't constant fold Quant weight node",
        "FINN folds quantized weights into Conv, ConvTranspose, MatMul and Gemm, and quantized biases into additions",
        "quantize no other constants",
        "FoldQuantWeights",
    ),
    Known(
        r"Upsampling is only supported for the mode nearest",
        "FINN repeats pixels and does not interpolate",
        "use nn.Upsample(mode='nearest'), or a transposed convolution",
    ),
    Known(
        r"only per tensor or per channel quantization|multi-axis scale",
        "FINN's thresholds have one scale, or one for each channel",
        "quantize per tensor or per channel",
    ),
    Known(
        r"FINN only supports unsigned and non-narrow Quant nodes for Relu",
        "behind a ReLU FINN takes unsigned quantizers only",
        "use QuantReLU alone (it is unsigned), or drop the ReLU before a signed quantizer",
    ),
    Known(
        r"QONNX Quant with zero_point|zero point for the Trunc node",
        "FINN's truncation knows no zero point",
        "use symmetric quantizers before the pooling",
    ),
)


def known(sentence: str, transformation: str | None = None, op_type: str | None = None) -> Known | None:
    """What is known of a sentence that was raised in this transformation, at a node of this type; None: nothing."""
    for entry in _SENTENCES:
        here = entry.transformation in ("", transformation) and entry.op_type in ("", op_type)
        if here and re.search(entry.sentence, sentence):
            return entry
    return None
