"""Templates to files: Jinja2, strict, sandboxed; a value without a filter that quotes it is an error.

The recipe's own templates travel with the bundle: `finnyaml bundle attach` fills them in again, perhaps on a machine of
someone else. So they run in Jinja's sandbox.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import (
    FunctionLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from finnyaml.bundle.filters import FILTERS, Safe, Unfiltered, only_safe
from finnyaml.bundle.limits import TooMuch, limited
from finnyaml.errors import StepFailed
from finnyaml.files import reading
from finnyaml.text import did_you_mean, either, printable, size

BUILTIN = Path(__file__).parent / "templates"
PREFIX = "builtin/"
ENDING = ".j2"

SECONDS = 10.0
"""Of processor time, for one template. finnyaml's own take some milliseconds."""
MEMORY = 1 << 30
_CORRECT = "correct the template"
LARGEST = 16 << 20
"""Of a template and of what it makes, in bytes."""

CHECKS: Mapping[str, Callable[[str], object]] = {".py": ast.parse, ".json": json.loads}


@cache
def builtin_names() -> tuple[str, ...]:
    """The templates that come with finnyaml, by their paths below `templates/`."""
    return tuple(sorted(path.relative_to(BUILTIN).as_posix() for path in BUILTIN.rglob(f"*{ENDING}")))


def read_templates(folder: Path) -> dict[str, str]:
    """All text files below a folder of templates, by their paths in it.

    Raises StepFailed: no such folder; a template that is not UTF-8 text, or a link out of the folder.
    """
    if not folder.is_dir():
        raise StepFailed(f"there is no folder {folder}", hint="bundle.templates names the folder of your own templates")
    found = {}
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            try:
                found[relative] = _text_of(path, folder)
            except (OSError, ValueError) as error:
                if name.endswith(ENDING):
                    message = f"{folder.name}/{relative} is not a template: {error}"
                    raise StepFailed(message, hint="save it as UTF-8 text, or take it out of this folder") from error
    return found


def _text_of(path: Path, folder: Path) -> str:
    """OSError, ValueError: it is not a text of a folder of templates."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"it is a link to {path.resolve()}, out of this folder")
    with reading(path, follow=True) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it has more than {size(LARGEST)}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text: {error}") from error


class Templates:
    """The templates of one bundle: finnyaml's, and before them the user's.

    `used` are the user's templates that have been used, or stand in the place of one of finnyaml's.
    """

    def __init__(self, own: Mapping[str, str], folder: str = "templates") -> None:
        """`own`: the user's templates by path; `folder`: what their folder is called in messages."""
        self.own = dict(own)
        self.folder = folder
        self.used = {name for name in own if name in builtin_names()}
        self._environment = _Environment(self)

    def render(self, name: str, to: str, context: Mapping[str, Any]) -> str:
        """Fill in a template for the file `to` of the bundle.

        Raises StepFailed: with template and line: a syntax error, an undefined variable, a value without a filter; a
        result that is not of the language that `to` ends in; one that takes too long, or too much memory.
        """
        try:
            with limited(SECONDS, MEMORY):
                text = _joined(self._environment.get_template(name).generate(context))
        except Exception as error:  # a template can fail as any program can
            raise self._failure(error, name, context) from error
        try:
            with limited(SECONDS, MEMORY):
                CHECKS.get(PurePosixPath(to).suffix, str)(text)
        except (ValueError, SyntaxError, RecursionError) as error:
            shown = self._environment.get_template(name).filename
            message = f"{shown} does not make a valid {PurePosixPath(to).name}: {error}"
            raise StepFailed(message, hint=_CORRECT) from error
        return text

    def source(self, name: str) -> tuple[str, str, None] | None:
        """Text and shown name of a template, as Jinja's `FunctionLoader` takes them; None if there is none."""
        if name in self.own:
            self.used.add(name)
            return self.own[name], f"{self.folder}/{name}", None
        plain = name.removeprefix(PREFIX)
        return ((BUILTIN / plain).read_text("utf-8"), PREFIX + plain, None) if plain in builtin_names() else None

    def _failure(self, error: Exception, name: str, context: Mapping[str, Any]) -> StepFailed:
        message, hint = str(error), None
        if isinstance(error, TemplateSyntaxError):
            return StepFailed(f"{error.filename or error.name}:{error.lineno}: {error.message}", hint=_CORRECT)
        if isinstance(error, Unfiltered):
            *quoting, raw = FILTERS
            hint = f"write {{{{ ... | FILTER }}}} with {either(quoting)}, or {raw} to take it as it is"
        elif isinstance(error, TemplateNotFound):
            message = f"there is no template {error.name!r}"
            known = sorted({*self.own, *builtin_names(), *(PREFIX + name for name in builtin_names())})
            hint = did_you_mean(str(error.name), known)
        elif isinstance(error, UndefinedError) and message.endswith(" is undefined"):
            missing = message.removesuffix(" is undefined").strip("'")
            message = f"{missing!r} is not defined"
            hint = "import it `with context`" if missing in context else did_you_mean(missing, context)
        elif not isinstance(error, (TemplateError, ValueError)):
            message = f"{type(error).__name__}: {message}"
        return StepFailed(f"{self._place(error, name)}: {message}", hint=hint or _CORRECT)

    def _place(self, error: Exception, name: str) -> str:
        """Where in which template: Jinja rewrites most tracebacks so that their frames are lines of templates."""
        shown = {*(PREFIX + name for name in builtin_names()), *(f"{self.folder}/{name}" for name in self.own)}
        place = f"{self.folder}/{name}" if name in self.own else PREFIX + name.removeprefix(PREFIX)
        at = error.__traceback__
        while at is not None:
            if at.tb_frame.f_code.co_filename in shown:
                template, line = at.tb_frame.f_globals.get("__jinja_template__"), at.tb_lineno
                line = template.get_corresponding_lineno(line) if template else line
                place = f"{at.tb_frame.f_code.co_filename}:{line}"
            at = at.tb_next
        return place


def _joined(parts: Iterable[str]) -> str:
    found, length = [], 0
    for part in parts:
        found.append(part)
        length += len(part)
        if length > LARGEST:
            raise TooMuch(f"it makes more than {size(LARGEST)}")
    return "".join(found)


class _Undefined(StrictUndefined):
    """Says what is known, too."""

    @property
    def _undefined_message(self) -> str:
        owner = self._undefined_obj
        if isinstance(owner, Mapping):
            known = ", ".join(printable(str(key)) for key in sorted(map(str, owner))) or "nothing"
            return f"there is no {self._undefined_name!r}; known there are {known}"
        return super()._undefined_message


class _Environment(ImmutableSandboxedEnvironment):
    # What a template makes itself (a macro, a block, {% set %}) has gone through its filters already.
    concat = staticmethod(lambda parts: Safe("".join(parts)))

    def __init__(self, templates: Templates) -> None:
        super().__init__(
            loader=FunctionLoader(templates.source),
            undefined=_Undefined,
            finalize=lambda value: only_safe(_defined(value)),
            autoescape=False,  # that is about HTML, and so are these filters
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        for name in ("e", "escape", "forceescape", "safe", "tojson"):
            del self.filters[name]
        self.filters.update({name: _filter(function) for name, function in FILTERS.items()})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What a mapping holds comes before the methods that it has."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def _filter(function: Callable[[Any], str]) -> Callable[[Any], Safe]:
    return lambda value: Safe(function(_defined(value)))


def _defined(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # raises
    return value
