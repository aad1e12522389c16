"""What a build configuration says of the hardware that a build is for, resolved by FINN itself."""

from __future__ import annotations

from typing import Any

from finnyaml.errors import StepFailed


def part_and_clock(config: Any) -> tuple[str, float]:
    """The FPGA part and the clock period (ns); all that RTL needs to know of the hardware it is for.

    Raises:
        StepFailed: the recipe names no FPGA, or FINN does not know the board.
    """
    if not (config.board or config.fpga_part):
        raise StepFailed("the step needs to know the FPGA", hint="add `target: {board: ...}` or `{part: ...}`")
    try:
        part: str = config._resolve_fpga_part()
    except Exception as error:  # each FINN has exceptions of its own here
        hint = "see `target:` in the recipe"
        raise StepFailed(f"FINN cannot say what FPGA this is for: {error}", hint=hint) from None
    return part, config.synth_clk_period_ns


def of(config: Any) -> dict[str, Any]:
    """Platform (`zynq-iodma` or `alveo`), shell, board, part and clock (MHz); board and part are None where unknown.

    Raises:
        StepFailed: FINN has no driver for the shell, or does not know the board.
    """
    shell = config.shell_flow_type
    try:
        platform = config._resolve_driver_platform() if shell is not None else "zynq-iodma"
        part = config._resolve_fpga_part() if config.board or config.fpga_part else None
    except Exception as error:  # each FINN has exceptions of its own here
        hint = "see `target:` in the recipe"
        raise StepFailed(f"FINN cannot say what the bundle is for: {error}", hint=hint) from None
    return {
        "platform": platform,
        "shell": getattr(shell, "value", None),
        "board": config.board,
        "part": part,
        "clock_mhz": 1000.0 / config.synth_clk_period_ns,
        "instrumentation": bool(getattr(config, "enable_instrumentation", False)),
    }
