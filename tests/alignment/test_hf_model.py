"""The face for transformers: stock Qwen3 and Llama say the same with the same weights, padded batches too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from memory_samples import write_run

from nimllm.llm.checkpoint import expected_shapes, read_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.model import load
from nimllm.llm.presets import preset
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render

transformers = pytest.importorskip("transformers")

CONTEXT = 64


def make_run(folder: Path, tokenizer: Tokenizer, **changes: Any) -> Path:
    config = preset("tiny", tokenizer.vocab_size, context=CONTEXT, **changes)
    rng = np.random.default_rng(5)
    tensors = {name: rng.normal(0, 0.15, shape).astype(np.float32) for name, shape in expected_shapes(config).items()}
    for name in tensors:
        if "norm" in name:
            tensors[name] += 1.0
    folder.mkdir()
    return write_run(folder, config, tensors, tokenizer)


def stock(run: Path, config: ModelConfig) -> Any:
    """Hugging Face's own model with the run's weights."""
    kind = ("Qwen3" if config.qk_norm else "Llama")
    shape = getattr(transformers, f"{kind}Config")(
        vocab_size=config.vocab_size, hidden_size=config.d_model, intermediate_size=config.d_ff,
        num_hidden_layers=config.n_layers, num_attention_heads=config.n_heads, num_key_value_heads=config.n_kv_heads,
        head_dim=config.head_dim, rms_norm_eps=config.norm_eps, max_position_embeddings=config.context,
        tie_word_embeddings=config.tied, rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        bos_token_id=1, eos_token_id=2, pad_token_id=3)
    model = getattr(transformers, f"{kind}ForCausalLM")(shape)
    tensors = {name: torch.from_numpy(tensor) for name, tensor in read_tensors(run / "model.safetensors").items()}
    found = model.load_state_dict(tensors, strict=False)
    assert not found.unexpected_keys and set(found.missing_keys) <= {"lm_head.weight"}
    model.tie_weights()
    return model.eval()


@pytest.mark.parametrize("changes", [{}, {"qk_norm": False}, {"tied": False}, {"qk_norm": False, "tied": False}])
def test_stock_models_give_the_same_logits_padded_or_not(tmp_path: Path, tokenizer: Tokenizer, changes: dict) -> None:
    from nimllm.alignment.hf_model import from_run

    run = make_run(tmp_path / "run", tokenizer, **changes)
    ours, theirs = from_run(run).eval(), stock(run, load(run).config)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, tokenizer.vocab_size, (4, 33), generator=generator)
    left, right = torch.ones_like(ids), torch.ones_like(ids)
    left[0, :7], left[2, :32] = 0, 0
    right[1, -9:], right[2, -32:] = 0, 0
    positions = torch.arange(33)[None]
    with torch.no_grad():
        plain = ours(ids).logits
        assert plain.dtype == torch.float32 and torch.allclose(plain, load(run)(ids), atol=2e-5)
        for mask in (torch.ones_like(ids), left, right):
            for given in ({}, {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)}, {"position_ids": positions}):
                got, want = (model(ids, attention_mask=mask, **given).logits for model in (ours, theirs))
                real = mask.bool()
                assert (got - want)[real].abs().max() < 2e-4 * want[real].abs().max()
        assert torch.equal(ours(ids, attention_mask=right).logits[0], plain[0])
        assert (ours(ids, attention_mask=left).logits[0, 7:] - ours(ids[:1, 7:]).logits[0]).abs().max() < 1e-4
        assert torch.equal(ours(ids, logits_to_keep=2).logits, plain[:, -2:])


def test_generate_with_and_without_cache_is_the_stock_models_text(tmp_path: Path, tokenizer: Tokenizer) -> None:
    from nimllm.alignment.hf_model import from_run

    run = make_run(tmp_path / "run", tokenizer)
    ours, theirs = from_run(run).eval(), stock(run, load(run).config)
    ids = torch.randint(4, tokenizer.vocab_size, (3, 12), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[0, :5], mask[2, :11] = 0, 0
    options = {"max_new_tokens": 14, "do_sample": False}
    for given in ({}, {"use_cache": False}, {"num_beams": 2}):
        assert torch.equal(ours.generate(ids, **options, **given), theirs.generate(ids, **options, **given))
    assert torch.equal(ours.generate(ids, attention_mask=mask, **options),
                       theirs.generate(ids, attention_mask=mask, **options))
    assert ours.generate(ids, max_new_tokens=5, do_sample=True).shape == (3, 17)


def test_packed_documents_do_not_read_each_other(tmp_path: Path, tokenizer: Tokenizer) -> None:
    from nimllm.alignment.hf_model import from_run

    model = from_run(make_run(tmp_path / "run", tokenizer))
    lengths = (30, 5, 1, 40)  # more than a context in all: TRL packs so without padding
    ids = torch.randint(4, tokenizer.vocab_size, (1, sum(lengths)), generator=torch.Generator().manual_seed(3))
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    packed = model(ids, position_ids=positions).logits[0].split(lengths)
    alone = [model(part).logits[0] for part in ids.split(lengths, 1)]
    for one, two in zip(packed, alone, strict=True):
        assert (one - two).abs().max() < 1e-4 * two.abs().max()
    changed = ids.clone()
    changed[0, 3] = (ids[0, 3] + 1) % tokenizer.vocab_size
    again = model(changed, position_ids=positions).logits[0]
    assert torch.equal(again[30:], torch.cat(packed)[30:]) and not torch.equal(again[:30], packed[0])
    sum(part.sum() for part in packed).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_loss_is_that_of_the_labels(tmp_path: Path, tokenizer: Tokenizer) -> None:
    from nimllm.alignment.hf_model import from_run

    run = make_run(tmp_path / "run", tokenizer)
    ours, theirs = from_run(run), stock(run, load(run).config)
    ids = torch.randint(4, tokenizer.vocab_size, (2, 20), generator=torch.Generator().manual_seed(2))
    labels = ids.clone()
    labels[0, :9] = -100
    one, two = ours(ids, labels=labels).loss, theirs(ids, labels=labels).loss
    assert float(one.detach()) == pytest.approx(float(two.detach()), rel=1e-5)
    scaled = ours(ids, labels=labels, num_items_in_batch=60).loss
    assert float(scaled.detach()) == pytest.approx(float(two.detach()) * (11 + 19) / 60, rel=1e-4)
    one.backward()
    two.backward()
    for name, parameter in ours.named_parameters():
        want = dict(theirs.named_parameters())[name].grad
        assert (parameter.grad - want).abs().max() <= 1e-4 * want.abs().max() + 1e-7, name


def test_what_would_be_silently_wrong_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    from nimllm.alignment.hf_model import NimConfig, NimForCausalLM, from_run

    model = from_run(make_run(tmp_path / "run", tokenizer)).eval()
    ids = torch.randint(4, 100, (1, 10))
    hole = torch.tensor([[1, 1, 0, 1, 1, 1, 1, 1, 1, 1]])
    with pytest.raises(ValueError, match="padding between tokens"):
        model(ids, attention_mask=hole)
    with pytest.raises(ValueError, match="position_ids jump"):
        model(ids, position_ids=torch.tensor([[0, 1, 2, 3, 1, 2, 3, 4, 5, 6]]))
    with pytest.raises(ValueError, match=r"\[batch, time\]"):
        model(ids, attention_mask=torch.zeros(1, 1, 10, 10))
    with pytest.raises(ValueError, match="input_ids"):
        model(inputs_embeds=torch.zeros(1, 10, 64))
    with pytest.raises(ValueError, match="do not fit"):
        model(torch.randint(4, 100, (1, CONTEXT + 1)))
    with pytest.raises(ValueError, match="no shape"):
        NimForCausalLM(NimConfig())
    learned = from_run(make_run(tmp_path / "learned", tokenizer, pos="learned", qk_norm=False)).eval()
    left = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1, 1, 1]])
    assert torch.allclose(learned(ids, attention_mask=left).logits[:, 3:], learned(ids[:, 3:]).logits, atol=1e-5)
    with pytest.raises(ValueError, match="learned positions begin at 0"):
        learned(ids, position_ids=torch.arange(3, 13)[None])


@pytest.mark.parametrize("tied", [True, False])
def test_save_pretrained_and_back(tmp_path: Path, tokenizer: Tokenizer, tied: bool) -> None:
    from nimllm.alignment.hf_model import NimForCausalLM, from_run

    run = make_run(tmp_path / "run", tokenizer, tied=tied)
    model = from_run(run).eval()
    model.save_pretrained(tmp_path / "saved")
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors"}
    ids = torch.randint(4, 100, (2, 10))
    for kind in (NimForCausalLM, transformers.AutoModelForCausalLM):
        again = kind.from_pretrained(tmp_path / "saved").eval()
        assert torch.equal(again(ids).logits, model(ids).logits)
        assert (again.lm_head.weight is again.model.embed_tokens.weight) is tied
    saved, own = (read_tensors(folder / "model.safetensors") for folder in (tmp_path / "saved", run))
    assert saved.keys() == own.keys() == model.to_numpy().keys()
    assert all(np.array_equal(saved[name], own[name]) for name in own)


def test_tokenizer_face_has_our_ids_and_our_turns(tmp_path: Path, tokenizer: Tokenizer) -> None:
    from nimllm.alignment.hf_tokenizer import TurnTokenizer

    face = TurnTokenizer(tokenizer)
    for text in ("hello\n\n  world", "<|user|><s></s><pad><unk>", "", "日本 🎉 \u2581", "\t a  b ", "x" * 300):
        assert face(text)["input_ids"] == face.encode(text) == tokenizer.encode(text)
        assert face.decode(tokenizer.encode(text)) == text
    turns = [Turn("user", "list <|end|>"), Turn("bash", "ls"), Turn("output", "x", True), Turn("assistant", "é")]
    told = [{"role": turn.role, "content": turn.text} for turn in turns]
    assert face.apply_chat_template(told)["input_ids"] == render(turns, tokenizer).ids
    assert face.apply_chat_template(told[:1], add_generation_prompt=True)["input_ids"] == render(turns[:1],
                                                                                                 tokenizer).ids
    both = face.apply_chat_template([told, told[:1]], return_tensors="pt")
    assert both["input_ids"].shape == both["attention_mask"].shape and int(both["attention_mask"][1].sum()) < len(
        both["input_ids"][0])
    assert (face.unk_token_id, face.bos_token_id, face.eos_token_id, face.pad_token_id) == (0, 1, 2, 3)
    assert len(face) == face.vocab_size == tokenizer.vocab_size
    assert face.convert_tokens_to_ids(face.convert_ids_to_tokens(list(range(len(face))))) == list(range(len(face)))
    face.save_pretrained(tmp_path)
    assert TurnTokenizer.from_pretrained(tmp_path)("a b <|end|>")["input_ids"] == tokenizer.encode("a b <|end|>")
