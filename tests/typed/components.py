"""Typed calls of the app 'Components: "all" of \"\""them\"\""' at http://127.0.0.1:7860/.

triojob wrote this module: don't edit it, but make it anew when the app has changed.

    triojob stubs http://127.0.0.1:7860/

The bodies of the methods never run: `endpoint` puts the app's own in their place.
"""

# pyright: basic

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from triojob import FileInput
from triojob.stubs import DEFAULT, TypedApp, endpoint


class Annotation(TypedDict):
    image: str
    label: str


class AnnotatedImageData(TypedDict):
    image: str
    annotations: list[Annotation]


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


class DataframeData(TypedDict):
    headers: list[Any]
    data: list[list[Any]]
    metadata: dict[str, list[Any] | None] | None


class DialogueLine(TypedDict):
    speaker: str
    text: str


class GalleryImage(TypedDict):
    image: str
    caption: str | None


class GalleryVideo(TypedDict):
    video: str
    caption: str | None


class HighlightedToken(TypedDict):
    token: str
    class_or_confidence: str | float | None


class EditorData(TypedDict):
    background: str | None
    layers: list[str]
    composite: str | None
    id: str | None


class LabelConfidence(TypedDict):
    label: str | int | float | None
    confidence: float | None


class LabelData(TypedDict):
    label: str | int | float | None
    confidences: list[LabelConfidence] | None


class _MultimodalDataAlways(TypedDict):
    text: str


class MultimodalData(_MultimodalDataAlways, total=False):
    files: list[str]


class PlotData(TypedDict):
    type: Literal["altair", "bokeh", "plotly", "matplotlib"]
    plot: str


class AnnotationInput(TypedDict):
    image: FileInput
    label: str


class AnnotatedImageDataInput(TypedDict):
    image: FileInput
    annotations: Sequence[AnnotationInput | Annotation]


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


class _DataframeDataInputAlways(TypedDict):
    headers: Sequence[Any]
    data: Sequence[Sequence[Any]]


class DataframeDataInput(_DataframeDataInputAlways, total=False):
    metadata: dict[str, Sequence[Any] | None] | None


class _GalleryImageInputAlways(TypedDict):
    image: FileInput


class GalleryImageInput(_GalleryImageInputAlways, total=False):
    caption: str | None


class _GalleryVideoInputAlways(TypedDict):
    video: FileInput


class GalleryVideoInput(_GalleryVideoInputAlways, total=False):
    caption: str | None


class _HighlightedTokenInputAlways(TypedDict):
    token: str


class HighlightedTokenInput(_HighlightedTokenInputAlways, total=False):
    class_or_confidence: str | float | None


class EditorDataInput(TypedDict, total=False):
    background: FileInput | None
    layers: Sequence[FileInput]
    composite: FileInput | None
    id: str | None


class LabelConfidenceInput(TypedDict, total=False):
    label: str | int | float | None
    confidence: float | None


class LabelDataInput(TypedDict, total=False):
    label: str | int | float | None
    confidences: Sequence[LabelConfidenceInput | LabelConfidence] | None


class _MultimodalDataInputAlways(TypedDict):
    text: str


class MultimodalDataInput(_MultimodalDataInputAlways, total=False):
    files: Sequence[FileInput]


