"""Opening the board: the bitfile checked, loaded through PYNQ, the clock set."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterable

from ..contract import Bundle
from ..errors import AcceleratorError
from ..files import MISSING, change_of
from .alveo import Alveo
from .bitfile import Bitfile, read_bitfile, same_part
from .clock import check_clock, set_clock
from .hwh import Handoff, read_hwh
from .transport import Transport
from .zynq import Zynq

_ATTACH = "finnyaml bundle attach DIR --bitfile x.bit --hwh x.hwh"


def open_board(bundle: Bundle, batch: int, device: Any = None, *, changed: bool = False) -> Transport:
    """Load the bundle's bitfile and make it ready to run `batch` samples at a time.

    `device` is a `pynq.Device`, by default the one that PYNQ finds. `changed`: also a bitfile or a .hwh whose digest is
    not the one in bundle.json.
    Raises AcceleratorError: "bitfile missing", "bitfile damaged", "bitfile differs", "clock differs", "package
    missing", "device", or what the weights are refused for.
    """
    bitfile = bitfile_path(bundle)
    if not changed:
        check_unchanged(bundle)
    handoff = check_bitfile(bundle, bitfile)
    overlay = _load(bitfile, device)
    if handoff is not None:
        return Zynq(bundle, overlay, batch, set_clock(handoff.clock), handoff)
    clock_mhz = float(overlay.clock_dict["clock0"]["frequency"])
    check_clock(bundle, [("clock0", clock_mhz)], "the card")
    return Alveo(bundle, overlay, batch, clock_mhz)


def bitfile_path(bundle: Bundle) -> Path:
    """The bundle's bitfile. Raises AcceleratorError: "bitfile missing"."""
    relative = bundle.data["driver"]["bitfile"]
    if relative is None:
        raise AcceleratorError(
            "this bundle has no bitfile",
            name="bitfile missing",
            hint=f"build it where Vivado is (FINN's step_synthesize_bitfile), then: {_ATTACH}",
        )
    return bundle.path(relative)


def check_unchanged(bundle: Bundle) -> None:
    """Check that bitfile and .hwh are those of bundle.json: by their digests, which takes a tenth of a second.

    With the addresses of another build, DMA engines write where nobody expects them.
    Raises AcceleratorError: "bitfile missing", "bitfile differs".
    """
    for relative in (bundle.data["driver"]["bitfile"], bundle.data["driver"]["hwh"]):
        what = change_of(bundle, relative) if relative is not None else ""
        if what:
            raise AcceleratorError(
                f"{relative}: {what}",
                name="bitfile missing" if what == MISSING else "bitfile differs",
                hint=f"copy the bundle again, or attach the pair that belongs together: {_ATTACH}. --changed-bitfile "
                "(Accelerator(changed_bitfile=True)) drives it all the same: outputs may be wrong, and DMA engines "
                "may overwrite memory of others",
            )


def check_bitfile(bundle: Bundle, bitfile: Path) -> Handoff | None:
    """Check that a bitfile is whole and of this bundle: its part, the blocks that the contract names, its clock.

    A .bit needs a .hwh of the same name beside it, which is returned; an .xclbin says everything itself.
    Raises AcceleratorError: "bitfile missing", "bitfile damaged", "bitfile differs", "clock differs".
    """
    found = read_bitfile(bitfile)
    if not isinstance(found, Bitfile):
        _check_blocks(bundle, found.kernels, bitfile)
        check_clock(bundle, [("data clock", found.clock_mhz)] if found.clock_mhz else [], bitfile.name)
        return None
    handoff = read_hwh(bitfile.with_suffix(".hwh"))
    _check_part(bundle, found.part, bitfile)
    _check_part(bundle, handoff.part, handoff.path)
    _check_blocks(bundle, (name for name, ranges in handoff.ranges.items() if ranges), handoff.path)
    _check_streams(bundle, handoff)
    check_clock(bundle, handoff.clock.figures if handoff.clock else (), handoff.path.name)
    return handoff


def _load(bitfile: Path, device: Any) -> Any:
    """A `pynq.Overlay`."""
    try:
        import pynq
    except ImportError as error:
        raise AcceleratorError(
            f"PYNQ is not installed here ({error})",
            name="package missing",
            hint="on a PYNQ image: use its Python (sudo -i, then python3); without a board: --emulate",
        ) from error
    try:
        overlay = pynq.Overlay(str(bitfile), download=False, device=device)
        for clock in overlay.clock_dict.values():
            # PYNQ 4.0.0 does not find the frequencies of a Zynq-7000 in its .hwh and fails to set None; we do it later.
            if clock.get("frequency", 0) is None:
                clock["frequency"] = 100.0
        overlay.download()
        return overlay
    except (RuntimeError, OSError) as error:
        raise AcceleratorError(
            f"PYNQ cannot load {bitfile.name}: {error}",
            name="device",
            hint="loading a bitfile needs root on Zynq (sudo -i), on Alveo XRT's environment (source its setup.sh)",
        ) from error


def _check_part(bundle: Bundle, part: str, file: Path) -> None:
    expected = bundle.data["target"]["part"]
    if part and expected and not same_part(part, expected):
        raise AcceleratorError(
            f"{file.name} is for {part}, the bundle for {expected}",
            name="bitfile differs",
            hint=f"attach the right one: {_ATTACH}",
        )


def _check_streams(bundle: Bundle, handoff: Handoff) -> None:
    """A DMA engine moves as many bytes at a time as the contract packs; where the .hwh says how many."""
    for port in (bundle.accelerator_input, bundle.accelerator_output):
        widths = handoff.streams.get(port.name, ())
        if widths and port.packed[-1] not in widths:
            raise AcceleratorError(
                f"{handoff.path.name}: the stream of {port.name} is {8 * widths[0]} bits wide, the bundle packs "
                f"{8 * port.packed[-1]}",
                name="bitfile differs",
                hint=f"it is of another folding: attach the right one: {_ATTACH}",
            )


def _check_blocks(bundle: Bundle, blocks: Iterable[str], file: Path) -> None:
    """The blocks that we drive: DMA engines and, where weights are written, partitions."""
    driver, present = bundle.data["driver"], set(blocks)
    wanted = {bundle.accelerator_input.name, bundle.accelerator_output.name}
    wanted.update(entry["dma"] for entry in driver["external_weights"])
    wanted.update(entry["ip"] for entry in driver["runtime_weights"])
    missing = sorted(wanted - present)
    if missing:
        raise AcceleratorError(
            f"{file.name} has no {', '.join(missing)} with an address, only {', '.join(sorted(present)) or 'nothing'}",
            name="bitfile differs",
            hint=f"it is of another build; attach the right one: {_ATTACH}",
        )
