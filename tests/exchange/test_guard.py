"""What a script cannot change while it is imported."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

WAYS = {
    "open": "open(theirs / 'a', 'w')",
    "append": "open(theirs / 'a', 'a')",
    "write_text": "(theirs / 'new').write_text('x')",
    "os.open": "os.open(theirs / 'a', os.O_WRONLY | os.O_TRUNC)",
    "remove": "(theirs / 'a').unlink()",
    "rename": "os.rename(theirs / 'a', here / 'a')",
    "onto": "os.replace(here / 'own', theirs / 'a')",
    "mkdir": "(theirs / 'new').mkdir()",
    "rmtree": "shutil.rmtree(theirs)",
    "hard link": "os.link(theirs / 'a', here / 'linked')",
    "truncate": "os.truncate(theirs / 'a', 0)",
    "through a link": "open(here / 'link', 'w')",
    "through a linked folder": "(here / 'folder' / 'a').unlink()",
    "from an open folder": "os.unlink('a', dir_fd=os.open(theirs, os.O_RDONLY))",
}

SETUP = """
import os, shutil, sys
from pathlib import Path
from finnyaml.exchange import guard
here, theirs = Path(sys.argv[1]), Path(sys.argv[2])
guard.install([here], lambda path: path)
"""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    here, theirs = tmp_path / "copy", tmp_path / "theirs"
    for folder in (here, theirs):
        folder.mkdir()
    (theirs / "a").write_text("precious")
    (here / "own").write_text("x")
    (here / "link").symlink_to(theirs / "a")
    (here / "folder").symlink_to(theirs)
    return here, theirs


def run(code: str, folders: tuple[Path, Path]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SETUP + textwrap.dedent(code), *map(str, folders)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_nothing_outside_of_the_copy_changes(folders: tuple[Path, Path]) -> None:
    tries = "".join(f"attempt({name!r}, lambda: {code})\n" for name, code in WAYS.items())
    body = (
        "def attempt(name, act):\n"
        "    try:\n        act()\n"
        "    except PermissionError:\n        return\n"
        "    print(name)\n"
    )
    done = run(body + tries, folders)
    assert (done.stdout, done.stderr) == ("", "")
    assert [entry.name for entry in folders[1].iterdir()] == ["a"]
    assert (folders[1] / "a").read_text() == "precious"


def test_programs_that_it_starts_are_bound_too(folders: tuple[Path, Path]) -> None:
    code = """
    import subprocess
    from finnyaml.exchange import landlock
    print(landlock.restrict([here]))
    for command in ("rm -rf {0}/a", "echo x > {0}/a", "echo x > {0}/new", "mv {0}/a {1}/", "echo x > {1}/fine"):
        subprocess.run(command.format(theirs, here), shell=True, stderr=subprocess.DEVNULL)
    """
    done = run(code, folders)
    if done.stdout == "False\n":
        pytest.skip("this Linux has no Landlock")
    assert done.returncode == 0, done.stderr
    assert shown(folders[1]) == {"a": "precious"}
    assert (folders[0] / "fine").read_text() == "x\n"


def shown(folder: Path) -> dict[str, str]:
    return {entry.name: entry.read_text() for entry in folder.iterdir()}


def test_inside_of_it_everything_goes(folders: tuple[Path, Path]) -> None:
    code = """
    (here / "link").unlink()
    (here / "sub" / "deep").mkdir(parents=True)
    (here / "sub" / "deep" / "file").write_text("x")
    os.rename(here / "sub", here / "other")
    shutil.rmtree(here / "other")
    open(os.devnull, "w").write("x")
    print((theirs / "a").read_text())
    """
    done = run(code, folders)
    assert (done.returncode, done.stdout) == (0, "precious\n"), done.stderr
