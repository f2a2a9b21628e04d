"""Rows of input, and how they become the arguments of calls."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from triojob import FileInput
from triojob._cli.ending import CommandError
from triojob._cli.exit_codes import LOCAL
from triojob._cli.plan import Plan, PlanOptions
from triojob._cli.rows import Reading, Row, Rows
from triojob.gradio.schema.app import AppInfo
from triojob.testing import components as d
from triojob.testing._server.description import App


async def all_rows(rows: Rows) -> list[Row]:
    found: list[Row] = []
    while batch := await rows.next_batch():
        found += batch
    return found


async def rows_of(path: Path, data: bytes, form: Any = None, **reading: Any) -> list[Row]:
    path.write_bytes(data)
    with closing(Rows(str(path), Reading(form, **reading))) as rows:
        return await all_rows(rows)


async def test_lines_of_json(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf{"a": 1}\n\n  \r\n{"a": "\xe2\x80\xa8"}\r\n{"a": null}'
    rows = await rows_of(tmp_path / "in.jsonl", data)
    assert [(row.index, row.values) for row in rows] == [
        (0, {"a": 1}),
        (1, {"a": "\u2028"}),
        (2, {"a": None}),
    ]
    assert not any(row.is_text or row.error for row in rows)


@pytest.mark.parametrize("line", [b"{", b"[1]", b"5", b"\xff", b"[" * 100_000])
async def test_broken_line_of_json_breaks_no_other(tmp_path: Path, line: bytes) -> None:
    rows = await rows_of(tmp_path / "in.ndjson", b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    assert [row.values for row in rows] == [{"a": 1}, {}, {"a": 2}]
    assert (rows[1].error or "").startswith("the line is not ")


async def test_csv(tmp_path: Path) -> None:
    data = 'text,n\r\n"two\r\nlines, ""quoted""",5\r\n\r\n\u2028,\r\n'.encode()
    path = tmp_path / "in.csv"
    path.write_bytes(data)
    rows = Rows(str(path), Reading())
    assert rows.columns == ["text", "n"]
    found = await all_rows(rows)
    assert [(row.index, row.values) for row in found] == [
        (0, {"text": 'two\r\nlines, "quoted"', "n": "5"}),
        (1, {"text": "\u2028", "n": ""}),
    ]
    assert all(row.is_text for row in found)
    assert rows.share == 1.0
    rows.close()


async def test_tabs(tmp_path: Path) -> None:
    (row,) = await rows_of(tmp_path / "in.tsv", b"a\tb\n1,5\t2\n")
    assert row.values == {"a": "1,5", "b": "2"}


@pytest.mark.parametrize(
    "delimiter, name", [(";", "in.csv"), ("\\t", "in.csv"), ("|", "in.tsv"), (" ", "in.csv")]
)
async def test_delimiters(tmp_path: Path, delimiter: str, name: str) -> None:
    data = "a;b\n1,5;2\n".replace(";", "\t" if delimiter == "\\t" else delimiter)
    (row,) = await rows_of(tmp_path / name, data.encode(), delimiter=delimiter)
    assert row.values == {"a": "1,5", "b": "2"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "UTF-32", "cp1252", "iso2022_jp_ext"])
@pytest.mark.parametrize(
    "name, text", [("in.csv", "a\né\nü"), ("in.jsonl", '{"a":"é"}\n{"a":"ü"}')]
)
async def test_encodings(tmp_path: Path, encoding: str, name: str, text: str) -> None:
    rows = await rows_of(tmp_path / name, text.encode(encoding), encoding=encoding)
    assert [row.values for row in rows] == [{"a": "é"}, {"a": "ü"}]


async def test_characters_cut_at_the_end(tmp_path: Path) -> None:
    rows = await rows_of(tmp_path / "in.jsonl", b'{"a": 1}\n{"a": "\xc3')
    assert [row.error is None for row in rows] == [True, False]


