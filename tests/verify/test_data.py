"""Data sets: every form gives the same batches, nothing is read as a whole, and every fault is told."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finnyaml.errors import StepFailed
from finnyaml.recipe.load import load_recipe
from finnyaml.steps.code import forget_user_modules
from finnyaml.verify.data.dataset import DataSet, open_data

SILENT = dict.fromkeys(("file", "inputs_key", "labels_key", "labels_file", "code", "limit", "shuffle"))
X = np.arange(10 * 3 * 2, dtype=np.uint8).reshape(10, 3, 2)
Y = np.arange(10) % 4


def data_set(folder: Path, kind: str, **spec) -> DataSet:
    return open_data({**SILENT, "args": {}, "kind": kind, **spec}, lambda name: folder / name, folder)


def taken(data: DataSet, count: int = 4):
    """All that a pass yields: the sizes of its batches, indices, inputs and labels."""
    batches = list(data.batches(count))
    labels = [batch.labels for batch in batches]
    return (
        [len(batch.inputs) for batch in batches],
        np.concatenate([batch.index for batch in batches]),
        np.concatenate([batch.inputs for batch in batches]),
        None if labels[0] is None else np.concatenate(labels),
    )


def code(folder: Path, body: str, function: str = "load") -> dict:
    (folder / "data.py").write_text("import numpy as np\nX = np.arange(60, dtype=np.uint8).reshape(10, 3, 2)\n" + body)
    return {"text": f"data.py:{function}", "function": function, "file": "data.py", "module": None}


FACTORIES = {
    "arrays": "def load(): return X, np.arange(10) % 4",
    "batches": "def load():\n    for n in range(0, 10, 3): yield X[n : n + 3], np.arange(10)[n : n + 3] % 4",
    "list": "def load(): return [(X[:9], np.arange(9) % 4), (X[9:], np.array([1]))]",
    "torch": "import torch\ndef load(): return [[torch.tensor(X), torch.arange(10) % 4]]",
}


@pytest.fixture(autouse=True)
def forget():
    yield
    forget_user_modules()


@pytest.fixture(params=["npz", "compressed", "npy", "by_column", *FACTORIES])
def form(request, tmp_path):
    """The same ten samples in every form that takes arrays."""
    if request.param in FACTORIES:
        return lambda **spec: data_set(tmp_path, "python", code=code(tmp_path, FACTORIES[request.param]), **spec)
    if request.param == "npy":
        np.save(tmp_path / "x.npy", X)
        np.save(tmp_path / "y.npy", Y)
        return lambda **spec: data_set(tmp_path, "npy", file="x.npy", labels_file="y.npy", **spec)
    save = np.savez_compressed if request.param == "compressed" else np.savez
    save(tmp_path / "d.npz", x=np.asfortranarray(X) if request.param == "by_column" else X, y=Y)
    return lambda **spec: data_set(tmp_path, "npz", file="d.npz", inputs_key="x", labels_key="y", **spec)


def test_every_form_gives_all_samples_in_order_and_again(form):
    data = form()
    assert (data.size, data.shape, data.layout, data.labelled) == (10, (3, 2), None, True)
    for _ in range(2):
        sizes, index, inputs, labels = taken(data)
        assert sizes == [4, 4, 2]
        assert index.dtype == np.int64 and (index == np.arange(10)).all()
        assert inputs.dtype == np.uint8 and (inputs == X).all()
        assert (labels == Y).all()


@pytest.mark.parametrize("count", [1, 3, 10, 99])
def test_any_batch_size_gives_the_same_samples(form, count):
    sizes, index, inputs, labels = taken(form(limit=7, shuffle=3), count)
    assert sizes[0] == min(count, 7) and sum(sizes) == 7
    assert (np.diff(index) > 0).all()
    assert (inputs == X[index]).all() and (labels == Y[index]).all()


def test_limits(form):
    assert (taken(form(limit=3))[1] == [0, 1, 2]).all()
    assert form(limit=99).size == 10
    small, large, other = (set(taken(form(limit=n, shuffle=seed))[1]) for n, seed in ((3, 0), (6, 0), (6, 1)))
    assert small < large and len(large) == 6 and large != other


def test_the_choice_of_a_seed_stays_the_same_for_good(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1000, 1)))
    index = taken(data_set(tmp_path, "npy", file="x.npy", limit=5, shuffle=2**40))[1]
    assert index.tolist() == [13, 64, 299, 570, 582]


def test_no_labels(tmp_path):
    np.savez(tmp_path / "d.npz", x=X)
    np.save(tmp_path / "x.npy", X)
    for data in (
        data_set(tmp_path, "npz", file="d.npz", inputs_key="x"),
        data_set(tmp_path, "npy", file="x.npy"),
        data_set(tmp_path, "python", code=code(tmp_path, "def load(): return X")),
        data_set(tmp_path, "python", code=code(tmp_path, "def load(): return (X[:5], X[5:7], X[7:])")),
        data_set(tmp_path, "python", code=code(tmp_path, "def load(): return X, None")),
    ):
        assert not data.labelled
        assert (taken(data)[2] == X).all() and taken(data)[3] is None


def test_a_pipeline_of_the_recipe_leads_here(tmp_path):
    """What the recipe says, as the plan hands it to the worker."""
    from finnyaml.plan.points import data_params
    from finnyaml.store.names import Names

    np.savez(tmp_path / "d.npz", x=X, y=Y)
    (tmp_path / "model.onnx").write_text("")
    (tmp_path / "data.py").write_text("import numpy as np\ndef load(n): return np.zeros((n, 2))\n")
    for text, size in (("{npz: d.npz, inputs: x, labels: y}", 10), ("{python: 'data.py:load', args: {n: 4}}", 4)):
        (tmp_path / "recipe.yaml").write_text(f"model: {{onnx: model.onnx}}\nsteps: f\nverify: {{data: {text}}}\n")
        recipe, _ = load_recipe(tmp_path / "recipe.yaml", (), {})
        names = Names(None, tmp_path)
        assert recipe.verify
        assert open_data(data_params(recipe.verify.data, names), names.path, tmp_path).size == size


# --- memory


@pytest.mark.parametrize("kind", ["npz", "compressed", "npy", "python", "images"])
def test_memory_is_bounded_by_the_batch(tmp_path, kind):
    """64 MB of samples (126 MB of pixels for images) in batches of 256 KB."""
    if kind == "images":
        for number in range(60):
            Image.new("RGB", (700, 1000)).save(tmp_path / f"{number}.png")
        spec = {"kind": "images", "file": "."}
    elif kind == "python":
        made = code(tmp_path, "def load():\n    for _ in range(250): yield np.ones((256, 1024), np.uint8)")
        spec = {"kind": "python", "code": made}
    else:
        array = np.ones((64_000, 1024), np.uint8)
        if kind == "npy":
            np.save(tmp_path / "d.npy", array)
        else:
            (np.savez_compressed if kind == "compressed" else np.savez)(tmp_path / "d.npz", x=array)
        spec = {"kind": kind, "file": "d.npy"} if kind == "npy" else {"kind": "npz", "file": "d.npz", "inputs_key": "x"}
    program = f"""
