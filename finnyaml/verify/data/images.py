"""A folder of images as samples, decoded a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from finnyaml.errors import StepFailed

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""What counts as an image; other files in the folder are left alone."""

_GREY = ("1", "L")
_COLOUR = ("RGB", "P", "YCbCr", "CMYK")


class Images:
    """Images below `folder`, in the order of their names.

    Each sub-folder is a class: the first by name has label 0. Where there is none, the folder itself holds the images,
    and they have no labels. `shape` is [n, height, width, 1 or 3].
    """

    def __init__(self, folder: Path) -> None:
        """Raises StepFailed: no images, a mixture of both forms, or a first image that cannot be used."""
        loose, classes = _entries(folder)
        if loose and classes:
            raise StepFailed(
                f"{folder.name} has images beside the class folders: {os.path.basename(loose[0])} is in none",
                hint="put every image into the folder of its class; or, without labels, all into one folder",
            )
        found = [_entries(Path(name))[0] for name in classes] or [loose]
        self._files = [file for files in found for file in files]
        if not self._files:
            raise StepFailed(f"there is no image in {folder.name}", hint=f"images end in {', '.join(ENDINGS)}")
        self._labels: np.ndarray = np.repeat(np.arange(len(found), dtype=np.int64), [len(files) for files in found])
        self.labelled = bool(classes)
        with _image(self._files[0]) as image:
            self._mode, size = _kind(image, self._files[0]), image.size
        self.shape: tuple[int, ...] = (len(self._files), size[1], size[0], 1 if self._mode == "L" else 3)

    def __len__(self) -> int:
        return len(self._files)

    def pieces(self, chunks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """For each of `chunks` (numbers of images), those: uint8 [len(chunk), height, width, 1 or 3], labels.

        Raises StepFailed: an image cannot be read, or differs in size or kind from the first.
        """
        for chunk in chunks:
            images = np.stack([self._decoded(self._files[index]) for index in chunk])
            yield images, self._labels[chunk] if self.labelled else None

    def _decoded(self, file: str) -> np.ndarray:
        with _image(file) as image:
            mode, size = _kind(image, file), image.size
            if size != (self.shape[2], self.shape[1]) or mode != self._mode:
                raise StepFailed(
                    f"the image {_short(file)} is {_described(mode, size)}, but {_short(self._files[0])} is "
                    f"{_described(self._mode, (self.shape[2], self.shape[1]))}",
                    hint="all images must have one size and be all grey or all colour: convert them beforehand",
                )
            try:
                pixels: np.ndarray = np.asarray(image.convert(self._mode), np.uint8)
            except (OSError, ValueError, SyntaxError) as error:
                raise _unreadable(file, error) from error
        return pixels.reshape(self.shape[1:])


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """The images and the sub-folders right in `folder`, by name; hidden ones do not count."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
    except OSError as error:
        raise StepFailed(f"cannot read the folder {folder.name}: {error.strerror}") from error
    images = [entry.path for entry in found if entry.name.lower().endswith(ENDINGS) and entry.is_file()]
    return images, [entry.path for entry in found if entry.is_dir()]


def _image(file: str) -> Image:
    try:
        from PIL import Image
    except ImportError as error:
        raise StepFailed("image folders need Pillow", hint="install 'pillow' next to finnyaml") from error
    try:
        return Image.open(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(file, error) from error


def _kind(image: Image, file: str) -> str:
    """`L` for grey images, `RGB` for those in colour."""
    if image.mode in _GREY:
        return "L"
    if image.mode in _COLOUR:
        return "RGB"
    raise StepFailed(
        f"the image {_short(file)} is of the kind {image.mode}; only 8-bit grey and colour images can be used",
        hint="convert it beforehand (without an alpha channel), or deliver arrays with `python:`",
    )


def _unreadable(file: str, error: Exception) -> StepFailed:
    return StepFailed(f"the image {_short(file)} cannot be read: {error}", hint="replace it, or take it away")


def _short(file: str) -> str:
    """The file with its folder: the class is part of what tells images apart."""
    return os.path.join(*Path(file).parts[-2:])


def _described(mode: str, size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels, {'grey' if mode == 'L' else 'colour'}"
