"""Artifacts and traces to fill a store with."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnyaml.store import Artifact, Entry, Store, Trace
from finnyaml.store.tensors import cut


def entry(store: Store, data: bytes) -> Entry:
    blob = store.put_bytes(data)
    return Entry(blob, blob)


def weighty(store: Store, value: int = 1) -> Entry:
    """A model with one large tensor, kept as a part of its own."""
    frame, parts = cut(model_bytes(value), store.put_bytes)
    return Entry(store.put_bytes(frame), f"digest {value}", parts=parts)


def model_bytes(value: int) -> bytes:
    """An ONNX model that consists of one tensor of 64 KiB; written by hand, since onnx takes long to import."""
    size = b"\x80\x80\x04"  # the varint of 65,536
    tensor = b"\x4a" + size + bytes([value]) * 65536
    graph = b"\x2a\x84\x80\x04" + tensor
    return b"\x3a\x88\x80\x04" + graph


def artifact_of(store: Store, **files: bytes | Entry) -> Artifact:
    entries = {name: data if isinstance(data, Entry) else entry(store, data) for name, data in files.items()}
    return Artifact("d" * 60 + f"{len(files):04d}", next(iter(files), None), entries, ("gone",))


def trace_of(store: Store, reads: Mapping[str, Mapping[str, Any]] | None = None, **files: bytes | Entry) -> Trace:
    """A trace whose artifact has these files, with a log."""
    record = store.put_artifact(artifact_of(store, **files))
    log = store.put_bytes(b"log of " + repr(sorted(files)).encode())
    return Trace(record, reads or {"config": {"clock": 5.0}}, 1.5, 1 << 20, log, 1700000000.0, {"finn": "1.6.1"})


def object_file(store: Store, digest: str) -> Path:
    return store.root / "objects" / digest[:2] / digest


def trace_file(store: Store, key: str) -> Path:
    return store.root / "traces" / key[:2] / key


def overwrite(path: Path, data: bytes) -> None:
    """As a careless hand would: in place, read-only or not."""
    path.chmod(0o644)
    path.write_bytes(data)


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def age_objects(store: Store, seconds: float = 86400.0) -> None:
    for digest, _ in store.objects():
        age(object_file(store, digest), seconds)


def leftovers(store: Store) -> list[Path]:
    return list((store.root / "tmp").glob("*"))
