"""Why a task has to run: each difference between what a trace says and what is now, in plain words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 80
"""So much of a value is shown."""


@dataclass(frozen=True)
class Reason:
    """One thing that differs. `kind` is what was read (`config`, `file`, `input`, ...), `name` which of them."""

    kind: str
    name: str
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        return self._text().encode(errors="backslashreplace").decode()  # names and values may be no valid UTF-8

    def _text(self) -> str:
        if self.kind == "config":
            return f"{self.name}: {_shown(self.old)} → {_shown(self.new)}"
        if self.kind == "params":
            return f"parameter {self.name}: {_shown(self.old)} → {_shown(self.new)}"
        if self.kind in ("implementation", "tool"):
            return f"{self.name} changed: {_short(self.old)} → {_short(self.new)}"
        if self.kind == "env":
            return f"${self.name}: {_shown(self.old)} → {_shown(self.new)}"
        if self.kind == "environment" and self.name:
            return f"one of the variables {self.name}* changed: FINN looks at all"
        if self.kind == "environment":
            return "one of the environment's variables changed: the step looks at all"
        if self.kind == "module":
            change = "is gone" if self.new is None else "appeared"
            return f"{_readable(self.name)}{self.new or self.old} {change}: `import` finds another module"
        if self.kind == "package":
            if "/" in self.name:  # it counts by its content
                return f"the package {_readable(self.name)} {_change(self.old, self.new)}"
            return f"{self.name} changed: {_short(self.old)} → {_short(self.new)}"
        if self.kind == "input":
            return f"the model from {self.name} changed"
        if self.kind == "looks" and None not in (self.old, self.new):
            return f"a file in {_readable(self.name)} changed"
        if self.kind in ("file", "text", "tree", "dir", "stat", "link", "looks"):
            return f"{_readable(self.name)} {_change(self.old, self.new)}"
        return _SENTENCES[self.kind].format(name=self.name)


_SENTENCES = {
    "new": "never built with this store",
    "forgotten": "the store no longer has its result",
    "damaged": "its stored result is damaged ({name})",
    "forced": "forced with --force",
    "always": "the recipe says `always: true`",
    "distrusted": "it may differ: {name}",
    "step": "it runs another step: {name}",
    "code": "finnyaml's own code for this kind of task changed",
    "pinned": "{name} was made for a store at another path",
    "waits": "{name} runs first",
    "blocked": "{name} cannot run here",
}


def of_parts(old: Mapping[str, Any], new: Mapping[str, Any], needs: tuple[str, ...]) -> list[Reason]:
    """What changed in the static key since the task was last built here."""
    reasons = []
    if old.get("step") != new["step"]:
        reasons.append(Reason("step", new["step"][1]))
    for kind in ("implementation", "params"):
        before, now = old.get(kind) or {}, new[kind]
        for name in sorted({*before, *now}):
            if name.startswith("finnyaml/") and (name not in before or name not in now):
                reasons.append(Reason("code", "finnyaml"))  # the key covers more code than before, or less
            elif before.get(name) != now.get(name):
                reasons += _leaves(kind, name, before.get(name), now.get(name))
    before_inputs = old.get("inputs") or []
    for index, need in enumerate(needs):
        if index >= len(before_inputs) or before_inputs[index] != new["inputs"][index]:
            reasons.append(Reason("input", need))
    return [reason for index, reason in enumerate(reasons) if reason not in reasons[:index]]


def _leaves(kind: str, name: str, old: Any, new: Any) -> list[Reason]:
    """What differs inside a value: of a mapping its entries by name, else the whole."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return [Reason(kind, name, old, new)]
    return [
        reason
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
        for reason in _leaves(kind, f"{name}.{key}", old.get(key), new.get(key))
    ]


def _shown(value: Any) -> str:
    if isinstance(value, str) and value.startswith("@inputs/"):
        return "a file"
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _short(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _readable(name: str) -> str:
    """The name of a file as the recipe's author knows it."""
    if name.startswith("@inputs/"):
        return f"the recipe's {name.removeprefix('@inputs/').partition('.')[0]}"
    return name.removeprefix("@recipe/").removeprefix("@tree/")


def _change(old: Any, new: Any) -> str:
    if old is None:
        return "appeared"
    return "is gone" if new is None else "changed"
