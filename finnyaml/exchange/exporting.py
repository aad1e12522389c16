"""From a recipe to a plain Python script of FINN, for those who have no finnyaml."""

from __future__ import annotations

import os
import pprint
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnyaml.errors import Problem, RecipeError
from finnyaml.exchange import plain_steps
from finnyaml.finn import settings
from finnyaml.finn.catalog import Catalog
from finnyaml.plan.placed import Placed
from finnyaml.plan.steps import Expansion
from finnyaml.recipe.model import MODEST, CodeRef, Recipe
from finnyaml.steps.code import in_package


@dataclass(frozen=True)
class Script:
    """The text of a script, the files that go beside it by their names, and what is not in it, with the reason."""

    text: str
    files: Mapping[str, bytes]
    dropped: tuple[tuple[str, str], ...]


def export(recipes: Sequence[Recipe], catalog: Catalog, folder: Path) -> Script:
    """The script of a recipe, or of variants of one, to lie in `folder`.

    Raises:
        RecipeError: the recipe names what this FINN does not have, or cannot be a script of FINN.
    """
    writers = [_Writer(recipe, catalog, folder) for recipe in recipes]
    first = writers[0]
    for writer in writers:
        if writer.listed() != first.listed():
            recipe, other = writer.recipe, first.recipe
            message = f"{recipe.variant} has other steps than {other.variant}, and a script of FINN has one list"
            hint = f"export them one by one: `--variant {recipe.variant}`"
            raise RecipeError([Problem(message, recipe.at(("steps",)), hint)])
    files = {name: data for writer in writers for name, data in writer.files.items()}
    dropped = tuple(dict.fromkeys(item for writer in writers for item in writer.dropped))
    return Script(first.text(writers, dropped), files, dropped)


