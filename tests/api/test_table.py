"""The table of a sweep, from figures as builds leave them."""

from __future__ import annotations

import csv

from finnyaml.api.table import Built, Table, table_of
from finnyaml.engine.figures import Figure
from finnyaml.recipe.model import Objective

FPS, LUT = Objective("fps", "maximize"), Objective("lut", "minimize")


def built(name: str, lacks: str = "", **figures: dict[str, float]) -> Built:
    """A variant with figures by their sources, the most real one first."""
    told = {key: [Figure(value, source, source) for source, value in said.items()] for key, said in figures.items()}
    return Built(name, {"bits": len(name)}, {"fps": [], "lut": [], "accuracy": [], **told}, lacks)


def test_less_and_more() -> None:
    found = table_of(
        "net",
        [FPS, LUT],
        [
            built("a", fps={"estimate": 10}, lut={"yosys": 100}),
            built("b", fps={"estimate": 20}, lut={"yosys": 100}),
            built("c", fps={"estimate": 5}, lut={"yosys": 50}),
        ],
    )
    assert found.pareto == ("b", "c")
    assert found.to_json()["pareto"] == ["b", "c"]


def test_figures_of_two_sources_are_not_compared() -> None:
    both = {"rtl.simulate": 9.0, "estimate": 10.0}
    found = table_of(
        "net", [FPS, LUT], [built("a", fps=both, lut={"yosys": 1}), built("b", fps={"estimate": 10}, lut={"yosys": 1})]
    )
    # Both have the estimate, only one was simulated.
    assert found.sources == {"fps": "estimate", "lut": "yosys"} and found.pareto == ("a", "b")

    found = table_of(
        "net",
        [FPS, LUT],
        [built(name, fps=both, lut={"yosys": 1}) for name in "ab"]
        + [built("c", fps={"estimate": 99}, lut={"yosys": 1})],
    )
    assert found.sources["fps"] == "estimate"
    assert found.rows[2].figures["fps"] == 99

    simulated = Objective("fps", "maximize", source="rtl.simulate")
    found = table_of("net", [simulated], [built("a", fps=both), built("b", fps={"estimate": 99})])
    assert found.sources["fps"] == "rtl.simulate" and found.pareto == ("a",)
    assert found.rows[1].figures["fps"] is None
    assert found.rows[1].why == ("no fps from rtl.simulate, only from estimate",)


def test_what_failed_does_not_decide_the_source() -> None:
    both = {"rtl.simulate": 9.0, "estimate": 10.0}
    failed = built("b", "not complete: simulate failed", fps={"estimate": 99})
    found = table_of("net", [FPS], [built("a", fps=both), failed])
    assert found.sources["fps"] == "rtl.simulate" and found.pareto == ("a",)
    assert found.rows[1].figures["fps"] is None and found.rows[1].why == ("not complete: simulate failed",)


def test_limits_and_what_is_not_there() -> None:
    limited = [Objective("fps", "maximize", min=10), Objective("lut", "minimize", max=100)]
    found = table_of(
        "net",
        limited,
        [
            built("slow", fps={"estimate": 9}, lut={"yosys": 1}),
            built("large", fps={"estimate": 99}, lut={"yosys": 101}),
            built("exact", fps={"estimate": 10}, lut={"yosys": 100}),
            built("none", fps={"estimate": 10}),
        ],
    )
    assert found.pareto == ("exact",)
    assert [row.why for row in found.rows] == [
        ("fps is less than 10",),
        ("LUT is more than 100",),
        (),
        ("no step says LUT",),
    ]
    (line,) = [line for line in found.lines() if line.startswith("  none")]
    assert line.split() == ["none", "10", "-"]


def table() -> Table:
    accuracy = Figure(0.9844, "last", "top1 of 500 after last")
    rows = [built("a_1", fps={"estimate": 1234.5}, lut={"yosys": 2000}), built("b", "not complete: x failed")]
    rows[0] = Built("a_1", {"net": "cnv", "bits": 2}, {**rows[0].figures, "accuracy": [accuracy]}, "")
    return table_of("net", [Objective("accuracy", "maximize", min=0.5), FPS, LUT], rows)


def test_for_people() -> None:
    assert table().lines() == [
        "  variant  accuracy    fps    LUT",
        "* a_1        98.4 %  1,234  2,000",
        "  b               -      -      -",
        "* in the Pareto set: 1 of 2 variants",
        "  accuracy: top1 of 500 after last, more is better, at least 0.5",
        "  fps: estimate, more is better",
        "  LUT: yosys, less is better",
        "  not compared: b (not complete: x failed)",
    ]


def test_csv_and_latex() -> None:
    header, first, second = csv.reader(table().to_csv().splitlines())
    assert header == [
        *("variant", "vars.net", "vars.bits", "accuracy (top1 of 500 after last)", "fps (estimate)", "lut (yosys)"),
        *("pareto", "why"),
    ]
    assert first == ["a_1", "cnv", "2", "0.9844", "1234.5", "2000", "yes", ""]
    assert second == ["b", "", "1", "", "", "", "no", "not complete: x failed"]
    latex = table().to_latex()
    assert r"\textbf{a\_1} & 98.4 \% & 1,234 & 2,000 \\" in latex and r"b & -- & -- & -- \\" in latex
    assert latex.startswith("% accuracy: top1 of 500 after last, more is better")