@pytest.mark.parametrize(
    "reading, wrong",
    [
        (Reading("csv", ";;"), "--delimiter must be one character, not ';;'"),
        (Reading("csv", '"'), "--delimiter must be one character"),
        (Reading("csv", ""), "--delimiter must be one character"),
        (Reading("jsonl", ";"), "--delimiter applies to csv and tsv, not to jsonl"),
        (Reading("csv", encoding="klingon"), "--encoding: 'klingon' is not a text encoding"),
        (Reading("csv", encoding="base64"), "--encoding: 'base64' is not a text encoding"),
        (Reading("parquet", encoding="cp1252"), "--encoding does not apply to parquet"),
    ],
)
def test_invalid_readings_are_refused(tmp_path: Path, reading: Reading, wrong: str) -> None:
    path = tmp_path / "in"
    path.touch()
    with pytest.raises(CommandError, match=wrong):
        Rows(str(path), reading)


async def test_csv_row_of_wrong_length_stands_alone(tmp_path: Path) -> None:
    rows = await rows_of(tmp_path / "in.csv", b"a,b\n1\n1,2\n1,2,3\n")
    assert [row.error for row in rows] == [
        "the row has 1 cells, but the header has 2",
        None,
        "the row has 3 cells, but the header has 2",
    ]


@pytest.mark.parametrize(
    "data, wrong",
    [
        (b'a\n"x"y\n', "line 2 is not valid CSV"),
        (b'a\n1\n"x', "is not valid CSV"),
        (b"a\n1\n\xff\n", "line 3 is not valid UTF-8"),
        (b"a,a\n1,1\n", "two columns have the same name"),
    ],
)
async def test_where_a_csv_is_broken_it_ends(tmp_path: Path, data: bytes, wrong: str) -> None:
    with pytest.raises(CommandError, match=wrong):
        await rows_of(tmp_path / "in.csv", data)


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"--input: No such file or directory") as caught:
        Rows(str(tmp_path / "gone.csv"), Reading())
    assert caught.value.exit_code == LOCAL
    with pytest.raises(CommandError, match="unknown format; set --format"):
        Rows(str(tmp_path / "in.txt"), Reading())


async def test_how_many_rows_there_may_be(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"a": 1}\n' * 1000)
    rows = Rows(str(path), Reading())
    assert rows.estimate(0) is None
    batch = await rows.next_batch()
    assert rows.estimate(len(batch)) == 1000
    # In batches: no file is read whole.
    assert len(batch) <= 256
    rows.close()


async def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "in.parquet"
    day = dt.date(2026, 1, 2)
    table = pyarrow.table({"text": ["a", None] * 300, "n": [1.5] * 600, "day": [day] * 600})
    parquet.write_table(table, path)
    rows = Rows(str(path), Reading())
    assert (rows.columns, rows.total, rows.estimate(3)) == (["text", "n", "day"], 600, 600)
    batch = await rows.next_batch()
    assert len(batch) <= 256
    found = batch + await all_rows(rows)
    assert [row.index for row in found] == list(range(600))
    assert found[1] == Row(1, {"text": None, "n": 1.5, "day": day}, is_text=False)
    rows.close()


async def test_what_is_no_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(CommandError, match="is not valid Parquet"):
        await rows_of(tmp_path / "in.parquet", b"garbage that is long enough")
    with pytest.raises(CommandError, match="can't be read from a pipe"):
        Rows("-", Reading("parquet"))


# --- To arguments ---

KINDS = {
    "text": d.textbox("text"),
    "n": d.number("n", 3),
    "flag": d.checkbox("flag"),
    "file": d.file("file"),
    "files": d.file("files", multiple=True),
}


def plan(*constants: str, key: str | None = None, **options: Any) -> Plan:
    app = App()
    app.add("run", inputs=KINDS.values(), optional=["flag", "file", "files"])
    info = AppInfo(app.config("http://app/"), app.info(all_endpoints=True)).find("/run", None)
    columns, file_columns = options.get("columns", ()), options.get("file_columns", ())
    return Plan(info, PlanOptions(constants, columns, file_columns, key))


def cells(**values: str) -> Row:
    return Row(0, values, is_text=True)


