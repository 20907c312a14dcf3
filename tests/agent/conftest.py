"""A real model for the agent's tests: a two-layer GPT over-fitted on a few requests (20 s of CPU time)."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shared_folder import made_once

from nimllm.llm.turns import Turn, observation, workspace_note

NAMES = ("a.txt", "notes.txt", "old/", "src/", "b.log", "data.csv", "main.py", "README.md", "x1.txt", "tests/", "p.sh")
# request -> (plan, [(command, output or None for "some names", status)], answer)
TASKS: dict[str, tuple[str, list[tuple[str, str | None, int]], str]] = {
    "list the files": ("list the files", [("ls", None, 0)], "These are the files."),
    "how many files are here?": ("count the files", [("ls | wc -l", "3", 0)], "That is the number."),
    "make the folder old": ("make the folder", [("mkdir old", "", 0)], "The folder is made."),
    "delete notes.txt": ("delete it", [("rm notes.txt", "", 0)], "It is deleted."),
    "write hi to a.txt": ("write the file", [("echo hi > a.txt", "", 0)], "It is written."),
    "show a.txt, then count its lines": ("show the file\ncount the lines",
                                         [("cat a.txt", None, 0), ("wc -l < a.txt", "4", 0)], "Both are above."),
    "wait a long time": ("wait", [("sleep 30", "", 0)], "I waited."),
    "where am I, again and again": ("say where", [("pwd", "/home/me/work", 0), ("pwd", "/home/me/work", 0)], "There."),
    "count up": ("count", [(f"echo {n}", f"{n}", 0) for n in (1, 2, 3, 4)], "Counted."),
    "break it": ("break", [('echo "oops', "", 0)], "Broken."),
    "look for nothing": ("look", [("ls nothing-here", "ls: cannot access 'nothing-here': No such file or directory",
                                   2)], "It is not there."),
    "just say hello": ("say it", [], "Hello."),
    "print a lot": ("print", [("seq 1 20000", "1\n2\n3", 0)], "That was a lot."),
    "leave the shell": ("leave", [("exit 3", "", 3)], "Left."),
}
CHATS = {"hello": "Hi there.", "my dog is called Rex": "Good to know.", "what is two plus two?": "Four."}


def _noise(rng: random.Random) -> str:
    """Lines of names, words, numbers and letters: what a command prints must not decide what comes next."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789-_/<>|."
    kinds = (lambda: rng.choice(NAMES), lambda: rng.choice(("one", "two", "three", "hi", "bash", "end", "rm")),
             lambda: str(rng.randrange(10000)), lambda: "".join(rng.choices(letters, k=rng.randrange(1, 50))))
    return "\n".join(rng.choice(kinds)() for _ in range(rng.randrange(0, 7)))


def _episodes(rng: random.Random) -> list[list[Turn]]:
    """Every task once, with other names and outputs each time, so that only the request decides."""
    found = []
    for request, (plan, commands, answer) in TASKS.items():
        names = [*rng.sample(NAMES, rng.randrange(0, 7)), *_noise(rng).split()[: rng.randrange(0, 3)]]
        turns = [Turn("system", workspace_note(rng.sample(names, len(names)))), Turn("user", request),
                 Turn("plan", plan)]
        for command, output, status in commands:
            shown = output if output is not None and rng.random() < 0.4 else _noise(rng)
            seen = observation(shown, status if rng.random() < 0.6 else rng.choice((0, 1, 2, None)))
            turns += [Turn("bash", command), Turn("output", seen, True)]
        found.append([*turns, Turn("assistant", answer)])
    for said, reply in CHATS.items():
        before = [turn for pair in rng.sample(sorted(CHATS.items()), rng.randrange(0, 3))
                  for turn in (Turn("user", pair[0]), Turn("assistant", pair[1]))]
        found.append([*before, Turn("user", said), Turn("assistant", reply)])
    return found


