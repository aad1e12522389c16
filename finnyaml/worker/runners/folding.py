"""The best folding of the layers, in place of FINN's step that chooses one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.finn import hwconfig, target
from finnyaml.finn.invalid_settings import attributes_for, checked
from finnyaml.folding.choose import Wanted, choose, summary
from finnyaml.folding.costs import SYNTHESIS
from finnyaml.folding.synthesis import Synthesis
from finnyaml.worker.context import Context, needed_model

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> ModelWrapper:
    """Fold the layers as the recipe wants it, and say what was chosen."""
    model, config = needed_model(context), context.config()
    part, clock_ns = target.part_and_clock(config)
    wanted = Wanted(**context.params["optimize"], fps=config.target_fps)
    fixed = _fixed(model, config.folding_config_file)
    work = context.root / "tmp" / "folding"
    synthesis = Synthesis(part, clock_ns, work, context.cache / "layers") if wanted.costs == SYNTHESIS else None
    chosen = choose(model, wanted, part, clock_ns, fixed, rtl_only=context.params["rtl_only"], synthesis=synthesis)
    folder = context.root / "out" / "report"
    folder.mkdir(parents=True, exist_ok=True)
    hwconfig.write(chosen.model, folder / "auto_folding_config.json")
    (folder / "folding.json").write_text(json.dumps(chosen.report, indent=1) + "\n")
    for sentence in summary(chosen.report):
        print(sentence)
    context.metrics["folding"] = {name: chosen.report[name] for name in ("cycles", "fps", "proven", "limits")}
    return chosen.model


def _fixed(model: ModelWrapper, file: str | None) -> dict[str, dict[str, Any]]:
    """What the recipe itself says of each node."""
    if file is None:
        return {}
    entries = checked(Path(file), model)
    found = {node.name: attributes_for(node, entries) for node in model.graph.node}
    return {name: attributes for name, attributes in found.items() if attributes}
