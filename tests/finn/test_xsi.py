"""FINN's own RTL simulations, over Verilator: of each layer, of stitched designs, and as its build steps run them."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.errors import StepFailed
from finnyaml.finn import xsi
from tests.rtl import small_network

PROGRAMS = 4
"""Of the five layers, the two MVAU are one program."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_network.cache(tmp_path_factory)


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as found:
        yield found


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Any:
    """The network as it is after hw_codegen, without FIFOs."""
    return small_network.generated(tmp_path_factory.mktemp("layers"), patch, bypass=None)


def simulated(model: Any, workers: int = 1) -> Any:
    """The model prepared for FINN's execution layer by layer."""
    from finn.transformation.fpgadataflow.prepare_rtlsim import PrepareRTLSim
    from finn.transformation.fpgadataflow.set_exec_mode import SetExecMode

    return model.transform(SetExecMode("rtlsim")).transform(PrepareRTLSim(num_workers=workers))


def outputs(model: Any, inputs: np.ndarray) -> np.ndarray:
    from finn.core.onnx_exec import execute_onnx

    made = [execute_onnx(model, {"global_in": frame[None].astype(np.float32)}) for frame in inputs]
    return np.concatenate([each["global_out"] for each in made])


def programs(cache: Path) -> set[Path]:
    folder = cache / "programs"
    return set(folder.iterdir()) if folder.exists() else set()


@pytest.mark.long
def test_every_layer_by_itself(layers: Any, cache: Path) -> None:
    from finn.util.basic import getHWCustomOp

    inputs = small_network.frames(3)
    before = programs(cache)
    with xsi.installed(cache):
        model = simulated(layers, workers=2)
        got = outputs(model, inputs)
    assert np.array_equal(got, small_network.executed(layers, inputs)["global_out"])
    assert len(programs(cache) - before) == PROGRAMS
    for node in model.graph.node:
        operator = getHWCustomOp(node)
        # Filling the pipeline takes some cycles, and FINN's simulator counts three of its own.
        assert 3 <= operator.get_nodeattr("cycles_rtlsim") - operator.get_exp_cycles() <= 24


