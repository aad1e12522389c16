"""FINN's own files (folding, specialisation, FIFOs), as JSON or YAML: readable, and of the shape that FINN expects."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from finnyaml.errors import Problem, Where
from finnyaml.files import content
from finnyaml.recipe.words import kind
from finnyaml.text import quoted

_KNOWN = {"folding": "a folding", "specialize": "a specialisation", "fifo": "a FIFO"}


YAML = (".yaml", ".yml")


def read_settings(path: Path) -> Any:
    """The content of such a file. OSError where it cannot be read, ValueError where it is neither JSON nor YAML."""
    text = content(path, follow=True).decode("utf-8")
    if path.suffix.lower() not in YAML:
        return json.loads(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def place_in(path: Path, entry: str) -> Where:
    """Where such a file has the entry of a node; its beginning where that is not found."""
    try:
        lines = content(path, follow=True).decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    pattern = re.compile(rf"""(?P<quote>["']?){re.escape(entry)}(?P=quote)\s*:""")
    for number, line in enumerate(lines, 1):
        if match := pattern.search(line):
            return Where(path, number, match.start() + 1)
    return Where(path, 1, 1)


def check_settings_file(section: str, path: Path, where: Where | None) -> Iterator[Problem]:
    """What is wrong with the existing file `path`, named at `where` in the section `section` of a recipe."""
    repeated: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(sorted(key for key, count in Counter(key for key, _ in items).items() if count > 1))
        return dict(items)

    name = quoted(path.name)
    is_yaml = path.suffix.lower() in YAML
    try:
        if is_yaml:
            data = read_settings(path)
            repeated.extend(_repeated(yaml.compose(content(path, follow=True), yaml.SafeLoader)))
        else:
            data = json.loads(content(path, follow=True).decode("utf-8"), object_pairs_hook=pairs)
    except OSError as error:
        yield Problem(f"cannot read {name}: {error.strerror}", where)
        return
    except json.JSONDecodeError as error:
        yield Problem(f"{name} is not valid JSON", where, f"{path}:{error.lineno}:{error.colno}: {error.msg}")
        return
    except (ValueError, RecursionError) as error:
        what = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        yield Problem(f"{name} is not valid {'YAML' if is_yaml else 'JSON'}", where, f"{path}: {what}")
        return
    if not isinstance(data, dict):
        hint = f"FINN expects a JSON object with an entry per node, for example {_EXAMPLES[section]}"
        yield Problem(f"{name} is not {_KNOWN[section]} configuration: it holds {kind(data)}", where, hint)
        return
    for key in repeated:
        yield Problem(f"{name} has the key {quoted(key)} twice", where, "only the last would hold: remove one")
    for node, attributes in data.items():
        yield from _check_node(section, name, node, attributes, where)


def _repeated(node: yaml.Node | None) -> Iterator[str]:
    """The keys that a mapping of YAML has twice."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue  # an alias
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = Counter(str(key.value) for key, _ in node.value)
            yield from sorted(key for key, count in keys.items() if count > 1)
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


_EXAMPLES = {
    "folding": '{"MVAU_hls_0": {"PE": 2, "SIMD": 4}}',
    "specialize": '{"MVAU_0": {"preferred_impl_style": "rtl"}}',
    "fifo": '{"StreamingFIFO_rtl_0": {"depth": 32}}',
}


def _check_node(section: str, name: str, node: str, attributes: Any, where: Where | None) -> Iterator[Problem]:
    if not isinstance(attributes, dict):
        message = f"{name}: {quoted(node)} must be an object of attributes, not {kind(attributes)}"
        yield Problem(message, where, f"for example {_EXAMPLES[section]}")
    elif node == "Defaults":
        for attribute, value in attributes.items():
            yield from check_defaults(f"{name}: Defaults.{attribute}", value, where)
    else:
        for attribute in ("PE", "SIMD"):
            value = attributes.get(attribute, 1)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                message = f"{name}: {node}.{attribute} must be a whole number of at least 1, not {kind(value)}"
                yield Problem(message, where)


def check_defaults(what: str, value: Any, where: Where | None) -> Iterator[Problem]:
    """FINN's Defaults: a value, whom it is for, the next value, whom that is for, ..."""
    hint = "for example ram_style: [auto, [all]] or [block, [MVAU_hls], auto, [all]]"
    if not isinstance(value, list) or not value or len(value) % 2:
        message = f"{what} must be a list of pairs: a value, then `all` or a list of op types"
        yield Problem(message, where, hint)
        return
    for index in range(1, len(value), 2):
        types = value[index]
        named = isinstance(types, list) and types and all(isinstance(one, str) for one in types)
        if types != "all" and not named:
            wanted = f"after the value {quoted(value[index - 1])} comes `all` or a list of op types"
            message = f"{what}: {wanted}, not {kind(types)}"
            yield Problem(message, where, hint)
