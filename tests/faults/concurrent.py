"""Ten builds at once on one store, in one workspace and in others, beside commands that look after both."""

from __future__ import annotations

import shutil
from random import Random

from tests.faults.sound import Sound, told
from tests.project import Project

BUILDS = 10
BESIDE = (
    *(("cache", "gc"), ("cache", "gc", "--max-size", "1K"), ("cache", "verify"), ("clean", "recipe.yaml")),
    *(("plan", "recipe.yaml"), ("log", "recipe.yaml")),
)


class Concurrent:
    """Copies of a small project that share a store; four builds are in the first one's folder."""

    def __init__(self, sound: Sound) -> None:
        self._sound, self._folder = sound, sound.folder.with_name("copies")

    def round(self, chance: Random) -> str:
        shutil.rmtree(self._folder, ignore_errors=True)
        first = self._sound.unbuilt() if chance.random() < 0.5 else self._sound.copy()
        projects = [first] * 4
        for number in range(BUILDS - len(projects)):
            shutil.copytree(first.folder, self._folder / str(number))
            projects.append(Project(self._folder / str(number), first.store, empty=True))
        commands = [(project, ("build", "recipe.yaml")) for project in projects]
        commands += [(chance.choice(projects), command) for command in BESIDE]
        chance.shuffle(commands)
        running = [(command, project.start(*command)) for project, command in commands]
        refused = 0
        for command, process in running:
            _, error = process.communicate()
            said = told(process.returncode, error)
            refused += process.returncode != 0
            assert command[0] != "build" or not said, f"a build ends with {process.returncode}: {said}"
        self._sound.check_store(first)
        for project in (first, *projects[4:]):
            self._sound.check(project)
        return f"all built, {refused} of the others refused"
