"""`final_hw_config.json`: the folding and memory attributes of every hardware layer, as FINN's folding files have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ATTRIBUTES = frozenset(
    "PE SIMD EmbFold SeqFold parallel_window ram_style ram_style_thresholds ram_style_mask depth impl_style resType "
    "mac_resource mem_mode runtime_writeable_weights inFIFODepths outFIFODepths depth_trigger_uram "
    "depth_trigger_bram".split()
)
"""What may stand in a folding file; a layer has some of them."""


def write(model: Any, path: Path) -> None:
    """Write the configuration of a model's specialised layers; nothing where it has none yet.

    FINN itself writes this file in some of its steps only, so until then users have to collect it by hand.
    """
    from qonnx.custom_op.registry import getCustomOp

    config: dict[str, Any] = {"Defaults": {}}
    for node in model.graph.node:
        if not node.domain.endswith((".hls", ".rtl")):
            continue
        layer = getCustomOp(node)
        names = sorted(ATTRIBUTES & layer.get_nodeattr_types().keys())
        config[node.name] = {name: _plain(layer.get_nodeattr(name)) for name in names}
    if len(config) > 1:
        path.write_text(json.dumps(config, indent=2) + "\n")


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
