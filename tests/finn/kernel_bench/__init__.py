"""A bench for layers: many of them in one Verilator program, each with sources and sinks that stall at random."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from finnyaml.accelerator.numbers.datatypes import parse
from finnyaml.accelerator.numbers.packing import pack, unpack
from finnyaml.rtl import verilator

HERE = Path(__file__).parent
DOMAIN = "finn.custom_op.fpgadataflow"
Array = np.ndarray


def cache(factory: pytest.TempPathFactory) -> Path:
    """Where the tests of one session keep what Verilator's programs have in common."""
    return factory.getbasetemp() / "verilator"


@dataclass
class Layer:
    """A layer to test. kernel: its op type as a kernel of ours; op_type: FINN's before specialisation.

    inputs: per stream the frames [frames, *normal shape without the first dimension]. constant: the second operand.
    arrange: from the order of FINN's Python to that of the hardware's stream, where they differ.
    """

    name: str
    op_type: str
    kernel: str
    attributes: dict[str, Any]
    inputs: Sequence[Array]
    constant: Array | None = None
    outputs: int = 1
    arrange: Callable[[Array], Array] = field(default=lambda values: values)

    def instance(self, op_type: str, domain: str) -> Any:
        from qonnx.custom_op.registry import getCustomOp

        names = [f"in{i}" for i in range(len(self.inputs) + (self.constant is not None))]
        outputs = [f"out{i}" for i in range(self.outputs)]
        attributes = {"backend": "fpgadataflow", **self.attributes}
        return getCustomOp(helper.make_node(op_type, names, outputs, self.name, domain=domain, **attributes))

    def hardware(self) -> Any:
        return self.instance(self.kernel, f"{DOMAIN}.rtl")

    def expected(self, op_type: str | None = None, domain: str = DOMAIN) -> Array:
        """What FINN's Python execution gives, frame by frame: [outputs, frames, *normal shape of an output]."""
        instance = self.instance(op_type or self.op_type, domain)
        frames = []
        for frame in zip(*self.inputs, strict=True):
            context: dict[str, Any] = {
                f"in{i}": np.asarray(values, np.float32).reshape(instance.get_normal_input_shape(i))
                for i, values in enumerate(frame)
            }
            if self.constant is not None:
                context["in1"] = self.constant
            for i in range(self.outputs):
                context[f"out{i}"] = np.zeros(instance.get_normal_output_shape(i), np.float32)
            instance.execute_node(context, None)
            frames.append([context[f"out{i}"] for i in range(self.outputs)])
        return np.swapaxes(np.array(frames), 0, 1)


@dataclass(frozen=True)
class Seen:
    """What a layer did. outputs: [outputs, frames, *normal shape]; cycles: first and last beat taken, by stream."""

    outputs: Array
    cycles: dict[str, tuple[int, int]]


