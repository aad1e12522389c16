"""The same work as the recipe digits-cnv, as one plain Python script: `plain.py RECIPE_FOLDER OUTPUT_FOLDER`.

No recipe, no store, no traces: export, pre- and post-processing by the functions that finnyaml's workers call, then
FINN's step functions one after the other, each model saved as FINN's own builder does. The last line printed is JSON:
seconds per part.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


class Clock:
    """Seconds per part, one part after the other."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """What was done since the last lap was `part`."""
        now = time.perf_counter()
        self.parts[part] = self.parts.get(part, 0.0) + now - self._last
        self._last = now


def main(recipe: Path, output: Path) -> dict[str, float]:
    """Build the network of `recipe` into `output`; returns the seconds of each part."""
    (output / "intermediate_models").mkdir(parents=True)
    (output / "finn_build").mkdir()
    os.environ["FINN_BUILD_DIR"] = str(output / "finn_build")
    sys.path.insert(0, str(recipe))
    clock = Clock()

    import brevitas.export  # noqa: F401 - what the export imports, on its own

    clock.lap("imports")

    from model import digits_cnv  # type: ignore[import-not-found]

    from finnyaml.recipe.model import InputSpec, Processing
    from finnyaml.steps import processing, source

    spec = InputSpec((1, 1, 14, 14), "UINT8", "NCHW")
    exported = source.export_brevitas(digits_cnv, {"act_bits": 1}, recipe / "weights.pth", None, (1, 1, 14, 14))
    model = source.annotate_input(exported, spec)
    model.save(str(output / "intermediate_models" / "model.onnx"))
    clock.lap("model")
    model = processing.preprocess(model, [Processing("to_tensor", {}, None, None)], spec, recipe)
    model.save(str(output / "intermediate_models" / "preprocess.onnx"))
    clock.lap("preprocess")
    model = processing.postprocess(model, [Processing("top_k", {"k": 1}, None, None)], recipe)
    model.save(str(output / "intermediate_models" / "postprocess.onnx"))
    clock.lap("postprocess")

    from finn.builder import build_dataflow_config as build_config

    from finnyaml.finn.door import open_door

    steps = open_door().steps  # imports FINN's step functions, also where there is no Vivado
    clock.lap("imports")

    config = build_config.DataflowBuildConfig(
        output_dir=str(output),
        synth_clk_period_ns=20.0,
        board="ZCU102",
        shell_flow_type=build_config.ShellFlowType.VIVADO_ZYNQ,
        target_fps=2000,
        mvau_wwidth_max=160,
        standalone_thresholds=True,
        generate_outputs=[build_config.DataflowOutputType.ESTIMATE_REPORTS],
    )
    for step in build_config.hw_codegen_dataflow_steps:
        model = steps[step](model, config)
        model.save(str(output / "intermediate_models" / f"{step}.onnx"))
        clock.lap(step.removeprefix("step_"))
    return clock.parts


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
