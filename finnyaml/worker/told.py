"""What the preloaded library told of one step, laid beside what Python's audit events said. Runs inside workers.

In the worker's own process Python's events know better why a file was opened (as a module, for a traceback, as data),
so what they spoke of is theirs. The rest counts here: native code, questions whether something exists, children.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from finnyaml.steps.imports import module_at
from finnyaml.tools.listen import Event
from finnyaml.worker.askers import ENVIRONMENTS
from finnyaml.worker.recorder import EXTENSIONS, MODULES, Reads, Recorder, absolute, source_of

SYSTEM = ("/etc/", "/usr/", "/lib/", "/lib32/", "/lib64/", "/libx32/", "/bin/", "/sbin/", "/opt/")
"""May hold data of the recipe's author; but what libraries and FINN's tools look at there is the machine's."""

INSTALLED_PROGRAMS = (*SYSTEM, "/tools/Xilinx/", *(os.path.join(folder, "") for folder in ENVIRONMENTS))
"""Where programs lie that everybody uses. They ask for the time whatever they do; it counts where they make a date
of it (`o`). Of a program elsewhere, each question does."""

DRAWS = frozenset(["perl", "node", "git", "mktemp", "ssh", "cc1", "cc1plus", "collect2", "as", "ld"])
"""Of these, programs that draw random numbers whatever they do: for tables in memory, and names of temporary files."""

SHELLS = frozenset(["bash", "ksh", "zsh"])
_CHANCE = re.compile(rb"(?m)^(?!\s*#).*?\b(RANDOM|EPOCHSECONDS|EPOCHREALTIME)\b")
"""Variables of a shell that are never the same again: it asks nobody when a script looks at them."""

ASKS = {"t": "for the time of day", "n": "for random numbers without a seed", "c": "the network"}
ASKS["o"] = ASKS["t"]

MOST = 10_000
"""So many files below a folder are looked at where a step makes a link to it."""

Rules = Sequence[tuple[str, str]]


