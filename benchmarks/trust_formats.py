"""Files of many formats that hold one number, for `benchmarks.trust`."""

from __future__ import annotations

import configparser
import gzip
import io
import json
import pickle
import sqlite3
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np


def write(form: str, path: Path, value: int) -> None:
    """Write the file anew, in place where there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    FORMATS[form](path, value) if form in FORMATS else path.write_text(f"VALUE = {value}\n")


def _npy(path: Path, value: int) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([value]))


def _npz(path: Path, value: int) -> None:
    with path.open("wb") as file:
        np.savez(file, value=np.array([value]))


def _sqlite(path: Path, value: int) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as base:
        base.execute("create table t (value)")
        base.execute("insert into t values (?)", [value])
    base.close()


def _ini(path: Path, value: int) -> None:
    found = configparser.ConfigParser()
    found["a"] = {"value": str(value)}
    with path.open("w") as file:
        found.write(file)


def _zip(name: str, content: str) -> Callable[[Path, int], None]:
    def write_it(path: Path, value: int) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), content.format(value))

    return write_it


def _tar(path: Path, value: int) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo(str(value)), io.BytesIO())


def _library(path: Path, value: int) -> None:
    source = path.with_suffix(".c")
    source.write_text(f"int value(void) {{ return {value}; }}\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path, source], check=True)
    source.unlink()


def _onnx(path: Path, value: int) -> None:
    from onnx import TensorProto, helper  # here, because it takes half a second

    name = f"y{value}"
    x, y = (helper.make_tensor_value_info(it, TensorProto.FLOAT, [1]) for it in ("x", name))
    graph = helper.make_graph([helper.make_node("Relu", ["x"], [name])], f"g{value}", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())


def _script(path: Path, value: int) -> None:
    path.write_text(f"#!/bin/sh\necho {value}\n")
    path.chmod(0o755)


FORMATS: Mapping[str, Callable[[Path, int], object]] = {
    "text": lambda path, value: path.write_text(f"value {value}\n"),
    "json": lambda path, value: path.write_text(json.dumps({"value": value})),
    "csv": lambda path, value: path.write_text(f"1,{value}\n"),
    "pickle": lambda path, value: path.write_bytes(pickle.dumps({"value": value})),
    "gz": lambda path, value: path.write_bytes(gzip.compress(str(value).encode(), mtime=0)),
    "npy": _npy,
    "npz": _npz,
    "sqlite": _sqlite,
    "ini": _ini,
    "zip": _zip("value", "{}"),
    "library": _zip("helper.py", "VALUE = {}\n"),
    "tar": _tar,
    "so": _library,
    "onnx": _onnx,
    "script": _script,
}
"""By name: what writes a number to a path."""
