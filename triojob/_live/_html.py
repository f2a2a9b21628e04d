"""HTML that is escaped by construction."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from .._core.logs import clean_line

VOID = {"meta"}
"""Elements without an end tag."""


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def own(text: str) -> Markup:
    """Return a text of triojob's own, with nothing of an app's or a user's in it, as HTML."""
    return Markup(escape(text))


def foreign(text: str) -> Markup:
    """Return any text as HTML: on one line, without control characters, with secrets masked."""
    return Markup(escape(clean_line(text)))


def element(
    tag: str, /, *children: str | Iterable[str], **attributes: str | float | None
) -> Markup:
    """Return an element.

    Args:
        children: Its content; what is not `Markup` is treated as `foreign`.
        attributes: A trailing underscore is dropped, other underscores become hyphens, and None is
            left out; what is not `Markup` is treated as `foreign`, unless it is a number.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Markup(f"<{tag}{written}>")
    content = "".join(
        child if isinstance(child, Markup) else foreign(child) for child in flat(children)
    )
    return Markup(f"<{tag}{written}>{content}</{tag}>")


def flat(children: Iterable[str | Iterable[str]]) -> Iterable[str]:
    """Yield the texts in a nested iterable."""
    for child in children:
        if isinstance(child, str):
            yield child
        else:
            yield from flat(child)


def _attribute(value: str | float) -> str:
    if isinstance(value, (int, float)):
        return f"{value:.6g}"
    return value if isinstance(value, Markup) else foreign(value)
