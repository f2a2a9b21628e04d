"""Good and bad uses of a typed module, for type checkers only: this file is never run.

`nox -s types` checks it with mypy and basedpyright, both strict; they refuse a `type: ignore` that
nothing needs, so each bad use here is one that they do see.
`tests/stubs/test_real.py` shows that `components.py` is what its app gets today.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

from triojob import (
    Client,
    ClientPool,
    ClientSession,
    Endpoint,
    InputStream,
    Job,
    JobGroup,
    OutputIterator,
    Retry,
    handle_file,
)

from .components import (
    App,
    LabelData,
    Message,
    MultimodalDataInput,
    PlotData,
)


async def calls(client: Client, session: ClientSession, pool: ClientPool) -> None:
    app = App(client)
    assert_type(await app.class_("Ada"), str)
    assert_type(await app.class_(value="Ada"), str)
    assert_type(await app.nothing(), tuple[()])
    assert_type(await App(session).bump(), float)
    assert_type(await App(pool).class_("Ada"), str)
    assert_type(await App(client, check=False).same_json([1, {"a": None}]), Any)
    assert_type(app.class_.name, str)
    assert_type(await app.class_.with_retry(Retry()).with_headers({"a": "b"})("Ada"), str)
    async with app.tell.stream_inputs(1) as stream:
        assert_type(stream, InputStream)


async def jobs(client: Client, group: JobGroup) -> Job[str]:
    app = App(client)
    job = group.submit(app.tell, 3)
    assert_type(job, Job[str])
    assert_type(await job.result(), str)
    assert_type(job.outputs(), list[str])
    assert_type(aiter(job), OutputIterator[str])
    async for text in job:
        assert_type(text, str)
    either: Endpoint = app.class_
    assert_type(await either(1, 2, 3), Any)
    return job


async def components(client: Client, group: JobGroup) -> None:
    app = App(client)
    assert_type(await app.translate("hello", target="日本語", formal=True), str)
    assert_type(await app.choose(), tuple[str, float])
    assert_type(await app.choose(2, ["x", "y"], "anything"), tuple[str, float])
    assert_type(await app.tell(), str)
    assert_type(await app.late("a", second="b"), str)
    assert_type(await app.same_image(handle_file("a.png")), str)
    assert_type(await app.same_label({"label": "cat"}), LabelData)
    assert_type((await app.same_label())["confidences"] or [], list[Any])  # type: ignore[assert-type]  # pyright: ignore[reportAssertTypeFailure]
    asked: MultimodalDataInput = {"text": "see", "files": [handle_file("a.png")]}
    await app.same_multimodaltextbox(asked)
    plot: PlotData = {"type": "plotly", "plot": "{}"}
    await app.same_plot(plot)
    assert_type(await app.class_("a"), str)

    # A talk goes to the app and comes back, and to it again.
    _, talk = await app.chat("hi", [{"role": "user", "content": [{"text": "before"}]}])
    assert_type(talk, list[Message])
    job = group.submit(app.chat, "and", talk)
    assert_type(job, Job[tuple[str, list[Message]]])
    assert_type(await job.result(), tuple[str, list[Message]])
    for part in talk[0]["content"]:
        if part["type"] == "text":
            assert_type(part["text"], str)


async def refused(client: Client, group: JobGroup) -> None:
    app = App(client)
    await app.translate(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.translate("a", "en")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.translate("a", targt="fr")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await app.translate()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await app.late("a", "b")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await app.choose(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.choose(letters=["z"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await app.same_image("a.png")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.same_plot({"type": "crayon", "plot": ""})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    app.gone  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # noqa: B018
    group.submit(app.translate, 3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    text: int = await app.tell()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    del text
    async for output in group.submit(app.tell, 3):
        output.upper(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    App("http://127.0.0.1:7860")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
