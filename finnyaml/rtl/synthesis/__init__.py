"""Resources of a design, estimated by Yosys: per layer and for the whole, beside FINN's own estimate.

Nothing in here has been compared with Vivado, so the numbers are called what they are: estimates by Yosys.
"""
