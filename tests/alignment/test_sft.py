"""SFT: masks, errors that name the row, training from a run folder, resume."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
import pytest

from nimllm.alignment import sft
from nimllm.alignment.conversations import Fitting, conversations
from nimllm.cli import parser
from nimllm.errors import NimError, UsageError
from nimllm.llm.checkpoint import read_tensors
from nimllm.llm.data.tally import Tally
from nimllm.llm.shards import Shard
from nimllm.llm.tokenizer import Tokenizer

ROWS = [{"messages": [{"role": "user", "content": f"what is {n}?"}, {"role": "assistant", "content": f"it is {n + 1}"}]}
        for n in range(40)]


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def arguments(data: Path, run: Path, out: Path, **changes: object) -> argparse.Namespace:
    given = ["align", "sft", str(data), "--model", str(run), "--out", str(out), "--epochs", "8", "--lr", "3e-3",
             "--batch-tokens", "512", "--val-fraction", "0.1", "--device", "cpu", "--threads", "1", "--plain"]
    return argparse.Namespace(**{**vars(parser().parse_args(given)), **changes})


def prepared(path: Path, tokenizer: Tokenizer, rows: list[dict], context: int = 128, strict: bool = False,
             **fitting: bool | str) -> sft.Prepared:
    made = Fitting(tokenizer, context, **fitting)  # type: ignore[arg-type]
    return sft.prepare([write(path / "rows.jsonl", rows)], path, made, 0.4, 1, strict)


def learnt(data: sft.Prepared, tokenizer: Tokenizer) -> str:
    text = ""
    for path in (data.train, data.validation):
        shard = Shard(path)
        assert shard.learn is not None
        text += tokenizer.decode(int(index) for index, flag in zip(shard.tokens, shard.learn, strict=True) if flag)
    return text


def test_loss_is_on_the_models_words_only(tmp_path: Path, tokenizer: Tokenizer) -> None:
    rows = [*ROWS[:2], {"turns": [{"role": "user", "text": "list"}, {"role": "bash", "text": "ls"},
                                  {"role": "output", "text": "secret"}, {"role": "assistant", "text": "done"}]}]
    data = prepared(tmp_path, tokenizer, rows)
    assert data.conversations + data.held_out == 3
    text = learnt(data, tokenizer)
    assert "<|bash|>ls<|end|>" in text and "it is 1<|end|>" in text and "<|assistant|>done<|end|>" in text
    assert text.count("<|assistant|>") == 1  # the harness opens the answers of conversations
    held = Shard(data.validation)
    assert held.learn is not None
    own = tokenizer.decode(int(index) for index, flag in zip(held.tokens, held.learn, strict=True) if flag)
    own = re.sub(r"<\|\w+\|>", "", own)
    assert data.bytes_per_token == pytest.approx(len(own.encode()) / int(held.learn.sum()))
    assert "secret" not in text and "what is" not in text and "list" not in text
    assert learnt(prepared(tmp_path, tokenizer, rows, rule="assistant"), tokenizer).count("<|") == 3
    assert learnt(prepared(tmp_path, tokenizer, rows, rule="model"), tokenizer).count("<|assistant|>") == 3


LONG = {"messages": [{"role": "user", "content": "x " * 300}, {"role": "assistant", "content": "y"}]}


@pytest.mark.parametrize(("row", "what"), [
    ({"messages": [{"role": "user", "content": "hi"}]}, "line 3 has nothing to learn"),
    ({"turns": [{"role": "user", "text": "hi"}, {"role": "output", "text": "x"}]}, "line 3 has nothing to learn"),
    ({"turns": [{"role": "assistant", "text": "hi", "tainted": True}]}, "line 3 has nothing to learn"),
    ({"prompt": "hi", "completion": " \n"}, "line 3 has nothing to learn"),
    (LONG, "line 3 is longer than the context"),
])
def test_what_cannot_be_learnt_is_an_error(tmp_path: Path, tokenizer: Tokenizer, row: dict, what: str) -> None:
    with pytest.raises(NimError, match=what):
        prepared(tmp_path, tokenizer, [*ROWS[:2], row])
    found = prepared(tmp_path, tokenizer, [*ROWS[:2], row], skip_long=True, skip_empty=True)
    assert found.conversations + found.held_out == 2 and found.tally.total(bad=False) == 1
    assert "line 3" in found.report() and not found.tally.total(bad=True)


def test_bad_rows_are_counted_and_named_and_stop_a_strict_run(tmp_path: Path, tokenizer: Tokenizer) -> None:
    bad = [{"messages": [{"role": "king", "content": "hi"}]}, {"text": "no turns"}, {"messages": "hi"},
           {"messages": [{"role": "assistant", "content": "a\0b"}]}, {"messages": [{"role": "user", "content": 3}]},
           {"messages": []}, {"prompt": "a", "completion": "b", "label": False}, {"prompt": "a"}]
    good = write(tmp_path / "rows.jsonl", [*ROWS[:2], *bad]).read_bytes()
    path = tmp_path / "rows.jsonl"
    path.write_bytes(good + b'not json\n[1]\n\xff\xfe\n\n{"messages": [{"role": "assistant", "content": "\\ud800"}]}\n'
                     + b"[" * 100_000 + b"\n")
    found = sft.prepare([path], tmp_path, Fitting(tokenizer, 128), 0.4, 1)
    assert found.conversations + found.held_out == 2 and found.tally.total(bad=True) == 13
    assert found.tally.counts() == {"not a conversation": 7, "NULs": 1, "not JSON": 3, "not an object": 1,
                                    "lone surrogates": 1}
    assert "rows.jsonl line 3" in found.report() and "3 not JSON" in found.report()
    with pytest.raises(NimError, match="line 3 is not a conversation"):
        sft.prepare([path], tmp_path, Fitting(tokenizer, 128), 0.4, 1, strict=True)
    write(path, bad)
    with pytest.raises(NimError, match=r"too few conversations: 0 usable; left out: .*7 not a conversation"):
        sft.prepare([path], tmp_path, Fitting(tokenizer, 128), 0.4, 1)


def test_too_few_that_fit(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(NimError, match=r"too few conversations: 1 usable; left out: 1 longer"):
        prepared(tmp_path, tokenizer, [ROWS[0], LONG], skip_long=True)


def test_both_sides_get_something_whatever_the_fraction(tmp_path: Path, tokenizer: Tokenizer) -> None:
    for fraction in (1e-9, 0.5):
        for seed in range(4):
            path = write(tmp_path / "rows.jsonl", ROWS[:2])
            found = sft.prepare([path], tmp_path, Fitting(tokenizer, 128), fraction, seed)
            assert (found.conversations, found.held_out) == (1, 1)


def test_oldest_exchanges_are_dropped_and_never_an_answer(tmp_path: Path, tokenizer: Tokenizer) -> None:
    system = {"role": "system", "content": "be brief"}
    talk = [{"role": role, "content": f"{role} {n} " + "word " * 8} for n in range(9) for role in ("user", "assistant")]
    with pytest.raises(NimError, match="--drop-turns oldest"):
        prepared(tmp_path, tokenizer, [*ROWS[:2], {"messages": [system, *talk]}])
    found = prepared(tmp_path, tokenizer, [*ROWS[:2], {"messages": [system, *talk]}], drop_turns=True)
    assert found.shortened == 1 and "without their oldest turns" in found.report()
    everything = "".join(tokenizer.decode(Shard(path).tokens.tolist()) for path in (found.train, found.validation))
    kept = [n for n in range(9) if f"<|user|>user {n} " in everything]
    assert kept == list(range(kept[0], 9)) and 2 <= len(kept) < 9 and "<|system|>be brief<|end|><|user|>" in everything
    assert all(f"assistant {n} " + "word " * 8 + "<|end|>" in learnt(found, tokenizer) for n in kept)
    with pytest.raises(NimError, match="longer than the context"):  # one exchange alone is too long
        prepared(tmp_path, tokenizer, [*ROWS[:2], LONG], drop_turns=True)


def test_a_packed_step_is_that_of_the_conversations_one_by_one(tmp_path: Path, tokenizer: Tokenizer) -> None:
    import torch

    from nimllm.alignment.conversations import rendered, turns_of
    from nimllm.llm.batches import IGNORE, Windows
    from nimllm.llm.model import GPT
    from nimllm.llm.presets import preset

    rows = [{"messages": [*row["messages"], *other["messages"][: 2 * (n % 2)]]}
            for n, (row, other) in enumerate(zip(ROWS[:14], ROWS[20:], strict=False))]
    data = prepared(tmp_path, tokenizer, rows)
    windows = Windows(Shard(data.train), 128, 0, True, tokenizer.pad, tokenizer.bos)
    batch = windows.batch(0, windows.count)
    torch.manual_seed(0)
    model = GPT(preset("tiny", tokenizer.vocab_size, context=128, n_layers=2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    assert batch.documents is not None
    packed = model(batch.inputs, batch.targets, documents=batch.documents)
    packed.backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    total = torch.zeros(())
    text = tokenizer.decode(Shard(data.train).tokens.tolist())
    alone = [rendered(turns_of(row, ""), tokenizer) for row in rows
             if f"<|user|>{row['messages'][0]['content']}<|end|>" in text]
    assert len(alone) == data.conversations > windows.count  # several in a row
    for made in alone:
        ids = torch.tensor([made.ids])
        targets = torch.where(torch.tensor([made.learn]), ids, IGNORE)[:, 1:]
        loss = model(ids[:, :-1], targets.contiguous()) * (sum(made.learn) / data.learnt)
        loss.backward()
        total += loss.detach()
    assert packed.item() == pytest.approx(total.item(), rel=1e-5) and batch.learnt == data.learnt
    for one, parameter in zip(gradients, model.parameters(), strict=True):
        assert parameter.grad is not None
        assert (one - parameter.grad).norm() <= 1e-4 * max(1e-3, float(parameter.grad.norm()))


def test_parquet_is_read_like_jsonl(tmp_path: Path, tokenizer: Tokenizer) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    write(tmp_path / "rows.jsonl", ROWS)
    one, two = ([turns for _, turns in conversations([tmp_path / name], Tally(strict=True))]
                for name in ("rows.parquet", "rows.jsonl"))
    assert one == two and len(one) == 40
    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "wrong.parquet")
    with pytest.raises(NimError, match="row 1 is not a conversation"):
        list(conversations([tmp_path / "wrong.parquet"], Tally(strict=True)))


def test_tuning_makes_a_new_run_and_resumes_exactly(tmp_path: Path, talking_run: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path / "rows.jsonl", ROWS)
    before = (talking_run / "model.safetensors").read_bytes()
    assert sft.main(arguments(data, talking_run, tmp_path / "one")) == 0
    assert "done:" in capsys.readouterr().out
    assert (talking_run / "model.safetensors").read_bytes() == before
    losses = [json.loads(line)["loss"] for line in (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.7 * losses[0]
    about = json.loads((tmp_path / "one" / "sft.json").read_text())
    assert about["conversations"] + about["held_out"] == 40 and about["learn"] == "auto" and about["left_out"] == {}
    settings = json.loads((tmp_path / "one" / "config.json").read_text())["training"]
    assert settings["document_mask"] and settings["aligned"]

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
