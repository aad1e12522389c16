"""FINN's build configuration: made from plain values, and handed over behind a recorder."""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from finnyaml.errors import StepFailed


def make(config_class: type, values: Mapping[str, Any]) -> Any:
    """A `DataflowBuildConfig` with `values`, given in the words of a recipe (an enum by its value).

    Raises:
        StepFailed: a value that FINN's annotation does not allow.
    """
    hints = typing.get_type_hints(config_class)
    converted = {}
    for name, value in values.items():
        try:
            converted[name] = _convert(value, hints[name])
        except (TypeError, ValueError, KeyError) as error:
            raise StepFailed(f"FINN's build configuration does not take {name} = {value!r}: {error}") from error
    return config_class(**converted)


def _convert(value: Any, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return None
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, [member for member in arguments if member is not type(None)])
    if origin is list:
        return [_convert(item, arguments[0]) for item in value]
    if origin is tuple:
        return tuple(value)
    if origin is dict:
        return {key: _convert(item, arguments[1]) for key, item in value.items()}
    if origin is typing.Literal:
        return next(
            (choice for choice in arguments if choice == value or getattr(choice, "value", None) == value), value
        )
    if isinstance(hint, type):
        if issubclass(hint, enum.Enum):
            for member in hint:
                if str(member.value) == str(value):
                    return member
            raise ValueError(f"it is one of {', '.join(str(member.value) for member in hint)}")
        if issubclass(hint, PurePath):
            return Path(value)
        if hint is float:
            return float(value)
        if dataclasses.is_dataclass(hint):
            return make(hint, value)
    return value


def _convert_union(value: Any, members: list[Any]) -> Any:
    for member in members:
        if dataclasses.is_dataclass(member) and isinstance(value, Mapping):
            return make(typing.cast(type, member), value)
    if isinstance(value, str) and str in members:
        return value  # of `str | Path` too: steps write `cfg.output_dir + "/report"`
    if isinstance(value, str) and any(isinstance(member, type) and issubclass(member, PurePath) for member in members):
        return Path(value)
    return _convert(value, members[0])


def recording(config: Any, reads: set[str]) -> Any:
    """A view of `config` that adds every field a step reads to `reads`, and refuses to be written to.

    It is an instance of FINN's own class, so nothing in FINN can tell. Where the whole configuration leaves the
    process or is copied (pickle, deepcopy, `vars`), every field counts as read.
    """
    base: Any = type(config)
    view: Any = object.__new__(_recorder(base))
    object.__setattr__(view, _READS, reads)
    object.__getattribute__(view, "__dict__").update(object.__getattribute__(config, "__dict__"))
    return view


_READS = "_finnyaml_reads"


@functools.cache
def _recorder(base: type) -> type:
    """The class of views; made once, since FINN's class generates code for every class derived from it."""
    names = frozenset(field.name for field in dataclasses.fields(base))

    def __getattribute__(self: Any, name: str) -> Any:
        if name in names:
            object.__getattribute__(self, _READS).add(name)
        elif name in ("__dict__", "__getstate__"):
            object.__getattribute__(self, _READS).update(names)
        return object.__getattribute__(self, name)

    def __setattr__(self: Any, name: str, value: Any) -> None:
        raise StepFailed(
            f"the step writes cfg.{name}: a setting that changes on the way would be lost in a rebuild",
            hint="set it in the recipe, or copy the configuration inside the step with copy.copy(cfg)",
        )

    def __delattr__(self: Any, name: str) -> None:
        __setattr__(self, name, None)

    def __new__(cls: Any, *arguments: Any, **values: Any) -> Any:
        return base(*arguments, **values)  # whoever makes another one of it (dataclasses.replace) gets a plain one

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        object.__getattribute__(self, _READS).update(names)
        return _restore, (base, dict(object.__getattribute__(self, "__dict__")))

    def __reduce__(self: Any) -> Any:
        return __reduce_ex__(self, None)

    methods = (__getattribute__, __setattr__, __delattr__, __new__, __reduce_ex__, __reduce__)
    members = {method.__name__: method for method in methods}
    return type(base.__name__, (base,), {**members, "__module__": base.__module__, "__slots__": (_READS,)})


def _restore(base: type, state: dict[str, Any]) -> Any:
    config: Any = object.__new__(base)
    config.__dict__.update(state)
    return config
