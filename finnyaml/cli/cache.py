"""`finnyaml cache`: look at the store, check it, drop what nobody needs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finnyaml.cli.arguments import Json, StoreOption, opened_store
from finnyaml.cli.table import table
from finnyaml.errors import ExitCode, Problem, RecipeError
from finnyaml.text import age, counted, duration, size

if TYPE_CHECKING:
    from finnyaml.store import Store

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
    from finnyaml.cli.console import show

    opened = opened_store(store)
    show(_traces(opened) if as_json else None, _traces_lines(opened))


@cache_app.command("size")
@cache_app.command("du", hidden=True)
def du(as_json: Json = False, store: StoreOption = None) -> None:
    """Say how much the store holds."""
    from finnyaml.cli.console import show

    found = _usage(opened_store(store))
    show(found if as_json else None, _usage_lines(found))


@cache_app.command("verify")
def verify(as_json: Json = False, store: StoreOption = None) -> None:
    """Read all of it and drop what is damaged.

    The next build makes it again. Safe while builds are running. Exit code 1 where something was damaged.
    """
    from finnyaml.cli.console import show

    code, found = _verified(opened_store(store))
    show(found if as_json else None, _verified_lines(found))
    raise typer.Exit(code)


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
    from finnyaml.cli.console import show

    found = _collected(opened_store(store), older_than, max_size)
    show(found if as_json else None, _collected_lines(found))


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


def _traces_lines(store: Store) -> Iterator[str]:
    """The same to read."""
    from finnyaml.finn import aliases

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
        for item in _traces(store)
    ]
    if not rows:
        yield f"the store {store.root} is empty"
        return
    yield from table(("KEY", "TASK", "USES", "AGE", "USED", "SIZE", "TOOK"), rows, right=(3, 4, 5, 6))
    yield ""
    yield f"{counted(len(rows), 'result')} in {store.root}"
    yield "SIZE counts what several results share for each of them; `cache size` counts it once."


def _usage(store: Store) -> dict[str, Any]:
    """How much the store holds, as data."""
    from finnyaml.store import upkeep

    return {"store": str(store.root), **asdict(upkeep.usage(store))}


def _usage_lines(found: dict[str, Any]) -> Iterator[str]:
    """The same to read."""
    yield from table((), [
        ("store", found["store"]),
        ("size", size(found["bytes"])),
        ("objects", f"{found['objects']:,}"),
        ("results", f"{found['traces']:,}, of which {found['artifacts']:,} differ"),
    ])  # fmt: skip


def _verified(store: Store) -> tuple[ExitCode, dict[str, Any]]:
    """Read everything, drop what is damaged; exit code 1 where something was."""
    from finnyaml.store import upkeep

    found = upkeep.verify(store)
    return (ExitCode.OK if found.sound else ExitCode.STEP_FAILED), {
        "store": str(store.root),
        "sound": found.sound,
        **asdict(found),
    }


def _verified_lines(found: dict[str, Any]) -> Iterator[str]:
    """The same to read."""
    looked = f"{counted(found['objects'], 'object')} and {counted(found['traces'], 'result')} in {found['store']}"
    if found["sound"]:
        yield f"sound: {looked}"
        return
    yield f"damaged: looked at {looked}, and dropped:"
    yield from (f"  object {digest}" for digest in found["damaged_objects"])
    yield from (f"  unreadable record of the results of {key}" for key in found["damaged_traces"])
    yield from (f"  result {key[:KEY]}, which had lost a part" for key in found["incomplete_traces"])
    yield "The next build makes what it needs of it again."


def _collected(store: Store, older_than: str | None, max_size: str | None) -> dict[str, Any]:
    """Drop what nobody needs."""
    from finnyaml.store import upkeep

    found = upkeep.collect(
        store,
        max_age_days=None if older_than is None else days(older_than),
        max_bytes=None if max_size is None else byte_count(max_size),
    )
    return {"store": str(store.root), "dropped": asdict(found), "left": asdict(upkeep.usage(store))}


def _collected_lines(found: dict[str, Any]) -> Iterator[str]:
    """The same to read."""
    for key in ("dropped", "left"):
        part = found[key]
        told = f"{counted(part['traces'], 'result')} and {counted(part['objects'], 'object')}, {size(part['bytes'])}"
        yield f"{key:<7}  {told}"
