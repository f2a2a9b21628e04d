"""Runs the checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from .._core.containment import contained
from .._exceptions import TriojobError
from ..gradio.client import Client, access_of
from ..gradio.http.settings import Timeouts
from ..gradio.http.urls import public_part
from .context import Check, Context, NotApplicable, NotChecked
from .findings import CheckResult, Diagnosis, Finding, Outcome
from .registry import CHECKS

_TIMEOUTS = Timeouts(read=20)
_BETWEEN = 1.0
"""Seconds before a check is repeated."""


async def diagnose(
    src: str,
    *,
    call: Callable[[Client], Awaitable[object]] | None = None,
    on_check: Callable[[str], object] | None = None,
    **options: Any,
) -> Diagnosis:
    """Find out what is wrong with an app, and with what is between it and its clients.

    The requests are few and harmless: they read what the app describes, open event streams (at most
    16 at once) and close them, and announce uploads of which they send nothing.  No endpoint is
    called, except by ``call``, and a Space that sleeps is not woken.
    It takes about 20 seconds, mostly to wait for a heartbeat; more if there are findings, because
    those that might be due to a passing state are made twice.

    Args:
        src: The app's URL, or a Space, as for `Client`.
        call: Makes a call with an open client, at the end: a failure of it is a finding.
        on_check: Called with the name of each check before it begins.  It must not block.
        options: As for `Client`.

    Raises:
        ValueError: An argument is invalid.

    A failed connection is a finding too, and not raised.  Being cancelled closes all connections.
    """
    options.setdefault("timeouts", _TIMEOUTS)
    client = Client(src, **options)

    async def trial() -> None:
        assert call is not None
        async with Client(src, **options) as opened:
            await call(opened)

    context = Context(access_of(client), None if call is None else trial)
    findings: list[Finding] = []
    results: list[CheckResult] = []
    try:
        for check in CHECKS:
            if on_check is not None:
                on_check(check.name)
            start = trio.current_time()
            outcome, reason = await _run(check, context, findings)
            seconds = trio.current_time() - start
            results.append(CheckResult(check.name, outcome, reason, seconds))
    finally:
        await context.aclose()
    app = context.known_app
    return Diagnosis(
        url=public_part(context.base or client.src),
        title="" if app is None else app.title,
        version="" if app is None else app.version,
        protocol="" if app is None else app.protocol,
        server=context.server,
        findings=tuple(findings),
        checks=tuple(results),
    )


async def _run(
    check: Check, context: Context, findings: list[Finding]
) -> tuple[Outcome, str | None]:
    """Run a check, which keeps no other from running; return how it ended, and why."""
    failures: list[TriojobError] = []
    with contained(failures.append, check.name), trio.move_on_after(check.seconds):
        try:
            if check.needs_app:
                _ = context.app  # raises if it is not known
            found = await check.run(context)
            if found and check.repeat:
                await trio.sleep(_BETWEEN)
                found = await check.run(context)
        except NotApplicable as exc:
            return "not_applicable", str(exc)
        except NotChecked as exc:
            return "not_checked", str(exc)
        findings += found
        context.codes.update(finding.code for finding in found)
        return "done", None
    if failures:
        return "failed", str(failures[0])
    return "failed", f"it took longer than {check.seconds:g} s"
