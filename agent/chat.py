"""``nimllm --chat``: talk; at the end the conversation goes into the weights."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from nimllm import errors, places
from nimllm.agent import equipment
from nimllm.agent.console import Console
from nimllm.agent.display import visible
from nimllm.agent.face import Face
from nimllm.agent.window import Overflow, check_request, fit_chat
from nimllm.errors import NimError, UsageError
from nimllm.llm.turns import ROLES, Turn

if TYPE_CHECKING:  # pydantic builds the records' models in 0.1 s, which the first word need not wait for
    from nimllm.agent.records import Mark, TaskRecord

WORDS: dict[str, tuple[str, ...]] = {name: () for name in (
    "/help", "/good", "/bad", "/fix", "/memory", "/save", "/temp", "/status", "/quit", "/exit")}
HELP = """\
talk; when you leave, the conversation is remembered in the weights (unless --memory off)
  /good  /bad    the last answer was right (it is learnt) or wrong (it becomes less likely)
  /fix TEXT      what the last answer should have been: that is learnt
  /memory        what is in the weights
  /save FILE     write the conversation to a file (JSON)
  /temp [T]      sampling temperature; 0 always takes the likeliest word
  /status        model, memory, window
  /quit          also ^D
keys: Alt-Enter new line · ↑ ^R history · ^C stops a reply, twice on an empty line quits"""


def main(args: Namespace) -> int:
    """A conversation on the terminal, or line by line from a pipe, or one message with -p."""
    if args.temperature < 0 or not 0 < args.top_p <= 1 or args.max_tokens < 1:
        raise UsageError("--temperature must not be negative, --top-p be in (0, 1], --max-tokens be positive")
    if args.prompt is None and sys.stdin is None:
        raise UsageError("a conversation needs standard input", "it is closed", "give the message with -p TEXT")
    return Chat(args).run()


class Chat:
    """One conversation with one model."""

    def __init__(self, args: Namespace) -> None:
        self.args = args
        equipment.hold_memory(args)
        state = places.state_folder()
        self.model = equipment.load_model(args, args.memory != "off")
        self.console = Console(state / "chat_history", WORDS, self.status, Path.cwd, args.plain)
        self.face = Face("stdout", "stderr", live=True, plain=args.plain)
        self.turns: list[Turn] = []
        self.marks: dict[int, Mark] = {}  # what the user said about the answers, by the turn's number
        self.temperature: float = args.temperature
        self._dropped = 0  # oldest turns the model no longer sees
        self._speed = 0.0
        self._stop = threading.Event()
        self._start = time.monotonic()
        tokenizer = self.model.generator.tokenizer
        self._end, self._assistant = tokenizer.marker("end"), tokenizer.marker("assistant")
        self._banned = (0, 1, 2, 3, *(tokenizer.marker(role) for role in ROLES))

    # ---- talking --------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until /quit, ^D, the end of the pipe, or ^C twice on an empty line (130)."""
        if self.args.prompt is not None:
            from nimllm.agent.command import read_prompt

            self.say(read_prompt(self.args.prompt))
            return self.leave(errors.OK)
        if self.console.tty:
            self.face.say(f"nimllm: {self.model.name}; /help for commands, ^D to quit", "dim")
        code, idle = errors.OK, 0
        old = signal.signal(signal.SIGTERM, _terminate)
        try:
            while True:
                try:
                    message = self.console.read().strip()
                    idle = 0
                    if message.startswith("/"):
                        if self.obey(message) == "quit":
                            break
                    elif message:
                        self.say(message)
                except EOFError:
                    break
                except KeyboardInterrupt:
                    idle += 1
                    if idle >= 2 or not self.console.tty:
                        code = errors.INTERRUPTED
                        break
                    self.face.say("^C again quits", "dim")
                except NimError as error:
                    self.face.say(f"nimllm: {error.message()}", "bad")
                    if not self.console.tty:
                        code = error.code
        except SystemExit as exit:  # SIGTERM: what was said is kept in the log, the update is left
            code = int(exit.code or 0)
            self.args.memory = "off"
        finally:
            signal.signal(signal.SIGTERM, old)
        return self.leave(code)

    def say(self, message: str) -> None:
        """One exchange: the user's message and the streamed reply. NimError 2 when the message cannot be read."""
        from nimllm.llm.generate import Sampling

        generator = self.model.generator
        context = generator.config.context
        check_request(message, generator.tokenizer, context)
        room = min(self.args.max_tokens, context // 3)
        turns = [*self.turns, Turn("user", message)]
        try:
            rendered, dropped = fit_chat(turns, generator.tokenizer, context, room + 1)
        except Overflow as overflow:
            raise NimError("the message is too long", str(overflow), "shorten it", errors.USAGE) from None
        if dropped > self._dropped:
            self._dropped = dropped
            self.face.say(f"[the {dropped} oldest turns no longer fit into the model's window]", "dim")
        sampling = Sampling(temperature=self.temperature, top_k=getattr(self.args, "top_k", 0), top_p=self.args.top_p,
                            min_p=getattr(self.args, "min_p", 0.0), seed=self.args.seed + len(self.turns),
                            repetition_penalty=getattr(self.args, "repetition_penalty", 1.0))
        self._stop.clear()
        with self._interruptible():
            done = generator.complete([*rendered.ids, self._assistant], room, stop_ids=(self._end,), sampling=sampling,
                                      banned=self._banned, on_text=self.face.answer_text, should_stop=self._stop.is_set)
        self._speed = done.tokens_per_second
        reply = done.text.strip()
        self.face.answer(reply)
        if self._stop.is_set():
            self.face.say("stopped", "warn")
        if not reply:
            self.face.say("[no reply]", "dim")
        self.turns = [*turns, Turn("assistant", reply)]
        if holds_a_secret(message) and not message.rstrip().endswith("?"):
            self.face.say("[a secret: it is never learnt]", "dim")

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        def handle(number: int, frame: FrameType | None) -> None:
            self._stop.set()

        old = signal.signal(signal.SIGINT, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, old)

    def status(self) -> str:
        memory = equipment.memory_word(self.args, self.model)
        speed = f"{self._speed:.0f} tok/s" if self._speed else "- tok/s"
        return " · ".join((self.model.name, "chat", f"memory {memory}", speed, f"temperature {self.temperature:g}"))

    def obey(self, message: str) -> str:
        """Carries out one /command; "quit" ends the conversation."""
        name, _, rest = message.partition(" ")
        rest = rest.strip()
        if name in ("/quit", "/exit"):
            return "quit"
        if name == "/help":
            self.face.say(HELP)
        elif name == "/status":
            self.face.say(f"{self.status()} · {len(self.turns)} turns, {self._dropped} of them out of the window")
        elif name == "/temp":
            try:
                value = float(rest) if rest else self.temperature
                if not 0 <= value <= 10:
                    raise ValueError
                self.temperature = value
                self.face.say(f"temperature {value:g}")
            except ValueError:
                self.face.say(f"{visible(rest)} is not a temperature; give a number from 0 to 10", "warn")
        elif name in ("/good", "/bad", "/fix"):
            self._judge(name, rest)
        elif name == "/save":
            self._save(rest)
        elif name == "/memory":
            if self.args.memory == "off":
                self.face.say("memory is off in this conversation (--memory off)")
            else:
                from nimllm.agent import slash

                self.face.say(slash.memory_list(equipment.open_store(self.model.run)))
        else:
            self.face.say(f"no command {visible(name)}; /help lists the commands", "warn")
        return ""

    def _judge(self, name: str, text: str) -> None:
        """The user's word about the last answer; it is learnt with the conversation, at its end."""
        from nimllm.agent.records import Mark

        place = len(self.turns) - 1
        if place < 1 or not self.turns[place].text:
            self.face.say("no answer yet")
            return
        if name == "/fix" and not text:
            self.face.say("/fix TEXT: what the answer should have been", "warn")
            return
        answer = self.turns[place].text
        before = self.marks.get(place)
        said = before.rejected if before is not None and before.rejected else answer  # the model's own words
        if name == "/fix" and holds_a_secret(text, self.turns[place - 1].text):
            self.face.say("that is a secret, and secrets are never learnt", "warn")
            return
        if name == "/fix":
            self.turns[place] = Turn("assistant", text)
            self.marks[place] = Mark(True, said if said != text else "")
        else:
            self.marks[place] = Mark(True) if name == "/good" else Mark(False, answer)
        when = "in the log only (--memory off)" if self.args.memory == "off" else "learnt when you leave"
        told = {"/good": f"noted as right; {when}", "/bad": f"noted as wrong; {when}: it becomes less likely",
                "/fix": f"noted: {text}; {when}"}
        self.face.say(visible(told[name]), "dim")

    def _save(self, name: str) -> None:
        from nimllm.tools.redact import redact

        if not name:
            self.face.say("/save FILE", "warn")
            return
        path = Path(name).expanduser()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                messages = [{"role": turn.role, "content": redact(turn.text)} for turn in self.turns]
                json.dump({"messages": messages}, out, ensure_ascii=False, indent=1)
                out.write("\n")
        except FileExistsError:
            self.face.say(f"{visible(name)} exists; give another name", "warn")
        except OSError as error:
            self.face.say(f"cannot write {visible(name)}: {error.strerror}", "bad")
        else:
            self.face.say(f"saved {len(self.turns)} turns to {visible(name)}")

    # ---- leaving --------------------------------------------------------------------------------------------------

    def leave(self, code: int) -> int:
        """Turns the conversation into an episode and waits until it is remembered."""
        if self.turns:
            from nimllm.agent import records
            from nimllm.agent.memories import Memories
            from nimllm.tools.redact import together

            redact = together([*(turn.text for turn in self.turns), *(mark.rejected for mark in self.marks.values())])
            memories = Memories(self.model.run, self.args.memory, self.args.memory_method, self._remembered)
            record = records.chat_record(self.turns, redact, model=self.model.name, base=self.model.base,
                                         seconds=round(time.monotonic() - self._start, 3))
            memories.add(record, records.chat_episode(record, self.turns, redact, self.marks))
            if memories.pending:
                self.face.say("remembering this conversation (^C leaves it to the background)", "dim")
            try:
                memories.wait()
            except KeyboardInterrupt:
                self.face.say("left: the update ends by itself", "warn")
        return code

    def _remembered(self, record: TaskRecord) -> None:
        from nimllm.agent import records

        self.face.say(records.tell_memory(record.memory), "good" if record.memory.state == "accepted" else "warn")


def holds_a_secret(text: str, about: str = "") -> bool:
    """Whether what the user says is a secret, by its shape or by what it is called; ``about``: the question that it
    answers."""
    from nimllm.alignment.memory import withholding
    from nimllm.tools.redact import find

    if find(text):
        return True
    if about:
        return withholding.mentions_a_secret(f"{about} {text}")
    return withholding.tells_a_secret(text)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(errors.TERMINATED)
