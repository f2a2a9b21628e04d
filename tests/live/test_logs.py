"""Handlers of `logging` whose stream is replaced for a while."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from triojob._live._logs import LogStreams


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.live.logs")
    yield logger
    logger.handlers.clear()


def test_handlers_are_redirected_and_restored(logger: logging.Logger):
    old, new, other = io.StringIO(), io.StringIO(), io.StringIO()
    for stream in (old, other):
        logger.addHandler(logging.StreamHandler(stream))
    streams = LogStreams([(old, new), (other, other)])
    logger.warning("during")
    streams.restore()
    logger.warning("after")
    assert new.getvalue() == "during\n"
    assert old.getvalue() == "after\n"
    assert other.getvalue() == "during\nafter\n"


def test_redirected_handler_keeps_its_stream(logger: logging.Logger):
    old, new, theirs = io.StringIO(), io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(old)
    logger.addHandler(handler)
    streams = LogStreams([(old, new)])
    handler.setStream(theirs)
    streams.restore()
    assert handler.stream is theirs
