"""FINN's own drivers, as they are: the `finn-plus-driver` package, or the driver.py that other versions of FINN make.

Both are a `pynq.Overlay` with the same few methods; only the bytes between our packing and theirs are exchanged.
Neither gives up waiting: an accelerator that does not finish hangs here (and ends with a clear error in
`board.open_board`).
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import numpy as np

from ..contract import Bundle
from ..errors import COPY_AGAIN, AcceleratorError, check_open
from ..files import unlisted_files
from .board import bitfile_path, check_bitfile, check_unchanged
from .clock import TOLERANCE, check_clock, running_mhz
from .hwh import Handoff
from .weights import external_weights, runtime_weights

_WEIGHTS = "driver/runtime_weights"


class FinnDriver:
    """A `Device` on top of an object of FINN's driver class."""

    name = "finn"

    def __init__(self, bundle: Bundle, driver: Any, clock_mhz: float | None) -> None:
        self.clock_mhz = clock_mhz
        self._driver = driver
        self._input_shape = bundle.accelerator_input.packed[1:]
        self._lock = threading.Lock()  # the driver has its buffers once

    def execute(self, packed: np.ndarray) -> np.ndarray:
        """uint8 [n, *packed_in[1:]], any n, to uint8 [n, *packed_out[1:]]. Raises AcceleratorError: "closed"."""
        batch = self._driver.batch_size
        results = []
        for start in range(0, len(packed), batch):
            part = packed[start : start + batch]
            full = np.zeros((batch, *self._input_shape), np.uint8)  # the driver copies whole batches
            full[: len(part)] = part
            with self._lock:
                check_open(self._driver.ibuf_packed_device is not None)
                self._driver.copy_input_data_to_device(full)
                self._driver.execute_on_buffers(batch_size=len(part))
                self._driver.copy_output_data_from_device(self._driver.obuf_packed[0])
                results.append(np.array(self._driver.obuf_packed[0][: len(part)]))
        outputs: np.ndarray = np.concatenate(results)
        return outputs

    def close(self) -> None:
        """Free the driver's buffers. The accelerator stays loaded."""
        with self._lock:
            self._driver.ibuf_packed_device = self._driver.obuf_packed_device = None


def open_driver(bundle: Bundle, batch: int, device: Any = None, *, changed: bool = False) -> FinnDriver:
    """Load the bundle's bitfile by FINN's driver: finn-plus's with `driver/settings.json`, else the generated one.

    Raises AcceleratorError: what `board.open_board` raises; "weights damaged" or "weights not loaded" where the driver
    refuses them; "file changed" where it would load weights that are not of this bundle; "clock differs" where it has
    set another clock than the bitfile's.
    """
    bitfile = bitfile_path(bundle)
    if not changed:
        check_unchanged(bundle)
    handoff = check_bitfile(bundle, bitfile)
    wanted = bundle.data["driver"]
    own = "use this package's own: --driver pynq"
    common = {"batch_size": batch, "device": device, "runtime_weight_dir": str(bundle.path(_WEIGHTS))}
    if wanted["settings"] is None and wanted["generated"] is None:
        raise AcceleratorError("this bundle has no driver of FINN", name="not supported", hint=own)
    _check_weights(bundle)
    try:
        if wanted["settings"] is not None:
            from finn_plus_driver import get_driver_class

            given = json.loads(bundle.path(wanted["settings"]).read_text(encoding="utf-8"))["driver_information"]
            driver = get_driver_class(given["driver_type"])(str(bitfile), **{**given, **common})
        else:
            driver = _generated(bundle.path(wanted["generated"]), wanted["platform"], bitfile, handoff, common)
    except FileNotFoundError as error:
        raise AcceleratorError(f"FINN's driver: {error}", name="weights not loaded") from error
    except AssertionError as error:  # this is how the driver reads the weights back
        raise AcceleratorError(f"FINN's driver refuses the weights {error}", name="weights damaged") from error
    except ImportError as error:
        raise AcceleratorError(
            f"FINN's driver needs {error.name or error}, which is not installed here",
            name="package missing",
            hint=f"pip install finn-plus-driver, or {own}",
        ) from error
    except Exception as error:  # code of others, on PYNQ versions of which some cannot load some boards
        raise AcceleratorError(
            f"FINN's driver cannot open the board: {type(error).__name__}: {error}",
            name="device",
            hint=f"does it run as root? Look at driver/, or {own}",
        ) from error
    running = running_mhz(handoff.clock) if handoff else float(driver.clock_dict["clock0"]["frequency"])
    _check_running(bundle, handoff, running)
    return FinnDriver(bundle, driver, running)


def _check_weights(bundle: Bundle) -> None:
    """FINN's driver loads the files that it finds, none less and none more."""
    runtime_weights(bundle)
    external_weights(bundle)
    foreign = [name for name in unlisted_files(bundle) if name.startswith(f"{_WEIGHTS}/")]
    if foreign:
        raise AcceleratorError(
            f"{', '.join(foreign)}: not of this bundle, and FINN's driver would load it",
            name="file changed",
            hint=f"remove it, or {COPY_AGAIN}",
        )


def _check_running(bundle: Bundle, handoff: Handoff | None, running: float | None) -> None:
    """FINN's drivers set the clock without asking the .hwh: finn-plus's always runs PL clock 0 at 100 MHz."""
    if running is None:
        return
    if handoff is None:
        check_clock(bundle, [("clock0", running)], "the card")
    elif handoff.clock is not None and abs(running - handoff.clock.mhz) > TOLERANCE * handoff.clock.mhz:
        raise AcceleratorError(
            f"FINN's driver runs the accelerator at {running:g} MHz, {handoff.path.name} says {handoff.clock.mhz:g} "
            f"MHz ({handoff.clock.source})",
            name="clock differs",
            hint="it sets the processor's clock for designs with a clocking wizard; use --driver pynq",
        )


def _generated(driver: Path, platform: str, bitfile: Path, handoff: Handoff | None, common: dict[str, Any]) -> Any:
    """driver.py has the shapes, driver_base.py beside it the class. The class sets PL clock 0 to `fclk_mhz`."""
    clock = handoff.clock if handoff else None
    fclk_mhz = clock.pl_mhz if clock and clock.pl_mhz else 0.0  # 0: leave it
    with _importable(driver.parent):
        shapes = importlib.import_module(driver.stem).io_shape_dict
        overlay = importlib.import_module("driver_base").FINNExampleOverlay
        return overlay(str(bitfile), platform, shapes, fclk_mhz=fclk_mhz, **common)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The generated files import each other, and the copies of parts of qonnx and finn beside them, by plain names."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(f"{folder}/"):  # another bundle has others
                del sys.modules[name]
