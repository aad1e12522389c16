"""Where the boxes of a DAG stand: one layer per level, few crossings, edges as straight as the neighbours allow.

Sugiyama's method in its smallest form. An edge over several layers gets a bend point in each, so that it is led
around the boxes between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx

    from finnyaml.plan.draw import Box

HEIGHT, GAP = 44.0, 32.0
"""Of a box, and between two layers."""
MARGIN, ASIDE = 24.0, 28.0
"""Around the picture, and between two boxes of a layer."""
LETTER, SMALL_LETTER = 7.9, 6.3
"""Widths of a character of the id and of what is below it, with the fonts of the template."""
SWEEPS = 12

Node = str | tuple[str, str, int]
"""A task's id, or the bend of an edge (from, to) in a layer."""


@dataclass(frozen=True)
class Placed:
    """A box and its upper left corner."""

    box: Box
    x: float
    y: float


@dataclass(frozen=True)
class Picture:
    """Everything placed; `edges` are paths in SVG's words."""

    width: float
    height: float
    box_width: float
    box_height: float
    boxes: tuple[Placed, ...]
    edges: tuple[str, ...]


def layout(boxes: Sequence[Box]) -> Picture:
    """Place the boxes of a plan."""
    width = max((_width(box) for box in boxes), default=0.0)
    graph, layers = _layered(boxes)
    _reduce_crossings(graph, layers)
    centre = _centres(graph, layers, width)
    extents = [(x - width / 2, x + width / 2) if isinstance(node, str) else (x, x) for node, x in centre.items()]
    shift = MARGIN - min((left for left, _ in extents), default=0.0)
    level = {node: index for index, layer in enumerate(layers) for node in layer}

    def top(node: Node) -> float:
        return MARGIN + level[node] * (HEIGHT + GAP)

    placed = tuple(Placed(box, centre[box.id] + shift - width / 2, top(box.id)) for box in boxes)
    edges = []
    for box in boxes:
        for need in box.needs:
            bends: list[Node] = [(need, box.id, index) for index in range(level[need] + 1, level[box.id])]
            points = [(centre[node] + shift, top(node)) for node in (need, *bends, box.id)]
            edges.append(_path(points))
    right = max((right for _, right in extents), default=0.0) + shift + MARGIN
    return Picture(right, MARGIN * 2 + len(layers) * (HEIGHT + GAP) - GAP, width, HEIGHT, placed, tuple(edges))


def _width(box: Box) -> float:
    below = len(box.brief) + len(box.aim) + (4 if box.brief and box.aim else 0)
    return max(LETTER * len(box.id) + SMALL_LETTER * 8, SMALL_LETTER * below, 120.0) + 32


def _layered(boxes: Sequence[Box]) -> tuple[networkx.DiGraph[Node], list[list[Node]]]:
    """The DAG with bends, so that every edge leads to the next layer; and its layers, in the order of the recipe."""
    import networkx

    tasks: networkx.DiGraph[Node] = networkx.DiGraph()
    tasks.add_nodes_from(box.id for box in boxes)
    tasks.add_edges_from((need, box.id) for box in boxes for need in box.needs)
    layers: list[list[Node]] = [list(layer) for layer in networkx.topological_generations(tasks)]
    level = {node: index for index, layer in enumerate(layers) for node in layer}
    graph: networkx.DiGraph[Node] = networkx.DiGraph()
    graph.add_nodes_from(tasks)
    for box in boxes:
        for need in box.needs:
            bends: list[Node] = [(need, box.id, index) for index in range(level[need] + 1, level[box.id])]
            for index, bend in enumerate(bends, level[need] + 1):
                layers[index].append(bend)
            networkx.add_path(graph, [need, *bends, box.id])
    return graph, layers


def _reduce_crossings(graph: networkx.DiGraph[Node], layers: list[list[Node]]) -> None:
    """Order each layer by the middle of its neighbours, down and up again; keep the order with the fewest crossings."""
    best, fewest = [list(layer) for layer in layers], _crossings(graph, layers)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for fixed, layer in pairwise(layers if down else layers[::-1]):
            place = {node: float(index) for index, node in enumerate(fixed)}
            middle = {}
            for index, node in enumerate(layer):
                near = graph.predecessors(node) if down else graph.successors(node)
                middle[node] = fmean([place[other] for other in near] or [index])
            layer.sort(key=middle.__getitem__)
        count = _crossings(graph, layers)
        if count < fewest:
            best, fewest = [list(layer) for layer in layers], count
    layers[:] = best


def _crossings(graph: networkx.DiGraph[Node], layers: Sequence[Sequence[Node]]) -> int:
    count = 0
    for upper, lower in pairwise(layers):
        place = {node: index for index, node in enumerate(lower)}
        ends = [place[other] for node in upper for other in sorted(graph.successors(node), key=place.__getitem__)]
        count += sum(a > b for index, a in enumerate(ends) for b in ends[index + 1 :])
    return count


def _centres(graph: networkx.DiGraph[Node], layers: Sequence[Sequence[Node]], width: float) -> dict[Node, float]:
    """The horizontal middle of every node: under and over its neighbours, as far as the others leave room."""
    room = {node: width if isinstance(node, str) else 0.0 for layer in layers for node in layer}
    centre: dict[Node, float] = {}
    for layer in layers:
        centre.update(_spread(layer, dict.fromkeys(layer, 0.0), room))
    # Upwards first: a branching task goes over the middle of its branches, then all chains hang down straight.
    for sweep in range(SWEEPS):
        up = sweep % 2 == 0
        for layer in layers[-2::-1] if up else layers[1:]:
            wanted = {}
            for node in layer:
                near = list(graph.successors(node) if up else graph.predecessors(node))
                wanted[node] = fmean(centre[other] for other in near) if near else centre[node]
            centre.update(_spread(layer, wanted, room))
    return centre


def _spread(layer: Sequence[Node], wanted: Mapping[Node, float], room: Mapping[Node, float]) -> dict[Node, float]:
    """The places nearest to those wanted (least squares) that keep the order and leave each node its room.

    Less the room of all before it, a node's place must only not decrease: neighbours that would overlap are pooled at
    their mean.
    """
    offsets, offset = [], 0.0
    for index, node in enumerate(layer):
        if index:
            offset += (room[layer[index - 1]] + room[node]) / 2 + ASIDE
        offsets.append(offset)
    pools: list[tuple[float, int]] = []
    for node, before in zip(layer, offsets, strict=True):
        mean, count = wanted[node] - before, 1
        while pools and pools[-1][0] > mean:
            other, size = pools.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        pools.append((mean, count))
    places = [mean for mean, count in pools for _ in range(count)]
    return {node: place + before for node, place, before in zip(layer, places, offsets, strict=True)}


def _path(points: Sequence[tuple[float, float]]) -> str:
    """From the lower edge of the first box to the upper edge of the last; straight beside boxes of layers between."""
    (x, y), *rest = points
    path, y = f"M{x:.1f} {y + HEIGHT:.1f}", y + HEIGHT
    for index, (to_x, to_y) in enumerate(rest, 1):
        middle = (y + to_y) / 2
        path += f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
        if index < len(rest):
            y += HEIGHT
            path += f"V{y:.1f}"
    return path
