"""The topologies of finn-examples' bnn-pynq, with random weights."""

import torch
from brevitas_examples.bnn_pynq.models import model_with_cfg
from torch import nn


def network(name: str) -> nn.Module:
    """One of Brevitas' networks, such as `tfc_1W1A` or `cnv_2W2A`: weights and activations of so many bits.

    Input: float NCHW, 0 to 1; [n, 1, 28, 28] for tfc and sfc, [n, 3, 32, 32] for cnv. Output: float [n, 10].
    """
    torch.manual_seed(0)  # the same weights each time
    made, _ = model_with_cfg(name.upper(), False)
    return made