def test_other_folders_and_weights_are_the_same_programs(
    layers: Any, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
    from finn.util.basic import getHWCustomOp

    monkeypatch.setenv("FINN_BUILD_DIR", str(tmp_path))
    other = layers.transform(type("Same", (), {"apply": lambda self, model: (model, False)})())  # a copy
    thresholds = other.get_nodes_by_op_type("Thresholding_rtl")[0]
    other.set_initializer(thresholds.input[1], other.get_initializer(thresholds.input[1]) + 40)
    for node in other.graph.node:
        for attribute in ("code_gen_dir_ipgen", "ipgen_path", "ip_path"):
            getHWCustomOp(node).set_nodeattr(attribute, "")
    other = other.transform(PrepareIP(small_network.PART, small_network.CLOCK))
    inputs = small_network.frames(1)
    with xsi.installed(cache):
        outputs(simulated(layers), inputs)  # compiles each layer: no test has to run before this one
        before = programs(cache)
        got = outputs(simulated(other), inputs)
    assert np.array_equal(got, small_network.executed(other, inputs)["global_out"])
    assert not np.array_equal(got, small_network.executed(layers, inputs)["global_out"])
    assert programs(cache) == before


def test_a_stitched_design(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finn.core.rtlsim_exec import rtlsim_exec

    from finnyaml.finn.stitched import stitch

    model = small_network.generated(tmp_path / "finn", monkeypatch)
    inputs = small_network.frames(4)
    expected = small_network.executed(model, inputs)["global_out"]
    model = stitch(model, small_network.PART, small_network.CLOCK, tmp_path / "design")
    context = {"global_in": inputs.astype(np.float32)}
    with xsi.installed(cache):
        rtlsim_exec(model, context)
    assert np.array_equal(context["global_out"], expected)
    assert 4 * 256 < int(model.get_metadata_prop("cycles_rtlsim")) < 5 * 256 + 200


@pytest.mark.parametrize("right", [True, False])
def test_the_verification_of_step_hw_ipgen(
    layers: Any, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: bool
) -> None:
    from finn.transformation.fpgadataflow.create_dataflow_partition import CreateDataflowPartition

    from finnyaml.finn.door import open_door

    output = tmp_path / "output"
    (output / "intermediate_models").mkdir(parents=True)
    inputs = small_network.frames(1).astype(np.float32)
    np.save(tmp_path / "input.npy", inputs)
    np.save(tmp_path / "expected.npy", small_network.executed(layers, inputs)["global_out"] + (not right))
    parent = layers.transform(CreateDataflowPartition(str(tmp_path / "partition")))
    parent.save(str(output / "intermediate_models" / "dataflow_parent.onnx"))
    settings = open_door().config_module
    config = open_door().config_class(
        output_dir=str(output),
        synth_clk_period_ns=small_network.CLOCK,
        fpga_part=small_network.PART,
        generate_outputs=[],
        verify_steps=[settings.VerificationStepType.NODE_BY_NODE_RTLSIM],
        verify_input_npy=str(tmp_path / "input.npy"),
        verify_expected_output_npy=str(tmp_path / "expected.npy"),
        save_intermediate_models=True,
    )
    monkeypatch.chdir(tmp_path)
    before = programs(cache)
    with xsi.installed(cache):
        open_door().steps["step_hw_ipgen"](layers, config)
    verdict = "SUCCESS" if right else "FAIL"
    assert [file.name for file in (output / "verification_output").glob("*.npy")] == [
        f"verify_node_by_node_rtlsim_0_{verdict}.npy"
    ]
    assert programs(cache) == before


def test_a_layer_that_gives_less_than_is_asked_for(layers: Any, cache: Path, tmp_path: Path) -> None:
    import finn.xsi
    from finn.util.basic import getHWCustomOp

    node = layers.get_nodes_by_op_type("Thresholding_rtl")[0]
    with xsi.installed(cache):
        operator = getHWCustomOp(simulated(layers).get_nodes_by_op_type(node.op_type)[0])
        sim = operator.get_rtlsim()
        streams = {"inputs": {"in0": [0] * 16}, "outputs": {"out0": []}}
        with pytest.raises(StepFailed, match=r"Thresholding_rtl_0 stopped.*16 of 16 on in0_V, 16 of 17 on out0_V"):
            finn.xsi.rtlsim_multi_io(sim, streams, 17, sname="_V", liveness_threshold=100)
        with pytest.raises(StepFailed, match="goes on where another one ended"):
            finn.xsi.rtlsim_multi_io(sim, streams, 16, sname="_V")
        finn.xsi.reset_rtlsim(sim)
        assert finn.xsi.rtlsim_multi_io(sim, streams, 16, sname="_V") > 16
        assert len(streams["outputs"]["out0"]) == 16
        finn.xsi.reset_rtlsim(sim)
        with pytest.raises(StepFailed, match="no stream in0_W"):
            finn.xsi.rtlsim_multi_io(sim, streams, 16, sname="_W")


def test_what_vivados_simulator_has_and_verilator_has_not(layers: Any, cache: Path, tmp_path: Path) -> None:
    import finn.xsi
    from finn.util.basic import getHWCustomOp

    with xsi.installed(cache):
        sim = getHWCustomOp(simulated(layers).graph.node[0]).get_rtlsim()
        for use in ("write_axilite", "aximm_ro_image", "aximm_queue"):
            with pytest.raises(StepFailed, match=f"'{use}' of the simulator"):
                getattr(sim, use)("m_axi_0", 0, [])
        for what in ({"debug": True}, {"behav": True}, {"fifosim": True}):
            with pytest.raises(StepFailed, match="with Vivado's simulator only"):
                finn.xsi.compile_sim_obj("top", [], tmp_path, **what)
        with pytest.raises(StepFailed, match="Vivado's simulator only"):
            finn.xsi.get_simkernel_so()


def test_sources_that_cannot_be_simulated(layers: Any, cache: Path, tmp_path: Path) -> None:
    import finn.xsi
    from finn.util.basic import getHWCustomOp

    operator = getHWCustomOp(layers.get_nodes_by_op_type("MVAU_rtl")[0])
    sources = [Path(file) for file in operator.get_rtl_file_list(abspath=True)]
    wrapper = shutil.copy(sources.pop(next(i for i, file in enumerate(sources) if "wrapper" in file.name)), tmp_path)
    text = Path(wrapper).read_text()
    assert "PUMPED_COMPUTE = 0" in text
    Path(wrapper).write_text(text.replace("PUMPED_COMPUTE = 0", "PUMPED_COMPUTE = 1"))
    cases = {
        "at twice the clock": [*sources, wrapper],
        "is missing": [*sources, tmp_path / "gone.sv"],
        "neither Verilog": [*sources, tmp_path / "core.vhd"],
    }
    with xsi.installed(cache):
        for message, files in cases.items():
            base, kernel = finn.xsi.compile_sim_obj("MVAU_rtl_0", files, tmp_path)
            with pytest.raises(StepFailed, match=message):
                finn.xsi.load_sim_obj(base, kernel)
        (tmp_path / "kernel.so").write_bytes(b"\x7fELF\x00\xff")
        with pytest.raises(StepFailed, match="was not prepared for a simulation with Verilator"):
            finn.xsi.load_sim_obj(tmp_path, Path("kernel.so"))


def test_finn_is_as_before_afterwards(cache: Path) -> None:
    import finn.xsi

    before, started = dict(vars(finn.xsi)), multiprocessing.get_start_method(allow_none=True)
    with contextlib.suppress(ZeroDivisionError), xsi.installed(cache):
        assert finn.xsi.is_available() and finn.xsi.ensure_available()
        assert vars(finn.xsi)["compile_sim_obj"] is not before.get("compile_sim_obj")
        raise ZeroDivisionError
    assert multiprocessing.get_start_method(allow_none=True) == started
    assert vars(finn.xsi) == before