class Told:
    """What was told of one step, in order.

    `rules` are those that the library had. `users` says whether the step is code of the recipe's author: of its
    children all counts, of FINN and its tools (`finns`) only what lies in the project and in the sandbox, of others
    what lies outside the system's folders. `blind` says why not all was told.
    """

    def __init__(self, rules: Rules, *, users: bool, finns: bool = False) -> None:
        self.events: Iterable[Event] = ()
        self.blind: str | None = None
        self._rules = {os.path.join(path, ""): letter for letter, path in reversed(rules) if letter in "+-"}
        self._on_the_way = {
            str(above) for folder, letter in self._rules.items() if letter == "-" for above in Path(folder).parents
        }
        self._users = users
        self._finns = finns
        self._reads = Reads()
        self._given: set[str] = set()
        self._absent: list[tuple[set[str], str]] = []
        self._executed: dict[int, list[str]] = defaultdict(list)
        self._began: dict[int, int] = defaultdict(int)
        self._searched: dict[int, list[str]] = defaultdict(list)
        self._loaded: dict[int, set[str]] = defaultdict(set)
        self._places: dict[str, tuple[str, str]] = {}
        self._differs: dict[tuple[str, str], None] = {}
        self._shells: dict[int, str] = {}

    def sort(self, reads: Reads, recorder: Recorder) -> None:
        """Add all of it to what Python told."""
        self._reads = reads
        for event in self.events:
            if event.what == "x":
                self._executed[event.process].append(event.path)
            elif event.what == "f":
                del self._executed[event.process][-1:]
            elif event.what == "p":
                self._began[event.process] += 1
                self._shells.pop(event.process, None)
                if os.path.basename(event.path) in SHELLS:
                    self._shells[event.process] = event.path
            elif event.what == "e":
                recorder.variable_seen(reads, event.path)
            elif event.what in ASKS:
                self._asked(event)
            else:
                self._file(event, absolute(event.path))
        for where, path in self._absent:
            if path not in self._reads.made:  # else a step that looks whether it has done something would never be done
                where.add(path)
        reads.files -= {path for path in reads.files if self._is_made(path)} - self._given
        self._searches()
        if self._users:
            self._programs()
            if self._began and not reads.programs:  # native code started them
                recorder.environment_seen(reads)
            reads.unseen.update(filter(None, [self.blind]))
        opened = {*reads.files, *reads.folders, *reads.sources}
        reads.looks -= opened
        reads.links -= opened

    def differs(self, shown: Callable[[str], str]) -> tuple[str, ...]:
        """What was asked for that is never the same again; `shown` gives a path as the recipe's author knows it."""
        return tuple(
            f"asks {what} ({shown(place) if os.path.isabs(place) else place})" for what, place in self._differs
        )

    def _file(self, event: Event, path: str) -> None:
        if event.what == "w":
            self._reads.made.add(path)
            return
        if event.good and not self._is_made(path):
            self._given.add(path)
        if not self._counts(event, path):
            return
        if event.what == "g":
            self._reads.folders.update(_listed(path))
            return
        if event.what == "l":
            if self._users and not self._is_made(path):
                self._all_below(path)
            return
        if event.what == "r" and event.process in self._shells:
            self._runs_script(self._shells[event.process], path)
        where, path = self._place(event, path)
        if not event.good:
            self._absent.append((where, path))
        elif not self._is_made(path):
            where.add(path)

    def _all_below(self, path: str) -> None:
        """What is read through a link has another name; so all that it leads to counts."""
        if not os.path.isdir(path):
            self._reads.files.add(path)
        found = set[str]()
        for folder, _, names in os.walk(path):
            found.update(os.path.join(folder, name) for name in names)
            if len(found) > MOST:
                self._reads.unseen.add(f"it links to {path}, and that is too much to look at all of it")
                return
            self._reads.folders.add(folder)
        self._reads.files |= found

    def _counts(self, event: Event, path: str) -> bool:
        inside = self._rule(path)
        if inside[0] == "-":
            return False
        own = event.process == os.getpid()
        if self._finns and (event.what == "q" or ((not own or event.what in "sk") and len(inside[1]) <= 1)):
            return False  # tools, and where FINN looks for them
        if own and (event.who in "io" or (event.who == "m" and not path.endswith(EXTENSIONS))):
            return False
        if own and (event.what, path) in self._reads.heard:
            return False
        if event.who in "mb" and event.what != "r":
            if os.path.isdir(path) and path not in self._searched[event.process]:
                self._searched[event.process].append(path)
            return False
        if event.what in "skq" and path in self._on_the_way:  # to what is not looked at
            return False
        if path.startswith(SYSTEM) and len(inside[1]) <= 1:
            return self._users and event.who in ("u?-" if own else "u?-lfo")
        return True

    def _place(self, event: Event, path: str) -> tuple[set[str], str]:
        reads = self._reads
        if event.what != "r":
            return {"s": reads.looks, "q": reads.looks, "k": reads.links, "d": reads.folders}[event.what], path
        if "__pycache__" in path and path.endswith(".pyc"):
            path = source_of(path) or path
            self._loaded[event.process].add(path)
            return reads.sources, path
        if event.who == "m" and path.endswith(MODULES):
            self._loaded[event.process].add(path)
            return (reads.files if path.endswith(EXTENSIONS) else reads.sources), path
        return (reads.looks if os.path.isdir(path) else reads.files), path

    def _is_made(self, path: str) -> bool:
        while path and path not in self._reads.made:
            path = path[: path.rfind("/")]
        return path != ""

    def _asked(self, event: Event) -> None:
        program = event.who in "-$"
        if not program or (self._users and _matters(event)):
            self._differs[ASKS[event.what], os.path.basename(event.path) if program else event.path] = None

    def _runs_script(self, shell: str, path: str) -> None:
        """A shell opens a file: does it look at a variable that is never the same again?"""
        try:
            with open(path, "rb") as file:
                found = _CHANCE.search(file.read(1 << 20))
        except OSError:
            return
        if found and self._users:
            self._asked(Event(0, "n" if found[1] == b"RANDOM" else "t", "$", good=True, path=shell))

    def _searches(self) -> None:
        """Where children looked for the modules that they found: another one may come to lie there first."""
        for process, loaded in self._loaded.items():
            for path in loaded:
                folder, file = os.path.split(path)
                if file.startswith("__init__."):
                    folder, file = os.path.split(folder)
                searched = self._searched[process]
                for above in searched[: searched.index(folder) + 1] if folder in searched else [folder]:
                    place = os.path.join(above, file.partition(".")[0])
                    self._reads.modules.setdefault(place, module_at(place))

    def _programs(self) -> None:
        for process, paths in self._executed.items():
            self._reads.files.update(path for path in map(absolute, paths) if self._rule(path)[0] == "+")
            if len(paths) > self._began[process]:
                self._reads.unseen.add(f"{_why(paths[-1])}; what it read is not known")

    def _rule(self, path: str) -> tuple[str, str]:
        """The most specific rule for a path."""
        if f"{path}/" in self._rules:
            return self._rules[f"{path}/"], f"{path}/"
        folder = path[: path.rfind("/")]
        if folder not in self._places:
            self._places[folder] = self._rule(folder) if folder else (self._rules.get("/", "+"), "")
        return self._places[folder]


def _matters(event: Event) -> bool:
    """Whether the result of a program may follow from the time or the random numbers that it asks for."""
    name = os.path.basename(event.path)
    if event.who == "$":
        return name in SHELLS
    if not event.path.startswith(INSTALLED_PROGRAMS):
        return True
    return event.what in "oc" or (event.what == "n" and name not in DRAWS)


def _listed(pattern: str) -> Iterator[str]:
    """The folders that have to be listed to find what fits a pattern."""
    folder = os.path.dirname(pattern)
    if glob.has_magic(folder):
        yield from _listed(folder)
        yield from (found for found in glob.glob(folder) if os.path.isdir(found))
    else:
        yield folder


def _why(program: str) -> str:
    """Why nothing was told by a program that was started."""
    name = os.path.basename(program)
    try:
        with open(program, "rb") as file:
            mode, header = os.fstat(file.fileno()).st_mode, file.read(1 << 16)
    except OSError:
        return f"{name} is gone"
    if mode & (stat.S_ISUID | stat.S_ISGID):
        return f"{name} runs with the rights of another user"
    if header.startswith(b"\x7fELF") and b"/ld-" not in header:
        return f"{name} is a static program"
    return f"{name} could not be watched"
