"""Names what is wrong with a simulated design: the layer, the channel, the weight, the FIFO. Runs in workers."""

from finnyaml.rtl.explain.explanation import KINDS, Explanation
from finnyaml.rtl.explain.flow import slow
from finnyaml.rtl.explain.search import explain

__all__ = ["KINDS", "Explanation", "explain", "slow"]
