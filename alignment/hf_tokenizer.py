"""The face that our tokenizer shows to transformers and TRL: the same ids, and turns rendered by ``llm/turns.py``.

Text never becomes a marker here either: other tokenizers look for the spellings of their special tokens in every text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import BatchEncoding, PreTrainedTokenizer

from nimllm.llm.text import read_turns
from nimllm.llm.tokenizer import SPECIALS, Tokenizer
from nimllm.llm.turns import MARKERS, render


def _spellings(tokenizer: Tokenizer) -> dict[str, int]:
    """A string of its own for every id: what it shows, with its number where another id shows the same."""
    named = {index: spelling for index, spelling in enumerate(SPECIALS)}
    named |= {tokenizer.marker(spelling[2:-2]): spelling for spelling in MARKERS}
    ids: dict[str, int] = {spelling: index for index, spelling in named.items()}
    for index in range(tokenizer.vocab_size):
        if index not in named:
            text = tokenizer.token_bytes(index).decode("utf-8", "backslashreplace")
            ids[text if text not in ids else f"{text}#{index}"] = index
    return ids


class TurnTokenizer(PreTrainedTokenizer):
    """Our tokenizer for transformers and TRL.

    ``apply_chat_template`` renders turns as everything of ours does: bos, then ``<|role|> text <|end|>`` for each turn.
    ``add_generation_prompt`` adds nothing, since the model opens its own turn: which marker it writes is a choice
    (``bash`` or ``assistant``), and learnt.
    """

    vocab_files_names = {"vocab_file": "tokenizer.model"}  # noqa: RUF012 (transformers declares it so)
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012

    def __init__(self, tokenizer: Tokenizer | None = None, vocab_file: str | None = None, **options: Any) -> None:
        """One of a tokenizer and a file of a run folder."""
        if tokenizer is None:
            if vocab_file is None:
                raise ValueError("a TurnTokenizer is made of a Tokenizer or of a tokenizer.model")
            tokenizer = Tokenizer.load(Path(vocab_file).parent)
        self.own = tokenizer
        self._ids = _spellings(tokenizer)
        self._names = {index: name for name, index in self._ids.items()}
        for name, spelling in zip(("unk_token", "bos_token", "eos_token", "pad_token"), SPECIALS, strict=True):
            options[name] = spelling
        super().__init__(**options)

    @property
    def vocab_size(self) -> int:
        return self.own.vocab_size

    def get_vocab(self) -> dict[str, int]:
        return dict(self._ids)

    def tokenize(self, text: str, *_: Any, **__: Any) -> list[str]:
        return [self._names[index] for index in self.own.encode(text)]

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids.get(token, self.own.unk)

    def _convert_id_to_token(self, index: int) -> str:
        return self._names[index]

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        return self.own.decode(self._ids[token] for token in tokens)

    def build_inputs_with_special_tokens(self, token_ids_0: list[int], token_ids_1: list[int] | None = None
                                         ) -> list[int]:
        """Nothing is added: turns bring their own bos."""
        return token_ids_0 + (token_ids_1 or [])

    def apply_chat_template(self, conversation: Any, *_: Any, tokenize: bool = True, return_dict: bool = True,
                            return_tensors: str | None = None, padding: Any = False, **__: Any) -> Any:
        """Ids of a conversation (messages with role and content), or of each of several. NimError: a role that is
        none of ours, or text that is not Unicode."""
        several = bool(conversation) and not isinstance(conversation[0], dict)
        rows = [render(read_turns(list(one), "a message"), self.own).ids
                for one in (conversation if several else [conversation])]
        if not tokenize:
            texts = [self.own.decode(row) for row in rows]
            return texts if several else texts[0]
        found: Any = {"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]}
        if padding or return_tensors:
            found = self.pad(found, padding=padding or len(rows) > 1, return_tensors=return_tensors)
        elif not several:
            found = {name: values[0] for name, values in found.items()}
        return BatchEncoding(found) if return_dict else found["input_ids"]

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str, ...]:
        """The tokenizer file of a run folder, under its own name."""
        self.own.save(Path(save_directory))
        return (str(Path(save_directory) / self.vocab_files_names["vocab_file"]),)