from pathlib import Path
import PIL.Image
from finnyaml.verify.data.dataset import open_data
def peak():  # in KB; unlike ru_maxrss it does not begin with that of the process which started this one
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = peak()
folder = Path({str(tmp_path)!r})
data = open_data({ {**SILENT, "args": {}, **spec}!r}, folder.joinpath, folder)
total = sum(batch.inputs.size for batch in data.batches({1 if kind == "images" else 256}))
print(total, peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    total, grown = map(int, done.stdout.split())
    assert total == (126_000_000 if kind == "images" else 64_000 * 1024)
    assert grown * 1024 < 30e6, f"{grown / 1024:.0f} MB more"


def test_a_generator_is_not_asked_for_more_than_the_limit(tmp_path):
    body = "def load():\n    yield X, X\n    raise RuntimeError('never wanted')"
    data = data_set(tmp_path, "python", code=code(tmp_path, body), limit=10)
    assert taken(data)[0] == [4, 4, 2]


# --- images


def picture(path: Path, value, mode: str = "L", size: tuple[int, int] = (5, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def test_image_folders_by_class(tmp_path):
    for name, value in (("dog/2.png", 3), ("dog/10.PNG", 2), ("cat/a.png", 1), ("zebra/a.bmp", 4)):
        picture(tmp_path / "images" / name, value)
    (tmp_path / "images/cat/notes.txt").write_text("no image")
    (tmp_path / "images/.hidden").mkdir()
    data = data_set(tmp_path, "images", file="images")
    assert (data.size, data.shape, data.layout, data.labelled) == (4, (3, 5, 1), "NHWC", True)
    _, _, inputs, labels = taken(data, 3)
    assert inputs.dtype == np.uint8 and inputs[:, 0, 0, 0].tolist() == [1, 2, 3, 4]
    assert labels.dtype == np.int64 and labels.tolist() == [0, 1, 1, 2]
    assert taken(data_set(tmp_path, "images", file="images", limit=2, shuffle=0))[3].tolist() == [1, 2]


def test_image_folders_without_classes(tmp_path):
    picture(tmp_path / "b.png", (1, 2, 3), "RGB")
    picture(tmp_path / "a.png", (4, 5, 6), "RGB")
    _, _, inputs, labels = taken(data_set(tmp_path, "images", file="."))
    assert labels is None
    assert inputs.shape == (2, 3, 5, 3) and inputs[:, 0, 0].tolist() == [[4, 5, 6], [1, 2, 3]]


def test_black_and_white_and_palettes(tmp_path):
    picture(tmp_path / "grey/a.png", 1, "1")
    assert taken(data_set(tmp_path, "images", file="grey"))[2].max() == 255
    (tmp_path / "colour").mkdir()
    Image.new("RGB", (2, 2), (9, 8, 7)).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "colour/a.png")
    assert taken(data_set(tmp_path, "images", file="colour"))[2][0, 0, 0].tolist() == [9, 8, 7]


def wrong_images(folder: Path, what: str) -> None:
    picture(folder / "cat/a.png", 1)
    if what == "size":
        picture(folder / "dog/b.png", 1, size=(3, 5))
    elif what == "colour":
        picture(folder / "dog/b.png", 1, "RGB")
    elif what == "alpha":
        picture(folder / "dog/b.png", 1, "RGBA")
    elif what == "no image":
        (folder / "dog").mkdir()
        (folder / "dog/b.png").write_text("no image")
    elif what == "cut":
        Image.effect_noise((99, 99), 50).save(folder / "noise.png")
        data = (folder / "noise.png").read_bytes()
        (folder / "noise.png").unlink()
        (folder / "cat/a.png").write_bytes(data[: len(data) // 2])
    elif what == "loose":
        picture(folder / "b.png", 1)
    elif what == "empty":
        (folder / "cat/a.png").unlink()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("size", ["dog/b.png is 3 x 5 pixels, grey", "cat/a.png is 5 x 3 pixels"]),
        ("colour", ["dog/b.png is 5 x 3 pixels, colour", "cat/a.png is 5 x 3 pixels, grey"]),
        ("alpha", ["dog/b.png is of the kind RGBA", "alpha"]),
        ("no image", ["dog/b.png cannot be read"]),
        ("cut", ["cat/a.png cannot be read"]),
        ("loose", ["images beside the class folders: b.png"]),
        ("empty", ["there is no image in images", ".png"]),
    ],
)
def test_wrong_images(tmp_path, what, words):
    wrong_images(tmp_path / "images", what)
    with pytest.raises(StepFailed) as failed:
        taken(data_set(tmp_path, "images", file="images"))
    for word in words:
        assert word in f"{failed.value.message} | {failed.value.hint}"


# --- faults of files


def refused(folder: Path, *words: str, **spec) -> None:
    with pytest.raises(StepFailed) as failed:
        taken(data_set(folder, **spec))
    for word in words:
        assert word in f"{failed.value.message} | {failed.value.hint}"


def test_wrong_archives(tmp_path):
    np.savez(tmp_path / "d.npz", images=X, label=Y[:9], one=np.float32(1), none=X[:0], text=np.array(["a"]))
    np.savez(tmp_path / "o.npz", x=np.array([{}, []], object))
    spec = {"kind": "npz", "file": "d.npz", "inputs_key": "images"}
    refused(tmp_path, "no array 'image' in d.npz", "did you mean 'images'?", **{**spec, "inputs_key": "image"})
    refused(tmp_path, "no array 'lable' in d.npz", "did you mean 'label'?", labels_key="lable", **spec)
    refused(tmp_path, "10 inputs ('images' in d.npz), but 9 labels ('label' in d.npz)", labels_key="label", **spec)
    refused(tmp_path, "a single number in 'one' in d.npz", **{**spec, "inputs_key": "one"})
    refused(tmp_path, "nothing in 'none' in d.npz", **{**spec, "inputs_key": "none"})
    refused(tmp_path, "(<U1) in 'text' in d.npz, not numbers", **{**spec, "inputs_key": "text"})
    refused(tmp_path, "Python objects in 'x' in o.npz", "can run code", kind="npz", file="o.npz", inputs_key="x")
    (tmp_path / "d.npz").write_bytes(b"PK no archive")
    refused(tmp_path, "d.npz is not an .npz archive", **spec)


def test_damaged_files(tmp_path):
    np.save(tmp_path / "x.npy", X)
    whole = (tmp_path / "x.npy").read_bytes()
    for content, word in ((whole[:-9], "ends too early"), (whole[:90], "x.npy"), (b"text", "not in NumPy's format")):
        (tmp_path / "x.npy").write_bytes(content)
        refused(tmp_path, word, kind="npy", file="x.npy")
    (tmp_path / "x.npy").unlink()
    refused(tmp_path, "cannot read x.npy", kind="npy", file="x.npy")
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", whole)
    data = (tmp_path / "d.npz").read_bytes()
    (tmp_path / "d.npz").write_bytes(data.replace(X.tobytes(), X.tobytes()[::-1]))
    refused(tmp_path, "cannot read 'x' in d.npz", "CRC", kind="npz", file="d.npz", inputs_key="x")


# --- faults of code


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("def load(): return 3", ["data.py:load returned an object of type int", "(inputs, labels)"]),
        ("def load(): return None", ["of type NoneType"]),
        ("def load(): return 'path/to'", ["of type str"]),
        ("def load(): return {'x': X}", ["of type dict"]),
        ("def load(): return []", ["no batch at all"]),
        ("def load(): return [1, 2]", ["of type int"]),
        ("def load(): return X, X, X, 3", ["of type int"]),
        ("def load(): return X, np.arange(9)", ["returned 10 inputs, but 9 labels"]),
        ("def load(): return X[:0]", ["nothing in the inputs of data.py:load"]),
        ("def load(): return np.array([None])", ["Python objects in the inputs of data.py:load"]),
        (
            "def load(): raise ValueError('no such split')",
            ["data.py:load failed", "data.py:3: ValueError: no such split"],
        ),
        ("def load():\n    yield X, X\n    raise OSError('gone')", ["data.py:5: OSError: gone"]),
        ("def load(): return [X, X[:, :2], X]", ["samples of shape [2, 2] and of [3, 2]"]),
        ("def load(): return [(X[:2], X[:2]), X[:2], X]", ["labels with some batches"]),
        ("left = [10, 5]\ndef load(): yield X[: left.pop(0)]", ["had 10 samples first, now only 5"]),
        ("def lode(): ...", ["no 'load' in it", "did you mean 'lode'?"]),
        ("import torch\ndef load(): return torch.ones(3, requires_grad=True)", ["requires grad"]),
    ],
)
def test_wrong_code(tmp_path, body, words):
    (tmp_path / "sub").mkdir()
    made = code(tmp_path, body)
    with pytest.raises(StepFailed) as failed:
        taken(data_set(tmp_path, "python", code=made), 8)
    for word in words:
        assert word in f"{failed.value.message} | {failed.value.hint}"
