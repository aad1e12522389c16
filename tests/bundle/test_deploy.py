"""deploy.sh. `ssh`, `rsync` and `sudo` are stand-ins: they note how they were called, and the first two do on this
machine what they would do on the board."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bundle.board_files import attach as board_files
from tests.bundle.built import TARGET, again, sandbox

SSH = """#!/bin/bash
printf '%s|' ssh "$@" >>"$NOTES"; echo >>"$NOTES"
[[ $1 == -t ]] && shift
cd "$BOARD" && shift && exec /bin/bash -c "$1"
"""
RSYNC = """#!/bin/bash
printf '%s|' rsync "$@" >>"$NOTES"; echo >>"$NOTES"
[[ $1 == -rltzs ]] || exit 9
to=${@: -1}
cp -r "${@: -2:1}." "$BOARD/${to#*:}"
"""
SUDO = """#!/bin/bash
printf '%s|' sudo "$@" >>"$NOTES"; echo >>"$NOTES"
"""


class Desk:
    """The machine with the bundle, and the folder that is the board's home."""

    def __init__(self, root: Path, bundle: Path) -> None:
        self.root, self.bundle, self.board = root, bundle, root / "board"
        self.bin = root / "bin"
        for folder in (self.board, self.bin):
            folder.mkdir()
        for name in ("bash", "cp", "mkdir", "tar", "dirname", "cat", "find"):
            self.stand_in(name, f'#!/bin/bash\nexec {shutil.which(name)} "$@"\n')  # no link: nothing writes through it
        self.stand_in("ssh", SSH)
        self.stand_in("sudo", SUDO)

    def stand_in(self, name: str, text: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin), "NOTES": str(self.root / "notes"), "BOARD": str(self.board)}
        command = [str(self.bundle / "deploy.sh"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")

    @property
    def notes(self) -> list[list[str]]:
        path = self.root / "notes"
        return [line.split("|")[:-1] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    root, parts = sandbox(tmp_path / "b u i l d")
    board_files(parts)
    shutil.move(parts / "bitfile", root / "out/bitfile")
    return Desk(tmp_path, again(root, parts))


def same(bundle: Path, copy: Path) -> bool:
    files = {path.relative_to(bundle): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    return files == {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()}


@pytest.mark.parametrize("folder", [None, "my place", "a'b$HOME;x"])
@pytest.mark.parametrize("rsync", [False, True])
def test_everything_arrives(desk: Desk, folder: str | None, rsync: bool) -> None:
    if rsync:
        desk.stand_in("rsync", RSYNC)
    done = desk.run("xilinx@pynq", *([folder] if folder else []))
    assert (done.returncode, done.stderr) == (0, "")
    assert same(desk.bundle, desk.board / (folder or "sample"))
    assert [note[0] for note in desk.notes] == (["ssh", "ssh", "rsync"] if rsync else ["ssh", "ssh"])
    assert os.access(desk.board / (folder or "sample") / "deploy.sh", os.X_OK)


@pytest.mark.parametrize("folder", ["sample", "my place", "a'b$HOME;x"])
@pytest.mark.parametrize("rsync", [False, True])
def test_files_of_an_earlier_bundle_do_not_stay(desk: Desk, folder: str, rsync: bool) -> None:
    if rsync:
        desk.stand_in("rsync", RSYNC)
    there = desk.board / folder
    assert desk.run("xilinx@pynq", folder).returncode == 0
    old = ["driver/runtime_weights/9_0_x.dat", "accelerator/deep/a b.py", "graphs/x", "golden/x", "bitfile/x.bit"]
    kept = ["mine/outputs.npy", "notes.txt"]
    caches = ["accelerator/__pycache__/check.pyc"]
    for name in [*old, *kept, *caches]:
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_text("old")
    (there / "graphs/link").symlink_to(there / "notes.txt")
    assert desk.run("xilinx@pynq", folder).returncode == 0
    for name in [*kept, *caches]:
        (there / name).unlink()
    assert same(desk.bundle, there)


def test_a_folder_that_is_no_bundle_keeps_its_files(desk: Desk) -> None:
    mine = desk.board / "home/driver/mine.c"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert desk.run("xilinx@pynq", "home").returncode == 0
    assert mine.read_text() == "mine"


def test_a_board_without_rsync_gets_an_archive(desk: Desk) -> None:
    desk.stand_in("rsync", RSYNC)
    desk.stand_in("ssh", SSH.replace("shift && exec", "shift && PATH=${PATH/bin/none}:/usr/bin:/bin && exec"))
    done = desk.run("xilinx@pynq")
    assert done.returncode == 0 and same(desk.bundle, desk.board / "sample")
    if shutil.which("rsync", path="/usr/bin:/bin") is None:
        assert "rsync" not in {note[0] for note in desk.notes}


def test_the_selftest_runs_afterwards(desk: Desk) -> None:
    assert desk.run("xilinx@pynq", "--selftest").returncode == 0
    assert desk.notes[-2][:3] == ["ssh", "-t", "xilinx@pynq"]
    assert desk.notes[-1] == ["sudo", "bash", "-lc", "python3 -m accelerator selftest"]


@pytest.mark.parametrize("rsync", [False, True])
def test_a_dry_run_touches_nothing_and_says_what_would_run(desk: Desk, rsync: bool) -> None:
    if rsync:
        desk.stand_in("rsync", RSYNC)
    done = desk.run("--dry-run", "--selftest", "xilinx@pynq", "my place")
    assert done.returncode == 0 and not desk.notes and not list(desk.board.iterdir())
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and lines[0].startswith("ssh xilinx@pynq mkdir")
    assert "find" in lines[0] and "driver" in lines[0]
    assert lines[1].startswith("rsync" if rsync else "tar") and "selftest" in lines[2]
    assert subprocess.run(["/bin/bash", "-n"], input=done.stdout, text=True).returncode == 0


def test_wrong_use(desk: Desk) -> None:
    for arguments, said in {
        (): "usage:",
        ("--fast", "a@b"): "no option --fast",
        ("a@b", "x", "y"): "what is y?",
        ("-oProxyCommand=x", "a"): "no option",
    }.items():
        done = desk.run(*arguments)
        assert done.returncode == 2 and said in done.stderr and not desk.notes
    assert desk.run("--help").stdout.startswith("usage:")


def test_a_failing_copy_fails(desk: Desk) -> None:
    desk.stand_in("tar", "#!/bin/bash\nexit 3\n")
    assert desk.run("xilinx@pynq", "--selftest").returncode != 0
    assert "sudo" not in {note[0] for note in desk.notes}


def test_without_a_bitfile(tmp_path: Path) -> None:
    root, parts = sandbox(tmp_path / "build")
    desk = Desk(tmp_path, again(root, parts))
    done = desk.run("xilinx@pynq")
    assert done.returncode == 0 and "no bitfile yet" in done.stderr and same(desk.bundle, desk.board / "sample")
    assert desk.run("--selftest", "xilinx@pynq").returncode == 2


@pytest.mark.parametrize("platform", ["zynq-iodma", "alveo"])
def test_it_is_sound_bash(tmp_path: Path, platform: str) -> None:
    root, parts = sandbox(tmp_path)
    script = again(root, parts, target_info={**TARGET, "platform": platform}) / "deploy.sh"
    assert subprocess.run(["/bin/bash", "-n", script]).returncode == 0
    checker = shutil.which("shellcheck")
    if checker:
        checked = subprocess.run([checker, script], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout
