"""The quick path: find out that nothing has changed, importing next to nothing.

After a complete build, a stamp in the store says all that the build depended on: files by size, time and digest,
environment variables, the code of FINN and finnyaml, and what it wrote. When the same command line comes again and
all of it still holds, the answer is known. Anything else, and any doubt, goes the ordinary way, which decides by
traces; so a stamp can be lost at any time.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from finnyaml import plugins
from finnyaml.files import content

if TYPE_CHECKING:
    from finnyaml.engine.outcome import Outcome, Report
    from finnyaml.engine.session import Session

UNDERSTOOD = frozenset(("--set", "--store", "--jobs", "--target", "-t"))
"""Options that do not keep a build from having nothing to do; with any other, it goes the ordinary way."""

CLOCK = 20_000_000
"""How far (ns) the times that file systems give may lag behind the clock."""

RACY = 2_000_000_000
"""A file touched within this time (ns) before the stamp may change again without a new time; its digest decides."""

ALWAYS = (
    "FINNYAML_STORE",
    "XDG_CACHE_HOME",
    "HOME",
    "PATH",
    "PYTHONPATH",
    "FINN_SETTINGS",
    "FINN_DEPS",
    "FINN_TOOL_DIR_OVERRIDE",
    "XILINX_VIVADO",
    "XILINX_HLS",
    "XILINX_VITIS",
)
"""Variables that decide which store, tools and packages are used."""


def up_to_date(arguments: list[str]) -> bool:
    """Whether this command line has nothing to do; says so if it is so."""
    try:
        if not _plain(arguments) or not _holds(stamp := _loaded(_stamp_path(arguments))):
            return False
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return False
    _tell(stamp["answer"])
    return True


def remember(report: Report, arguments: list[str]) -> None:
    """Write the stamp of a build that has just ended, if it is complete and has succeeded.

    None where a file changed since the recipe was opened: the build may have seen it as it was before.
    """
    if report.code != 0 or report.selection.partial or not _plain(arguments):
        return
    from pathlib import Path

    from finnyaml.api.summary import up_to_date_lines
    from finnyaml.engine.workspace import MANIFEST, private, write_json
    from finnyaml.tools import discover

    session = report.session
    files, folders, env, tools = _inputs(session, report.outcome)
    if any(_touched(path) > session.opened - CLOCK for path in {*files, *folders, *_sources_of_plugins()}):
        return
    stamp = {
        "files": {path: _file_state(path) for path in sorted(files)},
        "folders": {path: _listing(path) for path in sorted(folders)},
        "packages": {path: _fingerprint(path) for path in _packages(session)},
        "plugins": plugins.seen(),
        "env": {name: os.environ.get(name) for name in sorted({*env, *ALWAYS, *session.recipe.env})},
        "tools": {path: _stat(path) for path in sorted(tools)},
        "absent": ["vivado"] if session.recipe.toolchain == "auto" and discover.path("vivado") is None else [],
        "workspace": str(session.recipe.workspace),
        "manifest": str(private(session.recipe.workspace) / MANIFEST),
        "build": report.record["build"],
        "answer": up_to_date_lines(report.record),
    }
    try:
        write_json(Path(_stamp_path(arguments)), stamp)
    except OSError:
        return  # it only costs the next no-op build half a second


def _tell(answer: list[str]) -> None:
    """Print the answer, broken between words where it is too long for the terminal."""
    long = sys.stdout.isatty() and max(map(len, answer)) > os.get_terminal_size(sys.stdout.fileno()).columns
    if long or not all(map(str.isprintable, answer)):
        from finnyaml.cli.console import write

        write(answer, sys.stdout)
    else:
        print("\n".join(answer))


def _holds(stamp: Mapping[str, Any]) -> bool:
    return (
        all(os.environ.get(name) == value for name, value in stamp["env"].items())
        and all(_stat(path) == state for path, state in stamp["tools"].items())
        and not any(_on_path(command) for command in stamp["absent"])
        and not any(_changed(path, state) for path, state in stamp["files"].items())
        and all(_listing(path) == names for path, names in stamp["folders"].items())
        and all(_fingerprint(path) == print_ for path, print_ in stamp["packages"].items())
        and plugins.stamp() == stamp["plugins"]
        and _workspace_holds(stamp)
    )


def _workspace_holds(stamp: Mapping[str, Any]) -> bool:
    manifest, root = _loaded(stamp["manifest"]), stamp["workspace"]
    if manifest["build"] != stamp["build"]:
        return False  # another command line has written the workspace since
    files = manifest["files"]
    return files != {} and all(item[1:] == (_stat(os.path.join(root, path)) or [])[:2] for path, item in files.items())


def _loaded(path: str) -> Any:
    return json.loads(content(path))


def _inputs(session: Session, outcome: Outcome) -> tuple[set[str], set[str], set[str], set[str]]:
    """All files, folders, variables and tool executables that the tasks of a build depended on."""
    import contextlib
    import importlib.metadata
    import itertools

    from finnyaml.finn.identity import LIBRARIES
    from finnyaml.kinds.code import PACKAGES
    from finnyaml.store.names import Names
    from finnyaml.tools import discover

    names = Names(None, session.recipe.directory)
    files = {str(path) for path in session.recipe.files}
    folders, env, tools = set[str](), set[str](), set[str]()
    for record in outcome.records.values():
        reads = record["reads"]
        read = (name for kind in ("file", "text") for name in reads.get(kind, ()) if not name.startswith("@inputs/"))
        files.update(str(names.path(name)) for name in read)
        folders.update(str(names.path(name)) for name in reads.get("dir", ()))
        env.update(reads.get("env", ()))
        for tool in reads.get("tool", ()):
            found = discover.find(tool)
            if isinstance(found, discover.Found) and found.path:
                tools.add(str(found.path))
    for task in session.plan.tasks.values():
        files.update(str(staged.source) for staged in task.staged.values() if staged.source is not None)
    settings = session.recipe.settings
    files.update(
        str(part["file"]) for part in (settings.folding, settings.specialize, settings.fifo) if part.get("file")
    )
    for library in (session.installation.distribution, *LIBRARIES, *itertools.chain(*PACKAGES.values())):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            package = importlib.metadata.distribution(library)
            folder = f"{library.replace('-', '_')}-{package.version}.dist-info"
            files.add(str(package.locate_file(f"{folder}/METADATA")))
    return files, folders, env, tools


def _packages(session: Session) -> Iterable[str]:
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [own, *map(str, session.installation.roots.values()), *_plugins()]


def _plugins() -> list[str]:
    """The folders, or single files, of all packages with plug-ins."""
    return [str(folder) for package in plugins.packages() for folder in plugins.folders_of(package)]


def _sources_of_plugins() -> list[str]:
    roots = _plugins()
    walked = (item for root in roots for item in os.walk(root))
    inside = [os.path.join(at, name) for at, _, names in walked if "__pycache__" not in at for name in names]
    return [*filter(os.path.isfile, roots), *inside]


def _stamp_path(arguments: list[str]) -> str:
    """One stamp per place, command line and Python."""
    import hashlib

    store = os.environ.get("FINNYAML_STORE")
    if "--store" in arguments:
        store = arguments[arguments.index("--store") + 1]
    if not store:
        store = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "finnyaml")
    identity = "\0".join([os.getcwd(), sys.executable, os.path.abspath(__file__), *arguments])
    name = hashlib.sha256(identity.encode()).hexdigest()
    return os.path.join(os.path.expanduser(store), "memos", f"stamp-{name[:32]}")  # gc drops old memos


def _plain(arguments: list[str]) -> bool:
    """Whether a command line is a build with nothing but options that the quick path understands."""
    options = [word.partition("=")[0] for word in arguments[1:] if word.startswith("-")]
    return arguments[:1] == ["build"] and all(word in UNDERSTOOD or word[:2] == "-j" for word in options)


def _touched(path: str) -> int:
    """When a file was last changed or put in its place (ns)."""
    return max(os.stat(path).st_mtime_ns, os.stat(path).st_ctime_ns) if os.path.exists(path) else 0


def _file_state(path: str) -> list[Any]:
    """Signature and digest of a file. The signature is left out where the file is so fresh that it could lie."""
    import time

    stat = _stat(path)
    fresh = stat is not None and time.time_ns() - stat[1] < RACY
    return [None if fresh else stat, _digest(path)]


def _changed(path: str, state: list[Any]) -> bool:
    stat, digest = state
    signed = stat is not None and _stat(path) == stat
    return not signed and bool(_digest(path) != digest)


def _digest(path: str) -> str | None:
    import hashlib

    try:
        return hashlib.sha256(content(path, follow=True)).hexdigest()
    except OSError:
        return None


def _on_path(command: str) -> bool:
    return any(os.path.exists(os.path.join(folder, command)) for folder in os.environ.get("PATH", "").split(os.pathsep))


def _stat(path: str) -> list[int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _listing(path: str) -> list[str] | None:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return None


def _fingerprint(root: str) -> str:
    """Digest of the names, sizes and times of all source files below a folder; of a single file, its own."""
    import hashlib

    parts = [f"{root}\0{_stat(root)}"] if os.path.isfile(root) else []
    waiting = [] if parts else [root]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name == "__pycache__":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    stat = entry.stat(follow_symlinks=False)
                    parts.append(f"{entry.path}\0{stat.st_size}\0{stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()
