"""The quick path: find out that nothing has changed, importing next to nothing.

After a complete build, a stamp in the store says all that the build depended on: files by size, time and digest,
environment variables, the code of FINN and finnyaml, and what it wrote. When the same command line comes again and
all of it still holds, the answer is known. Anything else, and any doubt, goes the ordinary way, which decides by
traces; so a stamp can be lost at any time.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from finnyaml import plugins
from finnyaml.files import content, entries, reading

if TYPE_CHECKING:
    from finnyaml.engine.outcome import Outcome, Report
    from finnyaml.engine.session import Session

UNDERSTOOD = frozenset(
    ("--set", "--store", "--remote", "--jobs", "--target", "-t", "--variant", "--where", "--fail-fast")
)
"""Options that do not keep a build from having nothing to do; with any other, it goes the ordinary way."""

_FILES = frozenset(("file", "text", "dir", "stat", "link", "looks"))
UNDERSTOOD_READS = _FILES | {"config", "tree", "tool", "env", "environment", "module", "package"}
"""Kinds of reads of a trace that a stamp holds, or that cannot change without them; with any other, there is none."""

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
        if not _plain(arguments) or not _holds(stamp := _unsealed(*_place(arguments))):
            return False
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return False
    _tell(stamp["answer"])
    return True


def remember(reports: Sequence[Report], arguments: list[str]) -> None:
    """Write the stamp of a build that has just ended, if it is complete and has succeeded, with all its variants.

    None where a task runs in every build, or a file changed since the recipe was opened: the build may have seen it as
    it was before.
    """
    if any(report.code != 0 or report.selection.partial for report in reports) or not _plain(arguments):
        return
    if reports[0].session.recipe.search is not None:
        return  # what is tried next is for Optuna to say
    if any(task.trust.always for report in reports for task in report.session.plan.tasks.values()):
        return
    records = [record for report in reports for record in report.outcome.records.values()]
    if any(not record["reads"].keys() <= UNDERSTOOD_READS for record in records):
        return
    from finnyaml.api.summary import all_up_to_date
    from finnyaml.api.table import FILE, of_reports
    from finnyaml.engine.workspace import MANIFEST, private
    from finnyaml.errors import StoreError
    from finnyaml.plan.status import Looks
    from finnyaml.site import files as sites
    from finnyaml.tools import discover

    session = reports[0].session
    _metadata.cache_clear()
    seen = [_inputs(report.session, report.outcome) for report in reports]
    files, folders, looks, env, tools = (set[str]().union(*(each[part] for each in seen)) for part in range(5))
    files.update(sites.found(str(session.recipe.directory), os.environ))  # they say in what surroundings steps run
    try:
        named = [_imports(report.session, report.outcome) for report in reports]
    except ModuleNotFoundError:
        return  # a package was removed a moment ago
    imports, more = (set[str]().union(*(each[part] for each in named)) for part in range(2))
    packages = {path: _fingerprint(path) for path in (*_packages(session), *more)}
    looked_at = set[str]().union(*(_looked_at(report.session, report.outcome) for report in reports))
    looked = {path: _looked(path) for path in looked_at}
    newest = (newest for found in (packages, looked) for _, newest in found.values())
    touched = [*map(_touched, {*files, *folders}), *newest]
    if max(touched) > session.opened - CLOCK:
        return
    # What a step looked for may have appeared since: then the stamp would take it for what the step saw.
    shared = Looks()
    for report in reports:
        statuses = report.session.judge(looks=shared).survey(report.selection.tasks)
        if any(status.state != "cached" for status in statuses.values()):
            return
    answer = all_up_to_date([report.record for report in reports], session.recipe.output)
    if (table := of_reports(reports)) is not None:
        files.add(str(session.recipe.output / FILE))
        answer += table.lines()
    places = [(report.session.recipe.workspace, report.record["build"]) for report in reports]
    stamp = {
        "files": {path: _file_state(path) for path in sorted(files)},
        "folders": {path: _listing(path) for path in sorted(folders)},
        "looks": {path: _look(path) for path in sorted(looks)},
        "looked": {path: print_ for path, (print_, _) in looked.items()},
        "packages": {path: print_ for path, (print_, _) in packages.items()},
        "plugins": plugins.seen(),
        "env": {
            name: _variable(name)
            for name in sorted({*env, *ALWAYS, *(name for report in reports for name in report.session.recipe.env)})
        },
        "environment": {
            name: digest for record in records for name, digest in record["reads"].get("environment", {}).items()
        },
        "tools": {path: _stat(path) for path in sorted(tools)},
        "imports": {path: _stat(path) for path in sorted(imports)},
        "absent": ["vivado"]
        if any(report.session.recipe.toolchain == "auto" for report in reports) and discover.path("vivado") is None
        else [],
        "workspaces": [
            {"workspace": str(place), "manifest": str(private(place) / MANIFEST), "build": build}
            for place, build in places
        ],
        "answer": answer,
    }
    try:
        session.store.put_memo(_place(arguments)[1], stamp)
    except StoreError:
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
        all(_variable(name) == value for name, value in stamp["env"].items())
        and _environments_hold(stamp["environment"])
        and all(_stat(path) == state for name in ("tools", "imports") for path, state in stamp[name].items())
        and not any(_on_path(command) for command in stamp["absent"])
        and not any(_changed(path, state) for path, state in stamp["files"].items())
        and all(_listing(path) == names for path, names in stamp["folders"].items())
        and all(_look(path) == found for path, found in stamp["looks"].items())
        and all(_looked(path)[0] == print_ for path, print_ in stamp["looked"].items())
        and all(_fingerprint(path)[0] == print_ for path, print_ in stamp["packages"].items())
        and plugins.stamp() == stamp["plugins"]
        and all(map(_workspace_holds, stamp["workspaces"]))
    )


def _workspace_holds(place: Mapping[str, Any]) -> bool:
    manifest, root = json.loads(content(place["manifest"])), place["workspace"]
    if manifest["build"] != place["build"]:
        return False  # another command line has written the workspace since
    files, here = manifest["files"], manifest["root"]
    folders = {"", ".finnyaml/runs", ".finnyaml/attached", *map(os.path.dirname, files)}
    if any(
        os.path.realpath(os.path.join(root, folder)) != os.path.join(here, folder).rstrip("/") for folder in folders
    ):
        return False  # it was moved, or what is in it lies behind a link by now
    return files != {} and all(item[1:] == _stat(os.path.join(root, path)) for path, item in files.items())


def _unsealed(folder: str, name: str) -> Any:
    """A memo of the store, as `finnyaml.store.disk` seals it, without the time that importing the store takes.

    ValueError where it is damaged, so that no figure in it is another one than was written.
    """
    import hashlib

    checksum, _, body = content(os.path.join(folder, name)).partition(b"\n")
    if checksum != hashlib.sha256(body).hexdigest().encode():
        raise ValueError(f"{name} is damaged")
    memo = json.loads(body)
    if memo["name"] != name:
        raise ValueError(f"{name} is a copy of {memo['name']}")
    return memo["data"]


def _inputs(session: Session, outcome: Outcome) -> tuple[set[str], set[str], set[str], set[str], set[str]]:
    """What the tasks of a build depended on: files, folders, paths that were looked for, variables, tools."""
    import contextlib
    import importlib.metadata
    import itertools

    from finnyaml.finn.identity import LIBRARIES
    from finnyaml.kinds.code import PACKAGES
    from finnyaml.store.names import Names
    from finnyaml.tools import discover

    names = Names(None, session.recipe.directory)
    files = {str(path) for path in session.recipe.files}
    folders, looks, env, tools = set[str](), set[str](), set[str](), set[str]()
    for record in outcome.records.values():
        reads = record["reads"]
        read = (name for kind in ("file", "text") for name in reads.get(kind, ()) if not name.startswith("@inputs/"))
        files.update(str(names.path(name)) for name in read)
        folders.update(str(names.path(name)) for name in reads.get("dir", ()))
        looked = (name for kind in ("stat", "link") for name in reads.get(kind, ()) if not name.startswith("@tree/"))
        looks.update(str(names.path(name)) for name in looked)
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
    return {*files, *filter(os.path.isfile, looks)}, folders, looks, env, tools


def _imports(session: Session, outcome: Outcome) -> tuple[set[str], set[str]]:
    """Files that say whether the author's code still imports the same, there or not; packages that count by content."""
    from finnyaml.steps.imports import forms
    from finnyaml.store.names import Names

    names = Names(None, session.recipe.directory)
    files, folders = set[str](), set[str]()
    for record in outcome.records.values():
        for place in record["reads"].get("module", ()):
            files.update(forms(names.path(place)))
        for name in record["reads"].get("package", ()):
            if "/" in name:
                path = str(names.path(name))
                (folders if os.path.isdir(path) else files).add(path)
            else:
                files.add(_metadata(name))
    return files, folders


