"""Results that are not accepted although their step ended well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from finnyaml.engine.refusals import GATE, measurement, points_that_never_ran, refuse, verdict
from finnyaml.plan.status import Built
from finnyaml.plan.task import Task
from finnyaml.recipe.model import Limits
from finnyaml.store import Artifact, Entry, Trace
from finnyaml.verify.gates import Gate

FILE = "out/verification_output/verify_stitched_ip_rtlsim_0_{}.npy"
STITCH = Task("stitch", "finn", "step_create_stitched_ip", ("x",), ())
POINT = Task("verify.stitch", "verify", "top1", ("stitch",), (), checks="stitch", gate=Gate(Limits(min=0.9)))


def built(*paths: str, config: tuple[str, ...] = (), measured: Any = None) -> Built:
    """A result with these files, of a step that read these settings or measured this."""
    files = {path: Entry("0", "0", 0o644) for path in paths}
    artifact = Artifact("digest", "model.onnx", files, ())
    reads = {"config": dict.fromkeys(config)} if config else {}
    info = {} if measured is None else {"metrics": {"measurement": measured}}
    trace = Trace(artifact="0", reads=reads, seconds=0, peak_memory=0, log="", created=0, info=info)
    return Built("digest", files, artifact, trace)


def share(value: float) -> dict[str, Any]:
    """A measurement without a reference."""
    found = {"state": "measured", "metric": "top1", "value": value, "shown": f"{100 * value:g} %", "samples": 10}
    return {**found, "higher_is_better": True, "interval": [0, 1], "violations": []}


NOT_EXECUTABLE = {"state": "not executable", "reason": "no simulator", "metric": "top1", "samples": 10}


def test_a_verification_that_finn_skipped_is_not_verified() -> None:
    task = replace(STITCH, verifies=("stitched_ip_rtlsim",))
    failure = refuse(task, built())
    assert failure is not None and failure.type == GATE
    assert "FINN did not run its verification stitched_ip_rtlsim in step_create_stitched_ip" in failure.message
    assert refuse(task, built(FILE.format("SUCCESS"))) is None


@pytest.mark.parametrize("verdict", ["SUCCESS", "FAIL"])
def test_finns_own_verdict_counts(verdict: str) -> None:
    failure = refuse(STITCH, built("out/report.json", FILE.format(verdict)))
    assert (failure and failure.type) == (None if verdict == "SUCCESS" else GATE)
    assert failure is None or "FINN's verification stitched_ip_rtlsim failed" in failure.message


def test_settings_that_a_step_of_finn_never_read_are_told() -> None:
    task = replace(STITCH, own_settings=frozenset(("target_fps", "board", "fpga_part")))
    failure = refuse(task, built(config=("board", "synth_clk_period_ns")))
    assert failure is not None and failure.type == "UnreadSetting"
    assert failure.message == "`with:` sets fpga_part, target_fps, which step_create_stitched_ip never reads"
    assert failure.hint is not None and failure.hint.endswith("reads: board, synth_clk_period_ns")
    failure = refuse(task, built())
    assert failure is not None and failure.hint is not None and failure.hint.endswith("reads: nothing")
    assert refuse(task, built(config=("target_fps", "board", "fpga_part", "more"))) is None


def test_what_with_gives_to_code_of_the_user_is_not_a_setting() -> None:
    """They are the arguments of a function; one that it does not take is refused when the recipe is planned."""
    assert refuse(replace(STITCH, kind="code", own_settings=frozenset(("by",))), built()) is None


def test_what_a_point_measured_is_found_and_judged() -> None:
    assert measurement(built()) is None
    assert verdict(POINT, built()) is None
    assert measurement(built(measured=share(0.5))) == share(0.5)
    assert verdict(replace(POINT, gate=None), built(measured=share(0.5))) is None
    found = verdict(POINT, built(measured=share(0.95)))
    assert found is not None and found.state == "passed"


def test_a_gate_stops_the_build_where_it_is_to_stop_it() -> None:
    failure = refuse(POINT, built(measured=share(0.5)))
    assert failure is not None
    assert (failure.type, failure.message) == (GATE, "after stitch, top1 is 50 %, and the least allowed is 90 %")
    assert refuse(POINT, built(measured=share(0.95))) is None
    for on_fail in ("warn", "defer"):
        assert refuse(replace(POINT, gate=Gate(Limits(min=0.9), on_fail)), built(measured=share(0.5))) is None


def test_a_point_that_cannot_run_stops_the_build_only_where_it_was_asked_for() -> None:
    assert refuse(POINT, built(measured=NOT_EXECUTABLE)) is None
    failure = refuse(replace(POINT, gate=Gate(asked=True)), built(measured=NOT_EXECUTABLE))
    assert failure is not None
    assert (failure.type, failure.message) == (GATE, "stitch is not verified: not executable here: no simulator")
    assert refuse(replace(POINT, gate=Gate(on_fail="warn", asked=True)), built(measured=NOT_EXECUTABLE)) is None


def test_points_of_finn_that_no_step_had_are_found_in_the_files() -> None:
    tree = {"stitch": built(FILE.format("SUCCESS")), "other": built("out/verify_initial_python_0_SUCCESS.npy")}
    assert points_that_never_ran(["initial_python", "stitched_ip_rtlsim"], tree) == ["initial_python"]
