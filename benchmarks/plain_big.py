"""The work of the benchmark `big` as one plain Python script: `plain_big.py MODEL.onnx OUTPUT_FOLDER`.

As plain.py: the functions that finnyaml's workers call, then FINN's steps one after the other, each model saved.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(path: Path, output: Path) -> None:
    """Take a network to FINN's estimates."""
    models = output / "intermediate_models"
    models.mkdir(parents=True)
    (output / "finn_build").mkdir()
    os.environ["FINN_BUILD_DIR"] = str(output / "finn_build")

    from finn.builder import build_dataflow_config as build_config

    from finnyaml.finn.door import open_door
    from finnyaml.recipe.model import InputSpec, Processing
    from finnyaml.steps import processing, source

    spec = InputSpec((1, 784), "UINT8", "NC")
    model = source.annotate_input(source.read_onnx(path), spec)
    model.save(str(models / "model.onnx"))
    model = processing.preprocess(model, [Processing("to_tensor", {}, None, None)], spec, path.parent)
    model.save(str(models / "preprocess.onnx"))
    model = processing.postprocess(model, [Processing("top_k", {"k": 1}, None, None)], path.parent)
    model.save(str(models / "postprocess.onnx"))
    steps = open_door().steps
    config = build_config.DataflowBuildConfig(
        output_dir=str(output),
        synth_clk_period_ns=10.0,
        board="Pynq-Z1",
        target_fps=100,
        standalone_thresholds=True,
        generate_outputs=[build_config.DataflowOutputType.ESTIMATE_REPORTS],
    )
    for step in build_config.estimate_only_dataflow_steps:
        model = steps[step](model, config)
        model.save(str(models / f"{step}.onnx"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
