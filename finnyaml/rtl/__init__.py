"""FINN's hardware as plain SystemVerilog, for open tools: stitch it, simulate it, size its FIFOs, synthesise it."""