@cache
def _metadata(name: str) -> str:
    """The file that says the version of an installed package; many tasks read the same packages."""
    import importlib.metadata

    package = importlib.metadata.distribution(name)
    said = [file for file in package.files or () if file.name == "METADATA"]
    return str(package.locate_file(said[0] if said else ""))


def _looked_at(session: Session, outcome: Outcome) -> set[str]:
    """Folders in which a task asked for everything."""
    from finnyaml.store.names import Names

    names = Names(None, session.recipe.directory)
    return {str(names.path(name)) for record in outcome.records.values() for name in record["reads"].get("looks", ())}


def _variable(name: str) -> str | None:
    from finnyaml.tools import variables

    return variables.recorded(name, os.environ.get(name))


def _environments_hold(digests: Mapping[str, str]) -> bool:
    """Whether variables are as they were that a step looked at all together."""
    if not digests:
        return True
    from finnyaml.tools import variables

    return all(variables.digest(os.environ, beginning) == digest for beginning, digest in digests.items())


def _packages(session: Session) -> Iterable[str]:
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [own, *map(str, session.installation.roots.values()), *_plugins()]


def _plugins() -> list[str]:
    """The folders, or single files, of all packages with plug-ins."""
    return [str(folder) for package in plugins.packages() for folder in plugins.folders_of(package)]


