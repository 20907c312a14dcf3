"""The process a torch program is measured in: ours, nanoGPT, transformers, each with its own interpreter and folder.

    python child.py '{"program": "nanogpt", "task": "train", ...}'

It prints one JSON line when it has done its first step, then one for every line it reads. Everything else that is
printed goes to standard error. The interpreter of a peer need not have nimllm, so nothing of ours is imported here but
by ``ours``, and torch is whatever the interpreter has.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not __package__:
    sys.path.pop(0)  # this file's folder: its modules are none of the peer's business

BEGAN = time.perf_counter()
Spec = dict[str, Any]
Step = Callable[[], None]


def ours(spec: Spec) -> Step:
    """nimllm's own Trainer on shards of random ids, in a folder that ends with the process."""
    import numpy as np

    from nimllm.llm.config import ModelConfig
    from nimllm.llm.settings import TrainSettings
    from nimllm.llm.shards import ShardWriter
    from nimllm.llm.tokenizer import train_char
    from nimllm.llm.train import Trainer

    config = ModelConfig(**spec["config"])
    folder = tempfile.TemporaryDirectory(prefix="nimllm-bench-")
    run = Path(folder.name)
    rng = np.random.default_rng(spec["seed"])
    for name, count in (("train", 64 * spec["rows"]), ("validation", 2)):
        with ShardWriter(run / f"{name}.bin", config.vocab_size) as shard:
            low = 4 if config.vocab_size > 8 else 0  # no padding: every token is learnt
            shard.append(rng.integers(low, config.vocab_size, (count + 1) * config.context))
    settings = TrainSettings(steps=10**9, batch_rows=spec["rows"], lr=1e-4, warmup=0, dtype=spec["dtype"],
                             device=spec["device"], threads=spec["threads"], compile=spec["compile"],
                             optimizer=spec["optimizer"], seed=spec["seed"])
    trainer = Trainer(config, settings, run, train_char(["random"]), run / "train.bin", run / "validation.bin", 1.0)
    trainer.kept_folder = folder  # type: ignore[attr-defined]
    return lambda: (trainer.train_step(), None)[1]


