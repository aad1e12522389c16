"""A design as a folder that any simulator or a Vivado project can take, with a test bench that checks itself."""

from __future__ import annotations

from finnyaml.rtl.export.flow import export

__all__ = ["export"]
