"""Files of every kind, damaged in many ways: every error names the file and says what to do; nothing else comes out.

FINNYAML_FUZZ=100 damages each kind a hundred times.
"""

from __future__ import annotations

import io
import json
import os
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from finnyaml.accelerator.checks import golden
from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.devices import weights
from finnyaml.accelerator.devices.bitfile import read_bitfile
from finnyaml.accelerator.devices.hwh import read_hwh
from finnyaml.accelerator.errors import AcceleratorError
from finnyaml.accelerator.numbers.arrays import read_array
from finnyaml.accelerator.program import Program
from finnyaml.bundle.render import Templates, read_templates
from finnyaml.engine import lockfile
from finnyaml.errors import FinnyamlError, RecipeError
from finnyaml.plan.vocabulary import vocabulary
from finnyaml.recipe.load import load_recipe
from finnyaml.rtl.design import Design
from finnyaml.steps.source import _read_checkpoint, read_onnx
from finnyaml.verify.data import arrays
from finnyaml.verify.data.images import Images
from tests.board.files import DMA_REGISTERS, Block, write_bit, write_hwh, write_xclbin
from tests.bundle.sample import WEIGHT_FILE, sample_bundle
from tests.project import RECIPE, STEPS, tiny_model

TIMES = int(os.environ.get("FINNYAML_FUZZ", "12"))

Read = Callable[[Path], object]


def _rows(rows: arrays.Rows) -> object:
    return list(rows.pieces([np.arange(len(rows))]))


def _images(path: Path) -> object:
    found = Images(path.parent)
    return list(found.pieces([np.arange(len(found))]))


def _recipe(path: Path) -> object:
    return load_recipe(path.parent / "recipe.yaml", (), {}, vocabulary())


def _lock(path: Path) -> object:
    return lockfile.read(load_recipe(path.parent / "recipe.yaml", (), {}, vocabulary())[0])


def _bundle(path: Path) -> Bundle:
    return Bundle.load(next(folder for folder in path.parents if (folder / "bundle.json").exists()))


def _templates(path: Path) -> object:
    templates = Templates(read_templates(path.parent))
    return templates.render(path.name, "x.json", {})


READ: dict[str, tuple[str, Read]] = {
    "npz": ("data.npz", lambda path: _rows(arrays.npz(path, "x"))),
    "npz, compressed": ("packed.npz", lambda path: _rows(arrays.npz(path, "x"))),
    "npy": ("data.npy", lambda path: _rows(arrays.npy(path))),
    "npy, by columns": ("columns.npy", lambda path: _rows(arrays.npy(path))),
    **{f"{kind} image": (f"{kind}/a.{kind}", _images) for kind in ("png", "jpg", "gif", "bmp", "ppm", "tif", "webp")},
    "onnx": ("net.onnx", read_onnx),
    "onnx, its tensors": ("apart.bin", lambda path: read_onnx(path.with_name("apart.onnx"))),
    "pth": ("net.pth", _read_checkpoint),
    "recipe": ("recipe.yaml", _recipe),
    "what a recipe extends": ("extends/base.yaml", _recipe),
    "folding.json": ("settings/folding.json", _recipe),
    "data of a recipe": ("verify/data.npz", _recipe),
    "code of a recipe": ("steps.py", _recipe),
    "lock file": ("recipe.lock.yaml", _lock),
    "design.json": ("design/design.json", lambda path: Design.load(path.parent)),
    "bit": ("a.bit", read_bitfile),
    "xclbin": ("a.xclbin", read_bitfile),
    "hwh": ("a.hwh", read_hwh),
    "bundle.json": ("bundle/bundle.json", lambda path: Bundle.load(path.parent)),
    "golden samples": ("bundle/golden/samples.npz", lambda path: golden.load(_bundle(path))),
    "program": ("bundle/graphs/tail.json", lambda path: Program.load(_bundle(path), "graphs/tail.json")),
    "constants": ("bundle/graphs/tail.npz", lambda path: Program.load(_bundle(path), "graphs/tail.json")),
    "weights": (f"bundle/{WEIGHT_FILE}", lambda path: weights._read_words(_bundle(path), WEIGHT_FILE)),
    "samples for the board": ("data.npz", lambda path: read_array(path, "x", "images")),
    "one array for the board": ("data.npy", lambda path: read_array(path, None, "images")),
    "template": ("templates/x.json.j2", _templates),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound file of every kind."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("sound")
    values = np.arange(96, dtype=np.float32).reshape(4, 24)
    np.savez(folder / "data.npz", x=values, y=np.arange(4))
    np.savez_compressed(folder / "packed.npz", x=values, y=np.arange(4))
    np.save(folder / "data.npy", values)
    np.save(folder / "columns.npy", np.asfortranarray(values))
    pixels = np.random.default_rng(1).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    for kind in ("png", "jpg", "gif", "bmp", "ppm", "tif", "webp"):
        (folder / kind).mkdir()
        Image.fromarray(pixels).save(folder / kind / f"a.{kind}")
    tiny_model(folder / "net.onnx")
    tiny_model(folder / "tiny.onnx")
    onnx.save(_large(), folder / "apart.onnx", save_as_external_data=True, location="apart.bin", size_threshold=0)
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "steps.py").write_text(STEPS)
    (folder / "recipe.lock.yaml").write_text("finnyaml: 1\ntools: {}\ntasks:\n  scale: {digest: abc}\n")
    _part(folder / "extends", "extends: base.yaml\n")
    (folder / "extends/base.yaml").write_text(RECIPE)
    _part(folder / "settings", RECIPE.replace("{target_fps: 100}", "{file: folding.json}"))
    (folder / "settings/folding.json").write_text('{"MVAU_hls_0": {"PE": 2, "SIMD": 4}, "MVAU_hls_1": {"PE": 1}}')
    verify = "verify: {data: {npz: data.npz, inputs: x, labels: y}, metric: top1, points: [{after: scale}]}\n"
    _part(folder / "verify", RECIPE + verify)
    np.savez(folder / "verify/data.npz", x=values, y=np.arange(4))
    block = [Block("idma0", DMA_REGISTERS)]
    write_hwh(folder / "a.hwh", "xc7z020clg400-1", block, 100.0)
    write_bit(folder / "a.bit", "xc7z020clg400-1")
    write_xclbin(folder / "a.xclbin", ["idma0"], 100)
    (folder / "bundle").mkdir()
    sample_bundle(folder / "bundle", weights=True)
    (folder / "templates").mkdir()
    (folder / "templates/x.json.j2").write_text('{"numbers": [{% for n in range(3) %}{{ n | json }}, {% endfor %} 0]}')
    (folder / "design").mkdir()
    (folder / "design/design.json").write_text(json.dumps({"format": 1, "top": "x", "sources": ["a.v"], "data": []}))
    import torch

    torch.save({"weight": torch.zeros(4, 4), "bias": torch.zeros(4)}, folder / "net.pth")
    return folder


