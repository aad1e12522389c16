"""Images and labels in files of NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import AcceleratorError

_USUAL = {
    "images": ("images", "inputs", "x_test", "x", "X", "data"),
    "labels": ("labels", "targets", "y_test", "y", "Y"),
}
"""What people call these arrays."""


def read_array(path: Path, key: str | None, what: str) -> np.ndarray:
    """An array of an .npz archive, or the one of an .npy file, with the shape and dtype that it was stored with.

    key: its name in the archive; None: the one that is usual for `what` ("images" or "labels").
    Raises AcceleratorError: "wrong use": no such file or array, or one that holds Python objects.
    """
    try:
        with path.open("rb") as stream:
            found = np.load(stream, allow_pickle=False)
            if not isinstance(found, np.ndarray):
                array: np.ndarray = found[_name(path, found.files, key, what)]
                return array
    except AcceleratorError:
        raise
    except Exception as error:  # of a damaged file NumPy and zipfile say it with a dozen types
        raise AcceleratorError(f"cannot read {path}: {error}", name="wrong use", hint=_HINT) from error
    if what == "labels":
        raise AcceleratorError(f"{path} is one array, without labels", name="wrong use", hint=_HINT)
    return found


def _name(path: Path, names: list[str], key: str | None, what: str) -> str:
    wanted = [key] if key is not None else [name for name in _USUAL[what] if name in names]
    if key is None and what == "images" and not wanted and len(names) == 1:
        wanted = list(names)
    if not wanted or wanted[0] not in names:
        said = f"no array '{key}'" if key is not None else f"no array that is called as {what} usually are"
        raise AcceleratorError(
            f"there is {said} in {path}; there is: {', '.join(names)}", name="wrong use", hint=f"name it with --{what}"
        )
    return wanted[0]


_HINT = "numpy.savez(file, images=..., labels=...) writes such archives"
