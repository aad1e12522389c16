"""What runs again after a change of digits-cnv, and what does not.

All builds use `--json`, which never takes the quick path: so it is the traces of the store that decide, not the stamp.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.bench import Project, table


def run(folder: Path) -> None:
    """Change one thing after the other; print which tasks ran and how long it took."""
    project = Project.of_digits(folder / "digits-cnv", folder / "store")
    project.finnyaml("plan")  # asks FINN once for what it has
    rows = []
    cold = 0.0

    def build(change: str, **environment: str) -> None:
        nonlocal cold
        seconds, ran, tasks = project.build(**environment)
        cold = cold or seconds
        rows.append([change, f"{len(ran)} of {len(tasks)}", f"{seconds:.2f} s", f"{seconds / cold:.2f}x"])
        if ran and len(ran) < len(tasks):
            listed.append(f"{change}: {', '.join(ran)}")

    listed: list[str] = []
    build("first build, store empty")
    build("nothing")
    _edit(project.folder / "recipe.yaml", "target_fps: 2000", "target_fps: 1000")
    build("target_fps 2000 to 1000")
    _edit(project.folder / "recipe.yaml", "target_fps: 1000", "target_fps: 2000")
    build("target_fps back to 2000")
    _edit(project.folder / "recipe.yaml", "name: digits-cnv", "# a comment\nname: digits-cnv")
    build("a comment in recipe.yaml")
    _edit(project.folder / "model.py", "IMAGE_SIZE = 14", "# a comment\nIMAGE_SIZE  =  14")
    build("a comment and blanks in model.py")
    project.folder = Path(shutil.move(project.folder, folder / "another" / "place" / "for-it"))
    build("the project moved to another folder")
    project = Project.of_digits(folder / "colleague", project.store)
    build("another copy, process and hash seed", PYTHONHASHSEED="7")
    table(["changed", "ran", "time", "of first"], rows)
    print("\nRan again:")
    for line in listed:
        print(f"  {line}")


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} has no {old!r}"
    path.write_text(text.replace(old, new))
