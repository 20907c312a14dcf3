"""Our tokenizers as Hugging Face's: tokenizer.json, tokenizer_config.json with the turn format as a chat template.

The ids are equal for every text (``tokenizer(text, split_special_tokens=True)``; bos stands in front unless
``add_special_tokens=False``). Pieces keep their spaces instead of U+2581, so that the character U+2581 itself falls
back to bytes, as it does with us.

A marker that is spelled in a message must not open a turn, though the template and the messages become one string: the
template writes ``GUARD`` into such a spelling, which then is no special token, and the tokenizer drops it afterwards.
"""

from __future__ import annotations

import json
import re
from typing import Any

import sentencepiece

from nimllm.llm.imported_tokenizer import ImportedTokenizer, parts_of
from nimllm.llm.tokenizer import SPECIALS, Tokenizer
from nimllm.llm.turns import LEARNED, MARKERS, ROLES

GUARD = "\ufdd0\ufdd1"  # two noncharacters of Unicode, which no text should hold
_SPACE = "\u2581"


def halves(marker: str) -> tuple[str, str]:
    """Where ``Tokenizer.encode`` cuts a marker that is spelled in a text."""
    return marker[:len(marker) // 2], marker[len(marker) // 2:]


def pieces_of(tokenizer: Tokenizer) -> sentencepiece.SentencePieceProcessor:
    """The SentencePiece model of a "bpe" tokenizer."""
    return sentencepiece.SentencePieceProcessor(model_proto=tokenizer.data)


def added(index: int, content: str) -> dict[str, Any]:
    """A token that is looked for in a text before anything else."""
    return {"id": index, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True}


def _bpe(tokenizer: Tokenizer) -> dict[str, Any]:
    pieces = pieces_of(tokenizer)
    names: dict[str, int] = {}
    mergeable: dict[str, int] = {}
    for index in range(tokenizer.vocab_size):
        piece = pieces.id_to_piece(index)
        plain = not (pieces.is_control(index) or pieces.is_unknown(index) or pieces.is_byte(index)
                     or tokenizer.is_marker(index))
        name = piece.replace(_SPACE, " ") if plain else piece
        names[name] = index
        if plain:
            mergeable[name] = index
    # SentencePiece joins two neighbours when the whole is a piece, best score first: every way to make it is a merge
    merges = [[name[:cut], name[cut:]]
              for name, index in sorted(mergeable.items(), key=lambda pair: -pieces.get_score(pair[1]))
              for cut in range(1, len(name)) if name[:cut] in mergeable and name[cut:] in mergeable]
    return {"type": "BPE", "dropout": None, "unk_token": SPECIALS[0], "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": True, "ignore_merges": False,
            "vocab": names, "merges": merges}


def _characters(tokenizer: Tokenizer) -> dict[str, Any]:
    named = [*SPECIALS, *MARKERS]
    named += [tokenizer.token_bytes(index).decode() for index in range(len(named), tokenizer.vocab_size)]
    return {"type": "WordLevel", "vocab": {name: index for index, name in enumerate(named)}, "unk_token": SPECIALS[0]}


def tokenizer_json(tokenizer: Tokenizer) -> str:
    """tokenizer.json of a "bpe" or "char" tokenizer."""
    middles = "|".join(f"(?<={re.escape(left)})(?={re.escape(right)})" for left, right in map(halves, MARKERS))
    splits: list[dict[str, Any]] = [
        {"type": "Split", "pattern": {"Regex": middles}, "behavior": "Removed", "invert": False},
        # bpe: lines, whatever their length, since no piece holds one's end and long strings are slow
        {"type": "Split", "pattern": {"Regex": "\\n" if tokenizer.kind == "bpe" else "[\\s\\S]"},
         "behavior": "Isolated", "invert": False},
    ]
    fuse = [{"type": "ByteFallback"}, {"type": "Fuse"}] if tokenizer.kind == "bpe" else [{"type": "Fuse"}]
    bos = SPECIALS[tokenizer.bos]
    special = {**{name: index for index, name in enumerate(SPECIALS)},
               **{name: tokenizer.marker(name[2:-2]) for name in MARKERS}}
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(index, name) for name, index in sorted(special.items(), key=lambda pair: pair[1])],
        "normalizer": {"type": "Replace", "pattern": {"String": GUARD}, "content": ""},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": splits},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                     {"SpecialToken": {"id": bos, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {bos: {"id": bos, "ids": [tokenizer.bos], "tokens": [bos]}},
        },
        "decoder": {"type": "Sequence", "decoders": fuse},
        "model": _bpe(tokenizer) if tokenizer.kind == "bpe" else _characters(tokenizer),
    }, ensure_ascii=False)


