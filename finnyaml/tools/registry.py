"""The external tools that FINN builds use. Data; `discover` looks for them.

Read from finn-plus 1.6.1 (its own checks are spread over the transformations that call the tools).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Command = tuple[str, ...]
"""A command and the arguments that make it tell its version."""

_XILINX_VERSION = r"v(\d{4}\.\d+(?:\.\d+)?)"
_SETTINGS = "install Vivado/Vitis and source its settings64.sh before calling finnyaml"
_XRT = "install the Xilinx Runtime and source its setup.sh"
_MPI = "FIFO sizing by simulation on several hosts (fifosim_comm_mode: hybrid_mpi)"


@dataclass(frozen=True)
class Tool:
    """One tool, found as any of its `commands` on PATH or in `bin/` of an installation that `env_roots` name.

    A tool without commands is a condition rather than a program; `discover` has a probe for it. `version_pattern` has
    the version in its first group. `optional` tools are reported when missing, but block nothing. `dispatched`
    tools are what FINN looks for in the folder FINN_TOOL_DIR_OVERRIDE, where it is set.
    """

    name: str
    enables: str
    hint: str
    commands: tuple[Command, ...] = ()
    version_pattern: str = r"(\d+(?:\.\d+)+)"
    env_roots: tuple[str, ...] = ()
    optional: bool = False
    dispatched: bool = False


def _command(name: str, enables: str, hint: str, **more: Any) -> Tool:
    return Tool(name, enables, hint, ((name, "--version"),), **more)


TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "vivado",
            "stitched IP, RTL simulation, FIFO sizing, out-of-context synthesis, bitfile",
            _SETTINGS,
            (("vivado", "-version"),),
            _XILINX_VERSION,
            ("XILINX_VIVADO",),
            dispatched=True,
        ),
        Tool(
            "vitis_hls",
            "hw_ipgen (HLS layers) and all that follows it, up to the bitfile",
            _SETTINGS,
            (("vitis_hls", "-version"), ("vitis-run", "--version")),
            _XILINX_VERSION,
            ("XILINX_HLS", "XILINX_VITIS"),
            dispatched=True,
        ),
        Tool(
            "xilinx_env",
            "what FINN derives from XILINX_VIVADO: the HLS command to call, the RTL simulator to load",
            "source Vivado's settings64.sh; FINN reads the version from the path in XILINX_VIVADO (.../Vivado/2022.2)",
        ),
        Tool(
            "hls_headers",
            "C++ simulation of HLS layers (verification point folded_hls_cppsim)",
            "set XILINX_HLS to the Vitis HLS installation (its settings64.sh does)",
        ),
        Tool(
            "finn_hlslib",
            "hw_ipgen and C++ simulation of HLS layers: FINN's C++ library",
            "run `finn deps update` (finn-plus), or point FINN_DEPS to a folder that holds finn-hlslib",
        ),
        Tool(
            "vitis",
            "bitfiles (.xclbin) for Alveo cards",
            _SETTINGS,
            (("v++", "--version"),),
            _XILINX_VERSION,
            ("XILINX_VITIS",),
        ),
        Tool(
            "xrt",
            "bitfiles (.xclbin) for Alveo cards",
            _XRT,
            (("xbutil", "--version"), ("xrt-smi", "--version")),
            env_roots=("XILINX_XRT",),
        ),
        _command("xclbinutil", "C++ driver", _XRT, env_roots=("XILINX_XRT", "XILINX_VITIS")),
        _command("g++", "C++ and RTL simulation, FIFO sizing, C++ driver", "install g++ (package g++)"),
        _command("make", "FIFO sizing by simulation, C++ driver", "install make (package make)"),
        _command("git", "C++ driver (FINN clones its sources)", "install git (package git)"),
        _command("mpirun", _MPI, "install Open MPI 5 or name another launcher in fifosim_mpi_launcher"),
        _command("mpicxx", _MPI, "install the development files of Open MPI"),
        _command(
            "verilator",
            "RTL simulation in FINN 0.10 and older (finnyaml's own rtl.simulate brings its Verilator)",
            "install verilator",
            optional=True,
        ),
        Tool(
            "xilinx_licence",
            "synthesis for devices outside the free editions",
            "set XILINXD_LICENSE_FILE to a licence file or to port@server; many devices need none",
            optional=True,
        ),
    )
}


def tool(name: str) -> Tool:
    """The registered tool; for any other name (a recipe's `tools: [ghdl]`) the command of that name."""
    if name in TOOLS:
        return TOOLS[name]
    return _command(name, "a step of this recipe", f"install {name} and put it on PATH")


def vivado_version(environ: Mapping[str, str]) -> tuple[int, int] | None:
    """The version that FINN reads from the path in XILINX_VIVADO; None where it finds none."""
    match = re.search(r"\b(20\d{2})\.(1|2)\b", environ.get("XILINX_VIVADO", ""))
    return (int(match[1]), int(match[2])) if match else None


def commands(name: str, environ: Mapping[str, str]) -> tuple[Command, ...]:
    """The commands that FINN would call for this tool: it takes `vitis-run` after Vivado 2024.2, else `vitis_hls`."""
    found = tool(name).commands
    version = vivado_version(environ)
    if name == "vitis_hls" and version is not None:
        wanted = "vitis-run" if version > (2024, 2) else "vitis_hls"
        return tuple(command for command in found if command[0] == wanted)
    return found
