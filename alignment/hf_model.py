"""The face that our blocks show to transformers and TRL: a ``PreTrainedModel`` that can ``generate``.

The blocks are those of ``llm/model.py``, so our kernels run in other people's trainers; names and shapes of the weights
are those of a run folder. The same weights in stock ``Qwen3ForCausalLM`` or ``LlamaForCausalLM`` give the same logits
(``tests/alignment/test_hf_model.py``).

Axes in names: b batch, t time, d model width, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers import PretrainedConfig as HFConfig
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from nimllm.kernels import ops
from nimllm.llm.checkpoint import check_tensors, read_tensors
from nimllm.llm.config import ModelConfig, read_config
from nimllm.llm.model import IGNORE, Body, Documents, KeyValues, Linear, Norm, _choose
from nimllm.llm.tokenizer import Tokenizer

# what the outputs call it, and generate() gives: transformers 5.24 has renamed it
CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"


class NimConfig(HFConfig):
    """Our :class:`ModelConfig` under the names that transformers looks for. ``shape``: its fields."""

    model_type = "nimllm"
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012 (transformers declares it so)

    def __init__(self, shape: dict[str, Any] | None = None, **others: Any) -> None:
        if shape is not None:
            model = ModelConfig.model_validate(shape)
            others |= {
                "vocab_size": model.vocab_size, "hidden_size": model.d_model, "num_hidden_layers": model.n_layers,
                "num_attention_heads": model.n_heads, "num_key_value_heads": model.n_kv_heads,
                "head_dim": model.head_dim, "intermediate_size": model.d_ff, "max_position_embeddings": model.context,
                "tie_word_embeddings": model.tied,
            }  # fmt: skip
        self.shape = shape
        for name, value in (("bos_token_id", Tokenizer.bos), ("eos_token_id", Tokenizer.eos),
                            ("pad_token_id", Tokenizer.pad)):
            others.setdefault(name, value)
        super().__init__(**others)

    def model(self) -> ModelConfig:
        """ValueError when this configuration describes no model (transformers makes empty ones)."""
        if self.shape is None:
            raise ValueError("this NimConfig has no shape: make it with NimConfig(shape=model_config.model_dump())")
        return ModelConfig.model_validate(self.shape)


class _Cache(KeyValues):
    """transformers' cache behind the face of ours."""

    def __init__(self, cache: Any) -> None:
        super().__init__()
        self.cache = cache

    @property
    def length(self) -> int:
        return int(self.cache.get_seq_length())

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        return cast(tuple[Tensor, Tensor], self.cache.update(keys, values, layer))


def _documents(ids_bt: Tensor, mask_bt: Tensor | None, positions_bt: Tensor | None, start: int, learned: bool
               ) -> Documents | None:
    """Where the documents of a batch lie, when rows hold padding on their left or several documents (positions that
    begin again at 0); None for rows of one document each, padded on the right or not at all, which causal attention
    reads as they are.

    ValueError for what would silently be wrong: holes in a mask, positions that jump. RoPE sees differences only, so a
    row may begin at any position.
    """
    real_bt = torch.ones_like(ids_bt, dtype=torch.bool)
    if mask_bt is not None:
        if mask_bt.dim() != 2:
            raise ValueError(f"an attention_mask is [batch, time], not {list(mask_bt.shape)}: ours is causal by itself")
        real_bt = mask_bt[:, -ids_bt.shape[1]:] != 0
        begins_bt = real_bt.clone()
        begins_bt[:, 1:] &= ~real_bt[:, :-1]
        if bool((begins_bt.sum(1) > 1).any()):
            raise ValueError("padding between tokens of a row: give rows padded on the left or on the right only")
    number_bt = real_bt.long()
    several = bool((~real_bt[:, 0]).any())
    if positions_bt is not None:
        positions_bt = positions_bt.expand(ids_bt.shape[0], -1)
        jump_bt = (positions_bt[:, 1:] != positions_bt[:, :-1] + 1) & real_bt[:, 1:] & real_bt[:, :-1]
        if bool((positions_bt[:, 1:][jump_bt] != 0).any()):
            raise ValueError("position_ids jump inside a row: they count on, or begin again at 0 with a document")
        if learned:
            first_b1 = real_bt.int().argmax(1, keepdim=True)
            begun_b1 = positions_bt.gather(1, first_b1)
            if bool((begun_b1[real_bt.any(1)] != start).any()):
                raise ValueError(f"learned positions begin at {start} here, not at {begun_b1[:, 0].tolist()}")
        number_bt[:, 1:] += 2 * jump_bt.cumsum(1)
        several |= bool(jump_bt.any())
    return Documents.of(number_bt).to(ids_bt.device) if several else None


