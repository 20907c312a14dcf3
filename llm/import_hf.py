"""A Hugging Face folder as a run of ours: Llama-, Qwen2- and Qwen3-shaped models, weights as they are.

Our seven turn markers need ids. A special token of the same spelling is taken as it is, and ``<|im_end|>`` serves as
``<|end|>``; the others get rows of the embedding that no token uses, or new ones. Such a row begins as the mean of the
tokens that mean it (``<|im_start|>`` where there is one, and the role's name): the model has yet to learn it, which
``nimllm align sft`` teaches. A model without bos begins its texts with what separates them, its end-of-text token.
"""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nimllm.errors import NimError, UsageError
from nimllm.llm.checkpoint import expected_shapes
from nimllm.llm.config import ModelConfig
from nimllm.llm.export_hf import MODEL_FILES, write_json
from nimllm.llm.imported_tokenizer import ImportedTokenizer, describe_tokenizer, library, unreadable
from nimllm.llm.interchange import Stored, bytes_written, narrowed, new_folder, read_stored, widened, write_stored
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.tokenizer_json import characters_of, pieces_file
from nimllm.llm.turns import MARKERS

CONTEXT = 4096  # positions, unless more are asked for: tables and cache grow with them
FAMILIES = ("llama", "qwen2", "qwen3")
RUN_FILES = (*MODEL_FILES, "tokenizer.imported.json")
_AGAIN = "copy the folder again from where it came"


@dataclass(frozen=True)
class NewRow:
    """A row of the embedding that only we use. ``like``: tokens whose mean it begins as; none: zeros."""

    index: int
    like: tuple[int, ...]


def main(arguments: Namespace) -> int:
    """``nimllm import``: writes the run and says what it is."""
    began = time.monotonic()
    out = Path(arguments.out).expanduser()
    config, tokenizer, rows = import_hf(Path(arguments.folder).expanduser(), out, arguments.context, arguments.force,
                                         bytes_written())
    print(f"{out}: {config.parameters() / 1e6:.1f}M parameters, {config.n_layers} layers, context {config.context}, "
          f"vocabulary {tokenizer.vocab_size}, {time.monotonic() - began:.1f} s")
    new = {row.index for row in rows} & {tokenizer.marker(name[2:-2]) for name in MARKERS}
    if new:
        print(f"{len(new)} of the 7 turn markers are new to this model. It continues texts as it is; for --chat and "
              "--agent teach it our turns first: nimllm align sft")
    return 0


def import_hf(folder: Path, out: Path, context: int | None = None, force: bool = False,
              report: Callable[[int], None] = lambda count: None) -> tuple[ModelConfig, Tokenizer, list[NewRow]]:
    """Writes a run folder; returns its shape, its tokenizer and the rows made for it.

    NimError: something in the folder is missing, damaged, pickled, or of an architecture or tokenizer that cannot be
    read (3); ``out`` is not empty, or the model never saw so long a context (2).
    """
    if not folder.is_dir():
        raise NimError(f"no model at {folder}", "it is a file" if folder.exists() else "there is no such folder",
                       "give a folder with config.json, tokenizer.json and safetensors")
    about = read_object(folder / "config.json")
    config = shape_of(about, folder, context)
    stored = read_weights(folder)
    if "tie_word_embeddings" not in about and "lm_head.weight" not in stored:
        config = config.model_copy({"tied": True})
    config = without_output_bias(config, about, stored)
    tokenizer, rows = read_tokenizer(folder, about, config.vocab_size)
    shapes = expected_shapes(config)
    ours = tuple(part for part, switch in ((".self_attn.", "attention_bias"), (".mlp.", "mlp_bias"))
                 if config.bias and not about.get(switch))  # where only we have biases
    chosen = {name: Stored("F32", shape, partial(np.zeros, shape, np.float32))
              if name.endswith(".bias") and any(part in name for part in ours) and name not in stored
              else checked(name, stored, shape, folder) for name, shape in shapes.items()}
    unknown = [name for name in stored if name not in shapes and not name.endswith("rotary_emb.inv_freq")
               and not (config.tied and name == "lm_head.weight")]
    if unknown:
        raise NimError(f"{folder} holds more than a {about['model_type']} model", f"{unknown[0]} has no place in it",
                       "only plain models can be imported, without adapters or heads")
    size = max(config.vocab_size, tokenizer.vocab_size)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        if name in chosen and rows:
            chosen[name] = with_rows(name, chosen[name], rows, size)
    config = config.model_copy({"vocab_size": size})
    with new_folder(out, force, RUN_FILES, folder) as made:
        write_stored(made / "model.safetensors", chosen, {"format": "pt"}, report)
        tokenizer.save(made)
        write_json(made / "config.json", {
            "format": "nimllm-run", "version": 1, "model": config.model_dump(), "tokenizer": tokenizer.describe(),
            "training": {"imported": {"name": folder.resolve().name, "model_type": about["model_type"],
                                      "context": about.get("max_position_embeddings"),
                                      "new_rows": [row.index for row in rows]}}})
    return config, tokenizer, rows


