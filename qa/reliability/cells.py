"""The matrix: which fault at which moment of a call ends in what, in each protocol, and why.

`expect` is the whole of what the tests hold triojob to.  A combination that can't be has a reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from qa.reliability.faults import FAULTS, MIDDLE
from qa.reliability.harm import Fault

JOIN, LISTEN, QUEUED, RUNNING, STREAMING, COMPLETING, CANCEL, UPLOAD, DOWNLOAD = MOMENTS = (
    "before the join",
    "between join and stream",
    "queued",
    "running",
    "mid-stream",
    "at completion",
    "during cancel",
    "during upload",
    "during download",
)
IN_STREAM = {QUEUED, RUNNING, STREAMING, COMPLETING}
"""Moments at which the event stream is open and nothing else is under way."""

VALUE = "the value"
PAGE = "the page, as the file"


@dataclass(frozen=True)
class Cell:
    """One fault at one moment, in one protocol."""

    protocol: str
    fault: Fault
    moment: str
    expected: str = ""
    """The value, or the exception's class."""
    impossible: str = ""
    """Why this can't be."""

    @property
    def name(self) -> str:
        return f"{self.moment}: {self.fault.name}"


def cells(protocol: str) -> list[Cell]:
    """Return all of the matrix for a protocol."""
    return [
        Cell(protocol, fault, moment, *_expect(protocol, fault, moment))
        for moment in MOMENTS
        for fault in FAULTS
    ]


def _expect(protocol: str, fault: Fault, moment: str) -> tuple[str, str]:
    impossible = _why_not(protocol, fault, moment)
    return ("", impossible) if impossible else (_outcome(protocol, fault, moment), "")


def is_position(protocol: str, moment: str) -> bool:
    """Tell whether at this moment the call's one stream is open, and no request is made."""
    return moment in IN_STREAM or (protocol == "ws" and moment == LISTEN)


def _why_not(protocol: str, fault: Fault, moment: str) -> str:
    position = is_position(protocol, moment)
    if fault.full and moment != JOIN:
        return "a full queue refuses at the join, and nowhere else"
    if fault.elsewhere:
        if moment in {UPLOAD, DOWNLOAD}:
            return "a file belongs to no session"
        if protocol in {"sse", "ws"} and moment != CANCEL:
            return "in this protocol the connection is the session: to lose one is to lose both"
        if protocol == "ws":
            return "the cancelling call of Gradio 3 needs no session that is known"
    if position:
        if fault.reply:
            return "the stream's answer has begun: no status or type can follow"
        if not fault.heard:
            return "the stream's request was heard: there is no other one to get lost"
        if fault.untrusted:
            return "the connection is there: no certificate is shown"
    if (
        fault.end == "close"
        and not (position or moment == LISTEN)
        and not _is_stream(protocol, moment)
    ):
        return "the answer has a length, so it can't end early in good order"
    if fault.end == "close" and (protocol == "ws" or (protocol == "sse" and moment == LISTEN)):
        return "there is no body in chunks here that could be ended early"
    if protocol == "sse" and moment == LISTEN and fault.cut == MIDDLE:
        return "this answer is shorter than that"
    if protocol == "ws" and moment == COMPLETING and fault.cut == MIDDLE:
        return "this message is shorter than that"
    if fault.frames == "swapped" and protocol == "ws" and moment == LISTEN:
        return "nothing follows that message until it is answered"
    if fault.frames and not (position or _is_stream(protocol, moment)):
        return "the answer is one piece: there are no messages in it"
    if fault.untrusted and protocol == "ws" and moment == LISTEN:
        return "the connection is there: no certificate is shown"
    return ""


def _is_stream(protocol: str, moment: str) -> bool:
    """Tell whether the answer of this moment's request is an event stream."""
    return moment == (JOIN if protocol == "sse" else LISTEN) and protocol != "ws"


def _outcome(protocol: str, fault: Fault, moment: str) -> str:
    if protocol == "sse" and moment == LISTEN:
        # The stream is there, and tells of the call whatever becomes of the answer to its data.
        if fault.end == "silence" and fault.heard:
            return VALUE
        if fault.untrusted:
            return "ConnectionFailed"
        if b" 200 " in fault.reply[:20]:
            # Taken for the server's word that it has the data; then it hangs up for lack of it.
            return "ConnectionLost"
    if moment == CANCEL:
        # Whatever becomes of the message to the server: here the job has ended.
        return "JobCancelled"
    if fault.full:
        return "QueueFull"
    if fault.delay or fault.jitter or fault.piece or fault.frames == "doubled":
        return VALUE
    if fault.frames == "swapped":
        # The completion comes after what ends the stream, where there is such a message.
        late = moment == COMPLETING and protocol in {"sse_v3", "ws"}
        return "ConnectionLost" if late else VALUE
    if moment == DOWNLOAD:
        # Broken downloads are taken up again; a page may be a file like any other.
        if fault.reply:
            return PAGE if b" 200 " in fault.reply[:20] else _refusal(fault)
        return VALUE
    if fault.reply:
        return _refused(protocol, fault, moment)
    if fault.untrusted:
        # At the stream's connection the call itself has long been heard.
        return "ConnectionLost" if moment == LISTEN else "ConnectionFailed"
    if protocol == "ws" and moment == JOIN:
        # There was no WebSocket yet, so nothing has been sent.
        return "ConnectionFailed"
    return "ConnectionTimeout" if fault.end == "silence" else "ConnectionLost"


def _refused(protocol: str, fault: Fault, moment: str) -> str:
    page = b" 200 " in fault.reply[:20]
    if protocol == "ws":
        if moment == JOIN:
            return "ConnectionFailed"
    elif moment == LISTEN and protocol != "sse":
        # 429 says that nothing was done, but the call had been accepted by then.
        return "UnexpectedResponse"
    elif protocol == "sse" and page and moment == JOIN:
        return "UnexpectedResponse"
    return "ProtocolError" if page else _refusal(fault)


def _refusal(fault: Fault) -> str:
    return "TooManyRequests" if b" 429 " in fault.reply[:20] else "UnexpectedResponse"
