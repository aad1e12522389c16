"""The SystemVerilog of a block design: one module per FINN node, and the top that connects them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from finnyaml.errors import StepFailed
from finnyaml.rtl.block_design import BlockDesign, Cell, Pin
from finnyaml.rtl.ports import Port, instance

SIGNALS = ("TDATA", "TVALID", "TREADY")
CONTROL = ("ap_clk", "ap_rst_n")
INPUT, OUTPUT = "s_axis_0", "m_axis_0"
FILLS = ("count", "maxcount")
"""Outputs of a FIFO that nothing uses in hardware, and simulations read."""

_INPUT_PORTS = tuple((f"{INPUT}_{signal.lower()}", signal != "TREADY") for signal in SIGNALS)
_OUTPUT_PORTS = tuple((f"{OUTPUT}_{signal.lower()}", signal == "TREADY") for signal in SIGNALS)
OUTSIDE = tuple((name, True) for name in CONTROL) + _INPUT_PORTS + _OUTPUT_PORTS
"""The ports of the top and whether they are inputs: nothing else is taken."""


@dataclass(frozen=True)
class Netlist:
    """text: SystemVerilog. widths: bits of tdata by stream name, those of the outside included."""

    text: str
    widths: Mapping[str, int]


def wrapper(name: str, top: str, widths: Mapping[str, int]) -> str:
    """A Verilog module of the top's ports around the top. widths: as in `Netlist`."""
    declared, connected = [], []
    for port, is_input in OUTSIDE:
        bits = f"[{widths[port.removesuffix('_tdata')] - 1}:0] " if port.endswith("_tdata") else ""
        declared.append(f"  {'input' if is_input else 'output'} wire {bits}{port}")
        connected.append(f"    .{port}({port})")
    comma = ",\n"
    return f"module {name} (\n{comma.join(declared)}\n);\n  {top} {top}_i (\n{comma.join(connected)}\n  );\nendmodule\n"


@dataclass
class _Node:
    """The module of one FINN node: its ports (with the net outside that each is connected to), its local nets, and
    what the ports of its cells are connected to.
    """

    ports: dict[str, Port] = field(default_factory=dict)
    outside: dict[str, str] = field(default_factory=dict)
    local: dict[str, int] = field(default_factory=dict)
    connected: dict[Pin, str] = field(default_factory=dict)


def netlist(
    design: BlockDesign,
    ports: Mapping[str, Mapping[str, Port]],
    *,
    top: str,
    streams: Mapping[Pin, str],
    fifos: Collection[str],
) -> Netlist:
    """The top and the modules below it.

    ports: of every cell, by its path. streams: names of the streams between nodes, by the pin of the node that drives
    them. fifos: nodes whose fill counts become nets of the same names. Inputs that FINN leaves open are tied low, as
    Vivado does.
    Raises StepFailed: pins that do not fit each other, a stream without both ends, ports beside those in `OUTSIDE`.
    """
    return _Writer(design, ports, top, streams, fifos).write()


