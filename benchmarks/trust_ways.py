"""Ways in which a step may read something, for `benchmarks.trust`: a recipe has this file as its `ways.py`.

A way is called with a folder of its own and returns what it found. Its kind says what lies in that folder, and what
can be changed there (`benchmarks.trust`). Everything is imported where it is used, as nothing may be read beforehand.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Way = Callable[[Path], Any]
WAYS: dict[str, tuple[str, Way]] = {}
"""By name: its kind, and the function."""


def way(kind: str) -> Callable[[Way], Way]:
    """Put a function into the table."""

    def put(function: Way) -> Way:
        WAYS[function.__name__] = kind, function
        return function

    return put


def step(model: Any, cfg: Any, name: str, way: str) -> Any:
    """A step of the recipe: what its way finds lies in `read/NAME.txt`."""
    folder = Path(cfg.output_dir) / "read"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(f"{_found(Path(__file__).parent / 'd' / name, WAYS[way][1])}\n")
    return model


def _found(folder: Path, function: Way) -> str:
    here = os.getcwd()
    try:
        return repr(function(folder))
    except Exception as error:  # a file that is not there, or no longer
        return type(error).__name__
    finally:
        os.chdir(here)


def variable(folder: Path) -> str:
    """The environment variable that is a way's own."""
    return f"TRUST_{folder.name.upper()}"


def shared(folder: Path) -> Path:
    """A file in shared memory that is a way's own."""
    return Path("/dev/shm") / str(folder).strip("/").replace("/", "-")


# Python opens a file.


@way("text")
def read_text(d: Path) -> Any:
    return (d / "data").read_text()


@way("text")
def open_binary(d: Path) -> Any:
    with open(d / "data", "rb") as file:
        return file.read()


@way("text")
def open_unbuffered(d: Path) -> Any:
    with open(str(d / "data"), "rb", buffering=0) as file:
        return file.read(9)


@way("text")
def open_r_plus(d: Path) -> Any:
    with open(d / "data", "r+") as file:
        return file.read()


@way("text")
def open_a_plus(d: Path) -> Any:
    with open(d / "data", "ab+") as file:
        file.seek(0)
        return file.read()


@way("text")
def open_bytes_path(d: Path) -> Any:
    with open(os.fsencode(d / "data")) as file:
        return file.read()


@way("text")
def open_descriptor(d: Path) -> Any:
    return os.read(os.open(d / "data", os.O_RDONLY), 100)


@way("text")
def open_read_write(d: Path) -> Any:
    return os.pread(os.open(d / "data", os.O_RDWR), 100, 0)


@way("text")
def open_at_folder(d: Path) -> Any:
    return os.read(os.open("data", os.O_RDONLY, dir_fd=os.open(d, os.O_RDONLY)), 100)


@way("text")
def open_after_chdir(d: Path) -> Any:
    os.chdir(d)
    with open("data") as file:
        return file.read()


@way("text")
def open_code(d: Path) -> Any:
    import io

    with io.open_code(str(d / "data")) as file:
        return file.read()


@way("text")
def open_on_a_detour(d: Path) -> Any:
    with open(f"{d}/../{d.name}/./data") as file:
        return file.read()


