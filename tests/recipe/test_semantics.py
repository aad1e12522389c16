"""What only holds or fails beyond the structure: files, code, ids, cycles, the output folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from finnyaml.errors import RecipeError
from tests.recipe.folder import MINIMAL, Folder

ONNX = "model: {onnx: model.onnx}\n"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("\n  - a\n  - ▶a", ["duplicate step id 'a'", "line 3", "{uses: a, id: ...}"]),
        ("\n  - streamline\n  - ▶step_streamline", ["duplicate step id 'streamline'", "line 3"]),
        ("\n  - custom.py:tweak\n  - {uses: b, id: ▶tweak}", ["duplicate step id 'tweak'", "another id"]),
        ("[a, {uses: b, needs: ▶c}]", ["the step 'b' needs 'c', which does not exist", "known here: a, b"]),
        ("[tidy_up, b, {uses: c, needs: [b, ▶tidy_upp]}]", ["'tidy_upp'", "did you mean 'tidy_up'?"]),
        ("[step_tidy_up, {uses: c, needs: ▶step_tidy_up}]", ["its id is 'tidy_up'"]),
        ("[a, {uses: b, needs: ▶b}]", ["the step 'b' needs itself"]),
        ("[{uses: a, needs: b}, {uses: b, needs: ▶a}]", ["cycle: a -> b -> a", "a needs b"]),
        ("[{uses: a, needs: ▶c}, b, c]", ["cycle: a -> c -> b -> a"]),
        ("[x, {uses: a, needs: [x, b]}, {uses: b, needs: ▶[a, x]}, y]", ["cycle: a -> b -> a"]),
        ("[a, {uses: b, needs: ▶[]}]", ["the step 'b' needs no step"]),
    ],
)
def test_ids_and_needs(folder: Folder, steps: str, words: list[str]) -> None:
    folder.refuses(f"{ONNX}steps: {steps}\n", *words)


@pytest.mark.parametrize(
    "steps",
    [
        "[a, b, {uses: c, needs: a}, {uses: d, needs: [b, c]}]",
        "[{uses: a, needs: model}, {uses: b, needs: model}]",
        "[{uses: b, needs: a}, {uses: a, needs: model}]",
        "[{uses: a, id: one}, {uses: a, id: two}]",
        "[phase_prepare_model, {uses: a, needs: tidy_up}]",
        "{flow: f, insert: [{after: x, steps: {uses: a, needs: tidy_up}}]}",
    ],
)
def test_fine_steps(folder: Folder, steps: str) -> None:
    folder.recipe(f"{ONNX}steps: {steps}\n")


def test_thousands_of_steps(folder: Folder) -> None:
    steps = ", ".join(f"{{uses: a, id: s{number}}}" for number in range(3000))
    assert len(folder.recipe(f"{ONNX}steps: [{steps}]\n").steps.entries) == 3000


def test_two_cycles_are_two_errors(folder: Folder) -> None:
    problems = folder.problems(
        f"{ONNX}steps: [{{uses: a, needs: b}}, {{uses: b, needs: a}}, {{uses: c, needs: d}}, {{uses: d, needs: c}}]\n"
    )
    assert [item.message.partition(": ")[2] for item in problems] == ["a -> b -> a", "c -> d -> c"]


def test_targets_name_steps(folder: Folder) -> None:
    folder.refuses(f"{ONNX}steps: [tidy_up]\ntargets: {{t: ▶tidyup}}\n", "the target 't'", "did you mean 'tidy_up'?")
    folder.recipe(f"{ONNX}steps: {{flow: f}}\ntargets: {{t: known_to_finn}}\n")


@pytest.mark.parametrize(
    ("uses", "words"),
    [
        ("custom.py", ["'custom.py' does not name a Python function", "path.py:function"]),
        ("custom.py:", ["does not name a Python function"]),
        ("custom.py:not-a-name", ["does not name a Python function"]),
        ("cust om:f", ["cannot be the"]),
        ("a.b.:f", ["does not name a Python function"]),
        ("costum.py:tweak", ["the Python file 'costum.py' does not exist", "did you mean 'custom.py'?"]),
        ("lib/custom.py:tweak", ["does not exist", "there is no folder"]),
        ("custom.py:twaek", ["'custom.py' defines no 'twaek'", "did you mean 'tweak'?"]),
        ("broken.py:f", ["'broken.py' is not valid Python", "broken.py:2: "]),
        ("empty.py:f", ["'empty.py' defines no 'f'"]),
        (
            "custom.py:one_argument",
            ["'one_argument(model)' cannot be called with (model, cfg)", "def one_argument(model, cfg)"],
        ),
        ("custom.py:needy", ["'needy(model, cfg, alpha, *, beta)' needs the argument 'alpha'"]),
    ],
)
def test_custom_code(folder: Folder, uses: str, words: list[str]) -> None:
    folder.write("empty.py", "")
    folder.write("broken.py", "x = 1\ndef f(:\n")
    folder.write(
        "custom.py",
        "def tweak(model, cfg): ...\ndef one_argument(model): ...\ndef needy(model, cfg, alpha, *, beta): ...\n",
    )
    folder.refuses(f"{ONNX}steps: [▶'{uses}']\n", *words, only="needy" not in uses)


@pytest.mark.parametrize(
    "name",
    ["plain", "Class", "alias", "imported", "renamed", "conditional", "fallback", "wrapped", "several", "anything"],
)
def test_names_that_a_module_may_define(folder: Folder, name: str) -> None:
    folder.write(
        "code.py",
        """
