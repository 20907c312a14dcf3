"""``nimllm align dpo`` and ``nimllm align kto``: learning from preferences, through TRL's trainers on our own model.

From a run folder and preference data (``preferences.py``) to a new run folder with the best checkpoint that the guard
(``guard.py``) saw within its budgets. On several processes: ``torchrun --nproc-per-node N -m nimllm align dpo …``, or
``accelerate launch`` in its place on GPUs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nimllm import places
from nimllm.alignment import preferences
from nimllm.alignment.guard import Budgets, Measured
from nimllm.alignment.preferences import Preferences, Rows
from nimllm.errors import CONFIG, LIMIT, OK, NimError, UsageError
from nimllm.llm.config import ModelConfig, read_config
from nimllm.llm.run_folder import hold, write_json
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn

if TYPE_CHECKING:
    from nimllm.alignment.preference_display import PreferenceProgress

Method = Literal["dpo", "kto"]
MEND = 'install it: pip install "nimllm[align]"'


@dataclass(frozen=True)
class PreferenceSettings:
    """Everything about a run but its data; saved in preference.json. ``batch``: rows of one step and process."""

    method: Method
    beta: float
    lr: float
    epochs: float
    batch: int = 16
    accumulate: int = 1
    warmup: float = 0.1  # share of the steps
    weight_decay: float = 0.0
    clip: float = 1.0
    seed: int = 0
    held_out: int = 100  # prompts
    guard: Literal["stop", "watch", "off"] = "stop"
    guard_every: int = 0  # steps; 0: ten times in the run
    sampled: int = 48
    sample_tokens: int = 96
    budgets: Budgets = field(default_factory=Budgets)
    device: str = "auto"
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = 0
    save_seconds: float = 60.0
    stop_after: int = 0  # stop (as if interrupted) after this many steps of this process; 0: never

    def identity(self) -> dict[str, Any]:
        """What must be the same for a resume to continue the same trace."""
        return {name: value for name, value in asdict(self).items()
                if name not in ("device", "threads", "save_seconds", "stop_after")}


@dataclass(frozen=True)
class Outcome:
    """``stopped``: the budgets that were passed, when the guard ended the run. ``kept``: what model.safetensors is."""

    step: int
    steps: int
    baseline: Measured
    kept: Measured
    stopped: tuple[str, ...] = ()


def require() -> None:
    """NimError when what TRL needs is not installed; keeps transformers quiet and off the network."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL reports every trainer that is made
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import trl  # isort: skip (the one most likely missing first: the others take seconds)
        import accelerate
        import datasets
        import huggingface_hub.constants
        import transformers
    except ImportError as error:
        raise NimError("DPO and KTO need TRL", str(error), MEND) from None
    versions = {module.__name__: tuple(int(part) for part in module.__version__.split(".")[:2])
                for module in (trl, transformers, datasets, accelerate)}
    for name, least in (("trl", (1, 16)), ("transformers", (5, 10))):
        if versions[name] < least:
            raise NimError(f"{name} {'.'.join(map(str, versions[name]))} is too old",
                           f"{least[0]}.{least[1]} is needed", MEND)
    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True  # also where the hub was imported before
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    import logging

    for name in ("trl", "accelerate", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)


def fingerprint(data: Preferences) -> str:
    """sha256 hex of what is trained on and held out: a resumed run goes on with its own data."""
    digest = hashlib.sha256()

    def add(*parts: object) -> None:
        digest.update(json.dumps(parts, default=lambda turn: [turn.role, turn.text, turn.tainted]).encode() + b"\n")

    for pair in data.pairs:
        add(pair.prompt, pair.chosen, pair.rejected)
    for row in data.judged:
        add(row.prompt, row.answer, row.good)
    for held in data.held_out:
        add(held.chosen.prompt, held.chosen.ids, held.rejected.prompt, held.rejected.ids)
    return digest.hexdigest()


def messages(turns: tuple[Turn, ...]) -> list[dict[str, str]]:
    """Turns as TRL reads them."""
    return [{"role": turn.role, "content": turn.text} for turn in turns]