@way("text")
def map_into_memory(d: Path) -> Any:
    import mmap

    with open(d / "data", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data[:]


@way("text")
def read_lines(d: Path) -> Any:
    import linecache

    linecache.clearcache()
    return linecache.getline(str(d / "data"), 1)


@way("text")
def read_as_input(d: Path) -> Any:
    import fileinput

    with fileinput.input([d / "data"]) as lines:
        return list(lines)


@way("text")
def copy_and_read(d: Path) -> Any:
    import shutil

    return Path(shutil.copy(d / "data", "copy")).read_text()


@way("folder")
def copy_tree(d: Path) -> Any:
    import shutil

    copy = Path(shutil.copytree(d, "tree", dirs_exist_ok=True))
    return sorted(os.listdir(copy)), (copy / "data").read_text()


@way("text")
def soft_link(d: Path) -> Any:
    Path("pointer").unlink(missing_ok=True)
    os.symlink(d / "data", "pointer")
    return Path("pointer").read_text()


@way("text")
def compare_files(d: Path) -> Any:
    import filecmp

    Path("other").write_text("value 500000000\n")
    return filecmp.cmp(d / "data", "other", shallow=False), (d / "data").read_bytes()[:7]


@way("text")
def digest_of_file(d: Path) -> Any:
    import hashlib

    with open(d / "data", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@way("text")
def in_a_thread(d: Path) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit((d / "data").read_text).result()


@way("shm")
def shared_memory(d: Path) -> Any:
    return shared(d).read_text()


# Formats.


@way("npy")
def numpy_load(d: Path) -> Any:
    import numpy as np

    return np.load(d / "data").tolist()


@way("npy")
def numpy_load_mapped(d: Path) -> Any:
    import numpy as np

    return np.load(d / "data", mmap_mode="r").tolist()


@way("npz")
def numpy_archive(d: Path) -> Any:
    import numpy as np

    return np.load(d / "data")["value"].tolist()


@way("text")
def numpy_memmap(d: Path) -> Any:
    import numpy as np

    return bytes(np.memmap(d / "data"))


@way("text")
def numpy_from_file(d: Path) -> Any:
    import numpy as np

    return np.fromfile(d / "data", np.uint8).tolist()


@way("csv")
def numpy_text(d: Path) -> Any:
    import numpy as np

    return np.loadtxt(d / "data", delimiter=",").tolist()


@way("sqlite")
def sqlite(d: Path) -> Any:
    import sqlite3

    return sqlite3.connect(d / "data").execute("select * from t").fetchall()


@way("sqlite")
def sqlite_read_only(d: Path) -> Any:
    import sqlite3

    return sqlite3.connect(f"file:{d / 'data'}?mode=ro", uri=True).execute("select * from t").fetchall()


@way("json")
def json_file(d: Path) -> Any:
    import json

    with open(d / "data") as file:
        return json.load(file)


@way("json")
def yaml_file(d: Path) -> Any:
    import yaml

    return yaml.safe_load((d / "data").open())


@way("pickle")
def pickle_file(d: Path) -> Any:
    import pickle

    with open(d / "data", "rb") as file:
        return pickle.load(file)


@way("csv")
def csv_file(d: Path) -> Any:
    import csv

    with open(d / "data", newline="") as file:
        return list(csv.reader(file))


@way("ini")
def configuration(d: Path) -> Any:
    import configparser

    found = configparser.ConfigParser()
    return found.read(d / "data")[-1:] and found["a"]["value"]


@way("ini")
def toml_file(d: Path) -> Any:
    import tomllib

    with open(d / "data", "rb") as file:
        return tomllib.load(file)


@way("zip")
def zip_archive(d: Path) -> Any:
    import zipfile

    return zipfile.ZipFile(d / "data").read("value")


@way("gz")
def gzip_file(d: Path) -> Any:
    import gzip

    with gzip.open(d / "data") as file:
        return file.read()


@way("tar")
def tar_archive(d: Path) -> Any:
    import tarfile

    with tarfile.open(d / "data") as archive:
        return archive.getnames()


@way("onnx")
def onnx_load(d: Path) -> Any:
    import onnx

    return onnx.load(str(d / "data")).graph.name


@way("onnx")
def onnx_runtime(d: Path) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(d / "data"), providers=["CPUExecutionProvider"])
    return session.get_outputs()[0].name


# Below Python.


@way("text")
def c_fopen(d: Path) -> Any:
    import ctypes

    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    file, room = libc.fopen(os.fsencode(d / "data"), b"r"), ctypes.create_string_buffer(100)
    return file and libc.fread(room, 1, 99, ctypes.c_void_p(file)) and room.value


@way("text")
def c_open(d: Path) -> Any:
    import ctypes

    libc, room = ctypes.CDLL(None), ctypes.create_string_buffer(100)
    descriptor = libc.open(os.fsencode(d / "data"), os.O_RDONLY)
    return descriptor >= 0 and libc.read(descriptor, room, 99) and room.value


@way("so")
def c_library(d: Path) -> Any:
    import ctypes
    import shutil
    import tempfile

    copy = shutil.copy(d / "data", f"{tempfile.mkdtemp()}/library.so")  # the loader keeps libraries by their names
    return ctypes.CDLL(copy).value()


@way("so")
def c_library_in_a_child(d: Path) -> Any:
    return _python(f"import ctypes; print(ctypes.CDLL({str(d / 'data')!r}).value())")


# Children.


def _run(*command: Any, **more: Any) -> Any:
    import subprocess

    done = subprocess.run([str(word) for word in command], capture_output=True, check=False, **more)
    return done.returncode, done.stdout


def _python(code: str, *arguments: Any, **more: Any) -> Any:
    return _run(sys.executable, "-c", code, *arguments, **more)


@way("text")
def child_cat(d: Path) -> Any:
    return _run("cat", d / "data")


@way("text")
def child_copy(d: Path) -> Any:
    return _run("cp", d / "data", "copied")[0] or Path("copied").read_text()


@way("text")
def child_with_empty_environment(d: Path) -> Any:
    return _run("/bin/cat", d / "data", env={})


@way("text")
def child_with_redirection(d: Path) -> Any:
    with open("out", "w+") as file:
        import subprocess

        subprocess.run(["sh", "-c", f"cat < '{d}/data'"], stdout=file, check=False)
        file.seek(0)
        return file.read()


@way("text")
def shell_word(d: Path) -> Any:
    return _run("sh", "-c", f"read word rest < '{d}/data' && echo $rest")


@way("text")
def shell_after_cd(d: Path) -> Any:
    return _run("bash", "-c", f"cd '{d}' && echo $(<data)")


@way("text")
def system_call(d: Path) -> Any:
    return os.system(f"cat '{d}/data' > said 2>/dev/null") or Path("said").read_text()


@way("text")
def pipe_of_commands(d: Path) -> Any:
    with os.popen(f"cat '{d}/data' 2>/dev/null | tr a-z A-Z") as out:
        return out.read()


@way("text")
def spawn(d: Path) -> Any:
    actions = [(os.POSIX_SPAWN_OPEN, 1, "spawned", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)]
    child = os.posix_spawn("/bin/cat", ["cat", str(d / "data")], os.environ, file_actions=actions)
    return os.waitpid(child, 0)[1] or Path("spawned").read_text()


@way("text")
def child_python(d: Path) -> Any:
    return _python("import sys; print(open(sys.argv[1]).read())", d / "data")


@way("text")
def grandchild(d: Path) -> Any:
    return _run("sh", "-c", f"sh -c \"head -c 99 '{d}/data'\"")


@way("module")
def child_python_module(d: Path) -> Any:
    return _python("import helper; print(helper.VALUE)", env={**os.environ, "PYTHONPATH": str(d)})


@way("source")
def child_python_script(d: Path) -> Any:
    return _run(sys.executable, d / "helper.py")


@way("script")
def script(d: Path) -> Any:
    return _run(d / "data")


@way("script")
def script_by_shell(d: Path) -> Any:
    return _run("sh", d / "data")


@way("script")
def script_sourced(d: Path) -> Any:
    return _run("bash", "-c", f". '{d}/data'")


@way("text")
def fork(d: Path) -> Any:
    out, end = os.pipe()
    if not (child := os.fork()):
        try:
            os.write(end, (d / "data").read_bytes())
        finally:
            os._exit(0)
    os.close(end)
    os.waitpid(child, 0)
    return os.read(out, 100)


@way("text")
def multiprocessing_fork(d: Path) -> Any:
    import multiprocessing

    out: Any = multiprocessing.get_context("fork").Queue()
    process = multiprocessing.get_context("fork").Process(target=lambda: out.put((d / "data").exists() and _text(d)))
    process.start()
    found = out.get()
    process.join()
    return found


def _text(d: Path) -> str:
    return (d / "data").read_text()


@way("text")
def process_pool(d: Path) -> Any:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        return pool.submit(_text, d).result()


# What there is, without opening it.


@way("exists")
def exists(d: Path) -> Any:
    return os.path.exists(d / "data")


@way("exists")
def is_file(d: Path) -> Any:
    return (d / "data").is_file()


@way("exists")
def access(d: Path) -> Any:
    return os.access(d / "data", os.R_OK)


@way("exists")
def lexists(d: Path) -> Any:
    return os.path.lexists(d / "data")


@way("exists")
def tried(d: Path) -> Any:
    try:
        return os.stat(d / "data").st_mode
    except FileNotFoundError:
        return "none"


@way("exists")
def child_test(d: Path) -> Any:
    return _run("test", "-e", d / "data")[0]


@way("exists")
def shell_test(d: Path) -> Any:
    return _run("bash", "-c", f"[[ -f '{d}/data' ]] && echo yes")


@way("exists")
def which(d: Path) -> Any:
    import shutil

    return shutil.which("data", path=str(d), mode=os.F_OK)


@way("size")
def get_size(d: Path) -> Any:
    return os.path.getsize(d / "data")


@way("size")
def stat_size(d: Path) -> Any:
    return (d / "data").stat().st_size


@way("size")
def child_size(d: Path) -> Any:
    return _run("stat", "-c", "%s", d / "data")


@way("size")
def seek_to_end(d: Path) -> Any:
    return os.lseek(os.open(d / "data", os.O_RDONLY), 0, os.SEEK_END)


@way("folder")
def list_folder(d: Path) -> Any:
    return sorted(os.listdir(d))


@way("folder")
def glob_folder(d: Path) -> Any:
    return sorted(path.name for path in d.glob("*"))


@way("folder")
def scan_folder(d: Path) -> Any:
    with os.scandir(d) as entries:
        return sorted(entry.name for entry in entries)


@way("folder")
def scan_descriptor(d: Path) -> Any:
    return sorted(os.listdir(os.open(d, os.O_RDONLY)))


@way("folder")
def walk(d: Path) -> Any:
    return sorted(name for _, folders, files in os.walk(d) for name in (*folders, *files))


@way("folder")
def child_ls(d: Path) -> Any:
    return _run("ls", d)


@way("folder")
def shell_glob(d: Path) -> Any:
    return _run("sh", "-c", f"cd '{d}' && echo *")


@way("folder")
def all_files(d: Path) -> Any:
    return sorted((path.name, path.read_text()) for path in d.rglob("*") if path.is_file())


@way("link")
def read_link(d: Path) -> Any:
    return os.path.basename(os.readlink(d / "link"))


@way("link")
def real_path(d: Path) -> Any:
    return os.path.basename(os.path.realpath(d / "link"))


@way("link")
def behind_link(d: Path) -> Any:
    return (d / "link").read_text()


@way("link")
def child_link(d: Path) -> Any:
    return _run("readlink", d / "link")


@way("link")
def child_behind_link(d: Path) -> Any:
    return _run("cat", d / "link")


# The environment.


@way("env")
def env_get(d: Path) -> Any:
    return os.environ.get(variable(d))


@way("env")
def env_item(d: Path) -> Any:
    return os.environ[variable(d)]


@way("env")
def env_getenv(d: Path) -> Any:
    return os.getenv(variable(d), "none")


@way("env")
def env_in(d: Path) -> Any:
    return variable(d) in os.environ


@way("env")
def env_bytes(d: Path) -> Any:
    return os.environb.get(os.fsencode(variable(d)))


@way("env")
def env_copy(d: Path) -> Any:
    return dict(os.environ).get(variable(d))


@way("env")
def env_items(d: Path) -> Any:
    return [value for name, value in os.environ.items() if name == variable(d)]


@way("env")
def env_expanded(d: Path) -> Any:
    return os.path.expandvars(f"${variable(d)}")


@way("env")
def env_of_c(d: Path) -> Any:
    import ctypes

    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    return libc.getenv(os.fsencode(variable(d)))


@way("env")
def env_of_shell(d: Path) -> Any:
    return _run("sh", "-c", f"echo ${variable(d)}")


@way("env")
def env_of_printenv(d: Path) -> Any:
    return _run("printenv", variable(d))


@way("env")
def env_of_child(d: Path) -> Any:
    return _python("import os, sys; print(os.environ.get(sys.argv[1]))", variable(d))


# Python that is run.


@contextmanager
def _importing(*folders: Path) -> Iterator[None]:
    before = [*sys.path]
    sys.path[:0] = map(str, folders)
    try:
        yield
    finally:
        sys.path[:] = before


@way("module")
def import_module(d: Path) -> Any:
    import importlib

    with _importing(d):
        return importlib.import_module("helper").VALUE


@way("module")
def import_statement(d: Path) -> Any:
    with _importing(d):
        import helper  # type: ignore[import-not-found]

        return helper.VALUE


@way("module")
def execute_module(d: Path) -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location(f"own_{d.name}", d / "helper.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VALUE


@way("module")
def run_path(d: Path) -> Any:
    import runpy

    return runpy.run_path(str(d / "helper.py"))["VALUE"]


@way("source")
def execute_text(d: Path) -> Any:
    names: dict[str, Any] = {}
    exec((d / "helper.py").read_text(), names)
    return names["VALUE"]


@way("module")
def source_of_module(d: Path) -> Any:
    import ast
    import importlib
    import inspect
    import linecache

    with _importing(d):
        linecache.clearcache()
        source = inspect.getsource(importlib.import_module("helper"))
        return ast.dump(ast.parse(source))  # who asks `inspect` wants code: its comments do not count


@way("source")
def source_as_data(d: Path) -> Any:
    return (d / "helper.py").read_bytes()


@way("source")
def source_of_a_child(d: Path) -> Any:
    return _run("cat", d / "helper.py")


@way("package")
def import_package(d: Path) -> Any:
    import importlib

    with _importing(d):
        return importlib.import_module("package").VALUE


@way("package")
def import_submodule(d: Path) -> Any:
    import importlib

    with _importing(d):
        return importlib.import_module("package.part").VALUE


@way("package")
def resource(d: Path) -> Any:
    import importlib.resources

    with _importing(d):
        return importlib.resources.files("package").joinpath("table.txt").read_text()


@way("package")
def package_data(d: Path) -> Any:
    import pkgutil

    with _importing(d):
        return pkgutil.get_data("package", "table.txt")


@way("package")
def modules_of_package(d: Path) -> Any:
    import importlib
    import pkgutil

    with _importing(d):
        return sorted(item.name for item in pkgutil.iter_modules(importlib.import_module("package").__path__))


@way("library")
def import_from_zip(d: Path) -> Any:
    import importlib
    import zipimport

    importlib.invalidate_caches()
    zipimport._zip_directory_cache.clear()  # type: ignore[attr-defined]
    with _importing(d / "data"):
        return importlib.import_module("helper").VALUE


@way("shadow")
def import_shadowed(d: Path) -> Any:
    import importlib

    importlib.invalidate_caches()
    with _importing(d / "first", d / "second"):
        return importlib.import_module("helper").VALUE


@way("shadow")
def child_import_shadowed(d: Path) -> Any:
    paths = os.pathsep.join([str(d / "first"), str(d / "second")])
    return _python("import helper; print(helper.VALUE)", env={**os.environ, "PYTHONPATH": paths})


@way("shadow")
def find_module(d: Path) -> Any:
    import importlib.util

    importlib.invalidate_caches()
    with _importing(d / "first", d / "second"):
        spec = importlib.util.find_spec("helper")
        return spec and Path(str(spec.origin)).parent.name


# What cannot be known: each has to be said.


@way("unknown")
def time_of_day(d: Path) -> Any:
    import time

    return time.time_ns()


@way("unknown")
def date(d: Path) -> Any:
    import datetime

    return datetime.datetime.now().isoformat()


@way("unknown")
def random_bytes(d: Path) -> Any:
    return os.urandom(8)


@way("unknown")
def unseeded(d: Path) -> Any:
    import random

    return random.Random().random()


@way("unknown")
def numpy_unseeded(d: Path) -> Any:
    import numpy as np

    return np.random.default_rng().integers(1 << 60)


@way("unknown")
def unique_name(d: Path) -> Any:
    import uuid

    return uuid.uuid4().hex


@way("unknown")
def secret(d: Path) -> Any:
    import secrets

    return secrets.token_hex(8)


@way("unknown")
def socket_port(d: Path) -> Any:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        with socket.create_connection(server.getsockname()) as client:
            return client.getsockname()


@way("unknown")
def child_date(d: Path) -> Any:
    return _run("date", "+%N")


@way("unknown")
def child_random(d: Path) -> Any:
    return _run("head", "-c", "8", "/dev/urandom")
