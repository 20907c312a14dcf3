"""SFT: masks, errors that name the row, training from a run folder, resume."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from nimllm.alignment import sft
from nimllm.errors import NimError, UsageError
from nimllm.llm.checkpoint import read_tensors
from nimllm.llm.shards import Shard
from nimllm.llm.tokenizer import Tokenizer

ROWS = [{"messages": [{"role": "user", "content": f"what is {n}?"}, {"role": "assistant", "content": f"it is {n + 1}"}]}
        for n in range(40)]


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def arguments(data: Path, run: Path, out: Path, **changes: object) -> argparse.Namespace:
    given = dict(method="sft", data=[str(data)], model=str(run), out=str(out), resume=False, epochs=8.0, lr=3e-3,
                 batch_tokens=512, val_fraction=0.1, skip_long=False, device="cpu", threads=1, seed=0, plain=True)
    return argparse.Namespace(**{**given, **changes})


def test_loss_is_on_the_models_words_only(tmp_path: Path, tokenizer: Tokenizer) -> None:
    rows = [*ROWS[:2], {"turns": [{"role": "user", "text": "list"}, {"role": "bash", "text": "ls"},
                                  {"role": "output", "text": "secret"}, {"role": "assistant", "text": "done"}]}]
    data = sft.prepare([write(tmp_path / "rows.jsonl", rows)], tmp_path, tokenizer, 128, 0.4, 1)
    assert data.conversations + data.held_out == 3
    text = ""
    for path in (data.train, data.validation):
        shard = Shard(path)
        assert shard.learn is not None
        text += tokenizer.decode(int(index) for index, flag in zip(shard.tokens, shard.learn, strict=True) if flag)
    assert "<|bash|>ls<|end|>" in text and "it is 1<|end|>" in text and "<|assistant|>done<|end|>" in text
    assert "secret" not in text and "what is" not in text and "list" not in text


@pytest.mark.parametrize(("row", "what"), [
    ({"messages": [{"role": "user", "content": "hi"}]}, "line 3 has nothing to learn"),
    ({"turns": [{"role": "user", "text": "hi"}, {"role": "output", "text": "x"}]}, "line 3 has nothing to learn"),
    ({"turns": [{"role": "assistant", "text": "hi", "tainted": True}]}, "line 3 has nothing to learn"),
    ({"messages": [{"role": "king", "content": "hi"}]}, "line 3 is not a conversation"),
    ({"text": "no turns"}, "line 3 is not a conversation"),
    ({"messages": [{"role": "user", "content": "x " * 300}, {"role": "assistant", "content": "y"}]},
     "line 3 is longer than the context"),
])
def test_bad_rows_are_named(tmp_path: Path, tokenizer: Tokenizer, row: dict, what: str) -> None:
    data = write(tmp_path / "rows.jsonl", [*ROWS[:2], row])
    with pytest.raises(NimError, match=what):
        sft.prepare([data], tmp_path, tokenizer, 128)


def test_long_rows_are_left_out_and_counted_on_demand(tmp_path: Path, tokenizer: Tokenizer) -> None:
    long = {"messages": [{"role": "user", "content": "x " * 300}, {"role": "assistant", "content": "y"}]}
    found = sft.prepare([write(tmp_path / "rows.jsonl", [*ROWS[:4], long])], tmp_path, tokenizer, 128, skip_long=True)
    assert found.skipped == 1 and found.conversations + found.held_out == 4
    with pytest.raises(NimError, match="too few conversations"):
        sft.prepare([write(tmp_path / "rows.jsonl", [ROWS[0], long])], tmp_path, tokenizer, 128, skip_long=True)


def test_parquet_is_read_like_jsonl(tmp_path: Path, tokenizer: Tokenizer) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    write(tmp_path / "rows.jsonl", ROWS)
    one, two = ([turns for _, turns in sft.conversations([tmp_path / name])] for name in ("rows.parquet", "rows.jsonl"))
    assert one == two and len(one) == 40
    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "wrong.parquet")
    with pytest.raises(NimError, match="holds no conversations"):
        list(sft.conversations([tmp_path / "wrong.parquet"]))


def test_tuning_makes_a_new_run_and_resumes_exactly(tmp_path: Path, talking_run: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path / "rows.jsonl", ROWS)
    before = (talking_run / "model.safetensors").read_bytes()
    assert sft.main(arguments(data, talking_run, tmp_path / "one")) == 0
    assert "done:" in capsys.readouterr().out
    assert (talking_run / "model.safetensors").read_bytes() == before
    losses = [json.loads(line)["loss"] for line in (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.7 * losses[0]

    import nimllm.llm.train as train

    whole = train.Trainer.fit

    def stopped(self: train.Trainer, show: object = None) -> train.Outcome:
        self.settings = self.settings.model_copy(update={"stop_after": 2})
        return whole(self, show)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.Trainer, "fit", stopped)
        with pytest.raises(train.Interrupted):
            sft.main(arguments(data, talking_run, tmp_path / "two"))
    assert sft.main(arguments(data, talking_run, tmp_path / "two", resume=True)) == 0
    again = [json.loads(line)["loss"] for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert again == losses
    one, two = (read_tensors(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(np.array_equal(one[name], two[name]) for name in one)

    with pytest.raises(NimError, match="already holds a model"):
        sft.main(arguments(data, talking_run, tmp_path / "one"))
    with pytest.raises(NimError, match="started with other conversations"):
        sft.main(arguments(write(tmp_path / "rows.jsonl", ROWS[:-1]), talking_run, tmp_path / "two", resume=True))
    with pytest.raises(UsageError, match="would be overwritten"):
        sft.main(arguments(data, talking_run, talking_run))
    with pytest.raises(UsageError, match="--epochs"):
        sft.main(arguments(data, talking_run, tmp_path / "three", epochs=0.0))
