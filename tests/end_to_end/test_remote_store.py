"""One store for a lab, by the real command: a fresh machine takes what another made, and runs no step."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.sound import same, shown
from tests.project import Project
from tests.store.servers import Server, folder_of, free_port, s3
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with s3(tmp_path_factory.mktemp("s3")) as found:
        yield found


def machine(folder: Path, warm_store: Path) -> Project:
    """A project on a machine of its own, whose store knows FINN and nothing else."""
    shutil.copytree(warm_store, folder / "store")
    return Project(folder / "project", folder / "store")


def states(result: dict[str, object]) -> set[str]:
    tasks = result["tasks"]
    assert isinstance(tasks, dict)
    return {str(task["state"]) for task in tasks.values()}


def test_a_fresh_machine_runs_nothing(tmp_path: Path, warm_store: Path, server: Server) -> None:
    remote = {"FINNYAML_REMOTE": server.url, **server.variables}
    one, two = machine(tmp_path / "one", warm_store), machine(tmp_path / "elsewhere/two", warm_store)
    assert states(one.build(**remote)) == {"ran"}
    looked = two.run("plan", "recipe.yaml", "--remote", server.url, **server.variables)
    assert looked.returncode == 0, looked.stderr
    assert "0 to run" in looked.stdout or "up to date" in looked.stdout, looked.stdout
    assert states(two.build("--remote", server.url, **server.variables)) == {"cached"}
    same(shown(two.folder / "build"), shown(one.folder / "build"))
    assert two.run("cache", "verify").returncode == 0
    # All is here now: nobody has to be asked any more.
    again = two.run(
        "build", "recipe.yaml", "--remote", f"s3://lab/{free_port()}", AWS_ENDPOINT_URL="http://127.0.0.1:9"
    )
    assert again.returncode == 0
    assert "left alone" not in again.stderr


def test_of_a_site_file(tmp_path: Path, warm_store: Path) -> None:
    with folder_of(tmp_path / "server") as place:
        one, two = machine(tmp_path / "one", warm_store), machine(tmp_path / "two", warm_store)
        site = f"remote: {{url: '{place.url}'}}\n"
        for project in (one, two):
            (project.folder.parent / "finnyaml.site.yaml").write_text(site)
        (two.folder.parent / "finnyaml.site.yaml").write_text(
            f"store: other\nremote: {{url: '{place.url}', write: false}}\n"
        )
        assert one.ran(FINNYAML_SITE=str(one.folder.parent / "finnyaml.site.yaml"))
        two.store.rename(two.folder.parent / "other")
        here = {"FINNYAML_STORE": "", "FINNYAML_SITE": str(two.folder.parent / "finnyaml.site.yaml")}
        done = two.run("build", "recipe.yaml", **here)
        assert done.returncode == 0, done.stderr
        assert f"came from {place.url}" in done.stderr
        quick = two.run("build", "recipe.yaml", **here)
        assert "up to date" in quick.stdout + quick.stderr
        assert os.listdir(two.folder.parent / "other/traces")
        two.write("steps.py", (two.folder / "steps.py").read_text().replace("np.float32(by)", "np.float32(by) * 1"))
        before = sorted(place.files.rglob("*"))
        assert "scale" in str(two.build(**here)["tasks"])
        assert sorted(place.files.rglob("*")) == before  # it may only read


def test_a_wrong_site_file(tmp_path: Path, warm_store: Path) -> None:
    project = machine(tmp_path, warm_store)
    site = project.write("site.yaml", "stor: /x\nremote: {url: lab, write: maybe}\n")
    done = project.run("build", "recipe.yaml", FINNYAML_SITE=str(site))
    assert done.returncode == 2
    assert f"{site}:1:1" in done.stderr.replace("site.yaml:", f"{site}:") and "did you mean 'store'" in done.stderr
    assert "the URL of remote store" in done.stderr or "remote.url" in done.stderr
    assert "remote.write must be true or false" in done.stderr


@pytest.mark.long
def test_nobody_there(tmp_path: Path, warm_store: Path) -> None:
    project = machine(tmp_path, warm_store)
    started = time.monotonic()
    done = project.run("build", "recipe.yaml", "--remote", f"sftp://127.0.0.1:{free_port()}/store")
    assert done.returncode == 0
    assert done.stderr.count("is left alone for now") == 1
    assert time.monotonic() - started < 120


@pytest.mark.long
def test_killed_while_it_sends(tmp_path: Path, warm_store: Path, server: Server) -> None:
    """The server stands still, so nothing arrives; the next build sends what this one could not."""
    remote = {"FINNYAML_REMOTE": f"{server.url}-killed", **server.variables}
    one, two = machine(tmp_path / "one", warm_store), machine(tmp_path / "two", warm_store)
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        process = one.start("build", "recipe.yaml", **remote)
        wait_until(lambda: len([*(one.store / "traces").glob("*/*")]) >= 4)
        process.kill()
        process.communicate()
    finally:
        server.process.send_signal(signal.SIGCONT)
    one.build(**remote)
    assert states(two.build(**remote)) == {"cached"}


def test_push_and_pull(tmp_path: Path, warm_store: Path, server: Server) -> None:
    url = f"{server.url}-pushed"
    one, two = machine(tmp_path / "one", warm_store), machine(tmp_path / "two", warm_store)
    made = len(one.ran())
    assert f"{made} results went to {url}" in one.run("cache", "push", "--remote", url, **server.variables).stdout
    assert f"{made} results came from {url}" in two.run("cache", "sync", "--remote", url, **server.variables).stdout
    assert states(two.build()) == {"cached"}
    refused = two.run("cache", "push")
    assert refused.returncode == 2
    assert "there is no remote store" in refused.stderr
    wrong = two.run("cache", "pull", "--remote", url, **{**server.variables, "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert wrong.returncode == 1
    assert "does not answer as it should" in wrong.stderr and "credentials" in wrong.stderr
    assert "Traceback" not in wrong.stderr
