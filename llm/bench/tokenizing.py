"""``nimllm bench tokenize``: text to ids in MB/s, and ids to text one by one, as a reply is streamed."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from nimllm.errors import NimError
from nimllm.llm.bench.report import Report
from nimllm.llm.bench.rounds import Kind, contest, steady
from nimllm.llm.generate import TextStream
from nimllm.llm.tokenizer import Tokenizer
from nimllm.places import shipped_model

KINDS = {
    "encode": Kind("MB/s"),  # of UTF-8, one thread, the whole text in one call
    "encode_lines": Kind("MB/s"),  # a call per line
    "stream": Kind("us/token", higher_is_better=False),  # bytes of a token through the stream of a reply
    "decode": Kind("Mtok/s"),  # all ids in one call
    "load": Kind("ms", higher_is_better=False),  # Tokenizer.load
}


class TokenizerContestant:
    """The tokenizer of a run folder on a text. Every round checks that the ids give the text back."""

    name, dtype = "nimllm", "-"

    def __init__(self, run: Path, text: str) -> None:
        self._run, self._text = run, text
        self._tokenizer = Tokenizer.load(run)
        self._ids = self._tokenizer.encode(text)
        self._size = len(text.encode())
        self.bytes_per_token = self._size / max(1, len(self._ids))
        self.what = f"{self._tokenizer.kind}, {self._tokenizer.vocab_size} ids"
        if self._tokenizer.decode(self._ids) != text and self._tokenizer.kind == "bpe":
            raise NimError("the ids do not give the text back", "the tokenizer is damaged", "restore its file")

    def measure(self) -> dict[str, float]:
        return {"encode": steady(self._encode), "encode_lines": steady(self._encode_lines),
                "stream": 1e6 / steady(self._stream), "decode": steady(self._decode) / 1e6, "load": self._load()}

    def _encode(self) -> float:
        began = time.perf_counter()
        self._tokenizer.encode(self._text)
        return self._size / (time.perf_counter() - began) / 1e6

    def _encode_lines(self) -> float:
        lines = self._text.splitlines(keepends=True)
        began = time.perf_counter()
        for line in lines:
            self._tokenizer.encode(line)
        return self._size / (time.perf_counter() - began) / 1e6

    def _decode(self) -> float:
        began = time.perf_counter()
        self._tokenizer.decode(self._ids)
        return len(self._ids) / (time.perf_counter() - began)

    def _stream(self) -> float:
        parts: list[str] = []
        stream = TextStream((), parts.append)
        began = time.perf_counter()
        for index in self._ids:
            stream.add(self._tokenizer.token_bytes(index))
        return len(self._ids) / (time.perf_counter() - began)

    def _load(self) -> float:
        began = time.perf_counter()
        Tokenizer.load(self._run)
        return (time.perf_counter() - began) * 1e3

    def close(self) -> None:
        pass


def run(args: Namespace, report: Report) -> bool:
    """Measured and reported. Whether ^C ended it."""
    run_folder = Path(args.model) if args.model else shipped_model()
    path = Path(args.text) if args.text else shipped_model() / "probe_text.txt"
    try:
        text = path.read_text("utf-8")[:args.characters]
    except (OSError, UnicodeDecodeError) as error:
        raise NimError(f"cannot read {path}", str(error), "give a UTF-8 text with --text FILE") from None
    if not text:
        raise NimError(f"{path} is empty", "", "give a text with --text FILE")
    ours = TokenizerContestant(run_folder, text)
    figures, interrupted = contest([ours], KINDS, args.rounds, None, report.tell)
    report.add(figures, "shipped" if args.model is None else run_folder.resolve().name,
               {"text": path.name, "characters": len(text), "bytes_per_token": round(ours.bytes_per_token, 3),
                "threads": 1, "rounds": args.rounds})
    return interrupted
