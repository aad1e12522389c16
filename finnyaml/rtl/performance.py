"""What a simulation says of speed and FIFO fills, next to FINN's estimates."""

from __future__ import annotations

from typing import Any

import numpy as np

from finnyaml.rtl.design import Design
from finnyaml.rtl.simulation import Run


def metrics(design: Design, run: Run) -> dict[str, Any]:
    """The figures of a run without stalls.

    "interval": cycles per frame once the pipeline is full: the median over the second half of the frames of each
    process, with "interval_least" and "interval_most" around it; None where no process had two frames. "latency":
    cycles from the first beat of the first frame in to its last beat out, both counted. "estimate": FINN's figures for
    both; "ratio": interval to FINN's. "slowest": the layer that takes the most cycles by itself,
    "slowest_cycles": how many. "fps": frames per second at the clock of the design. "fifos": by node the most it
    held, its depth, and its width in bits. "cycles", "seconds", "cycles_per_second": of the simulation itself.
    """
    ends = np.split(run.last_out, np.cumsum(run.chunks)[:-1])
    steady = np.concatenate([np.diff(each)[max(0, len(each) - 1) // 2 :] for each in ends])
    interval = float(np.median(steady)) if len(steady) else None
    slowest = max(design.nodes, key=lambda node: node.cycles, default=None)
    return {
        "frames": len(run.last_out),
        "interval": interval,
        "interval_least": int(steady.min()) if len(steady) else None,
        "interval_most": int(steady.max()) if len(steady) else None,
        "latency": int(run.last_out[0] - run.first_in[0] + 1) if len(run.last_out) else None,
        "estimate": {"interval": design.max_cycles, "latency": design.latency_cycles},
        "ratio": interval / design.max_cycles if interval and design.max_cycles else None,
        "slowest": slowest and slowest.name,
        "slowest_cycles": slowest and slowest.cycles,
        "clock_ns": design.clock_ns,
        "fps": 1e9 / (interval * design.clock_ns) if interval else None,
        "fifos": {
            fifo.node: {"most": run.fill[fifo.node], "depth": fifo.depth, "width": fifo.width} for fifo in design.fifos
        },
        "cycles": run.cycles,
        "seconds": run.seconds,
        "cycles_per_second": run.cycles / run.seconds if run.seconds else None,
    }
