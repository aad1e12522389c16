"""The host package keeps to the Python of PYNQ's older images: 3.8 and its standard library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bundle.sample import PACKAGE, sample_bundle

PYTHON38 = Path(__file__).parents[2] / ".venv-board38/bin/python"

FILES = sorted(PACKAGE.rglob("*.py"))
OTHERS = {"numpy", "onnxruntime", "pynq", "finn_plus_driver"}
"""What it may import beside the standard library; all but numpy only inside the functions that need it."""

NEW_MODULES = {"graphlib", "tomllib", "zoneinfo"}
"""Of the standard library, but younger than 3.8."""

NEW_NAMES = {
    "functools": {"cache"},
    "itertools": {"pairwise", "batched"},
    "math": {"lcm", "nextafter", "ulp", "cbrt", "exp2"},
    "types": {"NoneType", "EllipsisType", "UnionType", "GenericAlias"},
    "typing": {
        "Annotated",
        "Concatenate",
        "Never",
        "ParamSpec",
        "Self",
        "TypeAlias",
        "TypeGuard",
        "assert_never",
        "override",
    },
    "enum": {"StrEnum", "verify"},
    "dataclasses": {"KW_ONLY"},
    "contextlib": {"aclosing", "chdir"},
}
NEW_METHODS = {"removeprefix", "removesuffix", "is_relative_to", "with_stem", "readlink", "hardlink_to", "bit_count"}
NEW_KEYWORDS = {"zip": {"strict"}, "dataclass": {"slots", "kw_only"}, "map": {"strict"}}


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file), feature_version=(3, 8))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_syntax_is_that_of_3_8(file: Path) -> None:
    module = tree(file)
    assert isinstance(module.body[0], ast.Expr), "no docstring"
    parsed = [node for node in ast.walk(module) if isinstance(node, (ast.Match, ast.TryStar))]
    assert parsed == [], "ast.parse accepts it for 3.8, but Python 3.8 does not"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_library_is_that_of_3_8(file: Path) -> None:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            root = (node.module or "").partition(".")[0]
            found = {alias.name for alias in node.names} & NEW_NAMES.get(node.module or "", set())
            assert not found and root not in NEW_MODULES, f"line {node.lineno}"
            assert root in OTHERS or root in sys.stdlib_module_names, f"line {node.lineno}: {root}"
        elif isinstance(node, ast.Import):
            roots = {alias.name.partition(".")[0] for alias in node.names}
            assert not roots & NEW_MODULES, f"line {node.lineno}"
            assert all(root in OTHERS or root in sys.stdlib_module_names for root in roots), f"line {node.lineno}"
        elif isinstance(node, ast.Attribute):
            module = node.value.id if isinstance(node.value, ast.Name) else ""
            assert node.attr not in NEW_METHODS and node.attr not in NEW_NAMES.get(module, set()), f"line {node.lineno}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            keywords = {keyword.arg for keyword in node.keywords}
            assert not keywords & NEW_KEYWORDS.get(node.func.id, set()), f"line {node.lineno}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_but_numpy_is_imported_with_the_package(file: Path) -> None:
    """So that a board needs no onnxruntime, and an emulation no pynq."""
    for node in tree(file).body:
        if isinstance(node, ast.ImportFrom):
            assert node.level or (node.module or "").partition(".")[0] not in OTHERS - {"numpy"}
        elif isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & (OTHERS - {"numpy"})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_new_types_are_only_in_annotations_and_those_stay_text(file: Path) -> None:
    """`tuple[int, ...]` and `X | None` are fine there; in an alias or a call, 3.8 evaluates them."""
    module = tree(file)
    annotations = [
        annotation
        for node in ast.walk(module)
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if annotation is not None
    ]
    assert not annotations or "from __future__ import annotations" in file.read_text()
    text = {id(node) for annotation in annotations for node in ast.walk(annotation)}
    abstract = {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == "collections.abc"
        for alias in node.names
    }
    generic = {"list", "dict", "tuple", "set", "frozenset", "type", *abstract}
    for node in ast.walk(module):
        if id(node) in text:
            continue
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in generic, f"line {node.lineno}"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            sides = (node.left, node.right)
            assert not any(isinstance(side, ast.Constant) and side.value is None for side in sides), (
                f"line {node.lineno}"
            )


def test_it_runs_on_python_3_8(tmp_path: Path) -> None:
    """Every module is imported there, and the bundle's whole self-test runs (numpy 1.24, onnxruntime 1.19)."""
    if not PYTHON38.exists():
        pytest.skip("there was no Python 3.8 when .venv-board was made (make setup-board)")
    folder = sample_bundle(tmp_path / "sample", weights=True)
    names = [".".join(file.relative_to(PACKAGE).with_suffix("").parts) for file in FILES]
    modules = [name for name in names if not name.endswith(("__init__", "__main__"))]
    script = f"import importlib\nfor name in {modules!r}: importlib.import_module('accelerator.' + name)\n"
    for command in (["-c", script], ["-m", "accelerator", "selftest", "--emulate"]):
        done = subprocess.run([PYTHON38, "-B", *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
