"""Templates to files: Jinja2, strict, sandboxed, with every value quoted for the file that it goes into.

The recipe's own templates travel with the bundle: `finnyaml bundle attach` fills them in again, perhaps on a machine of
someone else. So they run in Jinja's sandbox.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
    pass_context,
)
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from finnyaml.bundle import quoting
from finnyaml.bundle.quoting import MARK, Language, Quoted, Unquotable
from finnyaml.errors import StepFailed
from finnyaml.text import did_you_mean, printable

BUILTIN = Path(__file__).parent / "templates"
PREFIX = "builtin/"
ENDING = ".j2"


@cache
def builtin_names() -> tuple[str, ...]:
    """The templates that come with finnyaml, by their paths below `templates/`."""
    return tuple(sorted(path.relative_to(BUILTIN).as_posix() for path in BUILTIN.rglob(f"*{ENDING}")))


def read_templates(folder: Path) -> dict[str, str]:
    """All text files below a folder of templates, by their paths in it.

    Raises:
        StepFailed: no such folder; a template that is no UTF-8 text.
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
                found[relative] = path.read_text("utf-8")
            except UnicodeDecodeError as error:
                if name.endswith(ENDING):
                    raise StepFailed(f"{folder.name}/{relative} is no UTF-8 text: {error}") from error
    return found


class Templates:
    """The templates of one bundle: finnyaml's, and before them the user's.

    `used` are the user's templates that have been used, or stand in the place of one of finnyaml's.
    """

    def __init__(self, own: Mapping[str, str], folder: str = "templates") -> None:
        """`own`: the user's templates by path; `folder`: what their folder is called in messages."""
        self.own = dict(own)
        self.folder = folder
        self.used = {name for name in own if name in builtin_names()}

    def render(self, name: str, to: str, context: Mapping[str, Any]) -> str:
        """Fill in a template for the file `to` of the bundle, whose ending decides how values are quoted.

        Raises:
            StepFailed: with template and line: a syntax error, an undefined variable, a value that cannot stand there.
        """
        return _Page(self, quoting.language_of(to)).render(name, context)

    def source(self, name: str) -> tuple[str, str]:
        """Text and shown name of a template; KeyError if there is none."""
        if name in self.own:
            self.used.add(name)
            return self.own[name], f"{self.folder}/{name}"
        plain = name.removeprefix(PREFIX)
        if plain not in builtin_names():
            raise KeyError(name)
        return (BUILTIN / plain).read_text("utf-8"), PREFIX + plain

    def known(self) -> list[str]:
        """The names of all templates."""
        return sorted({*self.own, *builtin_names(), *(PREFIX + name for name in builtin_names())})


class _Loader(BaseLoader):
    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def get_source(self, environment: Any, template: str) -> tuple[str, str, None]:
        try:
            text, shown = self._templates.source(template)
        except KeyError:
            raise TemplateNotFound(template) from None
        return text, shown, None


class _Fragment(str):
    """Text that a template itself made (a macro, a block, {% set %}): its values are marks already."""

    __slots__ = ()


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
    concat = staticmethod(lambda parts: _Fragment("".join(parts)))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What a mapping holds comes before the methods that it has."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class _Page:
    """One file on its way: the values that its template has put out, and where."""

    def __init__(self, templates: Templates, language: Language) -> None:
        self._language = language
        self._values: list[Any] = []
        self._lines: list[str] = []
        self._templates = templates
        self._environment = _Environment(
            loader=_Loader(templates),
            undefined=_Undefined,
            finalize=self._mark,
            autoescape=False,  # `_mark` quotes
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters.update(
            {
                "py": self._filter(quoting.PYTHON.literal),
                "sh": self._filter(quoting.SHELL.literal),
                "json": self._filter(quoting.JSON.literal),
                "md": self._filter(quoting.MARKDOWN.literal),
                "raw": self._filter(lambda value: Quoted(quoting.text(value), "raw")),
            }
        )
        for name in ("e", "escape", "forceescape", "safe", "tojson"):  # they are about HTML
            del self._environment.filters[name]

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        try:
            text = self._environment.get_template(name).render(context)
        except Exception as error:  # a template can fail as any program can
            raise self._failure(error, name, context) from error
        try:
            return quoting.place(text, self._values, self._language)
        except Unquotable as error:
            where = self._lines[error.mark] if error.mark >= 0 else self._templates.source(name)[1]
            raise StepFailed(f"{where}: {error}") from error

    @pass_context
    def _mark(self, context: Context, value: Any) -> str:
        """What goes into the text for a value: a mark."""
        if isinstance(value, _Fragment):
            return value
        if isinstance(value, Undefined):
            str(value)  # raises
        self._values.append(self._unmarked(value))
        frame = sys._getframe(1)
        template = frame.f_globals.get("__jinja_template__")
        line = template.get_corresponding_lineno(frame.f_lineno) if template is not None else 0
        self._lines.append(f"{template.filename if template is not None else '?'}:{line}")
        return quoting.mark(len(self._values) - 1)

    def _unmarked(self, value: Any) -> Any:
        """A text that was made from fragments, as plain text: it is quoted as a whole."""
        if not isinstance(value, str) or not MARK.search(value):
            return value
        return MARK.sub(lambda found: quoting.text(self._values[int(found[1])]), value)

    def _filter(self, function: Any) -> Any:
        def apply(value: Any) -> Any:
            if isinstance(value, Undefined):
                str(value)  # raises
            return function(self._unmarked(value))

        return apply

    def _failure(self, error: Exception, name: str, context: Mapping[str, Any]) -> StepFailed:
        message, hint = str(error), None
        if isinstance(error, TemplateSyntaxError):
            return StepFailed(f"{error.filename or error.name}:{error.lineno}: {error.message}")
        if isinstance(error, TemplateNotFound):
            message = f"there is no template {error.name!r}"
            hint = did_you_mean(str(error.name), self._templates.known())
        elif isinstance(error, UndefinedError) and message.endswith(" is undefined"):
            missing = message.removesuffix(" is undefined").strip("'")
            message = f"{missing!r} is not defined"
            hint = "import it `with context`" if missing in context else did_you_mean(missing, context)
        elif not isinstance(error, (TemplateError, ValueError)):
            message = f"{type(error).__name__}: {message}"
        return StepFailed(f"{self._place(error, name)}: {message}", hint=hint)

    def _place(self, error: Exception, name: str) -> str:
        """Where in which template: Jinja rewrites tracebacks so that its frames are lines of templates."""
        shown = {PREFIX + plain for plain in builtin_names()} | {
            f"{self._templates.folder}/{own}" for own in self._templates.own
        }
        place, at = "", error.__traceback__
        while at is not None:
            if at.tb_frame.f_code.co_filename in shown:
                place = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}"
            at = at.tb_next
        return place or self._templates.folder
