"""Refuses images that are not what the contract says, before the accelerator makes wrong outputs of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from ..contract import Bundle, User
from ..errors import AcceleratorError
from ..numbers.codes import all_whole, within

_REACH = 0.3
"""Images whose largest value is below this fraction of their range were meant for a smaller range."""


def check_images(images: np.ndarray, bundle: Bundle) -> np.ndarray:
    """The images as an array [n, *shape] of the input's dtype; nothing is converted.

    Raises AcceleratorError: "wrong dtype", "wrong shape", "wrong layout", "wrong range" or "wrong input scaling", with
    what to do about it.
    """
    wanted = bundle.input
    images = as_array(images)
    with np.errstate(invalid="ignore"):  # older numpy warns of NaN
        _check_dtype(images, wanted)
        _check_shape(images, wanted)
        _check_values(images, wanted)
    return images


def as_array(images: object) -> np.ndarray:
    """Images, or a list of them, as one array.

    Raises AcceleratorError: "wrong shape": they are of several shapes; "wrong dtype": some values are masked out.
    """
    if isinstance(images, np.ma.MaskedArray):
        raise AcceleratorError(
            "images are a masked array, and the accelerator knows no mask",
            name="wrong dtype",
            hint="images.filled(value) puts a value where the mask is",
        )
    try:
        found: np.ndarray = np.asarray(images)
    except ValueError as error:
        raise _ragged() from error
    if found.dtype == object and not isinstance(images, np.ndarray):
        _check_are_images(images)
        raise _ragged()  # numpy before 1.24
    return found


def _check_are_images(images: object) -> None:
    """Raises AcceleratorError: "wrong dtype", where numpy sees an object and no numbers."""
    hint = "hand over an array [n, ...], or a list of arrays"
    if not isinstance(images, (list, tuple)):
        if isinstance(images, Iterator):
            hint = "it gives its images one after the other; list(images) takes them all"
        message = f"images are {'None' if images is None else f'of the type {type(images).__name__}, not an array'}"
        raise AcceleratorError(message, name="wrong dtype", hint=hint)
    for number, image in enumerate(images):
        if image is None or isinstance(image, (str, bytes, dict)):
            kind = "None" if image is None else f"of the type {type(image).__name__}"
            raise AcceleratorError(f"image {number} is {kind}", name="wrong dtype", hint=hint)


def _ragged() -> AcceleratorError:
    return AcceleratorError(
        "the images are of several shapes, so they are not one array",
        name="wrong shape",
        hint="resize or crop them as the data set of the build was",
    )


def _check_dtype(images: np.ndarray, wanted: User) -> None:
    if images.dtype != wanted.dtype:
        raise AcceleratorError(
            f"images are {images.dtype}, the input takes {wanted.dtype}",
            name="wrong dtype",
            hint=_dtype_hint(images, wanted),
        )


def _dtype_hint(images: np.ndarray, wanted: User) -> str:
    """What to do, as far as the values tell."""
    given = f"hand them over as the data set of the build has them, as {wanted.dtype}{_values(wanted)}"
    if images.dtype.kind not in "iuf" or not images.size:
        return given
    low, high = float(images.min()), float(images.max())
    if np.isnan(low):
        return f"{given}; there is NaN among them"
    least, most = wanted.range or (wanted.datatype.low, wanted.datatype.high)
    whole = all_whole(images)
    if wanted.dtype.kind in "iu" and not whole and low >= -1 and high <= 1 < most:
        said = f"wrong input scaling: values from {low:g} to {high:g} are scaled already; {given}"
        undone = _unscaled(images, low, high, most) if least == 0 else None
        return said if undone is None else f"{said}, or {undone}.round().astype(np.{wanted.dtype})"
    if (least, most) == (0, 1) and _bytes(images):
        return f"divide them by 255: images.astype(np.{wanted.dtype}) / np.{wanted.dtype}(255)"
    if not low >= least or not high <= most:
        wraps = f"the accelerator takes {_range(wanted)}, and a cast would wrap them"
        return f"their values go from {low:g} to {high:g}; {wraps}"
    as_they_are = whole if wanted.dtype.kind in "iu" else images.dtype.kind == "f"
    if as_they_are and (wanted.range is None or high >= _REACH * most):
        return f"all values fit: images.astype(np.{wanted.dtype})"
    return given


def _unscaled(images: np.ndarray, low: float, high: float, most: float) -> str | None:
    """The expression that makes the integers 0 to `most` of images in -1 to 1; None where none does for sure.

    It is sure where whole numbers come out: scaled twice, or normalised, the images give others.
    """
    if low >= 0 and high >= _REACH and _nearly_whole(images * most):
        return f"(images * {most:g})"
    if low < 0 and _nearly_whole((images + 1) * (most / 2)):
        return f"((images + 1) * {most / 2:g})"
    return None


def _nearly_whole(values: np.ndarray) -> bool:
    """As whole as float16 can tell, for values up to 255."""
    return bool((np.abs(values - np.rint(values)) < 0.2).all())


def _bytes(images: np.ndarray) -> bool:
    """Whether the values look like those of 8 bits: whole numbers that go far beyond 0 to 1."""
    return within(images, 0, 255) and bool(images.max() >= _REACH * 255) and all_whole(images)


def _check_shape(images: np.ndarray, wanted: User) -> None:
    if images.shape[1:] == wanted.shape and images.ndim:
        return
    shown = f"[n, {', '.join(map(str, wanted.shape))}]" + (f" ({wanted.layout})" if wanted.layout else "")
    message = f"images are {list(images.shape)}, the input takes {shown}"
    if images.shape == wanted.shape:
        raise AcceleratorError(
            f"{message}: the batch axis is missing",
            name="wrong shape",
            hint="one image is a batch of one: images[np.newaxis]",
        )
    for batch in (images.ndim > len(wanted.shape), False):
        axes = _order(images.shape[1:] if batch else images.shape, wanted.shape)
        if axes is not None:
            order = (0, *(axis + 1 for axis in axes)) if batch else axes
            raise AcceleratorError(
                message,
                name="wrong layout",
                hint=f"images.transpose{order}" + ("" if batch else "[np.newaxis]: the batch axis is missing, too"),
            )
    flat = images.shape[1:] == (int(np.prod(wanted.shape)),)
    if flat or [size for size in images.shape[1:] if size != 1] == [size for size in wanted.shape if size != 1]:
        sizes = ", ".join(map(str, wanted.shape))
        condition = f", if they are in the order of {wanted.layout}" if flat and wanted.layout else ""
        raise AcceleratorError(message, name="wrong shape", hint=f"images.reshape(-1, {sizes}){condition}")
    raise AcceleratorError(message, name="wrong shape", hint="resize or crop them as the data set of the build was")


def _order(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    """The order of axes that makes `wanted` of `shape`: channels first or last, if that does it, else any."""
    if len(shape) != len(wanted) or sorted(shape) != sorted(wanted) or len(shape) < 2:
        return None
    axes = tuple(range(len(shape)))
    likely = [(axes[-1], *axes[:-1]), (*axes[1:], 0)]
    return next(order for order in [*likely, *permutations(axes)] if tuple(shape[axis] for axis in order) == wanted)


def _check_values(images: np.ndarray, wanted: User) -> None:
    if images.dtype.kind == "f" and np.isnan(images).any():
        where = _first(np.isnan(images))
        raise AcceleratorError(f"NaN in image {where}", name="wrong range", hint="look at how the images were prepared")
    whole = wanted.datatype.kind == "integer"
    if whole and images.dtype.kind == "f":
        fractions = np.rint(images) != images
        if fractions.any():
            raise AcceleratorError(
                f"image {_first(fractions)} has fractions, the input takes whole numbers{_values(wanted)}",
                name="wrong input scaling" if within(images, -1, 1) else "wrong range",
                hint="hand over the images as the data set of the build has them, neither divided nor normalised",
            )
    if wanted.range is None:
        return
    low, high = wanted.range
    # of real numbers the range is what the build has seen, and new images can go beyond that
    beyond = high - low if wanted.datatype.kind == "float" else 0
    if within(images, low - beyond, high + beyond):
        return
    where = _first((images < low - beyond) | (images > high + beyond))
    found = f"{images[where].min():g} to {images[where].max():g}"
    message = f"image {where} has values from {found}, the input takes {_range(wanted)}"
    if (low, high) == (0, 1) and _bytes(images):
        raise AcceleratorError(message, name="wrong input scaling", hint="divide them by 255")
    raise AcceleratorError(message, name="wrong range", hint="scale them as the data set of the build is")


def _first(bad: np.ndarray) -> int:
    """The index of the first image with something bad (bool [n, ...])."""
    return int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))


def _range(wanted: User) -> str:
    low, high = wanted.range or (wanted.datatype.low, wanted.datatype.high)
    return f"{low:g} to {high:g}"


def _values(wanted: User) -> str:
    return f" from {_range(wanted)}" if wanted.range else ""