def _loop(model: Any, spec: Spec, loss_of: Callable[[Any, Any, Any], Any], optimizer: Any) -> Step:
    """Forward, backward, clip and step as every training script does them, with new random ids in each step."""
    import contextlib

    import torch

    device, config = spec["device"], spec["config"]
    ids = torch.randint(4, config["vocab_size"], (64, spec["rows"], config["context"] + 1))
    count = 0
    model.train()

    def step() -> None:
        nonlocal count
        batch = ids[count % len(ids)].to(device)
        count += 1
        bf16 = spec["dtype"] == "bf16"
        with torch.autocast(device, torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = loss_of(model, batch[:, :-1], batch[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if not loss.isfinite():
            raise RuntimeError(f"the loss is {float(loss)}")

    return step


def _adamw(model: Any, spec: Spec) -> Any:
    import torch

    return torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1,
                             **({"fused": True} if spec["device"] == "cuda" else {}))


def _compiled(model: Any, spec: Spec) -> Any:
    import torch

    return torch.compile(model) if spec["compile"] else model


def _nanogpt_model(spec: Spec) -> Any:
    sys.path.insert(0, spec["where"])
    from model import GPT, GPTConfig  # type: ignore[import-not-found]  # the user's checkout

    config = spec["config"]
    made = GPT(GPTConfig(block_size=config["context"], vocab_size=config["vocab_size"], n_layer=config["n_layers"],
                         n_head=config["n_heads"], n_embd=config["d_model"], dropout=0.0, bias=config["bias"]))
    return made.to(spec["device"])


def nanogpt(spec: Spec) -> Step:
    """karpathy/nanoGPT's model and optimizer; its loss through its own forward."""
    model = _nanogpt_model(spec)
    optimizer = model.configure_optimizers(0.1, 1e-4, (0.9, 0.95), spec["device"])
    return _loop(_compiled(model, spec), spec, lambda m, x, y: m(x, y.contiguous())[1], optimizer)


def _transformers_model(spec: Spec) -> Any:
    import transformers

    c = spec["config"]
    family = "Qwen3" if c["qk_norm"] else "Llama"
    config = getattr(transformers, f"{family}Config")(
        vocab_size=c["vocab_size"], hidden_size=c["d_model"], intermediate_size=c["d_ff"],
        num_hidden_layers=c["n_layers"], num_attention_heads=c["n_heads"], num_key_value_heads=c["n_kv_heads"],
        head_dim=c["head_dim"], max_position_embeddings=c["context"], rms_norm_eps=c["norm_eps"],
        rope_theta=c["rope_theta"], tie_word_embeddings=c["tied"], bos_token_id=1, eos_token_id=None, pad_token_id=None)
    return getattr(transformers, f"{family}ForCausalLM")(config).to(spec["device"])


def transformers(spec: Spec) -> Step:
    """Hugging Face's Llama (Qwen3 with QK-norm) in a plain loop; labels shift inside it, so the row is whole."""
    model = _transformers_model(spec)
    optimizer = _adamw(model, spec)
    return _loop(_compiled(model, spec), spec, lambda m, x, y: m(input_ids=x, labels=x).loss, optimizer)


def decoder(spec: Spec) -> Callable[[], float]:
    """Greedy decoding as the program does it: tokens per second after the prompt."""
    import torch

    dtype = torch.bfloat16 if spec["dtype"] == "bf16" else torch.float32
    nano = spec["program"] == "nanogpt"
    model = (_nanogpt_model if nano else _transformers_model)(spec).to(dtype).eval()
    ids = torch.randint(4, spec["config"]["vocab_size"], (1, spec["prompt"]), device=spec["device"])

    @torch.inference_mode()
    def seconds(tokens: int) -> float:
        began = time.perf_counter()
        if nano:
            out = model.generate(ids, tokens, top_k=1)
        else:
            out = model.generate(ids, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)
        if out.shape[1] != ids.shape[1] + tokens:
            raise RuntimeError(f"{out.shape[1] - ids.shape[1]} tokens instead of {tokens}")
        if spec["device"] == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    # the reading of the prompt and the first token are in both, and cancel
    return lambda: (spec["tokens"] - 1) / max(seconds(spec["tokens"]) - seconds(1), 1e-9)


def prefiller(spec: Spec) -> Callable[[], float]:
    """Reading a prompt: tokens per second, logits of the last position only."""
    import torch

    dtype = torch.bfloat16 if spec["dtype"] == "bf16" else torch.float32
    nano = spec["program"] == "nanogpt"
    model = (_nanogpt_model if nano else _transformers_model)(spec).to(dtype).eval()
    ids = torch.randint(4, spec["config"]["vocab_size"], (1, spec["prompt"]), device=spec["device"])

    @torch.inference_mode()
    def once() -> float:
        began = time.perf_counter()
        if nano:
            model(ids)
        else:
            model(input_ids=ids, logits_to_keep=1, use_cache=True)
        if spec["device"] == "cuda":
            torch.cuda.synchronize()
        return spec["prompt"] / (time.perf_counter() - began)

    return once


def _trainer(spec: Spec) -> tuple[dict[str, float], Callable[[], dict[str, float]]]:
    import torch

    step = {"nimllm": ours, "nanogpt": nanogpt, "transformers": transformers}[spec["program"]](spec)
    wait = torch.cuda.synchronize if spec["device"] == "cuda" else lambda: None
    tokens = spec["rows"] * spec["config"]["context"]

    def timed() -> float:
        began = time.perf_counter()
        step()
        wait()
        return time.perf_counter() - began

    timed()
    first = time.perf_counter() - BEGAN

    def measure() -> dict[str, float]:
        return {"train": tokens / statistics.median(timed() for _ in range(spec["steps"])), "peak_rss": _peak_rss()}

    return {"first_step": first}, measure


def _peak_rss() -> float:
    """MB, the most this process ever held (Linux: without what it was forked from)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def main() -> None:
    spec: Spec = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nobody else's prints get between the answers
    import torch

    if spec["threads"]:
        torch.set_num_threads(spec["threads"])
    torch.manual_seed(spec["seed"])
    ready: dict[str, Any] = {}
    if spec["task"] == "train":
        ready, measure = _trainer(spec)
    else:
        rate = {"decode": decoder, "prefill": prefiller}[spec["task"]](spec)
        rate()  # warm
        task = spec["task"]

        def measure() -> dict[str, float]:
            return {task: statistics.median(rate() for _ in range(3 if spec["program"] != "nanogpt" else 1))}

    ready["torch"], ready["threads"] = str(torch.__version__), torch.get_num_threads()
    if "transformers" in sys.modules and spec["program"] == "transformers":
        ready["transformers"] = str(sys.modules["transformers"].__version__)
    print(json.dumps(ready), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure()), file=answers, flush=True)


if __name__ == "__main__":
    main()