def _started(out: Path) -> dict[str, Any]:
    """What preference.json of a run says."""
    try:
        found = json.loads((out / "preference.json").read_text("utf-8"))
        return {"identity": dict(found["identity"]), "data": str(found["data"]["sha256"]), "from": str(found["from"])}
    except FileNotFoundError:
        raise NimError(f"there is no run to resume in {out}", "preference.json is missing", "start one without --resume"
                       ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NimError(f"cannot read {out / 'preference.json'}", str(error), "start the run again in another --out"
                       ) from None


def prepare(rows: Rows, settings: PreferenceSettings, config: ModelConfig, tokenizer: Tokenizer, skip_long: bool
            ) -> Preferences:
    """Tokenised, held out, and shaped for the method. NimError: too little of it, or a row that does not fit."""
    data = preferences.split(preferences.fitting(rows, tokenizer, config.context, skip_long), tokenizer,
                             settings.held_out, settings.seed)
    if not data.held_out:
        raise NimError("there is nothing to measure on", "no held-out prompt has a better and a worse answer",
                       "give rows of both kinds")
    if settings.method == "dpo":
        data.pairs, data.judged = preferences.paired(data), []
    else:
        data.judged, data.pairs = preferences.labelled(data), []
    return data


def tune(run: Path, out: Path, rows: Rows, settings: PreferenceSettings, say: Callable[[str], None],
         show: Callable[[PreferenceProgress], None] | None = None, resume: bool = False, skip_long: bool = False,
         text: str | None = None, trainer_class: type | None = None) -> Outcome:
    """One run; see :func:`main`. ``text``: the held-out text (default: the run folder's probe_text.txt).
    ``trainer_class``: another class with the constructor of TRL's trainer for the method."""
    require()
    config, tokenizer = read_config(run), Tokenizer.load(run)
    chief = int(os.environ.get("RANK", "0")) == 0
    if out.resolve() == run.resolve():
        raise UsageError("--out is the model to start from", "it would be overwritten", "choose another --out")
    if not resume and ((out / "preference.json").exists() or (out / "model.safetensors").exists()):
        raise NimError(f"{out} already holds a model", "a new run would replace it",
                       "go on with --resume, or choose another --out")
    data = prepare(rows, settings, config, tokenizer, skip_long)
    sha256 = fingerprint(data)
    identity = settings.identity() | {"processes": int(os.environ.get("WORLD_SIZE", "1"))}
    if resume:
        before = _started(out)
        if before["data"] != sha256:
            raise NimError(f"{out} was started with other preferences", "a resumed run goes on with its own data",
                           "give the same files and options, or choose another --out", CONFIG)
        plain = json.loads(json.dumps(identity))
        changed = sorted(name for name in {*plain, *before["identity"]} if plain.get(name) != before["identity"].get(
            name))
        if changed or before["from"] != str(run.resolve()):
            raise NimError(f"{out} was started with other settings", f"these differ: {', '.join(changed) or 'model'}",
                           "leave out the options that differ, or choose another --out", CONFIG)
    if chief:
        _announce(data, settings, say)
    if text is None and (run / "probe_text.txt").exists():
        text = (run / "probe_text.txt").read_text("utf-8", "replace")
    if text is None and chief:
        say("no held-out text: bits per byte are not watched (--text FILE)")
    from nimllm.alignment.preference_run import PreferenceRun

    about = {"format": "nimllm-preference", "version": 1, "method": settings.method, "identity": identity,
             "from": str(run.resolve()), "data": {
                 "sha256": sha256, "pairs": len(data.pairs), "labels": len(data.judged), "held out": data.prompts,
                 "bad": len(data.rows.bad), "long": data.rows.long}}
    with hold(out) if chief else nullcontext():
        if chief:
            _folder(run, out, config, tokenizer, settings)
        made = PreferenceRun(run, out, config, tokenizer, data, settings, about, text, trainer_class)
        return made.fit(say, show, resume)


def describe(out: Path, config: ModelConfig, tokenizer: Tokenizer, settings: PreferenceSettings, **more: Any) -> None:
    """Writes config.json; ``more``: what is known of the training besides its settings."""
    write_json(out / "config.json", {"format": "nimllm-run", "version": 1, "model": config.model_dump(),
                                     "tokenizer": tokenizer.describe(), "training": asdict(settings) | more})


def _folder(run: Path, out: Path, config: ModelConfig, tokenizer: Tokenizer, settings: PreferenceSettings) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        describe(out, config, tokenizer, settings)
        tokenizer.save(out)
        if (run / "probe_text.txt").exists():
            shutil.copyfile(run / "probe_text.txt", out / "probe_text.txt")
    except OSError as error:
        raise NimError(f"cannot make the run folder {out}", error.strerror or str(error),
                       "choose a folder you can write with --out") from None


def _announce(data: Preferences, settings: PreferenceSettings, say: Callable[[str], None]) -> None:
    if report := data.rows.report():
        say(report)
    if data.rows.long:
        say(f"{data.rows.long} rows longer than the context left out")
    crossed = sum(pair.crossed for pair in data.held_out)
    note = f" ({crossed} of answers to different prompts, since none has both kinds)" if crossed else ""
    if settings.method == "dpo":
        what = f"{len(data.pairs):,} pairs"
    else:
        good = sum(row.good for row in data.judged)
        what = f"{len(data.judged):,} answers, {good:,} of them good"
    say(f"{what}; {data.prompts} more prompts held out, {len(data.held_out)} pairs to measure on{note}")


def settings_of(args: argparse.Namespace) -> PreferenceSettings:
    """From the command line; UsageError for what makes no sense."""
    for name, low, high in (("epochs", 0.0, 1e6), ("lr", 0.0, 10.0), ("beta", 0.0, 100.0)):
        value = getattr(args, name)
        if not low < value <= high:
            raise UsageError(f"--{name} {value} makes no sense", f"it lies above {low:g} and up to {high:g}")
    least = {"batch": 2 if args.method == "kto" else 1, "accumulate": 1, "held_out": 1, "guard_every": 0}
    for name, low in least.items():
        if getattr(args, name) < low:
            why = "KTO estimates the KL from the other rows of a batch" if name == "batch" and low == 2 else ""
            raise UsageError(f"--{name.replace('_', '-')} {getattr(args, name)} makes no sense", why or
                             f"it is at least {low}")
    budgets = Budgets(args.max_kl, args.max_fall, args.max_bits / 100, args.max_repetition / 100,
                      args.max_invalid / 100)
    return PreferenceSettings(args.method, args.beta, args.lr, args.epochs, args.batch, args.accumulate,
                              seed=args.seed, held_out=args.held_out, guard=args.guard, guard_every=args.guard_every,
                              budgets=budgets, device=args.device, dtype=args.dtype, threads=args.threads)


def table(outcome: Outcome) -> list[str]:
    """The measurements before and after, as lines."""
    rows: list[tuple[str, str, str]] = []
    one, two = outcome.baseline, outcome.kept

    def add(name: str, get: Callable[[Measured], float | None], form: str) -> None:
        first, second = get(one), get(two)
        if first is not None and second is not None:
            rows.append((name, f"{first:{form}}", f"{second:{form}}"))

    add("chosen over rejected, per token", lambda m: m.wins, ".0%")
    add("chosen over rejected, summed", lambda m: m.wins_summed, ".0%")
    add("answers the chosen one, greedy", lambda m: m.greedy_chosen, ".0%")
    add("answers the rejected one, greedy", lambda m: m.greedy_rejected, ".0%")
    add("KL to the reference, nats per token", lambda m: m.kl, ".4f")
    add("log-ratio of chosen, nats per token", lambda m: m.chosen, "+.3f")
    add("log-ratio of rejected, nats per token", lambda m: m.rejected, "+.3f")
    add("entropy, nats per token", lambda m: m.entropy, ".3f")
    add("bits per byte of the held-out text", lambda m: m.bits, ".4f")
    add("usable answers", lambda m: m.valid, ".0%")
    add("looping answers", lambda m: m.looping, ".0%")
    return [f"{'held out':<38} {'before':>9} {'kept':>9}", *(f"{name:<38} {a:>9} {b:>9}" for name, a, b in rows)]


def main(args: argparse.Namespace) -> int:
    """Tunes ``args.model`` (default: the shipped one) into ``args.out``. Exit 0, 6 when the guard stopped it, 130 after
    ^C."""
    settings = settings_of(args)
    run = Path(args.model) if args.model else places.shipped_model()
    out = Path(args.out)
    text = None
    if args.text:
        try:
            text = Path(args.text).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NimError(f"cannot read {args.text}", str(error), "give a UTF-8 text file with --text") from None
    rows = preferences.read([Path(path) for path in args.data], args.strict)
    require()  # before a screen is drawn
    from nimllm.alignment.preference_display import display

    with display(args.plain or os.environ.get("RANK", "0") != "0") as screen:
        outcome = tune(run, out, rows, settings, screen.say, screen.show, args.resume, args.skip_long, text)
    if int(os.environ.get("RANK", "0")):
        return LIMIT if outcome.stopped else OK
    print("\n".join(table(outcome)))
    kept = f"step {outcome.kept.step}" if outcome.kept.step else "the model it started from, nothing better was seen"
    if outcome.stopped:
        print(f"stopped at step {outcome.step} of {outcome.steps}, a budget was passed: {'; '.join(outcome.stopped)}")
        print(f"{out}/model.safetensors is {kept}. Try a smaller --lr or a larger --beta")
        return LIMIT
    print(f"done: {outcome.step} steps; {out}/model.safetensors is {kept}. Talk to it: nimllm --chat --model {out}")
    return OK
