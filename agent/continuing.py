"""``nimllm --train HISTORY src/ docs/ --from shipped``: a trained model goes on with its user's history and texts.

Secrets are redacted before anything is written. What the model could do before is replayed: the generator of its tasks
is in the package, so fresh episodes, literals to copy, and facts are mixed in. Measured before and after, on what was
not learnt: the next command of the held-out parts of the history, and generated tasks of unseen seeds. It can be killed
and resumed like every training. ``report.json`` in the run folder has the numbers.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm import places
from nimllm.agent import histories
from nimllm.errors import CONFIG, OK, NimError, UsageError
from nimllm.llm.checkpoint import fingerprint, read_tensors
from nimllm.llm.config import read_config
from nimllm.llm.options import CONTINUED
from nimllm.llm.packing import Packer
from nimllm.llm.run_folder import hold, write_json
from nimllm.llm.shards import Shard, ShardWriter
from nimllm.llm.text import documents
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render
from nimllm.tools.redact import redact

if TYPE_CHECKING:
    from nimllm.agent.gym.episodes import Episode
    from nimllm.llm.generate import Generator

REPORT = "report.json"
TRAIN, VALIDATION = "train.shard", "val.shard"
HELD_OUT = "history, held out"
_REPLAY_STREAM = 126  # of the generator's training seeds
_LEAST, _MOST = 40_000, 600_000  # tokens of replay
_PARTS = (("episodes", 0.7), ("copying", 0.15), ("facts", 0.15))  # of the replay
_HELD_EVERY = 20  # of texts and of replay; of a history see histories.divide
_ROW_TOKENS = 4096  # of a step
_LR = 3e-4
_MOST_STEPS = 400  # for a history; texts get their epochs
_NOT_HERE = ("size", "tokenizer", "vocab_size", "context", "minutes", "micro_batch", "dropout", "warmup", "eval_every")


@dataclass(frozen=True)
class Material:
    """What is learnt, redacted. ``texts``: of files; ``conversations``: of rows with turns."""

    histories: list[histories.Divided]
    texts: list[str]
    conversations: list[list[Turn]]
    commands: int

    @property
    def held(self) -> list[tuple[tuple[str, ...], str]]:
        return [item for divided in self.histories for item in divided.held]


def main(args: argparse.Namespace) -> int:
    """Exit 0, 130 after ^C and 143 after SIGTERM (everything saved), or a NimError's code."""
    from nimllm.llm.display import display

    args = _checked(args)
    run = Path(args.out)
    with display(args.plain) as screen, hold(run):
        report = Continuation(args, run, screen.say).work(screen.show)
    for line in lines(report):
        print(line)
    print(f"{run}/model.safetensors is the best on validation. Use it: nimllm --agent --model {run}")
    return OK


def _checked(args: argparse.Namespace) -> argparse.Namespace:
    """The arguments, those of the first call when it is resumed; UsageError for what makes no sense."""
    if args.resume:
        if not args.out:
            raise UsageError("which run is to be resumed?", "", "give --out DIR")
        saved = _json(Path(args.out) / CONTINUED).get("arguments")
        if saved:
            if args.data and [str(Path(path).resolve()) for path in args.data] != saved["data"]:
                raise UsageError(f"{args.out} was started with other files", "a resumed run goes on with its own",
                                 "leave the files out, or choose another --out")
            args = argparse.Namespace(**{**vars(args), **saved})
    wrong = [name for name in _NOT_HERE if getattr(args, name, None) is not None]
    if wrong or args.set:
        raise UsageError(f"--{(wrong or ['set'])[0].replace('_', '-')} cannot be used with --from",
                         "the model's shape, tokenizer and recipe are given", "leave it out")
    if not args.data:
        raise UsageError("nothing to train on", "no file was given",
                         "nimllm --train ~/.bash_history src/ --from shipped")
    if not 0 <= args.replay < 1:
        raise UsageError(f"--replay {args.replay} makes no sense", "it is a share of all tokens, below 1")
    if args.skill_tasks < 0 or args.epochs <= 0:
        raise UsageError("--skill-tasks and --epochs cannot be negative")
    if not args.out:
        first = Path(args.data[0]).resolve()
        args.out = str(Path("runs") / f"{first.stem.lstrip('.') or 'text'}-continued")
    run = Path(args.out)
    base = places.shipped_model() if args.base == "shipped" else Path(args.base)
    if run.resolve() == base.resolve():
        raise UsageError("--out is the model to start from", "it would be overwritten", "choose another --out")
    if not args.resume and any((run / name).exists() for name in ("last.safetensors", "model.safetensors")):
        raise NimError(f"{run} already holds a model", "a new run would replace it",
                       "go on with --resume, or choose another --out")
    return args


