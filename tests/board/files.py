"""Files that Vivado and Vitis would leave, made up for tests: a .hwh of FINN's Zynq shell, a .bit, an .xclbin.

They have what PYNQ's parsers and ours read, and no design in them. Standard library only.
"""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AXI_BASE = {"xc7": 0x4000_0000, "xcz": 0xA000_0000}
DMA_REGISTERS = {"CTRL": 0x00, "in0_V_1": 0x10, "in0_V_2": 0x14, "numReps": 0x1C}
INSTRUMENTATION_REGISTERS = {
    name: 0x10 + 8 * index
    for index, name in enumerate(
        ("cfg", "seed", "avg_n", "mux_interval", "status", "checksum", "min_latency", "latency", "interval")
    )
}


@dataclass(frozen=True)
class Block:
    """A block of FINN's that the processor can address: name, registers by name, bytes, how many such interfaces."""

    name: str
    registers: dict[str, int]
    size: int = 4096
    interfaces: int = 1


def blocks_of(data: dict[str, Any]) -> list[Block]:
    """The blocks that a bundle (its `bundle.json`) needs."""
    ports = data["contract"]["accelerator"]
    names = [port["name"] for port in (*ports["inputs"], *ports["outputs"])]
    names += [entry["dma"] for entry in data["driver"]["external_weights"]]
    blocks = [Block(name, DMA_REGISTERS) for name in names]
    partitions = [entry["ip"] for entry in data["driver"]["runtime_weights"]]
    blocks += [Block(name, {}, 1 << 18, partitions.count(name)) for name in sorted(set(partitions))]
    if data["driver"]["instrumentation"]:
        blocks.append(Block("instrumentation_wrap_0", INSTRUMENTATION_REGISTERS))
        blocks.append(Block("axi_gpio_0", {"GPIO_DATA": 0, "GPIO2_DATA": 8}))
    return blocks


