"""The bench itself: streams, learning and examinations in the order of their cost, every result kept as it comes.

    <out>/settings.json                what must not change while a run goes on
    <out>/windows.json, standing.json  general text, and the base's answers to what no stream changes
    <out>/<seed>/stream-<N>.json       what the base makes of the stream
    <out>/<seed>/<method>/             state/ (the method's), updates.jsonl, weights of the last point, point-N.json
                                       (of the learner), result-N.json (of the examination)

Everything that computes runs in a process of its own, so a peak of memory is one method's, and this one can be stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nimllm.alignment.memory.bench import figures, prepare
from nimllm.alignment.memory.bench.examine import child, examine
from nimllm.alignment.memory.bench.learner import Note, notes, weights_file
from nimllm.alignment.memory.bench.plan import Plan, digest
from nimllm.alignment.memory.bench.prepare import Prepared, read_json, write_json
from nimllm.alignment.memory.bench.questions import Answer, Question, Wordings, judge, of_point
from nimllm.errors import CONFIG, NimError

Tell = Callable[[str, int, int], None]  # (what is being done, how far, of how much)
_PACKAGE = "nimllm.alignment.memory.bench"


@dataclass(frozen=True)
class Track:
    """One method on one stream, with its folder."""

    seed: str
    method: str
    shuffle: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} (shuffled)" if self.shuffle else self.method


class Bench:
    """One run in its folder. Raises NimError when the folder holds another run's state."""

    def __init__(self, plan: Plan, tell: Tell | None = None) -> None:
        self.plan, self.tell = plan, tell or (lambda what, done, whole: None)
        self.about = {**plan.frozen(), "base": _base(plan.run)}
        try:
            plan.out.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NimError(f"cannot make {plan.out}", error.strerror or str(error), "give another --out") from None
        path = plan.out / "settings.json"
        if not path.exists():
            write_json(path, self.about)
        known = read_json(path)
        if known != self.about:
            differ = [name for name in self.about if known.get(name) != self.about[name]]
            raise NimError(f"{plan.out} holds a run with other settings", ", ".join(differ) or "unknown",
                           "give another --out, or remove the folder", CONFIG)
        self._prepared: dict[tuple[str, int, bool], Prepared] = {}
        self._standing: dict[str, Answer] | None = None

    # ---- what comes before ---------------------------------------------------------------------------------------

    def windows(self) -> Path:
        """The windows of general text, as a JSON file."""
        path = self.plan.out / "windows.json"
        if not path.exists():
            self.prepared(self.plan.seeds[0])
        return path

    def standing(self) -> dict[str, Answer]:
        """The base's answers to what no stream changes."""
        if self._standing is None:
            path = self.plan.out / "standing.json"
            if not path.exists():
                self.prepared(self.plan.seeds[0])
            found = read_json(path)
            self._standing = {id: Answer(text, ended) for id, (text, ended) in found.items()}
        return self._standing

    def prepared(self, seed: str, shuffle: bool = False) -> Prepared:
        """A seed's stream with the base's replies."""
        key = (seed, self.plan.count, shuffle)
        if key not in self._prepared:
            path = self.plan.stream_file(seed)
            if not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                spec = {"run": str(self.plan.run), "out": str(self.plan.out), "path": str(path), "seed": seed,
                        "count": self.plan.count, "mix": self.plan.mix, "wordings": self.plan.wordings,
                        "windows": self.plan.sizes.windows, "length": self.plan.sizes.window_tokens,
                        "text": str(self.plan.text) if self.plan.text else None, "every": self.plan.sizes.every}
                child(f"{_PACKAGE}.prepare", json.dumps(spec),
                      tell=self._progress(f"{seed}: what the base knows", 10 * self.plan.count))
            self._prepared[key] = prepare.read(path, shuffle)
        return self._prepared[key]

    def _progress(self, what: str, whole: int) -> Callable[[dict[str, Any]], None]:
        def tell(said: Mapping[str, Any]) -> None:
            done = said.get("answered", said.get("learnt"))
            if done is not None:
                self.tell(what, int(done), max(whole, int(done)))

        return tell

    # ---- one method ----------------------------------------------------------------------------------------------

    def folder(self, track: Track) -> Path:
        return self.plan.folder(track.seed, f"{track.method}~shuffled" if track.shuffle else track.method)

    def spec(self, track: Track, **more: Any) -> str:
        return json.dumps({"run": str(self.plan.run), "folder": str(self.folder(track)), "method": track.method,
                           "seed": track.seed, "stream": str(self.plan.stream_file(track.seed)),
                           "shuffle": track.shuffle, **more})

    def settle(self, track: Track) -> None:
        """The method's own settings, which must not change between two sittings."""
        from nimllm.alignment.memory.bench.methods.registry import settings

        folder = self.folder(track)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, now = folder / "method.json", json.loads(json.dumps(settings(track.method, self.plan.run)))
        if not path.exists():
            write_json(path, now)
        if read_json(path) != now:
            raise NimError(f"{track.method} has other settings than when {folder} was begun", "",
                           "remove that folder to begin it anew", CONFIG)

    def point(self, track: Track, count: int) -> dict[str, Any]:
        """Everything measured after ``count`` items; from the folder when it was measured before."""
        folder = self.folder(track)
        path = folder / f"result-{count}.json"
        if path.exists():
            return read_json(path)
        prepared = self.prepared(track.seed, track.shuffle)
        self.settle(track)
        where = f"{track.seed}: {track.name}"
        child(f"{_PACKAGE}.learner", self.spec(track, count=count),
              tell=self._progress(f"{where} learns to {count}", count))
        about = read_json(folder / f"point-{count}.json")
        questions = of_point(prepared.stream, count, self._wordings, self.plan.sizes.every)
        answers, far = self._examine(track, about, questions, count)
        result = self._result(prepared, count, answers, far, notes(folder)[:count], about)
        write_json(path, result)
        write_json(folder / f"answers-{count}.json", {id: [answer.text, answer.ended]
                                                      for id, answer in answers.items()})
        return result

    @property
    def _wordings(self) -> Wordings:
        return self.plan.wordings  # type: ignore[return-value]

    def _examine(self, track: Track, about: Mapping[str, Any], questions: Sequence[Question], count: int
                 ) -> tuple[dict[str, Answer], dict[str, Any]]:
        folder = self.folder(track)
        windows = {"windows": self.windows()}
        if self.plan.text and count == self.plan.count:
            windows["text"] = self.plan.out / "text-windows.json"
        tell = self._progress(f"{track.seed}: {track.name} is asked at {count}", len(questions))
        spoken: dict[str, Any] = {}
        if about["kind"] != "weights":
            asked, out = folder / "questions.json", folder / "spoken.json"
            write_json(asked, [question.data() for question in questions])
            child(f"{_PACKAGE}.learner", self.spec(track, questions=str(asked), spoken=str(out)))
            spoken = read_json(out)
        if about["kind"] == "answers":
            found = examine(self.plan.run, weights_file(folder), [], windows)
            return {id: Answer(text, True) for id, text in spoken.items()}, found.far
        found = examine(self.plan.run, weights_file(folder), questions, windows, spoken, tell)
        return found.answers, found.far

    def _result(self, prepared: Prepared, count: int, answers: Mapping[str, Answer], far: Mapping[str, Any],
                noted: Sequence[Note], about: Mapping[str, Any]) -> dict[str, Any]:
        verdicts = judge(prepared.stream, count, self._wordings, answers)
        return {"n": count, "facts": figures.of_facts(verdicts, count), "far": far,
                "locality": figures.of_locality(prepared.stream, count, answers, self.standing()),
                "cost": figures.of_cost(noted, about, len(verdicts)), "weights": about["weights"],
                "answered_by": about["kind"], "held": [v.id for v in verdicts if v.held],
                "recalled": [v.id for v in verdicts if v.recalled]}

    # ---- everything ----------------------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """All of the plan; the report as JSON data."""
        from nimllm.alignment.memory.bench.controls import revert_check, shuffle_check
        from nimllm.alignment.memory.bench.methods.registry import settings

        results: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in self.plan.methods}
        for seed in self.plan.seeds:
            for method in self.plan.methods:
                track = Track(seed, method)
                results[method][seed] = {str(count): self.point(track, count) for count in self.plan.points}
        controls = {}
        for method in self.plan.controls:
            track = Track(self.plan.seeds[0], method)
            controls[method] = {"shuffle": shuffle_check(self, track), "revert": revert_check(self, track)}
        methods = {name: {"settings": settings(name, self.plan.run), "seeds": seeds,
                          "summary": figures.summary(seeds)} for name, seeds in results.items()}
        return self._report(methods, controls)

    def _report(self, methods: dict[str, Any], controls: dict[str, Any]) -> dict[str, Any]:
        from nimllm.alignment.memory.bench.stream import COMMITTED
        from nimllm.llm.bench.provenance import provenance
        from nimllm.llm.config import read_config

        config = read_config(self.plan.run)
        streams = {seed: {"hash": self.prepared(seed).stream.hash(), "committed": COMMITTED.get(seed),
                          "refused": len(self.prepared(seed).refused), "read_share": self.prepared(seed).read_share()}
                   for seed in self.plan.seeds}
        frozen = {"run": self.about, "methods": {name: about["settings"] for name, about in methods.items()},
                  "points": list(self.plan.points)}
        text = self.plan.out / "text-windows.about.json"
        return {
            "format": "nimllm-memory-bench", "version": 1, "frozen": frozen, "frozen_hash": digest(frozen),
            "base": {"fingerprint": self.about["base"], "parameters": config.parameters(), "layers": config.n_layers,
                     "context": config.context, "folder": self.plan.run.name},
            "wordings": self.plan.wordings, "mix": self.plan.mix, "streams": streams,
            "text": read_json(text) if self.plan.text else None,
            "limits": figures.limits(config.parameters(), config.n_layers, config.d_ff, self.plan.count),
            "machine": {**provenance(), "threads": _threads()}, "methods": methods, "controls": controls,
        }  # fmt: skip


def _base(run: Path) -> str:
    from nimllm.llm.checkpoint import fingerprint, read_tensors

    return fingerprint(read_tensors(run / "model.safetensors"))


def _threads() -> int:
    """Threads of torch, here and so in the processes that computed."""
    import torch

    return torch.get_num_threads()