class App(TypedApp):
    """The app's endpoints: open a client, make one of these of it, and await its methods."""

    @endpoint("/same_annotatedimage", "a43ade1b8d5777bd")
    async def same_annotatedimage(
        self,
        value: AnnotatedImageDataInput | AnnotatedImageData | None,
    ) -> AnnotatedImageData:
        """Call /same_annotatedimage.

        Args:
            value: input 1 (Annotatedimage).

        Returns:
            output 1 (Annotatedimage).
        """
        raise NotImplementedError

    @endpoint("/same_audio", "3665a4bca350c08b")
    async def same_audio(self, value: FileInput | None) -> str:
        """Call /same_audio.

        Args:
            value: input 1 (Audio).

        Returns:
            output 1 (Audio).
        """
        raise NotImplementedError

    @endpoint("/same_chatbot", "d34c4674ebd39e61")
    async def same_chatbot(
        self,
        value: Sequence[MessageInput | Message] | None = [],
    ) -> list[Message]:
        """Call /same_chatbot.

        Args:
            value: input 1 (Chatbot).

        Returns:
            output 1 (Chatbot).
        """
        raise NotImplementedError

    @endpoint("/same_checkbox", "f59f7301363aa0a5")
    async def same_checkbox(self, value: bool | None = False) -> bool:
        """Call /same_checkbox.

        Args:
            value: input 1 (Checkbox).

        Returns:
            output 1 (Checkbox).
        """
        raise NotImplementedError

    @endpoint("/same_checkboxgroup", "732a81c83d8a3464")
    async def same_checkboxgroup(self, value: Sequence[str] = []) -> list[str]:
        """Call /same_checkboxgroup.

        Args:
            value: input 1 (Checkboxgroup).

        Returns:
            output 1 (Checkboxgroup).
        """
        raise NotImplementedError

    @endpoint("/same_code", "630c1ad95f2e9263")
    async def same_code(self, value: str | None) -> str:
        """Call /same_code.

        Args:
            value: input 1 (Code).

        Returns:
            output 1 (Code).
        """
        raise NotImplementedError

    @endpoint("/same_colorpicker", "630c1ad95f2e9263")
    async def same_colorpicker(self, value: str | None) -> str:
        """Call /same_colorpicker.

        Args:
            value: input 1 (Colorpicker).

        Returns:
            output 1 (Colorpicker).
        """
        raise NotImplementedError

    @endpoint("/same_dataframe", "884d8381e6813c92")
    async def same_dataframe(
        self,
        value: DataframeDataInput | DataframeData = DEFAULT,
    ) -> DataframeData:
        """Call /same_dataframe.

        Args:
            value: input 1 (Dataframe).

        Returns:
            output 1 (Dataframe).
        """
        raise NotImplementedError

    @endpoint("/same_datetime", "630c1ad95f2e9263")
    async def same_datetime(self, value: str | None) -> str:
        """Call /same_datetime.

        Args:
            value: input 1 (Datetime).

        Returns:
            output 1 (Datetime).
        """
        raise NotImplementedError

    @endpoint("/same_dialogue", "ae888cb76b8223a1")
    async def same_dialogue(self, value: Sequence[DialogueLine] | str) -> list[DialogueLine] | str:
        """Call /same_dialogue.

        Args:
            value: Dialogue (Dialogue).

        Returns:
            Dialogue (Dialogue).
        """
        raise NotImplementedError

    @endpoint("/same_dropdown", "630c1ad95f2e9263")
    async def same_dropdown(self, value: str | None) -> str:
        """Call /same_dropdown.

        Args:
            value: input 1 (Dropdown).

        Returns:
            output 1 (Dropdown).
        """
        raise NotImplementedError

    @endpoint("/same_file", "3665a4bca350c08b")
    async def same_file(self, value: FileInput | None) -> str:
        """Call /same_file.

        Args:
            value: input 1 (File).

        Returns:
            output 1 (File).
        """
        raise NotImplementedError

    @endpoint("/same_fileexplorer", "4d5ff32a81467889")
    async def same_fileexplorer(self, value: Sequence[Sequence[str]] | None) -> list[list[str]]:
        """Call /same_fileexplorer.

        Args:
            value: input 1 (Fileexplorer).

        Returns:
            output 1 (Fileexplorer).
        """
        raise NotImplementedError

    @endpoint("/same_gallery", "145aa5f5e8ee9cba")
    async def same_gallery(
        self,
        value: Sequence[GalleryImageInput | GalleryImage | GalleryVideoInput | GalleryVideo] | None = [],
    ) -> list[GalleryImage | GalleryVideo]:
        """Call /same_gallery.

        Args:
            value: input 1 (Gallery).

        Returns:
            output 1 (Gallery).
        """
        raise NotImplementedError

    @endpoint("/same_html", "630c1ad95f2e9263")
    async def same_html(self, value: str | None) -> str:
        """Call /same_html.

        Args:
            value: input 1 (Html).

        Returns:
            output 1 (Html).
        """
        raise NotImplementedError

    @endpoint("/same_highlightedtext", "d494be47069fbe66")
    async def same_highlightedtext(
        self,
        value: Sequence[HighlightedTokenInput | HighlightedToken] | None,
    ) -> list[HighlightedToken]:
        """Call /same_highlightedtext.

        Args:
            value: input 1 (Highlightedtext).

        Returns:
            output 1 (Highlightedtext).
        """
        raise NotImplementedError

    @endpoint("/same_image", "3665a4bca350c08b")
    async def same_image(self, value: FileInput | None) -> str:
        """Call /same_image.

        Args:
            value: input 1 (Image).

        Returns:
            output 1 (Image).
        """
        raise NotImplementedError

    @endpoint("/same_imageeditor", "1eb5b00d1e296386")
    async def same_imageeditor(self, value: EditorDataInput | EditorData | None) -> EditorData:
        """Call /same_imageeditor.

        Args:
            value: input 1 (Imageeditor).

        Returns:
            output 1 (Imageeditor).
        """
        raise NotImplementedError

    @endpoint("/same_imageslider", "94c548fb7b710cc6")
    async def same_imageslider(
        self,
        value: tuple[FileInput | None, FileInput | None] | None,
    ) -> list[str | None] | None:
        """Call /same_imageslider.

        Args:
            value: input 1 (Imageslider).

        Returns:
            output 1 (Imageslider).
        """
        raise NotImplementedError

    @endpoint("/same_json", "057ad16caf2da1ef")
    async def same_json(self, value: Any) -> Any:
        """Call /same_json.

        Args:
            value: input 1 (Json).

        Returns:
            output 1 (Json).
        """
        raise NotImplementedError

    @endpoint("/same_label", "35340daaf7c79ad9")
    async def same_label(self, value: LabelDataInput | LabelData | None = DEFAULT) -> LabelData:
        """Call /same_label.

        Args:
            value: input 1 (Label).

        Returns:
            output 1 (Label).
        """
        raise NotImplementedError

    @endpoint("/same_lineplot", "057ad16caf2da1ef")
    async def same_lineplot(self, value: Any) -> Any:
        """Call /same_lineplot.

        Args:
            value: input 1 (Lineplot).

        Returns:
            output 1 (Lineplot).
        """
        raise NotImplementedError

    @endpoint("/same_markdown", "630c1ad95f2e9263")
    async def same_markdown(self, value: str | None) -> str:
        """Call /same_markdown.

        Args:
            value: input 1 (Markdown).

        Returns:
            output 1 (Markdown).
        """
        raise NotImplementedError

    @endpoint("/same_model3d", "3665a4bca350c08b")
    async def same_model3d(self, value: FileInput | None) -> str:
        """Call /same_model3d.

        Args:
            value: input 1 (Model3d).

        Returns:
            output 1 (Model3d).
        """
        raise NotImplementedError

    @endpoint("/same_multimodaltextbox", "14b2161fa6a681b2")
    async def same_multimodaltextbox(
        self,
        value: MultimodalDataInput | MultimodalData | None = DEFAULT,
    ) -> MultimodalData:
        """Call /same_multimodaltextbox.

        Args:
            value: input 1 (Multimodaltextbox).

        Returns:
            output 1 (Multimodaltextbox).
        """
        raise NotImplementedError

    @endpoint("/same_number", "1f00bc078b6a030a")
    async def same_number(self, value: float | None) -> float:
        """Call /same_number.

        Args:
            value: input 1 (Number).

        Returns:
            output 1 (Number).
        """
        raise NotImplementedError

    @endpoint("/same_plot", "6f92a54f26bbbf71")
    async def same_plot(self, value: PlotData | None) -> PlotData:
        """Call /same_plot.

        Args:
            value: input 1 (Plot).

        Returns:
            output 1 (Plot).
        """
        raise NotImplementedError

    @endpoint("/same_radio", "630c1ad95f2e9263")
    async def same_radio(self, value: str | None) -> str:
        """Call /same_radio.

        Args:
            value: input 1 (Radio).

        Returns:
            output 1 (Radio).
        """
        raise NotImplementedError

    @endpoint("/same_slider", "b81fa9be2d646cf7")
    async def same_slider(self, value: float = 0) -> float:
        """Call /same_slider.

        Args:
            value: input 1 (Slider, from 0 up to 100).

        Returns:
            output 1 (Slider).
        """
        raise NotImplementedError

    @endpoint("/same_textbox", "630c1ad95f2e9263")
    async def same_textbox(self, value: str | None) -> str:
        """Call /same_textbox.

        Args:
            value: input 1 (Textbox).

        Returns:
            output 1 (Textbox).
        """
        raise NotImplementedError

    @endpoint("/same_timer", "b81fa9be2d646cf7")
    async def same_timer(self, value: float = 1) -> float:
        """Call /same_timer.

        Args:
            value: input 1 (Timer).

        Returns:
            output 1 (Timer).
        """
        raise NotImplementedError

    @endpoint("/same_uploadbutton", "3665a4bca350c08b")
    async def same_uploadbutton(self, value: FileInput | None) -> str:
        """Call /same_uploadbutton.

        Args:
            value: Upload a File (Uploadbutton).

        Returns:
            Upload a File (Uploadbutton).
        """
        raise NotImplementedError

    @endpoint("/same_video", "3665a4bca350c08b")
    async def same_video(self, value: FileInput | None) -> str:
        """Call /same_video.

        Args:
            value: input 1 (Video).

        Returns:
            output 1 (Video).
        """
        raise NotImplementedError

    @endpoint("/translate", "635ddaf46d16894a")
    async def translate(
        self,
        text: str | None,
        target: Literal["fr", "de", "日本語", 'a"b'] | None = "fr",
        formal: bool | None = False,
    ) -> str:
        """Translate a "text", C:\\new. It knows ``fr`` and 日本語.

        Args:
            text: text (Textbox).
            target: target language (Dropdown).
            formal: formal (Checkbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/choose", "39bc685d73e2a60c")
    async def choose(
        self,
        number: Literal[1, 2] | None = 1,
        letters: Sequence[Literal["x", "y"]] = ["x"],
        free: str | None = "a",
        long: str | None = DEFAULT,
    ) -> tuple[str, float]:
        """Call /choose.

        Args:
            number: number (Dropdown).
            letters: letters (Checkboxgroup).
            free: free (Dropdown).
            long: long (Textbox).

        Returns:
            out (Textbox).
            number (Number).
        """
        raise NotImplementedError

    @endpoint("/tell", "c929ad9f729cca24")
    async def tell(self, n: float | None = 3) -> str:
        """Call /tell.

        Args:
            n: n (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/late", "f3da5bb85b4dbd6d")
    async def late(self, first: str | None = "first", *, second: str | None) -> str:
        """Call /late.

        Args:
            first: first (Textbox).
            second: second (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/chat", "05ffeac4ae01befe")
    async def chat(
        self,
        message: str | None,
        history: Sequence[MessageInput | Message] | None = [],
    ) -> tuple[str, list[Message]]:
        """Call /chat.

        Args:
            message: text (Textbox).
            history: chat (Chatbot).

        Returns:
            text (Textbox).
            chat (Chatbot).
        """
        raise NotImplementedError

    @endpoint("/bump", "ad518673bc5231f0")
    async def bump(self) -> float:
        """Call /bump.

        Returns:
            count (Number).
        """
        raise NotImplementedError

    @endpoint("/nothing", "a840b3dcfebf7a79")
    async def nothing(self) -> tuple[()]:
        """Call /nothing."""
        raise NotImplementedError

    @endpoint("/class", "630c1ad95f2e9263")
    async def class_(self, value: str | None) -> str:
        """Call /class.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/list", "630c1ad95f2e9263")
    async def list_(self, value: str | None) -> str:
        """Call /list.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/str", "630c1ad95f2e9263")
    async def str_(self, value: str | None) -> str:
        """Call /str.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/match", "630c1ad95f2e9263")
    async def match(self, value: str | None) -> str:
        """Call /match.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/chat/v2", "630c1ad95f2e9263")
    async def chat_v2(self, value: str | None) -> str:
        """Call /chat/v2.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/chat-v2", "630c1ad95f2e9263")
    async def chat_v2_2(self, value: str | None) -> str:
        """Call /chat-v2.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/2d", "630c1ad95f2e9263")
    async def call_2d(self, value: str | None) -> str:
        """Call /2d.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/_private", "630c1ad95f2e9263")
    async def call_private(self, value: str | None) -> str:
        """Call /_private.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/endpoint", "630c1ad95f2e9263")
    async def endpoint_(self, value: str | None) -> str:
        """Call /endpoint.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/files", "630c1ad95f2e9263")
    async def files_(self, value: str | None) -> str:
        """Call /files.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError
