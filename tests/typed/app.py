"""Typed calls of the app "triojob test app" at http://127.0.0.1:7860/.

triojob wrote this module: don't edit it, but make it anew when the app has changed.

    triojob stubs http://127.0.0.1:7860/

The bodies of the methods never run: `endpoint` puts the app's own in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from triojob import File, FileInput
from triojob.stubs import DEFAULT, TypedApp, endpoint


class DataframeData(TypedDict):
    headers: list[Any]
    data: list[list[Any]]
    metadata: dict[str, list[Any] | None] | None


class MetadataDict(TypedDict, total=False):
    title: str
    id: int | str
    parent_id: int | str
    log: str
    duration: float
    status: Literal["pending", "done"]


class TextMessage(TypedDict):
    text: str
    type: Literal["text"]


class FileMessage(TypedDict):
    file: str
    alt_text: str | None
    type: Literal["file"]


class ComponentMessage(TypedDict):
    component: str
    value: Any
    constructor_args: dict[str, Any]
    props: dict[str, Any]
    type: Literal["component"]


class _OptionDictAlways(TypedDict):
    value: str


class OptionDict(_OptionDictAlways, total=False):
    label: str


class Message(TypedDict):
    role: str
    metadata: MetadataDict | None
    content: list[TextMessage | FileMessage | ComponentMessage]
    options: list[OptionDict] | None


class GalleryImage(TypedDict):
    image: str
    caption: str | None


class GalleryVideo(TypedDict):
    video: str
    caption: str | None


class LabelConfidence(TypedDict):
    label: str | int | float | None
    confidence: float | None


class LabelData(TypedDict):
    label: str | int | float | None
    confidences: list[LabelConfidence] | None


class HighlightedToken(TypedDict):
    token: str
    class_or_confidence: str | float | None


class _DataframeDataInputAlways(TypedDict):
    headers: Sequence[Any]
    data: Sequence[Sequence[Any]]


class DataframeDataInput(_DataframeDataInputAlways, total=False):
    metadata: dict[str, Sequence[Any] | None] | None


class _TextMessageInputAlways(TypedDict):
    text: str


class TextMessageInput(_TextMessageInputAlways, total=False):
    type: Literal["text"]


class _FileMessageInputAlways(TypedDict):
    file: FileInput


class FileMessageInput(_FileMessageInputAlways, total=False):
    alt_text: str | None
    type: Literal["file"]


class _ComponentMessageInputAlways(TypedDict):
    component: str
    value: Any
    constructor_args: dict[str, Any]
    props: dict[str, Any]


class ComponentMessageInput(_ComponentMessageInputAlways, total=False):
    type: Literal["component"]


class _MessageInputAlways(TypedDict):
    role: str
    content: Sequence[TextMessageInput | TextMessage | FileMessageInput | FileMessage | ComponentMessageInput | ComponentMessage]


class MessageInput(_MessageInputAlways, total=False):
    metadata: MetadataDict | None
    options: Sequence[OptionDict] | None


class _GalleryImageInputAlways(TypedDict):
    image: FileInput


class GalleryImageInput(_GalleryImageInputAlways, total=False):
    caption: str | None


class _GalleryVideoInputAlways(TypedDict):
    video: FileInput


class GalleryVideoInput(_GalleryVideoInputAlways, total=False):
    caption: str | None


class App(TypedApp):
    """The app's endpoints: open a client, make one of these of it, and await its methods."""

    @endpoint("/greet", "9ee64fff4dfab680")
    async def greet(self, name: str) -> str:
        """Greet somebody by name.

        Args:
            name: name (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/add", "88a625c816a1cfe2")
    async def add(self, a: float, b: float) -> tuple[float, float]:
        """Call /add.

        Args:
            a: a (Number).
            b: b (Number).

        Returns:
            sum (Number).
            product (Number).
        """
        raise NotImplementedError

    @endpoint("/defaults", "39ea734bac817a25")
    async def defaults(
        self,
        text: str = "x",
        n: float = 3,
        choice: Literal["red", "green", "blue"] = "green",
        free: str = "a",
        flag: bool = True,
        picks: Sequence[Literal["one", "two", "three"]] = DEFAULT,
        *,
        required: str,
    ) -> Any:
        """Call /defaults.

        Args:
            text: text (Textbox).
            n: n (Slider, from 0 up to 10).
            choice: choice (Dropdown).
            free: free (Dropdown).
            flag: flag (Checkbox).
            picks: picks (Checkboxgroup).
            required: required (Textbox).

        Returns:
            result (Json).
        """
        raise NotImplementedError

    @endpoint("/optional", "f7d91d782670970b")
    async def optional(self, text: str, suffix: str | None = None) -> str:
        """Has no value in its component, but None in its signature: optional all the same.

        Args:
            text: text (Textbox).
            suffix: second (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/echo", "057ad16caf2da1ef")
    async def echo(self, value: Any) -> Any:
        """Call /echo.

        Args:
            value: value (Json).

        Returns:
            result (Json).
        """
        raise NotImplementedError

    @endpoint("/no_output", "df131ca1be510a18")
    async def no_output(self, text: str) -> tuple[()]:
        """Has no output component at all.

        Args:
            text: text (Textbox).
        """
        raise NotImplementedError

    @endpoint("/update_props", "fdce974719467575")
    async def update_props(self, text: str) -> str:
        """Return a property update in place of a value.

        Args:
            text: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/update_props_only", "3def7328856a6354")
    async def update_props_only(self) -> str:
        """Return a property update that leaves the value alone.

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/big", "d462fed9737776af")
    async def big(self, size: float) -> str:
        """Call /big.

        Args:
            size: n (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/upper_batch", "a70cfb814879f6c9")
    async def upper_batch(self, texts: str) -> str:
        """Take many callers' samples at once, as Gradio's batching hands them over.

        Args:
            texts: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/slow_batch", "ceec5b62f4f8d412")
    async def slow_batch(self, texts: str, keys: str) -> str:
        """Take a while for at most two callers' samples at once.

        Args:
            texts: text (Textbox).
            keys: key (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/raw_text", "3def7328856a6354")
    async def raw_text(self) -> str:
        """Send line separators, raw: an event stream's lines don't end there.

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/odd_json", "80ea2145cfec9bc9")
    async def odd_json(self) -> Any:
        """Call /odd_json.

        Returns:
            result (Json).
        """
        raise NotImplementedError

    @endpoint("/upper_file", "1ea1d635fdbad779")
    async def upper_file(self, path: FileInput) -> str:
        """Upper-case an uploaded file, into a file beside it.

        Args:
            path: file (File).

        Returns:
            result file (File).
        """
        raise NotImplementedError

    @endpoint("/join_files", "9fa619f42ccd048f")
    async def join_files(self, paths: Sequence[FileInput]) -> list[str]:
        """Hand several files back, in order.

        Args:
            paths: files (File).

        Returns:
            result files (File).
        """
        raise NotImplementedError

    @endpoint("/same_values", "102d0acf903b4675")
    async def same_values(
        self,
        param_0: str,
        param_1: float,
        param_2: bool = True,
        param_3: Literal["red", "green", "blue"] = "green",
        param_4: Sequence[Literal["one", "two", "three"]] = DEFAULT,
        *,
        param_5: Literal["x", "y"],
        param_6: float = 3,
        param_7: DataframeDataInput | DataframeData = DEFAULT,
        param_8: Any,
        param_9: Sequence[MessageInput | Message] = DEFAULT,
        param_10: str,
        param_11: str,
        param_12: Sequence[Literal["p", "q"]] = DEFAULT,
    ) -> tuple[str, float, bool, str, list[str], str, float, DataframeData, Any, list[Message], str, str, list[str]]:
        """Hand values of many kinds of components back as they came.

        Args:
            param_0: text (Textbox).
            param_1: a (Number).
            param_2: flag (Checkbox).
            param_3: choice (Dropdown).
            param_4: picks (Checkboxgroup).
            param_5: radio (Radio).
            param_6: n (Slider, from 0 up to 10).
            param_7: table (Dataframe).
            param_8: value (Json).
            param_9: chat (Chatbot).
            param_10: color (Colorpicker).
            param_11: code (Code).
            param_12: many (Dropdown).

        Returns:
            text (Textbox).
            a (Number).
            flag (Checkbox).
            choice (Dropdown).
            picks (Checkboxgroup).
            radio (Radio).
            n (Slider).
            table (Dataframe).
            value (Json).
            chat (Chatbot).
            color (Colorpicker).
            code (Code).
            many (Dropdown).
        """
        raise NotImplementedError

    @endpoint("/same_media", "a04638f5c67b4779")
    async def same_media(
        self,
        param_0: FileInput,
        param_1: FileInput,
        param_2: FileInput,
        param_3: FileInput,
        param_4: Sequence[GalleryImageInput | GalleryImage | GalleryVideoInput | GalleryVideo] = DEFAULT,
    ) -> tuple[str, str, str, str, list[GalleryImage | GalleryVideo]]:
        """Hand values of many kinds of components back as they came.

        Args:
            param_0: image (Image).
            param_1: audio (Audio).
            param_2: video (Video).
            param_3: file (File).
            param_4: shown (Gallery).

        Returns:
            image (Image).
            audio (Audio).
            video (Video).
            file (File).
            shown (Gallery).
        """
        raise NotImplementedError

    @endpoint("/labelled", "04c75e24acf62f4f")
    async def labelled(self, text: str) -> LabelData:
        """Call /labelled.

        Args:
            text: text (Textbox).

        Returns:
            label (Label).
        """
        raise NotImplementedError

    @endpoint("/skip_one", "dae1e9af6978cf24")
    async def skip_one(self, text: str) -> tuple[str, str]:
        """Leave the first output as it is.

        Args:
            text: text (Textbox).

        Returns:
            out (Textbox).
            second (Textbox).
        """
        raise NotImplementedError

    @endpoint("/between", "720c3a56f6937b98")
    async def between(self, text: str, second: str) -> tuple[str, str]:
        """Has a State in the midst of its inputs and of its outputs.

        Args:
            text: text (Textbox).
            second: second (Textbox).

        Returns:
            out (Textbox).
            second (Textbox).
        """
        raise NotImplementedError

    @endpoint("/pictures", "c1cfca0a317bb47c")
    async def pictures(self, n: float) -> list[GalleryImage | GalleryVideo]:
        """Stream a gallery that grows: its files come as edits of the value before.

        Args:
            n: n (Number).

        Returns:
            gallery (Gallery).
        """
        raise NotImplementedError

    @endpoint("/radio", "62a74b9eb2eca500")
    async def radio(self, n: float, delay: float) -> str | File:
        """Stream sound, part by part.

        Args:
            n: n (Number).
            delay: delay (Number).

        Returns:
            radio (Audio).
        """
        raise NotImplementedError

    @endpoint("/count", "0ae516ac847d2a0f")
    async def count(self, n: float, delay: float) -> str:
        """Call /count.

        Args:
            n: n (Number).
            delay: delay (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/tokens", "0ae516ac847d2a0f")
    async def tokens(self, n: float, delay: float) -> str:
        """Call /tokens.

        Args:
            n: n (Number).
            delay: delay (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/lists", "5750d905e8bee615")
    async def lists(self, n: float) -> DataframeData:
        """Stream a table that grows and shrinks in both directions. Gradio replaces a JSON component's value whole; a Dataframe's it does take apart.

        Args:
            n: n (Number).

        Returns:
            table (Dataframe).
        """
        raise NotImplementedError

    @endpoint("/corrupting_lists", "f0da95b47ca688c9")
    async def corrupting_lists(self) -> DataframeData:
        """Shrink outer and inner lists in one step, which Gradio's edits get wrong.

        Returns:
            table (Dataframe).
        """
        raise NotImplementedError

    @endpoint("/spans", "b4727221cde7cba4")
    async def spans(self, n: float) -> list[HighlightedToken]:
        """Stream highlighted text: a list of objects; the last one grows, the next is added.

        Args:
            n: n (Number).

        Returns:
            highlighted (Highlightedtext).
        """
        raise NotImplementedError

    @endpoint("/chat", "762292bc1aeb6857")
    async def chat(self, message: str, n: float, delay: float) -> list[Message]:
        """Call /chat.

        Args:
            message: text (Textbox).
            n: n (Number).
            delay: delay (Number).

        Returns:
            chat (Chatbot).
        """
        raise NotImplementedError

    @endpoint("/two_streams", "d4e1039db810fffb")
    async def two_streams(self, n: float) -> tuple[str, str]:
        """Stream two outputs, of which the second changes only every third time.

        Args:
            n: n (Number).

        Returns:
            out (Textbox).
            second (Textbox).
        """
        raise NotImplementedError

    @endpoint("/nothing", "3def7328856a6354")
    async def nothing(self) -> str:
        """Yield nothing at all.

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/alternating", "8647c7102563bc6b")
    async def alternating(self, n: float) -> str:
        """Yield plain values and property updates in turn.

        Args:
            n: n (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/progress_float", "8647c7102563bc6b")
    async def progress_float(self, n: float) -> str:
        """Call /progress_float.

        Args:
            n: n (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/progress_tuple", "8647c7102563bc6b")
    async def progress_tuple(self, n: float) -> str:
        """Call /progress_tuple.

        Args:
            n: n (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/progress_tqdm", "8647c7102563bc6b")
    async def progress_tqdm(self, n: float) -> str:
        """Call /progress_tqdm.

        Args:
            n: n (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/progress_nested", "8647c7102563bc6b")
    async def progress_nested(self, n: float) -> str:
        """Call /progress_nested.

        Args:
            n: n (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/progress_generator", "8647c7102563bc6b")
    async def progress_generator(self, n: float) -> str:
        """Report progress between yields.

        Args:
            n: n (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/logs", "3def7328856a6354")
    async def logs(self) -> str:
        """Call /logs.

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/bump", "ad518673bc5231f0")
    async def bump(self) -> float:
        """Call /bump.

        Returns:
            counter (Number).
        """
        raise NotImplementedError

    @endpoint("/bump_slow", "df76a0ab039f2ea8")
    async def bump_slow(self, delay: float) -> float:
        """Count up the state, a hundred times unless it is cancelled.

        Args:
            delay: delay (Number).

        Returns:
            counter (Number).
        """
        raise NotImplementedError

    @endpoint("/who", "3def7328856a6354")
    async def who(self) -> str:
        """Call /who.

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/whoami", "3def7328856a6354")
    async def whoami(self) -> str:
        """Call /whoami.

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/header", "9ee64fff4dfab680")
    async def header(self, name: str) -> str:
        """Tell a header of the request that joined the queue.

        Args:
            name: name (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/headers", "80ea2145cfec9bc9")
    async def headers(self) -> Any:
        """Tell all headers of the request that joined the queue.

        Returns:
            result (Json).
        """
        raise NotImplementedError

    @endpoint("/act", "9ee64fff4dfab680")
    async def act(self, name: str) -> str:
        """Act with the token of whoever calls: show its length and end, as a test may see.

        Args:
            name: name (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/act_if_allowed", "9ee64fff4dfab680")
    async def act_if_allowed(self, name: str) -> str:
        """Act with a token, if there is one.

        Args:
            name: name (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/fail", "3def7328856a6354")
    async def fail(self) -> str:
        """Call /fail.

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/fail_hard", "3def7328856a6354")
    async def fail_hard(self) -> str:
        """Call /fail_hard.

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/fail_midway", "3def7328856a6354")
    async def fail_midway(self) -> str:
        """Call /fail_midway.

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/fail_hard_midway", "3def7328856a6354")
    async def fail_hard_midway(self) -> str:
        """Call /fail_hard_midway.

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/validated", "32434530840fb20d")
    async def validated(self, name: str, age: float) -> str:
        """Call /validated.

        Args:
            name: name (Textbox).
            age: a (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/slow", "846343e9abe4b406")
    async def slow(self, seconds: float, key: str) -> str:
        """Sleep, and note how that ended.

        Args:
            seconds: seconds (Number).
            key: key (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/ticker", "e28b0d84d6a41dfc")
    async def ticker(self, n: float, delay: float, key: str) -> str:
        """Tick in a thread, as the generators of most apps do: /cancel waits for the current step.

        Args:
            n: n (Number).
            delay: delay (Number).
            key: key (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/ticker_async", "e28b0d84d6a41dfc")
    async def ticker_async(self, n: float, delay: float, key: str) -> str:
        """Tick on the server's event loop, where /cancel takes effect at once.

        Args:
            n: n (Number).
            delay: delay (Number).
            key: key (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/sleeper", "846343e9abe4b406")
    async def sleeper(self, seconds: float, key: str) -> str:
        """Sleep, one caller at a time.

        Args:
            seconds: seconds (Number).
            key: key (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/parallel_sleep", "16f3d73ad57d5b21")
    async def parallel_sleep(self, seconds: float, value: str) -> str:
        """Sleep beside any number of others, and give `value` back.

        Args:
            seconds: seconds (Number).
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/parallel_count", "0ae516ac847d2a0f")
    async def parallel_count(self, n: float, delay: float) -> str:
        """Count beside any number of others.

        Args:
            n: n (Number).
            delay: delay (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/probe", "eb548dcdf7f993d8")
    async def probe(self, key: str) -> Any:
        """Tell what the runs with this `key` did so far.

        Args:
            key: key (Textbox).

        Returns:
            result (Json).
        """
        raise NotImplementedError

    @endpoint("/direct", "9ee64fff4dfab680")
    async def direct(self, name: str) -> str:
        """Greet somebody by name.

        Args:
            name: name (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/cached_count", "327d6119638f619d")
    async def cached_count(self, n: float, text: str) -> str:
        """Stream from the cache the second time: Gradio then answers before it names the event.

        Args:
            n: n (Number).
            text: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/selected", "a6c1445bcf9d52ce")
    async def selected(self, text: str) -> Any:
        """Tell what was selected, and in which component.

        Args:
            text: text (Textbox).

        Returns:
            result (Json).
        """
        raise NotImplementedError

    @endpoint("/running_total", "871f57e614d983a4")
    async def running_total(self, number: float) -> float:
        """Add a number to the session's total: one of many inputs to one call.

        Args:
            number: n (Number).

        Returns:
            counter (Number).
        """
        raise NotImplementedError

    @endpoint("/shout", "ab09284bc58aca59")
    async def shout(self, text: str, key: str) -> str:
        """Upper-case each of many inputs; take a while for some.

        Args:
            text: text (Textbox).
            key: key (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError
