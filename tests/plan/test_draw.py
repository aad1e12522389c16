"""Pictures of plans: every task and every need is in them, whatever the shape of the DAG."""

from __future__ import annotations

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from finnyaml.plan import draw
from finnyaml.plan.draw import MARKS, Box

UP = "│├┤┼╰╯┴"


@st.composite
def plans(design: st.DrawFn) -> list[Box]:
    """DAGs in topological order; most tasks need the one before, as in recipes."""
    boxes: list[Box] = []
    for index in range(design(st.integers(1, 14))):
        before = [box.id for box in boxes]
        straight = bool(before) and design(st.integers(0, 3)) > 0
        needs = (before[-1],) if straight else ()
        if before and (not straight or design(st.integers(0, 4)) == 0):
            needs = tuple(dict.fromkeys([*needs, *design(st.lists(st.sampled_from(before), max_size=3))]))
        boxes.append(Box(f"task{index}", "step_x", needs, design(st.sampled_from(list(MARKS)))))
    return boxes


def chain(*names: str) -> list[Box]:
    return [Box(name, f"step_{name}", names[index - 1 : index] if index else ()) for index, name in enumerate(names)]


def needs_of(drawn: str) -> dict[str, set[str]]:
    """Read the lanes back as a person does: follow the lines up from each mark."""
    needs: dict[str, set[str]] = {}
    owner: dict[int, str] = {}
    above, connection = "", None
    for line in drawn.rpartition("\n\n")[0].splitlines():
        box = re.search(r"task\d+", line)
        if box is None:
            connection = line.ljust(100)
            continue
        column = next(index for index, cell in enumerate(line) if cell in MARKS.values())
        if connection is None:
            sources = {column} if above[column : column + 1].strip() else set()
        else:
            first = last = column
            while first and connection[first - 1] == "─":
                first -= 2
            while connection[last + 1] == "─":
                last += 2
            cells = range(first, last + 1, 2)
            # A lane that crosses is drawn whole, and is not part of the line.
            sources = {at for at in cells if connection[at] in UP and (connection[at] != "│" or at == column)}
        needs[box[0]] = {owner[at] for at in sources}
        owner[column] = box[0]
        above, connection = line, None
    return needs


@settings(deadline=None, max_examples=80)
@given(plans())
def test_the_lanes_show_all_needs_and_no_others(boxes: list[Box]) -> None:
    drawn = draw.text(boxes)
    assert [found[0] for found in re.finditer(r"task\d+", drawn)] == [box.id for box in boxes]
    assert needs_of(drawn) == {box.id: set(box.needs) for box in boxes}


@settings(deadline=None, max_examples=80)
@given(plans())
def test_dot_and_mermaid_have_every_task_and_need(boxes: list[Box]) -> None:
    place = {box.id: index for index, box in enumerate(boxes)}
    needs = {(place[need], place[box.id]) for box in boxes for need in box.needs}
    picture, chart = draw.dot(boxes, "title"), draw.mermaid(boxes)
    assert {(int(a), int(b)) for a, b in re.findall(r"^    t(\d+) -> t(\d+)$", picture, re.M)} == needs
    assert {(int(a), int(b)) for a, b in re.findall(r"^    t(\d+) --> t(\d+)$", chart, re.M)} == needs
    for index, box in enumerate(boxes):
        assert f'    t{index} [label="{box.id}\\nx\\n({draw.BRIEF[box.state]})", ' in picture
        assert f'    t{index}["{box.id}<br/>x"]:::{box.state}\n' in chart


def test_a_chain_is_a_list() -> None:
    assert draw.text(chain("tidy_up", "streamline")) == ">  tidy_up\n>  streamline\n\n> to run"


def test_a_branch_is_a_lane() -> None:
    left = Box("left", "steps.py:f", ("start",), "cached", ("small",))
    boxes = [Box("start", "step_start", (), "cached"), left, Box("right", "step_right", ("start",), "blocked")]
    assert draw.text(boxes).splitlines() == [
        "=    start",
        "├─╮",
        "│ =  left   steps.py:f  target small",
        "x    right",
        "",
        "= up to date   x cannot run here",
    ]


def test_labels_cannot_break_out() -> None:
    boxes = [Box("a", 'x.py:"]<script>&`#1\\', (), "stale", (), 'because "<b>"\n')]
    label = draw.mermaid(boxes).splitlines()[2]
    assert label == '    t0["a<br/>x.py:#34;]#60;script#62;#38;#96;#35;1\\"]:::stale'
    assert draw.mermaid(boxes, fenced=False).startswith("flowchart TD\n")
    strings = re.findall(r'"(?:\\.|[^"\\])*"', draw.dot(boxes, 'a "b" \\'))  # as Graphviz reads them
    said = [json.loads(string) for string in strings]
    assert said[0] == 'a "b" \\'
    assert 'a\nx.py:"]<script>&amp;`#1\\\n(run)' in said and 'to run: because "<b>"\n' in said


def test_an_empty_plan_is_drawn() -> None:
    assert draw.text([]) == "\n" and draw.dot([], "").endswith("\n}")
