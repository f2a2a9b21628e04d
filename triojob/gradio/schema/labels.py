"""The labels of an app's components, as text; no I/O.

Wire source: gradio 6.31, ``i18n.py`` (a translation is an object in ``/info``, and in ``/config`` a
text that begins with ``__i18n__``) and ``blocks.py`` (``get_api_info`` names components without
labels by their ids).
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

from ..protocol.messages import is_object

_TRANSLATED = "__i18n__"
_BY_ID = re.compile(r"(?:parameter|value)_\d+")
"""Gradio's label for an unlabelled component, with an id that changes with every edit of the app.
"""


def text_of(label: Any, translations: Any) -> str:
    """Return a label as text; empty if it has none.

    Args:
        translations: By language and key, as in ``/config``.  English comes first, then the others
            in the app's order.
    """
    if isinstance(label, str) and label.startswith(_TRANSLATED):
        with suppress(ValueError, RecursionError):
            label = json.loads(label.removeprefix(_TRANSLATED))
    if not is_object(label):
        return str(label or "")
    key = str(label.get("key") or "")
    by_language = translations if is_object(translations) else {}
    for language in ("en", *by_language):
        texts = by_language.get(language)
        text = texts.get(key) if is_object(texts) else None
        if isinstance(text, str):
            return text
    return key


def labelled(item: dict[str, Any], otherwise: str, translations: Any) -> dict[str, Any]:
    """Return the description of an input or output with a label that is text.

    Args:
        otherwise: The label of a component that has none.
    """
    text = text_of(item.get("label"), translations)
    return {**item, "label": otherwise if _BY_ID.fullmatch(text) or not text else text}