@dataclass
class _Writer:
    design: BlockDesign
    ports: Mapping[str, Mapping[str, Port]]
    top: str
    streams: Mapping[Pin, str]
    fifos: Collection[str]
    outer: dict[str, Port] = field(default_factory=dict)
    inner: dict[str, int] = field(default_factory=dict)
    used: set[Pin] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.cells = {cell.path: cell for cell in self.design.cells}
        self.nodes = {cell.node: _Node() for cell in self.design.cells}

    def write(self) -> Netlist:
        for pins in self.design.interfaces:
            self._interface(pins)
        for pins in self.design.nets:
            self._net(pins)
        missing = [str(pin) for pin in self.streams if pin not in self.used]
        if missing:
            raise StepFailed(f"nothing takes the stream of {missing[0]}")
        expected = {name: "input" if is_input else "output" for name, is_input in OUTSIDE}
        found = {name: port.direction for name, port in self.outer.items()}
        if found != expected:
            odd = sorted(set(found.items()) ^ set(expected.items()))
            raise StepFailed(
                f"a design has a clock, a reset, one stream in and one out; this one differs in the port {odd[0][0]}",
                hint="registers that are written at run time and memory outside of the design are not covered",
            )
        modules = [self._module(name, node) for name, node in self.nodes.items()]
        nets = {**{name: port.width for name, port in self.outer.items()}, **self.inner}
        widths = {name.removesuffix("_tdata"): bits for name, bits in nets.items() if name.endswith("_tdata")}
        return Netlist("\n".join([*modules, self._top()]), widths)

    def _interface(self, pins: tuple[Pin, ...]) -> None:
        ends = {pin: self._signals(pin) for pin in pins if pin.cell in self.cells}
        outside = [pin.name for pin in pins if not pin.cell]
        if len(ends) + len(outside) != 2:
            raise StepFailed(f"the stream at {pins[0]} has {len(ends) + len(outside)} ends, not two")
        drivers = [p for p, signals in ends.items() if self.ports[p.cell][signals["TVALID"]].direction == "output"]
        if len(drivers) + (outside == [INPUT]) != 1:
            raise StepFailed(f"the stream at {pins[0]} is not driven by one of its ends")
        is_local = not outside and len({pin.node for pin in ends}) == 1
        if outside:
            name = outside[0]
        elif is_local:
            name = f"{drivers[0].cell}_{drivers[0].name}".replace("/", "_")
        else:
            pin = next((pin for pin in pins if pin.cell == drivers[0].node), drivers[0])
            self.used.add(pin)
            if pin not in self.streams:
                raise StepFailed(f"{pin} drives a stream that the graph does not have")
            name = self.streams[pin]
        for signal in SIGNALS:
            members = [Pin(pin.cell, signals[signal]) for pin, signals in ends.items()]
            boundary = {pin.node: f"{pin.name}_{signal.lower()}" for pin in pins if pin.cell in self.nodes}
            net = f"{name}_{signal.lower()}"
            self._connect(members, None if is_local else boundary, net, is_outer=bool(outside))

    def _signals(self, pin: Pin) -> dict[str, str]:
        """The ports of an interface, by signal."""
        prefix = f"{pin.name}_".upper()
        found = {n.upper().removeprefix(prefix): n for n in self.ports[pin.cell] if n.upper().startswith(prefix)}
        if set(found) != set(SIGNALS):
            raise StepFailed(
                f"{pin} is not an AXI stream of {', '.join(SIGNALS)}: module {self.cells[pin.cell].module} has "
                f"{', '.join(found.values()) or 'no such ports'}"
            )
        return found

    def _net(self, pins: tuple[Pin, ...]) -> None:
        leaves = [pin for pin in pins if pin.cell in self.cells]
        outside = [pin.name for pin in pins if not pin.cell]
        for pin in leaves:
            if pin.name not in self.ports[pin.cell]:
                raise StepFailed(f"module {self.cells[pin.cell].module} of {pin.cell} has no port {pin.name}")
        if len(outside) > 1 or not leaves:
            raise StepFailed(f"the net at {pins[0]} does not connect pins")
        boundary: dict[str, str] = {}
        for pin in pins:
            if pin.cell in self.nodes:
                boundary.setdefault(pin.node, pin.name)
        name = outside[0] if outside else str(leaves[0]).replace("/", "_")
        is_local = not outside and len({pin.node for pin in leaves}) == 1
        self._connect(leaves, None if is_local else boundary, name, is_outer=bool(outside))

    def _connect(self, members: list[Pin], boundary: Mapping[str, str] | None, net: str, *, is_outer: bool) -> None:
        """Put ports of cells on one net. boundary: the port of each node through which they get there; None if the net
        stays inside of a node.
        """
        found = {pin: self.ports[pin.cell][pin.name] for pin in members}
        widths = {port.width for port in found.values()}
        if len(widths) > 1:
            each = ", ".join(f"{pin} has {port.width}" for pin, port in found.items())
            raise StepFailed(f"connected pins differ in bits: {each}", hint="was a data width converter left out?")
        drivers = {pin for pin, port in found.items() if port.direction == "output"}
        if len(drivers) > 1 or not (drivers or is_outer):
            raise StepFailed(f"the net {net} has {len(drivers)} drivers: {', '.join(map(str, members))}")
        width = widths.pop()
        for pin in members:
            node = self.nodes[pin.node]
            if pin in node.connected:
                raise StepFailed(f"{pin} is on two nets")
            if boundary is None:
                node.local[net] = width
                node.connected[pin] = net
                continue
            if pin.node not in boundary:
                raise StepFailed(f"{pin} is connected across the border of its node, without a pin there")
            port = boundary[pin.node]
            node.connected[pin] = port
            node.outside[port] = net
            if pin in drivers or port not in node.ports:
                node.ports[port] = found[pin]
        if is_outer:
            self.outer[net] = Port("output" if drivers else "input", width)
        elif boundary is not None:
            if net in self.inner:
                raise StepFailed(f"two nets would be called {net}", hint="give the layers other names")
            self.inner[net] = width

    def _module(self, name: str, node: _Node) -> str:
        instances = [self._instance(cell, node) for cell in self.design.cells if cell.node == name]
        ports = ",\n".join(f"  {port.direction} {_logic(port.width)} {key}" for key, port in node.ports.items())
        local = "".join(f"  {_logic(width)} {key};\n" for key, width in node.local.items())
        return f"module node_{name} (\n{ports}\n);\n{local}{''.join(instances)}endmodule\n"

    def _instance(self, cell: Cell, node: _Node) -> str:
        lines = []
        for name, port in self.ports[cell.path].items():
            net = node.connected.get(Pin(cell.path, name))
            if net is None and name in FILLS and cell.node in self.fifos and port.direction == "output":
                net = name
                node.local[net] = port.width
            if net is None:
                net = "'0" if port.direction == "input" else ""
            lines.append(f"    .{name}({net})")
        body = ",\n".join(lines)
        return f"  {instance(cell, 'u_' + cell.path.replace('/', '_'))} (\n{body}\n  );\n"

    def _top(self) -> str:
        ports = ",\n".join(
            f"  {'input' if is_input else 'output'} {_logic(self.outer[name].width)} {name}"
            for name, is_input in OUTSIDE
        )
        nets = "".join(f"  {_logic(width)} {name};\n" for name, width in self.inner.items())
        instances = []
        for name, node in self.nodes.items():
            body = ",\n".join(f"    .{port}({node.outside[port]})" for port in node.ports)
            instances.append(f"  node_{name} {name} (\n{body}\n  );\n")
        return f"module {self.top} (\n{ports}\n);\n{nets}{''.join(instances)}endmodule\n"


def _logic(width: int) -> str:
    return "logic" if width == 1 else f"logic [{width - 1}:0]"
