"""The tokenizer of a model that others trained: byte-level BPE, read by the ``tokenizers`` library.

Ids of a text are those of its authors. Its special tokens are never read from a text; our turn markers are special
tokens too, with ids of their own (:mod:`nimllm.llm.import_hf` chooses them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nimllm.errors import NimError
from nimllm.llm.tokenizer import Tokenizer, refuse_surrogates
from nimllm.llm.turns import MARKERS

FORMAT = "nimllm-imported-tokenizer"


def byte_letters() -> dict[str, int]:
    """The letter that stands for a byte in a byte-level vocabulary (GPT-2): printable ones for themselves."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{chr(byte): byte for byte in plain}, **{chr(256 + n): byte for n, byte in enumerate(others)}}


def parts_of(node: Any) -> list[dict[str, Any]]:
    """The steps of a normalizer, pre-tokenizer or decoder, a sequence's one by one."""
    if not isinstance(node, dict):
        return []
    inner = node.get("pretokenizers") or node.get("decoders") or node.get("normalizers")
    return [one for part in inner for one in parts_of(part)] if inner is not None else [node]


def unreadable(content: Any) -> str | None:
    """Why a parsed tokenizer.json is none that can be used here; None when it can."""
    try:
        if content["model"]["type"] != "BPE":
            return f"its model is {content['model']['type']}, and only byte-level BPE can be read"
        splits, decoders = parts_of(content.get("pre_tokenizer")), parts_of(content.get("decoder"))
        kinds = [{one.get("type") for one in steps} for steps in (splits, decoders)]
    except (KeyError, TypeError):
        return "it is not what the tokenizers library writes"
    if not all("ByteLevel" in steps for steps in kinds):
        return "it is no byte-level BPE (SentencePiece's dummy prefix would change texts)"
    if any(one.get("add_prefix_space") for one in splits if one.get("type") == "ByteLevel"):
        return "it puts a space before every text, which would not be the text any more"
    return None


def library(content: str) -> Any:
    """``tokenizers.Tokenizer`` of a tokenizer.json, special tokens in texts being text. NimError: the library is not
    installed; ValueError: it cannot read the file."""
    try:
        import tokenizers
    except ImportError:
        raise NimError("this model's tokenizer needs the package tokenizers", "it is not installed",
                       'install it: pip install "nimllm[import]"') from None
    try:
        made = tokenizers.Tokenizer.from_str(content)
    except Exception as error:  # the library raises Exception itself
        raise ValueError(f"the tokenizers library cannot read it ({error})") from None
    made.no_truncation()
    made.no_padding()
    made.encode_special_tokens = True
    return made


class _TokenBytes(dict[int, bytes]):
    """id -> bytes, looked up when they are first wanted. IndexError for an id that is none."""

    def __init__(self, tokens: Any, silent: frozenset[int], spelled: Mapping[int, str], size: int) -> None:
        super().__init__()
        self._tokens, self._silent, self._spelled, self._size = tokens, silent, spelled, size
        self._letters = byte_letters()

    def __missing__(self, index: int) -> bytes:
        if not 0 <= index < self._size:
            raise IndexError(f"no id {index}")
        name = self._tokens.id_to_token(int(index))
        if index in self._silent:
            found = b""
        elif index in self._spelled:
            found = self._spelled[index].encode()
        elif name is None:  # a row of the embedding that no token has
            found = b""
        else:
            found = bytes(self._letters[letter] for letter in name)
        self[int(index)] = found
        return found


class ImportedTokenizer(Tokenizer):
    """Made by :func:`describe_tokenizer`'s bytes; ``kind`` is "hf"."""

    def __init__(self, data: bytes) -> None:
        """``data``: the bytes of tokenizer.imported.json. ValueError when they are not; NimError when the library that
        reads it is missing."""
        self.kind, self.data = "hf", data
        try:
            content = json.loads(data)
            if content["format"] != FORMAT or content["version"] != 1:
                raise ValueError(f"its format field is not {FORMAT!r}")
            self.bos, self.eos, self.pad = (int(content[name]) for name in ("bos", "eos", "pad"))
            self.vocab_size, self.stops = int(content["vocab_size"]), tuple(map(int, content["stops"]))
            self._markers = {name: int(content["markers"][name]) for name in (spelled[2:-2] for spelled in MARKERS)}
            self.source: str = content["tokenizer"]
            self.special = {int(index): str(name) for index, name in content["special"].items()}
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError):
            raise ValueError("it is not what nimllm import writes") from None
        ids = (self.bos, self.eos, self.pad, *self.stops, *self._markers.values())
        if not all(0 <= index < self.vocab_size and index in self.special for index in ids) or (
                len({*self._markers.values()}) < len(MARKERS)):
            raise ValueError("its special ids are not ids of its vocabulary")
        self.unk = self.pad  # bytes make every text: there is none
        self._tokens = library(self.source)
        self._marker_ids = frozenset(self._markers.values())
        silent = frozenset({self.bos, self.eos, self.pad, *self.stops} - self._marker_ids)
        behind = range(self._tokens.get_vocab_size(), self.vocab_size)
        unnamed = [index for index in behind if index not in self.special]
        self.never = (self.pad, *(() if self.bos in self.stops else (self.bos,)), *unnamed)
        self._bytes = _TokenBytes(self._tokens, silent, self.special, self.vocab_size)

    def encode_batch(self, texts: Sequence[str], threads: int = 1) -> list[list[int]]:
        """As the base class; the library chooses its own threads."""
        refuse_surrogates(texts)
        return [one.ids for one in self._tokens.encode_batch_fast(list(texts), add_special_tokens=False)]


def describe_tokenizer(source: str, vocab_size: int, bos: int, eos: int, pad: int, stops: Sequence[int],
                       markers: Mapping[str, int], special: Mapping[int, str]) -> bytes:
    """The file of an :class:`ImportedTokenizer`. ``source``: tokenizer.json; ``special``: id -> spelling of every
    special or added token, those included that only we have."""
    return json.dumps({"format": FORMAT, "version": 1, "vocab_size": vocab_size, "bos": bos, "eos": eos, "pad": pad,
                       "stops": list(stops), "markers": dict(markers),
                       "special": {str(index): name for index, name in special.items()}, "tokenizer": source},
                      ensure_ascii=False).encode()
