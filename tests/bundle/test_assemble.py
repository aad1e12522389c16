from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnyaml.accelerator import Accelerator
from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.files import changed_files
from finnyaml.bundle import build_results
from finnyaml.bundle.attach import attach
from finnyaml.errors import StepFailed
from tests.bundle.board_files import attach as board_files
from tests.bundle.built import MEASURED, TARGET, again, built, sandbox
from tests.bundle.sample import PACKAGE, read_json, write_json

EVIL = ('a"; rm -rf ~ #', "*_<script>")


def lacking(bundle: Path) -> list[str]:
    return [item["what"] for item in read_json(bundle)["missing"]]


def test_a_bundle_without_vivado_works_and_says_what_is_missing(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    data = read_json(bundle)
    assert lacking(bundle) == ["bitfile", "hwh", "achieved clock", "synthesised resources"]
    assert data["resources"]["estimated"] == {
        "LUT": 5834,
        "BRAM_18K": 34,
        "URAM": 0,
        "DSP": 0,
        "source": "report/estimate_layer_resources.json",
    }
    assert data["performance"]["estimated"] == {
        "fps": 100000.0,
        "latency_ms": 0.04,
        "cycles_per_frame": 1000,
        "clock_mhz": 100.0,
    }
    readme = (bundle / "README.md").read_text()
    assert readme.startswith("# sample\n\n**This bundle is not complete. Missing: bitfile, hwh,")
    for said in (
        "87.5 % of 64 samples (95 % interval: 77.0 % to 94.0 %)",
        "0.04 ms",
        "5,834 LUT",
        "`[n, 2, 4, 6]` NCHW",
    ):
        assert said in readme
    golden = np.load(bundle / "golden/samples.npz")
    with Accelerator(bundle, emulate=True) as accelerator:
        np.testing.assert_array_equal(accelerator.predict(golden["inputs"]), golden["outputs"])


def test_the_bundle_runs_by_itself(tmp_path: Path) -> None:
    """In a Python of its own, which finds nothing of finnyaml; the example of the README, too."""
    bundle = built(tmp_path, weights=True)
    moved = tmp_path / "elsewhere" / "x y"
    shutil.copytree(bundle, moved)
    run = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(moved)!r}); sys.argv = ['x', {{}}]; {{}}"]
    main = "from accelerator.__main__ import main; sys.exit(main())"
    checked = subprocess.run(
        [*run[:-1], run[-1].format("'selftest', '--emulate'", main)], capture_output=True, text=True, cwd="/"
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    example = (bundle / "README.md").read_text().split("```python\n")[1].split("```")[0]
    example = example.replace("Accelerator()", "Accelerator(emulate=True)")
    assert "Accelerator(emulate=True) as" in example
    program = run[-1].format("", f"exec({example!r}); print(outputs.shape, outputs.dtype)")
    shown = subprocess.run([*run[:-1], program], capture_output=True, text=True, check=True, cwd="/")
    assert shown.stdout == "(8, 1) int64\n"


def test_every_file_is_in_bundle_json_and_the_package_is_verbatim(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    data = read_json(bundle)
    on_disk = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert set(data["files"]) == on_disk - {"bundle.json"} and list(data["files"]) == sorted(data["files"])
    assert changed_files(Bundle.load(bundle)) == []
    for path in PACKAGE.rglob("*.py"):
        assert (bundle / "accelerator" / path.relative_to(PACKAGE)).read_bytes() == path.read_bytes()
    assert {path.suffix for path in (bundle / "accelerator").rglob("*") if path.is_file()} == {".py"}
    assert (bundle / "deploy.sh").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", EVIL)
def test_a_malicious_name_is_harmless_in_every_file(tmp_path: Path, name: str) -> None:
    own = tmp_path / "templates"
    own.mkdir()
    (own / "x.py.j2").write_text("NAME = {{ name | py }}\nSAID = {{ ('it is ' ~ name) | py }}  # {{ name | py }}\n")
    bundle = built(tmp_path, name=name, templates=own, files=[{"template": "x.py.j2", "to": "x.py"}])
    assert read_json(bundle)["name"] == name
    said = [node.value for node in ast.parse((bundle / "x.py").read_text()).body if isinstance(node, ast.Assign)]
    assert [ast.literal_eval(value) for value in said] == [name, f"it is {name}"]
    script = (bundle / "deploy.sh").read_text()
    line = next(line for line in script.splitlines() if line.startswith("name="))
    # Without programs to find: nothing happens if the name gets loose.
    command = ["/bin/bash", "-c", f'{line}; printf %s "$name"']
    shown = subprocess.run(command, capture_output=True, text=True, env={"PATH": ""}, cwd="/proc")
    assert shown.stdout == name
    assert subprocess.run(["/bin/bash", "-n", bundle / "deploy.sh"]).returncode == 0
    readme = (bundle / "README.md").read_text()
    assert "<script>" not in readme.replace("`", "").split("```")[0].partition("## Start")[0]


def test_driver_settings_are_as_finn_writes_them(tmp_path: Path) -> None:
    """Keys and values were compared with what FINN 1.6.1's MakePYNQDriver writes for a network of one stream."""
    found = json.loads((built(tmp_path, weights=True) / "driver/settings.json").read_text())
    assert found == {
        "driver_information": {
            "driver_type": "FINNDMAOverlay",
            "io_shape_dict": {
                "idt": ["DataType['UINT8']"],
                "idma_names": ["idma0"],
                "ishape_normal": [[1, 4, 6, 2]],
                "ishape_folded": [[1, 4, 6, 1, 2]],
                "ishape_packed": [[1, 4, 6, 1, 2]],
                "odt": ["DataType['UINT4']"],
                "odma_names": ["odma0"],
                "oshape_normal": [[1, 9]],
                "oshape_folded": [[1, 3, 3]],
                "oshape_packed": [[1, 3, 2]],
                "num_inputs": 1,
                "num_outputs": 1,
                "number_of_external_weights": 0,
                "external_weights_input_shapes": {},
            },
            "external_weights": False,
            "runtime_weights": True,
            "platform": "zynq-iodma",
            "fclk_mhz": 100.0,
        },
        "experiment_information": {},
    }


def test_finns_own_driver_goes_in_unedited(tmp_path: Path) -> None:
    root, parts = sandbox(tmp_path)
    bundle = again(root, parts)
    text = (bundle / "driver/settings.json").read_text().replace("  ", " ")
    (root / "out/driver/mlo_weights").mkdir(parents=True)
    (root / "out/driver/settings.json").write_text(text)
    (root / "out/driver/mlo_weights/x.dat").write_text("00")
    bundle = again(root, parts)
    assert (bundle / "driver/settings.json").read_text() == text
    assert (bundle / "driver/mlo_weights/x.dat").is_file()

    (root / "out/driver/settings.json").write_text(text.replace("UINT4", "UINT5"))
    with pytest.raises(StepFailed, match=r"driver/settings.json has odt = .*UINT5.*, the accelerator's graph .*UINT4"):
        again(root, parts)


def test_a_generated_driver_goes_in_unedited(tmp_path: Path) -> None:
    root, parts = sandbox(tmp_path)
    (root / "out/driver/finn/util").mkdir(parents=True)
    for name in ("driver.py", "driver_base.py", "finn/util/data_packing.py"):
        (root / "out/driver" / name).write_text(f"# {name}\n")
    bundle = again(root, parts)
    driver = read_json(bundle)["driver"]
    assert (driver["generated"], driver["settings"]) == ("driver/driver.py", None)
    assert (bundle / "driver/finn/util/data_packing.py").read_text() == "# finn/util/data_packing.py\n"


def test_weights_of_finns_driver_have_to_be_those_of_the_graph(tmp_path: Path) -> None:
    root, parts = sandbox(tmp_path, weights=True)
    file = read_json(parts)["driver"]["runtime_weights"][0]["file"]
    place = root / "out" / file
    place.parent.mkdir(parents=True)
    shutil.copy(parts / file, place)
    again(root, parts)
    place.write_text("0\n")
    with pytest.raises(StepFailed, match=r"runtime_weights/.* is not what the accelerator's graph gives"):
        again(root, parts)


def test_what_vivado_left_is_in_it(tmp_path: Path) -> None:
    root, parts = sandbox(tmp_path)
    board_files(parts)
    shutil.move(parts / "bitfile", root / "out/bitfile")
    handoff = root / "out/bitfile/finn-accel.hwh"
    handoff.write_text(handoff.read_text().replace("<EDKSYSTEM>", '<EDKSYSTEM VIVADOVERSION="2022.2">'))
    top = {"LUT": 7000, "SRL": 1, "FF": 9000, "BRAM_36K": 3, "BRAM_18K": 4, "DSP": 0}
    (root / "out/report/post_synth_resources.json").write_text(json.dumps({"(top)": top}))
    timing = (
        "    WNS(ns)      TNS(ns)  TNS Failing\n    -------      -------  -----------\n      {}        0.000    0\n"
    )
    (root / "out/report/post_route_timing.rpt").write_text(timing.format("0.123"))
    bundle = again(root, parts)
    data = read_json(bundle)
    assert data["missing"] == [] and data["attached"] is None
    assert data["target"]["clock"] == {
        "requested_mhz": 100.0,
        "achieved_mhz": 100.0,
        "source": "bitfile/finn-accel.hwh: idma0/ap_clk",
        "slack_ns": 0.123,
    }
    assert data["built_with"]["tools"] == {"vivado": "2022.2"}
    assert data["resources"]["synthesised"] == {**top, "source": "report/post_synth_resources.json"}
    assert (data["driver"]["bitfile"], data["driver"]["hwh"]) == ("bitfile/finn-accel.bit", "bitfile/finn-accel.hwh")
    assert "not complete" not in (bundle / "README.md").read_text()

    (root / "out/report/post_route_timing.rpt").write_text(timing.format("-0.250"))
    bundle = again(root, parts)
    assert lacking(bundle) == ["met timing"] and "0.25 ns too slow" in (bundle / "README.md").read_text()
    assert read_json(bundle)["target"]["clock"]["slack_ns"] == -0.25
    shutil.copytree(bundle / "bitfile", tmp_path / "same")
    attach(bundle, tmp_path / "same/finn-accel.bit")
    assert lacking(bundle) == ["met timing"] and "0.25 ns too slow" in (bundle / "README.md").read_text()
    (root / "out/report/post_synth_resources.json").unlink()
    (root / "out/report/post_route_timing.rpt").unlink()
    assert lacking(again(root, parts)) == ["synthesised resources"]

    with pytest.raises(StepFailed, match=r"bitfile differs: finn-accel.bit is for 7z020clg400, the bundle for xc7z010"):
        again(root, parts, target_info={**TARGET, "part": "xc7z010clg400-1"})


def test_a_host_part_for_onnxruntime(tmp_path: Path) -> None:
    root, parts = sandbox(tmp_path)
    content = json.loads((parts / "contract.json").read_text())
    content["contract"]["tail"] = {**content["contract"]["hardware"]}
    (parts / "contract.json").write_text(json.dumps(content))
    bundle = again(root, parts)
    assert "onnxruntime on this board" in lacking(bundle)
    assert "\nonnxruntime==" in (bundle / "requirements.txt").read_text()
    larger = again(root, parts, target_info={**TARGET, "part": "xczu9eg-ffvb1156-2-e", "board": "ZCU102"})
    assert "onnxruntime on this board" not in lacking(larger)


def test_an_accelerator_that_cannot_be_emulated(tmp_path: Path) -> None:
    root, parts = sandbox(tmp_path)
    content = json.loads((parts / "contract.json").read_text())
    content["contract"]["hardware"] = {"kind": "missing", "why": "Shuffle has no form in ONNX"}
    (parts / "contract.json").write_text(json.dumps(content))
    found = {item["what"]: item["why"] for item in read_json(again(root, parts))["missing"]}
    assert "Shuffle has no form in ONNX" in found["emulation"]


def test_pins(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    assert not [line for line in (bundle / "requirements.txt").read_text().splitlines() if line[0] != "#"]
    from packaging.requirements import Requirement

    lines = (bundle / "requirements-emulate.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    for version in ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13"):
        chosen = [pin.name for pin in pins if pin.marker is None or pin.marker.evaluate({"python_version": version})]
        assert sorted(chosen) == ["numpy", "onnxruntime"], version


def test_an_alveo_bundle(tmp_path: Path) -> None:
    target = {**TARGET, "platform": "alveo", "shell": "vitis_alveo", "board": "U250", "part": "xcu250-figd2104-2L-e"}
    bundle = built(tmp_path, target_info=target)
    assert lacking(bundle) == ["bitfile", "achieved clock", "synthesised resources"]
    assert "--bitfile x.xclbin" in (bundle / "README.md").read_text()
    assert "xrt/setup.sh" in (bundle / "deploy.sh").read_text()


def test_nothing_but_the_contract(tmp_path: Path) -> None:
    root, parts = sandbox(tmp_path)
    shutil.rmtree(root / "out/report")
    bare = {**TARGET, "board": None, "part": None, "shell": None}
    bundle = again(root, parts, points=[], target_info=bare)
    data = read_json(bundle)
    assert data["accuracy"] is None and data["resources"]["estimated"] is None
    assert "not measured by the build" in (bundle / "README.md").read_text()


def test_own_templates(tmp_path: Path) -> None:
    own = tmp_path / "words"
    (own / "parts").mkdir(parents=True)
    (own / "notes.md.j2").write_text("{% include 'parts/who.j2' %} {{ target.board | md }}\n")
    (own / "parts/who.j2").write_text("{{ vars.who | md }}")
    (own / "README.md.j2").write_text("{% extends 'builtin/README.md.j2' %}{% block head %}# Mine\n{% endblock %}")
    (own / "logo.png").write_bytes(b"\x89PNG")
    files = [{"template": "notes.md.j2", "to": "notes.md"}, {"template": "notes.md.j2", "to": "docs/notes.txt"}]
    bundle = built(tmp_path, templates=own, files=files, vars={"who": "A*"})
    assert (bundle / "notes.md").read_text() == "A\\* Pynq-Z2\n"
    assert (bundle / "docs/notes.txt").read_text() == "A\\* Pynq-Z2\n"
    assert (bundle / "README.md").read_text().startswith("# Mine\n\n## Start")
    kept = {path.relative_to(bundle / "templates").as_posix() for path in (bundle / "templates").rglob("*.j2")}
    assert kept == {"notes.md.j2", "parts/who.j2", "README.md.j2"}
    assert read_json(bundle)["templates"] == {"vars": {"who": "A*"}, "files": files}

    (own / "REAMDE.md.j2").write_text("")
    with pytest.raises(StepFailed, match=r"words/REAMDE.md.j2 is used by nothing"):
        again(tmp_path, tmp_path / "parts", templates=own, files=files, vars={"who": "A*"})
    (own / "REAMDE.md.j2").unlink()
    with pytest.raises(StepFailed, match=r"words/parts/who.j2:1: there is no 'who'; known there are nobody"):
        again(tmp_path, tmp_path / "parts", templates=own, files=files, vars={"nobody": 1})


def test_accuracy() -> None:
    def point(step: str, **changed: Any) -> dict[str, Any]:
        return {"step": step, **MEASURED, **changed}

    reference = {"step": "reference", "state": "reference", "metric": "agreement", "samples": 64}
    found = build_results.accuracy([reference, point("a"), point("b", value=0.5)])
    assert found is not None
    assert (found["metric"], found["k"], found["kind"]) == ("top1", 1, "top_k")
    assert found["final"] == {"step": "b", "value": 0.5, "samples": 64, "interval": [0.77, 0.94]}
    assert [item["state"] for item in found["points"]] == ["reference", "measured", "measured"]
    assert build_results.accuracy([reference]) is None
    own = build_results.accuracy([point("a", metric="top1", interval=None)])  # the user's function, of this name
    assert own is not None and (own["k"], own["kind"]) == (None, "python")
    assert build_results.accuracy([point("a", metric="psnr", value="inf", interval=None)]) is None


def test_damaged_reports_are_told(tmp_path: Path) -> None:
    root, parts = sandbox(tmp_path)
    (root / "out/report/estimate_layer_resources.json").write_text("{")
    with pytest.raises(StepFailed, match=r"estimate_layer_resources.json is not JSON"):
        again(root, parts)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    bundle = built(tmp_path)
    (bundle / "README.md").write_text("mine")
    assert [path for path, _ in changed_files(Bundle.load(bundle))] == ["README.md"]
    write_json(bundle, read_json(bundle))
    assert changed_files(Bundle.load(bundle)) == []
