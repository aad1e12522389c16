"""The steps that need licensed tools, end to end: the real command, FINN's real steps, and STAND-INS for the tools.

Vivado and Vitis HLS are not here, and nothing of this was verified with them. The stand-ins (tests/tools/standins.py)
are called by FINN as the real tools would be, fail as those are known to fail, and leave empty files where FINN looks
for results; so this proves how finnyaml treats such steps, and nothing about any hardware that they would make.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.finn.conftest import unverified_digits
from tests.project import Project
from tests.tools import standins

BRANCHES = """
- {uses: hw_ipgen, id: no_licence, needs: hw_codegen}
- {uses: hw_ipgen, id: buried, needs: hw_codegen}
- {uses: hw_ipgen, id: killed, needs: hw_codegen}
- {uses: hw_ipgen, id: silent, needs: hw_codegen}
- {uses: hw_ipgen, id: hangs, needs: hw_codegen, timeout: 2}
"""
"""Five times the same step, at each of which the stand-in of Vitis HLS fails in another way."""

FLOW = """
- hw_ipgen
- {uses: set_fifo_depths, with: {fifo: {strategy: force_minimal_fifos}}}
- {uses: create_stitched_ip, with: {outputs: [stitched_ip]}}
- {uses: out_of_context_synthesis, with: {outputs: [stitched_ip, out_of_context_synth]}}
- {uses: synthesize_bitfile, with: {outputs: [bitfile]}}
- {uses: make_driver, with: {outputs: [pynq_driver]}}
- {uses: deployment_package, with: {outputs: [deployment_package]}}
"""
TWICE = """
- hw_ipgen
- {uses: set_fifo_depths, with: {fifo: {strategy: force_minimal_fifos}}}
- {uses: create_stitched_ip, id: late, needs: hw_ipgen, with: {outputs: [stitched_ip]}}
- {uses: create_stitched_ip, needs: set_fifo_depths, with: {outputs: [stitched_ip]}}
"""
HLS = {"finn_hlslib", "vitis_hls", "xilinx_env"}
NEEDS = {
    "hw_ipgen": HLS,
    "set_fifo_depths": HLS,
    "create_stitched_ip": {"vivado"},
    "out_of_context_synthesis": {"vivado"},
    "synthesize_bitfile": {*HLS, "vivado"},
    "make_driver": set(),
    "deployment_package": set(),
}
HEAD = """toolchain: vivado
lint: {ignore: [padding-cannot-be-represented, accumulator-too-narrow]}
"""
"""What digits-cnv loses is another test's matter; by itself no tool would start on it."""

ONE_LAYER = ("--set", "folding.nodes={MVAU_hls_1: {PE: 4}}")

NO_TOOLS = {"PATH": "/usr/bin:/bin", "FINN_DEPS": "/nowhere"} | dict.fromkeys(
    ("XILINX_VIVADO", "XILINX_HLS", "XILINX_VITIS", "FINN_TOOL_DIR_OVERRIDE"), ""
)


@dataclass
class Site:
    """digits-cnv with further steps, and an installation of stand-ins to run them."""

    project: Project
    tools: Path
    environ: dict[str, str]
    result: dict[str, Any] = field(default_factory=dict)
    told: str = ""

    @classmethod
    def make(cls, folder: Path, store: Path) -> Site:
        """A fresh project in `folder` on a copy of a store."""
        shutil.copytree(store, folder / "store")
        environ = standins.xilinx(folder / "xilinx")
        environ["PATH"] += os.pathsep + os.environ["PATH"]
        project = unverified_digits(folder, folder / "store")
        return cls(project, folder / "xilinx/bin", environ)

    def steps(self, listed: str) -> None:
        """Let the recipe end with other steps."""
        path = self.project.folder / "recipe.yaml"
        entries = listed.strip().replace("\n", "\n      ")
        steps = f"steps:\n  flow: hw_codegen\n  insert:\n  - after: hw_codegen\n    steps:\n      {entries}\n"
        text = path.read_text().removeprefix(HEAD)
        path.write_text(HEAD + re.sub(r"(?m)^steps:(.*\n)+?(?=\n)", steps, text))

    def build(self, *arguments: str, code: int = 0) -> None:
        """Build, and keep the record of the run and what was printed about it."""
        done = self.project.run("build", "recipe.yaml", "--json", *arguments, **self.environ)
        assert done.returncode == code, f"exit code {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
        self.result, self.told = json.loads(done.stdout), done.stderr

    def in_state(self, state: str) -> list[str]:
        """The tasks that the last build left in a state."""
        return [name for name, task in self.result["tasks"].items() if task["state"] == state]

    def read(self, name: str) -> str:
        """A text file of the workspace."""
        return (self.project.folder / "build" / name).read_text()


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory, built_digits: Project) -> Site:
    """One build in which Vitis HLS fails in every way it can."""
    site = Site.make(tmp_path_factory.mktemp("tools"), built_digits.store)
    site.steps(BRANCHES)
    standins.install(site.tools, "vitis_hls", "no_licence", "buried_error", "killed", "fails_silently", "hangs")
    site.build("--keep-going", "--jobs", "1", code=1)
    return site