def write_hwh(path: Path, part: str, blocks: list[Block], mhz: float, *, wizard: bool = True) -> None:
    """A handoff file for `part` ("xc7z020clg400-1", "xczu7ev-ffvc1156-2-e") with these blocks, clocked with `mhz`.

    `wizard`: as finn-plus builds it, a clocking wizard behind a 100 MHz PL clock; else as FINN, from the processor.
    """
    zynq7 = part.startswith("xc7")
    processor, kind, pin = (
        ("zynq_ps", "processing_system7", "FCLK_CLK0") if zynq7 else ("zynq_ps", "zynq_ultra_ps_e", "pl_clk0")
    )
    reference = 100.0 if wizard else mhz
    clock = ("clk_wiz_0", "clk_out1") if wizard else (processor, pin)
    modules = []
    memory: list[ET.Element] = []
    address = AXI_BASE[part[:3]]
    for block in blocks:
        interfaces = [f"s_axi_control_{index}" for index in range(block.interfaces)]
        modules.append(
            _module(
                block.name,
                f"xilinx.com:hls:{block.name}:1.0",
                parameters={},
                ports=[_clock_port("ap_clk", "I", mhz, clock)],
                slaves=interfaces,
                registers=block.registers,
            )
        )
        for interface in interfaces:
            address = -(-address // block.size) * block.size
            memory.append(_range(block.name, interface, address, block.size))
            address += block.size
    if wizard:
        parameters = {
            "CLKOUT1_REQUESTED_OUT_FREQ": f"{mhz:.3f}",
            "CLKOUT1_OUT_FREQ": f"{mhz:.5f}",
            "PRIM_IN_FREQ": f"{reference:.3f}",
        }
        ports = [_clock_port("clk_in1", "I", reference, (processor, pin)), _clock_port("clk_out1", "O", mhz, None)]
        modules.append(_module("clk_wiz_0", "xilinx.com:ip:clk_wiz:6.0", parameters=parameters, ports=ports))
    modules.append(
        _module(
            processor,
            f"xilinx.com:ip:{kind}:5.5",
            parameters=_zynq7_clocks(reference) if zynq7 else _zynqmp_clocks(reference),
            ports=[_clock_port(pin, "O", reference, None)],
            master="M_AXI_GP0" if zynq7 else "M_AXI_HPM0_FPD",
            memory=memory,
        )
    )
    device, package, grade = _split(part)
    system = _element("SYSTEMINFO", NAME="top", DEVICE=device, PACKAGE=package, SPEEDGRADE=grade)
    root = _element("EDKSYSTEM", system, _element("EXTERNALPORTS"), _element("EXTERNALINTERFACES"))
    root.append(_element("MODULES", *modules))
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def write_bit(path: Path, part: str, payload: int = 4096) -> None:
    """A .bit file with so many bytes of zeros in it."""
    name = "".join(_split(part)[:2]) if part.startswith("xc7") else part
    fields = {"a": "top_wrapper;UserID=0XFFFFFFFF;Version=2022.2", "b": name, "c": "2026/01/02", "d": "03:04:05"}
    head = struct.pack(">H9sH", 9, bytes(9), 1)
    for letter, text in fields.items():
        head += letter.encode() + struct.pack(">H", len(text) + 1) + text.encode() + b"\0"
    path.write_bytes(head + b"e" + struct.pack(">I", payload) + bytes(payload))


def write_xclbin(path: Path, kernels: list[str], mhz: int, platform: str = "xilinx_u250_xdma") -> None:
    """An .xclbin file that only lists kernel instances and the clocks."""
    entries = b"".join(struct.pack("<IIQ64s", 1, 0, 0x1000 * n, f"{k}:{k}".encode()) for n, k in enumerate(kernels))
    clocks = struct.pack("<HHB5x128sHB5x128s", 2, mhz, 1, b"DATA_CLK", 500, 2, b"KERNEL_CLK")
    sections = {8: struct.pack("<i4x", len(kernels)) + entries, 11: clocks}
    offset = 456 + 40 * len(sections)
    headers = body = b""
    for kind, content in sections.items():
        headers += struct.pack("<I16s4xQQ", kind, b"section", offset + len(body), len(content))
        body += content + bytes(-len(content) % 8)
    head = bytearray(456)
    head[:8] = b"xclbin2\0"
    struct.pack_into("<Q", head, 304, offset + len(body))
    struct.pack_into("<64s", head, 352, platform.encode())
    struct.pack_into("<I", head, 448, len(sections))
    path.write_bytes(bytes(head) + headers + body)


def _split(part: str) -> tuple[str, str, str]:
    """Device, package, speed grade as Vivado writes them: 7z020, clg400, -1; xczu7ev, ffvc1156, -2."""
    if part.startswith("xc7"):
        return part[2:7], part[7:-2], part[-2:]
    device, package, grade = part.split("-")[:3]
    return device, package, f"-{grade}"


def _zynq7_clocks(mhz: float) -> dict[str, str]:
    parameters = {"PCW_FPGA0_PERIPHERAL_FREQMHZ": f"{mhz:g}", "PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ": f"{mhz:.6f}"}
    for index in range(4):
        parameters[f"PCW_FCLK{index}_PERIPHERAL_DIVISOR0"] = "10"
        parameters[f"PCW_FCLK{index}_PERIPHERAL_DIVISOR1"] = "1"
        parameters[f"PCW_FCLK{index}_PERIPHERAL_CLKSRC"] = "IO PLL"
        parameters[f"PCW_FPGA_FCLK{index}_ENABLE"] = str(int(index == 0))
    return parameters


def _zynqmp_clocks(mhz: float) -> dict[str, str]:
    parameters = {}
    for index in range(4):
        prefix = f"PSU__CRL_APB__PL{index}_REF_CTRL__"
        parameters |= {f"{prefix}DIVISOR0": "15", f"{prefix}DIVISOR1": "1", f"{prefix}SRCSEL": "IOPLL"}
        parameters |= {f"{prefix}ACT_FREQMHZ": f"{mhz:.6f}", f"{prefix}FREQMHZ": f"{mhz:g}"}
        parameters[f"PSU__FPGA_PL{index}_ENABLE"] = str(int(index == 0))
    return parameters


def _element(tag: str, *children: ET.Element, **attributes: str) -> ET.Element:
    element = ET.Element(tag, attributes)
    element.extend(children)
    return element


def _property(name: str, value: str) -> ET.Element:
    return _element("PROPERTY", NAME=name, VALUE=value)


def _clock_port(name: str, direction: str, mhz: float, driver: tuple[str, str] | None) -> ET.Element:
    connections = [] if driver is None else [_element("CONNECTION", INSTANCE=driver[0], PORT=driver[1])]
    hertz = str(round(mhz * 1e6))
    return _element(
        "PORT", _element("CONNECTIONS", *connections), CLKFREQUENCY=hertz, DIR=direction, NAME=name, SIGIS="clk"
    )


def _range(block: str, interface: str, address: int, size: int) -> ET.Element:
    return _element(
        "MEMRANGE",
        ADDRESSBLOCK="Reg",
        BASEVALUE=f"0x{address:08X}",
        HIGHVALUE=f"0x{address + size - 1:08X}",
        INSTANCE=block,
        MASTERBUSINTERFACE="M_AXI",
        MEMTYPE="REGISTER",
        SLAVEBUSINTERFACE=interface,
    )


def _module(
    name: str,
    vlnv: str,
    *,
    parameters: dict[str, str],
    ports: list[ET.Element],
    slaves: list[str] | None = None,
    registers: dict[str, int] | None = None,
    master: str | None = None,
    memory: list[ET.Element] | None = None,
) -> ET.Element:
    slaves, memory = slaves or [], memory or []
    for entry in memory:
        entry.set("MASTERBUSINTERFACE", master or "")
    interfaces = [
        _element("BUSINTERFACE", NAME=slave, TYPE="SLAVE", VLNV="xilinx.com:interface:aximm:1.0") for slave in slaves
    ]
    if master:
        interfaces.append(_element("BUSINTERFACE", NAME=master, TYPE="MASTER", VLNV="xilinx.com:interface:aximm:1.0"))
    described = [
        _element(
            "REGISTER",
            *(_property("DESCRIPTION", register), _property("ADDRESS_OFFSET", hex(offset))),
            *(_property("SIZE", "32"), _property("ACCESS", "read-write"), _property("IS_ENABLED", "true")),
            NAME=register,
        )
        for register, offset in (registers or {}).items()
    ]
    address_blocks = [
        _element("ADDRESSBLOCK", _element("REGISTERS", *described), INTERFACE=slave, NAME="Reg", USAGE="register")
        for slave in slaves[:1]
    ]
    return _element(
        "MODULE",
        _element("ADDRESSBLOCKS", *address_blocks),
        _element("PARAMETERS", *(_element("PARAMETER", NAME=key, VALUE=value) for key, value in parameters.items())),
        _element("PORTS", *ports),
        _element("BUSINTERFACES", *interfaces),
        _element("MEMORYMAP", *memory),
        FULLNAME=f"/{name}",
        INSTANCE=name,
        MODTYPE=vlnv.split(":")[2],
        VLNV=vlnv,
    )
