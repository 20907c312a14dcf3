"""The preference stage: the model's own attempts at unseen tasks, executed and judged, then DPO under the guard.

    python -m recipes.preference --start runs/skill/skill --out runs/preference --tasks 3000

The attempts are collected once in ``OUT/attempts.jsonl`` (a killed collection goes on where it was); the tuned model
lies in ``OUT/dpo``. Needs ``pip install "nimllm[align]"`` and bubblewrap. With ``--export`` it replaces the model in
the box.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nimllm.alignment import preferences
from nimllm.alignment.preference import PreferenceSettings, table, tune
from nimllm.errors import NimError
from nimllm.llm.config import read_config
from nimllm.llm.run_folder import write_json
from nimllm.llm.tokenizer import Tokenizer
from recipes import attempts, card, corpus
from recipes.mixture import say
from recipes.stage import run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, default=card.SHIPPED, help="run folder to go on from")
    parser.add_argument("--out", type=Path, default=Path("runs/preference"))
    parser.add_argument("--data", type=Path, help="for --export: where the probe text is made from")
    parser.add_argument("--tasks", type=int, default=3000)
    parser.add_argument("--stream", type=int, default=60, help="stream of episodes (0 to 127) that no stage trained on")
    parser.add_argument("--samples", type=int, default=6, help="beside the greedy command")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--beta", type=float, default=0.1)
    parser.add_argument("--lr", type=float, default=1e-5)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--export", action="store_true", help="replace the model in the box by the result")
    arguments = parser.parse_args()
    out: Path = arguments.out
    if arguments.export and arguments.data is None:
        raise NimError("--export needs --data", "the probe text is made from it")
    collected, rows, tuned = out / "attempts.jsonl", out / "pairs.jsonl", out / "dpo"
    attempts.collect(arguments.start, collected, arguments.stream, arguments.tasks, arguments.samples,
                     arguments.temperature)
    say(f"{attempts.pairs(collected, rows):,} pairs")
    settings = PreferenceSettings("dpo", arguments.beta, arguments.lr, arguments.epochs, arguments.batch,
                                  device=arguments.device)
    outcome = tune(arguments.start, tuned, preferences.read([rows]), settings, say,
                   resume=(tuned / "preference.json").exists(), skip_long=True)
    print("\n".join(table(outcome)))
    about = {"tasks": arguments.tasks, "stream": arguments.stream, "samples": arguments.samples,
             "temperature": arguments.temperature, "beta": arguments.beta, "lr": arguments.lr,
             "epochs": arguments.epochs, "batch": arguments.batch, "steps": outcome.kept.step}
    stages = {**card.stages(arguments.start), "preference": about}
    write_json(tuned / card.STAGES, stages)
    if arguments.export:
        card.export(out, tuned / "model.safetensors", read_config(tuned), Tokenizer.load(tuned),
                    corpus.probe_text(arguments.data), stages)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
