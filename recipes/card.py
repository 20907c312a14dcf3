"""The last stage: fp16 weights, tokenizer, probe text and model card into the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nimllm.llm.checkpoint import fingerprint, read_tensors, write_tensors
from nimllm.llm.config import ModelConfig
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.train import write_json

SHIPPED = Path(__file__).resolve().parent.parent / "llm" / "shipped"
STAGES = "stages.json"
LICENCES = """\
| data | licence | attribution |
| --- | --- | --- |
| tldr-pages | CC BY 4.0 | tldr-pages, © 2014-present the tldr-pages team and contributors; changed: placeholders refilled, requests extended by the values |
| NL2Bash | MIT | © 2020 NL2Bash dataset (Lin et al., LREC 2018); literals renamed at random |
| cheatsheets (cheat, denisidoro/navi; bash-oneliner, the-book-of-secret-knowledge) | CC0; MIT | their authors |
| Advanced Bash-Scripting Guide | public domain | Mendel Cooper |
| shell guides (bash-guide, bash-oneliner, introduction-to-bash-scripting, pure-bash-bible; bash-handbook) | MIT; CC BY 4.0 | their authors |
| Debian manual pages, sections 1 5 6 7 8 (about a third) | DFSG-free mix, much GPL | their authors; the notices lie in Debian's packages |
| Debian documentation (Python, SQLite, PostgreSQL, …; about 6 %) | free mix | their authors |
| novels, speeches, Shakespeare; WordNet glosses | public domain; WordNet | Princeton University for WordNet |
| generated shell episodes; invented facts and small talk | MIT (this project) | |
"""  # noqa: E501


def _rounded(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: tensor.astype(np.float16).astype(np.float32) for name, tensor in tensors.items()}


def stages(run: Path) -> dict[str, Any]:
    """The stages that a run went through, from their own file or, in the package, from its config.json."""
    path = run / STAGES
    data = json.loads((path if path.exists() else run / "config.json").read_text("utf-8"))
    return dict(data if path.exists() else data["training"])


def stage(folder: Path) -> dict[str, Any]:
    """What a finished stage says of itself: its sources, length, validation loss and settings."""
    about = json.loads((folder / "corpus.json").read_text("utf-8"))
    settings = json.loads((folder / "config.json").read_text("utf-8"))["training"]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return {
        "sources": about["sources"],
        "steps": rows[-1]["step"],
        "tokens_seen": rows[-1]["tokens"],
        "minutes": round(rows[-1]["seconds"] / 60),
        "validation": next(row["val_loss"] for row in reversed(rows) if "val_loss" in row),
        "settings": settings,
    }


def export(
    out: Path, weights: Path, config: ModelConfig, tokenizer: Tokenizer, probe_text: str, stages: dict[str, Any]
) -> None:
    """Write ``llm/shipped``. Scores go into the card from ``scores.json`` in ``out`` when it is there."""
    SHIPPED.mkdir(exist_ok=True)
    tensors = _rounded(read_tensors(weights))
    write_tensors(SHIPPED / "model.safetensors", tensors, "fp16", {"producer": "recipes"})
    tokenizer.save(SHIPPED)
    (SHIPPED / "probe_text.txt").write_text(probe_text, "utf-8")
    write_json(
        SHIPPED / "config.json",
        {
            "format": "nimllm-run",
            "version": 1,
            "model": config.model_dump(),
            "tokenizer": tokenizer.describe(),
            "training": stages,
        },
    )
    (SHIPPED / "MODEL_CARD.md").write_text(_card(out, stages, config, fingerprint(tensors)), "utf-8")


def _card(out: Path, stages: dict, config: ModelConfig, name: str) -> str:
    lines = [
        "# nimllm-10m, the model in the box",
        "",
        f"{config.parameters():,} parameters: {config.n_layers} layers, d {config.d_model}, {config.n_heads} query and "
        f"{config.n_kv_heads} key/value heads of {config.head_dim}, SwiGLU {config.d_ff}, RoPE, RMSNorm, QK-norm, "
        f"tied; vocabulary {config.vocab_size:,}, context {config.context}. fp16 on disk. Fingerprint `{name}`.",
        "",
        "Trained from scratch on CPU cores by `python -m recipes.shipped` and `recipes.skill`. It runs small tasks "
        "in a shell and remembers what it is told; it is no general assistant: outside of what it was trained on it "
        "answers badly.",
        "",
        "| stage | tokens seen | steps | minutes | validation loss (nats per learnt token) |",
        "| --- | --- | --- | --- | --- |",
    ]
    trained = {stage: row for stage, row in stages.items() if "tokens_seen" in row}
    lines += [
        f"| {stage} | {row['tokens_seen']:,} | {row['steps']:,} | {row['minutes']} | "
        + (f"{row['validation']:.4f} |" if row["validation"] is not None else "not taken |")
        for stage, row in trained.items()
    ]
    for stage, row in stages.items():
        if stage not in trained:
            lines += ["", f"Then {stage}: {', '.join(f'{name} {value}' for name, value in row.items())}."]
    lines += [
        "",
        "What each stage was made of:",
        "",
        "| stage | source | documents | tokens | of them learnt |",
        "| --- | --- | --- | --- | --- |",
    ]
    for stage, row in trained.items():
        lines += [
            f"| {stage} | {source} | {counts['documents']:,} | {counts['tokens']:,} | {counts['learnt']:,} |"
            for source, counts in row["sources"].items()
        ]
    scores = out / "scores.json"
    if scores.exists():
        lines += ["", "## Scores", "", "| what | value |", "| --- | --- |"]
        lines += [f"| {what} | {value} |" for what, value in json.loads(scores.read_text("utf-8")).items()]
    lines += [
        "",
        "## Data and licences",
        "",
        LICENCES,
        "The weights are a statistical model of these texts, published under the project's licence (MIT) as far as "
        "the authors can grant it; part of the text is under copyleft licences, which is said here so that you can "
        "judge for yourself.",
        "",
    ]
    return "\n".join(lines)
