"""From the composed document to the values of `model`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finnyaml.recipe import model
from finnyaml.recipe.amounts import resources
from finnyaml.recipe.bundle import filled
from finnyaml.recipe.code import code_ref, is_code
from finnyaml.recipe.compose import NOT_OF_A_VARIANT, Composed
from finnyaml.recipe.model import Pointer, StepEntry
from finnyaml.recipe.paths import located

_WITH_FILE = ("folding", "specialize", "fifo")
"""The sections that may name a file of FINN's own."""


def build(composed: Composed, data: Mapping[str, Any]) -> model.Recipe:
    """The recipe that `data` describes: the composed document, or the structurally valid part of it."""
    return _Builder(composed, data).recipe()


def default_id(uses: str) -> str:
    """The id of a step entry without `id`: the last part of what it uses, without `step_`."""
    return re.split(r"[.:]", uses)[-1].removeprefix("step_")


class _Builder:
    def __init__(self, composed: Composed, data: Mapping[str, Any]) -> None:
        self._composed = composed
        self._data = data
        self._path = composed.files[0]
        self._downloads: dict[str, model.Download] = {}

    def recipe(self) -> model.Recipe:
        data = {key: value for key, value in self._data.items() if key not in NOT_OF_A_VARIANT}
        folder, variant = self._path.parent, self._composed.variant
        name = data.get("name") or re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name) or "recipe"
        output = folder / data.get("output", "build")
        return model.Recipe(
            path=self._path,
            name=f"{name}-{variant}" if variant else name,
            description=data.get("description", ""),
            model=self._model(data.get("model", {})),
            preprocess=tuple(self._stages("preprocess")),
            postprocess=tuple(self._stages("postprocess")),
            steps=self._steps(data.get("steps", [])),
            settings=self._settings(),
            targets=data.get("targets", {}),
            # Always beside the recipe that is built, also where the key is inherited.
            workspace=output / variant if variant else output,
            files=self._composed.files,
            env=dict(self._composed.env),
            resolved=data,
            toolchain=data.get("toolchain", "auto"),
            verify=self._verify(data.get("verify", {})),
            lint=_lint(data.get("lint", {})),
            bundle=self._bundle(data["bundle"]) if "bundle" in data else None,
            downloads=self._downloads,
            variant=variant,
            variants=self._composed.variants,
            values=self._composed.values,
            lists=self._composed.lists,
            objectives=tuple(_objectives(self._data.get("objectives") or {})),
            search=_search(self._data),
            positions=dict(self._composed.root.positions()),
        )

    def _folder(self, pointer: Pointer) -> Path:
        """The folder that a path at `pointer` is relative to: that of the file that wrote it."""
        return self._composed.root.nearest(pointer).where.file.parent

    def _file(self, written: Any, pointer: Pointer) -> Path | None:
        if isinstance(written, dict):
            download = model.Download(written["url"], written["sha256"], pointer)
            self._downloads[str(download.path)] = download
            return download.path
        return None if written is None else located(self._folder(pointer), written)

    def _model(self, data: Mapping[str, Any]) -> model.ModelSource:
        spec = data.get("input", {})
        shape = spec.get("shape")
        code = data.get("brevitas")
        return model.ModelSource(
            brevitas=code_ref(code, self._folder(("model", "brevitas"))) if code else None,
            onnx=self._file(data.get("onnx"), ("model", "onnx")),
            args=data.get("args", {}),
            weights=self._file(data.get("weights"), ("model", "weights")),
            weights_key=data.get("weights_key"),
            export=data.get("export", {}),
            input=model.InputSpec(tuple(shape) if shape else None, spec.get("datatype"), spec.get("layout")),
            trust=_trust(data),
        )

    def _stages(self, section: str) -> Iterator[model.Processing]:
        for index, stage in enumerate(self._data.get(section, [])):
            pointer = (section, index)
            if isinstance(stage, str):
                yield model.Processing(stage)
            elif "brevitas" in stage:
                code = code_ref(stage["brevitas"], self._folder((*pointer, "brevitas")))
                yield model.Processing("brevitas", {"args": stage.get("args", {})}, code=code)
            elif "onnx" in stage:
                yield model.Processing("onnx", file=self._file(stage["onnx"], (*pointer, "onnx")))
            elif "normalize" in stage:
                yield model.Processing("normalize", stage["normalize"])
            else:
                yield model.Processing("top_k", {"k": stage["top_k"]})

    def _steps(self, data: Any) -> model.Steps:
        if isinstance(data, str):
            return model.Steps(flow=data)
        if isinstance(data, list):
            return model.Steps(entries=self._entries(data, ("steps",)))
        # Only where other errors are to be shown beside it can the flow be missing.
        return model.Steps(flow=data.get("flow", ""), edits=tuple(self._edits(data)))

    def _edits(self, data: Mapping[str, Any]) -> Iterator[model.FlowEdit]:
        for op, edits in data.items():  # in the order in which the recipe has them
            if op == "flow":
                continue
            for index, edit in enumerate(edits):
                pointer = ("steps", op, index)
                if op == "insert":
                    side = "before" if "before" in edit else "after"
                    entries = self._entries(edit["steps"], (*pointer, "steps"))
                    yield model.FlowEdit(f"insert_{side}", edit[side], (*pointer, side), entries)
                elif op == "replace":
                    entries = self._entries(edit["by"], (*pointer, "by"))
                    yield model.FlowEdit("replace", edit["step"], (*pointer, "step"), entries)
                else:
                    yield model.FlowEdit("remove", edit, pointer)

    def _entries(self, data: Any, pointer: Pointer) -> tuple[StepEntry, ...]:
        """One entry or a list of them."""
        if isinstance(data, list):
            return tuple(self._entry(entry, (*pointer, index)) for index, entry in enumerate(data))
        return (self._entry(data, pointer),)

    def _entry(self, data: Any, pointer: Pointer) -> StepEntry:
        if isinstance(data, str):
            data, written = {"uses": data}, pointer
        else:
            written = (*pointer, "uses")
        code = code_ref(data["uses"], self._folder(written), "steps") if is_code(data["uses"]) else None
        needs = data.get("needs")
        extra = data.get("with", {})
        own = data["uses"].startswith("rtl.")
        return StepEntry(
            uses=data["uses"],
            pointer=pointer,
            id=data.get("id"),
            needs=None if needs is None else (needs,) if isinstance(needs, str) else tuple(needs),
            with_=extra if code or own else {key: self._section(key, extra, (*pointer, "with")) for key in extra},
            code=code,
            timeout=data.get("timeout"),
            tools=tuple(data.get("tools", ())),
            expect=data.get("expect"),
            trust=_trust(data),
            resources=resources(data.get("resources", {})),
        )

    def _settings(self) -> model.Settings:
        given = [key for key in (*_WITH_FILE, "target", "finn") if key in self._data]
        sections = {key: self._section(key, self._data, ()) for key in given}
        outputs = self._data.get("outputs")
        return model.Settings(**sections, outputs=None if outputs is None else tuple(outputs))

    def _section(self, key: str, data: Mapping[str, Any], pointer: Pointer) -> Any:
        """The section `key` of `data`, its file name made a path."""
        section = data[key]
        if key in _WITH_FILE and "file" in section:
            return {**section, "file": self._file(section["file"], (*pointer, key, "file"))}
        return section

    def _verify(self, data: Mapping[str, Any]) -> model.Verify | None:
        spec = self._data_set(data.get("data", {}))
        if spec is None:
            return None
        points = data.get("points")
        return model.Verify(
            data=spec,
            metric=self._metric(data.get("metric", "top1")),
            reference=self._reference(data.get("reference", "source")),
            limits=_limits(data),
            points=None if points is None else tuple(_point(point, index) for index, point in enumerate(points)),
            on_fail=data.get("on_fail", "stop"),
        )

    def _data_set(self, data: Mapping[str, Any]) -> model.DataSpec | None:
        """None where other errors say that there is no data set."""
        at: Pointer = ("verify", "data")
        limit, shuffle = data.get("limit"), data.get("shuffle")

        def file(key: str) -> Path | None:
            return self._file(data.get(key), (*at, key))

        if "npz" in data:
            inputs, labels = (None if data.get(key) is None else str(data[key]) for key in ("inputs", "labels"))
            return model.DataSpec("npz", file("npz"), inputs, labels, limit=limit, shuffle=shuffle)
        if "inputs" in data:
            return model.DataSpec("npy", file("inputs"), labels_file=file("labels"), limit=limit, shuffle=shuffle)
        if "images" in data:
            return model.DataSpec("images", file("images"), limit=limit, shuffle=shuffle)
        if "python" in data:
            code = code_ref(data["python"], self._folder((*at, "python")), "data_sources")
            args = data.get("args", {})
            return model.DataSpec("python", code=code, args=args, limit=limit, shuffle=shuffle, trust=_trust(data))
        return None

    def _metric(self, data: Any) -> model.MetricSpec:
        if isinstance(data, dict):
            return model.MetricSpec("top_k", data["top_k"])
        if is_code(data):
            return model.MetricSpec("python", code=code_ref(data, self._folder(("verify", "metric")), "metrics"))
        return model.MetricSpec("top_k", 1) if data == "top1" else model.MetricSpec(data)

    def _reference(self, data: Any) -> model.ReferenceSpec:
        if isinstance(data, str):
            return model.ReferenceSpec("source") if data == "source" else model.ReferenceSpec("step", data)
        kind = "npz" if "npz" in data else "npy"
        file = self._file(data[kind], ("verify", "reference", kind))
        return model.ReferenceSpec("file", file=file, key=data.get("outputs"))

    def _bundle(self, data: Mapping[str, Any]) -> model.BundleSpec:
        files = {to: template for template, to in map(filled, data.get("files", ()))}
        templates = self._file(data.get("templates"), ("bundle", "templates"))
        return model.BundleSpec(data.get("golden", model.BundleSpec.golden), templates, files, data.get("vars", {}))


