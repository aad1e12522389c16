"""Pictures of plans: every task and every need is in them, whatever the shape of the DAG."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnyaml.plan import draw
from finnyaml.plan.draw import MARKS, Box
from finnyaml.plan.layout import HEIGHT, layout

SVG = "{http://www.w3.org/2000/svg}"
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
def test_boxes_do_not_touch_and_no_edge_leads_through_one(boxes: list[Box]) -> None:
    picture = layout(boxes)
    places = {item.box.id: item for item in picture.boxes}
    for a in picture.boxes:
        assert 0 <= a.x <= picture.width - picture.box_width and 0 <= a.y <= picture.height - picture.box_height
        for b in picture.boxes:
            apart = abs(a.x - b.x) >= picture.box_width + 1 or abs(a.y - b.y) >= picture.box_height + 1
            assert a is b or apart
    ends = [(need, box.id) for box in boxes for need in box.needs]
    for (start, end), edge in zip(ends, picture.edges, strict=True):
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d", edge)]
        middle = picture.box_width / 2
        assert numbers[:2] == pytest.approx([places[start].x + middle, places[start].y + HEIGHT], abs=0.1)
        assert numbers[-2:] == pytest.approx([places[end].x + middle, places[end].y], abs=0.1)
        for x, y in re.findall(r"(-?\d+\.\d) (-?\d+\.\d)V", edge):  # straight down beside the boxes of a layer
            beside = [item for item in picture.boxes if item.y == pytest.approx(float(y), abs=0.1)]
            assert all(not item.x < float(x) < item.x + picture.box_width for item in beside)


@settings(deadline=None, max_examples=80)
@given(plans())
def test_svg_and_mermaid_have_every_task_and_need(boxes: list[Box]) -> None:
    root = ElementTree.fromstring(draw.svg(boxes, "a < b & c"))
    assert [item.text for item in root.iter(f"{SVG}text") if item.get("class") == "id"] == [box.id for box in boxes]
    needs = sum(len(box.needs) for box in boxes)
    assert sum(item.get("class") == "edge" for item in root.iter(f"{SVG}path")) == needs
    chart = draw.mermaid(boxes)
    assert chart.count(" --> ") == needs
    assert all(f'["{box.id}<br/>x"]:::{box.state}' in chart for box in boxes)


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
    boxes = [Box("a", 'x.py:"]<script>&`#1', (), "stale", (), "because <b>")]
    drawn = draw.svg(boxes, "</svg>")
    ElementTree.fromstring(drawn)
    assert "<script>" not in drawn and drawn.count("</svg>") == 1
    label = draw.mermaid(boxes).splitlines()[2]
    assert label == '    t0["a<br/>x.py:#34;]#60;script#62;#38;#96;#35;1"]:::stale'
    assert draw.mermaid(boxes, fenced=False).startswith("flowchart TD\n")


def test_a_long_path_is_cut_in_the_picture_only() -> None:
    boxes = [Box("a", "../" + "far/" * 30 + "steps.py:function")]
    assert "…" in draw.svg(boxes, "a") and layout(boxes).width < 500
    assert boxes[0].uses in draw.text(boxes)


def test_an_empty_plan_is_drawn() -> None:
    ElementTree.fromstring(draw.svg([], "empty"))
    assert draw.text([]) == "\n"
