"""The process that runs a user's build script for `finnyaml import`: notes what it would have built.

It is started with one argument, a JSON file that says what to run; what came of it goes to another.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import dis
import enum
import functools
import json
import os
import re
import shutil
import sys
import tempfile
import traceback
import types
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from finnyaml.exchange import guard, landlock
from finnyaml.finn.intercept import PACKAGES, Interception, Missing

FILE_FIELDS = ("folding_config_file", "specialize_layers_config_file", "fifo_config_file")


def main() -> None:
    """Run the script of the order in `sys.argv[1]`."""
    order = json.loads(Path(sys.argv[1]).read_text())
    noted = _Noted(order)
    script = Path(order["script"])
    os.chdir(script.parent)
    sys.dont_write_bytecode = True
    sys.path[:] = [str(script.parent), *filter(None, sys.path)]
    noted.interception.install()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (order["first"], os.environ.get("PYTHONPATH"))))
    sys.argv = [str(script), *order["arguments"]]
    main_module = types.ModuleType("__main__")
    main_module.__file__ = str(script)
    main_module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = noted.main = main_module
    own = [Path(order[name]) for name in ("root", "temporary", "kept")]
    guard.install(own, noted.original)
    landlock.restrict(own)  # programs that the script starts, too, where this Linux can
    error = None
    left = False  # whether it chose to end, which most do for want of arguments
    sys.stdout.flush()
    began = os.fstat(1).st_size
    try:
        code = compile(script.read_bytes(), str(script), "exec", dont_inherit=True)
        exec(code, main_module.__dict__)  # noqa: S102 - the script that the user named
    except SystemExit as end:
        left = end.code not in (None, 0)
        error = f"it ended with {end.code!r}" if left else None
    except BaseException as wrong:
        error = noted.explain(wrong)
    sys.stdout.flush()
    os.chdir(order["temporary"])  # the script may have removed where it was
    result = {
        "builds": noted.builds(),
        "missing": noted.interception.missing,
        "absent": [noted.original(path) for path in noted.interception.absent],
        "error": error,
        "left": left,
        "began": began,
    }
    Path(order["result"]).write_text(json.dumps(result))


class _Noted:
    """The builds that the script asked for, as plain data with paths as the user has them."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._builds = Path(order["builds"])
        self.main = types.ModuleType("__main__")
        self._copy, self._real = str(order["root"]), str(order["original"])
        self._kept = Path(order["kept"])
        self.interception = Interception(Path(order["root"]), self.started)

    def builds(self) -> list[Any]:
        """What `started` was told of, in order."""
        return [json.loads(line) for line in self._builds.read_text().splitlines()] if self._builds.exists() else []

    def original(self, path: str) -> str:
        """A path in the copy as the user has it."""
        return path.replace(self._copy, self._real) if path.startswith(self._copy) else path

    def explain(self, error: BaseException) -> str:
        """What ended the script, and in which line of the user's."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(self._copy)]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: " if frames else ""
        if isinstance(error, SyntaxError):
            place = f"{Path(error.filename or '').name}:{error.lineno}: "
        return f"{place}{type(error).__name__}: {str(error).strip() or 'no message'}"

    def started(self, source: str | None, values: Mapping[str, Any], folder: Path) -> None:
        """One build that the script starts; files that it names are relative to `folder`."""
        steps = values.get("steps")
        listed = None if steps is None else [self._step(step) for step in steps]
        build: dict[str, Any] = {
            "folder": self.original(str(folder)),
            "source": None if source is None else self._file(folder / source),
            "values": {name: self._plain(value) for name, value in values.items() if name != "steps"},
            "steps": listed,
            "globals": self._globals(self.main),
        }
        for name, value in values.items():
            if isinstance(value, (str, PurePath)) and (name in FILE_FIELDS or name.endswith(("_npy", "_file"))):
                build["values"][name] = self._file(folder / value)
        for injected_name in ("inject_steps_before", "inject_steps_after"):
            wanted = values.get(injected_name) or {}
            build["values"].pop(injected_name, None)
            if wanted:
                build["values"][injected_name] = {
                    name: [self._step(step) for step in added] for name, added in wanted.items()
                }
        with self._builds.open("a") as file:  # by a process that the script has forked, perhaps
            file.write(f"{json.dumps(build)}\n")
        output = values.get("output_dir")
        if isinstance(output, (str, PurePath)):
            (folder / output).mkdir(parents=True, exist_ok=True)  # as FINN does: scripts look into it

    def _file(self, path: Path) -> dict[str, Any]:
        """A file that the script names: where the user has it, or a copy of what the script has made."""
        here = Path(os.path.normpath(path))  # by way of a folder that only the copy has, perhaps
        here = here if here.is_file() else path.absolute()
        theirs = Path(self.original(str(here)))
        made = None
        if here.is_file() and here != theirs and (not theirs.is_file() or theirs.read_bytes() != here.read_bytes()):
            made = str(Path(tempfile.mkdtemp(dir=self._kept), here.name))
            shutil.copyfile(here, made)
        return {"path": str(theirs), "made": made}

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Missing):
            return {"missing": repr(value)}
        if isinstance(value, enum.Enum):
            return value.value
        if isinstance(value, PurePath):
            return self.original(str(value))
        if isinstance(value, (list, tuple)):
            return [self._plain(item) for item in value]
        if isinstance(value, dict):
            return {str(key): self._plain(item) for key, item in value.items()}
        if isinstance(value, str):
            return value.replace(self._copy, self._real)
        if isinstance(value, (int, float, bool, type(None))):
            return value
        if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of numpy
            return value.item()
        return {"object": re.sub(" at 0x[0-9a-f]+", "", f"{type(value).__name__}: {value!r}")}

    def _globals(self, module: types.ModuleType) -> dict[str, str]:
        """The plain values of a module by name, each as Python writes it."""
        return dict(self._literals(vars(module).items()))

    def _literals(self, items: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, str]]:
        for name, value in items:
            if isinstance(value, argparse.Namespace):
                parts = dict(self._literals(vars(value).items()))
                if parts.keys() == vars(value).keys():
                    yield name, f"argparse.Namespace({', '.join(f'{key}={text}' for key, text in parts.items())})"
                continue
            if name.startswith("__") or not isinstance(
                value, (str, int, float, bool, type(None), list, tuple, dict, set)
            ):
                continue
            text = repr(value).replace(self._copy, self._real)
            try:
                ast.literal_eval(text)
            except (ValueError, SyntaxError, RecursionError):
                continue
            if len(text) < 10_000:
                yield name, text

    def _step(self, step: Any) -> dict[str, Any]:
        lookup, original = self.interception.step_lookup, self.interception.original_steps
        if isinstance(step, Missing):
            module, _, name = repr(step).rpartition(".")
            # A step of another FINN's, by its function: a recipe resolves its name.
            old = module == "finn.builder.build_dataflow_steps" and name.startswith("step_")
            return {"kind": "name", "name": name} if old else {"kind": "missing", "name": repr(step)}
        if isinstance(step, str):
            added = lookup.get(step)
            if added is None and "." not in step:
                added = vars(self.interception.build_module).get(step)
            if added is None or original.get(step) is added:
                return {"kind": "dotted" if "." in step and added is None else "name", "name": step} | self._module(
                    step
                )
            return {**self._step(added), "label": step}
        for name, known in original.items():
            if known is step:
                return {"kind": "name", "name": name}
        if isinstance(step, functools.partial):
            inner = self._step(step.func)
            keywords = self._plain(step.keywords)
            if inner["kind"] != "function" or step.args or "object" in json.dumps(keywords):
                return {"kind": "opaque", "name": _called(step), "what": _what(step)}
            return {**inner, "with": keywords}
        if not isinstance(step, types.FunctionType):
            return {"kind": "opaque", "name": _called(step), "what": _what(step)}
        return self._function(step)

    def _module(self, step: str) -> dict[str, Any]:
        """Where the module of a dotted name lies, if it is the user's."""
        found = sys.modules.get(step.rpartition(".")[0]) if "." in step else None
        if found is None and "." in step:
            try:
                found = __import__(step.rpartition(".")[0], fromlist=["_"])
            except Exception:
                return {}
        file = getattr(found, "__file__", None)
        return {"file": self.original(file)} if file and file.startswith(self._copy) else {}

    def _function(self, step: types.FunctionType) -> dict[str, Any]:
        inner = step
        while hasattr(inner, "__wrapped__"):
            inner = inner.__wrapped__
        module = sys.modules.get(step.__module__)
        name = step.__name__
        file = inner.__code__.co_filename
        importable = getattr(module, name, None) is step
        cells = dict(zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True))
        closure = {}
        for key, cell in cells.items():
            with contextlib.suppress(ValueError):  # a name that was not bound yet
                closure[key] = cell.cell_contents
        literals = dict(self._literals(closure.items()))
        return {
            "kind": "function",
            "name": name,
            "module": step.__module__,
            "file": self.original(file),
            "users": file.startswith(self._copy),
            "importable": importable,
            "line": inner.__code__.co_firstlineno,
            "wrapped": inner is not step and not importable,
            "lacks": _lacking(inner),
            "defaults": dict(self._defaults(inner)),
            "closure": literals,
            "strange": sorted(cells.keys() - literals.keys()),
            "globals": {} if module is self.main or module is None else self._globals(module),
        }

    def _defaults(self, function: types.FunctionType) -> Iterable[tuple[str, Any]]:
        """The values of a function's arguments that have one, as far as they are plain."""
        code, values = function.__code__, function.__defaults__ or ()
        names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
        for name, value in (*zip(names, values, strict=True), *(function.__kwdefaults__ or {}).items()):
            text = json.dumps(self._plain(value))
            if '{"object":' not in text and '{"missing":' not in text:
                yield name, json.loads(text)


def _called(step: Any) -> str:
    """A name for an object that is not a function: the same in every run."""
    inner = step.func if isinstance(step, functools.partial) else step
    return str(getattr(inner, "__name__", type(inner).__name__))


def _what(step: Any) -> str:
    """What a step is that is not a function."""
    if isinstance(step, functools.partial):
        return "it is a partial with arguments that a recipe cannot hold, or of something that is not a function"
    if isinstance(step, types.MethodType):
        owner = step.__self__ if isinstance(step.__self__, type) else type(step.__self__)
        return f"it is a method of {owner.__name__}"
    return f"it is of the type {type(step).__name__}, not a function"


def _lacking(function: types.FunctionType) -> list[str]:
    """What a function takes from modules of FINN and its kin that they lack: `brevitas.onnx.export_finn_onnx`."""
    found = []
    before = None
    for instruction in dis.get_instructions(function):
        if before is not None and instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            module = function.__globals__.get(before.argval)
            if isinstance(module, types.ModuleType) and module.__name__.partition(".")[0] in PACKAGES:
                lacking = not hasattr(module, instruction.argval)
                found += [f"{module.__name__}.{instruction.argval}"] if lacking else []
        before = instruction if instruction.opname == "LOAD_GLOBAL" else None
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    main()