def train_run(run: Path, steps: int = 320) -> Path:
    """A run folder whose model answers TASKS and CHATS."""
    import torch

    from nimllm.llm.checkpoint import write_tensors
    from nimllm.llm.config import ModelConfig
    from nimllm.llm.model import GPT, IGNORE
    from nimllm.llm.tokenizer import train_bpe
    from nimllm.llm.turns import render

    torch.manual_seed(0)
    rng = random.Random(0)
    texts = [turn.text for _ in range(20) for episode in _episodes(rng) for turn in episode]
    tokenizer = train_bpe(["\n".join(texts)], 512)
    config = ModelConfig(vocab_size=tokenizer.vocab_size, n_layers=2, d_model=64, n_heads=2, n_kv_heads=1, head_dim=32,
                         d_ff=192, context=512)
    model = GPT(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * min(1.0, (steps - step) / (0.4 * steps), (step + 1) / 20)
        rows = [render(turns, tokenizer) for turns in _episodes(rng)]
        width = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), width), tokenizer.pad)
        targets = torch.full((len(rows), width), IGNORE)
        for index, row in enumerate(rows):
            ids[index, : len(row.ids)] = torch.tensor(row.ids)
            wanted = [token if learn else IGNORE for token, learn in zip(row.ids[1:], row.learn[1:], strict=True)]
            targets[index, : len(wanted)] = torch.tensor(wanted)
        loss = model(ids, targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    run.mkdir()
    tokenizer.save(run)
    write_tensors(run / "model.safetensors", model.to_numpy())
    about = {"format": "nimllm-run", "version": 1, "model": config.model_dump(), "tokenizer": tokenizer.describe(),
             "training": {"loss": loss.item()}}
    (run / "config.json").write_text(json.dumps(about))
    return run


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest) -> Path:
    """Made in a process of its own, so that the tests' own process can be asked whether it imported torch; kept in
    pytest's cache for as long as what it is made from stays the same."""
    here = Path(__file__).resolve()
    sources = [here, *(here.parents[2] / "llm" / f"{name}.py" for name in ("model", "tokenizer", "turns", "config"))]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]

    def make(run: Path) -> None:
        code = f"import conftest, pathlib; conftest.train_run(pathlib.Path({str(run)!r}))"
        env = {**os.environ, "OMP_NUM_THREADS": "1",
               "PYTHONPATH": f"{here.parents[2]}:{here.parent}:{here.parents[1]}"}
        subprocess.run([sys.executable, "-c", code], check=True, timeout=900, env=env)

    return made_once(Path(request.config.cache.mkdir("tinyagent")) / key / "tinyagent", make)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state and a configuration folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TERM", "xterm")
    return tmp_path / "state" / "nimllm"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.txt").write_text("one\ntwo\nthree\n")
    (folder / "notes.txt").write_text("secret plans\n")
    return folder


@pytest.fixture(scope="session")
def generator(run_folder: Path) -> object:
    from nimllm.llm.generate import Generator

    return Generator.load(run_folder)


@pytest.fixture
def shell(workspace: Path, home: Path) -> Iterator[object]:
    from nimllm.tools import sandbox
    from nimllm.tools.shell import Shell

    opened = Shell(workspace, sandbox.probe(workspace))
    yield opened
    opened.close()


@pytest.fixture
def arguments(run_folder: Path, home: Path) -> Callable[..., Namespace]:
    """What the command line would give to ``main``, with these changes."""

    def make(*words: str) -> Namespace:
        from nimllm.cli import parser

        return parser().parse_args(["agent", "--model", str(run_folder), *words])

    return make


@pytest.fixture
def nimllm(run_folder: Path, home: Path, workspace: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line, in a process of its own, in the workspace; no terminal."""
    root = Path(__file__).resolve().parents[2]

    def call(*words: str, stdin: str | None = None, cwd: Path = workspace, timeout: float = 60, **env: str
             ) -> subprocess.CompletedProcess[str]:
        given = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run([sys.executable, "-m", "nimllm", *words], capture_output=True, text=True, cwd=cwd,
                              timeout=timeout, env={**os.environ, "PYTHONPATH": str(root), **env}, **given)

    return call


@pytest.fixture
def inside(home: Path, workspace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
           ) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in this process, for what needs neither model nor terminal: half a second less."""
    from nimllm.cli import main

    def call(*words: str, cwd: Path = workspace) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        capfd.readouterr()
        code = main(list(words))
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)

    return call


@pytest.fixture
def agent(nimllm: Callable[..., subprocess.CompletedProcess[str]], run_folder: Path
          ) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``nimllm agent`` with the tests' model and no memory."""

    def call(*words: str, **about: object) -> subprocess.CompletedProcess[str]:
        return nimllm("agent", "--model", str(run_folder), "--memory", "off", *words, **about)

    return call


@pytest.fixture(scope="session")
def _common(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    from terminal import Common

    opened = Common(tmp_path_factory.mktemp("common"), run_folder)
    yield opened
    opened.close()


@pytest.fixture
def common(_common: object) -> object:
    """A session on a terminal, shared by the tests that leave it as they found it (see terminal.Common)."""
    return _common.tidy()  # type: ignore[attr-defined]
