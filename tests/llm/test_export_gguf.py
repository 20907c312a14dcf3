"""nimllm export gguf: what the file holds, read back with the gguf package; and llama.cpp itself where it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchange_samples import NASTY, SHAPES, bpe, characters, random_run, shape
from llama_peer import greedy, llama_cpp, needs_llama

from nimllm import cli, places
from nimllm.errors import NimError
from nimllm.llm.checkpoint import read_tensors
from nimllm.llm.export_gguf import export, gguf_architecture
from nimllm.llm.presets import SIZES, preset
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import MARKERS

gguf = pytest.importorskip("gguf")
EXPORTED = [name for name, (_, _, kind) in SHAPES.items() if kind]
TYPES = ("f32", "f16", "bf16", "Q8_0", "Q4_0")


def fields(reader: Any) -> dict[str, Any]:
    return {name: field.contents() for name, field in reader.fields.items()}


def values(tensor: Any) -> np.ndarray:
    """fp32 of a tensor of a file, in the shape of its matrix."""
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(tuple(int(n) for n in tensor.shape[::-1]))


def back(name: str, kind: str, array: np.ndarray, heads: dict[str, int]) -> np.ndarray:
    """A tensor in the order of rows that it has with us."""
    part = name.split(".")[2] if name.startswith("blk.") else ""
    if kind in ("llama", "arcee") and part in heads:
        split = array.reshape(heads[part], array.shape[0] // heads[part] // 2, 2, *array.shape[1:])
        return split.swapaxes(1, 2).reshape(array.shape)
    return array


NAMES = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "q_proj": "attn_q", "k_proj": "attn_k",
         "v_proj": "attn_v", "o_proj": "attn_output", "q_norm": "attn_q_norm", "k_norm": "attn_k_norm",
         "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down", "embed_tokens": "token_embd",
         "embed_positions": "position_embd", "norm": "output_norm", "lm_head": "output"}


@pytest.mark.parametrize("name", EXPORTED)
def test_every_tensor_is_there_once(name: str, tmp_path: Path) -> None:
    tokenizer = bpe()
    config = shape(name, tokenizer, padded=7)
    run = random_run(tmp_path / "run", config, tokenizer)
    made = export(run, tmp_path / "out.gguf", kind="f32")
    assert made.architecture == SHAPES[name][2]
    assert bool(made.notices) == (config.ffn == "gelu")
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    got = {tensor.name: values(tensor) for tensor in reader.tensors}
    heads = {"attn_q": config.n_heads, "attn_k": config.n_kv_heads}
    for key, array in read_tensors(run / "model.safetensors").items():
        parts = key.split(".")
        if parts[1] == "embed_norm" or (config.embed_norm and parts[1] == "embed_tokens"):
            continue
        theirs = f"{NAMES[parts[-2]]}.{parts[-1]}"
        if "layers" in parts:
            theirs = f"blk.{parts[2]}.{theirs}"
        if made.architecture == "gpt2" and parts[-2] in ("q_proj", "k_proj", "v_proj"):
            joined = got[f"blk.{parts[2]}.attn_qkv.{parts[-1]}"]
            assert (np.split(joined, 3)["qkv".index(parts[-2][0])] == array).all()
            continue
        assert (back(theirs, made.architecture, got.pop(theirs), heads) == array).all(), key
    for key in got:  # what the architecture wants and the model does not have
        assert "attn_qkv" in key or config.embed_norm or (got[key] == 0).all(), key
    said = fields(reader)
    at = made.architecture
    assert said["general.architecture"] == at and said[f"{at}.block_count"] == config.n_layers
    assert said[f"{at}.context_length"] == config.context and said[f"{at}.embedding_length"] == config.d_model
    assert said[f"{at}.attention.head_count_kv"] == config.n_kv_heads
    if config.pos == "rope":
        assert said[f"{at}.attention.key_length"] == said[f"{at}.rope.dimension_count"] == config.head_dim
        assert said[f"{at}.rope.freq_base"] == config.rope_theta


@pytest.mark.parametrize("name", [name for name in SHAPES if name not in EXPORTED])
def test_shapes_without_an_architecture_are_refused(name: str, tmp_path: Path) -> None:
    run = random_run(tmp_path / "run", shape(name, bpe()), bpe())
    with pytest.raises(NimError) as error:
        export(run, tmp_path / "out.gguf")
    said = {"vidya": "nimllm export hf writes it as ArceeForCausalLM", "gpt2, squares": "GELU, not ReLU squared",
            "qwen3 with biases": "no biases"}
    assert said.get(name, "nearest architecture") in error.value.message() and error.value.code == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


PRESETS = {"nanolm-10m": "llama", "llmc-7m": "gpt2", "char-10m": "gpt2", "classics-46m": "gpt2", "chat-48m": "gpt2"}


@pytest.mark.parametrize("size", SIZES)
def test_every_preset_has_an_architecture_or_a_reason(size: str) -> None:
    if size == "vidya-103m":
        with pytest.raises(NimError, match="nimllm export hf writes it as ArceeForCausalLM"):
            gguf_architecture(preset(size))
    else:
        assert gguf_architecture(preset(size)) == PRESETS.get(size, "qwen3")


@pytest.mark.parametrize("kind", TYPES)
def test_types(kind: str, tmp_path: Path) -> None:
    run = random_run(tmp_path / "run", shape("ours", bpe()), bpe())
    export(run, tmp_path / "out.gguf", kind=kind)
    base = read_tensors(run / "model.safetensors")
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    want = {"f32": 0, "f16": 1, "bf16": 32, "Q8_0": 7, "Q4_0": 2}[kind]
    assert fields(reader)["general.file_type"] == want
    for tensor in reader.tensors:
        matrix = len(tensor.shape) == 2
        stored = "Q8_0" if kind == "Q4_0" and tensor.name == "token_embd.weight" else kind.upper()
        assert tensor.tensor_type.name == (stored if matrix else "F32"), tensor.name
        own = {"token_embd.weight": "model.embed_tokens.weight",
               "blk.0.attn_v.weight": "model.layers.0.self_attn.v_proj.weight",
               "blk.1.attn_norm.weight": "model.layers.1.input_layernorm.weight"}.get(tensor.name)
        if own:
            assert_near(values(tensor), base[own], tensor.tensor_type.name)


def assert_near(got: np.ndarray, array: np.ndarray, kind: str) -> None:
    """Rounded as the type says; in blocks of 32 to half a step of a scale that is fp16 itself (127 / 2^11), in Q4_0
    to a whole step where the largest has the other sign."""
    if kind == "F32":
        assert (got == array).all()
    elif kind in ("F16", "BF16"):
        assert (np.abs(got - array) <= np.abs(array) * 2.0 ** (-11 if kind == "F16" else -8) + 1e-7).all()
    else:
        blocks = array.reshape(-1, 32)
        step = np.abs(blocks).max(1, keepdims=True) / (127 if kind == "Q8_0" else 8)
        off = np.abs(got.reshape(-1, 32) - blocks)
        assert (off <= step * (0.57 if kind == "Q8_0" else 1.01) + 1e-6).all() and off.max() > 0


def test_rows_that_do_not_fill_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = shape("ours", bpe()).model_copy({"d_ff": 72})
    run = random_run(tmp_path / "run", config, bpe())
    assert cli.main(["export", "gguf", str(run), str(tmp_path / "a.gguf"), "--type", "Q4_0"]) == 3
    assert "ffn_down.weight has rows of 72 weights, and Q4_0 takes 32" in capsys.readouterr().err
    assert cli.main(["export", "gguf", str(run), str(tmp_path / "a.gguf"), "--type", "f16"]) == 0
    assert cli.main(["export", "gguf", str(run), str(tmp_path / "a.gguf")]) == 2, "not overwritten unasked"
    assert cli.main(["export", "gguf", str(run), str(tmp_path / "a.gguf"), "--force"]) == 0
    assert cli.main(["export", "gguf", str(run), str(tmp_path), "--force"]) == 2
    (tmp_path / "file").write_text("")
    assert cli.main(["export", "gguf", str(run), str(tmp_path / "file" / "x.gguf")]) == 3
    assert not list(tmp_path.glob(".*"))


def test_the_vocabulary(tmp_path: Path) -> None:
    tokenizer = bpe()
    run = random_run(tmp_path / "run", shape("ours", tokenizer, padded=3), tokenizer)
    export(run, tmp_path / "out.gguf")
    said = fields(gguf.GGUFReader(tmp_path / "out.gguf"))
    tokens, types = said["tokenizer.ggml.tokens"], said["tokenizer.ggml.token_type"]
    assert len(tokens) == len(types) == tokenizer.vocab_size + 3 and len(set(tokens)) == len(tokens)
    assert said["tokenizer.ggml.model"] == "llama" and said["tokenizer.ggml.add_space_prefix"] is False
    assert said["tokenizer.ggml.eot_token_id"] == tokenizer.marker("end")
    for index, (token, kind) in enumerate(zip(tokens, types, strict=True)):
        if index >= tokenizer.vocab_size:
            assert kind == 5
        elif kind == 1:
            assert token.replace("\u2581", " ").encode() == tokenizer.token_bytes(index)
        elif kind == 6:
            assert bytes([int(token[3:5], 16)]) == tokenizer.token_bytes(index)
        elif kind == 4:
            assert token in "\n\t" and token.encode() == tokenizer.token_bytes(index)
        else:
            assert index < 4 or token in MARKERS


def test_without_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(NimError, match=r'pip install "nimllm\[export\]"'):
        export(places.shipped_model(), tmp_path / "out.gguf")


# -- llama.cpp itself ------------------------------------------------------------------------------------------------


@needs_llama
@pytest.mark.parametrize("name", EXPORTED)
def test_llama_cpp_computes_every_architecture(name: str, tmp_path: Path) -> None:
    tokenizer = characters() if name == "ours, wide heads" else bpe()
    config = shape(name, tokenizer, padded=3)
    run = random_run(tmp_path / "run", config, tokenizer)
    export(run, tmp_path / "out.gguf", kind="f32")
    llama = llama_cpp(tmp_path / "out.gguf")
    ids = [int(i) for i in np.random.default_rng(1).integers(0, config.vocab_size, 20)]
    want, first = greedy(run, 40, ids)
    got = llama.logits(ids)[:config.vocab_size]
    limit = 2e-5 if config.ffn != "gelu" else 1e-2  # GELU there is a table of 16 bits of the tanh approximation
    assert np.abs(got - first).max() < limit * np.abs(first).max()
    if config.ffn != "gelu":
        assert llama.greedy(40, ids) == want
    llama.close()


def shipped_prompts(tokenizer: Tokenizer) -> list[list[int]]:
    user, end, assistant = (tokenizer.marker(name) for name in ("user", "end", "assistant"))
    return [[tokenizer.bos, *tokenizer.encode("find . -name")],
            [tokenizer.bos, *tokenizer.encode("import os\n")],
            [tokenizer.bos, user, *tokenizer.encode("My name is Ada."), end, assistant],
            [tokenizer.bos, user, *tokenizer.encode("count the python files"), end, tokenizer.marker("plan")]]


@needs_llama
@pytest.mark.parametrize("kind, dtype", [("f32", "fp32"), ("bf16", "bf16"), ("f16", "fp32"), ("Q8_0", "fp32")])
def test_llama_cpp_says_what_the_shipped_model_says(kind: str, dtype: str, tmp_path: Path) -> None:
    run = places.shipped_model()
    export(run, tmp_path / "out.gguf", kind=kind)
    llama = llama_cpp(tmp_path / "out.gguf")
    for ids in shipped_prompts(Tokenizer.load(run)):
        want, _ = greedy(run, 100, ids, dtype)
        assert llama.greedy(100, ids) == want
    llama.close()


@needs_llama
@pytest.mark.parametrize("kind", ["bpe", "char", "shipped"])
def test_llama_cpp_cuts_texts_the_same(kind: str, tmp_path: Path) -> None:
    run = places.shipped_model()
    if kind != "shipped":
        tokenizer = bpe() if kind == "bpe" else characters()
        run = random_run(tmp_path / "run", shape("ours", tokenizer), tokenizer)
    tokenizer = Tokenizer.load(run)
    export(run, tmp_path / "out.gguf")
    llama = llama_cpp(tmp_path / "out.gguf")
    source = Path(__file__).read_text()
    texts = [text for text in NASTY if "\u2581" not in text and not any(marker in text for marker in MARKERS)]
    texts += [source[at:at + 1 + at % 97] for at in range(0, len(source), 31)]
    for text in texts:
        if any(marker in text for marker in MARKERS) or "\u2581" in text:
            continue
        want = tokenizer.encode(text)
        if kind == "char":  # an unknown character: unk there is a row for each byte
            want = [index for character, index in zip(text, want, strict=True)
                    for index in ([index] if index != tokenizer.unk else
                                  [tokenizer.vocab_size + byte for byte in character.encode()])]
        assert llama.tokens(text) == want, text
    llama.close()
