"""What a step cannot be held to is said: what it reads unseen, and what it asks for that is never the same again.

A real worker runs the steps, since the library that tells is preloaded when a process starts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from finnyaml.engine.pool import Pool
from finnyaml.kinds import KINDS
from finnyaml.store import Entry, Store
from finnyaml.tools.listen import Event
from finnyaml.worker.job import Done, Job
from finnyaml.worker.recorder import Reads
from finnyaml.worker.told import Told
from finnyaml.worker.worker import MANY
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
        done = pool.run(job, timeout=120)
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


def needs_program(body: str) -> None:
    found = re.search(r"run\(\['(\w+)'", body)
    if found and shutil.which(found[1]) is None:
        pytest.skip(f"there is no {found[1]} here")


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
    "import numpy as np; np.datetime64('now')": f"{TIME} (steps.py:6)",
    "subprocess.run(['date', '+%s'], check=True)": f"{TIME} (date)",
    "subprocess.run(['shuf', '-e', '1', '2'], check=True)": f"{RANDOM} (shuf)",
    "subprocess.run(['bash', '-c', 'echo $RANDOM'], check=True)": f"{RANDOM} (bash)",
    "subprocess.run(['bash', Path(__file__).with_name('dice.sh')], check=True)": f"{RANDOM} (bash)",
    "subprocess.run([Path(__file__).with_name('dice')], check=True)": f"{TIME} (dice)",
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
def test_what_is_never_the_same_again_is_said(run: Run, body: str, tmp_path: Path) -> None:
    needs_program(body)
    (tmp_path / "dice.sh").write_text("echo one\necho $((RANDOM % 6))\n")
    if "'dice'" in body:
        compiled(tmp_path / "dice", "#include <time.h>\nint main() { return time(0) < 9; }")
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
        "os.mkfifo('old'); os.utime('old', (0, 0)); subprocess.run(['ls', '-l', 'old'], check=True)",
        "subprocess.run(['find', '.', '-mtime', '1'], check=True)",
        "subprocess.run(['awk', 'BEGIN{print 1}'], check=True)",
        "subprocess.run(['perl', '-e', '1'], check=True)",
        "subprocess.run(['git', '--version'], check=True)",
        "subprocess.run(['make', '--version'], check=True)",
        "subprocess.run(['mktemp'], check=True)",
        "Path('f').touch(); subprocess.run('tar cf t f && tar xf t && sort f', shell=True, check=True)",
        "Path('s').write_text('# no $RANDOM here'); subprocess.run(['bash', 's', 'RANDOM_SEED=1'], check=True)",
        "import ssl, email, http.client, uuid, secrets, sklearn",
    ],
)
def test_what_is_the_same_again_is_not(run: Run, body: str) -> None:
    needs_program(body)
    done = run(body)
    assert (done.differs, done.unseen) == ((), ())


def compiled(path: Path, source: str, *options: str) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("the test compiles a program")
    subprocess.run(["gcc", *options, "-o", path, "-xc", "-"], input=source, text=True, check=True)


LOCKED = """
    #include <fcntl.h>
    #include <pthread.h>
    #include <sched.h>

    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static volatile int taken, wanted;

    void look(const char *path) { /* without Python's lock */
        pthread_mutex_lock(&lock);
        taken = 1;
        while (!wanted) sched_yield();
        open(path, O_RDONLY);
        pthread_mutex_unlock(&lock);
    }

    void want(void) { /* with it */
        while (!taken) sched_yield();
        wanted = 1;
        pthread_mutex_lock(&lock);
    }
"""


def test_who_looks_is_found_out_without_waiting_for_python(run: Run, tmp_path: Path) -> None:
    compiled(tmp_path / "locked.so", LOCKED, "-shared", "-fPIC", "-pthread")
    (tmp_path / "data").write_text("")
    body = """
        import ctypes, threading
        library = str(Path(__file__).with_name("locked.so"))
        data = os.fsencode(Path(__file__).with_name("data"))
        thread = threading.Thread(target=ctypes.CDLL(library).look, args=(data,), daemon=True)
        thread.start()
        ctypes.PyDLL(library).want()
        thread.join()
    """
    assert "@recipe/data" in run(body).reads["file"]


def test_code_in_a_folder_with_any_name_is_the_users(pool: tuple[Pool, Store], tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode("ä€😀".encode() + b"\xff")
    folder.mkdir()
    assert runner(*pool, folder)("os.urandom(4)").differs == (f"asks {RANDOM} (steps.py:6)",)


def test_what_is_in_the_way_counts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    body = """
        here = Path(__file__).parent
        try: os.mkdir(here / "full")
        except FileExistsError: pass
        try: os.rmdir(here / "full")
        except OSError: pass
        (here / "gone").unlink(missing_ok=True)
    """
    reads = run(body).reads
    assert reads["stat"]["@recipe/gone"] is None and "@recipe/full" in reads["dir"]


def test_only_whole_names_of_folders_are_the_systems() -> None:
    told, reads = Told([], users=False), Reads()
    told.events = [Event(0, "r", "-", good=True, path=path) for path in ("/library/x", "/lib/x", "/lib64/x")]
    told.sort(reads, Mock())
    assert reads.files == {"/library/x"}


def test_a_path_that_names_a_descriptor_is_that_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    body = """
        file = os.open(Path(__file__).parent, os.O_RDONLY)
        subprocess.run(["cat", f"/proc/self/fd/{file}/data"], pass_fds=[file], check=True)
    """
    assert "@recipe/data" in run(body).reads["file"]


def test_a_walk_of_the_c_library_looks_at_all(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_text("")
    body = """
        import ctypes
        each = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        ctypes.CDLL(None).nftw(bytes(Path(__file__).with_name("d")), each(lambda *_: 0), 9, 0)
    """
    reads = run(body).reads
    assert "@recipe/d/x" in reads["file"] and "@recipe/d" in reads["dir"]


def test_many_files_that_were_asked_for_are_one_entry(run: Run, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(MANY):
        (tmp_path / "many" / str(number)).touch()
    ask = "many = Path(__file__).with_name('many'); [os.stat(many / str(number)) for number in range({})]; {}"
    reads = run(ask.format(MANY, "os.listdir(many)")).reads
    assert reads["looks"].keys() == {"@recipe/many"} and "@recipe/many/7" not in reads["stat"]
    for body in (ask.format(MANY - 1, "os.listdir(many)"), ask.format(MANY, "pass")):
        reads = run(body).reads
        assert reads["looks"] == {} and "@recipe/many/7" in reads["stat"]


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


@needs_gcc
def test_a_store_is_in_a_folder_with_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = Store.open(tmp_path / "a b:$LIB")
    pool = Pool(store, 1)
    try:
        (tmp_path / "data").touch()
        done = runner(pool, store, tmp_path)("subprocess.run(['cat', Path(__file__).parent / 'data'])")
    finally:
        pool.close()
    assert done.unseen == () and "@recipe/data" in done.reads["file"]


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
