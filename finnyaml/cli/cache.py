"""`finnyaml cache`: look at the store, check it, drop what nobody needs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnyaml.cli.arguments import Json, RemoteOption, StoreOption
from finnyaml.cli.console import show, table
from finnyaml.errors import ExitCode, Problem, RecipeError
from finnyaml.text import age, counted, duration, size

if TYPE_CHECKING:
    from finnyaml.store import Store
    from finnyaml.store.upkeep import Verified

cache_app = typer.Typer()

KEY = 12
"""Characters of a key that are shown: enough to tell a million apart."""

# A unit must be there: `--max-size 10` would hardly mean bytes, and would empty the store.
_AGES = {"h": 1 / 24, "d": 1.0, "w": 7.0}
_SIZES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@cache_app.callback(invoke_without_command=True)
def cache(context: typer.Context, as_json: Json = False, store: StoreOption = None) -> None:
    """Look after the store: list, measure, check, shrink.

    Without a command: `list`.
    """
    if context.invoked_subcommand is None:
        ls(as_json, store)


@cache_app.command("list")
@cache_app.command("ls", hidden=True)
def ls(as_json: Json = False, store: StoreOption = None) -> None:
    """List all results, those used last first.

    Each with its task, age, size, and the time that it took to make.
    """
    from finnyaml.engine.session import open_store

    opened = open_store(store)
    found = _traces(opened)
    show(found if as_json else None, _listing(found, opened))


@cache_app.command("size")
@cache_app.command("du", hidden=True)
def du(as_json: Json = False, store: StoreOption = None) -> None:
    """Say how much the store holds."""
    from finnyaml.engine.session import open_store
    from finnyaml.store import upkeep

    opened = open_store(store)
    found = upkeep.usage(opened)
    rows = [
        ("store", str(opened.root)),
        ("size", size(found.bytes)),
        ("objects", f"{found.objects:,}"),
        ("results", f"{found.traces:,}, of which {found.artifacts:,} differ"),
    ]
    show({"store": str(opened.root), **asdict(found)} if as_json else None, table((), rows))


@cache_app.command("verify")
def verify(as_json: Json = False, store: StoreOption = None) -> None:
    """Read all of it and drop what is damaged.

    The next build makes it again. Safe while builds are running. Exit code 1 where something was damaged.
    """
    from finnyaml.engine.session import open_store
    from finnyaml.store import upkeep

    opened = open_store(store)
    found = upkeep.verify(opened)
    data = {"store": str(opened.root), "sound": found.sound, **asdict(found)}
    show(data if as_json else None, _verified(found, opened))
    raise typer.Exit(ExitCode.OK if found.sound else ExitCode.STEP_FAILED)


@cache_app.command("gc")
def gc(
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="30d", help="Drop results that no build used for so long (h, d, w)."),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="10GB", help="Then drop those least recently used until the store fits."),
    ] = None,
    as_json: Json = False,
    store: StoreOption = None,
) -> None:
    """Drop what nobody needs.

    Without options: leftovers of killed builds only, no results.
    """
    from finnyaml.engine.session import open_store
    from finnyaml.store import upkeep

    opened = open_store(store)
    oldest = None if older_than is None else days(older_than)
    most = None if max_size is None else byte_count(max_size)
    dropped = upkeep.collect(opened, max_age_days=oldest, max_bytes=most)
    left = upkeep.usage(opened)
    told = (
        f"{word:<7}  {counted(part.traces, 'result')} and {counted(part.objects, 'object')}, {size(part.bytes)}"
        for word, part in (("dropped", dropped), ("left", left))
    )
    show({"store": str(opened.root), "dropped": asdict(dropped), "left": asdict(left)} if as_json else None, told)


@cache_app.command("push")
def push(as_json: Json = False, store: StoreOption = None, remote: RemoteOption = None) -> None:
    """Send all results that the remote store lacks."""
    _exchange("push", as_json, store, remote)


@cache_app.command("pull")
def pull(as_json: Json = False, store: StoreOption = None, remote: RemoteOption = None) -> None:
    """Fetch all results that only the remote store has."""
    _exchange("pull", as_json, store, remote)


@cache_app.command("sync")
def sync(as_json: Json = False, store: StoreOption = None, remote: RemoteOption = None) -> None:
    """Both: pull, then push."""
    _exchange("sync", as_json, store, remote)


def _exchange(what: str, as_json: bool, store: Path | None, remote: str | None) -> None:
    """Exit code 1 where the remote store did not answer."""
    from finnyaml.engine.session import open_mirrored
    from finnyaml.errors import StoreError
    from finnyaml.store.remote import Unreachable

    opened = open_mirrored(store, Path(), remote)
    if opened.remote is None:
        hint = "name one: `--remote s3://bucket/folder`, $FINNYAML_REMOTE, or `remote: {url: ...}` in the site file"
        raise RecipeError([Problem("there is no remote store", hint=hint)])
    url = opened.shown
    moved = {}
    try:
        with opened.session():
            if what != "push":
                moved["pulled"] = opened.pull()
            if what != "pull":
                moved["pushed"] = opened.push()
    except Unreachable as error:
        raise StoreError(f"{url} does not answer as it should: {error}", hint=_TO_CHECK) from None
    words = {"pulled": "came from", "pushed": "went to"}
    lines = [f"{counted(number, 'result')} {words[way]} {url}" for way, number in moved.items()]
    show({"store": str(opened.root), "remote": url, **moved} if as_json else None, lines)


_TO_CHECK = "check the URL, the network, and your credentials: those of the usual variables and files count"


def days(text: str) -> float:
    """`30d`, `12h`, `2w` in days. RecipeError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text.strip().lower())
    if found is None:
        raise RecipeError([Problem(f"--older-than {text}: that is not a time span", hint="write 30d, 12h or 2w")])
    return float(found[1]) * _AGES[found[2]]


