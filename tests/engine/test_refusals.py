"""Results that are not accepted although their step ended well."""

from __future__ import annotations

import pytest

from finnyaml.engine.refusals import GATE, refuse
from finnyaml.plan.status import Built
from finnyaml.plan.task import Task
from finnyaml.store import Artifact, Entry, Trace

FILE = "out/verification_output/verify_stitched_ip_rtlsim_0_{}.npy"


def built(*paths: str) -> Built:
    files = {path: Entry("0", "0", 0o644) for path in paths}
    artifact = Artifact("digest", "model.onnx", files, ())
    trace = Trace(artifact="0", reads={}, seconds=0, peak_memory=0, log="", created=0, info={})
    return Built("digest", files, artifact, trace)


def test_a_verification_that_finn_skipped_is_not_verified() -> None:
    task = Task("stitch", "finn", "step_create_stitched_ip", ("x",), (), verifies=("stitched_ip_rtlsim",))
    failure = refuse(task, built())
    assert failure is not None and failure.type == GATE
    assert "FINN did not run its verification stitched_ip_rtlsim in step_create_stitched_ip" in failure.message
    assert refuse(task, built(FILE.format("SUCCESS"))) is None


@pytest.mark.parametrize("verdict", ["SUCCESS", "FAIL"])
def test_finns_own_verdict_counts(verdict: str) -> None:
    failure = refuse(Task("stitch", "finn", "step_create_stitched_ip", ("x",), ()), built(FILE.format(verdict)))
    assert (failure is None) == (verdict == "SUCCESS")
