"""The table of the differences from gradio_client that are on purpose.

Each has a short id, a title and a reason.  A test marked with ``@shows("id")`` shows both sides,
and docs/migration.md has the same ids and titles; `test_differential_table.py` holds them together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Test = TypeVar("Test", bound=Callable[..., object])


@dataclass(frozen=True)
class Difference:
    """One thing that is not as there."""

    id: str
    title: str
    reason: str


DIFFERENCES = (
    Difference(
        "no-telemetry",
        "There is no telemetry",
        "What you call is nobody else's business; analytics_enabled is accepted and means nothing.",
    ),
    Difference(
        "quiet",
        "verbose is False by default",
        "A library doesn't write to stdout unasked.",
    ),
    Difference(
        "cancelled",
        "A cancelled job is a cancelled future, at once",
        "cancelled() is True, and result() and exception() raise CancelledError without waiting "
        "for the server; there the job goes on until the server answers, and ends in a KeyError, "
        "a CancelledError or a ValueError, whichever comes first.",
    ),
    Difference(
        "cancel-too-late",
        "cancel() of a job that has ended returns False and changes nothing",
        "That is the contract of concurrent.futures; there a finished job becomes CANCELLED.",
    ),
    Difference(
        "cancel-exact",
        "cancel() ends that job and no other",
        "There the server is told to kill every running call of the function in the session, "
        "and those others never end.",
    ),
    Difference(
        "cancel-warnings",
        "cancel() gives no warnings",
        "There it warns for apps before Gradio 4.29, which go on, or stop other calls too.",
    ),
    Difference(
        "connection-lost",
        "A lost connection is ConnectionLost, not CancelledError",
        "Nobody cancelled anything, and a CancelledError is an easily swallowed one.  An event "
        "stream that the server refuses is UnexpectedResponse.",
    ),
    Difference(
        "server-stopped",
        "A server that stops its queue is ServerStopped, not KeyError",
        "There the message that says so is looked up in a table that lacks it.",
    ),
    Difference(
        "restarted",
        "A call whose State was lost in a restart of the app is ServerRestarted, once",
        "There it goes on from a new State without a word.",
    ),
    Difference(
        "failures-logged",
        "A failure that nobody asks for is logged",
        "Errors should never pass silently: when the job is dropped, its failure is logged.",
    ),
    Difference(
        "outputs-copy",
        "outputs() returns a list of your own",
        "There it is the list that the client goes on adding to in another thread.",
    ),
    Difference(
        "outputs-single",
        "Iterating over a job that doesn't stream gives its result",
        "There it gives that or nothing, depending on which thread is faster.",
    ),
    Difference(
        "close",
        "close() cancels the jobs and ends the client",
        "Submitting afterwards raises ClientClosed; there only a heartbeat ends.",
    ),
    Difference(
        "exit",
        "Jobs still running at the interpreter's end are cancelled",
        "There the interpreter waits for them, for ever if the server doesn't answer.",
    ),
    Difference(
        "too-many-arguments",
        "Too many arguments are a TypeError",
        "There they are dropped without a word.",
    ),
    Difference(
        "early-errors",
        "An argument that can't be sent raises at submit",
        "What JSON doesn't have, a file that is gone or too large: the traceback then shows who "
        "passed it; there the job fails.",
    ),
    Difference(
        "undocumented",
        "Endpoints that an app doesn't document take arguments by name too",
        "The app does tell of their parameters, so they have their names and defaults.",
    ),
    Difference(
        "marked-files",
        "Only what handle_file() returned is read from this machine's disk",
        "A dictionary that looks the same may come from a server, which could name any file.",
    ),
    Difference(
        "real-files",
        "Only what the app marks as a file is fetched",
        "There any dictionary with a 'path' counts as a file, and data that has one fails.",
    ),
    Difference(
        "private-folder",
        "Files go into a folder that only this user may look into, unless you name one",
        "There it is one that all users of the machine share, and it grows for ever.",
    ),
    Difference(
        "file-folders",
        "Each file that is fetched gets a folder of its own",
        "There the folder is named by the content: equal files of one name are one file, which "
        "whoever uses it may change or remove for the others.",
    ),
    Difference(
        "file-names",
        "The name of a file that is fetched is harmless on every system",
        "There it is what the server says: a hidden file, or a device of Windows.",
    ),
    Difference(
        "file-elsewhere",
        "A file that lies on another server is its URL",
        "There the app is asked for it, and the client goes where that sends it.",
    ),
    Difference(
        "file-details",
        "An app is told the type and size of a file that it gets",
        "There it is told neither, and the name without some characters.",
    ),
    Difference(
        "redirects",
        "Redirects are not followed",
        "Your headers, cookies and files would go where a server says, so "
        "httpx_kwargs={'follow_redirects': True} is refused; there downloads follow them, and with "
        "that option all of them fail.",
    ),
    Difference(
        "refused-for-now",
        "A call that a busy server refuses by 429 or 503 is sent again for a minute",
        "It is no failure of the call; limits=Limits(refused_for=0) makes it one, as there.  A "
        "full queue is a QueueError at once in both.",
    ),
    Difference(
        "limits",
        "A message has 1 GiB at most, and the files that a call fetches 4 GiB",
        "A server could fill the memory or the disk; limits= sets other bounds, and there are "
        "none there.",
    ),
    Difference(
        "resumed",
        "A download that breaks is resumed, up to three times",
        "There the call fails.",
    ),
    Difference(
        "failed-downloads",
        "A file that can't be fetched ends its job",
        "There an output before the last is a list with the exception in its place.",
    ),
    Difference(
        "streamed-media",
        "Sound and video that is still streaming is what the app says of it, a dictionary",
        "There it is a copy of the playlist, whose parts are not beside it; the dictionary has "
        "its URL.",
    ),
    Difference(
        "saved-token",
        "The token saved on this machine goes to Spaces only",
        "There it is sent to whatever URL you open.",
    ),
    Difference(
        "token-sources",
        "The saved token is that of HF_TOKEN or of the file that hf auth login writes",
        "There it may also come from Google Colab's vault, or from a CI service by OIDC.",
    ),
    Difference(
        "token-for-url",
        "An explicit token to a plain URL is refused",
        "It is a secret of Hugging Face's; headers= sends anything anywhere.",
    ),
    Difference(
        "password-in-url",
        "A URL with a password in it is refused",
        "URLs are shown in logs and errors; there it is sent, as httpx_kwargs={'auth': ...} does.",
    ),
    Difference(
        "needless-login",
        "auth= for an app that asks for no login is no error",
        "The same code then works with and without the login.",
    ),
    Difference(
        "oauth-token",
        "A call that needs an oauth_token which was not given is refused here",
        "It raises AuthenticationError and says what to pass; there the app refuses it.",
    ),
    Difference(
        "cookies",
        "Your cookies stay after a login, and those that the server sets are kept",
        "There a login drops yours, and only cookies of the login and of /config are kept.",
    ),
    Difference(
        "timeouts",
        "A response may take 120 s to begin",
        "An app's validator runs meanwhile; there it is 5 s.  httpx_kwargs={'timeout': ...} sets "
        "it for both.",
    ),
    Difference(
        "config-page",
        "An app is described by its /config and /info",
        "There the description is also looked for in the app's page, if there is no /config.",
    ),
    Difference(
        "final-update",
        "The last OutputUpdate has outputs={'data': [...]} and nothing more",
        "The server's timings are left out, and so are hidden components.",
    ),
    Difference(
        "damaged-edits",
        "Outputs that the server's edits would garble are left out",
        "Gradio miscounts when nested lists shrink; there wrong values come, here the next right "
        "one.",
    ),
    Difference(
        "reset-session",
        "reset_session() lets the calls under way go on, and new ones work",
        "There a call after it listens in the old session as long as another call is under way, "
        "and fails.",
    ),
    Difference(
        "futures",
        "concurrent.futures.wait() returns the jobs that it was given",
        "There it returns futures from inside of them, and has the jobs as not done.",
    ),
    Difference(
        "httpx",
        "Exceptions of httpx are subclasses of them, in triojob.sync.exceptions",
        "What caught httpx.ReadTimeout or httpx.HTTPStatusError still does; ConnectionError and "
        "TriojobError do too.  There is no request in them: its URL may hold the session's hash.",
    ),
    Difference(
        "protocol-error",
        "What no Gradio server sends is a ProtocolError, which is a ValueError",
        "There it is a KeyError or a TypeError.",
    ),
    Difference(
        "more-words",
        "Some messages say more",
        "Which endpoint, which parameter, which file, after how many seconds; for missing files, "
        "files too large, timeouts, logins, refused requests and URLs that are no Gradio app.",
    ),
    Difference(
        "arguments-untouched",
        "Dictionaries that you pass in stay as they are",
        "There headers= of a call gets a header, and httpx_kwargs= loses its cookies.",
    ),
    Difference(
        "gradio-user",
        "A call says that it comes from a program, whatever headers= say",
        "Apps tell people and programs apart by the header x-gradio-user.",
    ),
    Difference(
        "new-messages",
        "A message of a kind that isn't known is ignored",
        "A newer server adds such; there the job fails with a KeyError.",
    ),
    Difference(
        "input-streams",
        "Functions that take a stream of inputs can be called",
        "With one input; there they fail with a KeyError.",
    ),
    Difference(
        "gradio-3",
        "Gradio 3 apps work too",
        "There they are refused; and on Gradio 4.0 to 4.8 `async for` tells nothing.",
    ),
    Difference(
        "user-agent",
        "The header user-agent says triojob",
        "There it says gradio_client and what else is installed.",
    ),
    Difference(
        "own-sessions",
        "Calls of one function at the same time have sessions of their own",
        "There all calls have the session that session_hash names, and so stop each other.  Here "
        "each call has it that is the only one of its function just then, and so have all calls "
        "of functions with State, one after the other.",
    ),
    Difference(
        "session-hash",
        "session_hash can't be set",
        "A session that others may know the name of can be cancelled by them; reset_session() "
        "begins a new one.",
    ),
    Difference(
        "app-version",
        "app_version is text",
        "There it is a Version of the library packaging, which this library doesn't need.",
    ),
    Difference(
        "internals",
        "What is inside the client is not there",
        "Such as Client.endpoints, Client.headers, Client.executor, the parameter "
        "_skip_components, Job.future, Job.communicator, and the functions of gradio_client.utils.",
    ),
    Difference(
        "space-errors",
        "A Space that is not there is SpaceError, a ValueError",
        "There it is an exception of huggingface_hub, which opening a Space doesn't need here.",
    ),
    Difference(
        "sleeping-spaces",
        "A Space that sleeps or is starting is waited for",
        "There only one that is building is, and all others can't be opened until they run.",
    ),
    Difference(
        "space-pages",
        "The URL of a Space's page on the hub means the Space",
        "There it is taken for the URL of an app, and is none.",
    ),
    Difference(
        "late-variables",
        "HF_HOME, HF_TOKEN_PATH and HF_ENDPOINT are read when a client is made",
        "There they are read when huggingface_hub is imported.",
    ),
    Difference(
        "offline",
        "HF_HUB_OFFLINE keeps no Space from being opened",
        "It is for the hub's files, and opening a Space is asking for it; there that fails.",
    ),
    Difference(
        "private-files",
        "A file that lies with a private Space is sent to it as the URL that you give",
        "There it is fetched and uploaded again.  To do that, download it yourself.",
    ),
    Difference(
        "duplicate-name",
        "duplicate(to_id='team/name') copies to that name",
        "There the team is dropped, and the copy goes into your own account.",
    ),
    Difference(
        "duplicate-hardware",
        "duplicate() asks for no hardware unless told to",
        "There a copy gets the hardware of the original, which may cost money.",
    ),
)

_IDS = frozenset(difference.id for difference in DIFFERENCES)


def shows(name: str) -> Callable[[Test], Test]:
    """Mark a test as one that shows both sides of a difference."""
    assert name in _IDS, name

    def mark(test: Test) -> Test:
        return test

    return mark
