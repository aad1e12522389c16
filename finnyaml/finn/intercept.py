"""Run a FINN build script without building: what it asks FINN for is noted instead. Inside the script's own process.

FINN's functions that start a build are replaced, its class of settings keeps what the script says, and names that other
versions of FINN have are stood in for, but only where the user's own code imports them.
"""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import enum
import importlib
import importlib.util
import json
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

from finnyaml.finn.door import open_door

PACKAGES = ("finn", "qonnx", "brevitas")
"""Whose names scripts of other versions import."""

BUILD = "finn.builder.build_dataflow"
STARTS = ("build_dataflow_cfg", "build_dataflow_directory")
"""FINN's functions that start a build, which this FINN may lack. All others that begin with `build_` count too."""

CONFIG, MODEL = "dataflow_build_config.json", "model.onnx"
"""What `build_dataflow_directory` looks for in the folder that it is given."""

Started = Callable[["str | None", Mapping[str, Any], Path], None]
"""Told of each build: its model, the settings, and the folder that names in these are relative to."""


class Missing:
    """Stands for a name that this FINN does not have, or for what is in a file that is not there.

    It takes everything that is done to it, so that the script gets as far as the build that it asks for.
    """

    def __init__(self, name: str) -> None:
        self.__dict__["name"] = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Missing(f"{self.__dict__['name']}.{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        pass

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if len(arguments) == 1 and isinstance(arguments[0], types.FunctionType) and not named:
            return arguments[0]  # a decorator
        return Missing(f"{self.__dict__['name']}()")

    def __getitem__(self, key: Any) -> Any:
        return Missing(f"{self.__dict__['name']}[{key!r}]")

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        return (object,)

    def __repr__(self) -> str:
        return str(self.__dict__["name"])


class Interception:
    """What is replaced in this process. `missing` has the names that were stood in for, `absent` files of models."""

    def __init__(self, root: Path, started: Started) -> None:
        self._root = str(root)
        self._started = started
        self.missing: list[str] = []
        self.absent: list[str] = []
        self.step_lookup: dict[str, Any] = {}
        self.original_steps: Mapping[str, Any] = {}

    def install(self) -> None:
        """Replace FINN's entry points. Imports FINN, which takes some ten seconds."""
        steps = open_door().steps_module
        build = _imported(BUILD)
        config = open_door().config_module
        self.step_lookup = steps.build_dataflow_step_lookup
        self.original_steps = dict(self.step_lookup)
        self.build_module = build
        settings = _recording_class(config.DataflowBuildConfig)
        names = {name for name, value in vars(build).items() if name.startswith("build_") and callable(value)}
        for name in (*STARTS, *names):
            setattr(build, name, self._start(name, settings))
        for module in (build, config, steps):
            vars(module)["DataflowBuildConfig"] = settings
        _stand_in_for_members(config, self._note)
        self._models()
        replace = dataclasses.replace

        def copied(obj: Any, /, **changes: Any) -> Any:
            return type(obj)(**{**obj.asked, **changes}) if isinstance(obj, settings) else replace(obj, **changes)

        dataclasses.replace = copied
        self._imports()

    def _note(self, name: str) -> Missing:
        if name not in self.missing:
            self.missing.append(name)
        return Missing(name)

    def _start(self, name: str, settings: Any) -> Callable[..., int]:
        def start(*arguments: Any, **named: Any) -> int:
            given = [*arguments, *named.values()]
            asked = next((value for value in given if isinstance(value, settings)), None)
            source = next((value for value in given if isinstance(value, (str, PurePath, Missing))), None)
            if asked is not None:
                self._started(None if source is None else str(source), dict(asked.asked), Path.cwd())
            elif isinstance(source, (str, PurePath)):
                folder = Path(source).absolute()
                values = json.loads((folder / CONFIG).read_text())
                self._started(str(folder / MODEL), values, folder)
            else:
                raise TypeError(f"{name} was called without a folder and without settings")
            return 0

        start.__name__ = name
        return start

    def _models(self) -> None:
        """A model that is not there is stood in for: what becomes of it is not needed to know what shall be built."""
        module = importlib.import_module("qonnx.core.modelwrapper")
        wrapper: Any = module.ModelWrapper
        absent = self.absent

        def __new__(cls: Any, model: Any = None, *arguments: Any, **named: Any) -> Any:
            if isinstance(model, Missing):
                return model
            if isinstance(model, (str, PurePath)) and not Path(model).is_file():
                path = str(Path(model).absolute())
                if path not in absent:
                    absent.append(path)
                return Missing(f"ModelWrapper({str(model)!r})")
            return object.__new__(cls)

        wrapper.__new__ = __new__

    def _imports(self) -> None:
        """Stand in for names that the user's code imports from `PACKAGES` and that are not there."""
        original = builtins.__import__

        def importing(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
            users = str((globals or {}).get("__file__") or "").startswith(self._root)
            if not users or level or name.partition(".")[0] not in PACKAGES:
                return original(name, globals, locals, fromlist, level)
            try:
                module = original(name, globals, locals, fromlist, level)
            except ImportError as error:
                if _installed(name) and not _about(error, PACKAGES):
                    raise
                self._stand_in(name)
                module = sys.modules[name] if fromlist else sys.modules[name.partition(".")[0]]
            found = sys.modules.get(name)
            for item in fromlist or ():
                if item != "*" and found is not None and not hasattr(found, item):
                    try:
                        original(f"{name}.{item}", globals, locals, (), 0)
                    except ImportError:
                        setattr(found, item, self._note(f"{name}.{item}"))
            asked_for = [found] if not fromlist else [getattr(found, item, None) for item in fromlist]
            for part in asked_for:
                if isinstance(part, types.ModuleType):
                    self._open_ended(part, part.__name__)
            return module

        builtins.__import__ = importing

    def _stand_in(self, name: str) -> None:
        """Make a module of this name, and those around it that are not there."""
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            path = ".".join(parts[:count])
            if path in sys.modules:
                continue
            with contextlib.suppress(ImportError):
                importlib.import_module(path)
                continue
            module = types.ModuleType(path)
            module.__path__ = []
            sys.modules[path] = module
            self._note(path)
            self._open_ended(module, path)
            if count > 1:
                setattr(sys.modules[".".join(parts[: count - 1])], parts[count - 1], module)

    def _open_ended(self, module: types.ModuleType, name: str) -> None:
        """Let a module have every name that the script asks it for."""
        if "__getattr__" in vars(module):
            return

        def __getattr__(item: str) -> Any:
            if item.startswith("__"):
                raise AttributeError(f"module {name!r} has no attribute {item!r}")
            asker = sys._getframe(1).f_globals.get("__file__") or ""
            if not str(asker).startswith(self._root):
                raise AttributeError(f"module {name!r} has no attribute {item!r}")
            return self._note(f"{name}.{item}")

        module.__getattr__ = __getattr__  # type: ignore[method-assign]


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _about(error: ImportError, packages: tuple[str, ...]) -> bool:
    """Whether an import failed on a name of these packages, not on something else that they need."""
    return (error.name or "").partition(".")[0] in packages


def _imported(name: str) -> types.ModuleType:
    """FINN's module, or one that stands for it where it does not import here: only its names are needed."""
    try:
        return importlib.import_module(name)
    except Exception:  # of Vivado's simulator, say
        module = types.ModuleType(name)
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        setattr(importlib.import_module(parent), last, module)
        return module


def _recording_class(real: Any) -> Any:
    """Stands for FINN's class of settings: keeps what it is given, also options that this FINN does not have."""
    names = [field.name for field in dataclasses.fields(real)]

    class DataflowBuildConfig:
        __doc__ = real.__doc__
        __dataclass_fields__ = real.__dataclass_fields__

        def __init__(self, *values: Any, **named: Any) -> None:
            self.__dict__["asked"] = {**dict(zip(names, values, strict=False)), **named}

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") and name.endswith("__"):
                raise AttributeError(name)
            asked = self.__dict__.get("asked", {})
            if name in asked:
                return asked[name]
            if callable(method := getattr(real, name, None)) and name not in names:
                return method.__get__(self)
            default = getattr(_defaults(real), name)
            if isinstance(default, (list, dict)):  # scripts add to it in place
                asked[name] = default
            return default

        def __setattr__(self, name: str, value: Any) -> None:
            self.asked[name] = value

        def __eq__(self, other: object) -> bool:
            return isinstance(other, DataflowBuildConfig) and self.asked == other.asked

        __hash__ = None  # type: ignore[assignment]

        @classmethod
        def from_dict(cls, data: Mapping[str, Any], **_: Any) -> DataflowBuildConfig:
            return cls(**data)

        @classmethod
        def from_json(cls, text: Any, *_: Any, **__: Any) -> DataflowBuildConfig:
            return cls(**json.loads(text))

        @classmethod
        def from_yaml(cls, text: Any, *_: Any, **__: Any) -> DataflowBuildConfig:
            import yaml

            return cls(**yaml.safe_load(text))

        @classmethod
        def construct_from(cls, source: Any) -> DataflowBuildConfig:
            if isinstance(source, DataflowBuildConfig):
                return source
            path = Path(source)
            made = cls.from_json(path.read_text()) if path.suffix == ".json" else cls.from_yaml(path.read_text())
            made.config_path = path.absolute()
            return made

        def to_dict(self, **_: Any) -> dict[str, Any]:
            return {name: _plain(getattr(self, name)) for name in dict.fromkeys((*names, *self.asked))}

        def to_json(self, *_: Any, **__: Any) -> str:
            return json.dumps(self.to_dict(), default=str)

    return DataflowBuildConfig


def _defaults(real: Any) -> Any:
    return real()


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value


def _stand_in_for_members(config: types.ModuleType, note: Callable[[str], Missing]) -> None:
    """Let FINN's enumerations have members that only other versions have: `AutoFIFOSizingMethod.CHARACTERIZE`."""
    meta: Any = enum.EnumMeta
    original = getattr(meta, "__getattr__", None)

    def __getattr__(cls: Any, name: str) -> Any:
        if cls.__module__ == config.__name__ and name.isupper():
            return note(f"{cls.__name__}.{name}")
        if original is not None:
            return original(cls, name)
        raise AttributeError(name)

    # On 3.11, members are found by __getattr__ of the metaclass only where the class itself lacks them.
    def members_first(cls: Any, name: str) -> Any:
        if name in cls.__dict__.get("_member_map_", {}):
            return cls._member_map_[name]
        return __getattr__(cls, name)

    meta.__getattr__ = members_first
