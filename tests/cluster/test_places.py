"""Where steps run, by the site file; what goes along in one job; what Slurm says, in words. No Slurm is needed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from finnyaml.engine import chains, jobs, places, slurm
from finnyaml.engine.cluster import lost
from finnyaml.errors import RecipeError, ToolMissing
from finnyaml.recipe.model import Resources
from finnyaml.site.load import Site, load_site
from finnyaml.site.needs import Place, place
from finnyaml.store import Trace
from tests.engine.world import World, task

SITE = """
scratch: fast
executors:
  cluster: {kind: slurm, partition: main, time: 1h, setup: [module load base], options: {account: fpga}}
  big: {kind: slurm}
needs:
  vivado: {executor: cluster, cpus: 4, memory: 16G, time: 8h, licenses: {vivado: 1}, setup: [source vivado.sh]}
  vitis_hls: {executor: cluster, memory: 8G, licenses: {vitis_hls: 1}}
  vitis: {executor: big}
  hw_ipgen: {memory: 1.5G}
  plain: {executor: local}
"""


def loaded(tmp_path: Path, text: str = SITE) -> Site:
    (tmp_path / "site.yaml").write_text(text)
    return load_site(tmp_path, {"FINNYAML_SITE": str(tmp_path / "site.yaml")})


def placed(site: Site, tools: tuple[str, ...], name: str, wanted: Resources | None = None) -> Place | None:
    return place(site.executors, site.needs, tools, (name,), wanted or Resources())


def test_where_a_step_runs(tmp_path: Path) -> None:
    site = loaded(tmp_path)
    assert site.scratch == tmp_path / "fast"
    assert placed(site, (), "streamline") is placed(site, ("vivado",), "plain") is None
    found = placed(site, ("vivado",), "stitched_ip")
    assert found is not None and found.executor.options == {"account": "fpga"}
    assert found.resources == Resources(4, 16 * 1024, 8 * 60) and found.licenses == {"vivado": 1}
    assert found.setup == ("module load base", "source vivado.sh")
    for tools in (("vitis_hls", "vivado"), ("vivado", "vitis_hls")):
        both = placed(site, tools, "x")
        assert both is not None and both.resources.memory == 16 * 1024
        assert both.licenses == {"vivado": 1, "vitis_hls": 1}
    own = placed(site, ("vitis_hls",), "hw_ipgen")
    assert own is not None and own.resources == Resources(None, 1536, 60)
    more = placed(site, ("vitis_hls",), "hw_ipgen", Resources(2, 4096, 30))
    assert more is not None and more.resources == Resources(2, 4096, 60)
    with pytest.raises(RecipeError, match="run on different executors"):
        placed(site, ("vivado", "vitis"), "bitfile")


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("executors: {local: {kind: slurm}}\n", "local", "1:"),
        ("executors: {c: {kind: pbs}}\n", "executors.c.kind", "1:23"),
        ("executors: {c: {kind: slurm, time: 90}}\n", "executors.c.time must be text", "1:36"),
        ("executors: {c: {kind: slurm, memory: 3GB}}\n", "executors.c.memory", "1:38"),
        ("executors: {c: {kind: local, cpus: 3}}\n", "this machine runs steps as it is", "1:36"),
        ("executors: {c: {kind: slurm}}\nneeds: {vivado: {executor: d}}\n", "there is no executor 'd'", "2:28"),
        ("executors: {c: {kind: slurm}}\nneeds: {vivado: {licenses: {vivado: 0}}}\n", "vivado must be", "2:37"),
        ("needs: {vivado: {cpus: 3}}\n", "there is none", "1:8"),
    ],
)
def test_what_is_wrong_in_a_site_file(tmp_path: Path, text: str, message: str, place: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        loaded(tmp_path, text)
    where = error.value.problems[0].where
    assert where is not None and f"{where.line}:{where.column}".startswith(place)


def test_what_goes_along_in_one_job(tmp_path: Path) -> None:
    site = loaded(tmp_path)
    vivado, hls = placed(site, ("vivado",), "x"), placed(site, ("vitis_hls",), "x")
    assert vivado is not None and hls is not None
    world = World(
        tmp_path,
        task("a", "model"),
        task("b", "a"),
        task("side", "b"),
        task("c", "b"),
        task("gate", "c", kind="verify", checks="c"),
        task("d", "c", after=("gate",)),
        task("e", "d"),
    )
    there = dict.fromkeys(("a", "b", "side", "c", "d"), vivado) | {"e": hls}

    def along(first: str, done: set[str], passed: set[str] | None = None) -> list[str]:
        waiting = world.tasks.keys() - done - {first}
        known = done if passed is None else passed
        chain = chains.along(world.plan, world.tasks[first], waiting, done, known, there)
        return [item.id for item in chain]

    assert along("a", {"model"}) == ["a", "b", "side"], "of two that follow, the first; the other is a job of its own"
    assert along("c", {"model", "a", "b", "side"}) == ["c"], "d waits for the gate"
    assert along("d", {"model", "a", "b", "side", "c", "gate"}) == ["d"], "e has other needs"
    assert along("c", {"model", "a", "b", "side"}, {"gate"}) == ["c", "d"]


def test_what_a_place_sets_holds_only_there(tmp_path: Path) -> None:
    """A trace from a place with variables of its own holds for tasks that run there, and for no others."""
    world = World(tmp_path, task("a", "model"))
    engine = world.prepared()
    engine.events.close()
    reads = {"env": {"LAB": "seven", "MINE": "1"}, "environment": {"": "there"}, "tool": {"vivado": "2022.2"}}
    made = Trace("", reads, 1.0, 1, "", 1.0)
    places.note(world.store, "place-x", made, places.surroundings({"MINE": "1"}), {"": "here"})
    known = world.store.memo("place-x")
    assert known == {"env": {"LAB": "seven"}, "environment": {"": ["here", "there"]}, "tool": {"vivado": "2022.2"}}
    now = engine.judge.read_values(world.tasks["a"], {}, made.reads)
    assert now["env"] == {"LAB": None, "MINE": None}
    engine.judge._elsewhere = {"a": known}
    now = engine.judge.read_values(world.tasks["a"], {}, made.reads)
    assert now["env"] == {"LAB": "seven", "MINE": None} and now["tool"] == {"vivado": "2022.2"}
    assert now["environment"][""] not in ("here", "there"), "the variables here are others than they were then"
    places.note(
        world.store, "place-x", replace(made, reads={"env": {"LAB": "1"}}), places.surroundings({"LAB": "1"}), {}
    )
    assert world.store.memo("place-x")["env"] == {}, "what comes along is not of the place"


def test_a_name_that_nothing_has_is_said(tmp_path: Path) -> None:
    site = loaded(tmp_path, "executors: {c: {kind: slurm}}\nneeds: {vivdo: {executor: c}, a: {cpus: 2}}\n")
    (problem,) = places.unknown(site, World(tmp_path, task("a", "model")).plan)
    assert "vivdo" in problem.message and "'vivado'" in str(problem.hint) and problem.where is not None


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("sbatch: error: invalid partition specified: x", "invalid partition specified: x", "sinfo"),
        ("sbatch: error: Batch job submission failed: Invalid license specification", "Invalid license", "licenses"),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job", "QOSMaxSubmit", "fewer `jobs`"),
        ("Traceback\nsomething", "something", "executor cluster"),
        ("", "did not take the job", "executor cluster"),
    ],
)
def test_what_sbatch_says(tmp_path: Path, said: str, message: str, hint: str) -> None:
    there = placed(loaded(tmp_path), ("vivado",), "x")
    assert there is not None
    error = slurm.refused(said, there)
    assert message in error.message and hint in str(error.hint) and "site.yaml:4:" in str(error.hint)


@pytest.mark.parametrize(
    ("state", "described", "message"),
    [
        (slurm.State("CANCELLED", "n1"), {}, "job 7 on n1: it was cancelled"),
        (slurm.State("TIMEOUT"), {"NodeList": "n2"}, "job 7 on n2: it reached its time limit"),
        (slurm.State("OUT_OF_MEMORY"), {}, "more memory than it was given"),
        (slurm.State("NODE_FAIL"), {"NodeList": "(null)"}, "job 7: its node failed"),
        (slurm.State("FAILED"), {"ExitCode": "127:0"}, "failed outside of the step (exit code 127:0)"),
        (slurm.State("STOPPED"), {"ExitCode": "0:9"}, "ended with state STOPPED and exit code 0:9"),
        (None, {}, "Slurm does not know it any more"),
    ],
)
def test_how_a_job_was_lost(tmp_path: Path, state: slurm.State | None, described: dict[str, str], message: str) -> None:
    log = tmp_path / "7_0_log.err"
    log.write_text("fine\n/bin/bash: line 3: module: command not found\n")
    failure = lost("same", "7", state, described, log)
    assert message in failure.message and str(log) in failure.message
    assert failure.cause == "/bin/bash: line 3: module: command not found" and failure.hint


def test_what_submitting_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissing, match="no sbatch on PATH"):
        slurm.check()
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ToolMissing, match="takes submitit") as error:
        slurm.check()
    assert "finnyaml[cluster]" in str(error.value.hint)


def test_events_are_read_as_they_come(tmp_path: Path) -> None:
    news, file = jobs.Events(tmp_path), tmp_path / "events.jsonl"
    assert news.new() == []
    file.write_text('{"event": "a"}\n{"event": "b"')
    assert [event["event"] for event in news.new()] == ["a"]
    file.write_text('{"event": "a"}\n{"event": "b"}\nx{"event": "torn"}\n{"event": "c"}\n')
    assert [event["event"] for event in news.new()] == ["b", "c"]
