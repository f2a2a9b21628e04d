"""`BatchCaller`: the callable for engines."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from .._core.retry import Retry
from .._secrets import scrub
from ..gradio.client import Client
from ..gradio.endpoint import Endpoint
from ..gradio.files.inputs import handle_file
from ..sync._portal import shared_portal
from ._batches import Batch, read_batch
from ._calls import (
    Row,
    RowOutcome,
    Settings,
    close_app,
    make_client,
    open_app,
    parameters_of,
)

B = TypeVar("B")

_RETRY = Retry()


class BatchCaller:
    """Calls an endpoint for each row of a batch: ``caller(batch)`` returns it with the results.

    A batch is a dict of NumPy arrays or lists, a pandas DataFrame or a pyarrow Table; the return
    value is a new one of the same kind, with a column of results and a column of errors: None if
    the call succeeded, else the class and message of its exception.

    It can be pickled, so engines can send it to their workers.  Only its settings are pickled: each
    process opens a client at the first batch with rows.  All copies of this object in that process
    share the client, in any number of threads; it is closed when the process ends.  Another object
    has another client, even with the same settings.

    A row is called at least once: an engine that loses a worker passes the batch to another one,
    which repeats the calls of the lost worker.

    Args:
        url: The app, as for `triojob.Client`; or several replicas of one, as for
            `triojob.ClientPool`: each call goes to the replica with the fewest calls in flight.
        api_name: The endpoint's name; None for the only endpoint of the app.
        inputs: The column for each parameter.  None: each parameter reads the column of its own
            name, if it exists.
        fixed_arguments: Values for other parameters, the same for each row.
        files: Parameters whose columns hold paths or URLs of files, which are sent as files.
            A path is a path on the worker's machine.  One name, or several.
        output: The column for results; or one name for each output of an endpoint with several.
        error_column: The column for errors.
        on_error: ``"column"``, or ``"raise"`` to raise the exception of the first call that failed
            and to cancel the other calls of the batch.
        transform: A function that converts each result into the value for its column, such as
            `json.dumps`, for engines whose columns have one type.  If it raises, the row failed.
        key: A column whose values are sent as the header ``Idempotency-Key`` of the calls of their
            rows, by which an app that checks the header can detect repeated calls.
        skip_completed: Whether the batch can have the result columns already; then only rows
            without a result are called.
        limit: How many calls run at once in a process, for all copies together.
        retry: When to retry the calls and the opening; None for no retries.
        timeout: Maximum seconds for the call of a row, all attempts included, counted from when it
            acquires the limit.  The call is then cancelled, on the server too, and its error is a
            `trio.TooSlowError`.  None for no bound.
        client_options: Further arguments of `triojob.Client`, such as ``auth`` or ``token``.  They
            are pickled too, so don't pass an ``http_client`` or the like.

    Raises:
        TypeError, ValueError: An argument is invalid.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        api_name: str | None = None,
        *,
        inputs: Mapping[str, str] | None = None,
        fixed_arguments: Mapping[str, Any] | None = None,
        files: str | Iterable[str] = (),
        output: str | Sequence[str] = "result",
        error_column: str = "error",
        on_error: Literal["column", "raise"] = "column",
        transform: Callable[[Any], Any] | None = None,
        key: str | None = None,
        skip_completed: bool = False,
        limit: int = 32,
        retry: Retry | None = _RETRY,
        timeout: float | None = None,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        if type(cast("object", limit)) is not int or limit < 1:
            raise ValueError(f"limit must be a positive integer, not {limit!r}")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout must be more than 0 seconds, or None, not {timeout!r}")
        if on_error not in ("column", "raise"):
            raise ValueError(f'on_error must be "column" or "raise", not {on_error!r}')
        outputs = (output,) if isinstance(output, str) else tuple(output)
        if not outputs or len({*outputs, error_column}) != len(outputs) + 1:
            raise ValueError("the columns in output= and error_column= must have different names")
        both = sorted({*(inputs or ())} & {*(fixed_arguments or ())})
        if both:
            raise ValueError(
                f"{both[0]!r} is in both inputs and fixed_arguments; remove one of them"
            )
        urls = (url,) if isinstance(url, str) else tuple(url)
        options = dict(client_options or {})
        make_client(urls, options)  # raises if they are invalid
        self._settings = Settings(
            key=uuid.uuid4().hex,
            urls=urls,
            src=", ".join(Client(each, **options).src for each in urls),
            api_name=api_name,
            inputs=None if inputs is None else dict(inputs),
            fixed_arguments=dict(fixed_arguments or {}),
            files=frozenset([files] if isinstance(files, str) else files),
            outputs=outputs,
            several=not isinstance(output, str),
            error_column=error_column,
            on_error=on_error,
            transform=transform,
            key_column=key,
            skip_completed=skip_completed,
            limit=limit,
            retry=retry,
            timeout=timeout,
            client_options=options,
        )

    def __call__(self, batch: B) -> B:
        """Call the endpoint for each row; return a new batch with results and errors.

        A batch without rows makes no call and opens nothing.
        Interrupting the wait, by Ctrl-C or by a cancellation, cancels the calls, on the server too.

        Raises:
            TypeError, ValueError: The batch or the settings are invalid, so that every row would
                fail; no call was made.
            TriojobError: The app can't be opened, so no call was made.
            Exception: The exception of a call, with ``on_error="raise"``.
        """
        settings = self._settings
        table = read_batch(batch)
        found = self._found(table)
        todo = [row for row, values in enumerate(found) if all(v is None for v in values)]
        errors: list[str | None] = [None] * table.length
        if todo:
            portal = shared_portal()
            app, endpoint = portal.call(open_app, portal, settings)
            rows = self._rows(table, endpoint)
            outcomes = portal.call(app.call_rows, endpoint, [rows[row] for row in todo])
            for row, outcome in zip(todo, outcomes, strict=True):
                self._place(outcome, row, found, errors)
        return cast("B", self._filled(table, found, errors))

    def in_pandas(self, batches: Iterable[B]) -> Iterator[B]:
        """Call the endpoint for each row of each batch, as Spark's ``mapInPandas`` requires."""
        for batch in batches:
            yield self(batch)

    def close(self) -> None:
        """Close the client of this process, for all copies; calls in flight end with an error.

        The end of the process does this too.  A later batch opens another client.
        """
        portal = shared_portal()
        portal.call(close_app, portal, self._settings.key)

    def __repr__(self) -> str:
        # Without the options, which can hold a token, and of the URL only the app's address.
        name = self._settings.api_name
        return f"<BatchCaller of {name or 'the only endpoint'} at {self._settings.src}>"

    # The steps of a batch.

    def _found(self, table: Batch) -> list[list[Any]]:
        """Return the existing results of each row."""
        settings = self._settings
        there = [name for name in (*settings.outputs, settings.error_column) if name in table.names]
        if there and not settings.skip_completed:
            raise ValueError(
                f"the batch already has a column {there[0]!r}; choose another name with output= or "
                "error_column=, or pass skip_completed=True to call only rows without a result"
            )
        columns = [
            table.values(name) if name in table.names else [None] * table.length
            for name in settings.outputs
        ]
        return [list(values) for values in zip(*columns, strict=True)]

    def _rows(self, table: Batch, endpoint: Endpoint) -> list[Row]:
        """Return the call of each row.

        Raises:
            TypeError, ValueError: A column or a parameter is missing.
        """
        settings = self._settings
        parameters = parameters_of(endpoint)
        inputs = settings.inputs
        if inputs is None:
            inputs = {
                parameter.name: parameter.name
                for parameter in parameters
                if parameter.name in table.names and parameter.name not in settings.fixed_arguments
            }
        wanted = [*inputs.values(), *([] if settings.key_column is None else [settings.key_column])]
        missing = [name for name in wanted if name not in table.names]
        if missing:
            raise ValueError(
                f"the batch has no column {missing[0]!r}; "
                f"it has {', '.join(map(repr, table.names)) or 'none'}"
            )
        for parameter in parameters:
            if parameter.required and parameter.name not in {*inputs, *settings.fixed_arguments}:
                raise TypeError(
                    f"{endpoint.name} needs {scrub(parameter.name, ours=True)!r}; name its column "
                    "in inputs=, or pass its value in fixed_arguments="
                )
        columns = {name: table.values(column) for name, column in inputs.items()}
        keys = [None] * table.length
        if settings.key_column is not None:
            keys = table.values(settings.key_column)
        return [
            self._row({name: values[row] for name, values in columns.items()}, keys[row])
            for row in range(table.length)
        ]

    def _row(self, arguments: dict[str, Any], key: Any) -> Row:
        settings = self._settings
        headers: dict[str, str] = {}
        try:
            for name in settings.files & arguments.keys():
                if arguments[name] is not None:
                    arguments[name] = handle_file(arguments[name])
            if settings.key_column is not None:
                if key is None:
                    raise ValueError(f"the row has no key in the column {settings.key_column!r}")
                headers["Idempotency-Key"] = str(key)
        except Exception as exc:  # noqa: BLE001 - only this row fails
            return Row({}, {}, refused=exc)
        return Row({**settings.fixed_arguments, **arguments}, headers)

    def _place(
        self, outcome: RowOutcome, row: int, found: list[list[Any]], errors: list[str | None]
    ) -> None:
        """Put the outcome of a call into the results and errors of its row."""
        settings = self._settings
        failure = outcome.failure
        if failure is None:
            values = outcome.result if settings.several else (outcome.result,)
            try:
                transform = settings.transform
                found[row] = [value if transform is None else transform(value) for value in values]
            except Exception as exc:
                if settings.on_error == "raise":
                    raise
                failure = exc
        if failure is not None:
            errors[row] = failure_text(failure)

    def _filled(self, table: Batch, found: list[list[Any]], errors: list[str | None]) -> Any:
        settings = self._settings
        columns = {
            name: [values[place] for values in found] for place, name in enumerate(settings.outputs)
        }
        for name, values in columns.items():
            for row, why in table.misfits(values).items():
                failure = TypeError(
                    f"its {name} does not have the type of the other values in the column; "
                    f"transform=json.dumps would convert all of them to text: {why}"
                )
                if settings.on_error == "raise":
                    raise failure
                values[row], errors[row] = None, failure_text(failure)
        return table.with_columns(columns, {settings.error_column: errors})


def failure_text(failure: Exception) -> str:
    """Return the text of a failure for the column of errors."""
    return f"{type(failure).__name__}: {failure}"