def read_object(path: Path, needed: bool = True) -> dict[str, Any]:
    """A JSON object; empty when it is missing and not ``needed``. NimError when it cannot be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if not needed:
            return {}
        raise NimError(f"{path.parent} is no Hugging Face model", f"{path.name} is missing",
                       "give the folder that save_pretrained wrote") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NimError(f"cannot read {path}", str(error), _AGAIN) from None
    if not isinstance(found, dict):
        raise NimError(f"cannot read {path}", "it holds no object", _AGAIN)
    return found


# -- the shape -------------------------------------------------------------------------------------------------------


def shape_of(about: Mapping[str, Any], folder: Path, context: int | None) -> ModelConfig:
    """Our shape of what config.json says; NimError for what we compute otherwise, or not at all."""
    if about.get("format") == "nimllm-run":
        raise NimError(f"{folder} is a run folder already", "", "use it with --model")
    family = about.get("model_type")

    def refuse(why: str) -> NimError:
        return NimError(f"{folder} cannot be imported", why, "Llama-, Qwen2- and Qwen3-shaped models can")

    if family not in FAMILIES:
        raise refuse(f"its architecture is {family or 'not said'}")
    if about.get("quantization_config"):
        raise refuse("its weights are quantised")
    if about.get("hidden_act", "silu") not in ("silu", "swish"):
        raise refuse(f"its feed-forward is gated by {about['hidden_act']}, not by SiLU")
    scaling = about.get("rope_scaling") or {}
    rope = about.get("rope_parameters") or {}
    kind = scaling.get("rope_type") or scaling.get("type") or rope.get("rope_type") or "default"
    if kind != "default":
        raise refuse(f"its rotary positions are scaled ({kind}), and ours are not")
    if (rope.get("partial_rotary_factor") or about.get("partial_rotary_factor") or 1.0) != 1.0:
        raise refuse("only a part of its heads is rotated")
    try:
        longest = int(about.get("max_position_embeddings") or 2048)
        heads, width = int(about["num_attention_heads"]), int(about["hidden_size"])
        if context is not None and not 0 < context <= longest:
            raise UsageError(f"--context {context} is not possible", f"the model was made for 1 to {longest} tokens",
                             f"give at most {longest}")
        seen = context or min(longest, CONTEXT)
        sliding = about.get("sliding_window") if family != "llama" and about.get("use_sliding_window") else None
        if (sliding or "sliding_attention" in (about.get("layer_types") or ())) and seen > int(sliding or 0):
            raise refuse(f"its attention sees a sliding window of {sliding or 'some'} tokens"
                         + (f" (--context {sliding} stays within it)" if sliding else ""))
        attention = bool(about.get("attention_bias")) if family != "qwen2" else False
        made = ModelConfig(
            vocab_size=int(about["vocab_size"]), n_layers=int(about["num_hidden_layers"]), d_model=width, n_heads=heads,
            n_kv_heads=int(about.get("num_key_value_heads") or heads),
            head_dim=int(about.get("head_dim") or width // heads), d_ff=int(about["intermediate_size"]), context=seen,
            rope_theta=float(rope.get("rope_theta") or about.get("rope_theta") or 10000.0),
            norm_eps=float(about.get("rms_norm_eps", 1e-6)), qk_norm=family == "qwen3",
            tied=bool(about.get("tie_word_embeddings", False)),
            bias=attention or bool(about.get("mlp_bias")), qkv_bias=family == "qwen2")
    except KeyError as error:
        raise NimError(f"cannot read {folder / 'config.json'}", f"{error.args[0]} is missing", _AGAIN) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise NimError(f"cannot read {folder / 'config.json'}", str(error), _AGAIN) from None
    return made


# -- the weights -----------------------------------------------------------------------------------------------------


def read_weights(folder: Path) -> dict[str, Stored]:
    """Every tensor of model.safetensors, or of the shards its index names; NimError when there are only pickles."""
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.exists():
        return read_stored(whole)
    if index.exists():
        places = read_object(index).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(name, str) and Path(name).name == name
                                                   for name in places.values()):
            raise NimError(f"cannot read {index}", "its weight_map names no files of the folder", _AGAIN)
        shards = {name: read_stored(folder / name) for name in sorted(set(places.values()))}
        for name, shard in places.items():
            if name not in shards[shard]:
                raise NimError(f"{folder / shard} lacks {name}", f"{index.name} says that it is there", _AGAIN)
        return {name: shards[shard][name] for name, shard in places.items()}
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    if pickles:
        raise NimError(f"{folder} holds its weights as pickles only ({pickles[0]})",
                       "unpickling runs code that is in the file",
                       "fetch the safetensors version, or let transformers write it: save_pretrained")
    raise NimError(f"{folder} holds no weights", "model.safetensors is missing", _AGAIN)


def checked(name: str, stored: Mapping[str, Stored], shape: tuple[int, ...], folder: Path) -> Stored:
    """The tensor, with its values looked at when they are read. NimError when it is missing or of another shape."""
    if name not in stored:
        raise NimError(f"{folder} does not fit its config.json", f"{name} is missing", _AGAIN)
    one = stored[name]
    if one.shape != shape:
        raise NimError(f"{folder} does not fit its config.json",
                       f"{name} is {list(one.shape)}, config.json needs {list(shape)}", _AGAIN)

    def read() -> np.ndarray:
        values = one.read()
        if not np.isfinite(widened(one.dtype, values).sum(dtype=np.float64)):
            raise NimError(f"{folder} is damaged", f"{name} holds values that are not finite", _AGAIN)
        return values

    return Stored(one.dtype, shape, read)


def without_output_bias(config: ModelConfig, about: Mapping[str, Any], stored: dict[str, Stored]) -> ModelConfig:
    """Where attention alone has biases, and those of its output are zero, they are biases of queries, keys and values;
    the zeros go out of ``stored``. We have no other way to say so: our other switch is for every linear layer."""
    outputs = [name for name in stored if name.endswith(".self_attn.o_proj.bias")]
    if not config.bias or about.get("mlp_bias") or any(stored[name].read().any() for name in outputs):
        return config
    for name in outputs:
        del stored[name]
    return config.model_copy({"bias": False, "qkv_bias": True})


def with_rows(name: str, table: Stored, rows: list[NewRow], size: int) -> Stored:
    """The table [size, d], its new rows set."""
    width = table.shape[1]

    def read() -> np.ndarray:
        values = table.read().reshape(table.shape)
        made = np.zeros((size, width), values.dtype)
        made[:len(values)] = values
        for row in rows:
            like = widened(table.dtype, values[list(row.like)])
            made[row.index] = narrowed(table.dtype, like.mean(0), name) if len(like) else 0
        return made

    return Stored(table.dtype, (size, width), read)


# -- the tokenizer ---------------------------------------------------------------------------------------------------


def read_tokenizer(folder: Path, about: Mapping[str, Any], size: int) -> tuple[Tokenizer, list[NewRow]]:
    """The tokenizer, and the rows of the embedding that our markers need; ``size``: the rows there are. Rows that no
    token uses are ids of it, too: a model may draw one, and it has to be something."""
    pieces = folder / "tokenizer.model"
    if pieces.exists():
        own = pieces_file(pieces.read_bytes())
        if own is not None:
            return own, []
    path = folder / "tokenizer.json"
    if not path.exists():
        raise NimError(f"{folder} holds no tokenizer.json",
                       "only SentencePiece's file is there" if pieces.exists() else "it is missing",
                       "let transformers write it: AutoTokenizer.from_pretrained(…).save_pretrained(…)")
    content = read_object(path)
    own = characters_of(content)
    if own is not None:
        return own, []
    why = unreadable(content)
    if why is not None:
        raise NimError(f"{path} cannot be used", why, "models with a byte-level BPE tokenizer can be imported")
    try:
        return _imported(folder, about, content, size)
    except ValueError as error:
        raise NimError(f"{path} cannot be used", str(error), _AGAIN) from None


def _imported(folder: Path, about: Mapping[str, Any], content: dict[str, Any], size: int
              ) -> tuple[Tokenizer, list[NewRow]]:
    added = {str(one["content"]): int(one["id"]) for one in content.get("added_tokens") or ()}
    for one in content.get("added_tokens") or ():
        if one["content"] in MARKERS:  # or a text could open a turn
            one["special"] = True
    source = json.dumps(content, ensure_ascii=False)
    tokens = library(source)
    ids: dict[str, int] = tokens.get_vocab(with_added_tokens=True)
    used = max(ids.values(), default=-1) + 1
    if used > size:
        raise NimError(f"the tokenizer of {folder} does not fit its model", f"it has {used} ids, the model {size}",
                       _AGAIN)
    bos, eos, stops = _ends(folder, about, ids)
    rows: list[NewRow] = []
    special = {index: name for name, index in added.items()}

    def new(name: str, like: list[int]) -> int:
        rows.append(NewRow(used + len(rows), tuple(like)))
        special[rows[-1].index] = name
        return rows[-1].index

    opening = [added["<|im_start|>"]] if "<|im_start|>" in added else []
    markers: dict[str, int] = {}
    for spelled in MARKERS:
        role = spelled[2:-2]
        if spelled in added:
            markers[role] = added[spelled]
        elif role == "end":
            markers[role] = added["<|im_end|>"] if "<|im_end|>" in added else new(spelled, [eos])
        else:
            markers[role] = new(spelled, opening + tokens.encode(role, add_special_tokens=False).ids)
    pad = ids.get(_spelled(read_object(folder / "tokenizer_config.json", needed=False).get("pad_token")), -1)
    if pad < 0 or pad in (bos, eos, *stops, *markers.values()):  # else a loss without padding lacks the ends too
        pad = new("<|pad|>", [])
    stops.add(markers["end"])
    data = describe_tokenizer(source, max(size, used + len(rows)), bos, eos, pad, sorted(stops), markers, special)
    return ImportedTokenizer(data), rows


def _spelled(token: Any) -> str:
    """A token as tokenizer_config.json gives it: a text, or an object with one."""
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")


def _ends(folder: Path, about: Mapping[str, Any], ids: Mapping[str, int]) -> tuple[int, int, set[int]]:
    """bos, eos, and every id that ends a text. NimError when the folder names none."""
    tokenizer = read_object(folder / "tokenizer_config.json", needed=False)
    generation = read_object(folder / "generation_config.json", needed=False)
    stops: list[int] = []
    for source in (about, generation):
        value = source.get("eos_token_id")
        stops += [int(one) for one in (value if isinstance(value, list) else [value]) if one is not None]
    eos = ids.get(_spelled(tokenizer.get("eos_token")), stops[0] if stops else -1)
    bos = ids.get(_spelled(tokenizer.get("bos_token")), -1)
    if bos < 0:
        bos = ids.get("<|endoftext|>", eos)  # what separates texts; config.json of Qwen names the same
    known = set(ids.values())
    if eos not in known or bos not in known:
        raise NimError(f"{folder} names no end-of-text token",
                       "tokenizer_config.json and config.json have no eos token that the tokenizer knows", _AGAIN)
    return bos, eos, {one for one in (eos, *stops) if one in known}
