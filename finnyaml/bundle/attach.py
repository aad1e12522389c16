"""A bitfile for a bundle that was built without one."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from finnyaml import __version__
from finnyaml.accelerator.contract import FORMAT, Bundle
from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.accelerator.files import changed_files, sha256_of
from finnyaml.bundle import bitfiles, build_results
from finnyaml.bundle.names import FACTS, KEPT
from finnyaml.bundle.render import Templates, read_templates
from finnyaml.bundle.write import files_of, finish, problems
from finnyaml.errors import Problem, RecipeError, StepFailed


def attach(folder: Path, bitfile: Path, hwh: Path | None = None) -> dict[str, Any]:
    """Put a bitfile into a bundle, after all checks, and renew what depends on it, the archive beside it included.

    Nothing is changed if anything fails: the new bundle is made aside and takes the place of the old one at the end.

    folder: the bundle. bitfile: a .bit for Zynq and ZynqMP, an .xclbin for Alveo. hwh: what Vivado writes with a .bit;
    by default the one of the same name beside it. Returns the new bundle.json.

    Raises:
        RecipeError: the bitfile is damaged or of another build, or the folder is not a sound bundle.
        StepFailed: the folder cannot be written, or a template cannot be filled in.
    """
    folder = folder.resolve()
    try:
        _check_form(folder / FACTS)
        bundle = Bundle.load(folder)
        _check_sound(bundle)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
            data = _made(bundle, Path(aside, folder.name), bitfile, hwh)
            _exchange(folder, Path(aside))
    except AcceleratorError as error:
        raise RecipeError([Problem(f"{error.name}: {error.message}", hint=error.hint)]) from error
    except OSError as error:
        raise StepFailed(f"cannot renew {folder}: {error.strerror} ({error.filename})") from error
    return data


def _made(bundle: Bundle, target: Path, bitfile: Path, hwh: Path | None) -> dict[str, Any]:
    """A copy of the bundle with the bitfile, complete."""
    shutil.copytree(bundle.folder, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    data: dict[str, Any] = json.loads(json.dumps(bundle.data))
    data["attached"] = data["attached"] or {"to": sha256_of(bundle.folder / FACTS)}
    strangers = files_of(target) - set(data["files"])
    bitfiles.place(target, data, bitfile, hwh or bitfile.with_suffix(".hwh"))
    bitfiles.check(target, data)
    data["missing"] = build_results.missing(data)
    kept = target / KEPT
    finish(target, data, Templates(read_templates(kept) if kept.is_dir() else {}, KEPT), strangers)
    return data


def _check_form(file: Path) -> None:
    """Whether this finnyaml knows what this bundle.json says; what is not JSON at all, `Bundle.load` tells."""
    try:
        data = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return
    found = problems(data)
    if not found:
        return
    made_by = data.get("built_with", {}).get("finnyaml") if isinstance(data, dict) else None
    if isinstance(made_by, str) and (made_by != __version__ or data.get("format") != FORMAT):
        raise AcceleratorError(
            f"bundle.json is of finnyaml {made_by} (format {data.get('format')}), this is finnyaml {__version__} "
            f"(format {FORMAT}), and it does not fit: {found[0]}",
            name="other version",
            hint="build it again" + (f", or attach with finnyaml {made_by}" if made_by != __version__ else ""),
        )
    raise AcceleratorError(
        f"bundle.json does not fit the schema of this finnyaml ({__version__}): {found[0]}",
        name="bundle damaged",
        hint="build it again; if it is of this very finnyaml, somebody has changed it: unpack its .tar.gz again",
    )


def _check_sound(bundle: Bundle) -> None:
    """What has changed since the build would get new digests, and pass for what was built."""
    links = [path for path in bundle.folder.rglob("*") if path.is_symlink()]
    if links:
        name = links[0].relative_to(bundle.folder).as_posix()
        message = f"{name} is a link, through which files elsewhere would be written"
        raise AcceleratorError(message, name="bundle damaged", hint="remove it, or unpack the .tar.gz again")
    changed = [(path, what) for path, what in changed_files(bundle) if not path.startswith(f"{bitfiles.FOLDER}/")]
    if changed:
        (path, what), more = changed[0], f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise AcceleratorError(
            f"the bundle is not as it was built: {path}: {what}{more}",
            name="file changed",
            hint="unpack its .tar.gz again; words of your own go into templates of the recipe",
        )


def _exchange(folder: Path, aside: Path) -> None:
    """Put the new folder and the new archive in their places."""
    old = aside / "old"
    folder.rename(old)
    try:
        (aside / folder.name).rename(folder)
    except OSError:
        old.rename(folder)
        raise
    name = f"{folder.name}.tar.gz"
    (aside / name).replace(folder.with_name(name))
