"""FINN's instrumentation: a block that feeds the accelerator with pseudo-random data and counts the cycles."""

from __future__ import annotations

import time
from typing import Any

_SEED = 1 << 16  # the upper half of the register
_FRAMES = 64  # that the averages are taken over
_COUNTERS = ("min_latency", "latency", "interval", "checksum")


def measure(overlay: Any, block: Any, clock_mhz: float | None, seconds: float) -> dict[str, Any]:
    """Let the accelerator run on its own for some seconds and read the counters.

    Returns `ok` (neither overflow nor underflow), the counters in cycles (`min_latency`, `latency`, `interval`),
    `checksum`, and with a known clock `latency_ms` and `fps`. Where the design has DMA engines as well, they get the
    accelerator back.
    """
    offsets = overlay.ip_dict["instrumentation_wrap_0"]["registers"]

    def write(name: str, value: int) -> None:
        if name in offsets:  # the registers differ between versions of FINN
            block.write(offsets[name]["address_offset"], value)

    def read(name: str) -> int:
        return int(block.read(offsets[name]["address_offset"]))

    _switch(overlay, to_instrumentation=True)
    write("seed", _SEED)
    write("avg_n", _FRAMES)
    write("mux_interval", 0)
    write("cfg", 1)
    time.sleep(seconds)
    found: dict[str, Any] = {name: read(name) for name in _COUNTERS if name in offsets}
    found["ok"] = read("status") & 3 == 0
    write("cfg", 0)
    _switch(overlay, to_instrumentation=False)
    if clock_mhz and found.get("interval"):
        found["latency_ms"] = found["latency"] / clock_mhz / 1e3
        found["fps"] = clock_mhz * 1e6 / found["interval"]
    return found


def _switch(overlay: Any, *, to_instrumentation: bool) -> None:
    """Where instrumentation and DMA engines are both there, a GPIO resets the accelerator and says whose it is."""
    if "axi_gpio_0" in overlay.ip_dict:
        registers = overlay.ip_dict["axi_gpio_0"]["registers"]
        overlay.axi_gpio_0.write(registers["GPIO_DATA"]["address_offset"], 0)
        if "GPIO2_DATA" in registers:
            overlay.axi_gpio_0.write(registers["GPIO2_DATA"]["address_offset"], int(to_instrumentation))
