"""What must hold in a recipe beyond its structure, as far as it can be known without FINN."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from finnyaml.errors import Problem, Where
from finnyaml.files import kind_of
from finnyaml.recipe.bundle import check_bundle
from finnyaml.recipe.code import check_code
from finnyaml.recipe.model import Pointer, Recipe, StepEntry, Vocabulary
from finnyaml.recipe.objectives import check_objectives
from finnyaml.recipe.paths import check_file
from finnyaml.recipe.settings_files import check_defaults, check_settings_file
from finnyaml.recipe.step_graph import check_steps
from finnyaml.recipe.verify import check_verify
from finnyaml.recipe.words import dotted
from finnyaml.text import did_you_mean, quoted


def check(recipe: Recipe, known: Vocabulary) -> Iterator[Problem]:
    """All problems (errors and warnings) of a structurally valid recipe, in no particular order."""
    yield from _model(recipe)
    for section, stages in (("preprocess", recipe.preprocess), ("postprocess", recipe.postprocess)):
        for index, stage in enumerate(stages):
            pointer = (section, index)
            yield from check_file(recipe, (*pointer, "onnx"), stage.file)
            yield from check_code(recipe, (*pointer, "brevitas"), stage.code, (), stage.options.get("args", {}))
            if stage.kind == "normalize":
                yield from _normalise(recipe, (*pointer, "normalize"), stage.options)
    yield from check_steps(recipe)
    for entry in recipe.steps.written:
        yield from check_code(recipe, _uses(recipe, entry), entry.code, ("model", "cfg"), entry.with_)
        if not entry.code and entry.uses not in known.own_settings:
            yield from _sections(recipe, (*entry.pointer, "with"), entry.with_)
    yield from _sections(recipe, (), vars(recipe.settings))
    yield from check_verify(recipe)
    if known.lint_rules is not None:
        yield from _lint(recipe, known.lint_rules)
    if known.plugins is not None:
        yield from _plugins(recipe, known.plugins)
    yield from check_bundle(recipe, known)
    yield from check_objectives(recipe)
    for download in recipe.downloads.values():
        yield from _url(download.url, recipe.at((*download.pointer, "url")))
    yield from _output(recipe)


def _url(url: str, where: Where | None) -> Iterator[Problem]:
    """What is wrong with the URL of a file."""
    if "@" in url.partition("//")[2].partition("/")[0]:
        hint = "recipes are shared: leave out the user and password"
        yield Problem("the URL has a user or a password in it", where, hint)
    strange = next((sign for sign in url if sign <= " " or sign > "~"), None)
    if strange is not None:
        of_host = strange in url.partition("//")[2].partition("/")[0]
        written = "the host by its ASCII name, which begins with xn--" if of_host else f"it as {quote(strange)} there"
        hint = f"write {written}, as browsers do when a URL is copied"
        yield Problem(f"a URL cannot have {quoted(strange)} in it", where, hint)
        return
    try:
        parts = urlsplit(url)
        wrong = None if parts.scheme == "file" or parts.hostname else "it names no host"
        _ = parts.port, (parts.hostname or "").encode("idna")  # asking says what is wrong
    except ValueError as error:
        wrong = str(error)
    if wrong:
        yield Problem(f"the URL cannot be used: {wrong}", where)


def _uses(recipe: Recipe, entry: StepEntry) -> Pointer:
    """Where an entry says what it uses."""
    written = (*entry.pointer, "uses")
    return entry.pointer if recipe.at(written) == recipe.at(entry.pointer) else written


def _model(recipe: Recipe) -> Iterator[Problem]:
    model = recipe.model
    yield from check_file(recipe, ("model", "onnx"), model.onnx)
    yield from check_file(recipe, ("model", "weights"), model.weights)
    yield from check_code(recipe, ("model", "brevitas"), model.brevitas, (), model.args)
    shape, layout = model.input.shape, model.input.layout
    if shape and layout and len(shape) != len(layout):
        message = f"the layout {layout} has {len(layout)} dimensions, but the shape has {len(shape)}"
        yield Problem(message, recipe.at(("model", "input", "layout")), "N batch, C channels, H height, W width")


def _normalise(recipe: Recipe, pointer: Pointer, options: Mapping[str, Any]) -> Iterator[Problem]:
    mean, std = options["mean"], options["std"]
    for index, value in enumerate(std if isinstance(std, list) else [std]):
        if value == 0:
            where, hint = recipe.at((*pointer, "std", index)), "use 1 to leave a channel as it is"
            yield Problem("a standard deviation of 0 divides by zero", where, hint)
    if isinstance(mean, list) and isinstance(std, list) and len(mean) != len(std) and 1 not in (len(mean), len(std)):
        message = f"mean has {len(mean)} channels, but std has {len(std)}"
        yield Problem(message, recipe.at((*pointer, "std")), "give both one value per channel, or one number")


def _sections(recipe: Recipe, pointer: Pointer, sections: Mapping[str, Any]) -> Iterator[Problem]:
    """The settings, of the whole recipe or of one step."""
    for name in ("folding", "specialize", "fifo"):
        section = sections.get(name, {})
        place = (*pointer, name)
        file = section.get("file")
        missing = check_file(recipe, (*place, "file"), file)
        yield from missing
        if file and not missing:
            yield from check_settings_file(name, file, recipe.at((*place, "file")))
        if name == "folding":
            for attribute, value in section.get("defaults", {}).items():
                at = (*place, "defaults", attribute)
                yield from check_defaults(dotted(at), value, recipe.at(at))
            if "target_fps" in section and ("nodes" in section or "file" in section):
                message = (
                    "both target_fps and a folding config: the config overrides FINN's choice for the nodes it names"
                )
                hint = "remove target_fps if the config names every node"
                yield Problem(message, recipe.at((*place, "target_fps")), hint, "warning")


def _lint(recipe: Recipe, rules: Collection[str]) -> Iterator[Problem]:
    """Rules to ignore must be rules, or a slip of the pen would ignore nothing."""
    for index, (rule, _) in enumerate(recipe.lint.ignore):
        if rule not in rules:
            pointer: Pointer = ("lint", "ignore", index, "rule")
            yield Problem(f"there is no lint rule {quoted(rule)}", recipe.at(pointer), did_you_mean(rule, rules))


def _plugins(recipe: Recipe, known: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """The plug-ins that a recipe names must be installed."""
    named = [(_uses(recipe, entry), entry.code) for entry in recipe.steps.written]
    if recipe.verify is not None:
        data, metric = recipe.verify.data, recipe.verify.metric
        named += [(("verify", "data", "python"), data.code), (("verify", "metric"), metric.code)]
    for pointer, code in named:
        if code and code.plugin and code.text not in known[code.plugin]:
            what = code.plugin.removesuffix("s").replace("_", " ")
            hint = did_you_mean(code.text, known[code.plugin], 3, else_="installed")
            other = "install the package; code of your own is path.py:function or package.module:function"
            yield Problem(f"no installed package has the {what} {quoted(code.text)}", recipe.at(pointer), hint or other)


def _names_in(folder: Path) -> str:
    """The first few names in a folder, without workspaces; empty where there are none, or no folder."""
    within = folder.iterdir() if folder.is_dir() else ()
    names = sorted(path.name for path in within if not (path / ".finnyaml").is_dir())  # a variant's
    return ", ".join([*map(quoted, names[:3]), *(["..."] if len(names) > 3 else [])])


def _output(recipe: Recipe) -> Iterator[Problem]:
    """The workspace may be deleted and written to, so it must be a folder of its own inside the recipe's.

    It may lie on another disk, behind a link, if there is nothing there that is somebody else's.
    """
    folder, workspace = recipe.directory, recipe.output
    written = recipe.resolved.get("output", "build")
    where, inside = recipe.at(("output",)), "write a folder inside the recipe's, such as `output: build`"

    def problem(reason: str) -> Problem:
        return Problem(f"output {quoted(written)} {reason}", where, inside)

    lexical = Path(os.path.normpath(workspace))
    if Path(written).is_absolute():
        yield problem("is absolute: it must be relative to the recipe's folder")
    elif lexical == folder:
        yield problem("is the recipe's folder itself")
    elif folder not in lexical.parents:
        yield problem("leads out of the recipe's folder")
    else:
        try:
            real, own = workspace.resolve(), folder.resolve()
            around = own.is_relative_to(real)
            strange = own not in real.parents and not (real / ".finnyaml").is_dir() and _names_in(real)
            blocked = [part for part in (lexical, *lexical.parents) if part.exists() and not part.is_dir()]
        except (OSError, RuntimeError) as error:  # a cycle of symbolic links, a name that is too long
            yield problem(f"cannot be a folder: {error}")
            return
        if blocked:
            yield problem(f"is {kind_of(blocked[0])}, not a folder")
        elif around:
            yield problem(f"leads through a symbolic link to {quoted(real)}, which holds the recipe itself")
        elif strange:
            yield problem(f"leads through a symbolic link to {quoted(real)}, which holds other files ({strange})")
