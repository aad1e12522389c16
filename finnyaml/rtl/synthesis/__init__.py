"""Resources of a design, estimated by Yosys: per layer and for the whole, beside FINN's own estimate.

Nothing in here has been compared with Vivado, so the numbers are called what they are: estimates by Yosys.
"""

from __future__ import annotations

from finnyaml.rtl.synthesis.flow import synthesize

__all__ = ["synthesize"]
