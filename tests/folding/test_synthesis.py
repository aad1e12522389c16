"""A search by synthesis: it goes on until it wants nothing that was not synthesised, and no layer is made twice."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finnyaml.errors import StepFailed
from finnyaml.finn.alone import Constants, can_be, content, design
from finnyaml.folding import choose as choose_module
from finnyaml.folding.choose import Wanted, choose, summary
from finnyaml.folding.costs import ESTIMATE, SYNTHESIS, Pricing, fifo
from finnyaml.folding.synthesis import Synthesis
from finnyaml.graph.surgery import set_attributes
from finnyaml.rtl.design import Design
from finnyaml.rtl.synthesis import each as each_module
from finnyaml.rtl.synthesis import flow
from finnyaml.rtl.synthesis.cells import RESOURCES
from finnyaml.rtl.synthesis.each import TOGETHER, each
from tests.finn.two_layers import PART, build_folder, dense, network, thresholds
from tests.folding.drawn import branches

CLOCK_NS = 10.0
FPS = 1_000_000


@cache
def layers() -> ModelWrapper:
    return network([dense(), thresholds()])


def constants(model: ModelWrapper, sign: float = 1) -> Constants:
    return Constants({each.name: sign * model.get_initializer(each.name) for each in model.graph.initializer})


class Invented(Synthesis):
    """In place of Yosys: some layers take more than their price, some less, some cannot be synthesised."""

    def __init__(self, factors: tuple[float, ...]) -> None:
        self.factors, self.asked = factors, {}

    def of(self, layers: Iterable[Any], constants: Constants) -> dict[str, Any]:
        found = {}
        for layer in layers:
            key = content(layer, constants)
            if key not in self.asked:
                self.asked[key] = layer
                factor = self.factors[int(key[:8], 16) % len(self.factors)]
                if factor:
                    lut, bram, uram, dsp = Pricing(PART).layer(layer).amounts
                    found[key] = dict(
                        zip(("LUT", "BRAM18", "URAM", "DSP"), (factor * lut, bram, uram, dsp), strict=True)
                    )
        return found


def searched(synthesis: Synthesis, **wanted: Any) -> Any:
    goal = {"minimize": {"lut": 1, "bram": 80, "dsp": 5}, "fps": FPS, **wanted}
    return choose(layers(), Wanted(costs=SYNTHESIS, **goal), PART, CLOCK_NS, {}, rtl_only=False, synthesis=synthesis)


@pytest.mark.parametrize("factors", [(1.4, 0.9, 1.0, 1.1), (0.5, 2.0), (3.0, 1.0, 1.0)])
def test_the_search_ends_where_all_that_it_wants_is_synthesised(factors: tuple[float, ...]) -> None:
    synthesis = Invented(factors)
    report = searched(synthesis).report
    assert all(each["synthesised"] and not each["finn"] for each in (*report["layers"], *report["streams"]))
    assert len(report["synthesised"]) == report["of"] and report["by_finn"] == []
    assert " by synthesis of each layer by itself: proven" in next(summary(report))


def test_it_is_no_dearer_than_what_any_round_before_has_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round's choice is synthesised, so none of them may be cheaper than the last by these figures."""
    monkeypatch.setattr(choose_module, "set_folding", lambda *_: None)  # it is synthesised as well

    class Watched(Invented):
        def of(self, layers: Iterable[Any], constants: Constants) -> dict[str, Any]:
            each = list(layers)
            found = super().of(each, constants)
            self.known = {**getattr(self, "known", {}), **found}
            self.sums = [*getattr(self, "sums", []), self.weighted(each, constants)]
            return found

        def weighted(self, layers: Iterable[Any], constants: Constants) -> float:
            takes = [self.known[content(layer, constants)] for layer in layers]
            return sum(each["LUT"] + 80 * each["BRAM18"] + 5 * each["DSP"] for each in takes)

    synthesis = Watched((1.5, 0.8, 1.2, 1.0, 2.0))
    report = searched(synthesis).report
    own = report["lut"] + 80 * report["bram"] + 5 * report["dsp"]
    assert len(synthesis.sums) > 3, "it changed its mind"
    assert min(synthesis.sums) == pytest.approx(own, abs=0.1)


def test_what_cannot_be_synthesised_keeps_its_price_and_is_not_asked_for_twice() -> None:
    report = searched(Invented((0.0, 1.1))).report
    left = {each["name"] for each in (*report["layers"], *report["streams"]) if not each["synthesised"]}
    assert 0 < len(left) < report["of"] and not left & set(report["synthesised"])
    assert f"(median error {100 * report['error']:.0f} %) for {len(left)} of {report['of']}" in next(summary(report))


