"""Builds whose steps are jobs of a real Slurm: what goes along, is found again, is said where something goes wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from finnyaml.engine import installed, slurm
from tests.cluster.lab import SITE, Lab, slurm_script
from tests.tools import standins
from tests.waiting import wait_until


def test_a_chain_is_one_job_and_its_results_are_the_stores(lab: Lab, tmp_path: Path) -> None:
    """Setup commands bring a tool and a variable that are not here; the store's results hold here all the same."""
    standins.install(tmp_path / "tools", "vivado")
    lab.site(SITE.replace("time: 5min}", f"setup: ['export PATH={tmp_path}/tools:$PATH LAB=seven']}}"))
    lab.step("import os; print('in', os.environ['LAB']); return model", "tools: [vivado], resources: {memory: 99M}")
    assert lab.ran() == ["model", "scale", "same", "report"]
    assert len(lab.ids()) == 3, "the step that asks for more than its neighbours has a job of its own"
    assert (lab.folder / "build/report/fps.txt").read_text() == "100\n"
    assert [task["state"] for task in lab.plan().values()] == ["cached"] * 4

    lab.site(SITE)
    assert lab.plan()["same"]["state"] == "stale", "elsewhere the variable has no such value"


def test_a_submitter_that_goes(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:  # of files it would be noted that they changed meanwhile
        ask = f"socket.create_connection(('127.0.0.1', {door.getsockname()[1]})).recv(1)"
        lab.step(f"import socket; print('waiting', flush=True); {ask}; return model")
        job = _left_alone(lab)
        _is_found(lab, job, door)


def _is_found(lab: Lab, job: str, door: socket.socket) -> None:
    """A build waits for the job, which waits at the door."""
    (row,) = json.loads(lab.run("jobs", "--json").stdout)
    assert (row["job"], row["state"], row["task"], row["done"]) == (job, "RUNNING", "same", 1)
    shown = lab.run("jobs").stdout
    assert job in shown and "1/3" in shown and max(map(len, shown.splitlines())) <= 80

    second = lab.start("build", "recipe.yaml", "--json")
    lab.found(job)
    door.accept()[0].close()
    _ends_well(lab, second)
    assert lab.ids() == [job], "no other job was submitted"


@pytest.mark.long
def test_a_job_that_is_queued_again_while_nobody_waits_for_it(lab: Lab) -> None:
    go_on = lab.pause()
    job = _left_alone(lab)
    subprocess.run(["scontrol", "requeue", job], check=True)
    lab.start_now(job)
    second = lab.start("build", "recipe.yaml", "--json")
    wait_until(lambda: len(lab.events("job_started")) == 2, lambda: second.poll() is None)
    go_on.touch()
    _ends_well(lab, second)
    assert lab.ids() == [job], "no other job was submitted"


def _left_alone(lab: Lab) -> str:
    """The id of a job that waits in its second step, and whose submitter was killed."""
    first = lab.start("build", "recipe.yaml")
    lab.on_node("same", "waiting")
    first.kill()
    first.communicate()
    (job,) = lab.ids()
    return job


def _ends_well(lab: Lab, build: subprocess.Popen[str]) -> None:
    """The build has all results, each made once."""
    out, err = build.communicate()
    assert build.returncode == 0, err
    assert {name: task["state"] for name, task in json.loads(out)["tasks"].items()} == {
        "model": "cached",
        "scale": "cached",
        "same": "ran",
        "report": "ran",
    }
    assert [lab.worked(task) for task in ("scale", "same", "report")] == [1, 1, 1]


def test_cancelled_by_ctrl_c_and_by_scancel(lab: Lab) -> None:
    go_on = lab.pause()
    build = lab.start("build", "recipe.yaml")
    lab.on_node("same", "waiting")
    build.send_signal(signal.SIGINT)
    _, err = build.communicate()
    (job,) = lab.ids()
    assert build.returncode == 130 and f"cancelled: job {job}" in err
    wait_until(lambda: lab.state(job) == "CANCELLED")

    build = lab.start("build", "recipe.yaml")
    wait_until(lambda: len(lab.ids()) == 2, lambda: build.poll() is None)
    job = lab.ids()[1]
    wait_until(lambda: slurm.described(job).get("JobState") == "RUNNING", lambda: build.poll() is None)
    subprocess.run(["scancel", job], check=True)
    _, err = build.communicate()
    assert build.returncode == 1 and f"job {job}" in err and "it was cancelled" in err and "its log: /" in err

    go_on.touch()
    assert lab.ran() == ["same", "report"], "what was committed before is kept"
    assert [lab.worked(task) for task in ("scale", "same", "report")] == [1, 1, 1]


def test_a_wrong_partition_and_a_step_that_fails(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINNYAML_SITE", raising=False)
    found = {check.name: check for check in installed.of_site(lab.folder)}
    assert found["cluster"].state == "found" and found["needs of same"].note == "on cluster"

    lab.site(SITE.replace("main", "mian"))
    found = {check.name: check for check in installed.of_site(lab.folder)}
    assert "there is no partition mian" in str(found["cluster"].note)
    error = lab.run("build", "recipe.yaml")
    assert error.returncode == 1
    assert "invalid partition specified: mian" in error.stderr and "finnyaml.site.yaml:3:" in error.stderr

    lab.site(SITE)
    lab.step("raise ValueError('not so')")
    error = lab.run("build", "recipe.yaml")
    (job,) = lab.ids()
    assert error.returncode == 1 and f"not so (job {job} on n" in error.stderr
    assert "not so" in lab.run("log", "recipe.yaml", "same").stdout


def test_one_licence_is_for_one_at_a_time(lab: Lab) -> None:
    lab.site("executors: {cluster: {kind: slurm}}\nneeds: {same: {executor: cluster, licenses: {vivado: 1}}}\n")
    go_on = lab.pause()
    recipe = (lab.folder / "recipe.yaml").read_text().replace("by: 2.0", 'by: "${by}"')
    lab.write("recipe.yaml", f"matrix: {{by: [2.0, 3.0]}}\n{recipe}")
    build = lab.start("build", "recipe.yaml", "--json")
    wait_until(lambda: len(lab.ids()) == 2, lambda: build.poll() is None)
    lab.on_node("same", "waiting")
    states = wait_until(lambda: _settled(slurm.states(lab.ids())), lambda: build.poll() is None)
    assert sorted((state.name, state.reason) for state in states) == [("PENDING", "Licenses"), ("RUNNING", "None")]
    go_on.touch()
    _, err = build.communicate()
    assert build.returncode == 0, err
    started, ended = ([event["time"] for event in lab.events(kind)] for kind in ("job_started", "committed"))
    assert started[0] < ended[0] < started[1] < ended[1]


def _settled(found: dict[str, slurm.State] | None) -> list[slurm.State]:
    """The states of two jobs, once Slurm has looked at both."""
    states = list((found or {}).values())
    return (
        states
        if {state.name for state in states} == {"PENDING", "RUNNING"}
        and all(state.reason not in ("Priority", "Resources") for state in states)
        else []
    )


@pytest.mark.long
def test_a_node_that_dies(lab: Lab, slurm_folder: Path) -> None:
    """Its daemon is killed: Slurm gives the job to the other node, and finnyaml's locks keep the two apart."""
    go_on = lab.pause()
    build = lab.start("build", "recipe.yaml", "--json")
    lab.on_node("same", "waiting")
    (job,) = lab.ids()
    node = slurm.described(job)["NodeList"]
    daemon = int((slurm_folder / f"slurmd-{node}.pid").read_text())
    patient = _impatient(slurm_folder / "slurm.conf")
    os.kill(daemon, signal.SIGKILL)
    try:
        lab.start_now(job)
        wait_until(lambda: len(lab.events("job_started")) == 2, lambda: build.poll() is None)
        go_on.touch()
        _, err = build.communicate()
    finally:
        patient()
        slurm_script("node", str(slurm_folder), node)
    assert build.returncode == 0, err
    assert lab.ids() == [job]
    assert [lab.worked(task) for task in ("scale", "same", "report")] == [1, 1, 1]


def _impatient(conf: Path) -> Callable[[], None]:
    """Let Slurm take a node for dead after a few seconds, not a minute (machines are busy); the call undoes it."""
    before = conf.read_text()

    def configure(text: str) -> None:
        conf.write_text(text)
        subprocess.run(["scontrol", "reconfigure"], check=True)

    configure(before.replace("SlurmdTimeout=60", "SlurmdTimeout=4"))
    return lambda: configure(before)


@pytest.mark.long
def test_preempted_and_at_the_time_limit(lab: Lab) -> None:
    """A job that has to make room, or whose time is over, is queued again, and goes on from what is committed."""
    lab.site(SITE.replace("5min", "1min").replace("partition: main", "partition: one"))
    go_on = lab.pause()
    build = lab.start("build", "recipe.yaml", "--json")
    lab.on_node("same", "waiting")
    urgent = ["sbatch", "--parsable", "--partition=urgent", "--nodelist=n1", "--output=/dev/null", "--wrap=true"]
    subprocess.run(urgent, check=True, stdout=subprocess.DEVNULL)
    (job,) = lab.ids()
    lab.start_now(job)  # preempted
    wait_until(lambda: len(lab.events("job_started")) == 2, lambda: build.poll() is None)
    lab.start_now(job)  # a minute later: its time
    wait_until(lambda: len(lab.events("job_started")) == 3, lambda: build.poll() is None)
    go_on.touch()
    _, err = build.communicate()
    assert build.returncode == 0, err
    assert lab.ids() == [job]
    assert [lab.worked(task) for task in ("scale", "same", "report")] == [1, 1, 1]
