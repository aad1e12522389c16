"""A look-alike of `finn.xsi` over Verilator: FINN's own RTL simulations run without Vivado, unmodified.

FINN compiles and runs simulations through a few functions of that module: for each layer (exec_mode rtlsim) and for
stitched designs. What these cannot do here is refused: AXI-lite and AXI-MM, waveforms, simulations for FIFO sizing.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from finnyaml.errors import StepFailed
from finnyaml.finn.identity import distribution_of_finn
from finnyaml.rtl import node_simulation
from finnyaml.rtl.node_simulation import NodeProgram

_VIVADO = "Vivado can do this (toolchain: vivado)"
_KERNEL = "xsimk.so"
"""What FINN expects xelab to leave in xsim.dir/<top>, and hands back to load it; here JSON: what it is made of."""


@contextlib.contextmanager
def installed(cache: Path) -> Iterator[None]:
    """Give `finn.xsi` the names that FINN uses, in this process and those it forks; taken back at the end.

    cache: where compiled programs are kept, shared by processes; layers that are alike are one program.
    """
    import finn.xsi

    stand_in = _Xsi(cache.resolve())
    names: dict[str, Any] = {
        "SimEngine": Simulation,
        "compile_sim_obj": stand_in.compile_sim_obj,
        "load_sim_obj": stand_in.load_sim_obj,
        "reset_rtlsim": _reset,
        "close_rtlsim": _close,
        "rtlsim_multi_io": _multi_io,
        "get_simkernel_so": _no_kernel,
        "locate_glbl": lambda: None,  # FINN's sources name nothing of Vivado's glbl.v
        "is_available": lambda: True,
        "ensure_available": lambda: True,
    }
    module = vars(finn.xsi)
    before = {name: module[name] for name in names if name in module}
    started = multiprocessing.get_start_method(allow_none=True)
    module.update(names)
    # PrepareRTLSim with several workers: a process that starts afresh would import FINN's own finn.xsi.
    multiprocessing.set_start_method("fork", force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(started, force=True)
        for name in names:
            del module[name]
        module.update(before)


class Simulation:
    """A module that is loaded; runs once, from reset on. Stands for FINN's `SimEngine`."""

    def __init__(self, program: NodeProgram, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.fresh = True

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        _refuse(f"{self.program.top}: '{name}' of the simulator (AXI-lite, AXI-MM or single ports)")


class _Xsi:
    """The functions that compile, as FINN calls them.

    A module is compiled when it is first loaded: FINN prepares all layers of a graph, and passes data through FIFOs
    without simulating them.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.loaded: dict[Path, NodeProgram] = {}

    def compile_sim_obj(
        self,
        top_module_name: str,
        source_list: Sequence[str],
        sim_out_dir: Path,
        debug: bool = False,
        behav: bool = False,
        fifosim: bool = False,
    ) -> tuple[Path, Path]:
        """Leave in the folder, where FINN looks for a library, what it is made of."""
        if debug:
            _refuse(f"{top_module_name}: waveforms (rtlsim_trace, verify_save_rtlsim_waveforms)")
        if behav:
            _refuse(f"{top_module_name}: behavioural simulation (verify_rtlsim_behavioral)")
        if fifosim:
            _refuse(f"{top_module_name}: simulation for FIFO sizing", "rtl.size_fifos sizes FIFOs")
        base, kernel = Path(sim_out_dir), Path("xsim.dir") / top_module_name / _KERNEL
        (base / kernel).parent.mkdir(parents=True, exist_ok=True)
        made_of = {"top": top_module_name, "sources": [str(source) for source in source_list]}
        (base / kernel).write_text(json.dumps(made_of, indent=1) + "\n", encoding="utf-8")
        self.loaded.pop(base / kernel, None)
        return base, kernel

    def load_sim_obj(
        self,
        sim_out_dir: Path,
        out_so_relative_path: Path,
        tracefile: str | None = None,
        simkernel_so: str | None = None,
    ) -> Simulation:
        """The module for which `compile_sim_obj` was called, compiled."""
        file = Path(sim_out_dir) / out_so_relative_path
        if tracefile:
            _refuse(f"{file.parent.name}: waveforms (rtlsim_trace)")
        if file not in self.loaded:
            try:
                made_of = json.loads(file.read_text(encoding="utf-8"))
                top, sources = made_of["top"], [Path(source) for source in made_of["sources"]]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise StepFailed(
                    f"{file} was not prepared for a simulation with Verilator: {error}",
                    hint="FINN's PrepareRTLSim prepares it: run the step that simulates anew",
                ) from error
            finn = " ".join(distribution_of_finn())
            self.loaded[file] = node_simulation.compile(top, sources, finn, Path(sim_out_dir), self.cache)
        return Simulation(self.loaded[file], Path(sim_out_dir))


def _reset(sim: Simulation, *_: Any, **__: Any) -> None:
    sim.fresh = True


def _close(sim: Simulation) -> None:
    sim.fresh = False


def _multi_io(
    sim: Simulation,
    io_dict: dict[str, dict[str, list[int]]],
    num_out_values: int | Mapping[str, int],
    sname: str = "_V_V",
    liveness_threshold: int = 10000,
    liveness_estimate: float | None = None,
) -> int:
    """Send words in and put what comes out into `io_dict`; returns the cycles that took.

    Streams are called as in `io_dict` with `sname` behind; a word is one beat, as a whole number.
    """
    top = sim.program.top
    if not sim.fresh:
        _refuse(f"{top}: a simulation that goes on where another one ended")
    sim.fresh = False
    outputs = list(io_dict["outputs"])
    counts = num_out_values if isinstance(num_out_values, Mapping) else dict.fromkeys(outputs[:1], num_out_values)
    if set(counts) != set(outputs):
        raise StepFailed(f"{top}: FINN does not say how much to wait for on each of {', '.join(outputs)}")
    given = {name + sname: words for name, words in io_dict["inputs"].items()}
    wanted = {name + sname: int(counts[name]) for name in outputs}
    run = node_simulation.run(sim.program, given, wanted, int(liveness_threshold), sim.folder)
    if not run.finished:
        due = {**{name: len(words) for name, words in given.items()}, **wanted}
        passed = ", ".join(f"{run.moved[name]} of {count} on {name}" for name, count in due.items())
        estimate = "" if liveness_estimate is None else f", FINN expects {int(liveness_estimate)} in all"
        raise StepFailed(
            f"{top} stopped: nothing came out for {liveness_threshold} cycles{estimate}; words so far: {passed}",
            hint="if it needs longer, set the environment variable LIVENESS_THRESHOLD to more cycles",
        )
    for name in outputs:
        io_dict["outputs"][name] = run.words[name + sname]
    return run.cycles


def _no_kernel() -> NoReturn:
    _refuse("a simulation that links Vivado's simulator kernel")


def _refuse(what: str, instead: str = _VIVADO) -> NoReturn:
    finn = " ".join(distribution_of_finn())
    raise StepFailed(f"{what}: {finn} has this with Vivado's simulator only, not with Verilator", hint=instead)
