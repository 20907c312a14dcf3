"""nimllm export hf: stock transformers loads what we write, computes the same and cuts texts the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchange_samples import NASTY, SHAPES, bpe, characters, random_run, shape
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm import cli, places
from nimllm.errors import NimError
from nimllm.llm.architectures import architecture, hf_config, hf_tensors
from nimllm.llm.checkpoint import expected_shapes, read_tensors, write_tensors
from nimllm.llm.export_hf import export
from nimllm.llm.interchange import narrowed, read_stored, widened
from nimllm.llm.presets import SIZES, preset
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import MARKERS, ROLES, Turn, render

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")
EXPORTED = [name for name, (_, kind, _) in SHAPES.items() if kind]


def ours(run: Path, ids: list[int], weights: Path | None = None) -> np.ndarray:
    from nimllm.llm.model import load

    with torch.no_grad():
        return load(run, weights).eval()(torch.tensor([ids]))[0].numpy()


def theirs(folder: Path, ids: list[int], **options: Any) -> tuple[Any, np.ndarray]:
    model, said = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **options)
    assert not said["missing_keys"] and not said["unexpected_keys"] and not said["mismatched_keys"]
    with torch.no_grad():
        return model, model.eval()(torch.tensor([ids])).logits[0].float().numpy()


@pytest.mark.parametrize("name", EXPORTED)
def test_stock_transformers_gives_the_same_logits(name: str, tmp_path: Path) -> None:
    tokenizer = bpe() if "gpt" not in name.lower() else characters()
    config = shape(name, tokenizer, padded=5)
    run = random_run(tmp_path / "run", config, tokenizer)
    assert export(run, tmp_path / "out") == SHAPES[name][1]
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "files: <|user|> é漢\u2581 \n\n 1234   x's"  # some types have a way of their own to cut texts
    assert words(text, split_special_tokens=True).input_ids == [tokenizer.bos, *tokenizer.encode(text)]
    ids = [int(i) for i in np.random.default_rng(1).integers(0, config.vocab_size, config.context)]
    model, logits = theirs(tmp_path / "out", ids)
    assert type(model).__name__ == SHAPES[name][1] and model.dtype == torch.float32
    expected = ours(run, ids)
    assert np.abs(logits - expected).max() < 2e-6 * max(np.abs(expected).max(), 10)
    assert (logits.argmax(-1) == expected.argmax(-1)).all()
    if name in ("nanoGPT", "vidya"):
        text = model.generate(torch.tensor([ids[:5]]), max_new_tokens=8, do_sample=False, eos_token_id=None)
        assert len(text[0]) == 13


@pytest.mark.parametrize("name", [name for name in SHAPES if name not in EXPORTED])
def test_shapes_without_a_stock_architecture_are_refused_by_name(name: str, tmp_path: Path) -> None:
    run = random_run(tmp_path / "run", shape(name, bpe()), bpe())
    with pytest.raises(NimError) as error:
        export(run, tmp_path / "out")
    excluded = {"learned positions, gates": "rotary positions, not learned ones",
                "normed after positions": "no norm after the embedding", "grouped gpt2": "as many key as query heads",
                "biases in gates, qk norm": "biases", "layer norm with gates": "SwiGLU"}[name]
    assert excluded in error.value.message() and "can be exported" in error.value.message()
    assert error.value.code == 3 and not (tmp_path / "out").exists()


PRESETS = {"vidya-103m": "ArceeForCausalLM", "nanolm-10m": "LlamaForCausalLM",
           **dict.fromkeys(("llmc-7m", "char-10m", "classics-46m", "chat-48m"), "GPT2LMHeadModel")}


@pytest.mark.parametrize("size", SIZES)
def test_every_preset_has_a_stock_architecture(size: str) -> None:
    """Smaller ones of the same shapes are exported above; here transformers counts the parameters of the full ones."""
    config = preset(size)
    assert architecture(config).name == PRESETS.get(size, "Qwen3ForCausalLM")
    plain = config.model_copy({"embed_norm": False, "tied": config.tied and not config.embed_norm})
    about = hf_config(plain, "float32")
    kind = transformers.AutoConfig.for_model(**{key: value for key, value in about.items() if key != "architectures"})
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(kind)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items() if "rotary" not in key}
    if plain.tied:
        del shapes["lm_head.weight"]
    given = {name: np.broadcast_to(np.float32(0), size) for name, size in expected_shapes(plain).items()}
    assert shapes == {key: make().shape for key, make in hf_tensors(plain, given).items()}


def test_16_bits(tmp_path: Path) -> None:
    run = random_run(tmp_path / "run", shape("ours", bpe()), bpe())
    ids = list(range(40))
    for dtype in ("bf16", "fp16"):
        export(run, tmp_path / dtype, dtype=dtype)  # type: ignore[arg-type]
        rounded = tmp_path / f"{dtype}.safetensors"
        write_tensors(rounded, read_tensors(tmp_path / dtype / "model.safetensors"))
        _, logits = theirs(tmp_path / dtype, ids, dtype=torch.float32)
        assert np.abs(logits - ours(run, ids, rounded)).max() < 1e-4
        model, _ = theirs(tmp_path / dtype, ids)
        assert model.dtype == {"bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
        assert model.config.rope_parameters["rope_theta"] == 10000.0


@settings(max_examples=200)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**120), max_value=2.0**120),
                min_size=1))
def test_bf16_is_rounded_as_torch_does(values: list[float]) -> None:
    given_values = np.asarray(values, np.float32)
    want = torch.from_numpy(given_values).to(torch.bfloat16).float().numpy()
    assert (widened("BF16", narrowed("BF16", given_values)) == want).all()


def test_values_too_large_are_refused(tmp_path: Path) -> None:
    run = random_run(tmp_path / "run", shape("ours", bpe()), bpe())
    tensors = read_tensors(run / "model.safetensors")
    tensors["model.norm.weight"][0] = 1e6
    write_tensors(run / "model.safetensors", tensors)
    with pytest.raises(NimError, match=r"model.norm.weight cannot be written as fp16.*beyond 65504"):
        export(run, tmp_path / "out", dtype="fp16")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))


# -- the tokenizer ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["bpe", "char"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Any]:
    """Ours, and what AutoTokenizer makes of its export."""
    tokenizer = bpe() if request.param == "bpe" else characters()
    folder = tmp_path_factory.mktemp(request.param)
    run = random_run(folder / "run", shape("ours", tokenizer), tokenizer)
    export(run, folder / "out")
    return tokenizer, transformers.AutoTokenizer.from_pretrained(folder / "out")


def same(pair: tuple[Tokenizer, Any], text: str) -> None:
    tokenizer, other = pair
    ids = tokenizer.encode(text)
    assert other(text, split_special_tokens=True).input_ids == [tokenizer.bos, *ids]
    assert other(text, split_special_tokens=True, add_special_tokens=False).input_ids == ids
    if not any(name in text for name in (*MARKERS, "<unk>", "<s>", "</s>", "<pad>")):
        assert other(text, add_special_tokens=False).input_ids == ids
    if tokenizer.kind == "bpe":
        assert other.decode(ids) == text == tokenizer.decode(ids)


@pytest.mark.parametrize("text", NASTY)
def test_ids_of_nasty_texts(pair: tuple[Tokenizer, Any], text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        pytest.skip("no Unicode text")
    same(pair, text)


PARTS = st.one_of(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12),
                  st.text(alphabet=" \n\t", max_size=9), st.text(alphabet="0123456789", max_size=6),
                  st.sampled_from([*MARKERS, "<|", "|>", "user", "<|us", "er|>", "<s>", "</s>", "\u2581", "files "]))


@settings(max_examples=120, deadline=None)
@given(st.lists(PARTS, max_size=12).map("".join))
def test_ids_of_any_text(pair: tuple[Tokenizer, Any], text: str) -> None:
    same(pair, text)


def test_special_tokens_are_what_they_are_here(pair: tuple[Tokenizer, Any]) -> None:
    tokenizer, other = pair
    assert (other.unk_token_id, other.bos_token_id, other.eos_token_id, other.pad_token_id) == (0, 1, 2, 3)
    assert len(other) == tokenizer.vocab_size
    for name in MARKERS:
        assert other.convert_tokens_to_ids(name) == tokenizer.marker(name[2:-2])
        assert other(f"a{name}b", add_special_tokens=False).input_ids.count(tokenizer.marker(name[2:-2])) == 1
        assert other.decode([tokenizer.marker(name[2:-2])], skip_special_tokens=True) == ""


TURNS = st.lists(st.tuples(st.sampled_from(ROLES), st.lists(PARTS, max_size=4).map("".join)), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(TURNS, st.booleans())
def test_the_chat_template_is_our_turn_format(pair: tuple[Tokenizer, Any], turns: list[tuple[Any, str]], ask: bool
                                              ) -> None:
    tokenizer, other = pair
    rendered = render([Turn(role, text) for role, text in turns], tokenizer)
    messages = [{"role": role, "content": text} for role, text in turns]
    want = rendered.ids + [tokenizer.marker("assistant")] * ask
    got = other.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True,
                                    add_generation_prompt=ask)
    assert got["input_ids"] == want
    if not ask:  # the mask is by characters: one that became several bytes counts as one
        assert [bool(one) for one in got["assistant_masks"]] == rendered.learn


def test_the_template_takes_parts_and_tools_and_refuses_other_roles(pair: tuple[Tokenizer, Any]) -> None:
    tokenizer, other = pair
    got = other.apply_chat_template([{"role": "tool", "content": [{"type": "text", "text": "a"},
                                                                  {"type": "text", "text": "b"}]}], return_dict=False)
    assert got == render([Turn("output", "ab")], tokenizer).ids
    with pytest.raises(Exception, match="no role critic"):
        other.apply_chat_template([{"role": "critic", "content": "a"}])


# -- folders and the command -----------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return random_run(tmp_path / "run", shape("ours", bpe()), bpe())


def test_both_spellings_and_the_ends(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 10000.0
    assert config["dtype"] == config["torch_dtype"] == "float32"
    ends = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert ends["eos_token_id"] == [2, bpe().marker("end")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer.model",
        "tokenizer_config.json"]


def test_nothing_is_replaced_unasked(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert cli.main(["export", "hf", str(run), str(out)]) == 0, "an empty folder is filled"
    (out / "notes.txt").write_text("mine")
    (out / "model-00001-of-00002.safetensors").write_bytes(b"old")
    (out / "config.json").write_text("old")
    assert cli.main(["export", "hf", str(run), str(out)]) == 2
    assert "not empty" in capsys.readouterr().err and (out / "config.json").read_text() == "old"
    assert cli.main(["export", "hf", str(run), str(out), "--force"]) == 0
    assert (out / "notes.txt").read_text() == "mine" and not (out / "model-00001-of-00002.safetensors").exists()
    theirs(out, [1, 2, 3])


@pytest.mark.parametrize("break_it, code, said", [
    (lambda run: (run / "config.json").unlink(), 3, "not a nimllm run folder"),
    (lambda run: (run / "model.safetensors").unlink(), 3, "does not exist"),
    (lambda run: (run / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:-9]), 3, "truncate"),
    (lambda run: (run / "tokenizer.model").unlink(), 3, "holds no tokenizer"),
    (lambda run: (run / "model.safetensors").write_bytes(b"PK\x03\x04 pickled"), 3, "pickle"),
])
def test_unusable_runs_give_one_message(run: Path, tmp_path: Path, break_it: Any, code: int, said: str,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    break_it(run)
    assert cli.main(["export", "hf", str(run), str(tmp_path / "out")]) == code
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_places_that_cannot_be_written(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["export", "hf", str(run), str(tmp_path / "file")]) == 2
    assert cli.main(["export", "hf", str(run), str(tmp_path / "file" / "out")]) == 3
    assert cli.main(["export", "hf", str(tmp_path / "none"), str(tmp_path / "out")]) == 3
    assert capsys.readouterr().err.count("nimllm: ") == 3


def test_a_model_is_never_replaced_by_its_export(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert cli.main(["export", "hf", str(run), str(run / ".." / run.name), "--force"]) == 2
    assert cli.main(["export", "gguf", str(run), str(run / "model.safetensors"), "--force"]) == 2
    assert capsys.readouterr().err.count("it is the model itself") == 2
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_interrupted_there_is_nothing(run: Path, tmp_path: Path) -> None:
    from nimllm.llm.export_gguf import export as export_gguf

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    for interrupted in (lambda: export(run, tmp_path / "out", report=stop),
                        lambda: export_gguf(run, tmp_path / "out.gguf", report=stop)):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_weights_of_memories(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    other = read_tensors(run / "model.safetensors")
    other["model.norm.weight"] = other["model.norm.weight"] * 2
    write_tensors(tmp_path / "head.safetensors", other)
    head_file = str(tmp_path / "head.safetensors")
    assert cli.main(["export", "hf", str(run), str(tmp_path / "a"), "--weights", head_file]) == 0
    assert (read_tensors(tmp_path / "a" / "model.safetensors")["model.norm.weight"] == other["model.norm.weight"]).all()

    from nimllm.alignment.memory.events import Record
    from nimllm.alignment.memory.store import MemoryStore

    with MemoryStore(run) as store:
        delta = {"model.norm.weight": (np.array([3], np.int32), np.array([500], np.int16))}
        record = store.commit(Record(title="a memory", method="kewc"), delta)
        assert record.state == "accepted"
        head = read_tensors(store.weights())
    assert cli.main(["export", "hf", str(run), str(tmp_path / "b"), "--with-memory"]) == 0
    assert cli.main(["export", "hf", str(run), str(tmp_path / "c")]) == 0
    written = [read_tensors(tmp_path / name / "model.safetensors") for name in "bc"]
    base = read_tensors(run / "model.safetensors")
    assert all((written[0][name] == head[name]).all() and (written[1][name] == base[name]).all() for name in base)
    assert (written[0]["model.norm.weight"] != base["model.norm.weight"]).sum() == 1


@pytest.mark.slow
def test_the_shipped_model_without_our_code(tmp_path: Path) -> None:
    """Another process, in another folder, in which nimllm cannot be imported."""
    assert cli.main(["export", "hf", "shipped", str(tmp_path / "out")]) == 0
    code = ("import sys; sys.modules['nimllm'] = None\n"
            "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
            "model, tokenizer = (kind.from_pretrained('out') for kind in (AutoModelForCausalLM, AutoTokenizer))\n"
            "chat = tokenizer.apply_chat_template([dict(role='user', content='My name is Ada.')], return_tensors='pt', "
            "add_generation_prompt=True, return_dict=True)\n"
            "ids = model.generate(**chat, max_new_tokens=24, do_sample=False)[0, chat['input_ids'].shape[1]:]\n"
            "print(tokenizer.decode(ids, skip_special_tokens=True))")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]

    from nimllm.llm.generate import Generator

    generator = Generator.load(places.shipped_model(), threads=1)
    tokenizer = generator.tokenizer
    prompt = [*render([Turn("user", "My name is Ada.")], tokenizer).ids, tokenizer.marker("assistant")]
    assert done.stdout.strip() == generator.complete(prompt, 24, stop_ids=[tokenizer.marker("end")]).text.strip()


def test_written_files_are_read_back(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    stored = read_stored(tmp_path / "out" / "model.safetensors")
    base = read_tensors(run / "model.safetensors")
    assert set(stored) == set(base)
    assert all((stored[name].read().reshape(stored[name].shape) == base[name]).all() for name in base)
