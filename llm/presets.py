"""The named sizes: a shape, and what follows from it when one trains it.

Ours are Qwen3-shaped (RoPE, RMSNorm, grouped queries, QK-norm, SwiGLU, tied). The others are other people's models, to
be trained here with our recipe or theirs and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nimllm.errors import NimError
from nimllm.llm.config import ModelConfig


@dataclass(frozen=True)
class Preset:
    """``parameters``: exact, with ``vocab`` entries in the vocabulary (the tokenizer of another text may differ)."""

    shape: dict[str, Any]  # of ModelConfig, without the vocabulary
    vocab: int
    parameters: int
    about: str
    tokenizer: Literal["bpe", "char"] = "bpe"
    clean: tuple[str, ...] = ()  # cleaning steps its author used
    rate: float = 4e-3  # peak learning rate of Muon; AdamW alone takes half of it
    batch_tokens: int = 8192


def _ours(layers: int, width: int, heads: int, kv_heads: int, ff: int, context: int, head_dim: int = 64
          ) -> dict[str, Any]:
    return dict(n_layers=layers, d_model=width, n_heads=heads, n_kv_heads=kv_heads, head_dim=head_dim, d_ff=ff,
                context=context)


def _gpt2(layers: int, width: int, heads: int, context: int, **more: Any) -> dict[str, Any]:
    return dict(n_layers=layers, d_model=width, n_heads=heads, n_kv_heads=heads, head_dim=width // heads,
                d_ff=4 * width, context=context, qk_norm=False, pos="learned", norm="layer", norm_eps=1e-5,
                ffn="gelu", **more)


PRESETS: dict[str, Preset] = {
    "tiny": Preset(_ours(2, 64, 2, 1, 128, 128, 32), 512, 106_944, "for tests and texts of a few pages"),
    "nimllm-2m": Preset(_ours(4, 128, 4, 2, 384, 256, 32), 2048, 1_049_984, "for a few books"),
    "nimllm-10m": Preset(_ours(5, 384, 6, 2, 896, 512), 8192, 10_277_632, "what two CPU cores train in an afternoon"),
    "nimllm-30m": Preset(_ours(9, 512, 8, 2, 1408, 1024), 8192, 29_567_616, "a night on a CPU, minutes on a GPU"),
    "nimllm-50m": Preset(_ours(9, 640, 10, 2, 1792, 1024), 16384, 50_312_192, "for a GPU", rate=3e-3,
                         batch_tokens=65_536),
    "nimllm-103m": Preset(_ours(11, 896, 14, 2, 2304, 1024), 16384, 103_011_840, "for a GPU", rate=2e-3,
                          batch_tokens=131_072),
    "vidya-103m": Preset(
        dict(n_layers=8, d_model=1024, n_heads=16, n_kv_heads=16, head_dim=64, d_ff=4096, context=512, ffn="gelu",
             qk_norm=False, embed_norm=True),
        2259, 102_994_944, "RMSNorm also after the embedding, GELU, RoPE", rate=2e-3),
    "nanolm-10m": Preset(
        dict(n_layers=6, d_model=256, n_heads=8, n_kv_heads=2, head_dim=32, d_ff=256, context=512, qk_norm=False),
        32_000, 10_358_016, "Llama-shaped, four queries per key, most of it vocabulary"),
    "llmc-7m": Preset(_gpt2(4, 128, 4, 256, bias=True), 50_257, 7_259_008, "a GPT-2 of llm.c's size"),
    "char-10m": Preset(_gpt2(6, 384, 6, 256, dropout=0.2), 201, 10_797_312, "nanoGPT's character model",
                       tokenizer="char"),
    "classics-46m": Preset(_gpt2(12, 512, 8, 512), 16_000, 46_215_680, "a bias-free GPT-2 for literature", rate=3e-3,
                           clean=("quotes", "dashes", "ellipsis", "yo")),
    "chat-48m": Preset(_gpt2(10, 512, 8, 1024), 32_000, 48_376_320, "a bias-free GPT-2 for conversations",
                       rate=3e-3),
}
SIZES = tuple(PRESETS)


def preset(name: str, vocab_size: int | None = None, **overrides: Any) -> ModelConfig:
    """The named shape with this vocabulary (default: the preset's own); NimError for an unknown name."""
    found = find(name)
    return ModelConfig(vocab_size=vocab_size or found.vocab, **{**found.shape, **overrides})


def find(name: str) -> Preset:
    """The preset of that name; NimError with the names when there is none."""
    if name not in PRESETS:
        raise NimError(f"no model size is called {name!r}", "", f"the sizes are {', '.join(SIZES)}", 2)
    return PRESETS[name]
