"""The examination, in a process of its own: ``python -m nimllm.alignment.memory.bench.examine FOLDER``.

FOLDER is all it gets: a run folder (configuration, tokenizer, one weight file) and ``questions.json``; no ledger, no
buffer, no state folder, and home and state of the process lie in FOLDER. It writes ``answers.json``. Where the folder
holds ``windows.json`` and the base's weights, it compares the two on the windows afterwards, into ``far.json``.

:func:`examine` makes the folder, starts the process, and reads what came back.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nimllm.alignment.memory.bench.questions import Answer, Question
from nimllm.errors import CONFIG, MEMORY, NimError

KEPT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
        "OMP_WAIT_POLICY", "NIMLLM_KERNELS", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR", "SYSTEMROOT")
RUN_FILES = ("config.json", "tokenizer.model", "tokenizer.json")
Told = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Examined:
    """``far``: of the windows, of the user's text ("text") when there was one; {} when it was not asked for."""

    answers: dict[str, Answer]
    far: dict[str, dict[str, float]]


def child(module: str, *words: str, folder: Path | None = None, tell: Told | None = None) -> None:
    """Runs ``python -m MODULE WORDS`` with every line it prints (JSON) handed to ``tell``. With ``folder``, home, state
    and work folder of the process are that one. ^C ends it, and is raised again. NimError: what it reported."""
    environment = dict(os.environ)
    if folder is not None:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        homes = ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
        environment |= dict.fromkeys(homes, str(folder))
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen([sys.executable, "-m", module, *words], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=messages, text=True, env=environment,
                                   start_new_session=True)
        failed: dict[str, Any] | None = None
        try:
            assert process.stdout is not None
            for line in process.stdout:
                with contextlib.suppress(ValueError):
                    said = json.loads(line)
                    if "error" in said:
                        failed = said["error"]
                    elif tell is not None:
                        tell(said)
            process.wait()
        finally:
            if process.poll() is None:  # ^C: what it learnt is durable, and what it was doing is done again
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if failed is not None:
            raise NimError(**failed)
        if process.returncode:
            messages.seek(0)
            last = messages.read().decode(errors="replace").strip().splitlines()
            raise NimError("a process of the bench failed", last[-1] if last else f"exit status {process.returncode}",
                           "the same command goes on where it was", MEMORY)


def say(**what: object) -> None:
    """One line for :func:`child`'s ``tell``."""
    print(json.dumps(what), flush=True)


def guarded(work: Callable[[], None]) -> int:
    """``main`` of a child: an error that a user can mend becomes a line of its own."""
    try:
        work()
    except NimError as error:
        say(error={"what": error.what, "why": error.why, "mend": error.mend, "code": error.code})
        return error.code
    except (MemoryError, OSError) as error:
        say(error={"what": "a process of the bench failed", "why": f"{type(error).__name__}: {error}",
                   "mend": "the same command goes on where it was", "code": MEMORY})
        return MEMORY
    return 0


def examine(run: Path, weights: Path, questions: Sequence[Question], windows: Mapping[str, Path] | None = None,
            contexts: Mapping[str, Sequence[tuple[str, str]]] | None = None, tell: Told | None = None) -> Examined:
    """Asks a weight file. ``windows``: name -> file of windows, to compare it with the base on; ``contexts``: turns
    that a method which is no weights puts before a question, by the question's id."""
    with tempfile.TemporaryDirectory(prefix="nimllm-examine-") as name:
        folder = Path(name)
        for file in RUN_FILES:
            if (run / file).exists():
                shutil.copyfile(run / file, folder / file)
        shutil.copyfile(weights, folder / "model.safetensors")
        given = contexts or {}
        asked = [Question(question.id, question.text, (*given.get(question.id, ()), *question.before), question.task)
                 for question in questions]
        (folder / "questions.json").write_text(json.dumps([question.data() for question in asked]), "utf-8")
        if windows:
            shutil.copyfile(run / "model.safetensors", folder / "base.safetensors")
            (folder / "windows.json").write_text(
                json.dumps({name: json.loads(path.read_text("utf-8")) for name, path in windows.items()}), "utf-8")
        child("nimllm.alignment.memory.bench.examine", str(folder), folder=folder, tell=tell)
        try:
            answers = json.loads((folder / "answers.json").read_text("utf-8"))
            far = json.loads((folder / "far.json").read_text("utf-8")) if windows else {}
        except (OSError, ValueError) as error:
            raise NimError("the examination gave no answers", str(error), "run it again", CONFIG) from None
    return Examined({id: Answer(text, ended) for id, (text, ended) in answers.items()}, far)


def _work(folder: Path) -> None:
    from dataclasses import asdict

    from nimllm.alignment.memory.bench.speaker import answer_all
    from nimllm.llm.model import load
    from nimllm.llm.tokenizer import Tokenizer

    tokenizer, model = Tokenizer.load(folder), load(folder).eval()
    questions = [Question.of(data) for data in json.loads((folder / "questions.json").read_text("utf-8"))]
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        say(answered=done)

    answers = answer_all(model, tokenizer, questions, tell)
    (folder / "answers.json").write_text(
        json.dumps({id: (answer.text, answer.ended) for id, answer in answers.items()}), "utf-8")
    if (folder / "windows.json").exists():
        from nimllm.alignment.memory.bench.general import compare

        base = load(folder, folder / "base.safetensors").eval()
        rows = json.loads((folder / "windows.json").read_text("utf-8"))
        (folder / "far.json").write_text(
            json.dumps({name: asdict(compare(base, model, windows)) for name, windows in rows.items()}), "utf-8")


if __name__ == "__main__":
    sys.exit(guarded(lambda: _work(Path(sys.argv[1]))))