def _part(folder: Path, recipe: str) -> None:
    folder.mkdir()
    tiny_model(folder / "tiny.onnx")
    (folder / "steps.py").write_text(STEPS)
    (folder / "recipe.yaml").write_text(recipe)


def _large() -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.arange(4096, dtype=np.float32).reshape(1, 4096), "weight")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4096]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Mul", ["x", "weight"], ["y"])], "large", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def damaged(data: bytes, draw: random.Random) -> bytes:
    """One of the ways in which files break."""
    at, end = sorted(draw.randrange(len(data) + 1) for _ in range(2))
    noise = draw.randbytes(draw.choice([1, 4, 64]))
    ways: list[Callable[[], bytes]] = [
        lambda: data[:at],
        lambda: data[at:],
        lambda: b"",
        lambda: data[:at] + bytes(end - at) + data[end:],
        lambda: data[:at] + noise + data[at:],
        lambda: data[:at] + noise + data[at + len(noise) :],
        lambda: data[:at] + data[end:],
        lambda: data[:at] + data[at:end] * 3 + data[end:],
        lambda: bytes([*data[:at], *(byte ^ (1 << draw.randrange(8)) for byte in data[at : at + 1]), *data[at + 1 :]]),
        lambda: data.replace(*draw.choice([(b"1", b"9999999999"), (b":", b""), (b"{", b"["), (b"\x00", b"\xff")])),
        lambda: draw.randbytes(300),
        lambda: draw.choice(
            [b"null", b"[]", b"{}", b"1", b"[" * 9999, b"a: &a [*a]", b"<html></html>", b"\xef\xbb\xbf"]
        ),
        lambda: draw.choice([b"\x80\x04cos\nsystem\n.", _zip(b"x"), b"version https://git-lfs.github.com/spec/v1\n"]),
    ]
    return draw.choice(ways)()


def _zip(data: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("x.npy", data)
    return made.getvalue()


def wrong_error(path: Path, read: Read) -> str | None:
    """What is wrong with how a damaged file is told; None where it could be read, or is told as it should."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
    except RecipeError as error:
        for problem in error.problems:
            # A file that a recipe extends may be sound and say nothing: then the recipe lacks it.
            lacking = problem.message.endswith(" is missing")
            if problem.severity == "error" and path.name not in f"{problem}" and not lacking:
                return f"does not name the file: {problem}"
            if problem.severity == "error" and not (problem.hint or problem.where):
                return f"does not say what to do: {problem}"
    except (FinnyamlError, AcceleratorError) as error:
        if path.name not in error.message.replace("tail.json", "tail.json, of which tail.npz is a part"):
            return f"does not name the file: {error.message}"
        if not error.hint:
            return f"does not say what to do: {error.message}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("kind", READ)
def test_every_error_names_the_file_and_says_what_to_do(sound: Path, kind: str) -> None:
    name, read = READ[kind]
    path = sound / name
    data = path.read_bytes()
    wrong = []
    try:
        for seed in range(TIMES):
            path.write_bytes(damaged(data, random.Random(f"{kind} {seed}")))
            if said := wrong_error(path, read):
                wrong.append(f"seed {seed}: {said[:300]}")
    finally:
        path.write_bytes(data)
    if kind != "design.json":
        assert wrong_error(path, read) is None
    assert not wrong, "\n".join(wrong)