class Bench:
    """The compiled program with all layers."""

    def __init__(self, layers: Sequence[Layer], folder: Path, kept: Path) -> None:
        self.layers = {layer.name: layer for layer in layers}
        self.folder = folder
        self._kept = kept
        self._sources: dict[str, Path] = {}
        parts = [self._part(layer) for layer in layers]
        done = " & ".join(f"done_{layer.name}" for layer in layers)
        top = "\n".join(
            [
                "module bench(input logic clk, input logic rst_n, output logic done);",
                "int cycle = 0;",
                "always_ff @(posedge clk) cycle <= cycle + 1;",
                *parts,
                f"assign done = {done};",
                "endmodule",
            ]
        )
        (folder / "bench.sv").write_text(top)
        self.program = self._compiled()

    def run(self, *, input_stall: int = 0, output_stall: int = 0, seed: int = 1) -> dict[str, Seen]:
        arguments = [f"+input_stall={input_stall}", f"+output_stall={output_stall}", f"+verilator+seed+{seed}"]
        subprocess.run([str(self.program), *arguments], cwd=self.folder, check=True, timeout=60)
        return {name: self._seen(layer) for name, layer in self.layers.items()}

    def _part(self, layer: Layer) -> str:
        """Write a layer's code and data; returns its part of the bench."""
        from qonnx.core.modelwrapper import ModelWrapper

        instance = layer.hardware()
        folder = self.folder / layer.name
        folder.mkdir()
        instance.set_nodeattr("code_gen_dir_ipgen", str(folder))
        graph = helper.make_graph([instance.onnx_node], "layer", [], [])
        model = ModelWrapper(helper.make_model(graph))
        if layer.constant is not None:
            model.set_initializer("in1", layer.constant)
        instance.generate_hdl(model, "xczu7ev-ffvc1156-2-e", 10.0)
        for file in instance.get_rtl_file_list(abspath=True):
            self._sources.setdefault(Path(file).name, Path(file))
        text, ports, ends = [], [".ap_clk(clk)", ".ap_rst_n(rst_n)"], []
        names = instance.get_verilog_top_module_intf_names()
        for kind, streams in (("source", names["s_axis"]), ("sink", names["m_axis"])):
            for k, (port, width) in enumerate(streams):
                stream = f"{layer.name}_{port}"
                if kind == "source":
                    shape = instance.get_folded_input_shape(k)
                    values = layer.arrange(np.asarray(layer.inputs[k])).reshape(-1, shape[-1])
                    words = pack(values, parse(instance.get_input_datatype(k).name))
                    (self.folder / f"{stream}.hex").write_text("\n".join(bytes(w[::-1]).hex() for w in words))
                    beats, done = len(words), ""
                else:
                    shape = instance.get_folded_output_shape(k)
                    beats = len(layer.inputs[0]) * int(np.prod(shape[:-1]))
                    ends.append(f"{stream}_done")
                    done = f", .done({stream}_done)"
                nets = (f"logic [{width - 1}:0] {stream}_d;", f"logic {stream}_v, {stream}_r, {stream}_done;")
                text.append(" ".join(nets))
                text.append(
                    f'bench_{kind} #(.WIDTH({width}), .BEATS({beats}), .NAME("{stream}")) u_{stream} '
                    f"(.clk, .rst_n, .cycle, .data({stream}_d), .valid({stream}_v), .ready({stream}_r){done});"
                )
                ports += [f".{port}_TDATA({stream}_d)", f".{port}_TVALID({stream}_v)", f".{port}_TREADY({stream}_r)"]
        text.append(f"{layer.name} u_{layer.name} ({', '.join(ports)});")
        text.append(f"logic done_{layer.name}; assign done_{layer.name} = {' & '.join(ends)};")
        return "\n".join(text)

    def _compiled(self) -> Path:
        build = self.folder / "build"
        build.mkdir()
        for source in (HERE / "streams.sv", HERE / "main.cpp", *self._sources.values(), self.folder / "bench.sv"):
            shutil.copy(source, build)
        names = ["streams.sv", *self._sources, "bench.sv"]
        return verilator.program(build, names, "bench", "main.cpp", self._kept, self.folder / "verilator.log")

    def _seen(self, layer: Layer) -> Seen:
        instance = layer.hardware()
        names = instance.get_verilog_top_module_intf_names()
        outputs, cycles = [], {}
        for port, _ in names["s_axis"]:
            first, last = (self.folder / f"{layer.name}_{port}.taken").read_text().split()
            cycles[port] = int(first), int(last)
        for k, (port, width) in enumerate(names["m_axis"]):
            text = (self.folder / f"{layer.name}_{port}.out").read_text()
            assert "changed" not in text, f"{layer.name}: a beat changed while it waited"
            lines = [line.split() for line in text.splitlines()]
            cycles[port] = int(lines[0][1]), int(lines[-1][1])
            words = np.array([list(bytes.fromhex(word.zfill(width // 4))[::-1]) for word, _ in lines], np.uint8)
            lanes = instance.get_folded_output_shape(k)[-1]
            values = unpack(words, parse(instance.get_output_datatype(k).name), lanes)
            shape = instance.get_normal_output_shape(k)
            assert len(values.reshape(-1)) == len(layer.inputs[0]) * np.prod(shape), f"{layer.name}: too many beats"
            outputs.append(values.reshape(-1, *shape))
        return Seen(np.array(outputs), cycles)
