"""A corpus as a whole: bad rows, conditions, duplicates, workers, the report; what is asked for is what is prepared."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from nimllm import cli
from nimllm.errors import NimError, UsageError
from nimllm.llm.data import pool, scan, streams
from nimllm.llm.data.options import DataOptions, add
from nimllm.llm.data.pool import Pool
from nimllm.llm.data.tally import Tally
from nimllm.llm.data.work import Item, Setup, job
from nimllm.llm.prepare import Prepared, prepare
from nimllm.llm.shards import Shard
from nimllm.llm.text import Reading, documents
from nimllm.llm.tokenizer import train_bpe

WORDS = [f"{a}{b}" for a in ("str", "qua", "lin", "mor", "tel", "un", "ver", "pre") for b in ("am", "ort", "ive", "on")]


def prose(seed: int, length: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length)) + ".\n"


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def decoded(prepared: Prepared) -> tuple[list[str], list[str]]:
    """The documents of training and validation."""
    found = []
    for path in (prepared.train, prepared.val):
        text, tokenizer = [], prepared.tokenizer
        for index in Shard(path).tokens.tolist():
            if index == tokenizer.bos:
                text.append([])
            text[-1].append(index)
        found.append([tokenizer.decode(ids) for ids in text])
    return found[0], found[1]


BAD = [b"{", b"[1]", b'{"text": 3}', b'{"body": "x"}', b'{"text": "\\ud800"}', b'{"text": "a\\u0000b"}',
       b'{"text": "\xff"}', b'{"text": "' + b"x" * 3000 + b'"}', b"[" * 100_000,
       b'{"messages": [{"role": "boss", "content": "x"}]}', b'{"messages": "hi"}', b"9" * 2000]


def test_bad_rows_are_counted_with_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_ROW", 2500)
    monkeypatch.setattr(streams, "PART", 1000)
    path = tmp_path / "d.jsonl"
    good = [json.dumps({"text": prose(number)}).encode() for number in range(len(BAD))]
    path.write_bytes(b"\n".join(line for two in zip(good, BAD, strict=True) for line in two))
    tally = Tally()
    assert [document.text for document in documents([path], tally=tally)] == [prose(n) for n in range(len(BAD))]
    assert tally.counts() == {
        "not JSON": 1, "not an object": 2, "'text' is not text": 1, "no column 'text'": 1, "lone surrogates": 1,
        "NULs": 1, "not UTF-8": 1, "rows of more than 0 MB": 2, "not a conversation": 2}
    assert tally.reasons["not JSON"].first == [f"{path} line 2"]
    assert tally.reasons["lone surrogates"].first == [f"{path} line 10"]
    assert tally.total(bad=True) == len(BAD)
    for number, line in enumerate(BAD):
        path.write_bytes(good[0] + b"\n\n" + line + b"\n" + good[1])
        with pytest.raises(NimError, match=r"d.jsonl line 3"):
            list(documents([path], tally=Tally(strict=True)))
        path.write_bytes(line + b"\n" + line)
        with pytest.raises(NimError, match=r"d.jsonl holds nothing usable: of its 2 rows: 2 .*d.jsonl line 1"):
            list(documents([path], tally=Tally())), number


def test_null_and_empty_texts_are_left_out_and_are_no_flaw(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", [{"text": None}, {"text": " \n"}, {"text": "good"}, {"turns": [], "text": None}])
    tally = Tally()
    assert [document.text for document in documents([path], tally=tally)] == ["good"]
    assert tally.counts() == {"without text": 3} and tally.total(bad=True) == 0


def test_several_columns_of_rows_that_lack_some(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", [{"title": "A", "text": "a"}, {"text": "b"}, {"title": None, "text": "c"},
                                        {"title": "D"}, {"body": "e"}])
    tally = Tally()
    got = documents([path], Reading(("title", "text")), tally)
    assert [document.text for document in got] == ["A\n\na", "b", "c", "D"]
    assert tally.counts() == {"no column 'title'": 1}


def test_a_bad_line_of_a_text_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"good line\n" * 300 + b"caf\xe9\n" + b"x\0y\n" + b"good line\n" * 300)
    tally = Tally()
    assert "".join(document.text for document in documents([path], tally=tally)) == "good line\n" * 600
    assert tally.counts() == {"not UTF-8": 1, "NULs": 1}
    assert tally.reasons["NULs"].first == [f"{path} line 302"]
    with pytest.raises(NimError, match="offset 3003"):
        list(documents([path]))


def test_a_file_in_a_folder_that_ends_badly_keeps_its_beginning(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PART", 1000)
    (tmp_path / "a.txt").write_bytes(b"good line\n" * 300 + b"\0" * 200)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "row"}\n' * 500)[:-20])
    (tmp_path / "c.txt").write_text("fine\n")
    tally = Tally()
    found = list(documents([tmp_path], tally=tally))
    text = "".join(document.text for document in found if document.source.endswith("a.txt"))
    assert text == "good line\n" * (len(text) // 10) and 100 < len(text) // 10 < 300
    assert [document.last for document in found if document.source.endswith("a.txt")][-1]
    assert sum(document.first for document in found) == sum(document.last for document in found)
    assert found[-1].text == "fine\n"
    assert set(tally.counts()) == {"binary from the middle on", "unreadable from the middle on"} \
        or set(tally.counts()) == {"binary from the middle on", "unreadable"}


def parquet(path: Path, count: int = 1000) -> Path:
    pyarrow.parquet.write_table(pyarrow.table({
        "title": [f"title {number}" if number % 5 else None for number in range(count)],
        "text": [prose(number) if number != 7 else None for number in range(count)],
        "score": [number % 10 for number in range(count)], "lang": ["de" if number % 2 else "en"
                                                                    for number in range(count)],
        "meta": [{"safe": number % 3 == 0} for number in range(count)]}), path, row_group_size=300)
    return path


def test_parquet_by_columns_and_conditions(tmp_path: Path) -> None:
    path = parquet(tmp_path / "p.parquet")
    tally = Tally()

    def read(columns: tuple[str, ...], where: str) -> list[str]:
        return [document.text for document in documents([path], DataOptions(columns, where).reading(), tally)]

    rows = [number for number in range(1000) if number != 7]
    assert read(("text",), "") == [prose(number) for number in rows]
    assert tally.counts() == {"without text": 1}
    assert read(("text",), "score >= 8 and lang = 'de'") == [prose(n) for n in rows if n % 10 >= 8 and n % 2]
    assert read(("text",), "meta.safe") == [prose(n) for n in rows if n % 3 == 0], "a path is tested row by row"
    assert tally.counts()["filtered out by --where"] == 900 + 666
    assert read(("title", "text"), "score = 1") == [
        f"title {n}\n\n{prose(n)}" for n in rows if n % 10 == 1]
    assert read(("title", "text"), "score = 5")[0] == prose(5), "a null beside a text is left out"
    assert [document.source for document in documents([path], DataOptions(where="score = 9").reading(), Tally())][:2] \
        == [f"{path} row 10", f"{path} row 20"]
    for where, complaint in (("scoer > 3", r"no column 'scoer', which --where asks for: its columns are title, text"),
                             ("meta.safe.x.y = 1 and nope is null", "no column 'nope'")):
        with pytest.raises(NimError, match=complaint):
            read(("text",), where)
    assert read(("text",), "score > 99") == [], "what --where leaves out is no flaw of the file"
    count = tally.total(bad=True)
    with pytest.raises(NimError, match=r"holds nothing usable.*lang is text"):
        read(("text",), "lang > 3")
    assert tally.total(bad=True) == count + 1000


def test_conditions_on_jsonl(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", [{"text": "a", "s": 1}, {"text": "b", "s": 9}, {"text": "c"},
                                        {"text": "d", "s": "9"}])
    tally = Tally()
    got = documents([path], Reading(where=DataOptions(where="s >= 5").reading().where), tally)
    assert [document.text for document in got] == ["b"]
    assert tally.counts() == {"filtered out by --where": 2, "wrong types for --where": 1}
    assert tally.reasons["wrong types for --where"].first == [f"{path} line 4"]
    with pytest.raises(NimError, match="no column 'q', which --where asks for: its columns are text, s"):
        list(documents([path], DataOptions(where="q > 3").reading(), Tally()))


def test_other_compressions_and_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bz2

    row = b'{"text": "packed"}\n'
    with pyarrow.output_stream(str(tmp_path / "a.jsonl.zst"), compression="zstd") as file:
        file.write(row * 1000)
    (tmp_path / "b.jsonl.bz2").write_bytes(bz2.compress(row))
    (tmp_path / "c.txt").write_bytes(row)
    assert [d.text for d in documents([tmp_path / "a.jsonl.zst", tmp_path / "b.jsonl.bz2"])] == ["packed"] * 1001
    assert [d.text for d in documents([tmp_path / "c.txt"], Reading(format="jsonl"))] == ["packed"]
    assert [d.text for d in documents([tmp_path / "b.jsonl.bz2"], Reading(format="text"))] == [row.decode()]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(row * 2)))
    assert [d.text for d in documents(["-"], Reading(format="jsonl"))] == ["packed"] * 2
    data = (tmp_path / "a.jsonl.zst").read_bytes()
    (tmp_path / "a.jsonl.zst").write_bytes(data[:len(data) // 2])
    with pytest.raises(NimError, match=r"a.jsonl.zst"):
        list(documents([tmp_path / "a.jsonl.zst"]))


def test_gitignore_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("keep.py", "drop.log", "sub/keep.md", "sub/secret.txt", "sub/.hidden"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "sub" / ".gitignore").write_text("secret.*\n")
    assert [d.text for d in documents([tmp_path])] == ["keep.py", "sub/keep.md"]
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    tally = Tally()
    assert len(list(documents([tmp_path], tally=tally))) == 4
    assert tally.notes == [f"git is not installed: the .gitignore files of {tmp_path} are not read"]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """300 different texts with exact and near duplicates among them, and conversations."""
    texts = [prose(number, 80) for number in range(300)]
    texts[50:50] = texts[:10]
    for number in range(20, 30):
        words = texts[number].split(" ")
        words[40] = "changed"
        texts.append(" ".join(words))
    found: list[dict[str, Any]] = [{"text": f"“{text}”…" if number % 3 == 0 else text}
                                   for number, text in enumerate(texts)]
    found[100:100] = [{"turns": [{"role": "user", "text": f"“{n}”"}, {"role": "bash", "text": f"echo “{n}”"},
                                 {"role": "assistant", "text": str(n)}]} for n in range(20)]
    return found


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path, rows: list[dict[str, Any]],
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "BATCH", 3000)
    path = write(tmp_path / "d.jsonl", rows)
    book = tmp_path / "book.txt"
    book.write_text("".join(prose(number) for number in range(1000, 1300)))
    results = []
    for workers in (1, 2, 3):
        run = tmp_path / f"run{workers}"
        got = prepare([path, book], run, vocab_size=400, context=32, own_turns=True,
                      options=DataOptions(clean=("quotes", "ellipsis"), dedup="near", workers=workers))
        about = json.loads((run / "data.json").read_text())
        about["report"].pop("seconds")
        results.append((got.train.read_bytes(), got.val.read_bytes(), about["report"], about["checksums"],
                        (run / "tokenizer.model").read_bytes()))
    assert results[0] == results[1] == results[2]


def test_duplicates_go_and_the_report_says_so(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = write(tmp_path / "d.jsonl", [row for row in rows if "text" in row])
    kept = {}
    for mode in ("off", "exact", "near"):
        got = prepare([path], tmp_path / mode, vocab_size=400, context=32, options=DataOptions(dedup=mode,
                                                                                              clean=("quotes",)))
        train, val = decoded(got)
        report = json.loads((tmp_path / mode / "data.json").read_text())["report"]
        assert report["documents"] == len(train) + len(val)
        kept[mode] = len(train) + len(val)
        if mode != "off":
            assert not set(train) & set(val)
        if mode == "near":
            assert not {text[:100] for text in train} & {text[:100] for text in val}, "no near copy on the other side"
    report = json.loads((tmp_path / "near" / "data.json").read_text())["report"]
    assert kept["off"] == 320 and kept["exact"] < 320
    assert kept["off"] - kept["exact"] == report["duplicates"]["exact"] > 0
    assert kept["exact"] - kept["near"] == report["duplicates"]["near"] >= 10
    assert report["dropped"]["near duplicates"] == {"count": report["duplicates"]["near"], "bad": False, "first": []}
    assert report["sources"][0]["dropped_documents"] == 320 - kept["near"]


def test_cleaning_spares_commands_and_is_recorded(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = write(tmp_path / "d.jsonl", rows)
    got = prepare([path], tmp_path / "run", vocab_size=400, context=32, options=DataOptions(clean=("quotes",)))
    text = got.tokenizer.decode(Shard(got.train).tokens.tolist())
    assert "“" not in text.replace("echo “", "") and "echo “" in text and "…" in text
    manifest = json.loads((tmp_path / "run" / "data.json").read_text())
    assert manifest["settings"]["clean"] == ["quotes"]
    assert manifest["report"]["cleaning"]["quotes"]["texts"] > 100
    said: list[str] = []
    prepare([path], tmp_path / "run", vocab_size=400, context=32, options=DataOptions(clean=("quotes",), workers=2),
            report=said.append)
    assert "reused" in said[0], "the number of workers changes nothing"
    for other in (DataOptions(), DataOptions(clean=("quotes",), dedup="exact"),
                  DataOptions(clean=("quotes",), where="length(text) > 3")):
        said.clear()
        prepare([path], tmp_path / "run", vocab_size=400, context=32, options=other, report=said.append)
        assert "reused" not in said[0]


def test_data_prepared_before_these_options_is_still_reused(tmp_path: Path) -> None:
    book, run = tmp_path / "book.txt", tmp_path / "run"
    book.write_text("".join(prose(number) for number in range(100)))
    prepare([book], run, vocab_size=400, context=32)
    manifest = json.loads((run / "data.json").read_text())
    manifest["version"] = 1
    manifest["settings"] = {key: manifest["settings"][key] for key in (
        "kind", "vocab_size", "val_fraction", "context", "own_turns")} | {"column": "text"}
    (run / "data.json").write_text(json.dumps(manifest))
    (run / "model.safetensors").touch()
    said: list[str] = []
    prepare([book], run, vocab_size=400, context=32, report=said.append)
    assert "reused" in said[0]
    with pytest.raises(NimError, match="trained on other text or other settings"):
        prepare([book], run, vocab_size=400, context=32, options=DataOptions(dedup="exact"))


def test_strict_stops_and_leaves_nothing(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = write(tmp_path / "d.jsonl", [*rows, {"text": 5}])
    with pytest.raises(NimError, match=rf"d.jsonl line {len(rows) + 1} has no text in 'text'"):
        prepare([path], tmp_path / "run", context=32, options=DataOptions(strict=True))
    assert not list((tmp_path / "run").glob("*"))
    got = prepare([path], tmp_path / "run", vocab_size=400, context=32)
    report = json.loads((tmp_path / "run" / "data.json").read_text())["report"]
    place = f"{path} line {len(rows) + 1}"
    assert report["dropped"]["'text' is not text"] == {"count": 1, "bad": True, "first": [place]}
    assert report["tokens"]["tokens"] == got.train_tokens + got.val_tokens
    assert report["split"]["validation_bytes"] == got.val_bytes
    with pytest.raises(NimError, match="nothing is left of the text: 340 filtered"):
        prepare([path], tmp_path / "none", context=32, options=DataOptions(where="text = 'x' or length(turns) > 9"))


def test_a_file_that_grows_between_the_passes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "d.jsonl", [{"text": prose(number)} for number in range(100)])
    train = train_bpe

    def meanwhile(*given: Any, **named: Any) -> Any:
        with open(path, "a") as file:
            file.write(json.dumps({"text": "one more"}) + "\n")
        return train(*given, **named)

    monkeypatch.setattr("nimllm.llm.prepare.train_bpe", meanwhile)
    with pytest.raises(NimError, match="changed while it was read"):
        prepare([path], tmp_path / "run", vocab_size=400, context=32)
    assert not list((tmp_path / "run").glob("*shard*"))


def test_a_killed_worker_is_one_clear_error() -> None:
    with Pool(Setup(), 2) as workers:
        def jobs() -> Any:
            for number in range(50):
                if number == 3:
                    workers._processes[0].send_signal(signal.SIGKILL)
                    workers._processes[0].wait()
                yield job("scan", [Item(b"some text")])

        with pytest.raises(NimError, match=r"worker process .* died: signal 9.*fewer --workers"):
            list(workers.map(jobs()))
    assert all(process.returncode is not None for process in workers._processes)


def test_workers_import_no_torch_and_end_with_their_input() -> None:
    code = ("import sys, nimllm.llm.data.work as work; assert work.main() == 0; "
            "print(sorted(m for m in ('torch', 'transformers', 'pyarrow') if m in sys.modules), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, timeout=60)
    assert done.stderr == b"[]\n" and done.stdout == b"" and done.returncode == 0


def test_interrupted_nothing_is_left_running(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    with open(path, "w") as file:
        for number in range(20_000):
            file.write(json.dumps({"text": prose(number, 200)}) + "\n")
    tokenizer = train_bpe([prose(1, 2000)], 300)
    tokenizer.save(tmp_path / "tok")
    code = ("import sys; from pathlib import Path; from nimllm.llm.tokenizer import Tokenizer\n"
            "from nimllm.llm.data.options import DataOptions; from nimllm.llm.prepare import prepare\n"
            "prepare([sys.argv[1]], Path(sys.argv[2]), Tokenizer.load(Path(sys.argv[3])), context=64,"
            " options=DataOptions(workers=2), report=lambda m: print(m, flush=True))")
    child = subprocess.Popen([sys.executable, "-c", code, str(path), str(tmp_path / "run"), str(tmp_path / "tok")],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    assert child.stdout is not None
    child.stdout.readline()
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to all of them
    child.wait(60)
    assert child.returncode != 0
    time.sleep(0.2)
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
    assert not list((tmp_path / "run").glob("*shard*")) and not list((tmp_path / "run").glob(".*tmp"))


def test_a_full_disk_leaves_nothing_half_usable(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", [{"text": prose(number, 200)} for number in range(400)])
    code = ("import resource, signal, sys; from pathlib import Path; from nimllm.errors import NimError\n"
            "from nimllm.llm.prepare import prepare\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
            "try: prepare([sys.argv[1]], Path(sys.argv[2]), kind='char', context=64)\n"
            "except NimError as error: print(error.message())")
    done = subprocess.run([sys.executable, "-c", code, str(path), str(tmp_path / "run")], capture_output=True,
                          text=True, timeout=60)
    assert "cannot write" in done.stdout and "train.shard: File too large" in done.stdout, done.stderr
    assert [entry.name for entry in (tmp_path / "run").iterdir()] == ["tokenizer.json"]


def test_options_are_checked() -> None:
    parser = argparse.ArgumentParser()
    add(parser)

    def of(*words: str) -> DataOptions:
        return DataOptions.of(parser.parse_args(words))

    assert of("--column", "title, body", "--clean", "ellipsis,quotes", "--dedup", "near", "--strict") == DataOptions(
        ("title", "body"), clean=("quotes", "ellipsis"), dedup="near", strict=True)
    assert of("--clean", "none") == DataOptions()
    for words in (("--column", ","), ("--clean", "soap"), ("--where", "x >"), ("--workers", "-1")):
        with pytest.raises(UsageError):
            of(*words)


def test_the_command(tmp_path: Path, rows: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "d.jsonl", [*rows, {"text": 5}])
    assert cli.main(["data", str(path), "--dedup", "near", "--clean", "quotes", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["duplicates"]["near"] >= 10 and report["dropped"]["'text' is not text"]["count"] == 1
    assert 2 < report["tokens"]["characters_per_token"] < 6
    assert report["split"]["train_bytes"] + report["split"]["validation_bytes"] == report["bytes"]
    assert cli.main(["data", str(path), str(parquet(tmp_path / "p.parquet", 50))]) == 0
    said = capsys.readouterr().out
    assert "repeat an earlier one and stay (--dedup exact drops them)" in said and "p.parquet: 49 documents" in said
    assert f"left out, bad: 1 'text' is not text, first: {path} line {len(rows) + 1}" in said
    assert cli.main(["data", "--steps"]) == 0 and "quotes " in capsys.readouterr().out
    assert cli.main(["data"]) == 2
    assert cli.main(["data", str(path), "--where", "text >"]) == 2
    assert cli.main(["data", str(path), "--strict"]) == 3
    assert "line 341" in capsys.readouterr().err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["d.jsonl", "p.parquet"], "nothing is written"


def test_memory_does_not_grow_with_the_text() -> None:
    """Scanning 2 and 10 MB of a generated stream with the sample switched off: peaks within 4 MB of one another."""
    code = ("import sys, resource, tempfile; from pathlib import Path\n"
            "from nimllm.llm.data import scan as module; from nimllm.llm.data.tally import Tally\n"
            "from nimllm.llm.text import Document; module.SAMPLE = 1\n"
            "stream = (Document(f'{n} ' + 'some words of text ' * 100, 'x') for n in range(int(sys.argv[1])))\n"
            "module.scan(stream, (), 'near', False, 1, Path(tempfile.gettempdir()), Tally(), lambda m: None)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)")
    peaks = [int(subprocess.run([sys.executable, "-c", code, count], capture_output=True, check=True).stdout)
             for count in ("1000", "5000")]
    assert peaks[1] - peaks[0] < 4_000, peaks


def test_few_cores_or_little_text_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "cores", lambda: 8)
    assert [pool.workers_for(wanted, size) for wanted, size in ((0, 100), (0, 1 << 30), (3, 100), (1, 1 << 30))] == \
        [1, 8, 3, 1]
