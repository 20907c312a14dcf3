"""Shards: what is written is read, and a damaged one is refused."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.errors import NimError
from nimllm.llm.shards import Shard, ShardWriter


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([256, 65536, 65537, 200_000]),
       st.lists(st.tuples(st.lists(st.integers(0, 199_999), max_size=30), st.booleans(), st.integers(0, 2**30))))
def test_round_trip(vocab_size: int, pieces: list[tuple[list[int], bool, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.shard")
        ids: list[int] = []
        learn: list[bool] = []
        masked = False
        with ShardWriter(path, vocab_size) as writer:
            for raw, with_mask, bits in pieces:
                piece = [index % vocab_size for index in raw]
                mask = [bool(bits >> position & 1) for position in range(len(piece))] if with_mask else None
                writer.append(piece, mask)
                ids += piece
                learn += mask if mask is not None else [True] * len(piece)
                masked = masked or bool(with_mask and piece)
        shard = Shard(path)
        assert shard.tokens.tolist() == ids
        assert shard.tokens.dtype == (np.uint16 if vocab_size <= 65536 else np.uint32)
        assert shard.vocab_size == vocab_size
        assert (shard.learn is not None) == masked
        if shard.learn is not None:
            assert shard.learn.astype(bool).tolist() == learn
        assert os.listdir(folder) == ["x.shard"]


def test_ids_outside_the_vocabulary_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vocabulary of 10"), ShardWriter(tmp_path / "x", 10) as writer:
        writer.append([3, 10])
    with pytest.raises(ValueError), ShardWriter(tmp_path / "x", 10) as writer:
        writer.append([-1])
    with pytest.raises(ValueError, match="2 ids and 1 flags"), ShardWriter(tmp_path / "x", 10) as writer:
        writer.append([3, 4], [True])
    assert os.listdir(tmp_path) == [], "a failed block leaves nothing"


def test_nothing_appears_before_close(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "x", 10)
    writer.append([1, 2])
    assert not (tmp_path / "x").exists()
    writer.close()
    assert Shard(tmp_path / "x").tokens.tolist() == [1, 2]


@pytest.mark.parametrize("masked", [False, True])
def test_truncation_and_damage(tmp_path: Path, masked: bool) -> None:
    path = tmp_path / "x"
    with ShardWriter(path, 100) as writer:
        writer.append(list(range(50)), [True] * 50 if masked else None)
    whole = path.read_bytes()
    for length in (0, 7, 63, 64, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(NimError, match=r"truncated|not a token shard"):
            Shard(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(NimError, match="damaged"):
        Shard(path)
    for position in (64, 100, len(whole) - 1):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1:])
        with pytest.raises(NimError, match="checksum"):
            Shard(path)
    path.write_bytes(b"PK" + whole[2:])
    with pytest.raises(NimError, match="not a token shard"):
        Shard(path)
    with pytest.raises(NimError, match="cannot read"):
        Shard(tmp_path / "nowhere")


def test_the_map_is_read_only(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "x", 100) as writer:
        writer.append([1, 2, 3])
    with pytest.raises(ValueError):
        Shard(tmp_path / "x").tokens[0] = 5
