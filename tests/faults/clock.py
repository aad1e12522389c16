"""A clock that is moved by more than a year between builds: nothing old may pass for what was asked."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from tests.faults.sound import CHAIN, Sound, files, same, shim
from tests.project import STEPS

DAYS = (-400, -1, 0, 1, 400)
FACTORS = ("2.0", "5.0")
SIGNS = ("*", "+")


class Clock:
    """A small project, edited between builds whose clocks are off."""

    def __init__(self, sound: Sound) -> None:
        self._sound, self._library = sound, shim(sound.folder.parent)
        self._expected: dict[tuple[str, str], dict[str, bytes]] = {}

    def round(self, chance: Random) -> str:
        """Four builds after another, each after an edit (or none) and at another time."""
        moves = [(chance.choice(FACTORS), chance.choice(SIGNS), chance.choice(DAYS)) for _ in range(4)]
        for factor, sign, _ in moves:
            self._make_sure_of(factor, sign)
        project, moved = self._sound.copy(), []
        for *state, days in moves:
            moved.append(days)
            self._edit(project.folder, state[0], state[1])
            if chance.random() < 0.2:
                shutil.rmtree(project.folder / "build", ignore_errors=True)
            clock = {"LD_PRELOAD": str(self._library), "FAULT_CLOCK": str(days * 86400)}
            done = project.run("build", "recipe.yaml", **clock)
            assert done.returncode == 0, f"days {moved}: {done.stderr}"
            try:
                same(files(project), self._expected[state[0], state[1]])
            except AssertionError as stale:
                raise AssertionError(f"days {moved}: {stale}") from None
        return "right four times"

    def _make_sure_of(self, factor: str, sign: str) -> None:
        """That it is known what a clean build gives."""
        if (factor, sign) not in self._expected:
            project = self._sound.unbuilt()
            self._edit(project.folder, factor, sign)
            project.build()
            self._expected[factor, sign] = files(project)

    def _edit(self, folder: Path, factor: str, sign: str) -> None:
        """In place and of the same size; what is as it should be stays untouched."""
        recipe = CHAIN.replace("by: 2.0", f"by: {factor}")
        steps = STEPS.replace("(name) * np.", f"(name) {sign} np.")
        for name, text in (("recipe.yaml", recipe), ("steps.py", steps)):
            if (folder / name).read_text() != text:
                (folder / name).write_text(text)
