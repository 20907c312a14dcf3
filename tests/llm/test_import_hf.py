"""nimllm import hf: models as transformers writes them compute the same here, in torch and in the engine."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchange_samples import NASTY, SHAPES, bpe, characters, random_run, shape
from foreign_models import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_peer import greedy, llama_cpp, needs_llama

from nimllm import cli
from nimllm.errors import NimError
from nimllm.llm.checkpoint import read_tensors, write_tensors
from nimllm.llm.config import read_config
from nimllm.llm.export_gguf import export as export_gguf
from nimllm.llm.export_hf import export
from nimllm.llm.import_hf import import_hf
from nimllm.llm.imported_tokenizer import ImportedTokenizer
from nimllm.llm.interchange import read_stored
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import MARKERS, Turn, render

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "smollm2": ("llama", {}),
    "qwen2.5": ("qwen2", {"sliding_window": 32, "max_window_layers": 1}),
    "qwen3": ("qwen3", {}),
    "own head": ("qwen3", {"tie_word_embeddings": False}),
    "all biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "biases of attention": ("llama", {"attention_bias": True}),
    "biases of the feed-forward": ("llama", {"mlp_bias": True, "tie_word_embeddings": False}),
    "one key head, theta": ("llama", {"num_key_value_heads": 1,
                                      "rope_parameters": {"rope_type": "default", "rope_theta": 1e5}}),
}
TEXT = "find the user's 123 files\n\n  漢字 é <|im_end|> <think> plan"


def compared(model: Any, run: Path, ids: list[int], rows: list[Any], limit: float = 1e-5) -> None:
    """Torch and engine against transformers, on every id but those whose rows are ours."""
    from nimllm.kernels.engine import Engine, available
    from nimllm.llm.model import load

    with torch.no_grad():
        want = model(torch.tensor([ids])).logits[0].numpy()
        got = load(run).eval()(torch.tensor([ids]))[0].numpy()
    kept = [index for index in range(want.shape[1]) if index not in {row.index for row in rows}]
    assert np.abs(want[:, kept] - got[:, kept]).max() < limit * np.abs(want).max()
    if available() is None:
        engine = Engine(read_config(run).model_dump(), read_tensors(run / "model.safetensors"), threads=1)
        assert np.abs(want[:, kept] - engine.extend_all(ids)[:, kept]).max() < limit * np.abs(want).max()


@pytest.mark.parametrize("name", MODELS)
def test_the_same_logits(name: str, tmp_path: Path) -> None:
    family, changes = MODELS[name]
    model = checkpoint(tmp_path / "hf", family, **changes)
    config, words, rows = import_hf(tmp_path / "hf", tmp_path / "run")
    ids = [words.bos, *words.encode(TEXT)]
    compared(model, tmp_path / "run", ids, rows)
    tensors = read_tensors(tmp_path / "run" / "model.safetensors")
    assert config.parameters() == sum(tensor.size for tensor in tensors.values())
    assert config.qkv_bias == (family == "qwen2") and config.rope_theta == model.config.rope_parameters["rope_theta"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits_stay_as_they_are_and_shards_are_joined(dtype: str, tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "hf", "qwen2", dtype, shards="60KB")
    assert len(list((tmp_path / "hf").glob("model-*.safetensors"))) > 1
    _, words, rows = import_hf(tmp_path / "hf", tmp_path / "run")
    stored = read_stored(tmp_path / "run" / "model.safetensors")
    assert {one.dtype for one in stored.values()} == {"BF16" if dtype == "bfloat16" else "F16"}
    compared(model, tmp_path / "run", [words.bos, *words.encode(TEXT)], rows)


@pytest.mark.parametrize("name", [name for name, (_, kind, _) in SHAPES.items()
                                  if kind and kind.startswith(("Qwen", "Llama")) and name != "normed embedding"])
@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_there_and_back_is_the_same_run(name: str, kind: str, tmp_path: Path) -> None:
    words = bpe() if kind == "bpe" else characters()
    run = random_run(tmp_path / "run", shape(name, words, padded=3), words)
    export(run, tmp_path / "out")
    config, back, rows = import_hf(tmp_path / "out", tmp_path / "back")
    assert config == read_config(run) and back.data == words.data and not rows
    before, after = (read_tensors(folder / "model.safetensors") for folder in (run, tmp_path / "back"))
    assert before.keys() == after.keys() and all((before[key] == after[key]).all() for key in before)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_an_imported_run_goes_out_and_comes_back(family: str, tmp_path: Path) -> None:
    checkpoint(tmp_path / "hf", family)
    config, words, rows = import_hf(tmp_path / "hf", tmp_path / "run")
    export(tmp_path / "run", tmp_path / "out")
    other = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert type(other).__name__ == {"qwen3": "Qwen3ForCausalLM"}.get(family, "LlamaForCausalLM")
    compared(other, tmp_path / "run", [words.bos, *words.encode(TEXT)], rows)
    chat = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    turns = [Turn("user", "say <|im_end|> and <|user|>"), Turn("bash", "ls"), Turn("assistant", "漢 done")]
    got = chat.apply_chat_template([{"role": turn.role, "content": turn.text} for turn in turns], return_dict=True,
                                   return_assistant_tokens_mask=True)
    rendered = render(turns, words)
    assert got["input_ids"] == rendered.ids and list(map(bool, got["assistant_masks"])) == rendered.learn
    again, same, new = import_hf(tmp_path / "out", tmp_path / "back")
    assert again == config and not new
    assert same.encode(TEXT) == words.encode(TEXT) and same.stops == words.stops and same.pad == words.pad
    assert [same.marker(name[2:-2]) for name in MARKERS] == [words.marker(name[2:-2]) for name in MARKERS]
    before, after = (read_tensors(tmp_path / folder / "model.safetensors") for folder in ("run", "back"))
    assert all((before[key] == after[key]).all() for key in before)


# -- the tokenizer ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Any, Path]:
    """Ours, theirs, and our run."""
    folder = tmp_path_factory.mktemp("pair")
    checkpoint(folder / "hf", request.param)
    import_hf(folder / "hf", folder / "run")
    return Tokenizer.load(folder / "run"), transformers.AutoTokenizer.from_pretrained(folder / "hf"), folder / "run"


PARTS = st.one_of(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12),
                  st.text(alphabet=" \n\t\r", max_size=9), st.text(alphabet="0123456789", max_size=6),
                  st.sampled_from([*MARKERS, "<|im_start|>", "<|endoftext|>", "<think>", "it's", "files "]))


@settings(max_examples=120, deadline=None)
@given(st.lists(PARTS, max_size=10).map("".join))
def test_ids_are_those_of_transformers(pair: tuple[Tokenizer, Any, Path], text: str) -> None:
    words, other, _ = pair
    ids = words.encode(text)
    assert ids == other(text, split_special_tokens=True, add_special_tokens=False).input_ids
    assert not any(words.is_marker(index) for index in ids)
    if unicodedata.is_normalized("NFC", text):
        assert words.decode(ids) == text == b"".join(map(words.token_bytes, ids)).decode()


@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts(pair: tuple[Tokenizer, Any, Path], text: str) -> None:
    words, other, _ = pair
    assert words.encode(text) == other(text, split_special_tokens=True, add_special_tokens=False).input_ids


def test_markers_and_ends(pair: tuple[Tokenizer, Any, Path]) -> None:
    words, other, run = pair
    ids = [words.marker(name[2:-2]) for name in MARKERS]
    assert len(set(ids)) == 7 and all(index < words.vocab_size for index in ids)
    assert words.marker("end") == other.convert_tokens_to_ids("<|im_end|>"), "theirs is used"
    assert words.bos == words.eos == other.convert_tokens_to_ids("<|endoftext|>"), "without bos: what separates texts"
    assert words.pad not in (*ids, words.eos), "or a loss without padding would lack the ends"
    assert words.eos in words.stops and words.eos not in words.never and words.pad in words.never
    assert words.decode([words.bos, ids[1], *words.encode("a"), ids[6]]) == "<|user|>a<|im_end|>"
    with pytest.raises(IndexError):
        words.token_bytes(words.vocab_size)
    with pytest.raises(NimError, match="surrogate"):
        words.encode("a\ud800")
    assert isinstance(words, ImportedTokenizer) and words.kind == "hf"
    table = read_tensors(run / "model.safetensors")["model.embed_tokens.weight"]
    like = [other.convert_tokens_to_ids("<|im_start|>"), *words.encode("user")]
    assert np.allclose(table[words.marker("user")], table[like].mean(0), atol=1e-6)
    assert not table[words.pad].any()


def test_rows_that_no_token_uses_are_taken_first(tmp_path: Path) -> None:
    checkpoint(tmp_path / "hf", "qwen3")
    size = json.loads((tmp_path / "hf" / "config.json").read_text())["vocab_size"]
    config, words, rows = import_hf(tmp_path / "hf", tmp_path / "run")
    assert config.vocab_size == size and len(rows) == 7 and max(row.index for row in rows) < size
    assert words.vocab_size == size, "what a model draws by chance has to be something"
    assert words.token_bytes(size - 1) == b"" and size - 1 in words.never


def test_special_tokens_of_our_spelling_are_used(tmp_path: Path) -> None:
    checkpoint(tmp_path / "hf", "qwen3")
    path = tmp_path / "hf" / "tokenizer.json"
    content = json.loads(path.read_text())
    changed = {"<|object_ref_start|>": "<|user|>", "<tool_call>": "<|end|>"}  # one special, one not
    for one in content["added_tokens"]:
        one["content"] = changed.get(one["content"], one["content"])
    ids = {one["content"]: one["id"] for one in content["added_tokens"]}
    path.write_text(json.dumps(content))
    _, words, rows = import_hf(tmp_path / "hf", tmp_path / "run")
    assert words.marker("user") == ids["<|user|>"] and words.marker("end") == ids["<|end|>"] and len(rows) == 6
    assert not any(words.is_marker(index) for index in words.encode("a<|user|>b<|end|>"))


# -- in use ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    return tmp_path


def test_commands_work_on_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint(home / "hf", "qwen2", "bfloat16")
    assert cli.main(["import", "hf", str(home / "hf"), "--out", str(home / "run"), "--context", "64"]) == 0
    said = capsys.readouterr().out
    assert "context 64" in said and "6 of the 7 turn markers are new" in said
    (home / "text").write_text(TEXT * 5)
    assert cli.main(["eval", "loss", "--model", str(home / "run"), str(home / "text"), "--json"]) == 0
    assert '"bits_per_byte"' in capsys.readouterr().out
    for dtype in ("fp32", "q4"):
        assert cli.main(["--chat", "--model", str(home / "run"), "-p", "hello", "--memory", "off", "--max-tokens", "8",
                         "--dtype", dtype]) in (0, 9)
    assert cli.main(["import", "hf", str(home / "hf"), "--out", str(home / "run")]) == 2
    assert cli.main(["import", "hf", str(home / "hf"), "--out", str(home / "run"), "--force"]) == 0
    assert read_config(home / "run").context == 96


@pytest.mark.slow
def test_fine_tuning_and_memory_work_on_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint(home / "hf", "qwen3", max_position_embeddings=512)
    assert cli.main(["import", "hf", str(home / "hf"), "--out", str(home / "run")]) == 0
    (home / "talk.jsonl").write_text('{"messages": [{"role": "user", "content": "hi"}, '
                                     '{"role": "assistant", "content": "hello there"}]}\n' * 20)
    assert cli.main(["align", "sft", str(home / "talk.jsonl"), "--model", str(home / "run"), "--out", str(home / "sft"),
                     "--epochs", "40", "--lr", "3e-3", "--plain"]) == 0
    capsys.readouterr()
    assert cli.main(["--chat", "--model", str(home / "sft"), "-p", "hi", "--memory", "off"]) == 0
    assert "hello there" in capsys.readouterr().out, "it has learnt our turns"
    assert cli.main(["--chat", "--model", str(home / "sft"), "-p", "My name is Ada.", "--max-tokens", "8"]) == 0
    assert cli.main(["memory", "list", "--model", str(home / "sft"), "--json"]) == 0
    assert "m0001" in capsys.readouterr().out


def test_gguf_of_byte_level_tokenizers(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    for family, pre, kind in (("llama", "smollm", "llama"), ("qwen2", "qwen2", "llama")):
        checkpoint(tmp_path / family, family)
        _, words, _ = import_hf(tmp_path / family, tmp_path / f"{family}-run")
        made = export_gguf(tmp_path / f"{family}-run", tmp_path / f"{family}.gguf")
        assert made.architecture == kind and bool(made.notices) == (family == "qwen2")
        fields = {name: field.contents() for name, field in gguf.GGUFReader(tmp_path / f"{family}.gguf").fields.items()}
        assert fields["tokenizer.ggml.model"] == "gpt2" and fields["tokenizer.ggml.pre"] == pre
        tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
        assert tokens[words.marker("user")] == "<|user|>" and types[words.marker("user")] == 3
        assert types[words.encode("a")[0]] == 1 and len(fields["tokenizer.ggml.merges"]) > 20
    path = tmp_path / "llama" / "tokenizer.json"
    path.write_text(path.read_text().replace('"individual_digits": true', '"individual_digits": false'))
    import_hf(tmp_path / "llama", tmp_path / "odd-run")
    with pytest.raises(NimError, match="cuts texts in a way"):
        export_gguf(tmp_path / "odd-run", tmp_path / "odd.gguf")


@needs_llama
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_llama_cpp_on_imported_models(family: str, tmp_path: Path) -> None:
    checkpoint(tmp_path / "hf", family)
    _, words, _ = import_hf(tmp_path / "hf", tmp_path / "run")
    export_gguf(tmp_path / "run", tmp_path / "out.gguf", kind="f32")
    llama = llama_cpp(tmp_path / "out.gguf")
    source = Path(__file__).read_text()
    for text in [*NASTY, *(source[at:at + 1 + at % 97] for at in range(0, len(source), 61))]:
        if not any(name in text for name in words.special.values()) and unicodedata.is_normalized("NFC", text):
            assert llama.tokens(text) == words.encode(text), text
    ids = [words.bos, *words.encode(TEXT)]
    want, first = greedy(tmp_path / "run", 40, ids)
    assert np.abs(llama.logits(ids) - first).max() < 2e-5 * np.abs(first).max() and llama.greedy(40, ids) == want
    llama.close()


# -- what cannot be imported -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("folder") / "hf"
    checkpoint(made, "qwen3")
    return made


CHANGES = [
    ({"model_type": "gpt_neox"}, "its architecture is gpt_neox"), ({"model_type": None}, "architecture is not said"),
    ({"quantization_config": {"bits": 4}}, "quantised"), ({"hidden_act": "gelu"}, "gated by gelu"),
    ({"rope_scaling": {"type": "linear", "factor": 2}}, r"scaled \(linear\)"),
    ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}}, r"scaled \(llama3\)"),
    ({"partial_rotary_factor": 0.5}, "only a part of its heads"),
    ({"use_sliding_window": True, "sliding_window": 32}, "--context 32 stays within it"),
    ({"hidden_size": None}, "config.json"), ({"num_attention_heads": 7}, "not a multiple|needs"),
    ({"num_hidden_layers": 3}, "layers.2.*is missing"), ({"num_hidden_layers": 1}, "layers.1.*has no place in it"),
    ({"intermediate_size": 64}, r"config.json needs \[64"), ({"vocab_size": 20}, "ids, the model 20"),
    ({"vocab_size": "many"}, "invalid literal"), ({"format": "nimllm-run"}, "run folder already"),
]


@pytest.mark.parametrize("change, said", CHANGES)
def test_other_architectures_give_one_message(change: dict[str, Any], said: str, folder: Path, tmp_path: Path) -> None:
    copy = linked(folder, tmp_path / "hf", "config.json")
    about = {**json.loads((folder / "config.json").read_text()), **change}
    (copy / "config.json").write_text(json.dumps({name: value for name, value in about.items() if value is not None}))
    with pytest.raises(NimError, match=said) as error:
        import_hf(copy, tmp_path / "run")
    assert error.value.code == 3 and not (tmp_path / "run").exists() and not list(tmp_path.glob(".*"))


def linked(folder: Path, copy: Path, *without: str) -> Path:
    copy.mkdir()
    for path in folder.iterdir():
        if path.name not in without:
            (copy / path.name).symlink_to(path)
    return copy


def test_within_the_sliding_window(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "hf", "qwen2", use_sliding_window=True, sliding_window=32, max_window_layers=1)
    with pytest.raises(NimError, match="sliding window of 32"):
        import_hf(tmp_path / "hf", tmp_path / "run")
    _, words, rows = import_hf(tmp_path / "hf", tmp_path / "run", context=32)
    compared(model, tmp_path / "run", [words.bos, *words.encode(TEXT)][:32], rows)


@pytest.mark.parametrize("context", [0, -1, 97])
def test_contexts_it_never_saw(context: int, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NimError, match="1 to 96 tokens") as error:
        import_hf(folder, tmp_path / "run", context)
    assert error.value.code == 2


def damaged(copy: Path, source: Path, kind: str) -> None:
    weights, words = copy / "model.safetensors", copy / "tokenizer.json"
    whole, text = (source / "model.safetensors").read_bytes(), (source / "tokenizer.json").read_text()
    if kind == "truncated":
        weights.write_bytes(whole[:-100])
    elif kind == "pickled":
        (copy / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    elif kind == "a pickle by another name":
        weights.write_bytes(b"\x80\x04")
    elif kind == "not finite":
        tensors = read_tensors(source / "model.safetensors")
        tensors["model.norm.weight"][3] = np.nan
        write_tensors(weights, tensors)
    elif kind == "outside":
        (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../etc/passwd"}}))
    elif kind == "no shard":
        (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    elif kind != "no weights":
        weights.write_bytes(whole)
        content = json.loads(text)
        if kind == "unigram":
            content["model"]["type"] = "Unigram"
        elif kind == "SentencePiece":
            content["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}]}
        elif kind == "prefix":
            content["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = True
        elif kind == "bad merges":
            content["model"]["merges"] = [["zz", "qq"]]
        elif kind == "no ends":
            (copy / "tokenizer_config.json").unlink()
            (copy / "tokenizer_config.json").write_text("{}")
            content["added_tokens"] = []
        if kind == "no JSON":
            words.write_text(text[:100])
        elif kind != "no tokenizer":
            words.write_text(json.dumps(content))


@pytest.mark.parametrize("kind, said", [
    ("truncated", "truncated"), ("pickled", "pickles only"), ("a pickle by another name", "pickle"),
    ("not finite", "model.norm.weight holds values that are not finite"), ("no weights", "holds no weights"),
    ("outside", "names no files of the folder"), ("no shard", "model-1.safetensors does not exist"),
    ("no tokenizer", "holds no tokenizer.json"), ("unigram", "Unigram"), ("SentencePiece", "no byte-level BPE"),
    ("prefix", "puts a space"), ("bad merges", "the tokenizers library cannot read it"), ("no JSON", "cannot read"),
    ("no ends", "names no end-of-text token"),
])
def test_damaged_folders_give_one_message(kind: str, said: str, folder: Path, tmp_path: Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    weights = kind in ("truncated", "pickled", "a pickle by another name", "not finite", "no weights", "outside",
                       "no shard")
    copy = linked(folder, tmp_path / "hf", "model.safetensors", *(() if weights else ("tokenizer.json",)))
    damaged(copy, folder, kind)
    assert cli.main(["import", "hf", str(copy), "--out", str(tmp_path / "run")]) == 3
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists() and not list(tmp_path.glob(".*"))


def test_places(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["import", "hf", str(tmp_path / "none"), "--out", str(tmp_path / "run")]) == 3
    assert cli.main(["import", "hf", str(tmp_path / "file"), "--out", str(tmp_path / "run")]) == 3
    assert cli.main(["import", "hf", str(tmp_path), "--out", str(tmp_path / "run")]) == 3
    assert "config.json is missing" in capsys.readouterr().err
    assert cli.main(["import", "hf", str(folder), "--out", str(tmp_path / "file" / "run")]) == 3
    assert cli.main(["import", "hf", str(folder), "--out", str(tmp_path / "file")]) == 2


def test_a_model_is_never_replaced_by_its_run(tmp_path: Path) -> None:
    checkpoint(tmp_path / "hf", "llama")
    before = {path.name: path.read_bytes() for path in (tmp_path / "hf").iterdir()}
    with pytest.raises(NimError, match="it is the model itself"):
        import_hf(tmp_path / "hf", tmp_path / "hf", force=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "hf").iterdir()} == before


def test_a_damaged_tokenizer_of_a_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_hf(folder, tmp_path / "run")
    path = tmp_path / "run" / "tokenizer.imported.json"
    good = json.loads(path.read_text())
    for change in ({"format": "x"}, {"markers": {}}, {"bos": 10**6}, {"tokenizer": "{}"}, {"special": []}):
        path.write_text(json.dumps({**good, **change}))
        with pytest.raises(NimError, match="not a tokenizer of ours"):
            Tokenizer.load(tmp_path / "run")
    path.write_text(json.dumps(good))
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(NimError, match=r'pip install "nimllm\[import\]"'):
        Tokenizer.load(tmp_path / "run")