def _place(arguments: list[str]) -> tuple[str, str]:
    """The folder and the name of the stamp: one per place, command line and Python."""
    import hashlib

    store = os.environ.get("FINNYAML_STORE")
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == "--store":
            store = following
        elif word.startswith("--store="):
            store = word.removeprefix("--store=")
    store = store or _of_site(arguments)
    if not store:
        store = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "finnyaml")
    identity = "\0".join([os.getcwd(), sys.executable, os.path.abspath(__file__), *arguments])
    name = hashlib.sha256(identity.encode()).hexdigest()
    return os.path.join(os.path.expanduser(store), "memos"), f"stamp-{name[:32]}"  # gc drops old memos


def _of_site(arguments: list[str]) -> str | None:
    """The store that the site file of the recipe names; ValueError where that file is wrong."""
    from finnyaml.site import files

    recipe = next((word for word in arguments[1:] if word.endswith((".yaml", ".yml"))), "recipe.yaml")
    folder = os.path.dirname(os.path.abspath(recipe))
    if not [*files.found(folder, os.environ)]:
        return None
    from pathlib import Path

    from finnyaml.errors import RecipeError
    from finnyaml.site.load import load_site

    try:
        store = load_site(Path(folder)).store
    except RecipeError as error:
        raise ValueError(str(error)) from None
    return None if store is None else str(store)


def _plain(arguments: list[str]) -> bool:
    """Whether a command line is a build with nothing but options that the quick path understands."""
    options = [word.partition("=")[0] for word in arguments[1:] if word.startswith("-")]
    return arguments[:1] == ["build"] and all(word in UNDERSTOOD or word[:2] == "-j" for word in options)


def _touched(path: str) -> int:
    """When a file was last changed or put in its place (ns)."""
    state = _stat(path)
    return max(state[1:3]) if state else 0


def _file_state(path: str) -> list[Any]:
    """Signature and digest of a file. The signature is left out where the file is so fresh that it could lie."""
    import time

    fresh = time.time_ns() - _touched(path) < RACY
    return [None if fresh else _stat(path), _digest(path)]


def _changed(path: str, state: list[Any]) -> bool:
    signature, digest = state
    signed = signature is not None and _stat(path) == signature
    return not signed and bool(_digest(path) != digest)


def _digest(path: str) -> str | None:
    import hashlib

    digest = hashlib.sha256()
    try:
        with reading(path, follow=True) as file:
            while block := file.read(1 << 18):  # hashlib.file_digest is of Python 3.11
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


def _on_path(command: str) -> bool:
    return any(os.path.exists(os.path.join(folder, command)) for folder in os.environ.get("PATH", "").split(os.pathsep))


def _stat(path: str) -> list[int] | None:
    """What tells whether a file is as it was. Whoever writes in place can set the first time, but not the second."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _look(path: str) -> list[Any] | None:
    """What is at a path: where a link leads, and whether there is a file, a program, a folder or something else."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        mode = 0
    return [os.readlink(path) if os.path.islink(path) else None, stat.S_IFMT(mode), bool(mode & 0o111)]


def _listing(path: str) -> list[str] | None:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return None


def _looked(folder: str) -> tuple[str, int]:
    """Digest of the names and signatures of all that is right below a folder; the newest change (ns)."""
    import hashlib
    import marshal

    found = entries(folder)
    newest = max((max(signature[2:4], default=0) for *_, signature in found if signature), default=0)
    return hashlib.sha256(marshal.dumps(found, 2)).hexdigest(), newest


def _fingerprint(root: str) -> tuple[str, int]:
    """Digest of the names and signatures of all source files below a folder, or of one file; the newest change (ns)."""
    import hashlib

    paths = [root] if os.path.isfile(root) else []
    waiting, seen = [] if paths else [root], set()
    while waiting:
        folder = waiting.pop()
        found = os.stat(folder)
        if (found.st_dev, found.st_ino) in seen:
            continue  # a link leads back to it
        seen.add((found.st_dev, found.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name != "__pycache__":
                    (waiting if entry.is_dir() else paths).append(entry.path)
    states = [(path, _stat(path)) for path in sorted(paths)]
    newest = max((max(state[1:3]) for _, state in states if state), default=0)
    return hashlib.sha256(repr(states).encode()).hexdigest(), newest
