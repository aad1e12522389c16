"""What must hold in the section `verify` beyond its structure: the data set is there, the limits can be met.

The names in `points` and `reference` are looked up by the plan, which knows the steps.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from finnyaml.errors import Problem
from finnyaml.files import reading
from finnyaml.recipe.code import check_code
from finnyaml.recipe.dataset import MAGIC
from finnyaml.recipe.model import DataSpec, Limits, Pointer, Recipe, Verify
from finnyaml.recipe.paths import check_file, check_folder
from finnyaml.text import did_you_mean, quoted

_DATA: Pointer = ("verify", "data")
_FRACTIONS = ("top_k", "agreement")
"""Kinds of metrics with values from 0 to 1."""


def check_verify(recipe: Recipe) -> Iterator[Problem]:
    """All problems of the section `verify`, in no particular order."""
    verify = recipe.verify
    if verify is None:
        return
    yield from list(_data(recipe, verify.data)) or _labels(recipe, verify)
    metric = verify.metric
    yield from check_code(recipe, ("verify", "metric"), metric.code, ("outputs", "labels", "reference"), {})
    if reference := verify.reference.file:
        place: Pointer = ("verify", "reference")
        if key := verify.reference.key:
            yield from _archive(recipe, (*place, "npz"), reference, {(*place, "outputs"): key})
        else:
            yield from _array_file(recipe, (*place, "npy"), reference)
    yield from _limits(recipe, verify)
    yield from _points(recipe, verify)


def _data(recipe: Recipe, data: DataSpec) -> Iterator[Problem]:
    if data.kind == "npz" and data.file:
        keys = {(*_DATA, "inputs"): data.inputs_key, (*_DATA, "labels"): data.labels_key}
        yield from _archive(recipe, (*_DATA, "npz"), data.file, keys)
    elif data.kind == "npy" and data.file:
        yield from _array_file(recipe, (*_DATA, "inputs"), data.file)
        if data.labels_file:
            yield from _array_file(recipe, (*_DATA, "labels"), data.labels_file)
    elif data.kind == "images" and data.file:
        yield from check_folder(recipe, (*_DATA, "images"), data.file)
    else:
        yield from check_code(recipe, (*_DATA, "python"), data.code, (), data.args)


def _archive(recipe: Recipe, pointer: Pointer, file: Path, keys: dict[Pointer, str | None]) -> Iterator[Problem]:
    """An .npz archive must be one, and have the arrays that the recipe names at the pointers `keys`."""
    if str(file) in recipe.downloads:
        return  # it may not be here yet
    if missing := check_file(recipe, pointer, file):
        yield from missing
        return
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        hint = "numpy.savez writes such archives; of .npy files, write `inputs: x.npy` without `npz:`"
        yield Problem(f"{quoted(file.name)} is not an .npz archive: {error}", recipe.at(pointer), hint)
        return
    for place, key in keys.items():
        if key is not None and key not in names:
            hint = did_you_mean(key, names) or "the archive is empty"
            yield Problem(f"there is no array {quoted(key)} in {quoted(file.name)}", recipe.at(place), hint)


def _array_file(recipe: Recipe, pointer: Pointer, file: Path) -> Iterator[Problem]:
    if str(file) in recipe.downloads:
        return
    if missing := check_file(recipe, pointer, file):
        yield from missing
        return
    try:
        with reading(file, follow=True) as stream:
            start = stream.read(len(MAGIC))
    except OSError as error:
        yield Problem(f"cannot read {quoted(file.name)}: {error.strerror}", recipe.at(pointer))
        return
    if start != MAGIC:
        hint = "numpy.save writes such files; of an archive, write `npz: data.npz` and the names of the arrays in it"
        yield Problem(f"{quoted(file.name)} is not an .npy file", recipe.at(pointer), hint)


def _labels(recipe: Recipe, verify: Verify) -> Iterator[Problem]:
    """A metric that compares with labels needs a data set that has them. Of code, only running it shows that."""
    data = verify.data
    if verify.metric.kind != "top_k" or data.kind == "python":
        return
    hint = "add `labels:` to verify.data, or compare with the reference: `metric: agreement`"
    if data.kind == "images":
        if data.file is None or _has_folders(data.file):
            return
        hint = "move each class into a sub-folder of its own, or compare with the reference: `metric: agreement`"
    elif data.labels_key or data.labels_file:
        return
    metric: Pointer = ("verify", "metric")
    where = recipe.at(metric if metric in recipe.positions else _DATA)
    name = "top1" if verify.metric.k == 1 else f"top_k {verify.metric.k}"
    yield Problem(f"the metric {name} compares with labels, but the data set has none", where, hint)


def _has_folders(folder: Path) -> bool:
    try:
        return any(entry.is_dir() for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:  # the point that reads it will say so
        return True


def _limits(recipe: Recipe, verify: Verify) -> Iterator[Problem]:
    everywhere = verify.limits
    yield from _limits_of(recipe, ("verify",), everywhere, everywhere, verify.metric.kind)
    for point in verify.points or ():
        own = point.limits
        low = everywhere.min if own.min is None else own.min
        high = everywhere.max if own.max is None else own.max
        in_force = Limits(min=low, max=high) if own.min is not None or own.max is not None else Limits()
        yield from _limits_of(recipe, point.pointer, own, in_force, verify.metric.kind)


def _limits_of(recipe: Recipe, pointer: Pointer, limits: Limits, in_force: Limits, metric: str) -> Iterator[Problem]:
    """What is wrong with the `limits` written at `pointer`; `in_force` has the min and max that hold there."""
    fractions = ["min_agreement", *(("max_drop", "min", "max") if metric in _FRACTIONS else ())]
    for key in fractions:
        value = getattr(limits, key)
        if value is not None and not 0 <= value <= 1:
            hint = f"write {value / 100:g} for {value:g} %" if 1 < value <= 100 else None
            yield Problem(f"{key} is a fraction from 0 to 1 here, not {value:g}", recipe.at((*pointer, key)), hint)
    if metric == "psnr" and limits.max_drop is not None:
        message = "max_drop cannot hold for psnr: compared with itself, the reference has an infinite one"
        yield Problem(message, recipe.at((*pointer, "max_drop")), "write the least value in decibels: `min: 40`")
    if in_force.min is not None and in_force.max is not None and in_force.min > in_force.max:
        message = f"no value passes: min is {in_force.min:g}, but max is {in_force.max:g}"
        key = "min" if limits.min is not None else "max"
        yield Problem(message, recipe.at((*pointer, key)))


def _points(recipe: Recipe, verify: Verify) -> Iterator[Problem]:
    most = verify.data.limit
    first: dict[str, Pointer] = {}
    for point in verify.points or ():
        earlier = recipe.at(first.setdefault(point.after, point.pointer))
        if first[point.after] != point.pointer:
            line = f": line {earlier.line} has one already" if earlier else ""
            where = recipe.at((*point.pointer, "after"))
            yield Problem(f"two points after {quoted(point.after)}{line}", where, "write all its limits in one entry")
        if most and point.limit and point.limit > most:
            message = f"a limit of {point.limit} has no effect: verify.data.limit takes only {most} samples"
            yield Problem(message, recipe.at((*point.pointer, "limit")), None, "warning")
    if verify.data.shuffle is not None and not most and not any(point.limit for point in verify.points or ()):
        message = "shuffle has no effect: without a limit, all samples are taken, and they keep their order"
        yield Problem(message, recipe.at((*_DATA, "shuffle")), "add `limit: 500`, or remove it", "warning")
