"""`finnyaml cache`: look at the store, check it, drop what nobody needs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from finnyaml.cli.table import table
from finnyaml.errors import ExitCode, Problem, RecipeError
from finnyaml.finn import aliases
from finnyaml.store import ObjectDamaged, Store, upkeep
from finnyaml.text import age, duration, size

KEY = 12
"""Characters of a key that are shown: enough to tell a million apart."""

# A unit must be there: `--max-size 10` would hardly mean bytes, and would empty the store.
_AGES = {"h": 1 / 24, "d": 1.0, "w": 7.0}
_SIZES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def days(text: str) -> float:
    """`30d`, `12h`, `2w` in days. RecipeError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text.strip().lower())
    if found is None:
        raise RecipeError([Problem(f"--older-than {text}: that is no time span", hint="write 30d, 12h or 2w")])
    return float(found[1]) * _AGES[found[2]]


def byte_count(text: str) -> int:
    """`10GB`, `500M`, `1.5 GiB` in bytes, all in powers of 1024. RecipeError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])(?:I?B)?", text.strip().upper())
    if found is None:
        raise RecipeError([Problem(f"--max-size {text}: that is no size", hint="write 10GB or 500MB")])
    return int(float(found[1]) * _SIZES[found[2]])


def traces(store: Store) -> list[dict[str, Any]]:
    """All results in the store, the one used last first; `bytes` is None where the result is damaged."""
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


def traces_lines(store: Store) -> Iterator[str]:
    """The same to read."""
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
        for item in traces(store)
    ]
    if not rows:
        yield f"the store {store.root} is empty"
        return
    yield from table(("KEY", "TASK", "USES", "AGE", "USED", "SIZE", "TOOK"), rows, right=(3, 4, 5, 6))
    yield ""
    yield f"{_count(len(rows), 'result')} in {store.root}"
    yield "SIZE counts what several results share for each of them; `cache du` counts it once."


def usage(store: Store) -> dict[str, Any]:
    """How much the store holds, as data."""
    return {"store": str(store.root), **asdict(upkeep.usage(store))}


def usage_lines(found: dict[str, Any]) -> Iterator[str]:
    """The same to read."""
    yield from table((), [
        ("store", found["store"]),
        ("size", size(found["bytes"])),
        ("objects", f"{found['objects']:,}"),
        ("results", f"{found['traces']:,}, of which {found['artifacts']:,} differ"),
    ])  # fmt: skip


def verify(store: Store) -> tuple[ExitCode, dict[str, Any]]:
    """Read everything, drop what is damaged; exit code 1 where something was."""
    found = upkeep.verify(store)
    return (ExitCode.OK if found.sound else ExitCode.STEP_FAILED), {
        "store": str(store.root),
        "sound": found.sound,
        **asdict(found),
    }


def verify_lines(found: dict[str, Any]) -> Iterator[str]:
    """The same to read."""
    looked = f"{_count(found['objects'], 'object')} and {_count(found['traces'], 'result')} in {found['store']}"
    if found["sound"]:
        yield f"sound: {looked}"
        return
    yield f"damaged: looked at {looked}, and dropped:"
    yield from (f"  object {digest}" for digest in found["damaged_objects"])
    yield from (f"  unreadable record of the results of {key}" for key in found["damaged_traces"])
    yield from (f"  result {key[:KEY]}, which had lost a part" for key in found["incomplete_traces"])
    yield "The next build makes what it needs of it again."


def collect(store: Store, older_than: str | None, max_size: str | None) -> dict[str, Any]:
    """Drop what nobody needs."""
    found = upkeep.collect(
        store,
        max_age_days=None if older_than is None else days(older_than),
        max_bytes=None if max_size is None else byte_count(max_size),
    )
    return {"store": str(store.root), "dropped": asdict(found), "left": asdict(upkeep.usage(store))}


def collect_lines(found: dict[str, Any]) -> Iterator[str]:
    """The same to read."""
    for key in ("dropped", "left"):
        part = found[key]
        told = f"{_count(part['traces'], 'result')} and {_count(part['objects'], 'object')}, {size(part['bytes'])}"
        yield f"{key:<7}  {told}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
