"""Attaching a bitfile. The bitfiles are stand-ins (`board_files.py`): a head as Vivado writes it, and noise."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from finnyaml import __version__
from finnyaml.accelerator.contract import Bundle
from finnyaml.accelerator.files import changed_files
from finnyaml.bundle.attach import attach
from finnyaml.bundle.write import problems
from finnyaml.cli.bundle import bundle_app
from finnyaml.errors import ExitCode, RecipeError, StepFailed
from tests.bundle.board_files import attach as board_files
from tests.bundle.built import built
from tests.bundle.sample import read_json, sample_bundle, seal


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return built(tmp_path / "build", weights=True)


@pytest.fixture
def vivado(tmp_path: Path) -> Path:
    """A folder with top.bit and top.hwh."""
    return made(tmp_path / "vivado")


def made(folder: Path, mhz: float = 100.0) -> Path:
    bitfile = board_files(sample_bundle(folder / "for", weights=True), hwh_mhz=mhz)
    shutil.move(bitfile, folder / "top.bit")
    shutil.move(bitfile.with_suffix(".hwh"), folder / "top.hwh")
    edit(folder / "top.hwh", "<EDKSYSTEM>", '<EDKSYSTEM VIVADOVERSION="2022.2">')
    return folder


def state(bundle: Path) -> dict[str, str]:
    """All that is in the folder of the bundle and beside it."""
    files = (path for path in bundle.parent.rglob("*") if path.is_file())
    return {str(path.relative_to(bundle.parent)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_bitfile_completes_the_bundle(bundle: Path, vivado: Path) -> None:
    before = read_json(bundle)
    built_digest = hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    returned = attach(bundle, vivado / "top.bit", vivado / "top.hwh")
    data = read_json(bundle)
    assert returned == data and problems(data) == [] and list(data) == list(before)
    assert [item["what"] for item in data["missing"]] == ["synthesised resources"]
    assert data["built_with"]["tools"] == {"vivado": "2022.2"}
    assert (before["attached"], data["attached"]) == (None, {"to": built_digest})
    assert (data["driver"]["bitfile"], data["driver"]["hwh"]) == ("bitfile/finn-accel.bit", "bitfile/finn-accel.hwh")
    assert data["target"]["clock"]["achieved_mhz"] == 100.0
    assert (bundle / "bitfile/finn-accel.bit").read_bytes() == (vivado / "top.bit").read_bytes()
    readme = (bundle / "README.md").read_text()
    assert "Missing: synthesised resources." in readme and "bitfile `" not in readme
    assert "has_bitfile=true" in (bundle / "deploy.sh").read_text()
    assert changed_files(Bundle.load(bundle)) == []
    with tarfile.open(bundle.with_name("sample.tar.gz")) as archive:
        packed = archive.extractfile("sample/bundle.json")
        assert packed is not None and json.load(packed) == data
        assert "sample/bitfile/finn-accel.bit" in archive.getnames()
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["sample", "sample.tar.gz"]


def test_a_hwh_without_a_clock_leaves_it_missing(bundle: Path, vivado: Path) -> None:
    edit(vivado / "top.hwh", ' CLKFREQUENCY="100000000"', "")
    told = re.sub(r'<PARAMETER NAME="PCW_[^>]*>', "", (vivado / "top.hwh").read_text())  # nor the processor's clocks
    (vivado / "top.hwh").write_text(told)
    data = attach(bundle, vivado / "top.bit")
    assert [item["what"] for item in data["missing"]] == ["achieved clock", "synthesised resources"]
    clock = {"requested_mhz": 100.0, "achieved_mhz": None, "source": None, "slack_ns": None}
    assert data["target"]["clock"] == clock


def test_the_hwh_beside_the_bitfile_is_taken(bundle: Path, vivado: Path) -> None:
    attach(bundle, vivado / "top.bit")
    first = state(bundle)
    attach(bundle, vivado / "top.bit", vivado / "top.hwh")
    assert state(bundle) == first


def test_another_bitfile_takes_its_place(bundle: Path, vivado: Path, tmp_path: Path) -> None:
    attach(bundle, vivado / "top.bit")
    (bundle / "bitfile/finn-accel.bit").write_bytes(b"")  # a damaged one is what one attaches another for
    first = read_json(bundle)
    other = made(tmp_path / "again", mhz=96.9)
    edit(other / "top.hwh", ' VIVADOVERSION="2022.2"', "")
    attach(bundle, other / "top.bit")
    data = read_json(bundle)
    assert data["target"]["clock"]["achieved_mhz"] == pytest.approx(96.9)
    assert data["built_with"]["tools"] == {} and data["attached"] == first["attached"]


def test_own_templates_are_filled_in_again_without_the_recipe(tmp_path: Path, vivado: Path) -> None:
    own = tmp_path / "words"
    own.mkdir()
    files = [{"template": "notes.md.j2", "to": "notes.md"}]
    (own / "notes.md.j2").write_text("{{ vars.who | md }}: {{ target.clock.achieved_mhz | md }}\n")
    bundle = built(tmp_path / "build", weights=True, templates=own, files=files, vars={"who": "me"})
    shutil.rmtree(own)
    assert (bundle / "notes.md").read_text() == "me: null\n"
    attach(bundle, vivado / "top.bit")
    assert (bundle / "notes.md").read_text() == "me: 100.0\n"
    assert (bundle / "templates/notes.md.j2").is_file()


def test_files_of_the_user_stay_and_are_no_part_of_it(bundle: Path, vivado: Path) -> None:
    (bundle / "predictions.npz").write_bytes(b"mine")
    attach(bundle, vivado / "top.bit")
    assert (bundle / "predictions.npz").read_bytes() == b"mine"
    assert "predictions.npz" not in read_json(bundle)["files"]


def spoil_truncated(bundle: Path, vivado: Path) -> None:
    (vivado / "top.bit").write_bytes((vivado / "top.bit").read_bytes()[:-1])


def spoil_no_bitfile(bundle: Path, vivado: Path) -> None:
    (vivado / "top.bit").write_bytes(b"PK\x03\x04" * 100)


def spoil_bit_part(bundle: Path, vivado: Path) -> None:
    data = (vivado / "top.bit").read_bytes()
    (vivado / "top.bit").write_bytes(data.replace(b"7z020clg400", b"7z010clg400"))


def spoil_hwh_part(bundle: Path, vivado: Path) -> None:
    edit(vivado / "top.hwh", 'DEVICE="7z020"', 'DEVICE="7z010"')


def spoil_blocks(bundle: Path, vivado: Path) -> None:
    edit(vivado / "top.hwh", "odma0", "odma1")


def spoil_weights_block(bundle: Path, vivado: Path) -> None:
    edit(vivado / "top.hwh", "StreamingDataflowPartition_0", "StreamingDataflowPartition_7")


def spoil_clock(bundle: Path, vivado: Path) -> None:
    edit(vivado / "top.hwh", 'CLKFREQUENCY="100000000"', 'CLKFREQUENCY="50000000"')


def spoil_no_hwh(bundle: Path, vivado: Path) -> None:
    (vivado / "top.hwh").unlink()


def spoil_hwh(bundle: Path, vivado: Path) -> None:
    (vivado / "top.hwh").write_text("<EDKSYSTEM>")


def spoil_bundle(bundle: Path, vivado: Path) -> None:
    edit(bundle / "graphs/head.json", "Transpose", "Identity")


def spoil_json(bundle: Path, vivado: Path) -> None:
    edit(bundle / "bundle.json", '"missing": [', '"mising": [')


def spoil_version(bundle: Path, vivado: Path) -> None:
    spoil_json(bundle, vivado)
    edit(bundle / "bundle.json", f'"finnyaml": "{__version__}"', '"finnyaml": "0.0.9"')


def spoil_format(bundle: Path, vivado: Path) -> None:
    edit(bundle / "bundle.json", '"format": 2', '"format": 3')


def spoil_all(bundle: Path, vivado: Path) -> None:
    (bundle / "bundle.json").write_text("{")


def spoil_link(bundle: Path, vivado: Path) -> None:
    (bundle / "README.md").rename(vivado / "elsewhere.md")
    (bundle / "README.md").symlink_to(vivado / "elsewhere.md")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_truncated, "bitfile damaged: .*top.bit is cut short"),
        (spoil_no_bitfile, "bitfile damaged: .*is not a .bit file"),
        (spoil_bit_part, "bitfile differs: finn-accel.bit is for 7z010clg400, the bundle for xc7z020clg400-1"),
        (spoil_hwh_part, "bitfile differs: finn-accel.hwh is for xc7z010"),
        (spoil_blocks, "bitfile differs: finn-accel.hwh has no odma0"),
        (spoil_weights_block, "bitfile differs: finn-accel.hwh has no StreamingDataflowPartition_0"),
        (spoil_clock, "clock differs: finn-accel.hwh says 50 MHz .*, the build asked for 100 MHz"),
        (spoil_no_hwh, "bitfile missing: cannot read .*top.hwh"),
        (spoil_hwh, "bitfile damaged: .*top.hwh is not a hardware handoff file"),
        (spoil_bundle, "file changed: the bundle is not as it was built: graphs/head.json"),
        (spoil_link, "bundle damaged: README.md is a link"),
        (spoil_json, "bundle damaged: bundle.json does not fit the schema of this finnyaml .*'missing' is a required"),
        (spoil_version, r"other version: bundle.json is of finnyaml 0.0.9 \(format 2\), this is finnyaml .* not fit: "),
        (
            spoil_format,
            rf"other version: bundle.json is of finnyaml {__version__} \(format 3\), this is .*\(format 2\)",
        ),
        (spoil_all, "bundle damaged: .*bundle.json: Expecting property name"),
    ],
)
def test_what_does_not_fit_changes_nothing(bundle: Path, vivado: Path, spoil: object, said: str) -> None:
    assert callable(spoil)
    spoil(bundle, vivado)
    before = state(bundle)
    with pytest.raises(RecipeError, match=said) as refused:
        attach(bundle, vivado / "top.bit")
    assert refused.value.exit_code is ExitCode.BAD_INPUT and refused.value.hint
    assert state(bundle) == before


def test_a_bundle_of_another_version_names_it(bundle: Path, vivado: Path) -> None:
    spoil_version(bundle, vivado)
    with pytest.raises(RecipeError) as refused:
        attach(bundle, vivado / "top.bit")
    assert refused.value.hint == "build it again, or attach with finnyaml 0.0.9"


def test_a_bundle_of_another_version_that_fits_is_completed(bundle: Path, vivado: Path) -> None:
    data = read_json(bundle)
    data["built_with"]["finnyaml"] = "0.0.9"
    seal(bundle, data)
    assert attach(bundle, vivado / "top.bit")["built_with"]["finnyaml"] == "0.0.9"


def test_a_zynq_takes_no_xclbin(bundle: Path, vivado: Path) -> None:
    shutil.copy(vivado / "top.bit", vivado / "top.xclbin")
    with pytest.raises(RecipeError, match=r"bitfile differs: top.xclbin is not a .bit file, which Pynq-Z2 takes"):
        attach(bundle, vivado / "top.xclbin")


def test_a_folder_that_is_no_bundle(tmp_path: Path, vivado: Path) -> None:
    with pytest.raises(RecipeError, match="no bundle: there is no readable"):
        attach(tmp_path, vivado / "top.bit")


def test_a_template_that_fails_changes_nothing(bundle: Path, vivado: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StepFailed("templates/x.j2:1: no")

    monkeypatch.setattr("finnyaml.bundle.render.Templates.render", fail)
    before = state(bundle)
    with pytest.raises(StepFailed):
        attach(bundle, vivado / "top.bit")
    assert state(bundle) == before


def test_an_exchange_that_fails_puts_everything_back(
    bundle: Path, vivado: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if target == bundle and self.name == "sample":
            raise OSError(5, "Input/output error", str(self))
        return rename(self, target)

    before = state(bundle)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StepFailed, match=r"cannot renew .*: Input/output error"):
        attach(bundle, vivado / "top.bit")
    assert state(bundle) == before


def test_the_command(bundle: Path, vivado: Path) -> None:
    arguments = ["attach", str(bundle), "--bitfile", str(vivado / "top.bit"), "--hwh", str(vivado / "top.hwh")]
    done = CliRunner().invoke(bundle_app, arguments)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "sample has its bitfile now: Pynq-Z2 (xc7z020clg400-1) at 100 MHz"
    done = CliRunner().invoke(bundle_app, [*arguments, "--json"])
    assert json.loads(done.stdout) == read_json(bundle)
    spoil_truncated(bundle, vivado)
    assert isinstance(CliRunner().invoke(bundle_app, arguments).exception, RecipeError)
