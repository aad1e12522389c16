"""What all our kernels have in common: how their hardware code is written and handed to FINN."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from qonnx.core.datatype import DataType

from finnyaml.errors import StepFailed

SOURCES = Path(__file__).parent / "hdl"
SKID = "finnyaml_skid"


@dataclass(frozen=True)
class Port:
    """A stream of a layer. name: as FINN calls it ("in0_V"); width: bits of a beat; padded: to whole bytes."""

    name: str
    width: int
    padded: int


@dataclass(frozen=True)
class Module:
    """The SystemVerilog module (`<name>.sv`) that implements a layer, and its parameters."""

    name: str
    parameters: Mapping[str, int | str]


class Kernel(RTLBackend):  # type: ignore[misc]
    """Base of our kernels; a kernel derives from it first and then from FINN's layer.

    `sources` is the folder with the SystemVerilog of its module.
    """

    sources = SOURCES

    @abstractmethod
    def why_not(self) -> str | None:
        """Why the kernel does not cover this layer: the end of a sentence that begins with the layer. None: it does."""

    @abstractmethod
    def module(self) -> Module:
        """The module that implements the layer, which `why_not` has not refused."""

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """As FINN does: simulated with exec_mode "rtlsim", else FINN's Python for the layer."""
        if self.get_nodeattr("exec_mode") == "rtlsim":
            RTLBackend.execute_node(self, context, graph)
        else:
            super(RTLBackend, self).execute_node(context, graph)

    def write_data(self, model: Any, folder: Path) -> None:
        """Write the memory images that the module reads; most have none."""

    def generate_hdl(self, model: Any, fpgapart: str, clk: float) -> None:
        """Write the layer's top module and the sources that it needs into its folder for generated code.

        Raises:
            StepFailed: the kernel does not cover the layer as it is now.
        """
        name = self.onnx_node.name
        reason = self.why_not()
        if reason is not None:
            raise StepFailed(
                f"{name}: {self.onnx_node.op_type} has no hardware for this layer: it {reason}",
                hint="leave this layer to Vitis HLS, or change the network so that the kernel covers it",
            )
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        module = self.module()
        self.write_data(model, folder)
        for source in (SOURCES / f"{SKID}.sv", self.sources / f"{module.name}.sv"):
            shutil.copyfile(source, folder / source.name)
        top = self.get_verilog_top_module_name()
        (folder / f"{top}.v").write_text(self._wrapper(top, module))
        # the name stays when FINN renames the node, as it does when it makes a Zynq project
        self.set_nodeattr("gen_top_module", top)
        self.set_nodeattr("ipgen_path", str(folder))
        self.set_nodeattr("ip_path", str(folder))

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """The sources, each after those that it needs; as names in the folder of generated code, or as full paths."""
        files = [f"{SKID}.sv", f"{self.module().name}.sv", f"{self.get_nodeattr('gen_top_module')}.v"]
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        return [str(folder / file) if abspath else file for file in files]

    def code_generation_ipi(self) -> list[str]:
        """The Tcl commands that put the layer into a block design of Vivado."""
        commands = [f"add_files -norecurse {file}" for file in self.get_rtl_file_list(abspath=True)]
        cell = f"{self.get_nodeattr('gen_top_module')} {self.onnx_node.name}"
        return [*commands, f"create_bd_cell -type module -reference {cell}"]

    def bram_estimation(self, fpgapart: str) -> int:
        return 0

    uram_estimation = dsp_estimation = bram_estimation

    def _wrapper(self, top: str, module: Module) -> str:
        names = self.get_verilog_top_module_intf_names()
        inputs = [Port(name, self.get_instream_width(int(name[2:-2])), padded) for name, padded in names["s_axis"]]
        outputs = [Port(name, self.get_outstream_width(int(name[3:-2])), padded) for name, padded in names["m_axis"]]
        environment = Environment(  # noqa: S701 - this is Verilog
            loader=FileSystemLoader(SOURCES), undefined=StrictUndefined, keep_trailing_newline=True
        )
        return environment.get_template("wrapper.v.j2").render(top=top, module=module, inputs=inputs, outputs=outputs)


def not_integers(datatype: Any) -> str | None:
    """Why sums over this datatype are not sums of integers; None: they are.

    BIPOLAR counts as an integer type in qonnx, but its bits 0 and 1 mean -1 and 1.
    """
    if not datatype.is_integer() or datatype == DataType["BIPOLAR"]:
        return f"has {datatype.name} values, and the kernel adds integers"
    return None


def too_narrow(datatype: Any, lowest: int, highest: int) -> str | None:
    """Why not all integers from `lowest` to `highest` are values of the datatype; None: they are."""
    if not_integers(datatype) or not (datatype.min() <= lowest and highest <= datatype.max()):
        return f"gives {datatype.name}, which cannot hold all results from {lowest} to {highest}"
    return None
