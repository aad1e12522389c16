"""The site file, read and checked. What the project's says comes before what the user's says, key by key."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.files import content
from finnyaml.recipe.amounts import resources
from finnyaml.recipe.document import parse
from finnyaml.recipe.node import Node, merge
from finnyaml.recipe.schema import schema_path
from finnyaml.recipe.validate import structure
from finnyaml.site.files import found
from finnyaml.site.needs import LOCAL, Executor, Needs
from finnyaml.text import did_you_mean

_KEY_BYTES = 16


@dataclass(frozen=True)
class RemoteSpec:
    """A store elsewhere. `key` signs what is sent, and what comes must be signed with it; None: nothing is signed."""

    url: str
    write: bool = True
    key: bytes | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """The URL without the user and password that somebody may have put into it."""
        return re.sub(r"(?<=://)[^/@]*@", "", self.url)


@dataclass(frozen=True)
class Site:
    """What applies here. `files` are those that were read, the nearest first.

    `needs` are those of steps, by the name of a tool or of a step. `scratch` is where steps work, None: in the store.
    """

    files: tuple[Path, ...] = ()
    store: Path | None = None
    remote: RemoteSpec | None = None
    scratch: Path | None = None
    executors: Mapping[str, Executor] = field(default_factory=dict)
    needs: Mapping[str, Needs] = field(default_factory=dict)


def load_site(folder: Path, environ: Mapping[str, str] | None = None) -> Site:
    """What the site files say for a project in `folder`. Without a site file nothing is set.

    Raises RecipeError with all that is wrong, each at its place.
    """
    files = tuple(map(Path, found(str(folder), os.environ if environ is None else environ)))
    problems: list[Problem] = []
    nodes = [_checked(file, problems) for file in files]
    if problems:
        raise RecipeError(problems)
    if not nodes:
        return Site()
    whole = nodes[-1]
    for node in reversed(nodes[:-1]):
        whole = merge(whole, node)
    store, remote, scratch = whole.get("store"), whole.get("remote"), whole.get("scratch")
    executors = {name: _executor(name, node) for name, node in _items(whole, "executors")}
    needs = {name: _needs(node, executors) for name, node in _items(whole, "needs")}
    if needs and all(executor.kind == LOCAL for executor in executors.values()):
        hint = "add one of kind slurm to `executors`; without one, all steps run on this machine as it is"
        place = whole.nearest(("needs",)).place
        raise RecipeError([Problem("needs: they are those of an executor, and there is none", place, hint)])
    return Site(
        files,
        _path(store) if store else None,
        _remote(remote) if remote else None,
        _path(scratch) if scratch else None,
        executors,
        needs,
    )


def remote_of(site: Site, option: str | None = None, environ: Mapping[str, str] | None = None) -> RemoteSpec | None:
    """The remote store: the URL of `option` (`--remote`), else $FINNYAML_REMOTE, else that of the site file.

    "none" is none. Whether it is written, and the key, are the site's: who names another store here still signs what
    goes there.
    """
    url = option or (os.environ if environ is None else environ).get("FINNYAML_REMOTE")
    if not url:
        return site.remote
    if url == "none":
        return None
    return replace(site.remote, url=url) if site.remote else RemoteSpec(url)


def _checked(file: Path, problems: list[Problem]) -> Node:
    try:
        text = content(file, follow=True).decode("utf-8-sig")
    except OSError as error:
        raise RecipeError([Problem(f"cannot read the site file {file}: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise RecipeError([Problem(f"the site file {file} is not UTF-8 text")]) from None
    node = parse(text, file, problems) or Node({}, Where(file, 1, 1))
    schema = json.loads(schema_path("site.schema.json").read_text("utf-8"))
    problems.extend(fault.problem for fault in structure(node, schema=schema))
    return node


def _items(whole: Node, key: str) -> Iterator[tuple[str, Node]]:
    node = whole.get(key)
    yield from ((str(name), child) for name, child in (node.children() if node else ()))


def _executor(name: str, node: Node) -> Executor:
    data = node.plain()
    more = {key: data[key] for key in ("partition", "jobs", "options") if key in data}
    if data["kind"] == LOCAL and len(data) > 1:
        extra = next(key for key in data if key != "kind")
        hint = "set up this machine before you call finnyaml"
        message = f"executors.{name}.{extra}: this machine runs steps as it is"
        raise RecipeError([Problem(message, node.nearest((extra,)).place, hint)])
    setup = tuple(data.get("setup", ()))
    return Executor(name, data["kind"], resources=resources(data), setup=setup, where=node.place, **more)


def _needs(node: Node, executors: Mapping[str, Executor]) -> Needs:
    data, chosen = node.plain(), node.get("executor")
    if chosen is not None and chosen.value not in (LOCAL, *executors):
        hint = did_you_mean(str(chosen.value), (LOCAL, *executors))
        raise RecipeError([Problem(f"there is no executor {str(chosen.value)!r}", chosen.place, hint)])
    executor = None if chosen is None else str(chosen.value)
    return Needs(executor, resources(data), data.get("licenses", {}), tuple(data.get("setup", ())), node.place)


def _path(node: Node) -> Path:
    """A path as a user writes it: `~`, or relative to the file that it stands in."""
    return node.where.file.parent / Path(str(node.value)).expanduser()


def _remote(node: Node) -> RemoteSpec:
    url, write, key_file = (node.get(name) for name in ("url", "write", "key_file"))
    assert url is not None, "the schema asks for it"
    key = key_file and _key(_path(key_file), key_file.place)
    return RemoteSpec(str(url.value), write is None or bool(write.value), key or None)


def _key(path: Path, where: Where) -> bytes:
    """The secret in a file. RecipeError where it is none, or not a secret."""
    try:
        key, mode = path.read_bytes().strip(), path.stat().st_mode
    except OSError as error:
        raise RecipeError([Problem(f"remote.key_file: cannot read {path}: {error.strerror}", where)]) from None
    if mode & 0o077:
        message, hint = f"remote.key_file: others can read {path}", f"chmod 600 {path}"
    elif len(key) < _KEY_BYTES:
        message = f"remote.key_file: {path} has {len(key)} bytes, which is too short for a secret"
        hint = f"make one: (umask 077; openssl rand -hex 32 > {path})"
    else:
        return key
    raise RecipeError([Problem(message, where, hint)])