def imported_json(tokenizer: ImportedTokenizer) -> str:
    """tokenizer.json of a model that was imported: its own, with our markers and our guard."""
    content = json.loads(tokenizer.source)
    there = {int(one["id"]) for one in content["added_tokens"]}
    content["added_tokens"] += [added(index, name) for index, name in sorted(tokenizer.special.items())
                                if index not in there]
    guard = {"type": "Replace", "pattern": {"String": GUARD}, "content": ""}
    own = [step for step in parts_of(content.get("normalizer")) if step != guard]
    content["normalizer"] = {"type": "Sequence", "normalizers": [guard, *own]}
    return json.dumps(content, ensure_ascii=False)


def special_tokens(tokenizer: Tokenizer) -> list[str]:
    """The spellings that are special tokens wherever a text holds them."""
    if isinstance(tokenizer, ImportedTokenizer):
        return [str(one["content"]) for one in json.loads(imported_json(tokenizer))["added_tokens"] if one["special"]]
    return [*SPECIALS, *MARKERS]


def _quoted(text: str) -> str:
    """A string of a template."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def chat_template(tokenizer: Tokenizer, guarded: bool = True, generation: bool = True) -> str:
    """``turns.render`` as a template. Roles are ours, and "tool" for "output"; a message's content is a text, or a list
    of parts with texts. ``guarded``: with the guard that only our tokenizer.json drops. ``generation``: with the marks
    by which transformers makes a mask of the model's own words."""
    names = {role: tokenizer.decode([tokenizer.marker(role)]) for role in (*ROLES, "end")}
    text = "text"
    for left, right in map(halves, special_tokens(tokenizer) if guarded else ()):
        text += f" | replace({_quoted(left + right)}, {_quoted(left + GUARD + right)})"
    words = f"""\
{{%- set markers = {{{", ".join(f"{_quoted(role)}: {_quoted(name)}" for role, name in names.items())}}} -%}}
{{%- macro words(content) -%}}
{{%- if content is string -%}}
{{%- set text = content -%}}
{{%- else -%}}
{{%- set text = content | map(attribute='text') | join('') -%}}
{{%- endif -%}}
{{{{- {text} -}}}}
{{%- endmacro -%}}
"""
    turn = "{{- markers[role] ~ words(message['content']) ~ markers['end'] -}}\n"
    if generation:
        turn = (f"{{%- if role in {sorted(LEARNED)} -%}}\n{{%- generation -%}}\n{turn}{{%- endgeneration -%}}\n"
                f"{{%- else -%}}\n{turn}{{%- endif -%}}\n")
    return words + f"""\
{{{{- bos_token -}}}}
{{%- for message in messages -%}}
{{%- set role = 'output' if message['role'] == 'tool' else message['role'] -%}}
{{%- if role not in {sorted(ROLES)} -%}}
{{{{- raise_exception('this model has no role ' ~ role) -}}}}
{{%- endif -%}}
{turn}\
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}
{{{{- markers['assistant'] -}}}}
{{%- endif -%}}
"""


def tokenizer_config(tokenizer: Tokenizer, context: int) -> dict[str, Any]:
    """tokenizer_config.json."""
    if isinstance(tokenizer, ImportedTokenizer):
        named = {f"{name}_token": tokenizer.special[index] for name, index in
                 (("bos", tokenizer.bos), ("eos", tokenizer.eos), ("pad", tokenizer.pad))}
    else:
        named = {f"{name[1:-1]}_token": name for name in ("<unk>", "<pad>")} | {"bos_token": "<s>", "eos_token": "</s>"}
    return {"tokenizer_class": "PreTrainedTokenizerFast", **named, "model_max_length": context,
            "clean_up_tokenization_spaces": False, "chat_template": chat_template(tokenizer)}


def characters_of(content: Any) -> Tokenizer | None:
    """The character tokenizer that :func:`tokenizer_json` wrote, from the parsed file; None when it is another one."""
    try:
        names = content["model"]["vocab"]
        ordered = sorted(names, key=names.__getitem__)
        first = len(SPECIALS) + len(MARKERS)
        if content["model"]["type"] != "WordLevel" or ordered[:first] != [*SPECIALS, *MARKERS]:
            return None
        inner = {"format": "nimllm-characters", "version": 1, "markers": MARKERS,
                 "characters": "".join(ordered[first:])}
        return Tokenizer("char", json.dumps(inner, ensure_ascii=False).encode())
    except (KeyError, TypeError, ValueError):
        return None


def pieces_file(data: bytes) -> Tokenizer | None:
    """The tokenizer of a SentencePiece file when it is one of ours; None when it is another one."""
    try:
        return Tokenizer("bpe", data)
    except ValueError:
        return None
