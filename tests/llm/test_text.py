"""Readers: every kind of input becomes documents, every bad one a sentence."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import subprocess
import sys
from pathlib import Path

import pytest

from nimllm.errors import NimError
from nimllm.llm.data import streams
from nimllm.llm.data.tally import Tally
from nimllm.llm.text import Document, Reading, documents
from nimllm.llm.turns import Turn


def texts(*paths: Path | str, column: str = "text") -> list[str]:
    return [document.text for document in documents(paths, Reading(tuple(column.split(","))))]


def test_plain_files_in_the_order_given_each_once(tmp_path: Path) -> None:
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_bytes("\ufeffeins\r\nzwei\n".encode())
    b.write_text("three", "utf-8")
    assert texts(b, a, tmp_path / "." / "b.txt") == ["three", "eins\nzwei\n"]
    assert [document.source for document in documents([a])] == [str(a)]


def test_compressed_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"packed"))
    (tmp_path / "b.jsonl.xz").write_bytes(lzma.compress(b'{"text": "tight"}\n'))
    assert texts(tmp_path / "a.txt.gz", tmp_path / "b.jsonl.xz") == ["packed", "tight"]
    (tmp_path / "b.jsonl.xz").write_bytes(lzma.compress(b'{"text": "tight"}\n')[:-9])
    with pytest.raises(NimError, match="cannot read"):
        texts(tmp_path / "b.jsonl.xz")


@pytest.mark.parametrize("line", ["Zeile äöü 漢字\n", "ohne zeilenende ä漢 "])
def test_long_files_come_in_parts_that_add_up(tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PART", 1000)
    whole = line * 500
    (tmp_path / "a.txt").write_text(whole, "utf-8")
    parts = list(documents([tmp_path / "a.txt"]))
    assert len(parts) > 3
    assert "".join(part.text for part in parts) == whole
    assert [part.first for part in parts] == [True] + [False] * (len(parts) - 1)
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert max(len(part.text.encode()) for part in parts) <= 2004


def test_a_wrong_byte_is_named_with_its_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PART", 64)
    path = tmp_path / "latin.txt"
    path.write_bytes(b"good line\n" * 30 + b"caf" + b"\xe9 au lait\n")
    with pytest.raises(NimError, match=r"byte 0xe9 at offset 303") as caught:
        texts(path)
    assert str(path) in caught.value.what and "iconv" in caught.value.mend
    path.write_bytes(b"x" * 70 + b"\n" + b"y\0")
    with pytest.raises(NimError, match="binary: a NUL at offset 72"):
        texts(path)
    path.write_bytes("half a character: 漢".encode()[:-1])
    with pytest.raises(NimError, match="offset 18"):
        texts(path)
    path.write_text("hello", "utf-16")
    with pytest.raises(NimError, match="UTF-16"):
        texts(path)


def test_missing_empty_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(NimError, match="does not exist"):
        texts(tmp_path / "nowhere.txt")
    for content in ("", " \n\t\n"):
        (tmp_path / "e.txt").write_text(content)
        with pytest.raises(NimError, match="is empty"):
            texts(tmp_path / "e.txt")
    (tmp_path / "e.jsonl").write_text("\n\n")
    with pytest.raises(NimError, match="is empty"):
        texts(tmp_path / "e.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(NimError, match="holds no text"):
        texts(tmp_path / "folder")
    (tmp_path / "folder" / "x.bin").write_bytes(b"\0\0")
    with pytest.raises(NimError, match="holds no text: 1 binary"):
        texts(tmp_path / "folder")


def fill(folder: Path) -> None:
    (folder / "sub" / "node_modules").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "b.py").write_text("print(1)\n")
    (folder / "sub" / "a.md").write_text("# title\n")
    (folder / "image.png").write_bytes(b"\x89PNG\r\n\0\0")
    (folder / "latin.txt").write_bytes(b"caf\xe9\n")
    (folder / "empty.txt").write_text("")
    (folder / ".hidden" / "secret").write_text("no")
    (folder / "sub" / "node_modules" / "theirs.js").write_text("no")
    (folder / "dangling").symlink_to(folder / "nowhere")


def test_a_folder_without_git(tmp_path: Path) -> None:
    fill(tmp_path)
    tally = Tally()
    found = [document.text for document in documents([tmp_path], tally=tally)]
    assert found == ["print(1)\n", "# title\n"]
    assert tally.counts() == {"binary": 1, "not UTF-8": 1, "empty": 1}


def test_a_folder_under_git_is_what_git_would_track(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / ".gitignore").write_text("node_modules\n.hidden\nb.py\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert texts(tmp_path) == ["node_modules\n.hidden\nb.py\n", "# title\n"]


def test_jsonl_rows(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"text": "one"}) + "\n\n" + json.dumps({"body": "x", "text": "zwei ä"}) + "\n")
    assert texts(path) == ["one", "zwei ä"]
    with pytest.raises(NimError, match=r"d.jsonl line 1 has no text in 'body'.*--column"):
        texts(path, column="body")
    for line, complaint in (("{", "is not JSON"), ("[1]", "not an object"), ('{"text": 3}', "no text in 'text'"),
                            ('{"text": "\\ud800"}', "lone surrogate")):
        path.write_text('{"text": "fine"}\n' + line + "\n")
        with pytest.raises(NimError, match=f"line 2.*{complaint}"):
            texts(path)


def test_conversations(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "hi"}, {"role": "tool", "content": "out"},
                                             {"role": "assistant", "content": "yo"}]}) + "\n"
                    + json.dumps({"turns": [{"role": "plan", "text": "p", "tainted": True}]}) + "\n")
    first, second = documents([path])
    assert first == Document("", f"{path} line 1", (Turn("user", "hi"), Turn("output", "out", True),
                                                    Turn("assistant", "yo")))
    assert second.turns == (Turn("plan", "p", True),)
    for turns in ([{"role": "boss", "content": "x"}], [{"role": "user"}], ["hi"], "hi"):
        path.write_text(json.dumps({"messages": turns}))
        with pytest.raises(NimError, match="line 1 is not a conversation"):
            texts(path)


def test_jsonl_inside_a_folder_may_be_anything(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "row"}\n')
    (tmp_path / "b.jsonl").write_text('{"event": 1}\n')
    tally = Tally()
    assert [document.text for document in documents([tmp_path], tally=tally)] == ["row", '{"event": 1}\n']
    assert tally.notes == [f"{tmp_path / 'b.jsonl'} has no column 'text' and is read as plain text"]


def test_parquet(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "p.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", None, "b", " "], "body": ["x"] * 4, "n": [1] * 4}), path)
    assert texts(path) == ["a", "b"]
    assert texts(path, column="body") == ["x"] * 4
    with pytest.raises(NimError, match=r"no column 'nope'.*text, body, n"):
        texts(path, column="nope")
    with pytest.raises(NimError, match="not text"):
        texts(path, column="n")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(NimError, match="cannot read"):
        texts(path)


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("piped ä".encode())))
    assert texts("-") == ["piped ä"]
