"""Values through gradio_client and through triojob.sync: what goes in and what comes out."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from qa.differential.support import AnyClient, Pair, opened, sides

KINDS: tuple[Any, ...] = (
    "text \u2028 \U0001f600",
    1.5,
    True,
    "red",
    ["one"],
    "x",
    4,
    {"headers": ["a", "b"], "data": [[1, "z"], [2, "y"]], "metadata": None},
    {"a": [1, None], "path": 3},
    [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    "#ff0000",
    "x = 1",
    ["p", "q"],
)


@pytest.mark.parametrize(
    "name, args",
    [
        ("/greet", ("Ada",)),
        ("/add", (2, 3)),
        ("/add", (2.5, 2)),
        ("/echo", ({"a": [1, 2.0, None, True, "x"]},)),
        ("/echo", ([],)),
        ("/echo", (None,)),
        ("/no_output", ("x",)),
        ("/update_props", ("x",)),
        ("/update_props_only", ()),
        ("/skip_one", ("x",)),
        ("/labelled", ("cat",)),
        ("/upper_batch", ("x",)),
        ("/raw_text", ()),
        ("/big", (300_000,)),
        ("/optional", ("a",)),
        ("/optional", ("a", "b")),
        ("/quiet", ("undocumented",)),
        ("/direct", ("not queued",)),
        ("/lists", (2,)),
        ("/spans", (4,)),
        ("/chat", ("hello", 3, 0)),
        ("/two_streams", (5,)),
        ("/nothing", ()),
        ("/alternating", (4,)),
        ("/pictures", (3,)),
        ("/cached_count", (3, "cached")),
        ("/same_values", KINDS),
    ],
)
def test_results_and_outputs(pair: Pair, name: str, args: tuple[Any, ...]) -> None:
    def call(client: AnyClient) -> Any:
        job = client.submit(*args, api_name=name)
        return job.result(), job.outputs()

    result, outputs = pair.same(call)
    assert outputs[-1] == result


def test_predict_gives_what_submit_gives(pair: Pair) -> None:
    assert pair.same(lambda client: client.predict("Ada", api_name="/greet")) == "Hello Ada!"
    assert pair.same(lambda client: client.predict(2, 3, api_name="/add")) == (5, 6)
    assert pair.same(lambda client: client.predict(3, 0, api_name="/count")) == "2"


def test_state_in_the_midst_of_the_values(gradio_url: str, tmp_path: Path) -> None:
    def call(client: AnyClient) -> Any:
        first = client.predict("left", "right", api_name="/between")
        job = client.submit(second="r", text="l", api_name="/between")
        return first, job.result(), job.outputs()

    with opened(gradio_url, tmp_path) as pair:
        assert pair.same(call) == (("left0", "right0"), ("l1", "r1"), [("l1", "r1")])


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("media")
    names = {"image": "red square.png", "audio": "b.wav", "video": "c.mp4", "file": "d (1) é.txt"}
    paths = {kind: folder / name for kind, name in names.items()}
    Image.new("RGB", (4, 4), "red").save(paths["image"])
    with wave.open(str(paths["audio"]), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(160))
    paths["video"].write_bytes(b"not looked at")
    paths["file"].write_text("some text", encoding="utf-8")
    return paths


def test_files_of_each_kind_of_component(pair: Pair, media: dict[str, Path]) -> None:
    def call(client: AnyClient) -> Any:
        mark = sides(client).handle_file
        image, audio, video, file = (mark(path) for path in media.values())
        gallery = [{"image": mark(media["image"]), "caption": "a caption"}]
        return client.predict(image, audio, video, file, gallery, api_name="/same_media")

    *files, gallery = pair.same(call)
    assert [(name, content) for _, name, content in files] == [
        (path.name, path.read_bytes()) for path in media.values()
    ]
    assert gallery[0]["image"][1:] == (media["image"].name, media["image"].read_bytes())


def test_files_in_property_updates(pair: Pair, media: dict[str, Path]) -> None:
    def call(client: AnyClient) -> Any:
        return client.predict(sides(client).handle_file(media["image"]), api_name="/update_samples")

    update = pair.same(call)
    assert update["__type__"] == "update"
    assert update["samples"] == [[("a file", media["image"].name, media["image"].read_bytes())]]


def test_no_files(pair: Pair) -> None:
    call = ("/same_media", [None] * 5)
    assert pair.same(lambda client: client.predict(*call[1], api_name=call[0]))[:4] == (None,) * 4


def test_files_by_the_old_name(pair: Pair, media: dict[str, Path]) -> None:
    def call(client: AnyClient) -> Any:
        with pytest.warns(match="file\\(\\) is deprecated") as warned:
            mark = sides(client).file(media["file"])
        result = client.predict(mark, api_name="/upper_file")
        return result, [(item.category.__name__, str(item.message)) for item in warned]

    (_, name, content), _ = pair.same(call)
    assert (name, content) == ("upper.txt", b"SOME TEXT")


def test_several_files_in_one_value(pair: Pair, media: dict[str, Path]) -> None:
    def call(client: AnyClient) -> Any:
        marks = [sides(client).handle_file(str(path)) for path in media.values()]
        return client.predict(marks, api_name="/join_files")

    files = pair.same(call)
    assert [name for _, name, _ in files] == [path.name for path in media.values()]


def test_what_handle_file_returns(pair: Pair, media: dict[str, Path]) -> None:
    for source in (str(media["file"]), media["file"], "https://example.com/a/b.png?x=1"):
        found = pair.same(lambda client, source=source: dict(sides(client).handle_file(source)))
        assert found["meta"] == {"_type": "gradio.FileData"}


def test_url_for_the_app_stays_as_is(pair: Pair, gradio_url: str) -> None:
    def call(client: AnyClient) -> Any:
        mark = sides(client).handle_file(f"{gradio_url}/config")
        return client.submit(mark, api_name="/upper_file").exception()

    # The server refuses to fetch from private addresses, and says whose.
    theirs, ours = (call(client) for client in pair)
    assert str(ours) == str(theirs)
    assert "127.0.0.1" in str(ours)


def test_files_stay_with_the_app(gradio_url, tmp_path, media):
    def call(client: AnyClient) -> Any:
        return client.predict(sides(client).handle_file(media["file"]), api_name="/upper_file")

    with opened(gradio_url, tmp_path, download_files=False) as pair:
        found = pair.same(call)
    assert found["orig_name"] == "upper.txt"
    assert found["meta"] == {"_type": "gradio.FileData"}
    assert not (tmp_path / "ours").exists()


def test_folder_for_files_is_made(gradio_url: str, tmp_path: Path) -> None:
    with opened(gradio_url, tmp_path / "deep" / "deeper"):
        assert (tmp_path / "deep" / "deeper" / "ours").is_dir()
        assert (tmp_path / "deep" / "deeper" / "theirs").is_dir()


@pytest.mark.parametrize(
    "args, kwargs",
    [
        ((), {"required": "r"}),
        (("y", 5, "red", "c", False, ["three"], "r"), {}),
        (("y",), {"required": "r", "n": 9}),
        ((), {"picks": [], "flag": False, "free": "anything", "required": "r"}),
    ],
)
def test_defaults_and_arguments_by_name(pair, args, kwargs):
    found = pair.same(lambda client: client.predict(*args, **kwargs, api_name="/defaults"))
    assert found["required"] == "r"


def test_functions_of_one_name(pair: Pair) -> None:
    """Of the Blocks that are rendered in others."""
    found = pair.same(lambda client: client.predict("Ada", api_name="/twin_1"))
    assert found == pair.same(lambda client: client.predict(who="Ada", api_name="/twin_1"))
    assert found == "public Ada"
    pair.same_failure(lambda client: client.predict(api_name="/twin_1"))


def test_endpoints_by_number(pair: Pair) -> None:
    names = {item["api_name"]: item["id"] for item in pair.ours.config["dependencies"]}
    for name in ("greet", "quiet", "direct"):
        args = {"args": ("Ada",), "fn_index": names[name]}
        found = pair.same(lambda c, args=args: c.predict(*args["args"], fn_index=args["fn_index"]))
        assert found == "Hello Ada!"


def test_name_goes_before_number(pair: Pair) -> None:
    assert pair.same(lambda c: c.predict("Ada", api_name="/greet", fn_index=1)) == "Hello Ada!"