@pytest.fixture(scope="module")
def told(failing: Site) -> dict[str, str]:
    """What was printed about each task that failed."""
    parts = re.split(r"(?m)^(\w+) \(step_hw_ipgen\) failed: ", failing.told)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture(scope="module")
def built(failing: Site, told: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The same project, once the stand-ins work: up to the bitfile and the deployment package."""
    standins.install(failing.tools, "vitis_hls")
    (failing.tools / "calls.jsonl").unlink()
    site = Site(failing.project, failing.tools, failing.environ)
    site.steps(FLOW)
    site.build()
    return site


CASES = {
    "no_licence": ("cause:     ERROR: [Common 17-345] A valid license was not found", "XILINXD_LICENSE_FILE"),
    "buried": ("cause:     ERROR: [Synth 8-439] module 'MVAU_hls_3_imp' not found", "alone:"),
    "killed": (" Killed ", "most likely because memory ran out"),
    "silent": ("Logs and sources are in <sandbox>/build/code_gen_ipgen_", "ends with: 0 Errors encountered."),
    "hangs": ("timeout: it took longer than 2 s", "raise `timeout:` of the step, or see in its log"),
}


@pytest.mark.parametrize("task", CASES)
def test_a_failure_tells_its_cause_and_what_to_do(task: str, failing: Site, told: dict[str, str]) -> None:
    for text in CASES[task]:
        assert text in told[task]
    assert f"finnyaml build recipe.yaml --to {task}\n" in told[task]
    run = Path(failing.result["run"]).relative_to(failing.project.folder)
    assert f"log:       {run}/logs/{task}.log\n" in told[task]
    assert "alone:     " in told[task]
    assert f"python -m finnyaml.worker.rerun {run}/failed/{task}.json\n" in re.sub(
        r"python3[.\d]*", "python", told[task]
    )
    assert (failing.project.folder / run / "failed" / f"{task}.json").exists()
    assert "Traceback" not in told[task] and str(failing.project.store) not in told[task]


@pytest.mark.parametrize("task", CASES)
def test_a_copy_of_the_log_that_the_tool_wrote_is_kept(task: str, failing: Site, told: dict[str, str]) -> None:
    (name,) = re.findall(r"tool log:  (\S+)", told[task])
    log = (failing.project.folder / name).read_text().splitlines()
    assert "by the stand-in" not in log[0] and "****** Vitis HLS" in log[1]
    number = re.search(r"\(line (\d+)\)", told[task])
    if task in ("no_licence", "buried"):
        assert number is not None and log[int(number[1]) - 1].startswith("ERROR: [")


def test_nothing_else_is_lost_by_failures(failing: Site) -> None:
    assert failing.in_state("failed") == list(CASES)
    assert failing.in_state("ran") == []
    assert len(failing.in_state("cached")) == 15


def test_a_tool_that_hangs_is_ended_with_its_children(failing: Site, told: dict[str, str]) -> None:
    assert "timeout" in told["hangs"]
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            assert str(failing.project.store).encode() not in path.read_bytes(), path


def test_a_retry_runs_the_failed_steps_and_the_whole_flow(built: Site) -> None:
    assert built.in_state("ran") == list(NEEDS)
    assert len(built.in_state("cached")) == 15


def test_finn_called_the_tools_as_it_does_and_found_what_their_scripts_look_up(built: Site) -> None:
    hls, *_ = standins.calls(built.tools, "vitis_hls")
    stitch, *_ = standins.calls(built.tools, "vivado")
    (script,) = hls["argv"]
    assert Path(script).name.startswith("hls_syn_") and Path(script).parent == Path(hls["cwd"])
    assert stitch["argv"] == ["-mode", "batch", "-source", "make_project.tcl"]
    for call in (hls, stitch):
        assert (Path(call["env"]["FINN_RTLLIB"]) / "memstream").is_dir()
        assert (Path(call["env"]["FINN_CUSTOM_HLS"]) / "lookup.hpp").is_file()
        assert call["env"]["XILINX_LOCAL_USER_DATA"] == "no"
    assert f'set config_bnnlibdir "{built.environ["FINN_DEPS"]}/finn-hlslib"' in built.read(
        "finn_build/code_gen_ipgen_MVAU_hls_0_0/hls_syn_MVAU_hls_0.tcl"
    )


def test_the_workspace_holds_all_products(built: Site) -> None:
    for name in (
        "stitched_ip/ip/component.xml",
        "bitfile/finn-accel.bit",
        "bitfile/finn-accel.hwh",
        "report/post_synth_resources.json",
        "report/fifo_sizing.json",
        "deploy/bitfile/finn-accel.bit",
        "deploy/driver/settings.json",
    ):
        assert built.read(name)
    assert built.result["tasks"]["out_of_context_synthesis"]["key_metrics"]["LUT"] == 4711


def test_the_driver_is_made_without_any_tool(built: Site) -> None:
    """FINN writes it from the model alone; only the partitions that it describes come from a synthesis."""
    driver = json.loads(built.read("driver/settings.json"))["driver_information"]
    assert driver["io_shape_dict"]["ishape_normal"] == [[1, 14, 14, 1]]
    assert driver["io_shape_dict"]["idt"] == ["DataType['UINT8']"]
    assert driver["fclk_mhz"] == 50.0


def test_the_versions_of_the_tools_are_in_the_trace(built: Site) -> None:
    last = json.loads(built.read(".finnyaml/last.json"))["tasks"]
    for task, tools in NEEDS.items():
        versions = last[task]["reads"].get("tool", {})
        assert set(versions) == tools
        assert {version for name, version in versions.items() if name != "finn_hlslib"} <= {"2022.2"}
        assert not [name for name in last[task]["reads"].get("env", {}) if name.startswith("XILINX")]


def test_a_second_build_runs_nothing(built: Site) -> None:
    before = len(standins.calls(built.tools, versions=True))
    again = Site(built.project, built.tools, built.environ)
    again.build()
    assert again.in_state("ran") == []
    assert len(standins.calls(built.tools, versions=True)) == before


def test_nothing_of_this_machine_is_in_what_the_steps_left(built: Site) -> None:
    here = str(built.project.store.parent).encode()
    logs = {task["log"] for task in json.loads(built.read(".finnyaml/last.json"))["tasks"].values()}
    for path in (built.project.store / "objects").glob("*/*"):
        assert path.name in logs or here not in path.read_bytes()


@pytest.fixture(scope="module")
def refolded(built: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A colleague's copy, in which one layer is folded in another way."""
    site = Site.make(tmp_path_factory.mktemp("refolded"), built.project.store)
    site.steps("- hw_ipgen")
    site.build(*ONE_LAYER)
    return site


def test_for_one_other_layer_vitis_hls_is_called_once(refolded: Site) -> None:
    (call,) = standins.calls(refolded.tools, "vitis_hls")
    assert call["argv"][0].endswith("hls_syn_MVAU_hls_1.tcl")
    tasks = json.loads(refolded.read(".finnyaml/last.json"))["tasks"]
    assert {name: tasks[name]["metrics"]["layers"] for name in ("hw_codegen", "hw_ipgen")} == {
        "hw_codegen": {"there": 18, "made": 1},
        "hw_ipgen": {"there": 6, "made": 1},
    }
    assert set(tasks["hw_ipgen"]["reads"]["tool"]) == HLS


@pytest.mark.long
def test_layers_laid_in_are_what_finn_makes(refolded: Site) -> None:
    """FINN makes all layers once more, for comparison."""
    again = refolded.project.run(
        "build", "recipe.yaml", "--check", "hw_codegen", "hw_ipgen", *ONE_LAYER, **refolded.environ
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(standins.calls(refolded.tools, "vitis_hls")) == 1 + 7


@pytest.fixture(scope="module")
def moved(built: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Another place with a longer path: a copy of the store, the project anew, other tools of the same versions."""
    folder = tmp_path_factory.mktemp("another-machine-with-a-longer-path") / "deep"
    return Site.make(folder, built.project.store)


def test_a_store_that_moved_gives_the_same_results_with_paths_of_its_new_place(built: Site, moved: Site) -> None:
    moved.steps(FLOW)
    moved.build()
    assert moved.in_state("ran") == []
    for name, task in built.result["tasks"].items():
        assert moved.result["tasks"][name]["digest"] == task["digest"]
    _check_paths(built, moved)


@pytest.mark.long
def test_another_version_rebuilds_exactly_what_used_it(built: Site, moved: Site) -> None:
    """Rebuilt in the moved store, from the restored results of the steps before it."""
    moved.steps(TWICE)
    standins.install(moved.tools, "vivado", "fails_late", "works", version="2023.1")
    plan = moved.project.run("plan", "recipe.yaml", **moved.environ).stdout
    assert re.search(r"> create_stitched_ip +run +vivado changed: 2022.2 → 2023.1\n", plan), plan
    assert "17 up to date, 2 to run" in plan
    moved.build("--keep-going", "--jobs", "1", code=1)
    assert moved.in_state("ran") == ["create_stitched_ip"]
    assert len(moved.in_state("cached")) == 17
    assert moved.in_state("failed") == ["late"]
    # Vivado had left every file that FINN looks for, and FINN's script ends with `cd`; its exit code still counts.
    assert "make_project.sh failed with a non-zero exit code" in moved.told
    assert "cause:     ERROR: [IP_Flow 19-3458] Validation failed" in moved.told
    _check_paths(built, moved, "create_stitched_ip/")


def _check_paths(built: Site, moved: Site, target: str = "") -> None:
    """What lies in the workspace names the workspace that it lies in, and files that are there."""
    workspace = moved.project.folder / "build" / target
    script = (workspace / "stitched_ip/make_project.tcl").read_text()
    named = [Path(name) for name in re.findall(r"add_files -norecurse (/\S+\.s?vh?)$", script, re.MULTILINE)]
    named = [path for path in named if "vivado_stitch_proj" not in path.parent.name]
    assert len(named) > 50
    for path in named:
        assert path.is_relative_to(workspace) or "finn-rtllib" in path.parts, path
        assert path.exists(), path
    for path in workspace.rglob("*"):
        if path.is_file() and ".finnyaml" not in path.parts and path.name != "build_dataflow.log":
            data = path.read_bytes()
            assert str(built.project.store.parent).encode() not in data, path
            assert b"@@finnyaml" not in data, path


@pytest.fixture(scope="module")
def bare(built_digits: Project, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The flow where no tool is installed."""
    site = Site.make(tmp_path_factory.mktemp("bare"), built_digits.store)
    site.steps(FLOW)
    return Site(site.project, site.tools, NO_TOOLS)


def test_without_tools_nothing_is_started(bare: Site) -> None:
    done = bare.project.run("build", "recipe.yaml", **bare.environ)
    assert done.returncode == 4
    assert "these steps cannot run here, so nothing was started" in done.stderr
    for task, tools in NEEDS.items():
        for tool in tools:
            assert re.search(rf"\b{task}\b.*: {tool} is missing \(.+\)", done.stderr), (task, tool)
    assert "`--to hw_codegen` stops before it" in done.stderr
    assert not (bare.project.folder / "build").exists()


def test_the_plan_says_which_tool_each_step_misses(bare: Site) -> None:
    done = bare.project.run("plan", "recipe.yaml", "--json", **bare.environ)
    assert done.returncode == 4
    tasks = json.loads(done.stdout)["tasks"]
    assert {name: set(tasks[name]["missing"]) for name in NEEDS} == NEEDS
    assert {tasks[name]["state"] for name in NEEDS} == {"blocked"}
    assert bare.project.run("build", "recipe.yaml", "--dry-run", **bare.environ).returncode == 4


def test_what_needs_no_tool_is_built_all_the_same(bare: Site) -> None:
    bare.build("--keep-going", code=4)
    assert bare.in_state("blocked") == ["hw_ipgen"]
    assert bare.in_state("not run") == list(NEEDS)[1:]
    assert len(bare.in_state("cached")) == 15
    bare.build("hw_codegen")
    assert "hw_codegen" in bare.read("time_per_step.json")


def test_a_store_whose_path_has_blanks_is_refused_for_steps_with_tools(built_digits: Project, tmp_path: Path) -> None:
    site = Site.make(tmp_path / "with a blank", built_digits.store)
    site.steps(FLOW)
    done = site.project.run("build", "recipe.yaml", **site.environ)
    assert done.returncode == 1
    assert "hw_ipgen cannot run below" in done.stderr and "FINN's scripts" in done.stderr
    assert standins.calls(site.tools) == []


STEP = '''
import os
import subprocess
from pathlib import Path


def call(model, cfg):
    """Call Vivado as FINN does: its output is dropped, and so is its exit code."""
    folder = Path(os.environ["FINN_BUILD_DIR"]) / "project"
    folder.mkdir(exist_ok=True)
    subprocess.run(["vivado", "-mode", "batch"], cwd=folder, capture_output=True)
    return model


def fail(model, cfg):
    raise ValueError("the weights are odd")
'''
RECIPE = """
model: {onnx: tiny.onnx, input: {datatype: FLOAT32}}
steps: [{uses: "steps.py:call", tools: [vivado]}, {uses: "steps.py:fail", tools: [vivado]}]
"""


def test_an_old_log_is_not_taken_for_the_cause(project: Project, tmp_path: Path) -> None:
    """The first step got over an error of its tool; the second fails for another reason, in the same worker or not."""
    standins.install(tmp_path / "bin", "vivado", "buried_error")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    project.write("steps.py", STEP)
    project.write("recipe.yaml", RECIPE)
    for ran in (["model", "call"], []):
        done = project.run("build", "recipe.yaml", "--json", PATH=path)
        assert [name for name, task in json.loads(done.stdout)["tasks"].items() if task["state"] == "ran"] == ran
        assert "fail (steps.py:fail) failed: ValueError: the weights are odd" in done.stderr
        assert "Synth 8-439" not in done.stderr and "tool log" not in done.stderr


def test_a_failed_step_repeated_alone_finds_the_tools_too(project: Project, tmp_path: Path) -> None:
    environ = standins.xilinx(tmp_path / "xilinx")
    environ["PATH"] = os.environ["PATH"]  # only FINN's rules lead to it
    standins.install(Path(environ["XILINX_VIVADO"]) / "bin", "vivado", "no_licence")
    project.write("steps.py", STEP.replace("capture_output=True", "capture_output=True, check=True"))
    project.write("recipe.yaml", RECIPE)
    done = project.run("build", "recipe.yaml", **environ)
    assert done.returncode == 1 and "ERROR: [Common 17-345]" in done.stderr
    (job,) = re.findall(r"finnyaml.worker.rerun (\S+)", done.stderr)
    command = [sys.executable, "-m", "finnyaml.worker.rerun", job]
    again = subprocess.run(
        command,
        cwd=project.folder,
        env=project.environment(**environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    assert "cause: ERROR: [Common 17-345]" in again.stderr
    assert (project.folder / "rerun-call/build/project/vivado.log").exists()