class NimBody(Body):
    """Everything below the head, called as transformers calls a base model."""

    def forward(  # type: ignore[override]
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None, past_key_values: Any = None, use_cache: bool | None = None,
        cache: Any = None, **others: Any
    ) -> BaseModelOutputWithPast:  # fmt: skip
        """input_ids [b, t]; attention_mask [b, t] with zeros on the left or right of a row only; position_ids [b, t] or
        [1, t] that count on, or begin again at 0 where a packed document begins. last_hidden_state [b, t, d],
        meaningless at padding. ValueError for what would silently be wrong: holes in a mask, positions that jump,
        embeddings instead of ids, padding together with a cache."""
        if input_ids is None or others.get("inputs_embeds") is not None:
            raise ValueError("this model reads input_ids, not inputs_embeds")
        held = past_key_values if cache is None else cache
        own = None if held is None else _Cache(held)
        start = own.length if own is not None else 0
        if own is not None and attention_mask is not None and not bool(attention_mask.all()):
            raise ValueError("a padded batch with a KV cache would attend to the padding: use_cache=False")
        documents = _documents(input_ids, attention_mask, position_ids, start, self.config.pos == "learned")
        x_btd = super().forward(input_ids, own, documents)
        return BaseModelOutputWithPast(last_hidden_state=x_btd, **{CACHE: held})


class NimForCausalLM(PreTrainedModel, GenerationMixin):
    """A run folder's model for transformers and TRL; parameter names are those of the run folder's weights."""

    config_class = NimConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = False
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012 (transformers 5's own form)

    def __init__(self, config: NimConfig) -> None:
        super().__init__(config)
        shape = config.model()
        self.model = NimBody(shape)
        self.lm_head = Linear(shape.d_model, shape.vocab_size, bias=False)
        _choose(self.device.type)
        self.post_init()

    def _apply(self, fn: Any, recurse: bool = True) -> NimForCausalLM:
        super()._apply(fn, recurse)
        _choose(self.device.type)
        return self

    def _init_weights(self, module: nn.Module) -> None:
        """Only what a checkpoint did not give; training from nothing starts from ``GPT.reset``."""
        if isinstance(module, (nn.Linear, nn.Embedding)):
            init.normal_(module.weight, mean=0.0, std=0.02)
        elif isinstance(module, Norm):
            init.ones_(module.weight)
        if isinstance(bias := getattr(module, "bias", None), Tensor):
            init.zeros_(bias)

    def forward(
        self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None, past_key_values: Any = None, labels: Tensor | None = None,
        use_cache: bool | None = None, logits_to_keep: int | Tensor = 0, num_items_in_batch: Tensor | int | None = None,
        cache: Any = None, **others: Any,
    ) -> CausalLMOutputWithPast:  # fmt: skip
        """As ``LlamaForCausalLM.forward``; logits [b, t, v] fp32. labels: those that are not -100 are learnt, each
        predicted from the token before it."""
        found = self.model(input_ids, attention_mask, position_ids, past_key_values, use_cache, cache, **others)
        x_btd = found.last_hidden_state
        loss = None
        if labels is not None:
            targets_n = labels[:, 1:].reshape(-1).to(x_btd.device)
            op = ops.get("linear_cross_entropy", x_btd.device)
            loss = op(x_btd[:, :-1].reshape(-1, x_btd.shape[-1]), self.lm_head.weight, targets_n, IGNORE)
            if num_items_in_batch is not None:
                loss = loss * (targets_n != IGNORE).sum() / num_items_in_batch
        # 0 means all: slice(-0, None) is the whole
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(x_btd[:, kept]).float()
        return CausalLMOutputWithPast(loss=loss, logits=logits, **{CACHE: getattr(found, CACHE)})

    @property
    def head(self) -> Tensor:
        """The output matrix [v, d]."""
        return self.lm_head.weight

    def hidden(self, ids_bt: Tensor) -> Tensor:
        """Final normalised activations [b, t, d]."""
        return cast(Tensor, self.model(ids_bt).last_hidden_state)

    def generate(self, inputs: Tensor | None = None, *args: Any, **options: Any) -> Any:
        """As transformers'; a batch with padding is read anew for each token, since a cache would hold the padding."""
        mask = options.get("attention_mask")
        if mask is not None and not bool((mask != 0).all()):
            options["use_cache"] = False
        return cast(Any, super()).generate(inputs, *args, **options)  # typed for a self that is a protocol

    @torch.no_grad()
    def load_numpy(self, tensors: Mapping[str, np.ndarray]) -> NimForCausalLM:
        """Copy the tensors of a run folder in; their names and shapes have been checked."""
        for name, parameter in self.named_parameters():  # a tied head is named once, as the embedding
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(tensors[name])))
        return self

    def to_numpy(self) -> dict[str, np.ndarray]:
        """The parameters as fp32 arrays, by the names of a run folder (a copy)."""
        return {name: parameter.detach().float().cpu().numpy().copy() for name, parameter in self.named_parameters()}


def from_run(run: Path, weights: Path | None = None) -> NimForCausalLM:
    """The model of a run folder, with other weights of its shape when given. NimError: the folder is unusable."""
    config = read_config(run)
    path = weights or run / "model.safetensors"
    tensors = read_tensors(path)
    check_tensors(config, tensors, path)
    model = NimForCausalLM(NimConfig(shape=config.model_dump()))
    return model.load_numpy(tensors)


AutoConfig.register(NimConfig.model_type, NimConfig)
AutoModelForCausalLM.register(NimConfig, NimForCausalLM)