def test_a_part_that_yosys_does_not_know() -> None:
    with pytest.raises(StepFailed, match=r"costs: synthesis: .* Versal part") as caught:
        Synthesis("xcvc1902-vsva2197-2MP-e-S", CLOCK_NS, Path("work"), Path("cache"))
    assert "costs: estimate" in str(caught.value.hint)


def test_estimates_alone() -> None:
    report = choose(layers(), Wanted("lut", FPS, costs=ESTIMATE), PART, CLOCK_NS, {}, rtl_only=False).report
    assert len(report["by_finn"]) == report["of"]
    assert " by FINN's estimate: proven" in next(summary(report))


def test_a_layer_s_content_is_what_decides_its_hardware() -> None:
    model, values = layers(), constants(layers())
    matrix = model.graph.node[0]
    same, other = copy.deepcopy(matrix), copy.deepcopy(matrix)
    same.name = "another_name"
    set_attributes(other, PE=1)
    first = content(getCustomOp(matrix), values)
    assert first == content(getCustomOp(same), values) != content(getCustomOp(other), values)
    assert content(getCustomOp(matrix), constants(model, -1)) != first


def test_what_can_stand_alone() -> None:
    model, values = layers(), constants(layers())
    assert can_be(getCustomOp(model.graph.node[0]), values)
    assert not can_be(getCustomOp(network([dense("hls")], "sums").graph.node[0]), values)
    model = branches()
    alone = {node.op_type for node in model.graph.node if can_be(getCustomOp(node), constants(model))}
    assert alone == {"MVAU_rtl", "Thresholding_rtl"}, "neither the fork nor the join"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Design folders of the two layers and of a FIFO."""
    folder = tmp_path_factory.mktemp("alone")
    model, values = layers(), constants(layers())
    each = [
        *(getCustomOp(node) for node in model.graph.node),
        fifo(getCustomOp(model.graph.node[0]).get_output_datatype(), 2),
    ]
    (folder / "build").mkdir()
    with build_folder(folder / "build"):
        for number, layer in enumerate(each):
            design(layer, values, PART, CLOCK_NS, folder / str(number))
        assert not any((folder / "build").iterdir()), "generated code that nobody refers to"
    return [folder / str(number) for number in range(len(each))]


class Counting:
    """In place of Yosys: counts how often it is started, and for what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, broken: str = " ") -> None:
        self.started: list[list[str]] = []
        self.broken = broken
        monkeypatch.setattr(flow, "count", self)

    def __call__(self, work: Path, name: str, tops: list[str], family: Any) -> dict[str, dict[str, int]]:
        self.started.append(list(tops))
        if any(self.broken in top for top in tops):
            raise StepFailed("Yosys cannot synthesise the design: ERROR: no")
        return {top: {resource: len(top) for resource in RESOURCES} for top in tops}


def test_layers_are_synthesised_together_and_kept(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yosys = Counting(monkeypatch)
    first = each([*folders, folders[0]], tmp_path / "work", tmp_path / "cache")
    assert len(yosys.started) == 1 and len(yosys.started[0]) == len(folders), "one process, each layer once"
    assert first[0] == first[-1] and all(
        list(found) == [Design.load(folder).nodes[0].name] for found, folder in zip(first, folders, strict=False)
    )
    assert each(folders, tmp_path / "work", tmp_path / "cache") == first[:-1] and len(yosys.started) == 1

    # Whatever Yosys reads makes it another layer: a source, data, or how Yosys is told to do it.
    data = next(path for path in (folders[0] / "data").rglob("*") if path.is_file())
    kept = data.read_text()
    data.write_text(kept[::-1])
    each(folders, tmp_path / "work", tmp_path / "cache")
    data.write_text(kept)
    assert [len(tops) for tops in yosys.started] == [3, 1]
    monkeypatch.setattr(each_module.yosys, "version", lambda _: "Yosys 0.71")
    each(folders, tmp_path / "work", tmp_path / "cache")
    assert [len(tops) for tops in yosys.started] == [3, 1, 3]


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"layer": {"LUT": 1}}', '{"layer": 3}'])
def test_a_damaged_count_is_made_again(
    damage: str, folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yosys = Counting(monkeypatch)
    good = each(folders[2:], tmp_path / "work", tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(damage)
    assert each(folders[2:], tmp_path / "work", tmp_path / "cache") == good and len(yosys.started) == 2


def test_one_layer_that_yosys_does_not_manage_does_not_spoil_the_others(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = Design.load(folders[1]).nodes[0].name
    yosys = Counting(monkeypatch, broken=name)
    found = each(folders, tmp_path / "work", tmp_path / "cache")
    assert [isinstance(one, StepFailed) for one in found] == [False, True, False]
    assert [len(tops) for tops in yosys.started] == [3, 1, 1, 1]
    assert len(list((tmp_path / "cache").iterdir())) == 2 and TOGETHER >= 3
