"""A user who teaches: the session as it is, without a terminal, and somebody at its questions who knows the command.

Nothing of the teaching is made here. ``Session.obey`` gets what a user types, the loop asks for approval, and the
answers are those of a person: the proposal is edited, or turned down and followed by ``!COMMAND``. Where that taught
nothing (after the edited command the model wanted a second one; nothing was proposed), the user does what is left:
``!COMMAND``, or ``/fix``.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nimllm.agent.asking import AskingFace
from nimllm.agent.choose import normal
from nimllm.agent.face import Stdio
from nimllm.agent.session import Session
from nimllm.errors import CONFIG, NimError

if TYPE_CHECKING:
    from nimllm.agent.records import MemoryRecord

Way = Literal["edit", "typed", "fix"]


@dataclass(frozen=True)
class Taught:
    """What became of one correction. ``proposed``: the model's own command before it ("" when it had none);
    ``seconds``: wall clock of the update as the session waits for it, start of the worker included."""

    way: Way
    proposed: str
    state: str
    id: str
    seconds: float
    bytes: int
    why: str = ""

    @property
    def learnt(self) -> bool:
        return self.state == "accepted"


class Asked:
    """The person at the questions (``asking.Asker``): edits the first command, turns down whatever follows."""

    rich = True  # of keys and lines, not of colours

    def __init__(self) -> None:
        self.command = ""  # what the next proposal is edited into; "" turns it down
        self.proposed = ""
        self._line = ""

    def key(self, question: str, keys: Mapping[str, str], cancel: str) -> str:
        self._line, self.command = self.command, ""
        return "edit" if self._line else "abort"

    def line(self, question: str, default: str = "") -> str | None:
        return self._line


class Unseen(AskingFace):
    """Asks, and shows nothing."""

    def write(self, name: Stdio, text: str, style: str = "") -> None:
        pass


@contextmanager
def own_state(home: Path, asks: bool = False) -> Iterator[None]:
    """State and configuration below ``home`` instead of the user's, for this process and those it starts. ``asks``:
    with a rule that asks about every program, those that only read too; a proposal that ran unasked could not be
    edited."""
    from nimllm.tools import rules

    config = home / ("config-that-asks" if asks else "config")
    wanted = {"XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(config)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        if asks:
            _ask_always(rules.user_file())
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _ask_always(path: Path) -> None:
    from nimllm.tools.readers import READERS

    words = ", ".join(f'"{name}"' for name in sorted(READERS))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(f'[[rule]]\nprefix = [[{words}]]\ndecision = "ask"\nreason = "the user looks at each"\n',
                        "utf-8")
    except OSError as error:
        raise NimError(f"cannot write {path}", error.strerror or str(error), "give another --out", CONFIG) from None


def state_of(home: Path) -> Path:
    """nimllm's state folder inside :func:`own_state`."""
    return home / "state" / "nimllm"


class Teacher:
    """A session in ``workspace``. Use it inside :func:`own_state` with ``asks``.

    ``options``: a session's, as the command line has them when nobody set any. NimError: what a session cannot have.
    """

    def __init__(self, options: Namespace, run: Path, workspace: Path, method: str = "kewc", dtype: str = "fp32",
                 threads: int | None = None) -> None:
        args = copy(options)
        args.model, args.cd, args.mode, args.yes, args.plain = str(run), str(workspace), "ask", False, True
        args.memory, args.memory_method, args.notify = "auto", method, 0.0
        args.dtype, args.threads = dtype, threads
        self.session = Session(args)
        self.asked = Asked()
        self.session.face = Unseen(self.asked, "stdout", "stderr", True)
        try:
            self.session.open()
        except BaseException:
            self.session.recording.close(CONFIG)
            raise

    def close(self) -> None:
        """The shell ends; an update that still runs ends by itself."""
        self.session.agent.shell.close()
        self.session.recording.close(0)

    def __enter__(self) -> Teacher:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def teach(self, request: str, command: str, edit: bool) -> Taught:
        """``request`` is asked, and ``command`` is what the user puts in the place of the answer. Returns when the
        update is done. KeyboardInterrupt when ^C stopped the session's task."""
        from nimllm.agent import teaching

        self.asked.command = command if edit else ""
        self._obey(request)
        assert self.session.last is not None
        result, record = self.session.last
        proposed = teaching.proposals(result)
        way: Way = "edit"
        done = edit and record.outcome == "success" and record.by == "user" and teaching.edited(result) is not None
        if not done and self.session.failed is not None:
            way = "typed"
            self._obey(f"!{command}")
            done = self.session.failed is None
        if not done:
            way = "fix"
            self._obey(f"/fix `{command}`")
        return taught(way, proposed[0] if proposed else "", self.session.last[1].memory)

    def _obey(self, message: str) -> None:
        self.session.obey(message)
        last = self.session.last
        if self.session.stopped and (message.startswith("!") or (last is not None and last[0].ended == "interrupted")):
            raise KeyboardInterrupt  # "aborted" is what this user says
        self.session.log.wait()


def taught(way: Way, proposed: str, memory: MemoryRecord) -> Taught:
    """Of what the task log keeps of an update."""
    return Taught(way, proposed, memory.state, memory.id or "", memory.seconds or 0.0, memory.bytes or 0, memory.detail)


def guessed(one: Taught, command: str) -> bool:
    """Whether the model had proposed the command before it was taught."""
    return normal(one.proposed) == normal(command)


def past_update(run: Path, home: Path, command: str, known: Collection[str]) -> Taught | None:
    """An update about ``command`` that the store has and that is none of the ``known`` ids: its run was stopped before
    it was noted, and a worker ends by itself. Waits for one that is at it."""
    from nimllm.agent.memories import summary
    from nimllm.alignment.memory.store import MemoryStore
    from nimllm.alignment.memory.worker import LOCK_SECONDS

    if not state_of(home).exists():
        return None
    with MemoryStore(run, state_of(home), wait=LOCK_SECONDS) as store:
        found = [record for record in store.records() if record.id not in known
                 and record.state in ("accepted", "pending") and any(fact[2] == command for fact in record.facts)]
    if not found:
        return None
    newest = found[-1]
    return taught(_way(newest.episode, state_of(home) / "tasks"), "", summary(newest, newest.seconds))


def _way(episode: str, log: Path) -> Way:
    """How an episode was taught, by the task log."""
    from nimllm.agent import records

    try:
        record = records.read(episode, log)
    except NimError:
        return "fix"
    return "typed" if record.kind == "user" else "edit" if any(one.edited_from for one in record.commands) else "fix"
