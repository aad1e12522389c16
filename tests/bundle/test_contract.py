"""bundle.json as the host package reads it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finn.util.data_packing import finnpy_to_packed_bytearray
from qonnx.core.datatype import DataType

from finnyaml.accelerator import AcceleratorError, Bundle
from finnyaml.accelerator.checks.report import exit_code
from finnyaml.accelerator.numbers.datatypes import parse
from tests.bundle.sample import read_json, sample_bundle, seal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sample_bundle(tmp_path / "sample")


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = read_json(folder)
    change(data)
    seal(folder, data)


def test_what_the_contract_says(folder: Path) -> None:
    bundle = Bundle.load(folder)
    assert bundle.name == "sample" and bundle.folder == folder.resolve()
    assert bundle.input.shape == (2, 4, 6) and bundle.input.dtype == np.uint8 and bundle.input.range == (0, 255)
    assert bundle.output.meaning == "class index" and bundle.output.dtype == np.int64 and bundle.output.layout is None
    assert bundle.accelerator_input.folded == (1, 4, 6, 1, 2)
    assert bundle.accelerator_output.datatype.bits == 4 and bundle.accelerator_output.packed == (1, 3, 2)


def test_a_port_packs_as_finn_does(folder: Path) -> None:
    """12 bits in 2 bytes, for any batch; the driver of FINN folds, then packs."""
    port = Bundle.load(folder).accelerator_output
    for batch in (1, 7):
        values = np.random.default_rng(batch).integers(0, 16, (batch, 9))
        folded = values.reshape(port.fold(batch)).astype(np.float32)
        expected = finnpy_to_packed_bytearray(folded, DataType["UINT4"], reverse_inner=True, reverse_endian=True)
        packed = port.pack(values)
        np.testing.assert_array_equal(packed, expected)
        np.testing.assert_array_equal(port.unpack(packed), values)
    assert port.pack(values[:0]).shape == (0, 3, 2) and port.unpack(packed[:0]).shape == (0, 9)


def test_a_port_refuses_other_shapes(folder: Path) -> None:
    port = Bundle.load(folder).accelerator_output
    with pytest.raises(
        AcceleratorError, match=re.escape("wrong shape: odma0 takes values of shape [n, 9], not [2, 3, 3]")
    ):
        port.pack(np.zeros((2, 3, 3)))
    with pytest.raises(AcceleratorError, match=re.escape("wrong output: odma0 moves uint8 of shape [n, 3, 2]")):
        port.unpack(np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(AcceleratorError, match="wrong output"):
        port.unpack(np.zeros((2, 3, 2), np.int8))


def test_bits_that_are_no_value_are_the_fault_of_the_accelerator(folder: Path) -> None:
    port = replace(Bundle.load(folder).accelerator_output, datatype=parse("TERNARY"), packed=(1, 3, 1))
    with pytest.raises(AcceleratorError, match="wrong output: the bits 10 are not a TERNARY value") as caught:
        port.unpack(np.full((2, 3, 1), 0b101010, np.uint8))
    assert exit_code(caught.value.name) == 1
    assert exit_code("wrong range") == 2


def test_paths_stay_inside_the_bundle(folder: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(folder)
    assert bundle.path("golden/samples.npz").is_file()
    (folder / "out").symlink_to(tmp_path)
    for outside in ("../secret", "/etc/passwd", "golden/../../secret", "out/secret", "."):
        with pytest.raises(AcceleratorError, match="not inside the bundle"):
            bundle.path(outside)


def test_a_bundle_behind_a_link_is_a_bundle(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert Bundle.load(tmp_path / "link").path("README.md").is_file()


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(AcceleratorError, match=r"no bundle: there is no readable .*bundle.json"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', "{}", "\xff"])
def test_what_is_no_description_of_a_bundle(folder: Path, text: str) -> None:
    (folder / "bundle.json").write_text(text, encoding="latin-1")
    with pytest.raises(AcceleratorError, match=r"bundle damaged: .*bundle.json"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("contract"),
        lambda data: data["contract"]["input"].pop("shape"),
        lambda data: data["contract"]["input"].update(dtype="uint9"),
        lambda data: data["contract"]["accelerator"].update(inputs=None),
        lambda data: data["contract"]["accelerator"]["inputs"][0].update(folded=[1, 4, 6, 2, 2]),
        lambda data: data["contract"]["accelerator"]["outputs"][0].update(packed=[1, 3, 3]),
        lambda data: data["contract"]["accelerator"]["outputs"][0].update(datatype="UINT9"),
    ],
)
def test_a_contract_that_is_not_whole(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    edit(folder, change)
    with pytest.raises(AcceleratorError, match=r"bundle damaged: .*the contract is not complete"):
        Bundle.load(folder)


def test_several_streams_are_not_supported(folder: Path) -> None:
    def add(data: dict[str, Any]) -> None:
        data["contract"]["accelerator"]["inputs"].append(
            {**data["contract"]["accelerator"]["inputs"][0], "name": "idma1"}
        )

    edit(folder, add)
    with pytest.raises(AcceleratorError, match=r"not supported: .*idma0, idma1"):
        Bundle.load(folder)


def test_arrays_of_a_damaged_file(folder: Path) -> None:
    bundle = Bundle.load(folder)
    path = folder / "graphs/tail.npz"
    assert set(bundle.arrays("graphs/tail.npz")) == {"scale", "k"}
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    for damaged in (bytes(data), path.read_bytes()[:-30], b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(AcceleratorError, match=r"bundle damaged: graphs/tail.npz"):
            bundle.arrays("graphs/tail.npz")
    shutil.rmtree(folder / "graphs")
    with pytest.raises(AcceleratorError, match="bundle damaged"):
        bundle.arrays("graphs/tail.npz")


def test_an_error_says_its_name_and_what_to_do() -> None:
    error = AcceleratorError("a fault", name="device", hint="restart")
    assert (str(error), error.name, error.message, error.hint) == (
        "device: a fault\n  restart",
        "device",
        "a fault",
        "restart",
    )
    assert str(AcceleratorError("a fault")) == "error: a fault"


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a description says something: the paths of all that is not a mapping or a list, or empty."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not value or not isinstance(value, (dict, list)):
        yield path
    for key, each in inner:
        yield from leaves(each, (*path, key))


def test_no_edit_goes_unnoticed(folder: Path) -> None:
    """Each value of bundle.json made another one, and each removed."""
    sound = read_json(folder)
    seen = 0
    for *way, last in leaves(sound):
        for removed in (False, True):
            data = read_json(folder)
            place = data
            for key in way:
                place = place[key]
            if removed:
                del place[last]
            else:
                place[last] = 7 if place[last] != 7 else 8
            (folder / "bundle.json").write_text(json.dumps(data))
            with pytest.raises(AcceleratorError, match=r"its digest is not that of its content|reads format") as raised:
                Bundle.load(folder)
            assert raised.value.name == "bundle damaged"
            (folder / "bundle.json").write_text(json.dumps(sound))
            seen += 1
    assert seen > 300
