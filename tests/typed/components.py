"""Typed calls of the app 'Components: "all" of \"\""them\"\""' at http://127.0.0.1:7860/.

triojob wrote this module: don't edit it, but make it anew when the app has changed.

    triojob stubs http://127.0.0.1:7860/

The bodies of the methods never run: `endpoint` puts the app's own in their place.
"""

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

    @endpoint("/same_annotatedimage", "836531fdd45294ab")
    async def same_annotatedimage(
        self,
        value: AnnotatedImageDataInput | AnnotatedImageData,
    ) -> AnnotatedImageData:
        """Call /same_annotatedimage.

        Args:
            value: parameter_3 (Annotatedimage).

        Returns:
            value_4 (Annotatedimage).
        """
        raise NotImplementedError

    @endpoint("/same_audio", "170ec04289b4b569")
    async def same_audio(self, value: FileInput) -> str:
        """Call /same_audio.

        Args:
            value: parameter_6 (Audio).

        Returns:
            value_7 (Audio).
        """
        raise NotImplementedError

    @endpoint("/same_chatbot", "78ae718b33dd332a")
    async def same_chatbot(
        self,
        value: Sequence[MessageInput | Message] = DEFAULT,
    ) -> list[Message]:
        """Call /same_chatbot.

        Args:
            value: parameter_9 (Chatbot).

        Returns:
            value_10 (Chatbot).
        """
        raise NotImplementedError

    @endpoint("/same_checkbox", "b93220651bf33dda")
    async def same_checkbox(self, value: bool = False) -> bool:
        """Call /same_checkbox.

        Args:
            value: parameter_12 (Checkbox).

        Returns:
            value_13 (Checkbox).
        """
        raise NotImplementedError

    @endpoint("/same_checkboxgroup", "732a81c83d8a3464")
    async def same_checkboxgroup(self, value: Sequence[str] = DEFAULT) -> list[str]:
        """Call /same_checkboxgroup.

        Args:
            value: parameter_15 (Checkboxgroup).

        Returns:
            value_16 (Checkboxgroup).
        """
        raise NotImplementedError

    @endpoint("/same_code", "064f0dbd4414c2ab")
    async def same_code(self, value: str) -> str:
        """Call /same_code.

        Args:
            value: parameter_18 (Code).

        Returns:
            value_19 (Code).
        """
        raise NotImplementedError

    @endpoint("/same_colorpicker", "064f0dbd4414c2ab")
    async def same_colorpicker(self, value: str) -> str:
        """Call /same_colorpicker.

        Args:
            value: parameter_21 (Colorpicker).

        Returns:
            value_22 (Colorpicker).
        """
        raise NotImplementedError

    @endpoint("/same_dataframe", "884d8381e6813c92")
    async def same_dataframe(
        self,
        value: DataframeDataInput | DataframeData = DEFAULT,
    ) -> DataframeData:
        """Call /same_dataframe.

        Args:
            value: parameter_24 (Dataframe).

        Returns:
            value_25 (Dataframe).
        """
        raise NotImplementedError

    @endpoint("/same_datetime", "064f0dbd4414c2ab")
    async def same_datetime(self, value: str) -> str:
        """Call /same_datetime.

        Args:
            value: parameter_27 (Datetime).

        Returns:
            value_28 (Datetime).
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

    @endpoint("/same_dropdown", "064f0dbd4414c2ab")
    async def same_dropdown(self, value: str) -> str:
        """Call /same_dropdown.

        Args:
            value: parameter_33 (Dropdown).

        Returns:
            value_34 (Dropdown).
        """
        raise NotImplementedError

    @endpoint("/same_file", "170ec04289b4b569")
    async def same_file(self, value: FileInput) -> str:
        """Call /same_file.

        Args:
            value: parameter_36 (File).

        Returns:
            value_37 (File).
        """
        raise NotImplementedError

    @endpoint("/same_fileexplorer", "a5bc126da3e9a308")
    async def same_fileexplorer(self, value: Sequence[Sequence[str]]) -> list[list[str]]:
        """Call /same_fileexplorer.

        Args:
            value: parameter_39 (Fileexplorer).

        Returns:
            value_40 (Fileexplorer).
        """
        raise NotImplementedError

    @endpoint("/same_gallery", "8c2b13959d91b6c9")
    async def same_gallery(
        self,
        value: Sequence[GalleryImageInput | GalleryImage | GalleryVideoInput | GalleryVideo] = DEFAULT,
    ) -> list[GalleryImage | GalleryVideo]:
        """Call /same_gallery.

        Args:
            value: parameter_42 (Gallery).

        Returns:
            value_43 (Gallery).
        """
        raise NotImplementedError

    @endpoint("/same_html", "064f0dbd4414c2ab")
    async def same_html(self, value: str) -> str:
        """Call /same_html.

        Args:
            value: parameter_45 (Html).

        Returns:
            value_46 (Html).
        """
        raise NotImplementedError

    @endpoint("/same_highlightedtext", "a341013dad487e28")
    async def same_highlightedtext(
        self,
        value: Sequence[HighlightedTokenInput | HighlightedToken],
    ) -> list[HighlightedToken]:
        """Call /same_highlightedtext.

        Args:
            value: parameter_48 (Highlightedtext).

        Returns:
            value_49 (Highlightedtext).
        """
        raise NotImplementedError

    @endpoint("/same_image", "170ec04289b4b569")
    async def same_image(self, value: FileInput) -> str:
        """Call /same_image.

        Args:
            value: parameter_51 (Image).

        Returns:
            value_52 (Image).
        """
        raise NotImplementedError

    @endpoint("/same_imageeditor", "d63c48fb9ada12d3")
    async def same_imageeditor(self, value: EditorDataInput | EditorData) -> EditorData:
        """Call /same_imageeditor.

        Args:
            value: parameter_54 (Imageeditor).

        Returns:
            value_55 (Imageeditor).
        """
        raise NotImplementedError

    @endpoint("/same_imageslider", "94c548fb7b710cc6")
    async def same_imageslider(
        self,
        value: tuple[FileInput | None, FileInput | None] | None,
    ) -> list[str | None] | None:
        """Call /same_imageslider.

        Args:
            value: parameter_57 (Imageslider).

        Returns:
            value_58 (Imageslider).
        """
        raise NotImplementedError

    @endpoint("/same_json", "057ad16caf2da1ef")
    async def same_json(self, value: Any) -> Any:
        """Call /same_json.

        Args:
            value: parameter_60 (Json).

        Returns:
            value_61 (Json).
        """
        raise NotImplementedError

    @endpoint("/same_label", "1bf370207fd8ee89")
    async def same_label(self, value: LabelDataInput | LabelData = DEFAULT) -> LabelData:
        """Call /same_label.

        Args:
            value: parameter_63 (Label).

        Returns:
            value_64 (Label).
        """
        raise NotImplementedError

    @endpoint("/same_lineplot", "057ad16caf2da1ef")
    async def same_lineplot(self, value: Any) -> Any:
        """Call /same_lineplot.

        Args:
            value: parameter_66 (Lineplot).

        Returns:
            value_67 (Lineplot).
        """
        raise NotImplementedError

    @endpoint("/same_markdown", "064f0dbd4414c2ab")
    async def same_markdown(self, value: str) -> str:
        """Call /same_markdown.

        Args:
            value: parameter_69 (Markdown).

        Returns:
            value_70 (Markdown).
        """
        raise NotImplementedError

    @endpoint("/same_model3d", "170ec04289b4b569")
    async def same_model3d(self, value: FileInput) -> str:
        """Call /same_model3d.

        Args:
            value: parameter_72 (Model3d).

        Returns:
            value_73 (Model3d).
        """
        raise NotImplementedError

    @endpoint("/same_multimodaltextbox", "1d2174b349c02fc0")
    async def same_multimodaltextbox(
        self,
        value: MultimodalDataInput | MultimodalData = DEFAULT,
    ) -> MultimodalData:
        """Call /same_multimodaltextbox.

        Args:
            value: parameter_75 (Multimodaltextbox).

        Returns:
            value_76 (Multimodaltextbox).
        """
        raise NotImplementedError

    @endpoint("/same_number", "b037e2d6c9d38d49")
    async def same_number(self, value: float) -> float:
        """Call /same_number.

        Args:
            value: parameter_78 (Number).

        Returns:
            value_79 (Number).
        """
        raise NotImplementedError

    @endpoint("/same_plot", "4f1efabbfaa5cadb")
    async def same_plot(self, value: PlotData) -> PlotData:
        """Call /same_plot.

        Args:
            value: parameter_81 (Plot).

        Returns:
            value_82 (Plot).
        """
        raise NotImplementedError

    @endpoint("/same_radio", "064f0dbd4414c2ab")
    async def same_radio(self, value: str) -> str:
        """Call /same_radio.

        Args:
            value: parameter_84 (Radio).

        Returns:
            value_85 (Radio).
        """
        raise NotImplementedError

    @endpoint("/same_slider", "b81fa9be2d646cf7")
    async def same_slider(self, value: float = 0) -> float:
        """Call /same_slider.

        Args:
            value: parameter_87 (Slider, from 0 up to 100).

        Returns:
            value_88 (Slider).
        """
        raise NotImplementedError

    @endpoint("/same_textbox", "064f0dbd4414c2ab")
    async def same_textbox(self, value: str) -> str:
        """Call /same_textbox.

        Args:
            value: parameter_90 (Textbox).

        Returns:
            value_91 (Textbox).
        """
        raise NotImplementedError

    @endpoint("/same_timer", "b81fa9be2d646cf7")
    async def same_timer(self, value: float = 1) -> float:
        """Call /same_timer.

        Args:
            value: parameter_93 (Timer).

        Returns:
            value_94 (Timer).
        """
        raise NotImplementedError

    @endpoint("/same_uploadbutton", "170ec04289b4b569")
    async def same_uploadbutton(self, value: FileInput) -> str:
        """Call /same_uploadbutton.

        Args:
            value: Upload a File (Uploadbutton).

        Returns:
            Upload a File (Uploadbutton).
        """
        raise NotImplementedError

    @endpoint("/same_video", "170ec04289b4b569")
    async def same_video(self, value: FileInput) -> str:
        """Call /same_video.

        Args:
            value: parameter_99 (Video).

        Returns:
            value_100 (Video).
        """
        raise NotImplementedError

    @endpoint("/translate", "a2e85acd7a8263e9")
    async def translate(
        self,
        text: str,
        target: Literal["fr", "de", "日本語", 'a"b'] = "fr",
        formal: bool = False,
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

    @endpoint("/choose", "504b3de31c0ccab9")
    async def choose(
        self,
        number: Literal[1, 2] = 1,
        letters: Sequence[Literal["x", "y"]] = DEFAULT,
        free: str = "a",
        long: str = DEFAULT,
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

    @endpoint("/tell", "a588fbdf7936a946")
    async def tell(self, n: float = 3) -> str:
        """Call /tell.

        Args:
            n: n (Number).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/late", "38c2658c1eb1ec8d")
    async def late(self, first: str = "first", *, second: str) -> str:
        """Call /late.

        Args:
            first: first (Textbox).
            second: second (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/chat", "b68430583b7e662b")
    async def chat(
        self,
        message: str,
        history: Sequence[MessageInput | Message] = DEFAULT,
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

    @endpoint("/class", "064f0dbd4414c2ab")
    async def class_(self, value: str) -> str:
        """Call /class.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/list", "064f0dbd4414c2ab")
    async def list_(self, value: str) -> str:
        """Call /list.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/str", "064f0dbd4414c2ab")
    async def str_(self, value: str) -> str:
        """Call /str.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/match", "064f0dbd4414c2ab")
    async def match(self, value: str) -> str:
        """Call /match.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/chat/v2", "064f0dbd4414c2ab")
    async def chat_v2(self, value: str) -> str:
        """Call /chat/v2.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/chat-v2", "064f0dbd4414c2ab")
    async def chat_v2_2(self, value: str) -> str:
        """Call /chat-v2.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/2d", "064f0dbd4414c2ab")
    async def call_2d(self, value: str) -> str:
        """Call /2d.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/_private", "064f0dbd4414c2ab")
    async def call_private(self, value: str) -> str:
        """Call /_private.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/endpoint", "064f0dbd4414c2ab")
    async def endpoint_(self, value: str) -> str:
        """Call /endpoint.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError

    @endpoint("/files", "064f0dbd4414c2ab")
    async def files_(self, value: str) -> str:
        """Call /files.

        Args:
            value: text (Textbox).

        Returns:
            out (Textbox).
        """
        raise NotImplementedError
