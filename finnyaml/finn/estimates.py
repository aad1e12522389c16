"""What FINN expects of a design before anything is built: cycles, resources, and what its part offers."""

from __future__ import annotations

from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

_RESOURCES = ("LUT", "BRAM_18K", "URAM", "DSP")
_CAPACITY = ("LUT", "FF", "BRAM18", "URAM", "DSP")


def performance(model: ModelWrapper) -> tuple[int, int]:
    """Cycles between frames, and from the first value in to the last value out."""
    from finn.analysis.fpgadataflow.dataflow_performance import dataflow_performance
    from finn.transformation.fpgadataflow.annotate_cycles import AnnotateCycles

    found = model.transform(AnnotateCycles()).analysis(dataflow_performance)
    return int(found["max_cycles"]), int(found["critical_path_cycles"])


def resources(operator: Any, part: str) -> dict[str, float]:
    """FINN's estimate for one node on this part: LUT, BRAM_18K, URAM, DSP."""
    found = operator.node_res_estimation(part)
    return {name: float(found[name]) for name in _RESOURCES}


def capacity(part: str) -> dict[str, int]:
    """What the part has: LUT, FF, BRAM18, URAM, DSP. Empty where FINN knows no board with this device.

    Speed grade and, in the names of newer devices, the package come after the first dash and do not count.
    """
    from finn.util.basic import part_map
    from finn.util.platforms import platforms

    device = part.partition("-")[0]
    for board in sorted(platforms):
        if part_map.get(board, "").partition("-")[0] == device:
            regions = platforms[board]().compute_resources
            return {name: int(sum(region[place] for region in regions)) for place, name in enumerate(_CAPACITY)}
    return {}
