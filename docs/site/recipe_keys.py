"""The page of all keys of a recipe, made from its JSON Schema."""

from collections.abc import Iterator
from typing import Any

import yaml

from finnyaml.recipe.schema import strict_schema

HEAD = """# All keys of a recipe

Made from the [JSON Schema](command-line.md#finnyaml-schema), which editors complete and check from.
[The recipe on one page](../recipe.md) shows the same keys in one example.
"""

Part = dict[str, Any]


def page() -> str:
    """The page in Markdown: a section for each key at the top, a list of the keys below it."""
    return HEAD + "".join(section(key, part) for key, part in strict_schema()["properties"].items())


def section(key: str, part: Part) -> str:
    """One key at the top of a recipe."""
    part = resolved(part)
    text = f"\n## {key} {{ #{key} }}\n\n{part['description']}\n"
    if part.get("default"):  # an empty list or mapping says nothing
        text += f"\nDefault: {quoted(part['default'])}.\n"
    for example in part.get("examples", ())[:2]:
        text += f"\n```yaml\n{key}: {written(example)}\n```\n"
    return text + "".join(entry(path, below) for path, below in keys(part, f"{key}."))


def entry(path: str, part: Part) -> str:
    """One key further down, as an entry of a definition list."""
    notes = [kind(part)]
    if part.get("default") not in (None, {}, []):
        notes.append(f"default {quoted(part['default'])}")
    examples = ", ".join(quoted(example) for example in part.get("examples", ())[:3])
    return (
        f"\n`{path}`{{ #{path.replace('[]', '')} }} — {', '.join(notes)}\n"
        f":   {part['description']}" + (f" Example: {examples}" if examples else "") + "\n"
    )


def keys(part: Part, prefix: str) -> Iterator[tuple[str, Part]]:
    """Every key below a part of the schema, with its path: `steps.insert[].after`."""
    for branch in part.get("anyOf", [part]):
        branch = resolved(branch)
        for name, below in branch.get("properties", {}).items():
            below = resolved(below)
            yield f"{prefix}{name}", below
            yield from keys(below, f"{prefix}{name}.")
        if isinstance(branch.get("items"), dict):
            yield from keys(resolved(branch["items"]), f"{prefix.rstrip('.')}[].")
        if isinstance(branch.get("additionalProperties"), dict):
            yield from keys(resolved(branch["additionalProperties"]), f"{prefix}NAME.")
        if branch is not part and "anyOf" in branch:
            yield from keys(branch, prefix)


def resolved(part: Part) -> Part:
    """A part with what its `$ref` names; what stands beside the reference says more."""
    if "$ref" not in part:
        return part
    named = strict_schema()["$defs"][part["$ref"].rpartition("/")[2]]
    return {**resolved(named), **{key: item for key, item in part.items() if key != "$ref"}}


def kind(part: Part) -> str:
    """What may stand there, in words."""
    part = resolved(part)
    if "enum" in part:
        return " or ".join(f"`{item}`" for item in part["enum"])
    if "anyOf" in part:
        return ", or ".join(dict.fromkeys(branch.get("title") or kind(branch) for branch in part["anyOf"]))
    words = {
        "object": "mapping",
        "array": "list",
        "string": "text",
        "integer": "whole number",
        "boolean": "true or false",
    }
    return words.get(part.get("type", ""), part.get("type", "any value"))


def quoted(item: Any) -> str:
    """A value as it is written in a recipe, for a line of text."""
    return f"`{written(item)}`"


def written(item: Any) -> str:
    """A value as it is written in a recipe, on one line."""
    return yaml.safe_dump([item], default_flow_style=True, sort_keys=False, width=1000).strip()[1:-1]
