"""What RTL needs to know of the hardware it is for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from finnyaml.errors import StepFailed
from finnyaml.finn import target


def test_part_and_clock_read_nothing_of_the_shell() -> None:
    config = SimpleNamespace(board="Pynq-Z2", fpga_part=None, synth_clk_period_ns=5.0)
    config._resolve_fpga_part = lambda: "xc7z020clg400-1"
    assert target.part_and_clock(config) == ("xc7z020clg400-1", 5.0)


def test_without_an_fpga_or_with_an_unknown_board_the_target_is_asked_for() -> None:
    def unknown() -> str:
        raise KeyError("NoBoard")

    nothing = SimpleNamespace(board=None, fpga_part=None, synth_clk_period_ns=5.0)
    with pytest.raises(StepFailed, match="needs to know the FPGA"):
        target.part_and_clock(nothing)
    other = SimpleNamespace(board="NoBoard", fpga_part=None, synth_clk_period_ns=5.0, _resolve_fpga_part=unknown)
    with pytest.raises(StepFailed, match="what FPGA this is for"):
        target.part_and_clock(other)
