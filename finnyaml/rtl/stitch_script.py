"""FINN's script for Vivado, read as a block design.

FINN's stitching writes a small, regular part of Tcl between `create_bd_design` and `make_wrapper`. It is taken
strictly: a command that is not known here may mean hardware, so it is an error, never skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from finnyaml.errors import StepFailed
from finnyaml.rtl.block_design import BlockDesign, Cell, Pin
from finnyaml.rtl.tcl import Substitution, TclError, Word, commands

FIRST, LAST = "create_bd_design", "make_wrapper"
_SIMULATION_ONLY = {"sim_ctrl": "sim_ctrl.v"}
"""Modules without function, by their source: FINN's handle for ending a run of Vivado's simulator."""
_NO_HARDWARE = {"save_bd_design", "validate_bd_design"}
_HINT = "this FINN stitches differently than those that finnyaml knows; Vivado can take it (toolchain: vivado)"


def read(script: str, environment: Mapping[str, str], finn: str) -> BlockDesign:
    """The block design of FINN's make_project.tcl.

    environment: what `$::env(...)` may name. finn: name and version of FINN, for messages.
    Raises StepFailed: a command, option or reference that is not known, with its line; a cell that is packaged IP.
    """
    reader = _Reader(finn)
    started = False
    try:
        for line, words in commands(script, environment):
            name = words[0] if isinstance(words[0], str) else ""
            if started and name == LAST:
                return reader.result()
            if started:
                reader.line = line
                reader.command(name, words[1:])
            started = started or name == FIRST
    except TclError as error:
        raise StepFailed(f"{finn} writes Tcl that finnyaml does not know: {error}", hint=_HINT) from error
    missing = LAST if started else FIRST
    raise StepFailed(f"the script that {finn} wrote for Vivado has no {missing}", hint=_HINT)


@dataclass
class _Groups:
    """Pins, and which of them are connected."""

    groups: dict[Pin, list[Pin]] = field(default_factory=dict)

    def add(self, pin: Pin) -> None:
        self.groups.setdefault(pin, [pin])

    def join(self, one: Pin, other: Pin) -> None:
        self.add(one)
        self.add(other)
        kept, gone = self.groups[one], self.groups[other]
        if kept is gone:
            return
        kept.extend(gone)
        for pin in gone:
            self.groups[pin] = kept

    def rename(self, old: Pin, new: Pin) -> None:
        group = self.groups.pop(old)
        group[group.index(old)] = new
        self.groups[new] = group

    def all(self) -> Iterator[tuple[Pin, ...]]:
        seen = set()
        for group in self.groups.values():
            if id(group) not in seen:
                seen.add(id(group))
                yield tuple(group)


class _Reader:
    """What the commands so far made."""

    def __init__(self, finn: str) -> None:
        self.finn = finn
        self.line = ""
        self.files: dict[str, None] = {}
        self.modules: dict[str, str] = {}
        self.parameters: dict[str, dict[str, str]] = {}
        self.hierarchies: set[str] = set()
        self.pins: dict[bool, set[Pin]] = {False: set(), True: set()}
        self.ports: dict[bool, set[str]] = {False: set(), True: set()}
        self.connected = {False: _Groups(), True: _Groups()}

    def command(self, name: str, words: tuple[Word, ...]) -> None:
        if name in _NO_HARDWARE and not words:
            return
        known: dict[str, Callable[[tuple[Word, ...]], None]] = {
            "add_files": self._add_files,
            "create_bd_cell": self._create_cell,
            "create_bd_pin": lambda words: self._create_pin(words, interface=False),
            "create_bd_intf_pin": lambda words: self._create_pin(words, interface=True),
            "connect_bd_net": lambda words: self._connect(words, interface=False),
            "connect_bd_intf_net": lambda words: self._connect(words, interface=True),
            "make_bd_pins_external": lambda words: self._make_external(words, interface=False),
            "make_bd_intf_pins_external": lambda words: self._make_external(words, interface=True),
            "set_property": self._set_property,
        }
        if name not in known:
            raise self._error(f"`{name}` is not a command that finnyaml knows")
        known[name](words)

    def result(self) -> BlockDesign:
        dropped = {path for path, module in self.modules.items() if module in _SIMULATION_ONLY}
        sources = tuple(f"/{_SIMULATION_ONLY[self.modules[path]]}" for path in dropped)
        return BlockDesign(
            files=tuple(file for file in self.files if not file.endswith(sources)),
            cells=tuple(Cell(p, m, self.parameters[p]) for p, m in self.modules.items() if p not in dropped),
            nets=_without(self.connected[False], dropped),
            interfaces=_without(self.connected[True], dropped),
        )

    def _add_files(self, words: tuple[Word, ...]) -> None:
        _, file = self._split(words, flags={"-norecurse"})
        self.files.setdefault(file)

    def _create_cell(self, words: tuple[Word, ...]) -> None:
        options, path = self._split(words, values={"-type", "-reference", "-vlnv"})
        path = path.lstrip("/")
        if "-vlnv" in options:
            raise StepFailed(
                f"{path} is packaged IP ({options['-vlnv']}), which only Vivado can put into a design: `{self.line}` "
                f"(from the stitching of {self.finn})",
                hint="a layer that has an RTL variant becomes one with `specialize: {prefer: rtl}`",
            )
        if path in self.modules or path in self.hierarchies:
            raise self._error(f"there is a cell {path} already")
        parent = path.rpartition("/")[0]
        if parent and parent not in self.hierarchies:
            raise self._error(f"there is no hierarchy {parent}")
        if "-reference" in options and options.get("-type") in ("module", "hier"):
            self.modules[path] = options["-reference"]
            self.parameters[path] = {}
        elif options == {"-type": "hier"}:
            self.hierarchies.add(path)
        else:
            raise self._error("a cell has to be a hierarchy or the instance of a module")

    def _create_pin(self, words: tuple[Word, ...], *, interface: bool) -> None:
        known = {"-mode", "-vlnv"} if interface else {"-dir", "-type", "-from", "-to"}
        _, path = self._split(words, values=known)
        pin = _pin(path)
        if pin.cell not in self.hierarchies:
            raise self._error(f"there is no hierarchy {pin.cell}")
        self.pins[interface].add(pin)

    def _connect(self, words: tuple[Word, ...], *, interface: bool) -> None:
        if len(words) < 2:
            raise self._error("a net has two ends")
        first, *others = [self._reference(word, interface) for word in words]
        for other in others:
            self.connected[interface].join(first, other)

    def _make_external(self, words: tuple[Word, ...], *, interface: bool) -> None:
        if len(words) != 1:
            raise self._error("one pin becomes external at a time")
        pin = self._reference(words[0], interface)
        number = 0
        while f"{pin.name}_{number}" in self.ports[False] | self.ports[True]:
            number += 1
        name = f"{pin.name}_{number}"
        self.ports[interface].add(name)
        self.connected[interface].join(Pin("", name), pin)

    def _set_property(self, words: tuple[Word, ...]) -> None:
        target = words[-1] if words else ""
        if not isinstance(target, Substitution) or len(target.words) != 2:
            raise self._error("this is not the property of a cell or port")
        kind, name = (str(word) for word in target.words)
        values = self._properties(words[:-1])
        if kind == "get_bd_cells" and name.lstrip("/") in self.modules:
            if not all(key.startswith("CONFIG.") for key in values):
                raise self._error("a cell has parameters (CONFIG.*) only")
            path = name.lstrip("/")
            self.parameters[path].update({key.removeprefix("CONFIG."): value for key, value in values.items()})
        elif kind in ("get_bd_ports", "get_bd_intf_ports") and set(values) == {"name"}:
            interface = kind == "get_bd_intf_ports"
            old, new = self._reference(target, interface), Pin("", values["name"])
            if new.name in self.ports[False] | self.ports[True]:
                raise self._error(f"there is a port {new.name} already")
            self.ports[interface] ^= {old.name, new.name}
            self.connected[interface].rename(old, new)
        elif kind != "get_bd_ports" or set(values) != {"CONFIG.FREQ_HZ"}:
            raise self._error("this property is not known")

    def _properties(self, words: tuple[Word, ...]) -> dict[str, str]:
        if len(words) == 2 and words[0] == "-dict" and isinstance(words[1], Substitution):
            name, *words_ = words[1].words
            if name == "list" and len(words_) % 2 == 0:
                return dict(zip(map(str, words_[::2]), map(str, words_[1::2]), strict=True))
        if len(words) == 2 and all(isinstance(word, str) for word in words):
            return {str(words[0]): str(words[1])}
        raise self._error("this is not a property with its value")

    def _reference(self, word: Word, interface: bool) -> Pin:
        kinds = ("get_bd_intf_pins", "get_bd_intf_ports") if interface else ("get_bd_pins", "get_bd_ports")
        if not isinstance(word, Substitution) or len(word.words) != 2 or word.words[0] not in kinds:
            raise self._error(f"`{word}` is not {'an interface' if interface else 'a'} pin or port")
        name = str(word.words[1])
        if word.words[0] == kinds[1]:
            if name.lstrip("/") not in self.ports[interface]:
                raise self._error(f"there is no port {name}")
            return Pin("", name.lstrip("/"))
        pin = _pin(name)
        if pin.cell not in self.modules and pin not in self.pins[interface]:
            raise self._error(f"there is no pin {pin}")
        return pin

    def _split(
        self, words: tuple[Word, ...], values: frozenset[str] | set[str] = frozenset(), flags: set[str] | None = None
    ) -> tuple[dict[str, str], str]:
        """Options of a command, and its one argument."""
        options: dict[str, str] = {}
        arguments = []
        rest = iter(words)
        for word in rest:
            if not isinstance(word, str):
                raise self._error(f"`{word}` is not expected here")
            if word in (flags or ()):
                options[word] = ""
            elif word in values:
                options[word] = str(next(rest, ""))
            elif word.startswith("-"):
                raise self._error(f"the option {word} is not known")
            else:
                arguments.append(word)
        if len(arguments) != 1:
            raise self._error("one argument is expected")
        return options, arguments[0]

    def _error(self, message: str) -> StepFailed:
        return StepFailed(f"{message}: `{self.line}` (from the stitching of {self.finn})", hint=_HINT)


def _pin(path: str) -> Pin:
    cell, _, name = path.lstrip("/").rpartition("/")
    return Pin(cell, name)


def _without(connected: _Groups, cells: set[str]) -> tuple[tuple[Pin, ...], ...]:
    groups = (tuple(pin for pin in group if pin.cell not in cells) for group in connected.all())
    return tuple(group for group in groups if any(pin.cell for pin in group))
