"""What gates say of measurements."""

from __future__ import annotations

from typing import Any

import pytest

from finnyaml.recipe.model import Limits
from finnyaml.verify.gates import Gate, Verdict, verdict


def measured(value: float | str = 0.96, reference: float | str | None = 0.98, **more: Any) -> dict[str, Any]:
    """A measurement of a fraction, as `measure` gives it."""
    found = {
        "state": "measured",
        "metric": "top1",
        "value": value,
        "shown": str(value),
        "higher_is_better": True,
        "samples": 500,
        "interval": [0.9, 1.0],
        "agreement": 0.95,
        "outside_tolerance": None,
        "violations": [],
        "reference": None if reference is None else {"name": "source", "value": reference, "shown": str(reference)},
    }
    return {**found, **more}


def error(**more: Any) -> dict[str, Any]:
    """A measurement of an error: lower is better, the reference has none."""
    return measured(0.25, 0.0, metric="mse", higher_is_better=False, interval=None, **more)


@pytest.mark.parametrize(
    ("limits", "measurement", "state"),
    [
        (Limits(max_drop=0.02), measured(), "passed"),  # 0.98 - 0.96 is 0.0200000000000000018 in floating point
        (Limits(max_drop=0.019), measured(), "failed"),
        (Limits(max_drop=0.0), measured(0.99), "passed"),  # better than the reference is not a drop
        (Limits(), measured(), "failed"),  # one percentage point, where nothing is said
        (Limits(), measured(0.971), "passed"),
        (Limits(max_drop=0.2), error(), "failed"),
        (Limits(max_drop=0.3), error(), "passed"),
        (Limits(min=0.97), measured(), "failed"),
        (Limits(min=0.96), measured(), "passed"),
        (Limits(max=0.2), error(), "failed"),
        (Limits(max=0.25), error(), "passed"),
        (Limits(min_agreement=0.951), measured(), "failed"),
        (Limits(min_agreement=0.95), measured(), "passed"),
        (Limits(min_agreement=0.5), measured(agreement=None), "failed"),
        (Limits(atol=0.1), measured(outside_tolerance=0), "passed"),
        (Limits(atol=0.1), measured(outside_tolerance=1), "failed"),
        (Limits(rtol=0.1), measured(outside_tolerance=None), "failed"),  # what could not be compared is not equal
        (Limits(min=0.5), measured(reference=None), "passed"),
        (Limits(min_agreement=0.9, atol=0.1), measured(reference=None, agreement=None), "passed"),
        (Limits(max_drop=0.5), measured(0.96, "nan"), "failed"),
        (Limits(max_drop=0.01), measured(0.9, 0.95), "failed"),
        (Limits(max_drop=0.05), measured(0.9, 0.96, higher_is_better=False), "passed"),
        (Limits(min=0.97, max_drop=0.5), measured(), "failed"),
        (Limits(rtol=0.1), measured(outside_tolerance=0), "passed"),
        (Limits(atol=0.1), measured(reference=None), "passed"),
        (Limits(min=30), measured("inf", "inf", metric="psnr", interval=None), "passed"),
        (Limits(max_drop=3), measured(20.0, "inf", metric="psnr", interval=None), "failed"),
    ],
)
def test_limits(limits: Limits, measurement: dict[str, Any], state: str) -> None:
    found = verdict(Gate(limits), measurement)
    assert (found.state, found.lost) == (state, state == "failed")
    assert bool(found.reasons) == (state == "failed")


@pytest.mark.parametrize(
    "limits",
    [Limits(min=0.5), Limits(max=0.5), Limits(max_drop=0.5), Limits(min_agreement=0.5), Limits(atol=0.1), Limits()],
)
def test_what_is_not_a_number_keeps_no_limit(limits: Limits) -> None:
    found = verdict(Gate(limits), measured("nan", outside_tolerance=0))
    assert (found.state, found.lost) == ("failed", True)
    assert found.reasons == ("top1 is nan, which is not a number, so it keeps no limit",)


def test_without_a_limit_what_is_not_a_number_is_only_measured() -> None:
    assert verdict(Gate(), measured("nan", None, metric="mse", interval=None)) == Verdict("measured")


def test_without_a_limit_nothing_is_passed() -> None:
    assert verdict(Gate(), error()).state == "measured"  # no usual limit for what is not a fraction of the samples
    reference = {"state": "reference", "metric": "mse", "samples": 5, "violations": []}
    assert verdict(Gate(Limits(max=0.1)), reference).state == "measured"


def test_the_message_has_the_figures() -> None:
    found = verdict(Gate(Limits(max_drop=0.005)), measured())
    assert found.reasons == (
        "top1 is 0.96, and 0.98 in the reference (source): it got worse by 2 points, and at most 0.5 points is allowed",
    )
    found = verdict(Gate(Limits(max_drop=0.1)), error())
    assert "it got worse by 0.25, and at most 0.1 is allowed" in found.reasons[0]


def test_a_point_that_could_not_run_is_not_passed() -> None:
    found = verdict(Gate(), {"state": "not executable", "reason": "no simulator", "metric": "top1", "samples": 5})
    assert (found.state, found.reasons) == ("not verified", ("not executable here: no simulator",))


ITEM = {"tensor": "t", "node": "MVAU_4", "op_type": "MVAU", "datatype": "INT7", "low": 9.0, "high": 64.0}


def test_values_that_hardware_cannot_hold_fail_every_gate() -> None:
    overflows = verdict(Gate(Limits(max_drop=1.0)), measured(violations=[{**ITEM, "place": "hardware"}]))
    assert (overflows.state, overflows.lost) == ("failed", False)
    assert overflows.reasons == (
        "MVAU_4 (MVAU) yields 9 to 64, which its type INT7 does not hold: hardware would overflow",
    )


def test_types_that_will_be_set_anew_promise_nothing_yet() -> None:
    early = Gate(Limits(max_drop=1.0), settled=False)
    assert verdict(early, measured(violations=[{**ITEM, "place": "hardware"}])).state == "passed"
    assert verdict(early, measured(violations=[{**ITEM, "place": "input"}])).state == "failed"
    # Before there is hardware, an annotation is a claim that FINN goes on to correct.
    assert verdict(Gate(Limits(max_drop=1.0)), measured(violations=[{**ITEM, "place": "graph"}])).state == "passed"


@pytest.mark.parametrize(("agreement", "got"), [(0.95, "is 95.0 %"), (None, "cannot be told")])
def test_agreement_is_said_in_percent(agreement: float | None, got: str) -> None:
    (reason,) = verdict(Gate(Limits(min_agreement=0.985)), measured(agreement=agreement)).reasons
    assert reason == f"the agreement with the reference {got}, and the least allowed is 98.5 %"


def test_what_is_much_better_than_its_reference_has_a_broken_reference() -> None:
    fed_raw_bytes = measured(0.988, 0.436)
    broken = verdict(Gate(Limits(min=0.999)), fed_raw_bytes)
    assert (broken.state, broken.lost) == ("failed", False)
    assert "the reference does not get the data that it was trained on" in broken.reasons[0]
    assert len(broken.reasons) == 1
    assert verdict(Gate(), measured(0.96, 0.95)).state == "passed"


def test_a_reference_that_only_guesses_is_said() -> None:
    guessing = {**measured(0.086, 0.086), "chance": 0.1}
    assert verdict(Gate(), guessing).state == "passed"
    assert "as good as guessing (10 %)" in verdict(Gate(), guessing).notes[0]
    assert verdict(Gate(), {**measured(0.5, 0.5), "chance": 0.1}).notes == ()
