"""The user's own Python: found, imported afresh for every task, and forgotten afterwards.

A worker lives through many tasks of many recipes. Two recipes may both have a `model.py`, and a file may be edited
between two builds; so nothing of the user's may stay imported. What was imported belongs to what the task read:
`forget_user_modules` names those files. Code need not be imported to be run (`runpy`, a loader of its own); so the
recorder tells which sources were loaded, and here it is known whose they are.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import linecache
import site
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from finnyaml import plugins
from finnyaml.errors import StepFailed
from finnyaml.recipe.model import CodeRef
from finnyaml.text import did_you_mean

_TOOLCHAIN = frozenset({"finnyaml", "finn", "finn_xsi", "qonnx", "brevitas", "brevitas_examples"})
"""Never the user's, even where installed from a checkout, as in FINN's container. Their versions are traced."""

_PATHS = sysconfig.get_paths()
_LIBRARIES = {
    str(Path(folder).resolve())
    for folder in (
        *(_PATHS["stdlib"], _PATHS["platstdlib"], _PATHS["purelib"], _PATHS["platlib"]),
        *(*site.getsitepackages(), site.getusersitepackages()),
    )
}


class _Session:
    """What the running task has changed in this interpreter."""

    def __init__(self) -> None:
        self.known = frozenset(sys.modules)
        self.path = list(sys.path)
        self.finders = frozenset(sys.path_importer_cache)
        self.writes_bytecode = not sys.dont_write_bytecode
        self.files: set[Path] = set()
        self.packages: set[str] = set()
        """Installed packages that the recipe names code of: their modules count as read, but stay imported."""


_session: _Session | None = None


def reference(params: Mapping[str, Any], file: Callable[[str], Path]) -> CodeRef:
    """The code that parameters of a task name. `file` turns a name that travels into a path, and notes it as read."""
    path = file(params["file"]) if params["file"] else None
    return CodeRef(params["text"], params["function"], path, params["module"], params.get("plugin"))


def load_function(ref: CodeRef, recipe_dir: Path) -> Callable[..., Any]:
    """Import the function that a recipe names, from its present source. That of a plug-in stays imported.

    `path.py:function` finds modules beside its own file, `package.module:function` those beside the recipe; both before
    anything installed, as Python does for a script.

    Raises:
        StepFailed: no such file or module; it cannot be imported (names the user's line); it has no such function;
            the name is not a function.
        FinnyamlError: the plug-in cannot be loaded.
    """
    global _session
    if ref.plugin:
        return plugins.load(ref.plugin, ref.text)  # type: ignore[no-any-return]
    if _session is None:
        _session = _Session()
    _purge(_session)
    sys.dont_write_bytecode = True  # an edit within the second and of equal length would be served from the old file
    importlib.invalidate_caches()
    linecache.checkcache()
    module = _from_file(ref, ref.file) if ref.file else _from_package(ref, recipe_dir)
    if ref.module:
        _session.packages.add(ref.module.partition(".")[0])
    if not hasattr(module, ref.function):
        names = [name for name in vars(module) if callable(getattr(module, name)) and not name.startswith("_")]
        raise StepFailed(f"{ref.text}: there is no '{ref.function}' in it", hint=did_you_mean(ref.function, names))
    function: object = getattr(module, ref.function)
    if not callable(function):
        raise StepFailed(
            f"{ref.text}: '{ref.function}' is of type {type(function).__name__}, not a function",
            hint="name a function (or a class) that finnyaml can call",
        )
    return function


def forget_user_modules(loaded: Iterable[str] = ()) -> list[Path]:
    """End the task: un-import every module of the user's and undo the search path.

    `loaded` are sources that were seen to be loaded, whoever's they are.

    Returns:
        What the task read of the user's code, sorted: the source files of all that was imported since the last call,
        and those of `loaded` that are the user's. Nothing where no function of theirs was loaded.
    """
    global _session
    if _session is None:
        return []
    session, _session = _session, None
    _purge(session)
    session.files.update(source for source in map(Path, loaded) if _is_users(source) and not _of_toolchain(source))
    sys.path[:] = session.path
    for folder in sys.path_importer_cache.keys() - session.finders:
        if _is_users(Path(folder)):
            del sys.path_importer_cache[folder]  # an archive would be read for every later task
    sys.dont_write_bytecode = not session.writes_bytecode
    return sorted(session.files)


def explain(error: BaseException) -> str:
    """One line on an exception out of the user's code: the last line of theirs that ran, its type and its message."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_users(Path(frame.filename))]
    place = f"{own[-1].filename}:{own[-1].lineno}: " if own else ""
    return f"{place}{type(error).__name__}: {str(error).strip() or 'no message'}"


def _from_file(ref: CodeRef, file: Path) -> ModuleType:
    if not file.is_file():
        near = did_you_mean(file.name, (found.name for found in file.parent.glob("*.py")))
        raise StepFailed(f"{ref.text}: there is no file {file}", hint=near)
    _search_first(file.parent)
    name = file.stem if file.stem not in sys.modules else f"recipe_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise StepFailed(f"{ref.text}: {file.name} is not a Python source", hint="name a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if not _wants_package(error, file):
            raise _import_failed(ref, error) from error
        del sys.modules[name]
    else:
        return module
    # Only now is the package looked for: of a step that needs it, comments count too, since it was read as data.
    root, full = in_package(file)
    assert root is not None
    _search_first(root)
    try:
        return importlib.import_module(full or ".".join(file.absolute().relative_to(root).with_suffix("").parts))
    except (Exception, SystemExit) as error:
        raise _import_failed(ref, error) from error


_ALONE = "attempted relative import with no known parent package"
"""What Python says of a relative import in a file that is loaded by itself."""


def _wants_package(error: BaseException, file: Path) -> bool:
    """Whether a file could not be loaded because it is meant as a part of its package: it says so, or imports that."""
    folder = file.absolute().parent
    root = _beside_package(folder)
    if isinstance(error, ModuleNotFoundError) and error.name and root != folder:
        return error.name.partition(".")[0] == folder.relative_to(root).parts[0]
    return isinstance(error, ImportError) and _ALONE in str(error)


def _beside_package(folder: Path) -> Path:
    """The folder with the outermost package that a folder is in; itself where it is in none."""
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def in_package(file: Path) -> tuple[Path | None, str | None]:
    """The folder with the package that a file is in, None where it is in none; its name there if it imports relatively.

    A package is a folder with `__init__.py`, or one that relative imports make to one.
    """
    try:
        nodes = ast.walk(ast.parse(file.read_bytes()))
        above = max((node.level for node in nodes if isinstance(node, ast.ImportFrom)), default=0)
    except (SyntaxError, ValueError):
        return None, None  # the import says what is wrong
    file = file.absolute()
    root = _beside_package(file.parents[min(above, len(file.parents) - 1)])
    if root == file.parent:
        return None, None
    return root, ".".join(file.relative_to(root).with_suffix("").parts) if above else None


def _from_package(ref: CodeRef, recipe_dir: Path) -> ModuleType:
    if ref.module is None:
        raise ValueError(f"{ref.text}: neither a file nor a module")
    _search_first(recipe_dir)
    try:
        return importlib.import_module(ref.module)
    except ModuleNotFoundError as error:
        if error.name and f"{ref.module}.".startswith(f"{error.name}."):
            raise StepFailed(
                f"{ref.text}: there is no module '{error.name}'",
                hint=f"it is looked for in {recipe_dir} and among the installed packages of {sys.prefix}",
            ) from error
        raise _import_failed(ref, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(ref, error) from error


def _import_failed(ref: CodeRef, error: BaseException) -> StepFailed:
    hint = None
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"install '{error.name}' next to finnyaml, or put it beside the file that imports it"
    elif isinstance(error, SystemExit):
        hint = "code that is to run only as a script belongs below `if __name__ == '__main__':`"
    return StepFailed(f"{ref.text} cannot be imported: {explain(error)}", hint=hint)


def _search_first(folder: Path) -> None:
    text = str(folder.resolve())
    if text in sys.path:
        sys.path.remove(text)
    sys.path.insert(0, text)


def _purge(session: _Session) -> None:
    """Take the modules that are the user's, and new since the session began, out of `sys.modules`."""
    gone = []
    stays = _TOOLCHAIN | plugins.packages()
    for name, module in list(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if name.partition(".")[0] in session.packages - _TOOLCHAIN and source:
            session.files.add(Path(source).absolute())
        if name in session.known or name.partition(".")[0] in stays:
            continue
        if source and _is_users(Path(source)):
            session.files.add(Path(source).absolute())  # not resolved: a link may lead elsewhere tomorrow
            gone.append(name)
        elif source is None and any(_is_users(Path(folder)) for folder in getattr(module, "__path__", ())):
            gone.append(name)  # a package without __init__.py has no source of its own
    for name in gone:
        del sys.modules[name]


def _of_toolchain(file: Path) -> bool:
    """Whether a file is of the toolchain where that is installed from a checkout."""
    packages = [sys.modules[name] for name in _TOOLCHAIN & sys.modules.keys()]
    folders = [folder for package in packages for folder in getattr(package, "__path__", ())]
    return any(file.resolve().is_relative_to(Path(folder).resolve()) for folder in folders)


def _is_users(file: Path) -> bool:
    if str(file).startswith("<"):
        return False
    resolved, package = file.resolve(), Path(__file__).resolve().parents[1]
    installed = "site-packages" in resolved.parts or any(resolved.is_relative_to(folder) for folder in _LIBRARIES)
    return not installed and not resolved.is_relative_to(package)
