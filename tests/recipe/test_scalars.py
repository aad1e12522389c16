"""What is written as a plain scalar is read as the same value, by finnyaml and by others' YAML."""

from __future__ import annotations

import pytest
import yaml

from finnyaml.recipe.scalars import resolve, written


@pytest.mark.parametrize("value", [10.0, 0.1, 1e-7, 2.5e-5, 1e22, -3e-9, 7, True, None])
def test_numbers_and_words_come_back(value: float | None) -> None:
    text = written(value)
    assert [type(value), value] == [type(yaml.safe_load(text)), yaml.safe_load(text)]
    assert [type(value), value] == [type(resolve(text)), resolve(text)]


@pytest.mark.parametrize("value", ["on", "Null", "12", "1e3", "a: b", "a # b", "", ".", "${x}", "ä"])
def test_text_that_would_be_something_else_is_quoted(value: str) -> None:
    text = written(value)
    assert text.startswith('"') and yaml.safe_load(text).replace("$${", "${") == value


@pytest.mark.parametrize("value", ["net.onnx", "/data/net.onnx", "digits-cnv", "Pynq-Z1"])
def test_names_and_paths_are_plain(value: str) -> None:
    assert written(value) == value
