"""Substitution of `${name}` and `${env.NAME}` in every text value of a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from finnyaml.errors import Problem, Where
from finnyaml.recipe.document import MAX_BYTES
from finnyaml.recipe.node import MAX_DEPTH, MAX_NODES, Node
from finnyaml.recipe.words import kind
from finnyaml.text import did_you_mean, quoted

# `$${` is a literal `${`. The last group is empty where the closing brace is missing.
_REFERENCE = re.compile(r"\$(\$\{)|\$\{([^{}]*)(\}?)")


class Variables:
    """The variables of one document: its `vars`, and the environment as far as its `env` declares it.

    Every problem goes to `problems`, once; a text with a wrong reference stays as it is.
    """

    def __init__(self, root: Node, environ: Mapping[str, str], problems: list[Problem]) -> None:
        declared = root.get("vars")
        self._vars = declared.value if declared and isinstance(declared.value, dict) else {}
        self._env = _declared(root.get("env"))
        self._environ = environ
        self._problems = problems
        # None: the variable has no value, because of a problem that was already reported.
        self._resolved: dict[str, Node | None] = {}
        self._active: list[str] = []
        self._nodes = 0
        self._characters = 0
        self.used: dict[str, str] = {}
        """The environment variables that were used, with their values."""
        self.unresolved: set[Where] = set()
        """Where a text was left as it is because of a problem; no use complaining about that text again."""

    @property
    def names(self) -> Iterable[str]:
        """The names of `vars`."""
        return self._vars.keys()

    def value(self, name: str) -> Node | None:
        """The value of a variable of `vars`; None where there is none, or it cannot be resolved."""
        return self._variable(name, 1) if name in self._vars else None

    def resolved(self, node: Node) -> Node:
        """A value with the variables in it substituted."""
        return self._substitute(node, 1)

    def apply(self, root: Node) -> Node:
        """`root` with all variables substituted."""
        assert isinstance(root.value, dict)
        for name in self._vars:
            self._variable(name, 1)
        items = dict(root.value)
        for section, node in items.items():
            if section == "vars" and isinstance(node.value, dict):
                values = {name: self._resolved[name] or raw for name, raw in self._vars.items()}
                items[section] = Node.of(values, node.where, node.key)
            elif section not in ("env", "matrix", "when"):  # they are read before any variable has a value
                items[section] = self._substitute(node, 1)
        return Node.of(items, root.where, root.key)

    def _substitute(self, node: Node, depth: int) -> Node:
        if isinstance(node.value, str):
            return self._text(node, depth) if "${" in node.value else node
        if isinstance(node.value, dict):
            fields = {key: self._substitute(child, depth + 1) for key, child in node.value.items()}
            return Node.of(fields, node.where, node.key)
        if isinstance(node.value, list):
            return Node.of([self._substitute(child, depth + 1) for child in node.value], node.where, node.key)
        return node

    def _text(self, node: Node, depth: int) -> Node:
        text = str(node.value)
        whole = _REFERENCE.fullmatch(text)
        if whole and whole[3]:
            value = self._value(whole[2].strip(), node, depth)
            if value is None or not self._fits(value, depth, node):
                return self._leave(node)
            # The value keeps the place that wrote it, so that a path in it is relative to that file.
            return value.under(node.key)
        parts, end = [], 0
        for match in _REFERENCE.finditer(text):
            part = self._part(match, node, depth)
            if part is None:
                return self._leave(node)
            parts += [text[end : match.start()], part]
            end = match.end()
        result = "".join([*parts, text[end:]])
        self._characters += len(result)
        if self._characters > MAX_BYTES:
            message = "the texts with variables in them grow beyond 1 MiB"
            self._add(message, node.where, "do variables multiply each other?")
            return self._leave(node)
        return replace(node, value=result)

    def _leave(self, node: Node) -> Node:
        self.unresolved.add(node.where)
        return node

    def _part(self, match: re.Match[str], node: Node, depth: int) -> str | None:
        """What stands for `match` inside a longer text; None if that failed."""
        if match[1]:
            return match[1]
        if not match[3]:
            self._add("`${` without its `}`", node.where, "write $${ for a literal ${")
            return None
        value = self._value(match[2].strip(), node, depth)
        if value is None:
            return None
        if isinstance(value.value, dict | list | None):
            what = kind(value.plain() if value.value is None else type(value.value)())
            hint = "only a value that is nothing but the variable can be that"
            self._add(f"{quoted(match[0])} is {what} and cannot be part of a text", node.where, hint)
            return None
        return str(value.value).lower() if isinstance(value.value, bool) else str(value.value)

    def _value(self, name: str, user: Node, depth: int) -> Node | None:
        if name.startswith("env."):
            return self._environment(name.removeprefix("env."), user)
        if name not in self._vars:
            hint = did_you_mean(name, self._vars) or "define it under `vars:`, or write $${ for a literal ${"
            self._add(f"there is no variable {quoted(name)}", user.where, hint)
            return None
        # Checked on the raw value already, because resolving it recurses as deep as it is nested.
        if depth + self._vars[name].depth - 1 > MAX_DEPTH:
            self._too_deep(user.where)
            return None
        return self._variable(name, depth)

    def _variable(self, name: str, depth: int) -> Node | None:
        if name in self._active:
            cycle = [*self._active[self._active.index(name) :], name]
            where = self._vars[name].where
            self._add(f"variables refer to each other in a cycle: {' -> '.join(cycle)}", where, "give one a value")
            for part in cycle:
                self._resolved[part] = None
        if name not in self._resolved:
            if len(self._active) >= MAX_DEPTH:
                message = f"variables refer to each other over more than {MAX_DEPTH} steps"
                self._add(message, self._vars[name].where, None)
                return None
            before = len(self.unresolved)
            self._active.append(name)
            value = self._substitute(self._vars[name], depth)
            self._active.pop()
            self._resolved.setdefault(name, value if len(self.unresolved) == before else None)
        return self._resolved[name]

    def _environment(self, name: str, user: Node) -> Node | None:
        if name not in self._env:
            near = did_you_mean(name, self._env)
            hint = near if near and near.startswith("did") else f"declare it: `env: [{name}]`"
            self._add(f"the environment variable {quoted(name)} is not declared", user.where, hint)
            return None
        value = self._environ.get(name, self._env[name])
        if value is None:
            hint = f"set it (export {name}=...), or give a default: `env: {{{name}: ...}}`"
            self._add(f"the environment variable {quoted(name)} is not set", user.where, hint)
            return None
        if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
            self._add(f"the environment variable {quoted(name)} is not UTF-8 text", user.where, "set it to plain text")
            return None
        self.used[name] = value
        return Node(value, user.where)

    def _fits(self, value: Node, depth: int, user: Node) -> bool:
        """Whether the document stays within its limits with `value` at `user`; variables multiply as aliases do."""
        self._nodes += value.size
        if self._nodes > MAX_NODES:
            if self._nodes - value.size <= MAX_NODES:
                message = f"more than {MAX_NODES} values when all variables are written out"
                self._add(message, user.where, "do variables multiply each other?")
            return False
        if depth + value.depth - 1 > MAX_DEPTH:
            self._too_deep(user.where)
            return False
        return True

    def _too_deep(self, where: Where) -> None:
        self._add(f"nested deeper than {MAX_DEPTH} levels when all variables are written out", where, None)

    def _add(self, message: str, where: Where, hint: str | None) -> None:
        self._problems.append(Problem(message, where, hint))


def _declared(env: Node | None) -> dict[str, str | None]:
    """Names and defaults; anything else in `env` is for the schema to refuse."""
    if env and isinstance(env.value, list):
        return {item.value: None for item in env.value if isinstance(item.value, str)}
    if env and isinstance(env.value, dict):
        return {name: node.value if isinstance(node.value, str) else None for name, node in env.value.items()}
    return {}