import imported
from somewhere import other as renamed
def plain(model, cfg, *rest, **more): ...
class Class: ...
alias = plain
several, _ = plain, None
if True:
    def conditional(model, cfg): ...
try:
    pass
except ImportError:
    def fallback(model, cfg): ...
@decorator
def wrapped(anything): ...
"""
        + ("from somewhere import *\n" if name == "anything" else ""),
    )
    folder.recipe(f"{ONNX}steps: ['code.py:{name}']\n")


def test_arguments_of_custom_code(folder: Folder) -> None:
    folder.recipe(f"{ONNX}steps: [{{uses: 'custom.py:tweak', with: {{alpha: 2}}}}]\n")
    folder.refuses(
        f"{ONNX}steps: [{{uses: ▶'custom.py:tweak', with: {{alfa: 2}}}}]\n",
        "'tweak(model, cfg, alpha=1)' has no argument 'alfa'",
        "did you mean 'alpha'?",
    )
    folder.refuses(
        "model: {brevitas: ▶'model.py:digits_cnv', args: {bits: 1}, input: {shape: [1]}}\nsteps: f\n",
        "has no argument 'bits'",
        "did you mean 'act_bits'?",
    )


def test_custom_code_is_never_run(folder: Folder) -> None:
    folder.write("custom.py", "raise SystemExit('was imported')\ndef tweak(model, cfg): ...\n")
    folder.recipe(f"{ONNX}steps: ['custom.py:tweak']\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: {onnx: ▶modle.onnx}\nsteps: f\n", ["model.onnx: there is no file 'modle.onnx'", "'model.onnx'"]),
        ("model: {onnx: ▶../model.onnx}\nsteps: f\n", ["there is no file '../model.onnx'"]),
        ("model: {onnx: ▶sub}\nsteps: f\n", ["'sub' is a folder, not a file"]),
        ("model: {onnx: ▶'~/m.onnx'}\nsteps: f\n", ["~ is not expanded", "${env.HOME}"]),
        (f"model: {{onnx: ▶{'m' * 300}}}\nsteps: f\n", ["there is no file"]),
        ('model: {onnx: ▶"a\\0b"}\nsteps: f\n', ["U+0000"]),
        (
            "model: {brevitas: 'model.py:digits_cnv', weights: ▶weight.pth, input: {shape: [1]}}\nsteps: f\n",
            ["model.weights: there is no file 'weight.pth'", "'weights.pth'"],
        ),
        (MINIMAL + "preprocess: [to_tensor, {onnx: ▶pre.onnx}]\n", ["preprocess.1.onnx: there is no file"]),
        (MINIMAL + "postprocess: [{brevitas: ▶'nope.py:f'}]\n", ["the Python file 'nope.py' does not exist"]),
        (MINIMAL + "folding: {file: ▶folding.json}\n", ["folding.file: there is no file"]),
        (MINIMAL + "specialize: {file: ▶x.json}\n", ["specialize.file: there is no file"]),
        (MINIMAL + "fifo: {file: ▶x.json}\n", ["fifo.file: there is no file"]),
        (
            f"{ONNX}steps: [{{uses: a, with: {{folding: {{file: ▶x.json}}}}}}]\n",
            ["steps.0.with.folding.file: there is no file"],
        ),
        (
            "model: {onnx: model.onnx, input: {shape: [1, 2], layout: ▶NCHW}}\nsteps: f\n",
            ["the layout NCHW has 4 dimensions, but the shape has 2"],
        ),
        (MINIMAL + "preprocess: [{normalize: {mean: 0, std: ▶0}}]\n", ["standard deviation of 0"]),
        (MINIMAL + "preprocess: [{normalize: {mean: 0, std: [1, ▶0.0]}}]\n", ["standard deviation of 0"]),
        (
            MINIMAL + "preprocess: [{normalize: {mean: [1, 2], std: ▶[1, 2, 3]}}]\n",
            ["mean has 2 channels, but std has 3"],
        ),
        (
            MINIMAL + "folding: {defaults: {ram_style: ▶[auto, [all], block]}}\n",
            ["folding.defaults.ram_style", "pairs"],
        ),
        (MINIMAL + "folding: {defaults: {ram_style: ▶[auto, MVAU]}}\n", ["comes `all` or a list of op types"]),
        (
            MINIMAL + "folding: {defaults: {ram_style: ▶[auto, []]}}\n",
            ["comes `all` or a list of op types, not a list"],
        ),
    ],
)
def test_files_and_values(folder: Folder, text: str, words: list[str]) -> None:
    (folder.path / "sub").mkdir()
    folder.refuses(text, *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": {"PE": 1},\n "b": }', ["'folding.json' is not valid JSON", "folding.json:2:7: "]),
        ("", ["not valid JSON", "folding.json:1:1: "]),
        ("[]", ["not a folding configuration: it holds a list", '"MVAU_hls_0"']),
        ("[" * 100_000, ["not valid JSON", "nested too deep"]),
        ('{"a": {"PE": 1, "PE": 2}}', ["has the key 'PE' twice"]),
        ('{"a": 1}', ["'a' must be an object of attributes, not the number 1"]),
        ('{"a": {"PE": 0}}', ["a.PE must be a whole number of at least 1, not the number 0"]),
        ('{"a": {"SIMD": "4"}}', ["a.SIMD must be a whole number", "'4'"]),
        ('{"Defaults": {"ram_style": ["auto"]}}', ["Defaults.ram_style must be a list of pairs"]),
    ],
)
def test_settings_files(folder: Folder, content: str, words: list[str]) -> None:
    folder.write("folding.json", content)
    folder.refuses(MINIMAL + "folding: {file: ▶folding.json}\n", *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("MVAU_hls_0: {PE: 1}\nMVAU_hls_0: {PE: 2}\n", ["'folding.yaml' has the key 'MVAU_hls_0' twice"]),
        ("a: &x {PE: 1}\nb: *x\nc: {l: [{d: 1, d: 2}]}\n", ["'folding.yaml' has the key 'd' twice"]),
        ("a: [", ["'folding.yaml' is not valid YAML"]),
    ],
)
def test_settings_files_in_yaml(folder: Folder, content: str, words: list[str]) -> None:
    folder.write("folding.yaml", content)
    folder.refuses(MINIMAL + "folding: {file: ▶folding.yaml}\n", *words)


def test_settings_file_that_is_no_text(folder: Folder) -> None:
    folder.write("fifo.json", "").write_bytes(b"\xff\xfe{}")
    folder.refuses(MINIMAL + "fifo: {file: ▶fifo.json}\n", "not valid JSON")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("../build", ["leads out of the recipe's folder"]),
        ("a/../../b", ["leads out"]),
        ("../accelerator-2", ["leads out"]),
        ("/tmp/build", ["is absolute"]),
        (".", ["is the recipe's folder itself"]),
        ("a/..", ["is the recipe's folder itself"]),
        ("link", ["through a symbolic link", "holds the recipe itself"]),
        ("foreign", ["through a symbolic link", "holds other files ('mine.txt')"]),
        ("loop", ["output 'loop'"]),
        ("model.py", ["is a file, not a folder"]),
        ("model.py/build", ["is a file, not a folder"]),
        ("fifo", ["is a FIFO, not a folder"]),
        ("b" * 300, ["cannot be a folder"]),
    ],
)
def test_output_stays_inside(folder: Folder, tmp_path: Path, output: str, words: list[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mine.txt").touch()
    (folder.path / "link").symlink_to(tmp_path)
    (folder.path / "foreign").symlink_to(tmp_path / "elsewhere")
    (folder.path / "loop").symlink_to(folder.path / "loop")
    os.mkfifo(folder.path / "fifo")
    folder.refuses(MINIMAL + f"output: ▶{output}\n", *words)


@pytest.mark.parametrize("output", ["empty", "empty/build", "dangling", "ours"])
def test_output_on_another_disk_through_a_link(folder: Folder, tmp_path: Path, output: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "ours/.finnyaml").mkdir(parents=True)
    (tmp_path / "ours/mine.txt").touch()
    for name in ("empty", "ours"):
        (folder.path / name).symlink_to(tmp_path / name)
    (folder.path / "dangling").symlink_to(tmp_path / "not there")
    assert folder.recipe(MINIMAL + f"output: {output}\n").workspace == folder.path / output


@pytest.mark.parametrize(
    "marked",
    [
        'steps: [{uses: "custom.py:tweak", id: ▶LONG}]\n',
        'steps: [{uses: "custom.py:tweak", id: short}]\ntargets: {LONG: ▶short}\n',
        'steps: [▶"long.py:LONG"]\n',
    ],
)
def test_names_that_are_too_long_for_files(folder: Folder, marked: str) -> None:
    long = "x" * 101
    functions = (f"def {name}(model, cfg):\n    return model\n" for name in (long, long[1:]))
    folder.write("long.py", "".join(functions))
    text = marked.replace("LONG", long)
    folder.refuses(f"model: {{onnx: model.onnx}}\n{text}", "is too long: 101 bytes", "at most 100")
    folder.recipe(f"model: {{onnx: model.onnx}}\n{text.replace(long, long[1:]).replace('▶', '')}")


def test_recipe_through_a_symbolic_link(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(folder.path)
    linked = Folder(tmp_path / "elsewhere")
    assert linked.recipe(MINIMAL + "output: deep/er\n").workspace == linked.path / "deep/er"


def test_both_target_fps_and_a_folding_config_is_a_warning(folder: Folder) -> None:
    _, warnings = folder.load(MINIMAL + "folding:\n  target_fps: 1\n  nodes: {MVAU_hls_0: {PE: 2}}\n")
    (warning,) = warnings
    assert warning.severity == "warning"
    assert warning.where and (warning.where.line, warning.where.column) == (4, 15)
    assert "the config overrides FINN's choice for the nodes it names" in warning.message
    assert folder.load(MINIMAL + "folding: {target_fps: 1, defaults: {ram_style: [auto, all]}}\n")[1] == ()


def test_packages_that_custom_code_lacks(folder: Folder) -> None:
    folder.write("helper.py", "")
    code = """
