"""What typed modules, descriptions and errors call components: labels as text."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.stubs import app, described, output, parameter, write
from triojob.gradio.schema.labels import text_of

TRANSLATIONS = {"de": {"name": "Ihr Name", "only": "Nur"}, "en": {"name": "Your name"}}
METADATA = {"_type": "translation_metadata", "key": "name"}


@pytest.mark.parametrize(
    "label, text",
    [
        ("Name", "Name"),
        (None, ""),
        (METADATA, "Your name"),
        ({**METADATA, "key": "only"}, "Nur"),
        ({**METADATA, "key": "none"}, "none"),
        ({}, ""),
        ('__i18n__{"__type__": "translation_metadata", "key": "name"}', "Your name"),
        ("__i18n__{", "__i18n__{"),
        (7, "7"),
    ],
)
def test_translations_are_text(label: Any, text: str) -> None:
    assert text_of(label, TRANSLATIONS) == text


@pytest.mark.parametrize("translations", [None, [], {"en": None}, {"en": {"name": 5}}])
def test_missing_translations_show_the_key(translations: Any) -> None:
    assert text_of(METADATA, translations) == "name"


def test_unlabelled_components_show_their_position() -> None:
    endpoint = described(
        parameter("a", label="parameter_7"),
        parameter("b", label=METADATA, component="Slider"),
        parameter("c", label=None),
        returns=[output(label="value_9"), output(label="Total")],
    )
    info = app({"add": endpoint}, i18n_translations=TRANSLATIONS, title=METADATA)
    found = info.find("/add", None)
    assert [each.label for each in found.parameters] == ["input 1", "Your name", "input 3"]
    assert [each["label"] for each in found.returns] == ["output 1", "Total"]
    assert info.title == "Your name"
    text = write(info)
    assert "a: input 1 (Custom)." in text
    assert "b: Your name (Slider)." in text
    assert "output 1 (Custom)." in text
