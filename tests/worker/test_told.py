"""What a step cannot be held to is said: what it reads unseen, and what it asks for that is never the same again.

A real worker runs the steps, since the library that tells is preloaded when a process starts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finnyaml.engine.pool import Pool
from finnyaml.kinds import KINDS
from finnyaml.store import Entry, Store
from finnyaml.worker.job import Done, Job
from tests.project import tiny_model

Run = Callable[[str], Done]

HEAD = "import os, sys, subprocess\nfrom pathlib import Path\n\n\ndef step(model, cfg):\n"


def runner(pool: Pool, store: Store, folder: Path) -> Run:
    """Runs a step with this body in a worker of the pool."""
    tiny_model(folder / "tiny.onnx")
    blob = store.put_bytes((folder / "tiny.onnx").read_bytes())

    def run(body: str) -> Done:
        (folder / "steps.py").write_text(
            f"{HEAD}{textwrap.indent(textwrap.dedent(body).strip(), '    ')}\n    return model\n"
        )
        code = {"text": "steps.py:step", "function": "step", "file": "@recipe/steps.py", "module": None}
        params, kind, tree = {"code": code, "with": {}}, KINDS["code"], {"model.onnx": Entry(blob, blob)}
        log = str(folder / "log")
        job = Job(
            "t", "code", "steps.py:step", params, {}, {}, tree, "0" * 16, str(folder), log, kind.runner, users_code=True
        )
        done = pool.run(job)
        assert isinstance(done, Done), done
        return done

    return run


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pool, Store]]:
    store = Store.open(tmp_path_factory.mktemp("told") / "store")
    made = Pool(store, 1)
    yield made, store
    made.close()


@pytest.fixture
def run(pool: tuple[Pool, Store], tmp_path: Path) -> Run:
    return runner(*pool, tmp_path)


TIME, RANDOM = "for the time of day", "for random numbers without a seed"
DIFFERS = {
    "import time; time.time()": f"{TIME} (steps.py:6)",
    "import datetime; datetime.datetime.now()": f"{TIME} (steps.py:6)",
    "import time; time.strftime('%Y')": f"{TIME} (steps.py:6)",
    "import zipfile; zipfile.ZipFile('z', 'w').writestr('a', 'b')": f"{TIME} (steps.py:6)",
    "os.urandom(4)": f"{RANDOM} (steps.py:6)",
    "import uuid; uuid.uuid4()": f"{RANDOM} (steps.py:6)",
    "import random; random.Random()": f"{RANDOM} (steps.py:6)",
    "import random; random.seed()": f"{RANDOM} (steps.py:6)",
    "import secrets; secrets.token_hex()": f"{RANDOM} (steps.py:6)",
    "import numpy as np; np.random.default_rng()": f"{RANDOM} (steps.py:6)",
    "open('/dev/urandom', 'rb').read(4)": f"{RANDOM} (steps.py:6)",
    "import socket; socket.socket().connect_ex(('127.0.0.1', 9))": "the network (steps.py:6)",
    "subprocess.run(['date'], check=True)": f"{TIME} (date)",
    "subprocess.run([sys.executable, '-c', 'import time; time.time()'], check=True)": f"{TIME} (<string>:1)",
    "subprocess.run(['sh', '-c', 'head -c 4 /dev/urandom > r'], check=True)": f"{RANDOM} (head)",
    """
    import time
    child = os.fork()
    if not child:
        time.time()
        os._exit(0)
    os.waitpid(child, 0)
    """: f"{TIME} (steps.py:9)",
}


@pytest.mark.parametrize("body", DIFFERS)
def test_what_is_never_the_same_again_is_said(run: Run, body: str) -> None:
    assert run(body).differs == (f"asks {DIFFERS[body]}",)


@pytest.mark.parametrize(
    "body",
    [
        "import time; time.monotonic(); time.perf_counter(); time.sleep(0)",
        "import logging; logging.warning('x')",
        "import tempfile; tempfile.mkdtemp(); tempfile.mkstemp(); tempfile.NamedTemporaryFile()",
        "import random; random.random(); random.Random(5).random()",
        "import numpy as np; np.random.rand(); np.random.default_rng(1).random(); np.save('x', np.zeros(3))",
        "import threading; threading.Event().wait(0.001)",
        "subprocess.run(['sh', '-c', 'x=1; for i in 1 2; do echo $i; done'], check=True, timeout=60)",
        "subprocess.run(['bash', '-c', 'cat < /dev/null; cp /dev/null x; ls; test -e x; mkdir y; mv x y'], check=True)",
        "subprocess.run([sys.executable, '-c', 'import random, tempfile, json'], check=True)",
        "import multiprocessing as m; p = m.get_context('fork').Process(target=str); p.start(); p.join()",
        "import multiprocessing as m; p = m.get_context('spawn').Process(target=str); p.start(); p.join()",
        "import ssl, email, http.client, uuid, secrets, sklearn",
    ],
)
def test_what_is_the_same_again_is_not(run: Run, body: str) -> None:
    done = run(body)
    assert (done.differs, done.unseen) == ((), ())


def test_forked_children_draw_the_same_again(run: Run, tmp_path: Path) -> None:
    body = """
        import random
        for name in "ab":
            child = os.fork()
            if not child:
                Path(__file__).with_name(name).write_text(str(random.random()))
                os._exit(0)
            os.waitpid(child, 0)
    """
    drawn = []
    for _ in range(2):
        run(body)
        drawn.append([(tmp_path / name).read_text() for name in "ab"])
    assert drawn[0] == drawn[1] and drawn[0][0] != drawn[0][1]


needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="the test compiles a program")


@needs_gcc
def test_a_static_program_is_not_seen(run: Run, tmp_path: Path) -> None:
    made = subprocess.run(["gcc", "-static", "-o", tmp_path / "alone", "-xc", "-"], input="int main() {}", text=True)
    assert made.returncode == 0
    done = run("subprocess.run([Path(__file__).with_name('alone')])")
    assert done.unseen == ("alone is a static program; what it read is not known",)
    assert "@recipe/alone" in done.reads["file"]  # but the program itself is


def test_a_program_of_another_user_is_not_seen(run: Run, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make one")
    shutil.copy("/bin/cat", tmp_path / "theirs")
    os.chown(tmp_path / "theirs", 65534, 65534)
    (tmp_path / "theirs").chmod(0o4755)
    done = run("subprocess.run([Path(__file__).with_name('theirs'), '/dev/null'])")
    assert done.unseen == ("theirs runs with the rights of another user; what it read is not known",)


def test_a_program_that_is_not_found_is_nothing_unseen(run: Run) -> None:
    done = run("try: subprocess.run(['made-up'])\nexcept FileNotFoundError: pass")
    assert done.unseen == ()


def test_without_a_compiler_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    store = Store.open(tmp_path / "store")
    pool = Pool(store, 1)
    try:
        done = runner(pool, store, tmp_path)("pass")
    finally:
        pool.close()
    assert done.unseen == ("programs and native code are not watched: there is no C compiler (cc, gcc or clang)",)


def test_what_the_user_preloads_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "libm.so.6")
    store = Store.open(tmp_path / "store")
    pool = Pool(store, 1)
    try:
        run = runner(pool, store, tmp_path)
        done = run("assert 'libm.so.6' in subprocess.run(['env'], capture_output=True, text=True).stdout")
        assert done.unseen == ()
        done = run("print(subprocess.run(['env'], env={}, capture_output=True, text=True).stdout)")
        assert done.unseen == ()
    finally:
        pool.close()
