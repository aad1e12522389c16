"""A commented recipe to start from, made from an .onnx file or from the Python file of a network."""

from __future__ import annotations

import ast
import functools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finnyaml.errors import Problem, RecipeError
from finnyaml.files import kind_of
from finnyaml.recipe import dataset, scalars
from finnyaml.recipe.dataset import Found
from finnyaml.recipe.paths import similar_file
from finnyaml.text import did_you_mean, either, relative

BOARD = "Pynq-Z1"
CLOCK_NS = 10.0
COLUMN = 39
"""Where comments begin, unless what they are about is longer."""
WEIGHTS = (".pth", ".pt", ".ckpt", ".tar")
SCHEMA = "recipe.schema.json"
"""The JSON Schema beside a recipe."""
LAYOUTS = {1: "N", 2: "NC", 3: "NCW", 4: "NCHW"}
QONNX_OPERATORS = frozenset(("Quant", "IntQuant", "BipolarQuant", "FloatQuant", "Trunc"))
_PLAIN = r"[A-Za-z_.][\w./-]*(:\w+)?"
"""Text of a recipe that needs no quotes: names, paths, and functions as `model.py:net`."""
_MODULES = ("Module", "Sequential", "QuantModule")


@dataclass(frozen=True)
class Source:
    """What is known of a network: `model` is how the recipe names it, relative to the recipe's folder."""

    kind: str
    model: str
    about: str = ""
    shape: tuple[int, ...] = ()
    datatype: str | None = None
    datatype_from: str = "as the model says"
    weights: tuple[str, ...] = ()
    """Checkpoints beside the model: which one is meant is only known where there is one."""
    args: tuple[str, ...] = ()
    """Arguments that the factory cannot do without."""
    data: Found | None = None
    """The data set beside the model."""
    shape_from_data: bool = False

    @property
    def name(self) -> str:
        """What the build is called, to begin with."""
        return self.model.rpartition(":")[2] if self.kind == "brevitas" else Path(self.model).stem

    @property
    def image(self) -> bool:
        """Whether the network takes pictures, as far as its input's shape tells."""
        return len(self.shape) == 4 and self.shape[1] in (1, 3)

    @property
    def bytes(self) -> bool:
        """Whether its input are the bytes of pictures, as far as one can guess."""
        return self.image and (self.datatype or "UINT8") == "UINT8"

    @property
    def layout(self) -> str:
        """The layout that a network of PyTorch has."""
        return LAYOUTS.get(len(self.shape), "")


def recipe_text(source: Source, board: str | None, clock_ns: float | None, schema: str = SCHEMA) -> str:
    """The recipe; `schema` is where its editor finds the JSON Schema."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(["svg", "html"]),  # YAML is neither
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = functools.partial(scalars.written, plain=_PLAIN)
    text = environment.get_template("recipe.yaml.j2").render(
        source=source,
        name=_name(source.name),
        schema=schema,
        board=board or BOARD,
        board_chosen=board is not None,
        clock_ns=clock_ns or CLOCK_NS,
    )
    return "\n".join(map(_aligned, text.split("\n")))


def examine(text: str, folder: Path, shape: str | None) -> Source:
    """Look at `model.onnx`, `model.py` or `model.py:factory`, and at what lies beside it.

    Paths become relative to `folder`, the recipe's.

    Raises:
        RecipeError: no such file, or nothing in it that a recipe could start from.
    """
    wanted = _shape(shape)
    path, function = Path(text), None
    if ":" in path.name and not path.exists():
        head, _, function = text.rpartition(":")
        path = Path(head)
    if not path.is_file():
        found = kind_of(path)
        message = f"{path} is {found}, not a file" if found else f"there is no file {path}"
        raise RecipeError([Problem(message, hint=None if found else similar_file(path.absolute()))])
    shown = _relative(path, folder)
    if path.suffix == ".py":
        source = _brevitas(path, shown, function, folder, wanted)
    elif path.suffix == ".onnx":
        source = _onnx(path, shown, wanted)
    else:
        hint = "a checkpoint alone has no network: name the Python file that makes it"
        wrong = f"{path} is neither an .onnx nor a .py file"
        raise RecipeError([Problem(wrong, hint=hint if path.suffix in WEIGHTS else None)])
    return _with_data(source, dataset.find(path.parent, lambda file: _relative(file, folder)))


def _with_data(source: Source, data: Found | None) -> Source:
    """A source with what the data set says of the network's input, where the model itself says nothing."""
    if data is None:
        return source
    source = replace(source, data=data)
    if not source.shape and len(data.shape) in LAYOUTS and (len(data.shape) < 4 or data.shape[1] in (1, 3)):
        source = replace(source, shape=(1, *data.shape[1:]), shape_from_data=True)
    if not source.datatype and data.datatype:
        source = replace(source, datatype=data.datatype, datatype_from=f"as in {data.name}")
    return source


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()


