"""A step of one's own: which layer holds the accelerator up?"""

from math import prod
from pathlib import Path

from qonnx.custom_op.registry import getCustomOp

COLUMNS = ("layer", "operator", "PE", "SIMD", "parameter bits", "cycles", "frames/s")


def layer_table(model, cfg, file="layers.md"):
    """Write one line per hardware layer into `report/`, the slowest first; the model passes through unchanged.

    A layer needs `cycles` clock cycles for one frame. The slowest layer gives the frame rate of the whole accelerator:
    more PE or SIMD belongs there, and on any other layer it is wasted.

    Args:
        model: qonnx ModelWrapper of hardware layers, anywhere behind `specialize_layers`.
        cfg: FINN's build configuration; this step reads the clock and the output folder.
        file: name of the table (Markdown).

    Raises:
        ValueError: the graph has no hardware layers yet.
    """
    rows = [_row(model, node, cfg.synth_clk_period_ns) for node in model.graph.node if node.domain.startswith("finn.")]
    if not rows:
        raise ValueError("there are no hardware layers in the graph: insert layer_table behind specialize_layers")
    rows.sort(key=lambda row: -row[5])
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    report = Path(cfg.output_dir) / "report"
    report.mkdir(parents=True, exist_ok=True)
    (report / file).write_text("".join(f"| {' | '.join(map(str, line))} |\n" for line in lines))
    return model


def _row(model, node, clock_ns):
    layer = getCustomOp(node)
    attributes = layer.get_nodeattr_types()
    pe, simd = (layer.get_nodeattr(name) if name in attributes else "" for name in ("PE", "SIMD"))
    cycles = int(layer.get_exp_cycles())
    frames = round(1e9 / (cycles * clock_ns)) if cycles else ""
    return node.name, node.op_type, pe, simd, _parameter_bits(model, node, attributes), cycles, frames


def _parameter_bits(model, node, attributes):
    if "weightDataType" not in attributes:
        return 0
    return prod(model.get_tensor_shape(node.input[1])) * model.get_tensor_datatype(node.input[1]).bitwidth()
