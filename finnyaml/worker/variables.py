"""The environment as steps see it: views of `os.environ` and its kin that note who looks at which variable.

What counts is the value that the worker was started with. A library may set variables when it is imported; whether it
did in this process says nothing about the next.
"""

from __future__ import annotations

import collections.abc
import os
import posix
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from finnyaml.tools.variables import UNRECORDED, digest, recorded
from finnyaml.worker.askers import STEPS, USER, Askers

if TYPE_CHECKING:
    from typing_extensions import Self

    from finnyaml.worker.recorder import Reads

FINN = "FINN_"
"""Of all variables, those that a class of settings of FINN looks for; that it lists the others is its way to do so."""


class Variables:
    """Notes what the step that runs looks at. `inherited` is what counts, `written` are variables that steps set."""

    def __init__(self, askers: Askers) -> None:
        self.inherited = dict(os.environ)
        self.written: set[str] = set()
        self._askers = askers
        self._reads: Reads | None = None
        self._listing: set[tuple[CodeType, int]] = set()
        os.environ = _View(os.environ, self)  # type: ignore[assignment]  # noqa: B003 - a view, not a copy
        os.environb = _View(os.environb, self)  # type: ignore[assignment]
        posix.environ = _View(posix.environ, self)  # type: ignore[assignment]

    def begin(self, reads: Reads | None) -> None:
        """From now on a step runs whose reads are noted there; with None, none runs."""
        self._reads = reads
        self._listing.clear()

    def look(self, reads: Reads, name: str) -> None:
        """Note a look at one variable, whoever it was."""
        if name not in UNRECORDED and name not in self.written:
            reads.env.setdefault(name, recorded(name, self.inherited.get(name)))

    def look_at_all(self, reads: Reads, beginning: str = "") -> None:
        """Note a look at all variables whose names begin so, whoever it was."""
        if beginning not in reads.environment:
            reads.environment[beginning] = digest(self.inherited, beginning)

    def asked(self, name: str | bytes) -> None:
        """Somebody asks a view for one variable."""
        if self._reads is None:
            return
        frame = _outside()
        if frame is None or (frame.f_code, frame.f_lasti) in self._listing:
            return  # a part of `dict(os.environ)`
        asker = self._askers.of(frame)
        if asker.who == USER or (asker.who == STEPS and not asker.library):
            self.look(self._reads, os.fsdecode(name))

    def asked_for_all(self, *, passing: bool = False) -> None:
        """Somebody lists a view, or makes a copy of it, which FINN does when it starts a tool (`passing`)."""
        if self._reads is None:
            return
        frame = _outside()
        asker = self._askers.of(frame)
        if frame is not None:
            self._listing.add((frame.f_code, frame.f_lasti))
        if asker.who == USER:
            self.look_at_all(self._reads)
        elif asker.who == STEPS and not passing:
            self.look_at_all(self._reads, FINN)

    def wrote(self, name: str | bytes) -> None:
        """Somebody gives a variable its value. Of a library that is its own affair: the step may look at it as well."""
        asker = self._askers.of(_outside())
        if asker.who and not asker.library:
            self.written.add(os.fsdecode(name))


_PLUMBING = (__file__, os.__file__, collections.abc.__file__, "<frozen os>", "<frozen _collections_abc>")
"""Code between the one who asks for a variable and a view."""


def _outside() -> FrameType | None:
    """The one who asks."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename in _PLUMBING:
        frame = frame.f_back
    return frame


class _View(MutableMapping[Any, Any]):
    """Stands for `os.environ`, for `os.environb`, or for the dictionary from which Python made both."""

    def __init__(self, environ: Any, variables: Variables) -> None:
        self._environ = environ
        self._variables = variables
        self._passed: Any = None

    def __getitem__(self, name: Any) -> Any:
        if name != self._passed:
            self._ask(name)
        return self._environ[name]

    def __setitem__(self, name: Any, value: Any) -> None:
        self._environ[name] = value
        self._variables.wrote(name)

    def __delitem__(self, name: Any) -> None:
        del self._environ[name]
        self._variables.wrote(name)

    def __iter__(self) -> Iterator[Any]:
        self._variables.asked_for_all()
        try:
            for self._passed in self._environ:  # noqa: B020 - whoever goes through all of them asks for each as well
                yield self._passed
        finally:
            self._passed = None

    def __len__(self) -> int:
        self._variables.asked_for_all()
        return len(self._environ)

    def __contains__(self, name: object) -> bool:
        self._ask(name)
        return name in self._environ

    def items(self) -> Any:
        """All variables with their values, as `os.environ.items()` gives."""
        self._variables.asked_for_all()
        return self._environ.items()

    def values(self) -> Any:
        """All values, as `os.environ.values()` gives."""
        self._variables.asked_for_all()
        return self._environ.values()

    def copy(self) -> dict[Any, Any]:
        """A plain dictionary, as `os.environ.copy()` gives."""
        self._variables.asked_for_all(passing=True)
        return dict(self._environ)

    def __or__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        self._variables.asked_for_all(passing=True)
        return dict(self._environ) | dict(other)

    def __ror__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        self._variables.asked_for_all(passing=True)
        return dict(other) | dict(self._environ)

    def __ior__(self, other: Mapping[Any, Any]) -> Self:
        self.update(other)
        return self

    def _ask(self, name: object) -> None:
        if isinstance(name, (str, bytes)):
            self._variables.asked(name)