def _json(path: Path) -> dict[str, Any]:
    """An object, or nothing where there is no file; NimError when it is damaged."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NimError(f"cannot read {path}", str(error), "start the run again in another --out", CONFIG) from None
    return data if isinstance(data, dict) else {}


def gather(paths: Sequence[str]) -> Material:
    """Histories and texts of the files, redacted; NimError when nothing is usable."""
    found = [Path(path) for path in paths]
    for path in found:
        if not path.exists():
            raise NimError(f"cannot train on {path}", "there is no such file or folder", "check the path")
    own = [path for path in found if histories.is_history(path)]
    commands = [histories.read(path) for path in own]
    others = [path for path in found if path not in own]
    texts: list[str] = []
    conversations: list[list[Turn]] = []
    for document in documents(others) if others else ():
        if document.turns:
            conversations.append([replace(turn, text=redact(turn.text)) for turn in document.turns])
        elif document.text.strip():
            texts.append(redact(document.text))
    divided = [histories.divide(some) for some in commands if some]
    if not divided and not texts and not conversations:
        raise NimError("nothing to train on", "the files hold neither commands nor text", "check the paths")
    return Material(divided, texts, conversations, sum(len(some) for some in commands))


def replayed(tokens: int, tokenizer: Tokenizer, seed: int) -> Iterator[list[Turn]]:
    """Conversations of what the model can do, of about so many tokens, drawn anew; of training seeds."""
    from nimllm.agent.gym.episodes import NOTE_SHARE, chosen, produce, seeds, source
    from nimllm.agent.gym.episodes import render as render_episode
    from nimllm.agent.gym.executor import Executor
    from nimllm.alignment.memory import facts

    rng = random.Random(seed)
    with Executor() as executor:
        def of(schemas: Any, offset: int) -> Iterator[list[Turn]]:
            numbers = seeds(_REPLAY_STREAM, 2**24)[offset + seed % 1000 * 2**12:]
            for episode in produce(numbers, schemas, executor):
                yield render_episode(episode, rng, rng.random() < NOTE_SHARE)

        streams = {"episodes": of(chosen(), 0), "copying": of(source("copying"), 2**23),
                   "facts": iter(facts.corpus(random.Random(seed + 1), 20_000))}
        for name, share in _PARTS:
            left = share * tokens
            for turns in streams[name]:
                if left <= 0:
                    break
                left -= len(render(turns, tokenizer).ids)
                yield turns


class Continuation:
    """One run, step by step; what is known so far is in ``continued.json``."""

    def __init__(self, args: argparse.Namespace, run: Path, say: Callable[[str], None]) -> None:
        self.args, self.run, self.say = args, run, say
        self.base = places.shipped_model() if args.base == "shipped" else Path(args.base)
        self.config, self.tokenizer = read_config(self.base), Tokenizer.load(self.base)
        self.state = _json(run / CONTINUED)
        self._skill: list[Episode] | None = None

    def work(self, show: Callable[..., None] | None = None) -> dict[str, Any]:
        """The report, when all is done."""
        began = time.monotonic()
        material = gather(self.args.data)
        name = fingerprint(read_tensors(self.base / "model.safetensors"))
        if self.state and self.state["base"] != name:
            raise NimError(f"{self.run} was started from another model", f"{self.base} has changed since",
                           "give that model, or choose another --out", CONFIG)
        self.say(f"{material.commands:,} commands of {len(material.histories)} histories, {len(material.held):,} of "
                 f"them held out; {len(material.texts):,} texts")
        if not self.state:
            saved = {key: value for key, value in vars(self.args).items()
                     if key not in ("command", "resume", "plain", "threads", "device", "out", "given")}
            saved["data"] = [str(Path(path).resolve()) for path in self.args.data]
            self._save({"base": name, "from": str(self.base.resolve()), "arguments": saved})
        data = self._prepared(material)
        if "before" not in self.state:
            self.say("measuring the model as it is")
            self._save({**self.state, "before": self._measured(self.base, material)})
        trained = self._trained(data, show)
        self.say("measuring the model as it is now")
        after = self._measured(self.run, material)
        report = {"from": self.state["from"], "base": name, "commands": material.commands,
                  "held_out": len(material.held), "texts": len(material.texts), **data, **trained,
                  "before": self.state["before"], "after": after, "seconds": round(time.monotonic() - began, 1)}
        write_json(self.run / REPORT, report)
        return report

    def _save(self, state: dict[str, Any]) -> None:
        self.state = state
        write_json(self.run / CONTINUED, state)

    # -- data

    def _prepared(self, material: Material) -> dict[str, Any]:
        """Shards of history, texts and replay; made once, for they are drawn by the seed."""
        if "data" in self.state:
            shards = [Shard(self.run / name).checksum for name in (TRAIN, VALIDATION)]
            if shards != self.state["checksums"]:
                raise NimError(f"the data of {self.run} has changed", "", "start the run again in another --out",
                               CONFIG)
            return dict(self.state["data"])
        tokens: dict[str, int] = {}
        documents_: dict[str, int] = {}
        size = learnt = 0
        first: tuple[list[int], list[bool]] | None = None
        paths = self.run / TRAIN, self.run / VALIDATION
        with ShardWriter(paths[0], self.tokenizer.vocab_size) as train, \
                ShardWriter(paths[1], self.tokenizer.vocab_size) as validation:
            packers = [Packer(writer, self.config.context, self.tokenizer.pad) for writer in (train, validation)]

            def add(what: str, ids: list[int], learn: list[bool], held: bool) -> None:
                nonlocal size, learnt, first
                first = first or (ids, learn)
                packers[held].append(ids, learn)
                tokens[what] = tokens.get(what, 0) + len(ids)
                documents_[what] = documents_.get(what, 0) + 1
                if held:
                    own = [one for one, learnt_too in zip(ids, learn, strict=True) if learnt_too]
                    size += len(self.tokenizer.decode(own).encode())
                    learnt += sum(learn)

            for divided in material.histories:
                for turns in divided.windows:
                    self._turns(add, "history", turns, False)
                for shown, command in divided.held:
                    self._turns(add, HELD_OUT, histories.window(shown, [command]), True)
            for number, text in enumerate(material.texts):
                ids = [self.tokenizer.bos, *self.tokenizer.encode(text), self.tokenizer.eos]
                add("texts", ids, [True] * len(ids), number % _HELD_EVERY == _HELD_EVERY - 1)
            for number, turns in enumerate(material.conversations):
                self._turns(add, "conversations", turns, number % _HELD_EVERY == _HELD_EVERY - 1)
            self._replay(add, sum(count for what, count in tokens.items() if what != HELD_OUT))
            if packers[1].documents == 0:  # too little to hold any out: something learnt is looked at
                assert first is not None
                add("learnt and looked at", first[0], first[1], True)
            for packer in packers:
                packer.close()
        data = {"tokens": tokens, "documents": documents_, "bytes_per_token": size / max(1, learnt)}
        self._save({**self.state, "data": data, "checksums": [Shard(path).checksum for path in paths]})
        return data

    def _turns(self, add: Callable[[str, list[int], list[bool], bool], None], what: str, turns: list[Turn], held: bool
               ) -> None:
        made = render(turns, self.tokenizer)
        if len(made.ids) <= self.config.context and any(made.learn):
            add(what, made.ids, made.learn, held)
        elif what.startswith("history") and len(turns) > 2:  # without the oldest commands that are only read
            self._turns(add, what, [turns[0], *turns[2:]], held)

    def _replay(self, add: Callable[[str, list[int], list[bool], bool], None], own: int) -> None:
        share = self.args.replay
        wanted = min(_MOST, max(_LEAST, round(own * share / (1 - share)))) if share else 0
        if not wanted:
            return
        self.say(f"drawing {wanted:,} tokens of what the model can do, to be replayed")
        for number, turns in enumerate(replayed(wanted, self.tokenizer, self.args.seed)):
            self._turns(add, "replay", turns, number % _HELD_EVERY == _HELD_EVERY - 1)

    # -- training

    def _trained(self, data: dict[str, Any], show: Callable[..., None] | None) -> dict[str, Any]:
        from nimllm.llm.settings import TrainSettings
        from nimllm.llm.train import Trainer

        context = self.config.context
        windows = (len(Shard(self.run / TRAIN, verify=False).tokens) - 1) // context
        rows = min(windows, max(1, round((self.args.batch_tokens or _ROW_TOKENS) / context)))
        steps = self.args.steps or max(1, round(self.args.epochs * windows / rows))
        if not self.args.steps and not data["tokens"].get("texts"):
            steps = min(steps, _MOST_STEPS)
        settings = TrainSettings(
            steps=steps, batch_rows=rows, lr=self.args.lr or _LR, warmup=max(1, min(20, steps // 10)),
            seed=self.args.seed, optimizer="adamw", eval_every=max(1, min(50, steps // 5)), eval_rows=96,
            device=self.args.device, threads=self.args.threads, save_seconds=self.args.save_seconds, aligned=True,
            document_mask=True)
        write_json(self.run / "config.json", {
            "format": "nimllm-run", "version": 1, "model": self.config.model_dump(),
            "tokenizer": self.tokenizer.describe(), "training": settings.model_dump()})
        self.tokenizer.save(self.run)
        if (self.base / "probe_text.txt").exists():
            shutil.copyfile(self.base / "probe_text.txt", self.run / "probe_text.txt")
        trainer = Trainer(self.config, settings, self.run, self.tokenizer, self.run / TRAIN, self.run / VALIDATION,
                          data["bytes_per_token"], self.base / "model.safetensors",
                          resume=(self.run / "last.safetensors").exists())
        self.say(f"{steps} steps of {rows * context:,} tokens"
                 + (f", resumed after step {trainer.step}" if trainer.step else ""))
        outcome = trainer.fit(show)
        return {"steps": outcome.step, "training_seconds": round(outcome.seconds, 1), "loss": outcome.loss,
                "validation": outcome.validation}

    # -- measuring

    def _measured(self, model: Path, material: Material) -> dict[str, Any]:
        """Next commands and skill of a model; a count of tasks of 0 skips the second."""
        from nimllm.llm.generate import Generator

        generator = Generator.load(model, threads=self.args.threads or None)
        try:
            found: dict[str, Any] = {}
            if material.held:
                right, asked = histories.accuracy(generator, material.held)
                found["next_command"] = {"right": right, "asked": asked, "rate": right / asked}
            if self.args.skill_tasks:
                found["skill"] = self._measured_skill(generator)
            return found
        finally:
            generator.close()

    def _measured_skill(self, generator: Generator) -> dict[str, Any]:
        from nimllm.agent.gym import evaluate
        from nimllm.agent.loop import Agent
        from nimllm.tools.shell import Shell

        if self._skill is None:
            self._skill = list(evaluate.unseen(self.args.skill_tasks, self.args.seed))

        def work(shell: Shell, request: str, played: Sequence[str] = ()) -> evaluate.Tasked:
            return Agent(generator, shell, "auto", step_timeout=evaluate.STEP_SECONDS,
                         task_timeout=evaluate.TASK_SECONDS).task(request, given=played)

        try:
            report = evaluate.evaluate(work, self._skill)
        except NimError as error:  # without a sandbox nobody's commands are run unasked
            return {"skipped": error.message()}
        return evaluate.rate(*report.rate())


def lines(report: dict[str, Any]) -> list[str]:
    """For people."""
    shown = [f"done: {report['steps']} steps in {report['training_seconds']:.0f} s, {report['seconds']:.0f} s in all"]
    before, after = report["before"], report["after"]
    if "next_command" in before:
        asked = after["next_command"]["asked"]
        shown.append(f"next command, of {asked} held out: {before['next_command']['rate']:.1%} before, "
                     f"{after['next_command']['rate']:.1%} after")
    if "skill" in before and "skipped" not in before["skill"]:
        now = after["skill"]
        shown.append(f"skill, of {now['total']} generated tasks: {before['skill']['rate']:.1%} before, "
                     f"{now['rate']:.1%} after (95 % interval {now['low']:.1%} to {now['high']:.1%})")
    elif "skill" in before:
        shown.append(f"skill was not measured: {before['skill']['skipped']}")
    shown.append("tokens: " + ", ".join(f"{what} {count:,}" for what, count in report["tokens"].items()))
    return shown
