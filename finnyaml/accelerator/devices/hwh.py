"""What Vivado says of a design in the hardware handoff file (.hwh) beside the bitfile.

PYNQ reads it for the addresses; we read it for the part, and for the clock that the accelerator was implemented for.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from ..errors import AcceleratorError

_AGAIN = "copy the .hwh from the build, the one that lies beside the bitfile (FINN leaves both in bitfile/)"
_FINN_IP = re.compile(r"[io]dma\d+|StreamingDataflowPartition_\d+|instrumentation_wrap_\d+")
_PROCESSORS = ("processing_system7", "zynq_ultra_ps_e")
_WIZARD = "clk_wiz"

# Parameters that hold a frequency in MHz: what Vivado achieved, then what was asked for. {0}: the number of the output.
_WIZARD_MHZ = ("CLKOUT{0}_OUT_FREQ", "C_CLKOUT{0}_OUT_FREQ", "CLKOUT{0}_REQUESTED_OUT_FREQ")
_PROCESSOR_MHZ = (
    "PSU__CRL_APB__PL{0}_REF_CTRL__ACT_FREQMHZ",
    "PCW_ACT_FPGA{0}_PERIPHERAL_FREQMHZ",
    "PSU__CRL_APB__PL{0}_REF_CTRL__FREQMHZ",
    "PCW_FPGA{0}_PERIPHERAL_FREQMHZ",
)


@dataclass(frozen=True)
class Clock:
    """The accelerator's clock: frequency in MHz and the place in the .hwh that says so.

    `figures` are all that the file has to say of it, as (place, MHz). It comes from the processor's PL clock number
    `pl_clock`, which has to run at `pl_mhz`; None if it comes from elsewhere.
    """

    mhz: float
    source: str
    figures: tuple[tuple[str, float], ...]
    pl_clock: int | None
    pl_mhz: float | None


@dataclass(frozen=True)
class Handoff:
    """A .hwh file. `part` is as FINN writes it ("xc7z020clg400-1", "xczu7ev-ffvc1156-2"); `vivado` its version
    ("2022.2"), None if it does not say. `ranges`: for each block, where the processor sees its registers: (address,
    bytes) of each interface. `streams`: for each block, the bytes that its AXI streams move at a time.
    """

    path: Path
    vivado: str | None
    part: str
    ranges: dict[str, tuple[tuple[int, int], ...]]
    clock: Clock | None
    streams: dict[str, tuple[int, ...]]


def read_hwh(path: Path) -> Handoff:
    """Read a .hwh file.

    Raises AcceleratorError: "bitfile missing" (there is none), "bitfile damaged" (it is not a .hwh, or lacks what we
    need).
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - of the user's own build; expat limits entities
        modules = {module.get("INSTANCE", ""): module for module in root.iter("MODULE")}
        system = root.find("SYSTEMINFO")
        if system is None or not modules:
            raise _damaged(path, "it describes no design")
        ranges = _ranges(modules)
        every = {name: ranges.get(name, ()) for name in modules}
        vivado = root.get("VIVADOVERSION") or None
        return Handoff(path, vivado, _part(system), every, _clock(modules), _streams(modules))
    except OSError as error:
        raise AcceleratorError(f"cannot read {path}: {error.strerror}", name="bitfile missing", hint=_AGAIN) from error
    except (ET.ParseError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _part(system: ET.Element) -> str:
    device, package, grade = (system.get(key, "") for key in ("DEVICE", "PACKAGE", "SPEEDGRADE"))
    device = device if device.startswith("xc") else f"xc{device}"
    return f"{device}{'' if device.startswith('xc7') else '-'}{package}{grade}"


def _ranges(modules: dict[str, ET.Element]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Registers as the processor sees them; other masters (DMA engines) have memory maps too."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for module in modules.values():
        if module.get("MODTYPE") in _PROCESSORS:
            for entry in module.iter("MEMRANGE"):
                base, high = (int(entry.get(key, ""), 16) for key in ("BASEVALUE", "HIGHVALUE"))
                interfaces = found.setdefault(entry.get("INSTANCE", ""), {})
                interfaces[entry.get("SLAVEBUSINTERFACE", "")] = (base, high - base + 1)
    return {name: tuple(found[name][key] for key in sorted(found[name], key=_natural)) for name in found}


def _streams(modules: dict[str, ET.Element]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for name, module in modules.items():
        for interface in module.iter("BUSINTERFACE"):
            if ":axis:" in interface.get("VLNV", ""):
                values = (entry for entry in interface.iter("PARAMETER") if entry.get("NAME") == "TDATA_NUM_BYTES")
                found[name] = found.get(name, ()) + tuple(int(entry.get("VALUE", "")) for entry in values)
    return found


def _natural(name: str) -> list[int | str]:
    """s_axilite_2 before s_axilite_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _clock(modules: dict[str, ET.Element]) -> Clock | None:
    """The clock of the first of FINN's blocks that has one: they all run on the same."""
    for name in sorted(filter(_FINN_IP.fullmatch, modules)):
        port = _port(modules[name], "ap_clk")
        if port is not None:
            driver, pin = _driver(modules, port)
            figures = _frequency(port, f"{name}/ap_clk")
            pl_clock = pl_mhz = None
            if driver is not None and driver.get("MODTYPE") == _WIZARD:
                figures += _parameter(driver, _WIZARD_MHZ, pin)
                pl_clock, pl_mhz = _reference(modules, driver)
            elif driver is not None:
                figures += _parameter(driver, _PROCESSOR_MHZ, pin)
                pl_clock, pl_mhz = _number(pin), figures[0][1] if figures else None
            if figures:
                return Clock(figures[0][1], figures[0][0], tuple(figures), pl_clock, pl_mhz)
    return None


def _reference(modules: dict[str, ET.Element], wizard: ET.Element) -> tuple[int | None, float | None]:
    """The processor's clock that a clocking wizard takes, and its frequency; FINN's shell asks for 100 MHz there."""
    port = _port(wizard, "clk_in1")
    driver, pin = _driver(modules, port) if port is not None else (None, "")
    if port is None or driver is None or driver.get("MODTYPE") == _WIZARD:
        return None, None
    known = _frequency(port, "")
    return _number(pin), known[0][1] if known else 100.0


def _port(module: ET.Element, name: str) -> ET.Element | None:
    return next((port for port in module.iter("PORT") if port.get("NAME") == name), None)


def _driver(modules: dict[str, ET.Element], port: ET.Element) -> tuple[ET.Element | None, str]:
    """The clocking wizard or processor that drives a clock port, and its pin; (None, "") if neither does."""
    for connection in port.iter("CONNECTION"):
        module = modules.get(connection.get("INSTANCE", ""))
        if module is not None and module.get("MODTYPE") in (_WIZARD, *_PROCESSORS):
            return module, connection.get("PORT", "")
    return None, ""


def _frequency(port: ET.Element, place: str) -> list[tuple[str, float]]:
    """What a clock port says of itself, as (place, MHz)."""
    hertz = port.get("CLKFREQUENCY")
    return [(place, int(hertz) / 1e6)] if hertz else []


def _parameter(module: ET.Element, names: tuple[str, ...], pin: str) -> list[tuple[str, float]]:
    """The first parameter there is, as (place, MHz)."""
    parameters = {entry.get("NAME", ""): entry.get("VALUE", "") for entry in module.iter("PARAMETER")}
    name = next((name for name in (each.format(_number(pin)) for each in names) if parameters.get(name)), None)
    return [(f"{module.get('INSTANCE')} {name}", float(parameters[name]))] if name is not None else []


def _number(pin: str) -> int:
    """clk_out1 is output 1, pl_clk0 and FCLK_CLK0 are clock 0."""
    digits = re.search(r"\d+$", pin)
    return int(digits.group()) if digits else 0


def _damaged(path: Path, why: str) -> AcceleratorError:
    return AcceleratorError(f"{path} is not a hardware handoff file: {why}", name="bitfile damaged", hint=_AGAIN)
