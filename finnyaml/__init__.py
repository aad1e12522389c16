"""finnyaml: declarative, incremental, proven FPGA accelerator builds with FINN."""

__version__ = "0.1.0"
