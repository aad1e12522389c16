"""Brevitas' own TFC_1W1A: three hidden layers of 64, all weights and activations -1 or +1, also those of the input."""

from brevitas_examples.bnn_pynq.models import model_with_cfg
from torch import nn


def tfc_w1a1() -> nn.Module:
    """The network with fresh weights.

    Input: float NCHW [n, 1, 28, 28], 0 (paper) to 1 (ink). Output: float [n, 10], one score per digit.
    """
    network, _ = model_with_cfg("TFC_1W1A", False)  # False: Brevitas' own weights are for another data set
    return network
