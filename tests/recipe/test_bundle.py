"""The section `bundle`: what it means, and what is wrong with it."""

from __future__ import annotations

from finnyaml.recipe.model import BundleSpec
from tests.recipe.folder import MARK, MINIMAL, Folder


def test_without_the_section_the_command_line_decides(folder: Folder) -> None:
    assert folder.recipe(MINIMAL).bundle is None


def test_what_holds_where_the_recipe_is_silent(folder: Folder) -> None:
    assert folder.recipe(f"{MINIMAL}bundle: {{}}\n").bundle == BundleSpec(64, None, {}, {})


def test_all_of_it(folder: Folder) -> None:
    folder.write("own/notes.md.j2", "")
    text = "bundle:\n  golden: 8\n  templates: own\n  files: [notes.md.j2, {template: notes.md.j2, to: docs/n.md}]\n"
    found = folder.recipe(f"{MINIMAL}vars: {{lab: E7}}\n{text}  vars: {{contact: '${{lab}}', limits: [1, 2]}}\n").bundle
    files = {"notes.md": "notes.md.j2", "docs/n.md": "notes.md.j2"}
    assert found == BundleSpec(8, folder.path / "own", files, {"contact": "E7", "limits": [1, 2]})


def test_what_is_refused(folder: Folder) -> None:
    folder.write("own/notes.md.j2", "")
    start = f"{MINIMAL}bundle:\n"
    own = f"{start}  templates: own\n"
    folder.refuses(f"{start}  golden: {MARK}0\n", "at least 1")
    folder.refuses(f"{start}  templates: {MARK}owm\n", "no folder 'owm'", "'own'")
    folder.refuses(f"{start}  templates: {MARK}model.onnx\n", "is a file, not a folder")
    folder.refuses(f"{start}  {MARK}files: [notes.md.j2]\n", "only goes together with templates")
    folder.refuses(f"{own}  files: [{MARK}note.md.j2]\n", "no file", "'notes.md.j2'")
    folder.refuses(f"{own}  files: [{MARK}../notes.md.j2]\n", "leads out of the folder of templates")
    folder.refuses(f"{own}  files: [{MARK}{{template: notes.md.j2, to: ../n.md}}]\n", "leads out of the bundle")
    folder.refuses(f"{own}  files: [{MARK}{{template: notes.md.j2, to: /etc/n}}]\n", "leads out of the bundle")
    folder.refuses(
        f"{own}  files: [{MARK}{{template: notes.md.j2, to: README.md}}]\n", "in every bundle", "README.md.j2"
    )
    folder.refuses(f"{own}  files: [{MARK}{{template: notes.md.j2, to: ./bundle.json}}]\n", "another name")
    folder.refuses(f"{own}  files: [{MARK}{{template: notes.md.j2, to: driver/n.md}}]\n", "the folder driver/")
    folder.refuses(f"{own}  files: [notes.md.j2, {MARK}notes.md.j2]\n", "to be written twice")
    folder.refuses(f"{start}  vars: {{'a b': {MARK}1}}\n", "'a b' cannot be a name in bundle.vars")
    folder.refuses(f"{start}  {MARK}goldn: 3\n", "unknown key 'goldn'", "golden")


def test_a_list_of_files_that_comes_from_a_variable(folder: Folder) -> None:
    folder.write("own/notes.md.j2", "")
    text = f"{MINIMAL}vars: {{wanted: [notes.md.j2]}}\nbundle: {{templates: own, files: '${{wanted}}'}}\n"
    assert folder.recipe(text).bundle.files == {"notes.md": "notes.md.j2"}  # type: ignore[union-attr]
