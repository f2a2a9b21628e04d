"""Reads the HTML of reports, and refuses HTML that is not well-formed or loads something."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NoReturn

LOADING = {"href", "src", "srcset", "data", "action", "poster", "xlink:href", "background"}
"""Attributes from which browsers load something."""
LOADING_TAGS = {
    "script",
    "link",
    "img",
    "iframe",
    "object",
    "embed",
    "base",
    "form",
    "image",
    "use",
}


class Page(HTMLParser):
    """A page whose elements all end where they should, and which loads nothing.

    Attributes:
        texts: The texts, each with the names of the elements around it.
        tags: How often each element occurs.
        metas: The contents of the meta elements.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.tags: dict[str, int] = {}
        self.metas: list[str | None] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in LOADING_TAGS, tag
        for name, value in attrs:
            assert name not in LOADING, name
            assert not name.startswith("on"), name
            assert "url(" not in (value or ""), value
        self.tags[tag] = self.tags.get(tag, 0) + 1
        if tag == "meta":
            self.metas.append(dict(attrs).get("content"))
        else:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            assert not re.search(r"url\(|@import|expression|</", data)
        elif data.strip():
            self.texts.append((tuple(self._open), data))

    def unknown_decl(self, data: str) -> NoReturn:
        raise AssertionError(data)

    def inside(self, tag: str) -> list[str]:
        """Return the texts inside elements of a kind."""
        return [text for around, text in self.texts if tag in around]

    @property
    def text(self) -> str:
        """All texts, one on each line."""
        return "\n".join(text for _, text in self.texts)
