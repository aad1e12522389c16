"""The digits recipe on the real FINN: what its steps read, what is built again, what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.finn.conftest import unverified_digits
from tests.project import Project

# What each step reads of the build configuration in finn-plus 1.6.1, found by reading and tracing FINN itself
# (without verification points, which read more). The recorder has to find exactly this.
READS: dict[str, set[str]] = {
    "qonnx_to_finn": {"max_multithreshold_bit_width", "verify_steps"},
    "tidy_up": {"verify_steps"},
    "streamline": {"verify_steps"},
    "convert_to_hw": {"standalone_thresholds", "requant_bitwidth_threshold", "infer_shuffle_skip_first"},
    "minimize_bit_width_initial": {"minimize_bit_width"},
    "create_dataflow_partition": {"output_dir", "save_intermediate_models"},
    "specialize_layers": {"board", "fpga_part", "specialize_layers_config_file"},
    "target_fps_parallelization": {
        "target_fps",
        "synth_clk_period_ns",
        "mvau_wwidth_max",
        "folding_two_pass_relaxation",
        "output_dir",
    },
    "apply_folding_config": {"folding_config_file"},
    "minimize_bit_width": {"minimize_bit_width", "verify_steps"},
    "generate_estimate_reports": {
        "board",
        "fpga_part",
        "synth_clk_period_ns",
        "generate_outputs",
        "multi_dnn_config_path",
        "output_dir",
    },
    "hw_codegen": {"board", "fpga_part", "synth_clk_period_ns", "hls_clk_period_ns", "debug_fifo"},
}


@pytest.mark.parametrize("step", READS)
def test_the_recorder_finds_what_each_step_reads(step: str, last: dict[str, Any]) -> None:
    assert set(last[step]["reads"]["config"]) == READS[step]


def test_the_source_reads_its_code_and_weights(last: dict[str, Any]) -> None:
    assert set(last["model"]["reads"]["file"]) == {"@recipe/model.py", "@recipe/weights.pth"}


def test_environment_variables_of_libraries_are_not_recorded(last: dict[str, Any]) -> None:
    read = {name for task in last.values() for name in task["reads"].get("env", {})}
    assert read <= {"FINN_QOR_MODEL_DIR", "FINN_SETTINGS", "XILINX_VIVADO", "FINN_DEBUG"}


@pytest.mark.long
def test_equal_work_has_equal_digests_in_another_folder_store_and_process(
    tmp_path: Path, warm_store: Path, last: dict[str, Any]
) -> None:
    store = tmp_path / "a store with a longer path than the first one had"
    shutil.copytree(warm_store, store)
    project = unverified_digits(tmp_path / "deep" / "down", store)
    result = project.build()
    assert {name: task["digest"] for name, task in result["tasks"].items()} == {
        name: record["digest"] for name, record in last.items()
    }


def test_a_copy_of_the_project_is_up_to_date(digits: Project) -> None:
    assert digits.ran() == []


def test_target_fps_rebuilds_from_the_step_that_reads_it(digits: Project) -> None:
    assert digits.ran("--set", "folding.target_fps=1000") == [
        "target_fps_parallelization",
        "apply_folding_config",
        "minimize_bit_width",
        "generate_estimate_reports",
        "hw_codegen",
    ]


def test_a_target_that_gives_the_same_folding_stops_early(digits: Project) -> None:
    assert digits.ran("--set", "folding.target_fps=2001") == ["target_fps_parallelization"]


@pytest.mark.long
def test_a_clock_for_hls_alone_rebuilds_only_code_generation(digits: Project) -> None:
    assert digits.ran("--set", "target.hls_clock_ns=10.0") == ["hw_codegen"]


def test_the_workspace_is_laid_out_as_finn_users_know_it(built_digits: Project) -> None:
    workspace = built_digits.folder / "build"
    for name in (
        "intermediate_models/step_streamline.onnx",
        "intermediate_models/dataflow_parent.onnx",
        "intermediate_models/supported_op_partitions/partition_0.onnx",
        "report/estimate_network_performance.json",
        "report/auto_folding_config.json",
        "template_specialize_layers_config.json",
        "final_hw_config.json",
        "time_per_step.json",
        "build_dataflow.log",
    ):
        assert (workspace / name).is_file(), name


def test_models_in_the_workspace_point_into_the_workspace(built_digits: Project) -> None:
    import onnx

    model = onnx.load(built_digits.folder / "build/intermediate_models/step_hw_codegen.onnx")
    folders = [
        attribute.s.decode()
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name == "code_gen_dir_ipgen"
    ]
    assert len(folders) > 10
    for folder in folders:
        assert Path(folder).is_dir()
        assert Path(folder).is_relative_to(built_digits.folder / "build")


def test_nothing_of_this_machine_is_in_the_store(built_digits: Project) -> None:
    for path in (built_digits.store / "objects").glob("*/*"):
        data = path.read_bytes()
        assert str(built_digits.store).encode() not in data
        assert str(built_digits.folder).encode() not in data


def test_the_final_configuration_can_be_fed_back(digits: Project, built_digits: Project) -> None:
    final = json.loads((built_digits.folder / "build/final_hw_config.json").read_text())
    assert final["MVAU_hls_1"]["PE"] >= 1
    shutil.copy(built_digits.folder / "build/final_hw_config.json", digits.folder / "folding.json")
    ran = digits.ran("--set", "folding={file: folding.json}", "--to", "apply_folding_config")
    assert ran == ["target_fps_parallelization", "apply_folding_config"]


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        pytest.param(
            "folding.nodes={MVA_hls_3: {PE: 2}}",
            "MVA_hls_3 is not a node of the model",
            "did you mean 'MVAU_hls_3'",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "folding.nodes={MVAU_hls_0: {PEE: 2}}",
            "MVAU_hls_0 (MVAU_hls) has no attribute PEE",
            "did you mean 'PE'?",
            marks=pytest.mark.long,
        ),
        ("folding.nodes={MVAU_hls_1: {PE: 7}}", "MVAU_hls_1: PE 7 does not divide MH 16", "divisors of 16: 1, 2, 4"),
        pytest.param(
            "folding.defaults={PE: [1, [MVAU_rtl]]}",
            "no layer of the model is a MVAU_rtl",
            "did you mean 'MVAU_hls",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "specialize.nodes={MVAU_hls_0: hls}",
            "MVAU_hls_0 is not a node of the model before",
            "did you mean 'MVAU_0'",
            marks=pytest.mark.long,
        ),
    ],
)
def test_settings_that_do_not_fit_the_model(digits: Project, setting: str, message: str, hint: str) -> None:
    told = digits.build("--set", setting, code=2)["error"]
    assert message in told
    assert hint in told
    assert "Traceback" not in told


def test_a_misfit_is_shown_at_its_place_in_the_recipe(digits: Project) -> None:
    text = (digits.folder / "recipe.yaml").read_text()
    (digits.folder / "recipe.yaml").write_text(text + "\nfifo: {auto: true}\n")
    changed = text.replace("target_fps: 2000 ", "nodes: {MVAU_hls_1: {PE: 7}} ")
    (digits.folder / "recipe.yaml").write_text(changed)
    line = 1 + next(index for index, row in enumerate(changed.splitlines()) if "PE: 7" in row)
    told = digits.build(code=2)["error"]
    assert f"recipe.yaml:{line}:" in told
    assert "MVAU_hls_1: PE 7 does not divide MH 16" in told


@pytest.mark.long
def test_an_entry_of_a_file_that_does_not_fit_is_shown_at_its_line(digits: Project) -> None:
    file = digits.folder / "folding.json"
    file.write_text('{\n  "Defaults": {},\n  "MVAU_hls_1": {"PE": 2},\n  "StreamingFCLayer_Batch_1": {"PE": 2}\n}\n')
    command = ("--set", "folding={file: folding.json}", "--to", "apply_folding_config")
    told = digits.build(*command, code=2)["error"]
    assert "folding.json:4:" in told
    assert "rename: {StreamingFCLayer_Batch_1: MVAU_hls_1}" in told
    ran = digits.ran("--set", "folding={file: folding.json, unknown: warn}", *command[2:])
    assert ran == ["apply_folding_config"]


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ("target.board=pynq_z2", "finn-plus 1.6.1 knows no board 'pynq_z2'", "did you mean 'Pynq-Z2'"),
        ("steps=hw_codgen", "has no flow 'hw_codgen'", "did you mean 'hw_codegen'"),
        ("steps=[streamlin]", "has no step 'streamlin'", "did you mean 'streamline'"),
        ("finn.standalone_threshold=true", "has no build option 'standalone_threshold'", "standalone_thresholds"),
        ("finn.verbose=maybe", "verbose takes a bool", ""),
        ("finn.board=ZCU102", "`finn: board` has a word of its own", "write `target: {board: ...}`"),
        ("finn.start_step=x", "`finn: start_step` is set by finnyaml", "--from STEP"),
        ("target.shell=zynq", "'zynq' is not a value of shell_flow_type", "vivado_zynq"),
        ("outputs=[bitfle]", "'bitfle' is not a value of generate_outputs", "bitfile"),
        ("fifo={auto: true, depths: {StreamingFIFO_rtl_0: 32}}", "would be ignored", "leave out `auto`"),
        ("steps={flow: estimate_only, remove: [minimise]}", "`remove` matches nothing", "minimize_bit_width"),
        (
            "steps=[qonnx_to_finn, {uses: tidy_up, needs: streamline}]",
            "needs 'streamline', which does not exist",
            "tidy_up",
        ),
    ],
)
def test_what_this_finn_does_not_have_is_refused(digits: Project, setting: str, message: str, hint: str) -> None:
    told = digits.build("--set", setting, code=2)["error"]
    assert message in told
    assert hint in told


def test_old_step_names_resolve_with_a_notice(digits: Project) -> None:
    told = digits.run("plan", "recipe.yaml", "--set", "steps=[qonnx_to_finn, tidy_up, streamline, step_convert_to_hls]")
    assert told.returncode == 0
    assert "step_convert_to_hls is called convert_to_hw in finn-plus 1.6.1" in told.stderr


def test_a_setting_on_a_step_that_never_reads_it_is_an_error(digits: Project) -> None:
    steps = "steps=[qonnx_to_finn, {uses: tidy_up, with: {folding: {target_fps: 7}}}]"
    done = digits.run("build", "recipe.yaml", "--set", steps)
    assert done.returncode == 1
    assert "`with:` sets target_fps, which step_tidy_up never reads" in done.stderr


def test_settings_that_no_step_read_are_told(digits: Project) -> None:
    done = digits.run("build", "recipe.yaml", "--set", "fifo.strategy=live_fifo")
    assert "no step of this build read `fifo.strategy`" in done.stderr


def _verification_pair(project: Project, *, agreeing: bool) -> None:
    """input.npy and expected_output.npy of one image on which the source and the streamlined model (dis)agree."""
    import numpy as np
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    models = project.folder / "build" / "intermediate_models"
    source, streamlined = (ModelWrapper(str(models / f"{name}.onnx")) for name in ("postprocess", "step_streamline"))
    images = np.load(project.folder / "digits.npz")
    split = images["test"] if "test" in images else np.arange(len(images["images"]))
    small = images["images"][split][:40].astype(np.float32)
    for image in small:
        data = np.kron(image, np.ones((2, 2), np.float32))[1:15, 1:15].reshape(1, 1, 14, 14) * 15
        answers = [execute_onnx(model, {"global_in": data})["global_out"] for model in (source, streamlined)]
        if bool(np.array_equal(*answers)) is agreeing:
            np.save(project.folder / "input.npy", data)
            np.save(project.folder / "expected.npy", answers[0])
            return
    raise AssertionError("no such image")


VERIFY = (
    "{verify_steps: [%s], verify_input_npy: input.npy, verify_expected_output_npy: expected.npy,"
    " standalone_thresholds: true}"
)


def test_a_failed_verification_of_finn_stops_the_build(digits: Project) -> None:
    digits.build()
    _verification_pair(digits, agreeing=False)
    done = digits.run("build", "recipe.yaml", "--set", f"finn={VERIFY % 'initial_python, streamlined_python'}")
    assert done.returncode == 3, done.stderr
    assert "FINN's verification streamlined_python failed" in done.stderr
    assert list(digits.folder.glob("build/.finnyaml/runs/*/verification_output/verify_streamlined_python_0_FAIL.npy"))
    again = digits.run("build", "recipe.yaml", "--set", f"finn={VERIFY % 'initial_python, streamlined_python'}")
    assert again.returncode == 3, "a failed verification must not pass by coming from the store"


@pytest.mark.long
def test_a_verification_that_did_not_run_did_not_pass(digits: Project) -> None:
    digits.build()
    _verification_pair(digits, agreeing=True)
    asked = f"finn={VERIFY % 'initial_python, stitched_ip_rtlsim'}"
    done = digits.run("build", "recipe.yaml", "--set", asked, "--set", "toolchain=vivado")
    assert done.returncode == 3, done.stderr
    assert "the verification stitched_ip_rtlsim never ran" in done.stderr
    assert (digits.folder / "build/verification_output/verify_initial_python_0_SUCCESS.npy").exists()
