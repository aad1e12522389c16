"""Custom steps, each of which reads what is called like it in `d/`, in a way of its own; and some that read nothing.

Copied into a project as its `steps.py`. What a step looks at is `d/<its name>`, or
`<SHM>-<its name>`.
"""

# ruff: noqa: SIM105, SIM115

import ctypes
import inspect
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

D = Path(__file__).parent / "d"
SHM = (Path(__file__).parent / "shm").read_text()
LIBC = ctypes.CDLL(None)


def here():
    """What the step that calls this looks at."""
    return str(D / inspect.stack()[1].function)


def show(path):
    print(open(path).read())


def in_process(method, path):
    process = multiprocessing.get_context(method).Process(target=show, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == 0


def said(*command, **more):
    print(subprocess.run(command, check=True, capture_output=True, **more).stdout)


# ---- by Python ----


def read_text(model, cfg):
    Path(here()).read_text()
    return model


def open_r_plus(model, cfg):
    open(here(), "r+").read()
    return model


def open_a_plus(model, cfg):
    with open(here(), "a+") as file:
        file.seek(0)
        file.read()
    return model


def os_open_read_write(model, cfg):
    os.close(os.open(here(), os.O_RDWR))
    return model


def by_dir_fd(model, cfg):
    folder = os.open(D, os.O_RDONLY)
    os.close(os.open("by_dir_fd", os.O_RDONLY, dir_fd=folder))
    return model


def stat_by_dir_fd(model, cfg):
    folder = os.open(D, os.O_RDONLY)
    os.stat("stat_by_dir_fd", dir_fd=folder)
    return model


def after_chdir(model, cfg):
    os.chdir(D)
    os.close(os.open("after_chdir", os.O_RDONLY))
    return model


def memmap(model, cfg):
    import numpy as np

    bytes(np.memmap(here()))
    return model


def sqlite(model, cfg):
    import sqlite3

    sqlite3.connect(here()).execute("select * from t").fetchall()
    return model


def sqlite_read_only(model, cfg):
    import sqlite3

    sqlite3.connect(f"file:{here()}?mode=ro", uri=True).execute("select * from t").fetchall()
    return model


def python_as_data_py(model, cfg):
    Path(here() + ".py").read_text()
    return model


def exec_of_text_py(model, cfg):
    exec(compile(open(here() + ".py").read(), "text", "exec"), {})
    return model


def copied(model, cfg):
    import shutil

    shutil.copyfile(here(), "copied")
    return model


def through_own_link(model, cfg):
    os.symlink(here(), "link")
    Path("link").read_text()
    return model


def through_own_link_to_folder(model, cfg):
    os.symlink(here(), "link")
    Path("link/file").read_text()
    os.unlink("link")
    return model


def through_link_of_child(model, cfg):
    said("sh", "-c", f"ln -s {here()} link; cat link")
    return model


def sent(model, cfg):
    with open(here()) as file, open("sent", "wb") as to:
        os.sendfile(to.fileno(), file.fileno(), 0, 100)
    return model


def mapped(model, cfg):
    import mmap

    file = os.open(here(), os.O_RDWR)
    bytes(mmap.mmap(file, 0))
    return model


def in_thread(model, cfg):
    import threading

    path = here()
    thread = threading.Thread(target=lambda: os.close(os.open(path, os.O_RDWR)))
    thread.start()
    thread.join()
    return model


def newline_in_name(model, cfg):
    os.path.getsize(here() + "\n\\x")
    return model


# ---- whether something is there ----


def exists(model, cfg):
    os.path.exists(here())
    return model


def is_file(model, cfg):
    Path(here()).is_file()
    return model


def entered(model, cfg):
    try:
        os.chdir(here())
    except OSError:
        pass
    return model


def entered_by_a_shell(model, cfg):
    subprocess.run(["sh", "-c", 'cd "$0" || true', here()], check=True)
    return model


def is_folder(model, cfg):
    os.path.isdir(here())
    return model


def access(model, cfg):
    os.access(here(), os.R_OK)
    return model


def executable(model, cfg):
    os.access(here(), os.X_OK)
    return model


def lexists(model, cfg):
    os.path.lexists(here())
    return model


def gone(model, cfg):
    os.path.exists(here())
    return model


def opened_in_vain(model, cfg):
    try:
        open(here())
    except FileNotFoundError:
        pass
    return model


def made_only_where_missing(model, cfg):
    try:
        os.close(os.open(here(), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        pass
    return model


def getsize(model, cfg):
    os.path.getsize(here())
    return model


def readlink(model, cfg):
    os.readlink(here())
    return model


def realpath(model, cfg):
    os.path.realpath(here())
    return model


def is_link(model, cfg):
    os.path.islink(here())
    return model


def listed(model, cfg):
    os.listdir(here())
    return model


def listed_by_fd(model, cfg):
    os.listdir(os.open(here(), os.O_RDONLY))
    return model


def scanned(model, cfg):
    list(os.scandir(here()))
    return model


def globbed(model, cfg):
    list(Path(here()).glob("*.txt"))
    return model


def walked(model, cfg):
    list(os.walk(here()))
    return model


# ---- by native code ----


def c_fopen(model, cfg):
    LIBC.fopen.restype = ctypes.c_void_p
    LIBC.fopen(here().encode(), b"r")
    return model


def c_open(model, cfg):
    LIBC.open(here().encode(), os.O_RDONLY)
    return model


def c_access(model, cfg):
    LIBC.access(here().encode(), 0)
    return model


def c_opendir(model, cfg):
    LIBC.opendir.restype = ctypes.c_void_p
    LIBC.opendir(here().encode())
    return model


def c_glob(model, cfg):
    LIBC.glob(f"{here()}/*/x".encode(), 0, None, ctypes.create_string_buffer(1000))
    return model


def c_scandir(model, cfg):
    LIBC.scandir(here().encode(), ctypes.byref(ctypes.c_void_p()), None, None)
    return model


def c_statx(model, cfg):
    LIBC.statx(-100, here().encode(), 0, 0x7FF, ctypes.create_string_buffer(1000))
    return model


def cdll_so(model, cfg):
    ctypes.CDLL(here() + ".so").value()
    return model


def session(model, cfg):
    import onnxruntime

    onnxruntime.InferenceSession(here())
    return model


# ---- by children ----


def fork(model, cfg):
    path = here()
    child = os.fork()
    if not child:
        show(path)
        os._exit(0)
    os.waitpid(child, 0)
    return model


def process_fork(model, cfg):
    in_process("fork", here())
    return model


def process_spawn(model, cfg):
    in_process("spawn", here())
    return model


def process_forkserver(model, cfg):
    in_process("forkserver", here())
    return model


def loader(model, cfg):
    import torch

    class Files(torch.utils.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, i):
            return float(open(path).read() == "one")

    path = here()
    list(torch.utils.data.DataLoader(Files(), num_workers=1))
    return model


def cat(model, cfg):
    said("cat", here())
    return model


def cat_in_empty_environment(model, cfg):
    said("/bin/cat", here(), env={})
    return model


def cat_spawned(model, cfg):
    os.waitpid(os.posix_spawn("/bin/cat", ["cat", here()], {}), 0)
    return model


def spawned_with_input(model, cfg):
    opens = [(os.POSIX_SPAWN_OPEN, 0, here(), os.O_RDONLY, 0)]
    os.waitpid(os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=opens), 0)
    return model


def cp(model, cfg):
    said("cp", here(), "there")
    return model


def cp_recursive(model, cfg):
    said("cp", "-r", here(), "there")
    return model


def shell(model, cfg):
    os.system(f"cat {here()}")
    return model


def shell_builtin(model, cfg):
    said("sh", "-c", f"read line < {here()}; echo $line")
    return model


def shell_test(model, cfg):
    said("sh", "-c", f"test -e {here()} || echo no")
    return model


def shell_source(model, cfg):
    said("bash", "-c", f". {here()}")
    return model


def popen(model, cfg):
    os.popen(f"cat {here()}").read()
    return model


def environment_cleared(model, cfg):
    said("env", "-i", "/bin/cat", here())
    return model


def python_child(model, cfg):
    said(sys.executable, "-c", "import sys; open(sys.argv[1]).read()", here())
    return model


def python_script_py(model, cfg):
    said(sys.executable, here() + ".py")
    return model


def python_module_of_child(model, cfg):
    said(sys.executable, "-c", f"import sys; sys.path.insert(0, {here()!r}); import inner")
    return model


def python_as_data_of_child_py(model, cfg):
    said("cat", here() + ".py")
    return model


def listed_by_child(model, cfg):
    said("ls", here())
    return model


def found_by_child(model, cfg):
    said("find", here(), "-name", "x")
    return model


def script(model, cfg):
    said(here())
    return model


def compiler_c(model, cfg):
    said("gcc", "-c", "-o", "compiled.o", here() + ".c")
    return model


def header_of_compiler_h(model, cfg):
    Path("code.c").write_text(f'#include "{here()}.h"\n')
    said("gcc", "-c", "-o", "compiled.o", "code.c")
    return model


def closed_descriptors(model, cfg):
    path = here()
    child = os.fork()
    if not child:
        os.closerange(3, 5000)
        os.path.getsize(path)
        os._exit(0)
    os.waitpid(child, 0)
    return model


# ---- data of the machine ----


def shm(model, cfg):
    open(SHM + "-shm").read()
    return model


def shm_named(model, cfg):
    from _posixshmem import shm_open

    os.close(shm_open(f"{SHM}-shm_named".removeprefix("/dev/shm"), os.O_RDWR, mode=0))
    return model


def shm_by_child(model, cfg):
    said("cat", SHM + "-shm_by_child")
    return model


def shm_asked_for(model, cfg):
    os.path.exists(SHM + "-shm_asked_for")
    return model


# ---- what a step makes itself is not read ----


def nothing(model, cfg):
    return model


def own_file(model, cfg):
    path = here()
    if not os.path.exists(path):
        open(path, "w").write("one")
    open(path, "w").write(str(os.getpid()))
    said("cat", path)
    os.remove(path)
    return model


def own_file_of_python(model, cfg):
    path = Path(here())
    if not path.exists():
        try:
            path.read_text()
        except FileNotFoundError:
            path.write_text(str(os.getpid()))
    path.write_text(str(os.getpid()))
    path.read_text()
    return model


def own_folder(model, cfg):
    os.makedirs(f"{here()}/x", exist_ok=True)
    Path(here(), "x", "file").write_text(str(os.getpid()))
    said("ls", f"{here()}/x")
    return model


def own_temporary_files(model, cfg):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        said("sh", "-c", f"echo 1 > {folder}/x; cat {folder}/x")
    return model
