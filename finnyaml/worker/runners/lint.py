"""The lint rules, asked about graphs."""

from __future__ import annotations

from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.lint.graph import Stage, check
from finnyaml.worker.context import Context


def run(context: Context) -> None:
    """Ask the rules about graphs that lie among the staged inputs; the metrics hold what they find, by task."""
    told = {}
    for item in context.params["stages"]:
        model = ModelWrapper(str(context.root / "inputs" / item["file"]))
        stage = Stage(item["task"], item["uses"], item["config"], frozenset(item["after"]), item["data_dtype"])
        told[item["task"]] = [finding.plain() for finding in check(model, stage)]
    context.metrics["findings"] = told