def _trust(data: Mapping[str, Any]) -> model.Trust:
    return model.Trust(data.get("always", False), data.get("pure"))


def _objectives(data: Mapping[str, Any]) -> Iterator[model.Objective]:
    for name, written in data.items():
        said: Mapping[str, Any] = {"goal": written} if isinstance(written, str) else written
        yield model.Objective(name, said["goal"], said.get("min"), said.get("max"), said.get("from"))


def _search(data: Mapping[str, Any]) -> model.Search | None:
    said = data.get("search")
    if not said:
        return None
    objectives = tuple(said.get("objectives", data.get("objectives") or ()))
    return model.Search(said["trials"], said.get("seed", 0), objectives)


def _limits(data: Mapping[str, Any]) -> model.Limits:
    """The limits among the keys of the section or of one point."""
    plain = {key: data[key] for key in ("max_drop", "min", "max", "min_agreement") if key in data}
    return model.Limits(**plain, **data.get("tolerance", {}))


def _point(data: Any, index: int) -> model.PointEntry:
    pointer = ("verify", "points", index)
    if isinstance(data, str):
        return model.PointEntry(data, pointer)
    return model.PointEntry(data["after"], pointer, _limits(data), data.get("on_fail"), data.get("limit"))


def _lint(data: Mapping[str, Any]) -> model.LintSettings:
    items = [{"rule": item} if isinstance(item, str) else item for item in data.get("ignore", ())]
    return model.LintSettings(tuple((item["rule"], item.get("node")) for item in items))
