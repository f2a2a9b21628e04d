"""The table of the deliberate differences from gradio_client.

Each has a short id, a title and a reason.  A test marked with ``@shows("id")`` shows both sides,
and docs/migration.md has the same table; tests compare them.
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
        "Nobody else needs to know what you call; analytics_enabled is accepted and has no effect.",
    ),
    Difference(
        "quiet",
        "verbose is False by default",
        "A library does not write to stdout without being asked.",
    ),
    Difference(
        "cancelled",
        "A cancelled job is a cancelled future, immediately",
        "cancelled() is True, and result() and exception() raise CancelledError without waiting "
        "for the server; there the job continues until the server responds, and ends in a "
        "KeyError, a CancelledError or a ValueError, whichever comes first.",
    ),
    Difference(
        "cancel-too-late",
        "cancel() of a job that has ended returns False and changes nothing",
        "That is the contract of concurrent.futures; there a finished job becomes CANCELLED.",
    ),
    Difference(
        "cancel-exact",
        "cancel() ends that job and no other",
        "There the server stops every running call of the function in the session, and those "
        "other calls never end.",
    ),
    Difference(
        "cancel-warnings",
        "cancel() gives no warnings",
        "There it warns for apps before Gradio 4.29, where calls continue, or other calls stop "
        "too.",
    ),
    Difference(
        "connection-lost",
        "A lost connection is ConnectionLost, not CancelledError",
        "Nothing was cancelled, and code often ignores a CancelledError.  An event stream that "
        "the server refuses is UnexpectedResponse.",
    ),
    Difference(
        "server-stopped",
        "A server that stops its queue is ServerStopped, not KeyError",
        "There the client looks the message up in a table that lacks it.",
    ),
    Difference(
        "restarted",
        "A call whose State was lost in a restart of the app is ServerRestarted, once",
        "There it continues silently with a new State.",
    ),
    Difference(
        "failures-logged",
        "A failure that nobody retrieves is logged",
        "Errors should never pass silently: when the job is freed, its failure is logged.",
    ),
    Difference(
        "outputs-copy",
        "outputs() returns a list of your own",
        "There it is the list to which the client keeps adding in another thread.",
    ),
    Difference(
        "outputs-single",
        "Iterating over a job that does not stream yields its result",
        "There it yields that or nothing, depending on which thread is faster.",
    ),
    Difference(
        "close",
        "close() cancels the jobs and ends the client",
        "Submitting afterwards raises ClientClosed; there only a heartbeat ends.",
    ),
    Difference(
        "exit",
        "Jobs still running at the interpreter's exit are cancelled",
        "There the interpreter waits for them, forever if the server does not respond.",
    ),
    Difference(
        "too-many-arguments",
        "Too many arguments are a TypeError",
        "There they are dropped silently.",
    ),
    Difference(
        "early-errors",
        "An argument that cannot be sent raises at submit",
        "Examples are a value that JSON lacks, and a file that is missing or too large: the "
        "traceback then shows where you passed it; there the job fails.",
    ),
    Difference(
        "undocumented",
        "Endpoints that an app does not document take arguments by name too",
        "The app still describes their parameters, so they have their names and defaults.",
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
        "Files go into a folder that only this user can read, unless you name one",
        "There all users of the machine share one folder, which grows without bound.",
    ),
    Difference(
        "file-folders",
        "Each fetched file gets its own folder",
        "There the folder is named by the content: equal files of one name are one file, which "
        "one user may change or remove for the others.",
    ),
    Difference(
        "file-names",
        "The name of a fetched file is harmless on every system",
        "There it is what the server says: possibly a hidden file, or a device of Windows.",
    ),
    Difference(
        "file-elsewhere",
        "A file on another server is its URL",
        "There the client requests it from the app, and follows where that leads.",
    ),
    Difference(
        "file-details",
        "An app receives the type and size of an uploaded file",
        "There it receives neither, and the name without some characters.",
    ),
    Difference(
        "redirects",
        "Redirects are not followed",
        "Your headers, cookies and files would go where a server says, so "
        "httpx_kwargs={'follow_redirects': True} is refused; there downloads follow them, and "
        "with that option all of them fail.",
    ),
    Difference(
        "refused-for-now",
        "A call that a busy server refuses with 429 or 503 is sent again for a minute",
        "A refusal is not a failure of the call; with limits=Limits(refused_for=0) it is one, as "
        "there.  A full queue is an immediate QueueError in both.",
    ),
    Difference(
        "limits",
        "A message has 1 GiB at most, and the files that a call fetches 4 GiB",
        "Otherwise a server could fill the memory or the disk; limits= sets other bounds, and "
        "there are none there.",
    ),
    Difference(
        "resumed",
        "A download that breaks is resumed, up to three times",
        "There the call fails.",
    ),
    Difference(
        "failed-downloads",
        "A file that cannot be fetched ends its job",
        "There an output before the last is a list with the exception in its place.",
    ),
    Difference(
        "streamed-media",
        "Audio and video that is still streaming is the app's own dictionary",
        "There it is a copy of the playlist without its segments; the dictionary has its URL.",
    ),
    Difference(
        "saved-token",
        "The token saved on this machine goes to Spaces only",
        "There it is sent to whatever URL you open.",
    ),
    Difference(
        "token-sources",
        "The saved token is that of HF_TOKEN or of the file that hf auth login writes",
        "There it may also come from Google Colab's vault, or from a CI service through OIDC.",
    ),
    Difference(
        "token-for-url",
        "An explicit token for a plain URL is refused",
        "It is a secret of Hugging Face; headers= sends any header to any server.",
    ),
    Difference(
        "password-in-url",
        "A URL with a password in it is refused",
        "URLs appear in logs and errors; there it is sent, as httpx_kwargs={'auth': ...} does.",
    ),
    Difference(
        "needless-login",
        "auth= for an app that requires no login is not an error",
        "The same code then works with and without the login.",
    ),
    Difference(
        "oauth-token",
        "A call that needs a missing oauth_token is refused here",
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
        "An app's validator runs in this time; there it is 5 s.  httpx_kwargs={'timeout': ...} "
        "sets it for both.",
    ),
    Difference(
        "config-page",
        "An app is described by its /config and /info",
        "There the client also looks for the description in the app's page, if there is no "
        "/config.",
    ),
    Difference(
        "final-update",
        "The last OutputUpdate has outputs={'data': [...]} and nothing more",
        "It omits the server's timings and hidden components.",
    ),
    Difference(
        "damaged-edits",
        "Outputs that the server's edits would corrupt are left out",
        "Gradio miscounts when nested lists shrink; there you get wrong values, here the next "
        "right one.",
    ),
    Difference(
        "reset-session",
        "reset_session() lets running calls continue, and new ones work",
        "There a call after it listens in the old session as long as another call runs, and fails.",
    ),
    Difference(
        "futures",
        "concurrent.futures.wait() returns the jobs that you passed",
        "There it returns inner futures, and reports the jobs as not done.",
    ),
    Difference(
        "httpx",
        "Exceptions of httpx have subclasses in triojob.sync.exceptions",
        "Code that caught httpx.ReadTimeout or httpx.HTTPStatusError still works; ConnectionError "
        "and TriojobError work too.  They hold no request, because its URL may contain the "
        "session hash.",
    ),
    Difference(
        "protocol-error",
        "A message that no Gradio server sends is a ProtocolError, which is a ValueError",
        "There it is a KeyError or a TypeError.",
    ),
    Difference(
        "more-words",
        "Some messages say more",
        "They name the endpoint, the parameter, the file or the seconds; for missing files, files "
        "too large, timeouts, logins, refused requests and URLs that are not a Gradio app.",
    ),
    Difference(
        "arguments-untouched",
        "Dictionaries that you pass in stay unchanged",
        "There headers= of a call gets a header, and httpx_kwargs= loses its cookies.",
    ),
    Difference(
        "gradio-user",
        "A call declares that it comes from a program, whatever headers= contain",
        "Apps distinguish people and programs by the header x-gradio-user.",
    ),
    Difference(
        "new-messages",
        "A message of an unknown kind is ignored",
        "Newer servers add such messages; there the job fails with a KeyError.",
    ),
    Difference(
        "input-streams",
        "Functions that take a stream of inputs can be called",
        "They take one input; there they fail with a KeyError.",
    ),
    Difference(
        "gradio-3",
        "Gradio 3 apps work too",
        "There they are refused; and on Gradio 4.0 to 4.8 `async for` yields nothing.",
    ),
    Difference(
        "user-agent",
        "The header user-agent names triojob",
        "There it names gradio_client and what else is installed.",
    ),
    Difference(
        "own-sessions",
        "Concurrent calls of one function have their own sessions",
        "There all calls have the session that session_hash names, and so stop each other.  Here "
        "a call has it if it is the only one of its function at that time, and so have all calls "
        "of functions with State, one after another.",
    ),
    Difference(
        "session-hash",
        "session_hash cannot be set",
        "Others who know a session's hash can cancel its calls; reset_session() begins a new "
        "session.",
    ),
    Difference(
        "app-version",
        "app_version is text",
        "There it is a Version of the library packaging, which this library does not need.",
    ),
    Difference(
        "internals",
        "Internals of the client do not exist",
        "Examples are Client.endpoints, Client.headers, Client.executor, the parameter "
        "_skip_components, Job.future, Job.communicator, and the functions of gradio_client.utils.",
    ),
    Difference(
        "space-errors",
        "A missing Space is SpaceError, a ValueError",
        "There it is an exception of huggingface_hub, which opening a Space does not need here.",
    ),
    Difference(
        "sleeping-spaces",
        "The client waits for a Space that sleeps or starts",
        "There it waits only for one that is building, and you cannot open any other Space until "
        "it runs.",
    ),
    Difference(
        "space-pages",
        "The URL of a Space's page on the hub means the Space",
        "There it is treated as the URL of an app, which it is not.",
    ),
    Difference(
        "late-variables",
        "HF_HOME, HF_TOKEN_PATH and HF_ENDPOINT are read when a client is created",
        "There they are read when huggingface_hub is imported.",
    ),
    Difference(
        "offline",
        "HF_HUB_OFFLINE does not prevent opening a Space",
        "It concerns the hub's files, and you request a connection when you open a Space; there "
        "that fails.",
    ),
    Difference(
        "private-files",
        "A file of a private Space is sent to it as the URL that you pass",
        "There it is fetched and uploaded again.  To do that, download it yourself.",
    ),
    Difference(
        "duplicate-name",
        "duplicate(to_id='team/name') copies to that name",
        "There the team is dropped, and the copy goes into your own account.",
    ),
    Difference(
        "duplicate-hardware",
        "duplicate() requests no hardware by default",
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