class _Writer:
    def __init__(self, recipe: Recipe, catalog: Catalog, folder: Path) -> None:
        self.recipe = self._recipe = recipe
        self._catalog, self._folder = catalog, folder
        self.dropped: list[tuple[str, str]] = []
        self.files: dict[str, bytes] = {}
        self._imports: dict[str, str] = {}
        self._paths: list[str] = []
        self._registered: list[str] = []
        self._helpers: set[str] = set()
        expansion = Expansion(recipe, self._catalog, "vivado")
        placed = expansion.placed()
        config, problems = settings.resolve(recipe, self._catalog)
        wrong = [item for item in (*expansion.problems, *problems) if item.severity == "error"]
        wrong += list(self._impossible(placed))
        if wrong:
            raise RecipeError(wrong)
        self._steps = [*self._processing(), *(text for item in placed if (text := self._step(item)))]
        self.values = self._values(config) | self._verification()
        self.model = self._relative(recipe.model.onnx) if recipe.model.onnx else ""
        self._others()

    def listed(self) -> Any:
        """All that the script says of its steps."""
        return self._steps, self._registered, self._imports, self._paths

    def _impossible(self, placed: list[Placed]) -> Iterator[Problem]:
        """What no script of FINN can say: it runs one row of steps, all with the same settings."""
        recipe = self._recipe
        if recipe.model.onnx is None:
            hint = "build it, and name intermediate_models/model.onnx of its output in `model: {onnx: ...}`"
            message = "a script of FINN begins with an .onnx file, and this model is a Brevitas module"
            yield Problem(message, recipe.at(("model", "brevitas")), hint)
        if recipe.model.input.layout not in (None, "NCHW", "NC", "N", "NCW"):
            message = f"a script of FINN does not transpose the data, and it comes as {recipe.model.input.layout}"
            yield Problem(message, recipe.at(("model", "input", "layout")))
        for section, stages in (("preprocess", recipe.preprocess), ("postprocess", recipe.postprocess)):
            for index, stage in enumerate(stages):
                if stage.kind in ("brevitas", "onnx"):
                    message = f"{section} by {stage.kind} cannot be exported: it merges a graph of your own"
                    yield Problem(message, recipe.at((section, index)), "merge it into the model")
        for before, item in zip([None, *placed], placed, strict=False):
            at = recipe.at(item.entry.pointer)
            expected = None if before is None else before.id
            if item.entry.needs is not None and item.entry.needs != ((expected,) if expected else ()):
                yield Problem(f"FINN runs its steps in a row, and {item.id} needs {', '.join(item.entry.needs)}", at)
            if item.kind == "finn" and item.entry.with_:
                hint = "set it for the whole recipe"
                yield Problem(f"in FINN all steps have the same settings, and {item.id} has its own", at, hint)

    # -- steps --------------------------------------------------------------------------------------------------------

    def _processing(self) -> Iterator[str]:
        recipe = self._recipe
        stages: list[Any] = []
        for stage in recipe.preprocess:
            stages.append({"normalize": dict(stage.options)} if stage.kind == "normalize" else stage.kind)
        datatype = recipe.model.input.datatype or ("UINT8" if "to_tensor" in stages else None)
        if stages or datatype:
            self._helpers |= {"before", "named"}
            yield f"named(before, stages={stages!r}, datatype={datatype or 'FLOAT32'!r})"
        for stage in recipe.postprocess:
            self._helpers |= {"after", "named"}
            yield f"named(after, k={int(stage.options.get('k', 1))})"

    def _step(self, item: Placed) -> str | None:
        entry = item.entry
        if item.kind == "finn":
            return repr(item.uses)
        if item.kind == "segment":
            self._drop(f"step {item.id}", "a part of a phase; list the phase as a whole")
            return None
        if item.kind != "code" or entry.code is None or entry.code.plugin:
            self._drop(f"step {item.id}", f"{item.uses} is of finnyaml, and FINN alone does not have it")
            return None
        own = (("timeout", entry.timeout), ("tools", entry.tools), ("expect", entry.expect))
        for name, value in (*own, ("resources", entry.resources != MODEST)):
            if value:
                self._drop(f"{name} of step {item.id}", "FINN has nothing of the kind")
        name = self._function(entry.code)
        text = name
        if entry.with_:
            self._helpers.add("named")
            arguments = ", ".join(f"{key}={value!r}" for key, value in entry.with_.items())
            text = f"named({name}, {arguments})"
        if entry.id:
            self._registered.append(f"build_dataflow_step_lookup[{f'step_{entry.id}'!r}] = {text}\n")
            return repr(f"step_{entry.id}")
        return text

    def _function(self, code: CodeRef) -> str:
        """The name under which the script has a function of the user's."""
        if code.file is not None:
            root, name = in_package(code.file)
            for place in (root, code.file.parent):
                folder = place and Path(os.path.relpath(place, self._folder)).as_posix()
                if folder and folder not in self._paths:
                    self._paths.append(folder)
            module = name or code.file.stem
        else:
            module = str(code.module)
            if not module.startswith(("finn.", "qonnx.")) and "." not in self._paths:
                self._paths.append(Path(os.path.relpath(self._recipe.directory, self._folder)).as_posix())
        line = f"from {module} import {code.function}"
        name = code.function
        if self._imports.setdefault(name, line) != line:
            name = f"{name}_{len(self._imports)}"
            self._imports[name] = f"{line} as {name}"
        return name

    # -- settings -----------------------------------------------------------------------------------------------------

    def _values(self, config: settings.FinnConfig) -> dict[str, Any]:
        values: dict[str, Any] = {"output_dir": f"output_{self._recipe.name}"}
        sections = {field: section for section, field in settings.CONFIG_FILES.items()}
        for name, value in config.values.items():
            if isinstance(value, str) and value.startswith("@inputs/"):
                staged = config.staged[value.removeprefix("@inputs/")]
                content = getattr(self._recipe.settings, sections[name]) if name in sections else {}
                only = set(content) & settings.FILE_KEYS == {"file"}
                if staged.source is not None or only:
                    value = self._relative(staged.source or Path(content["file"]))
                else:
                    value = f"{self._recipe.name}.{name.removesuffix('_file')}.json"
                    self.files[value] = staged.data or b""
            values[name] = str(value) if isinstance(value, Path) else value
        if self._recipe.settings.specialize.get("prefer"):
            self._drop("specialize: {prefer: ...}", "write `nodes:` or `defaults:` of specialize instead")
        return values

    def _verification(self) -> dict[str, Any]:
        verify = self._recipe.verify
        if verify is None:
            return {}
        reference, data = verify.reference, verify.data
        if data.kind != "npy" or reference.kind != "file" or reference.file is None or reference.key or not data.file:
            self._drop("verify", "FINN compares the outputs of one .npy file with those of another")
            return {}
        asked = {entry.after for entry in verify.points or ()}
        points = [name for name in self._catalog.points if name in asked]
        for name in sorted(asked - {*points}):
            self._drop(f"verification after {name}", "FINN verifies in some of its steps only")
        found = {
            "verify_steps": points,
            "verify_input_npy": self._relative(data.file),
            "verify_expected_output_npy": self._relative(reference.file),
        }
        limits = {"verification_atol": verify.limits.atol, "verification_rtol": verify.limits.rtol}
        return found | {
            name: value for name, value in limits.items() if value is not None and name in self._catalog.fields
        }

    def _others(self) -> None:
        recipe = self._recipe
        if recipe.targets:
            self._drop("targets", "a script builds all of its steps")
        if recipe.toolchain == "open":
            self._drop("toolchain: open", "FINN alone stitches and simulates with Vivado")
        if recipe.bundle is not None:
            self._drop("bundle", "FINN alone makes a driver only")
        if recipe.lint.ignore:
            self._drop("lint", "FINN has no lint")

    def _drop(self, what: str, why: str) -> None:
        self.dropped.append((what, why))

    def _relative(self, path: Path) -> str:
        """A file as the script names it; one from the network has to lie beside the script."""
        download = self._recipe.downloads.get(str(path))
        if download is None:
            return Path(os.path.relpath(path, self._folder)).as_posix()
        name = download.path.name
        self._drop(f"the file {name}", f"put it beside the script: {download.shown}, SHA-256 {download.sha256}")
        return name

    # -- text ---------------------------------------------------------------------------------------------------------

    def text(self, writers: Sequence[_Writer], dropped: Sequence[tuple[str, str]]) -> str:
        """The script that builds all of `writers`, which have the same steps."""
        recipe = self._recipe
        what = recipe.name if recipe.variant is None else f"the variants of {recipe.path.name}"
        title = recipe.description.strip().replace('"""', "'''") or f"Build {what} with FINN."
        lines = [f'"""{title}\n\nWritten by `finnyaml export {recipe.path.name}`; it needs FINN only.\n"""\n']
        if dropped:
            lines.append("\n# Not in this script:\n")
            lines += [f"#   {what}   ({why})\n" for what, why in dropped]
        lines.append("\n" + ("import functools\n" if "named" in self._helpers else "") + "import os\n")
        lines.append("import sys\n" if self._paths else "")
        lines.append("\nimport finn.builder.build_dataflow as build\n")
        lines.append("from finn.builder.build_dataflow_config import DataflowBuildConfig\n")
        if self._registered:
            lines.append("from finn.builder.build_dataflow_steps import build_dataflow_step_lookup\n")
        if self._helpers & {"before", "after"}:
            lines.append(plain_steps.IMPORTS)
        lines.append("\nHERE = os.path.dirname(os.path.abspath(__file__))\nos.chdir(HERE)\n")
        lines += [f"sys.path.insert(0, os.path.join(HERE, {folder!r}))\n" for folder in self._paths]
        if self._imports:
            lines.append("\n" + "".join(f"{line}  # noqa: E402\n" for line in self._imports.values()))
        for name, text in (("named", plain_steps.NAMED), ("before", plain_steps.BEFORE), ("after", plain_steps.AFTER)):
            if name in self._helpers:
                lines.append(f"\n\n{text}")
        lines.append("\n\n" if self._helpers else "\n")
        lines += self._registered
        steps = "[\n" + "".join(f"    {step},\n" for step in self._steps) + "]\n\n"
        if recipe.variant is None:
            lines.append(f"config = DataflowBuildConfig.from_dict(\n{_indented(self.values)}\n)\n")
            lines.append(f"config.steps = {steps}")
            lines.append('if __name__ == "__main__":\n')
            lines.append(f"    build.build_dataflow_cfg({self.model!r}, config)\n")
            return "".join(lines)
        same = {
            name: value for name, value in self.values.items() if all(_has(other, name, value) for other in writers)
        }
        own = [{name: value for name, value in other.values.items() if name not in same} for other in writers]
        lines.append(f"STEPS = {steps}")
        lines.append(f"COMMON = (\n{_indented(same)}\n)\n\nVARIANTS = {{\n")
        for writer, values in zip(writers, own, strict=True):
            lines.append(
                f"    {writer.recipe.variant!r}: (\n        {writer.model!r},\n{_indented(values, 8)},\n    ),\n"
            )
        lines.append('}\n\nif __name__ == "__main__":\n    for model, own in VARIANTS.values():\n')
        lines.append("        config = DataflowBuildConfig.from_dict({**COMMON, **own})\n")
        lines.append("        config.steps = STEPS\n        build.build_dataflow_cfg(model, config)\n")
        return "".join(lines)


def _has(writer: _Writer, name: str, value: Any) -> bool:
    return name in writer.values and repr(writer.values[name]) == repr(value)


def _indented(values: Mapping[str, Any], by: int = 4) -> str:
    text = pprint.pformat(dict(values), sort_dicts=False, width=110)
    return "\n".join(f"{' ' * by}{line}" for line in text.splitlines())
