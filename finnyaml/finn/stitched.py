"""FINN's own stitching, with SystemVerilog of ours where it starts Vivado."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.finn import dataflow, estimates, versions
from finnyaml.finn.cycles import exact_cycles
from finnyaml.finn.identity import distribution_of_finn
from finnyaml.finn.kernels import kernels
from finnyaml.finn.kernels.register import register
from finnyaml.graph.view import View, style
from finnyaml.rtl import covered, sources, stitch_script
from finnyaml.rtl.block_design import BlockDesign, Pin
from finnyaml.rtl.design import FORMAT, TOP, TOP_FILE, Design, Node
from finnyaml.rtl.netlist import Netlist, netlist, wrapper
from finnyaml.rtl.ports import ports

_SCRIPT = "make_project.tcl"
_SOURCES = "all_verilog_srcs.txt"
_WRAPPER = re.compile(r"^make_wrapper .*\nadd_files -norecurse (/\S+\.v)$", re.MULTILINE)
_CODE, _PACKAGED = "code_gen_dir_ipgen", "ip_path"


def stitch(model: ModelWrapper, part: str, clock_ns: float, folder: Path) -> ModelWrapper:
    """Make a design folder of a graph of RTL layers whose code FINN has generated.

    clock_ns: the period. folder: made if it is not there; a design in it is replaced.

    Returns the model as FINN's `CreateStitchedIP` leaves it: its metadata and `all_verilog_srcs.txt` are there, so that
    FINN's own execution of stitched designs runs on it.

    Raises:
        StepFailed: something that the open RTL path does not cover, before anything is run; or what FINN wrote is not
            what is expected of it.
    """
    from finn.transformation.fpgadataflow import create_stitched_ip
    from finn.util.settings import get_settings

    finn = _finn()
    register()
    view = View(model)
    covered.check(_layers(model), view.inputs, view.outputs, finn)
    flow = dataflow.read(model)

    def in_place_of_vivado(command: list[str], **_: object) -> tuple[str, str]:
        project = Path(command[-1]).parent
        script = (project / _SCRIPT).read_text(encoding="utf-8")
        design = stitch_script.read(script, {"FINN_RTLLIB": str(get_settings().finn_rtllib)}, finn)
        made, originals = _write(model, flow, design, part, clock_ns, folder)
        _write_project(project, script, made, originals)
        return "", ""

    with _instead(create_stitched_ip, in_place_of_vivado):
        return model.transform(create_stitched_ip.CreateStitchedIP(part, clock_ns))


@contextlib.contextmanager
def _instead(stitching: Any, vivado: Callable[..., tuple[str, str]]) -> Iterator[None]:
    """Let FINN's module call `vivado` when it would run the script it wrote."""
    instead: dict[str, Callable[..., Any]] = {
        "launch_process_helper": vivado,
        "resolve_xilinx_tool": lambda name, *_, **__: name,
        # FINN waits 50 ms for each source, in case of a slow file system; here all are there, or missing.
        "wait_for_file": lambda path, *_, **__: Path(path).is_file(),
    }
    module = vars(stitching)
    if missing := [name for name in instead if name not in module]:
        raise StepFailed(
            f"{_finn()} starts Vivado in another way than finnyaml knows (it has no {missing[0]})",
            hint=f"the open RTL path knows {versions.OPEN_RTL}",
        )
    before = {name: module[name] for name in instead}
    module.update(instead)
    try:
        yield
    finally:
        module.update(before)


def _write(
    model: ModelWrapper, flow: dataflow.Dataflow, design: BlockDesign, part: str, clock_ns: float, folder: Path
) -> tuple[Netlist, tuple[Path, ...]]:
    """Write the design folder; the netlist, and where the sources in it came from."""
    files = sources.distinct(Path(file) for file in design.files)
    made = netlist(
        design,
        ports(design.cells, files),
        top=TOP,
        streams={Pin(*driver): name for driver, name in flow.drivers.items()},
        fifos=[fifo.node for fifo in flow.fifos],
    )
    dataflow.check_widths((flow.input, flow.output, *flow.edges), made.widths)
    code = {name: Path(operator.get_nodeattr(_CODE)) for name, operator in flow.operators.items()}
    copied = sources.copy(files, code, folder)
    (folder / TOP_FILE).write_text(made.text, encoding="utf-8")
    max_cycles, latency_cycles = estimates.performance(model)
    Design(
        format=FORMAT,
        top=TOP,
        finn=_finn(),
        part=part,
        clock_ns=float(clock_ns),
        sources=(*copied.sources, TOP_FILE),
        data=copied.data,
        input=flow.input,
        output=flow.output,
        edges=flow.edges,
        nodes=tuple(_node(node, flow.operators[node.name], design, part) for node in model.graph.node),
        fifos=flow.fifos,
        max_cycles=max_cycles,
        latency_cycles=latency_cycles,
        device=estimates.capacity(part),
    ).save(folder)
    return made, copied.originals


def _write_project(project: Path, script: str, made: Netlist, originals: tuple[Path, ...]) -> None:
    """What Vivado would have left in FINN's project: the wrapper around the design, and the list of all sources."""
    found = _WRAPPER.search(script)
    if found is None or project not in Path(found[1]).parents:
        raise StepFailed(f"the script that {_finn()} wrote for Vivado makes no wrapper around the design")
    file = Path(found[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    top = file.with_name(f"{TOP}.sv")
    top.write_text(made.text, encoding="utf-8")
    file.write_text(wrapper(file.stem, TOP, made.widths), encoding="utf-8")
    (project / _SOURCES).write_text("".join(f"{each}\n" for each in (*originals, top, file)), encoding="utf-8")


def _layers(model: ModelWrapper) -> list[covered.Layer]:
    from finn.transformation.fpgadataflow.specialize_layers import rtl_variants

    layers, has_kernel = [], kernels()
    for node in model.graph.node:
        attributes, code = {}, False
        if style(node):
            operator = getCustomOp(node)
            known = operator.get_nodeattr_types()
            attributes = {name: operator.get_nodeattr(name) for name in covered.ATTRIBUTES if name in known}
            folders = [operator.get_nodeattr(name) for name in (_CODE, _PACKAGED)]
            code = all(each and Path(each).is_dir() for each in folders)
        base = node.op_type.removesuffix("_hls")
        has_rtl = f"{base}_rtl" in rtl_variants
        layer = covered.Layer(node.name, node.op_type, style(node), attributes, has_rtl, base in has_kernel, code)
        layers.append(layer)
    return layers


def _node(node: Any, operator: Any, design: BlockDesign, part: str) -> Node:
    cells = [cell for cell in design.cells if cell.node == node.name]
    exact = exact_cycles(operator)
    return Node(
        name=node.name,
        op_type=node.op_type,
        cycles=int(operator.get_exp_cycles()) if exact is None else exact,
        sources=tuple({"module": cell.module, "parameters": dict(cell.parameters)} for cell in cells),
        estimate=estimates.resources(operator, part),
    )


def _finn() -> str:
    return " ".join(distribution_of_finn())
