"""A model and a data set by URL: fetched when a step needs them, into the store."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from finnyaml.errors import RecipeError
from finnyaml.recipe.load import load_recipe
from finnyaml.store import Store
from finnyaml.store.upkeep import GRACE, collect
from tests.project import Project, tiny_model

RECIPE = """
name: tiny
model: {{onnx: {{url: "{model}", sha256: {model_sha}}}, input: {{datatype: FLOAT32}}}}
steps:
  - {{uses: "steps.py:scale", with: {{by: 2.0}}}}
verify:
  data: {{npz: {{url: "{data}", sha256: {data_sha}}}, inputs: x}}
  metric: agreement
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and its URL."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_what_a_recipe_fetches(project: Project, served: tuple[Path, str]) -> None:
    folder, url = served
    tiny_model(folder / "net.onnx")
    np.savez(folder / "data.npz", x=np.eye(4, dtype=np.float32)[:, None])
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("net.onnx", "data.npz")}
    names = {"model_sha": digests["net.onnx"], "data_sha": digests["data.npz"]}
    text = RECIPE.format(model=f"{url}/net.onnx", data=f"{url}/data.npz?key=secret", **names)
    project.write("recipe.yaml", text)

    assert project.plan()["model"]["state"] == "stale"  # a plan fetches nothing
    refused = project.build("--offline", code=1)
    assert refused["tasks"]["model"]["state"] == "failed" and "--offline" in refused["tasks"]["model"]["message"]

    done = project.run("build")
    assert done.returncode == 0, done.stderr
    assert f"fetching   {url}/net.onnx" in done.stderr and "secret" not in done.stderr
    assert project.ran("--offline") == []

    # What was fetched stays as long as what was made of it.
    store = Store.open(project.store)
    for digest, _ in store.objects():
        os.utime(store._path(digest), (time.time() - 2 * GRACE,) * 2)
    collect(store)
    assert all(map(store.has, digests.values()))

    # Another place for the same file is the same file.
    project.write("recipe.yaml", text.replace(f"{url}/net.onnx", f"{url}/elsewhere/net.onnx"))
    assert project.ran() == []
    project.write("steps.py", (project.folder / "steps.py").read_text().replace("np.float32(by)", "np.float32(2 * by)"))
    assert project.ran("--offline") == ["scale", "verify.scale"]


def test_errors_have_their_place(tmp_path: Path) -> None:
    names = {"model_sha": "a" * 63, "data_sha": "a" * 64}
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(model="ftp://x/net.onnx", data="https://x/data.npz", **names))
    with pytest.raises(RecipeError) as refused:
        load_recipe(path, (), {})
    told = {
        problem.message.partition(":")[0]: problem.where and problem.where.line for problem in refused.value.problems
    }
    assert {"model.onnx.url": 3, "model.onnx.sha256": 3}.items() <= told.items()
    names["model_sha"] = "a" * 64
    path.write_text(RECIPE.format(model="https://me:password@x/net.onnx", data="https://x/data.npz", **names))
    with pytest.raises(RecipeError) as refused:
        load_recipe(path, (), {})
    assert "the URL has a user or a password in it" in [problem.message for problem in refused.value.problems]
