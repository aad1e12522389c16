"""Never a stale hit: recipes of random steps that read random things in random ways, incremental beside clean builds.

Each recipe has some of the ways of `trust_ways`, each with a folder of its own. It is built; then, again and again,
something (or nothing) is changed for every step, it is built incrementally, and once more with an empty store. A round
is one change for one step.

    stale      the result is not what the clean build gives, and the step did not run
    unsaid     the step ran, and two runs on the same differ, and nothing says that it may
    needless   it ran although what was changed was nothing to it (not counted where variables changed: a child or a
               copy of the environment may well have seen all of them)
    failed     a build failed

Bar: none of these. What cannot be known (time, random numbers, the network) has to be said to differ; where that is
said of something else, the round counts as `doubted`. A step that went wrong once is left out from then on.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import trust_ways
from benchmarks.bench import clean_environment, finnyaml_command, table
from benchmarks.trust_formats import FORMATS, write
from benchmarks.trust_ways import WAYS, shared, variable

ROUNDS = 10_000
STEPS = 24
"""So many steps has a recipe."""

CHANGES = 5
"""So often is one changed and built again."""

BAD = ("stale", "unsaid", "needless", "failed", "doubted")
SILENT = frozenset(("nothing", "touch", "neighbour", "comment"))
"""Changes after which no step may run, where they are changes of its kind at all."""

RECIPE = """
name: trust
model: {onnx: tiny.onnx, input: {datatype: FLOAT32}}
steps:
"""


def run(folder: Path) -> None:
    """Print what became of `TRUST_ROUNDS` rounds, in all and for each way that is not right."""
    from tests.project import warm

    wanted = int(os.environ.get("TRUST_ROUNDS", ROUNDS))
    seed = int(os.environ.get("TRUST_SEED", "1"))
    found = Found()
    store = warm(folder)
    while found.rounds < wanted:
        proof = Proof(folder / str(seed), random.Random(seed), store)
        proof.run(found)
        shutil.rmtree(folder / str(seed))
        seed += 1
    table(["verdict", "rounds"], [[name, f"{found.verdicts[name]:,}"] for name in ("right", "said", *BAD)])
    print(f"\n{found.rounds:,} rounds, {len(WAYS)} ways")
    for text, often in found.wrong.most_common():
        print(f"  {often:5}  {text}")


@dataclass
class Found:
    """What became of the rounds so far."""

    verdicts: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    """Verdict, way and change of those that are not right."""

    @property
    def rounds(self) -> int:
        return self.verdicts.total()

    def add(self, verdict: str, way: str, change: str) -> None:
        """Count one round."""
        self.verdicts[verdict] += 1
        if verdict in BAD:
            self.wrong[f"{verdict}: {way} after {change}"] += 1


@dataclass
class Step:
    """One step of a recipe: its way, and the state of what lies in its folder."""

    name: str
    way: str
    folder: Path
    value: int = 0
    there: bool = True

    @property
    def kind(self) -> str:
        return WAYS[self.way][0]


class Proof:
    """One recipe in a folder of its own, with two stores: the one that is kept, and one that is emptied each time."""

    def __init__(self, folder: Path, draw: random.Random, warm: Path, ways: Sequence[str] | None = None) -> None:
        from tests.project import tiny_model

        self.draw = draw
        self.root = folder / "project"
        self.incremental, self.empty, self._warm = folder / "store", folder / "empty", warm
        self.root.mkdir(parents=True)
        tiny_model(self.root / "tiny.onnx")
        shutil.copy(trust_ways.__file__, self.root / "ways.py")
        chosen = draw.sample([*WAYS], STEPS) if ways is None else ways
        self.steps = [Step(f"s{i}", way, self.root / "d" / f"s{i}") for i, way in enumerate(chosen)]
        entries = (
            f'  - {{uses: "ways.py:step", id: {s.name}, with: {{name: {s.name}, way: {s.way}}}}}' for s in self.steps
        )
        (self.root / "recipe.yaml").write_text(RECIPE + "\n".join(entries) + "\n")
        self.variables = False
        """Whether variables may change in this round."""
        self.env = {"PYTHONDONTWRITEBYTECODE": "1"} if draw.random() < 0.5 else {}
        for step in self.steps:
            step.folder.mkdir(parents=True)
            self._lay_out(step)
        shutil.copytree(warm, self.incremental)

    def run(self, found: Found, changes: int = CHANGES) -> None:
        """Build, then change and compare, so often; each comparison goes to `found`."""
        try:
            self.build(self.incremental, "build")
            for _ in range(changes):
                self.variables = self.draw.random() < 0.4
                changed = {step.name: self.change(step) for step in self.steps}
                self.compare(changed, found)
        finally:
            for step in self.steps:
                shared(step.folder).unlink(missing_ok=True)

    def compare(self, changes: Mapping[str, str], found: Found) -> None:
        """Build incrementally and with an empty store; say of each step what became of it."""
        tasks, error = self.build(self.incremental, "build")
        shutil.rmtree(self.empty, ignore_errors=True)
        shutil.copytree(self._warm, self.empty)
        _, error_of_clean = self.build(self.empty, "clean")
        if error or error_of_clean:
            found.add("failed", "the build", (error or error_of_clean).strip()[-300:])
            return
        for step in [*self.steps]:
            texts = [(self.root / output / "read" / f"{step.name}.txt").read_text() for output in ("build", "clean")]
            task = tasks[step.name]
            silent = changes[step.name] in SILENT and not self.variables
            verdict = _verdict(texts, task, known=step.kind != "unknown", silent=silent)
            found.add(verdict, step.way, changes[step.name])
            if verdict in BAD:
                self.steps.remove(step)

    def build(self, store: Path, output: str) -> tuple[Mapping[str, Mapping[str, object]], str]:
        """What became of the tasks, from the record of the run; the quick path leaves none, then all are cached."""
        runs = self.root / output / ".finnyaml/runs"
        before = {*runs.glob("*")}
        env = clean_environment(FINNYAML_STORE=str(store), **self.env)
        command = [*finnyaml_command(), "build", "recipe.yaml", "--jobs", "1", "--set", f"output={output}"]
        done = subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False)
        new = {*runs.glob("*")} - before
        if done.returncode:
            return {}, done.stdout + done.stderr
        newest = max(new or before)
        tasks = json.loads((newest / "run.json").read_text())["tasks"]
        return {name: {**task, "state": task["state"] if new else "cached"} for name, task in tasks.items()}, ""

    def _lay_out(self, step: Step) -> None:
        d, kind = step.folder, step.kind
        self._content(step)
        if kind == "link":
            (d / "a").write_text("value a")
            (d / "b").write_text("value b")
            (d / "link").symlink_to("a")
        if kind == "exists" and self.draw.random() < 0.5:
            self._toggle(step)

    def _content(self, step: Step) -> None:
        """Give what the step reads another value."""
        step.value = value = self.draw.randrange(10**8, 10**9)
        d, kind = step.folder, step.kind
        if kind in FORMATS:
            write(kind, d / "data", value)
        elif kind in ("exists", "size", "folder"):
            (d / "data").write_text(f"{value}\n")
        elif kind == "shm":
            shared(d).write_text(f"{value}\n")
        elif kind == "env":
            self.env[variable(d)] = str(value)
        elif kind in ("module", "source"):
            (d / "helper.py").write_text(f"VALUE = {value}\nprint(VALUE)\n")
        elif kind == "package":
            write("module", d / "package/__init__.py", value)
            write("module", d / "package/part.py", value + 1)
            write("text", d / "package/table.txt", value + 2)
        elif kind == "shadow":
            (d / "first").mkdir(exist_ok=True)
            write("module", d / "second/helper.py", value)

    def change(self, step: Step) -> str:
        """Change something of what a step reads, or nothing; what was changed."""
        name, act = self.draw.choice([*self._changes(step)])
        act()
        return name

    def _changes(self, step: Step) -> Iterator[tuple[str, Callable[[], None]]]:
        d, kind = step.folder, step.kind
        yield "nothing", lambda: None
        if kind == "unknown":
            return
        if self.variables:
            yield "other variable", lambda: self.env.update({"TRUST_OTHER": str(self.draw.random())})
        if kind in FORMATS and not step.there:
            yield "back", lambda: self._toggle(step)
            return
        if kind not in ("link", "env"):
            yield "content", lambda: self._content(step)
        if kind in FORMATS:
            yield "in place", lambda: self._in_place(step)
            yield "gone", lambda: self._toggle(step)
            yield "touch", lambda: os.utime(d / "data")
            yield "neighbour", lambda: (d / f"n{self.draw.randrange(10**6)}").write_text("new") and None
        elif kind == "exists":
            yield "toggled", lambda: self._toggle(step)
        elif kind == "size":
            yield "longer", lambda: (d / "data").write_text("x" * self.draw.randrange(1000)) and None
        elif kind == "folder":
            yield "new file", lambda: (d / f"n{self.draw.randrange(10**6)}").write_text("new") and None
            yield "new folder", lambda: (d / f"f{self.draw.randrange(10**6)}").mkdir()
        elif kind == "link":
            yield "target", lambda: self._point(d / "link")
            yield "content", lambda: (d / self.draw.choice("ab")).write_text(str(self.draw.random())) and None
        elif kind == "env" and self.variables:
            yield "set", lambda: self._content(step)
            yield "unset", lambda: self.env.pop(variable(d), None) and None
        elif kind == "module":
            yield "comment", lambda: _comment(d / "helper.py")
            yield "touch", lambda: os.utime(d / "helper.py")
        elif kind == "source":
            yield "a comment that counts", lambda: _comment(d / "helper.py")
        elif kind == "package":
            yield "new module", lambda: write("module", d / f"package/m{self.draw.randrange(10**6)}.py", 1)
        elif kind == "shadow":
            yield "shadow", lambda: self._shadow(step)
            yield "comment", lambda: _comment(d / "second/helper.py")

    def _in_place(self, step: Step) -> None:
        """Another value, written with the size and the time of the old one."""
        path = step.folder / "data"
        before = path.stat()
        self._content(step)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def _toggle(self, step: Step) -> None:
        path = step.folder / "data"
        step.there = not path.exists()
        if step.there:
            self._content(step)
        else:
            path.unlink()

    def _point(self, link: Path) -> None:
        to = "b" if os.readlink(link) == "a" else "a"
        link.unlink()
        link.symlink_to(to)

    def _shadow(self, step: Step) -> None:
        module, package = step.folder / "first/helper.py", step.folder / "first/helper/__init__.py"
        if module.exists() or package.exists():
            module.unlink(missing_ok=True)
            shutil.rmtree(package.parent, ignore_errors=True)
        else:
            write("module", self.draw.choice([module, package]), self.draw.randrange(1000))


def _comment(path: Path) -> None:
    with path.open("a") as file:
        file.write("# a comment\n")


def _verdict(texts: Sequence[str], task: Mapping[str, object], *, known: bool, silent: bool) -> str:
    incremental, clean = texts
    ran = task["state"] == "ran"
    if incremental != clean:
        return "said" if task.get("may_differ") else "unsaid" if ran else "stale"
    if ran and silent:
        return "needless"
    return "doubted" if task.get("may_differ") and known else "right"