def byte_count(text: str) -> int:
    """`10GB`, `500M`, `1.5 GiB` in bytes, all in powers of 1024. RecipeError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])(?:I?B)?", text.strip().upper())
    if found is None:
        raise RecipeError([Problem(f"--max-size {text}: that is not a size", hint="write 10GB or 500MB")])
    return int(float(found[1]) * _SIZES[found[2]])


def _traces(store: Store) -> list[dict[str, Any]]:
    """All results in the store, the one used last first; `bytes` is None where the result is damaged."""
    from finnyaml.store import ObjectDamaged, upkeep

    sizes = {digest: status.st_size for digest, status in store.objects()}
    found = []
    for key, trace in upkeep.ls(store):
        try:
            held: int | None = sum(sizes[blob] for blob in store.reachable(trace))
        except (ObjectDamaged, KeyError):
            held = None
        found.append(
            {
                "key": key,
                "task": str(trace.info.get("task", "?")),
                "uses": str(trace.info.get("uses", "?")),
                "created": trace.created,
                "used": store.last_used(key),
                "bytes": held,
                "seconds": trace.seconds,
                "artifact": trace.artifact,
            }
        )
    return sorted(found, key=lambda item: (-item["used"], item["key"]))


def _listing(found: list[dict[str, Any]], store: Store) -> Iterator[str]:
    """The same to read."""
    from finnyaml.finn import aliases

    if not found:
        yield f"the store {store.root} is empty"
        return
    now = time.time()
    rows = [
        (
            item["key"][:KEY],
            item["task"],
            aliases.short(item["uses"]),
            age(now - item["created"]),
            age(now - item["used"]),
            "damaged" if item["bytes"] is None else size(item["bytes"]),
            duration(item["seconds"]),
        )
        for item in found
    ]
    yield from table(("KEY", "TASK", "USES", "AGE", "USED", "SIZE", "TOOK"), rows, right=(3, 4, 5, 6))
    yield ""
    yield f"{counted(len(rows), 'result')} in {store.root}"
    yield "SIZE counts what several results share for each of them; `cache size` counts it once."


def _verified(found: Verified, store: Store) -> Iterator[str]:
    """What was damaged, to read."""
    looked = f"{counted(found.objects, 'object')} and {counted(found.traces, 'result')} in {store.root}"
    if found.sound:
        yield f"sound: {looked}"
        return
    yield f"damaged: looked at {looked}, and dropped:"
    yield from (f"  object {digest}" for digest in found.damaged_objects)
    yield from (f"  unreadable record of the results of {key}" for key in found.damaged_traces)
    yield from (f"  result {key[:KEY]}, which had lost a part" for key in found.incomplete_traces)
    yield "The next build makes what it needs of it again."
