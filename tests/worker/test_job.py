"""What crosses the process boundary comes back as it was."""

from __future__ import annotations

import json
from dataclasses import asdict

from finnyaml.errors import InvalidSetting
from finnyaml.store import Entry
from finnyaml.store.model import Part
from finnyaml.worker.job import Done, Failure, Job

ENTRY = Entry("b" * 64, "d" * 64, 0o755, 37)


def test_a_job() -> None:
    job = Job(
        task="t",
        kind="code",
        uses="own.py:lean",
        params={"code": {"file": "@recipe/caf\udce9.py"}, "with": {"by": [1, 2.5, None, True]}},
        config={"target_fps": 5},
        inputs={"a.npy": Entry("b" * 64, "b" * 64)},
        tree={"out/a": ENTRY, "model.onnx": Entry("x", "y", parts=(Part("p", 7),))},
        seed="0123",
        recipe_dir="/r",
        log="/l",
        runner="module:function",
        warm_up="module:imports",
        users_code=True,
    )
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_what_a_job_made() -> None:
    done = Done(
        digest="d",
        model="model.onnx",
        files={"out/a": ENTRY},
        removed=("out/b",),
        config_reads=("target_fps",),
        reads={"file": {"@recipe/a": None}, "env": {"X": "1"}},
        programs={"bash": "/bin/bash", "gone": None},
        unsure=("/a",),
        seconds=1.5,
        warm_up=0.5,
        peak_memory=7,
        metrics={"nodes": 3},
    )
    assert Done.from_json(json.loads(json.dumps(asdict(done)))) == done


def test_a_failure() -> None:
    invalid_settings = (InvalidSetting("folding_config_file", ("Defaults", "PE"), "no such layer", None),)
    failure = Failure(
        "InvalidSettings",
        "message",
        "hint",
        cause="cause",
        cause_log="/log",
        invalid_settings=invalid_settings,
        damaged="d",
    )
    assert Failure.from_json(json.loads(json.dumps(asdict(failure)))) == failure
    assert Failure.from_json(json.loads(json.dumps(asdict(Failure("E", "m"))))) == Failure("E", "m")
