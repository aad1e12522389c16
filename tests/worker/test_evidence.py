"""What is left of a failed job once its sandbox is gone."""

from __future__ import annotations

from pathlib import Path

from finnyaml.worker.error_logs import gather
from finnyaml.worker.job import Failure, Job


def job(log: Path) -> Job:
    return Job("simulate", "rtl.simulate", "rtl.simulate", {}, {}, {}, {}, "", "", str(log), "module:function")


def test_a_hint_names_the_copy_of_a_log(tmp_path: Path) -> None:
    sandbox, logs = tmp_path / "sandbox", tmp_path / "logs"
    (sandbox / "tmp").mkdir(parents=True)
    logs.mkdir()
    log = sandbox / "tmp" / "verilator.log"
    log.write_text("it went wrong\n")
    failure = Failure("StepFailed", f"{log} is bad", hint=f"its messages are in {log}, its files in {sandbox}/tmp")
    found = gather(failure, job(logs / "simulate.log"), sandbox)
    kept = logs / "simulate.verilator.log"
    assert found.message == "<sandbox>/tmp/verilator.log is bad"
    assert found.hint == f"its messages are in {kept}, its files in <sandbox>/tmp"
    assert kept.read_text() == log.read_text()
    assert found.tool_log == str(kept)


def test_no_hint_stays_none(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    assert gather(Failure("StepFailed", "why"), job(tmp_path / "simulate.log"), tmp_path / "sandbox").hint is None
