"""Rows for pretraining: every prediction once an epoch, a bos in front of everything, the same rows whoever asks."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.errors import NimError
from nimllm.llm import document_starts as index
from nimllm.llm.batches import BLOCK, POOL, Packed, Windows, open_rows, share
from nimllm.llm.model import IGNORE
from nimllm.llm.packing import fill
from nimllm.llm.settings import TrainSettings
from nimllm.llm.shards import Shard, ShardWriter

BOS, PAD, VOCAB = 1, 3, 1 << 20


def shard(folder: Path, lengths: list[int], learn: bool = False, headless: bool = False) -> Shard:
    """Documents of so many ids, bos included; every other id is its own place, so that a row tells where it is from."""
    ids = np.arange(10, 10 + sum(lengths))
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(int)
    ids[starts[1:] if headless else starts] = BOS
    with ShardWriter(folder / "s.shard", VOCAB) as writer:
        writer.append(ids, (ids % 3 > 0) if learn else None)
    return Shard(folder / "s.shard")


def epoch(rows: Packed, number: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    batch = rows.batch(number * rows.count, rows.count)
    assert batch.documents is not None
    first = np.zeros(batch.inputs.numel(), bool)
    first[batch.documents.bounds[:-1].numpy()] = True
    return batch.inputs.numpy(), batch.targets.numpy(), first.reshape(batch.inputs.shape)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 70), min_size=1, max_size=60), st.integers(1, 12), st.integers(0, 4), st.integers(0, 9))
def test_filling_keeps_every_token_once(lengths: list[int], context: int, spare: int, seed: int) -> None:
    rows = -(-sum(lengths) // context) + spare
    made = fill(lengths, rows, context, np.random.default_rng(seed))
    assert len(made) == rows
    assert all(sum(piece.length for piece in row) <= context and all(piece.length > 0 for piece in row) for row in made)
    places = Counter((piece.document, piece.start + i) for row in made for piece in row for i in range(piece.length))
    assert places == Counter((document, i) for document, length in enumerate(lengths) for i in range(length))
    if sum(lengths) == rows * context:
        assert all(sum(piece.length for piece in row) == context for row in made)


def test_filling_cuts_no_more_than_it_must() -> None:
    rng = np.random.default_rng(0)
    fits = fill([5, 5, 3, 3, 2, 2], 2, 10, rng)
    assert sorted(piece.length for row in fits for piece in row) == [2, 2, 3, 3, 5, 5]
    cut = fill([7, 7, 6], 2, 10, rng)  # one of them goes on in the other gap
    assert sorted(piece.length for row in cut for piece in row) == [3, 3, 7, 7]
    with pytest.raises(ValueError, match="21 tokens"):
        fill([21], 2, 10, rng)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=80), st.integers(2, 16), st.booleans(), st.booleans())
def test_every_prediction_inside_a_document_comes_once(tmp_path_factory: pytest.TempPathFactory, lengths: list[int],
                                                       context: int, shifted: bool, headless: bool) -> None:
    source = shard(tmp_path_factory.mktemp("s"), lengths, headless=headless)
    pairs = sum(lengths) - len(lengths)
    if pairs - (context // 2 if shifted else 0) < context and (shifted or not pairs):
        with pytest.raises(NimError, match="too small"):
            Packed(source, context, 0, BOS, PAD, True, shifted)
        return
    rows = Packed(source, context, 0, BOS, PAD, True, shifted)
    inputs, targets, first = epoch(rows)
    here = targets != IGNORE
    places = targets[here] - 10
    assert len(np.unique(places)) == len(places) == min(pairs, rows.count * context)
    assert pairs - len(places) < context * (1 + shifted)
    if not shifted:  # from the first prediction on
        starts = set(np.cumsum([0, *lengths]).tolist())
        assert sorted(places.tolist()) == [i for i in range(sum(lengths)) if i not in starts][:len(places)]
    assert (inputs[first & here] == BOS).all() and (inputs[~here] == PAD).all()
    inner = here & ~first
    assert (inputs[inner] == targets[inner] - 1).all()  # the token before it, of the same document


def test_an_epoch_is_mixed_and_another_one_is_cut_elsewhere(tmp_path: Path) -> None:
    lengths = np.random.default_rng(1).integers(3, 60, 9000).tolist()
    rows = Packed(shard(tmp_path, lengths), 32, 0, BOS, PAD, True)
    assert rows.blocks > 2 * POOL and rows.count % BLOCK
    _, targets, _ = epoch(rows)
    assert (targets != IGNORE).all()  # nothing is padded
    again = targets[:16].max(1) // (BLOCK * 32)
    assert len(set(again.tolist())) > 10  # rows of a batch come from everywhere
    _, others, _ = epoch(rows, 1)
    assert not np.array_equal(np.sort(targets[:, 0]), np.sort(others[:, 0]))
    assert not np.array_equal(Packed(rows.shard, 32, 1, BOS, PAD, True).batch(0, 40).targets, targets[:40])


def test_a_row_depends_on_nothing_but_its_number(tmp_path: Path) -> None:
    lengths = np.random.default_rng(1).integers(3, 60, 9000).tolist()
    source = shard(tmp_path, lengths, learn=True)
    whole = Packed(source, 32, 5, BOS, PAD, True)
    rows = 2 * whole.count + 7
    straight = whole.batch(0, rows)
    for number in (0, 1, BLOCK * POOL - 1, BLOCK * POOL, whole.count - 1, whole.count, rows - 1):
        alone = Packed(source, 32, 5, BOS, PAD, True).batch(number, 1)
        assert np.array_equal(alone.inputs[0], straight.inputs[number])
        assert np.array_equal(alone.targets[0], straight.targets[number])
    backwards = [whole.batch(number, 1).targets for number in (40, 3, whole.count, 3)]
    assert all(np.array_equal(one[0], straight.targets[number])
               for one, number in zip(backwards, (40, 3, whole.count, 3), strict=True))


def test_loss_masks_are_kept(tmp_path: Path) -> None:
    source = shard(tmp_path, [20] * 30, learn=True)
    _, targets, _ = epoch(Packed(source, 16, 0, BOS, PAD, True))
    learnt = targets[targets != IGNORE]
    assert len(learnt) and (learnt % 3 > 0).all() and 0.6 < len(learnt) / targets.size < 0.7


def test_windows_know_documents_and_padding(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "w.shard", 100) as writer:
        writer.append([BOS, 10, 11, BOS, 12, PAD, PAD, PAD, 13, 14, BOS, 15, 16, 17, 18, 19, PAD])
    batch = Windows(Shard(tmp_path / "w.shard"), 8, 0, True, PAD, BOS).batch(0, 2)
    assert batch.documents is not None
    found = {int(row[0]): (begin, batch.documents.positions_bt[n].tolist())
             for n, (row, begin) in enumerate(zip(batch.inputs, (0, 8), strict=True))}
    assert found[BOS][1] == [0, 1, 2, 0, 1, 0, 1, 2] and found[13][1] == [0, 1, 0, 1, 2, 3, 4, 5]
    assert Windows(Shard(tmp_path / "w.shard"), 8, 0, True, PAD).batch(0, 2).documents is None


class Ids:
    bos, pad = BOS, PAD


def test_settings_choose(tmp_path: Path) -> None:
    source = shard(tmp_path, [20] * 30)

    def opened(training: bool, **fields: object) -> Windows | Packed:
        made = TrainSettings.model_validate({"steps": 1, "batch_rows": 1, "lr": 1.0, "seed": 4, **fields})
        return open_rows(source, 16, made, Ids(), training)  # type: ignore[arg-type]

    stream = opened(True)
    assert isinstance(stream, Windows) and not stream.aligned and stream.seed == 4
    assert stream.batch(0, 2).documents is None and opened(True, document_mask=True).batch(0, 2).documents is not None
    held = opened(False)
    assert isinstance(held, Windows) and held.aligned and held.seed == 0
    packed, held = opened(True, packing="bos"), opened(False, packing="bos", document_mask=True)
    assert isinstance(packed, Packed) and packed.seed == 4 and packed.slack and not packed.masked
    assert isinstance(held, Packed) and held.seed == 0 and not held.slack and held.masked
    assert stream.tokens_per_prediction == 1 and held.tokens_per_prediction == pytest.approx(600 / 570)
    aligned = opened(True, packing="bos", aligned=True)  # its shard was packed when it was written
    assert isinstance(aligned, Windows) and aligned.aligned


def test_what_packing_saves_is_measured(tmp_path: Path) -> None:
    lengths = np.exp(np.random.default_rng(0).normal(3.0, 0.8, 3000)).astype(int) + 2
    source = shard(tmp_path, lengths.tolist())
    stream, packed = Windows(source, 64, 0), Packed(source, 64, 0, BOS, PAD)
    one, other = share(stream, BOS, 10**9), share(packed, BOS, 10**9)
    short = int((lengths - 1 <= 64).sum())
    assert one.documents <= short and other.documents <= short and min(one.documents, other.documents) > 0.98 * short
    assert other.cut < 0.2 * one.cut and other.context > one.context
    assert one.padding == other.padding == 0 and one.left_out < 128 and other.left_out < 96
    book = Packed(shard(tmp_path, [1000]), 64, 0, BOS, PAD)
    assert share(book, BOS, 99).context == 32.5 and share(book, BOS, 99).documents == 0


def test_places_of_documents_are_kept_beside_a_large_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = shard(tmp_path, [5, 1, 30, 7], headless=True)
    assert index.document_starts(source, BOS).tolist() == [0, 5, 6, 36]
    assert not (tmp_path / "s.shard.starts").exists()
    monkeypatch.setattr(index, "SMALL", 1)
    monkeypatch.setattr(index, "_CHUNK", 4)
    kept = index.document_starts(source, BOS)
    assert isinstance(kept, np.memmap) and kept.tolist() == [0, 5, 6, 36]
    path = tmp_path / "s.shard.starts"
    good = path.read_bytes()
    scans = []
    monkeypatch.setattr(index, "_scan", lambda *given: scans.append(given) or iter([np.zeros(1, np.int64)]))
    assert index.document_starts(source, BOS).tolist() == [0, 5, 6, 36] and not scans
    for bad in (good[:-1], b"X" + good[1:], good[:20], b"", good[:16] + b"\0" + good[17:]):
        path.write_bytes(bad)
        index.document_starts(source, BOS)
        assert scans.pop() and path.read_bytes() != bad
    index.document_starts(source, BOS + 1)  # of another marker
    assert scans


def test_without_a_folder_to_write_in_places_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = shard(tmp_path, [5, 9])
    monkeypatch.setattr(index, "SMALL", 1)
    (tmp_path / "s.shard.starts").mkdir()
    assert index.document_starts(source, BOS).tolist() == [0, 5]


@pytest.mark.parametrize("mask", [False, True])
def test_a_killed_run_on_packed_rows_goes_on_exactly(tmp_path: Path, mask: bool) -> None:
    from nimllm.llm.presets import preset
    from nimllm.llm.tokenizer import train_char
    from nimllm.llm.train import Trainer, read_metrics

    texts = [f"{n} and {n} is {2 * n}.\n" * (1 + n % 5) for n in range(150)]
    tokenizer = train_char(texts)
    for name, part in (("train", texts[:120]), ("val", texts[120:])):
        with ShardWriter(tmp_path / f"{name}.shard", tokenizer.vocab_size) as writer:
            for text in part:
                writer.append([tokenizer.bos, *tokenizer.encode(text), tokenizer.eos])
    config = preset("tiny", tokenizer.vocab_size, context=32, d_model=32, d_ff=64, n_layers=2)

    def run(folder: Path, stop_after: int = 0) -> None:
        folder.mkdir(exist_ok=True)
        given = TrainSettings(steps=24, batch_rows=6, lr=5e-3, warmup=3, packing="bos", document_mask=mask,
                              eval_every=8, eval_rows=4, sample_tokens=4, threads=1, dtype="fp32", device="cpu",
                              stop_after=stop_after)
        Trainer(config, given, folder, tokenizer, tmp_path / "train.shard", tmp_path / "val.shard", 1.0, resume=True
                ).fit()

    run(tmp_path / "whole")
    for stop in (7, 10):
        with pytest.raises(NimError, match="stopped at step"):
            run(tmp_path / "parts", stop)
    run(tmp_path / "parts")
    row = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()][-1]
    shard = Shard(tmp_path / "val.shard")
    assert row["val_bpb"] == pytest.approx(  # a text has as many nats, and no bos is predicted
        row["val_loss"] / np.log(2) * (len(shard.tokens) - 30) / len(shard.tokens), rel=1e-4)
    losses = read_metrics(tmp_path / "whole")[0]
    assert losses == read_metrics(tmp_path / "parts")[0] and losses[-1][1] < 0.8 * losses[0][1]
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert one == other