import os, helper, no_such_package.part
from another_one import thing
from . import beside
try:
    import optional
except ImportError:
    optional = None
def mine(model, cfg):
    import late
    return model
"""
    folder.write("code.py", code)
    told = folder.load(f"{ONNX}steps: ['code.py:mine']\n")[1]
    assert [problem.message for problem in told] == [
        "code.py imports no_such_package (line 2), which is not installed here",
        "code.py imports another_one (line 3), which is not installed here",
    ]
    assert told[0].severity == "warning" and told[0].where and told[0].where.line == 2
    folder.write("code.py", f"import sys\nsys.path.insert(0, '/elsewhere')\n{code}")
    assert folder.load(f"{ONNX}steps: ['code.py:mine']\n")[1] == ()


def test_code_in_a_package_finds_the_package_it_is_in(folder: Folder) -> None:
    for name in ("proj/__init__.py", "proj/lib/__init__.py"):
        folder.write(name, "")
    folder.write(
        "proj/lib/code.py", "from proj.common import x\nimport lib_of_nobody\ndef mine(model, cfg): return model\n"
    )
    told = folder.load(f"{ONNX}steps: ['proj/lib/code.py:mine']\n")[1]
    assert [problem.message.partition(",")[0] for problem in told] == ["code.py imports lib_of_nobody (line 2)"]


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("http://[::1/net.onnx", "the URL cannot be used: Invalid IPv6 URL", None),
        ("http://x:y/net.onnx", "the URL cannot be used: Port could not be cast", None),
        ("http://x:99999/net.onnx", "the URL cannot be used: Port out of range", None),
        ("http:///net.onnx", "the URL cannot be used: it names no host", None),
        ("http://a..b/net.onnx", "the URL cannot be used: encoding with 'idna' codec failed", None),
        ("http://x/a b.onnx", "a URL cannot have ' ' in it", "write it as %20 there"),
        ("http://ä.org/net.onnx", "a URL cannot have 'ä' in it", "begins with xn--"),
    ],
)
def test_urls_that_cannot_be(folder: Folder, url: str, message: str, hint: str | None) -> None:
    remote = f"{{url: '{url}', sha256: {'a' * 64}}}"
    with pytest.raises(RecipeError) as refused:
        folder.load(f"name: net\nmodel: {{onnx: {remote}}}\nsteps: [tidy_up]\n")
    (problem,) = refused.value.problems
    assert problem.message.startswith(message)
    assert problem.where and problem.where.line == 2
    assert hint is None or hint in (problem.hint or "")
