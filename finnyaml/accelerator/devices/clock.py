"""The clock: what the build promised, what the bitfile was implemented for, what the board runs at.

They differ more often than one thinks. A ZynqMP divides 1500 MHz by whole numbers: Vivado, asked for 200 MHz, takes
187.5, PYNQ takes 214, and an accelerator that met its timing at 187.5 then computes garbage, sometimes. So the board
is never asked for what the recipe asked for, only for what the .hwh says.
"""

from __future__ import annotations

from typing import Any, Iterable

from ..contract import Bundle
from ..errors import AcceleratorError
from .hwh import Clock

TOLERANCE = 0.02
"""Of the achieved frequency. Rounding is far below one percent; the next divider of a processor's clock is three
percent away at least (from 45 MHz on)."""
REQUESTED_TOLERANCE = 0.12
"""Of the requested frequency, where nobody noted the achieved one: the nearest that a divider gives is up to 11
percent off (337.5 MHz, between 300 and 375). The usual mistake, 100 MHz for 200, is 50 percent."""


def promised_mhz(bundle: Bundle) -> float | None:
    """The clock that the bundle's figures hold for: achieved, where that is known, else what was asked for."""
    clock = bundle.data["target"]["clock"]
    found: float | None = clock["achieved_mhz"] or bundle.data["driver"]["clock_mhz"] or clock["requested_mhz"]
    return found


def check_clock(bundle: Bundle, figures: Iterable[tuple[str, float]], file: str) -> None:
    """Compare all that a file says of the accelerator's clock, as (place, MHz), with the clock that the bundle's
    figures hold for.
    Raises AcceleratorError: "clock differs".
    """
    expected = promised_mhz(bundle)
    if not expected:
        return
    achieved = bundle.data["target"]["clock"]["achieved_mhz"]
    tolerance, what = (TOLERANCE, "achieved") if achieved else (REQUESTED_TOLERANCE, "asked for")
    for place, mhz in figures:
        if abs(mhz - expected) > tolerance * expected:
            raise AcceleratorError(
                f"{file} says {mhz:g} MHz ({place}), the build {what} {expected:g} MHz",
                name="clock differs",
                hint="bitfile and bundle are of different builds, or the .hwh is of another bitfile: attach the "
                "pair again (finnyaml bundle attach)",
            )


def set_clock(clock: Clock | None) -> float | None:
    """Set the processor's clock to what the accelerator was implemented for, and return what `running_mhz` does.

    Raises AcceleratorError: "clock differs": the board cannot be set to it.
    """
    if clock is None or clock.pl_clock is None or not clock.pl_mhz:
        return clock.mhz if clock else None
    from pynq.ps import Clocks

    clocks: Any = Clocks
    name = f"fclk{clock.pl_clock}_mhz"
    setattr(clocks, name, clock.pl_mhz)
    actual = float(getattr(clocks, name))
    if abs(actual - clock.pl_mhz) > TOLERANCE * clock.pl_mhz:
        raise AcceleratorError(
            f"PL clock {clock.pl_clock} runs at {actual:g} MHz, asked for the {clock.pl_mhz:g} MHz of {clock.source}",
            name="clock differs",
            hint="the PLL settings of this board's boot image are not those that Vivado took for the board",
        )
    return running_mhz(clock)


def running_mhz(clock: Clock | None) -> float | None:
    """What the accelerator runs at, in MHz, as the processor's clock is set now; None if the .hwh does not say.

    A clock that does not come from the processor runs at what the .hwh says.
    """
    if clock is None or clock.pl_clock is None or not clock.pl_mhz:
        return clock.mhz if clock else None
    from pynq.ps import Clocks

    return clock.mhz * float(getattr(Clocks, f"fclk{clock.pl_clock}_mhz")) / clock.pl_mhz
