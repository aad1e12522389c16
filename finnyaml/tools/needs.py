"""Which external tools a FINN step needs.

FINN has no way to be asked for this: a step finds out when it calls the tool, which may be hours into a build. So
this is knowledge about FINN, read from the sources of the steps in finn-plus 1.6.1 and, where they differ, in the main
branch of Xilinx/finn (commit 002f0be). A step whose output is not requested returns early in FINN, and needs nothing
here. What depends on the model is told for a usual one: hw_ipgen needs Vitis HLS, although it does not for
one of RTL layers only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

FINN_PLUS = "finn-plus"

HLS = ("vitis_hls", "xilinx_env", "finn_hlslib")
STITCH = ("vivado",)
CPPSIM = ("g++", "hls_headers", "finn_hlslib")
RTLSIM = ("vivado", "xilinx_env", "g++")
NODE_SIM = (*STITCH, "xilinx_env", "g++", "make")
"""FINN+ simulates layer by layer: a stitched IP, an elaborated design, a C++ program each (it brings its own CMake)."""
SYNTHESIS = ("vivado", "xilinx_licence")
ALVEO = ("vitis", "xrt")
DRIVER = ("git", "xclbinutil", "make", "g++")

_ALL_OUTPUTS = (
    "stitched_ip",
    "estimate_reports",
    "out_of_context_synth",
    "rtlsim_performance",
    "bitfile",
    "pynq_driver",
    "cpp_driver",
    "deployment_package",
)


class _Config:
    """A build configuration as far as tools depend on it, with FINN's defaults for what it does not name."""

    def __init__(self, values: Mapping[str, Any], distribution: str) -> None:
        self._values = values
        self.plus = distribution == FINN_PLUS

    def text(self, name: str, default: str = "") -> str:
        value = self._values.get(name)
        return default if value is None else _text(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._values.get(name)
        return default if value is None else bool(value)

    def wants(self, *outputs: str) -> bool:
        value = self._values.get("generate_outputs")
        return not set(outputs).isdisjoint(_ALL_OUTPUTS if value is None else map(_text, value))

    def verifies(self, point: str) -> bool:
        return point in map(_text, self._values.get("verify_steps") or ())

    @property
    def alveo(self) -> bool:
        return self.text("shell_flow_type") == "vitis_alveo"


Rule = Callable[[_Config], Iterable[str]]


def needs(step_name: str, config: Mapping[str, Any], *, distribution: str = FINN_PLUS) -> tuple[str, ...]:
    """The tools (names of `registry.TOOLS`) that a FINN step needs under a build configuration.

    `step_name` is of any FINN dialect, with or without `step_`; a step that is not known here needs nothing. `config`
    maps fields of FINN's `DataflowBuildConfig` to their values, enums also as text; FINN's default counts for a field
    that is missing or None. `distribution` is the installed one (`finn-plus` or `finn`): steps of equal name differ.
    """
    rule = _RULES.get(step_name.removeprefix("step_"))
    return tuple(dict.fromkeys(rule(_Config(config, distribution)))) if rule else ()


def _hw_ipgen(config: _Config) -> Iterable[str]:
    yield from HLS
    if config.verifies("node_by_node_rtlsim"):
        yield from RTLSIM


def _set_fifo_depths(config: _Config) -> Iterable[str]:
    """Live sizing leaves before it generates anything; all others generate IP for the FIFOs, which are RTL in FINN+."""
    strategy = config.text("auto_fifo_strategy", "distributed_sim" if config.plus else "largefifo_rtlsim")
    automatic = config.flag("auto_fifo_depths", True)
    if automatic and strategy == "live_fifo":
        return
    if automatic and strategy == "distributed_sim":
        yield from NODE_SIM
        if config.text("fifosim_comm_mode", "shm") == "hybrid_mpi":
            yield from _mpi(config)
    elif automatic and strategy != "force_minimal_fifos":
        yield from RTLSIM
    yield from _hw_ipgen(config) if config.plus else HLS


def _mpi(config: _Config) -> Iterable[str]:
    return (config.text("fifosim_mpi_launcher", "mpirun"), "mpicxx")


def _generate_hardware(config: _Config) -> Iterable[str]:
    """FINN+'s codegen, ipgen and FIFO sizing in one; it stitches the bodies of loops."""
    yield from _hw_ipgen(config)
    if config.flag("mlo"):
        yield from STITCH
    yield from _set_fifo_depths(config)


def _create_stitched_ip(config: _Config) -> Iterable[str]:
    if config.plus and config.flag("enable_instrumentation") and not config.text("multi_dnn_config_path"):
        yield from HLS  # for the TLAST marker
    if config.wants("stitched_ip"):
        yield from SYNTHESIS if config.flag("stitched_ip_gen_dcp") else STITCH
    if config.verifies("stitched_ip_rtlsim"):
        yield from RTLSIM


def _measure_rtlsim_performance(config: _Config) -> Iterable[str]:
    if not config.wants("rtlsim_performance") or (config.plus and config.flag("mlo")):
        return
    yield from NODE_SIM if config.plus else RTLSIM
    if config.plus and config.text("fifosim_comm_mode", "shm") == "hybrid_mpi":
        yield from _mpi(config)


def _synthesize_bitfile(config: _Config) -> Iterable[str]:
    if config.wants("bitfile"):
        yield from SYNTHESIS
        if config.alveo:
            yield from ALVEO
        if not (config.plus and config.alveo):
            yield from HLS  # for the DMA engines


_RULES: Mapping[str, Rule] = {
    "minimize_bit_width": lambda config: CPPSIM if config.plus and config.verifies("folded_hls_cppsim") else (),
    "apply_folding_config": lambda config: CPPSIM if not config.plus and config.verifies("folded_hls_cppsim") else (),
    "hw_ipgen": _hw_ipgen,
    "hls_ipgen": _hw_ipgen,
    "set_fifo_depths": _set_fifo_depths,
    "generate_hardware": _generate_hardware,
    "prepare_nodecontainer": lambda config: (*HLS, *STITCH),
    "create_stitched_ip": _create_stitched_ip,
    "measure_rtlsim_performance": _measure_rtlsim_performance,
    "out_of_context_synthesis": lambda config: SYNTHESIS if config.wants("out_of_context_synth") else (),
    "vivado_power_estimation": lambda config: SYNTHESIS,
    "prepare_synthesis": lambda config: (*HLS, *STITCH) if config.wants("bitfile") and config.alveo else (),
    "synthesize_bitfile": _synthesize_bitfile,
    "make_driver": lambda config: DRIVER if config.plus and config.wants("cpp_driver") else (),
}


def _text(value: Any) -> str:
    """An enum's value, else the text itself."""
    return str(getattr(value, "value", value))