def _shape(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    parts = re.split(r"[,x\s]+", text.strip().strip("[]()"))
    if not all(part.isdecimal() and int(part) for part in parts):
        hint = "write the shape of one input, the batch first: --shape 1,3,32,32"
        raise RecipeError([Problem(f"--shape {text}: that is not a shape", hint=hint)])
    return tuple(map(int, parts))


# -- ONNX -------------------------------------------------------------------------------------------------------------


def _onnx(path: Path, shown: str, wanted: tuple[int, ...]) -> Source:
    try:
        import onnx
    except ImportError:
        return Source("onnx", shown, "not looked into: onnx is not installed here", wanted)
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own errors
        raise RecipeError([Problem(f"{path} is not an ONNX model: {str(error).strip().splitlines()[0]}")]) from error
    if not model.graph.node:
        raise RecipeError([Problem(f"{path} is not an ONNX model: there is no graph in it")])
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [tensor for tensor in model.graph.input if tensor.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs) or "none"
        raise RecipeError([Problem(f"{path} has {len(inputs)} inputs ({names}); finnyaml builds networks with one")])
    dims = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim]
    own = tuple(dims) if all(dims) else ()
    if own and wanted and own != wanted:
        raise RecipeError([Problem(f"--shape {list(wanted)}: the input of {path} has the shape {list(own)}")])
    about = f"{_dialect(model)}, input {inputs[0].name!r} of shape {[size or '?' for size in dims]}"
    datatype = _datatype(model, inputs[0].name)
    return Source("onnx", shown, about, wanted or own, None if datatype == "FLOAT32" else datatype)


def _dialect(model: Any) -> str:
    operators = {node.op_type for node in model.graph.node}
    if operators & QONNX_OPERATORS:
        return "the QONNX dialect"
    if "MultiThreshold" in operators or any(node.domain.startswith("finn.") for node in model.graph.node):
        return "FINN's dialect"
    if operators & {"QuantizeLinear", "DequantizeLinear"}:
        return "the QCDQ dialect, which has to be converted to QONNX first"
    return "plain ONNX: FINN needs a quantized network"


def _datatype(model: Any, name: str) -> str | None:
    """The datatype that QONNX notes for a tensor."""
    notes = [note for note in model.graph.quantization_annotation if note.tensor_name == name]
    entries = [entry for note in notes for entry in note.quant_parameter_tensor_names]
    return next((str(entry.value) for entry in entries if entry.key == "finn_datatype"), None)


# -- Brevitas ---------------------------------------------------------------------------------------------------------


def _brevitas(path: Path, shown: str, function: str | None, folder: Path, shape: tuple[int, ...]) -> Source:
    try:
        tree = ast.parse(path.read_bytes(), filename=path.name)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise RecipeError([Problem(f"{path}{f':{line}' if line else ''} is not valid Python: {error}")]) from error
    found = dict(_candidates(tree))
    if function is None:
        # What works as it is comes before what needs arguments.
        ready = [name for name, needed in found.items() if not needed] or list(found)
        if len(ready) != 1:
            raise RecipeError([_which(path, list(found))])
        function = ready[0]
    if function not in found:
        message = f"{path} defines no function or torch module {function!r}"
        raise RecipeError([Problem(message, hint=did_you_mean(function, found, 3))])
    weights = tuple(_relative(item, folder) for item in sorted(path.parent.iterdir()) if item.suffix in WEIGHTS)
    return Source("brevitas", f"{shown}:{function}", "", shape, weights=weights, args=found[function])


def _which(path: Path, names: Sequence[str]) -> Problem:
    if not names:
        return Problem(f"{path} defines no function and no torch module", hint="name the file that defines the network")
    message = f"{path} defines {len(names)} functions and modules that may make the network"
    return Problem(message, hint=f"name one: finnyaml init {either(f'{relative(path)}:{name}' for name in names)}")


def _candidates(tree: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Public functions and torch modules of a file, with the arguments that they need.

    Classes that the file itself uses are parts of others, not the network.
    """
    classes = {item.name: item for item in tree.body if isinstance(item, ast.ClassDef)}
    modules: dict[str, ast.ClassDef] = {}
    for name, found in classes.items():  # in order: a base stands before what builds on it
        bases = [ast.unparse(base).rpartition(".")[2] for base in found.bases]
        if any(base in modules or base.endswith(_MODULES) for base in bases):
            modules[name] = found
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for item in tree.body:
        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
            yield item.name, _needed(item)
        elif isinstance(item, ast.ClassDef) and item.name in modules and item.name not in used:
            methods = [node for node in item.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
            yield item.name, _needed(methods[0])[1:] if methods else ()


def _needed(function: ast.FunctionDef) -> tuple[str, ...]:
    taken = function.args
    by_place = [arg.arg for arg in (*taken.posonlyargs, *taken.args)]
    required = by_place[: len(by_place) - len(taken.defaults)]
    named = [arg.arg for arg, default in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if default is None]
    return (*required, *named)


# -- text -------------------------------------------------------------------------------------------------------------


def _aligned(line: str) -> str:
    """A line of the template; a tab stands before its comment, and nowhere else."""
    text, tab, comment = line.partition("\t")
    return f"{text.ljust(COLUMN - 2)}  {comment}" if tab else line


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")[:100] or "network"