def typed(**values: Any) -> Row:
    return Row(0, values, is_text=False)


def test_columns_go_to_parameters_of_their_names() -> None:
    made = plan()
    assert made.arguments(cells(text="5", n="5", flag="no", other="x")) == {
        "text": "5",
        "n": 5,
        "flag": False,
    }
    assert made.arguments(typed(text=5, n=None)) == {"text": 5, "n": None}
    assert made.unused(["text", "n", "other"]) == ["other"]


def test_empty_cell_is_empty_text_or_default() -> None:
    assert plan().arguments(cells(text="", n="")) == {"text": ""}


def test_columns_with_other_names_and_constants() -> None:
    made = plan("n=7", columns=["text=prompt"], key="id")
    assert made.arguments(cells(prompt="hi", text="no", id="9")) == {"n": 7, "text": "hi"}
    assert made.unused(["prompt", "text", "id"]) == ["text"]
    assert made.key(cells(id="9")) == "9"
    with pytest.raises(ValueError, match="the row has no column 'prompt'"):
        made.arguments(cells(text="no"))


def test_only_file_columns_are_read_from_disk() -> None:
    row = cells(text="a", file="b.txt", files="c.txt")
    with pytest.raises(ValueError, match="file takes files; add --file-column file if"):
        plan().arguments(row)
    with pytest.raises(CommandError, match="file takes files; add --file-column file if"):
        plan().check_columns(["text", "file"])
    made = plan(file_columns=["file", "files"]).arguments(row)
    assert isinstance(made["file"], FileInput)
    assert [file.name for file in made["files"]] == ["c.txt"]
    several = plan(file_columns=["files"]).arguments(typed(files=["a", "http://host/b"]))
    assert [file.name for file in several["files"]] == ["a", "b"]
    assert plan(file_columns=["file"]).arguments(cells(file=""))["file"] is None


@pytest.mark.parametrize(
    "row, wrong",
    [
        (cells(n="five"), "column 'n': 'five' is not a number"),
        (typed(file=5), "column 'file': write a path or URL as text"),
        (Row(0, {}, is_text=True, error="it is broken"), "it is broken"),
    ],
)
def test_a_row_that_makes_no_sense(row: Row, wrong: str) -> None:
    with pytest.raises(ValueError, match=re.escape(wrong)):
        plan(file_columns=["file"]).arguments(row)


@pytest.mark.parametrize(
    "constants, options, wrong",
    [
        (["txt=1"], {}, "did you mean 'text'?"),
        ([], {"columns": ["text"]}, "write --column as PARAMETER=COLUMN, not 'text'"),
        ([], {"columns": ["txt=a"]}, "--column: /run has no parameter"),
        (["n=1"], {"columns": ["n=a"]}, "n has both a constant value and a --column"),
        ([], {"file_columns": ["photo"]}, "no parameter uses the column 'photo'"),
    ],
)
def test_options_that_make_no_sense(constants, options, wrong):
    with pytest.raises(CommandError, match=re.escape(wrong)):
        plan(*constants, **options)


def test_missing_input_is_reported_before_any_call() -> None:
    plan().check_columns(["text"])
    with pytest.raises(
        CommandError, match=r"no column 'text' for text of /run \(did you mean 'txt'\?\)"
    ):
        plan().check_columns(["txt"])
    with pytest.raises(CommandError, match="no column 'prompt' for text"):
        plan(columns=["text=prompt"]).check_columns(["text"])
    with pytest.raises(CommandError, match="--key: the input has no column 'id'"):
        plan(key="id").check_columns(["text"])


def test_digest_covers_what_the_call_gets() -> None:
    digest = plan().digest(cells(text="a"))
    assert digest == plan().digest(cells(text="a", other="x"))
    assert digest != plan().digest(cells(text="b"))
    assert digest != plan("n=1").digest(cells(text="a"))
    assert plan("n=1", "flag=no").digest(cells()) == plan("flag=no", "n=1").digest(cells())
    assert re.fullmatch(r"[0-9a-f]{16}", digest)
