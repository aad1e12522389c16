"""A disk that is full, fails or is slow, below the folder of the project and its store: by the shim of `shim.c`."""

from __future__ import annotations

from random import Random

from tests.faults.sound import Sound, shim, told
from tests.project import Project


class Disk:
    """Builds of a small project in an empty store; all its files and the store's are on the disk that fails."""

    def __init__(self, sound: Sound) -> None:
        self._sound, self._library = sound, shim(sound.folder.parent)
        self._state = sound.folder.with_name("state")
        project = self._sound.unbuilt()
        told(*self._build(project))
        numbers = self._state.read_bytes()
        self._bytes, self._calls = (int.from_bytes(half, "little") for half in (numbers[:8], numbers[8:]))
        assert self._bytes and self._calls, "the library is not used"

    def full(self, chance: Random) -> str:
        """Full after some bytes of the build."""
        return self._round(FAULT_BYTES=str(chance.randrange(self._bytes)))

    def failing(self, chance: Random) -> str:
        """One call of the build fails."""
        return self._round(FAULT_CALL=str(chance.randint(1, self._calls)))

    def slow(self, chance: Random) -> str:
        """Every call takes its time."""
        outcome = self._round(FAULT_SLOW=str(chance.choice((100, 1000, 5000))))
        assert outcome == "built all the same", outcome
        return outcome

    def _round(self, **fault: str) -> str:
        project = self._sound.unbuilt()
        error = told(*self._build(project, **fault))
        try:
            self._sound.check_store(project)
            self._sound.check(project)
        except AssertionError as wrong:
            raise AssertionError(f"{fault}: {error or 'built'}; then: {wrong}") from None
        if not error:
            return "built all the same"
        assert "No space left" in error or "disk is full" in error or "Input/output error" in error, error
        return "refused, then right"

    def _build(self, project: Project, **fault: str) -> tuple[int, str]:
        """A build on the bad disk: its exit code, and what it says."""
        self._state.write_bytes(bytes(16))
        below = {"FAULT_BELOW": str(self._sound.folder), "FAULT_STATE": str(self._state)}
        done = project.run("build", "recipe.yaml", LD_PRELOAD=str(self._library), **below, **fault)
        return done.returncode, done.stderr
