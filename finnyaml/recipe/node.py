"""A value of a recipe together with the place that wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from finnyaml.errors import Where
from finnyaml.recipe.model import Pointer

MAX_DEPTH = 64
"""How deep lists and mappings may nest: several times what a recipe needs, far below Python's own limit."""

MAX_NODES = 100_000
"""How many values a recipe may have, every use of an alias or variable counted again (against YAML bombs)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, a list of nodes or a mapping of nodes.

    `where` is the place of the value, `key` that of the mapping key that leads to it (None in a list and at the
    top). `size` counts the values in it, itself included, as if every alias were written out; `depth` is how many
    levels it has. Nodes are never changed, so an alias shares the value that it names.
    """

    value: str | int | float | bool | list[Node] | dict[str, Node] | None
    where: Where
    key: Where | None = None
    size: int = 1
    depth: int = 1

    @classmethod
    def of(cls, items: list[Node] | dict[str, Node], where: Where, key: Where | None = None) -> Node:
        """A list or mapping node with the size and depth that its items give it."""
        children = items if isinstance(items, list) else items.values()
        size = 1 + sum(child.size for child in children)
        return cls(items, where, key, size, 1 + max((child.depth for child in children), default=0))

    @property
    def place(self) -> Where:
        """Where to send the user: the value itself, or the key when a list or mapping only begins on a later line."""
        if self.key and isinstance(self.value, dict | list):
            here = (self.where.file, self.where.line) == (self.key.file, self.key.line)
            return self.where if here else self.key
        return self.where

    def under(self, key: Where | None) -> Node:
        """The same value as the value of the mapping key at `key`."""
        return replace(self, key=key)

    def children(self) -> Iterator[tuple[str | int, Node]]:
        """The direct children with their keys or indexes."""
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif isinstance(self.value, list):
            yield from enumerate(self.value)

    def get(self, *pointer: str | int) -> Node | None:
        """The node at `pointer`, or None if the document has none there."""
        node = self
        for part in pointer:
            if isinstance(node.value, dict) and part in node.value:
                node = node.value[str(part)]
            elif isinstance(node.value, list) and isinstance(part, int) and 0 <= part < len(node.value):
                node = node.value[part]
            else:
                return None
        return node

    def nearest(self, pointer: Pointer) -> Node:
        """The node at `pointer`, or its nearest ancestor that the document has."""
        for end in range(len(pointer), 0, -1):
            if node := self.get(*pointer[:end]):
                return node
        return self

    def plain(self) -> Any:
        """The value as plain data."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def positions(self, pointer: Pointer = ()) -> Iterator[tuple[Pointer, Where]]:
        """Every pointer of the document with its place."""
        yield pointer, self.place
        for key, child in self.children():
            yield from child.positions((*pointer, key))

    def moved(self, where: Where) -> Node:
        """The same value, as if all of it were written at `where`."""
        if isinstance(self.value, dict):
            return Node.of({key: child.moved(where) for key, child in self.value.items()}, where, where)
        if isinstance(self.value, list):
            return Node.of([child.moved(where) for child in self.value], where, where)
        return Node(self.value, where, where)


def merge(base: Node, derived: Node) -> Node:
    """`derived` over `base`: mappings merge deep, everything else replaces; null removes what the base has.

    Merging is associative as long as every key keeps its kind (mapping or not) and nothing is removed.
    """
    if not (isinstance(base.value, dict) and isinstance(derived.value, dict)):
        return derived
    items = dict(base.value)
    for key, child in derived.value.items():
        if key not in items:
            items[key] = child
        elif child.value is None:
            del items[key]
        else:
            items[key] = merge(items[key], child)
    return Node.of(items, derived.where, derived.key)
