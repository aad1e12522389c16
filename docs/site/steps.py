"""The page of the steps that finnyaml adds to FINN's, made from their declarations."""

from recipe_keys import entry, resolved

from finnyaml.lint.catalogue import RULES
from finnyaml.recipe.schema import strict_schema
from finnyaml.steps import builtin, open_rtl

HEAD = """# Steps and repairs

A recipe names the steps of FINN, and those below. Which steps FINN has depends on your FINN:
[`finnyaml steps list`](command-line.md#finnyaml-steps-list) asks it.
You can also [write steps of your own](../extending.md).

## Exact repairs

An exact repair changes the graph and keeps every output of the network. Where it cannot, it refuses.
[`finnyaml lint --fix`](command-line.md#finnyaml-lint) puts a repair where it belongs.
"""

RTL = """
## Hardware without Vivado

These are the steps of the [open RTL path](../rtl.md).
"""

SUBSTITUTES = """
### In place of FINN's steps

| step of FINN | runs with `toolchain: open` |
|---|---|
"""


def page() -> str:
    """The page in Markdown."""
    repairs, rtl = map(_repair, builtin.STEPS), map(_rtl, open_rtl.STEPS)
    return "".join([HEAD, *repairs, RTL, *rtl, SUBSTITUTES, *map(_substitute, open_rtl.SUBSTITUTES)])


def _repair(name: str) -> str:
    step = builtin.STEPS[name]
    text = f"\n### {name} {{ #{name} }}\n\n{step.does}\n"
    if step.place:
        text += f"\nIt belongs {step.place.split()[0]} `{step.after or step.before}`.\n"
    rules = [f"[{rule.id}](../lints/{rule.id}.md)" for rule in RULES.values() if rule.repair == name]
    return text + (f"\nIt repairs what this rule finds: {', '.join(rules)}.\n" if rules else "")


def _rtl(name: str) -> str:
    settings = strict_schema()["$defs"].get(name.replace(".", "_"), {}).get("properties", {})
    text = f"\n### {name} {{ #{name.replace('.', '-')} }}\n\n{open_rtl.STEPS[name].does}\n"
    return text + "".join(entry(f"with.{key}", resolved(part)) for key, part in settings.items())


def _substitute(name: str) -> str:
    old, *new = (f"`{step.removeprefix('step_')}`" for step in (name, *open_rtl.SUBSTITUTES[name]))
    return f"| {old} | {', '.join(new)} |\n"
