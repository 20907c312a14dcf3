"""Secrets drawn at random in every format that redaction claims to find, and episodes that carry them everywhere."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random

from nimllm.agent import records, teaching
from nimllm.agent.results import Step, TaskResult
from nimllm.alignment.episodes import Episode
from nimllm.llm.turns import Turn
from nimllm.tools.redact import together

Hide = Callable[[Iterable[str]], Callable[[str], str]]
ALL = string.ascii_letters + string.digits


def drawn(letters: str, length: int, before: str = "") -> Callable[[Random], str]:
    """Digits and letters are both in it where there are both to draw from."""
    def draw(rng: Random) -> str:
        while True:
            text = "".join(rng.choice(letters) for _ in range(length))
            if all(set(text) & set(kind) for kind in (string.digits, string.ascii_letters) if set(letters) & set(kind)):
                return before + text
    return draw


@dataclass(frozen=True)
class Format:
    """``said``: what a user says; ``typed``: a command; ``printed``: a line of a file. ``{x}`` is the secret."""

    name: str
    draw: Callable[[Random], str]
    said: str
    typed: str
    printed: str


FORMATS = (
    Format("API key", drawn(ALL, 28, "sk-proj-"), "My API key is {x}.", "curl -H 'Authorization: Bearer {x}' h",
           "OPENAI_API_KEY={x}"),
    Format("GitHub token", drawn(ALL, 36, "ghp_"), "Our deploy token is {x}.", "git clone https://{x}@github.com/a/b",
           "token: {x}"),
    Format("AWS key id", drawn(string.ascii_uppercase + string.digits, 16, "AKIA"), "My AWS key is {x}.",
           "aws configure set aws_access_key_id {x}", "aws_access_key_id = {x}"),
    Format("AWS secret", drawn(ALL, 40), "aws_secret_access_key = {x}", "AWS_SECRET_ACCESS_KEY={x} aws s3 ls",
           "aws_secret_access_key = {x}"),
    Format("token in a URL", drawn(ALL, 24), "The hook is https://ex.org/in?token={x}", "wget https://ex.org/?token={x}",
           "hook: https://ex.org/in?access_token={x}"),
    Format("password in a URL", drawn(ALL, 12), "The database is postgres://me:{x}@db/x", "psql postgres://me:{x}@db/x",
           "DATABASE_URL=postgres://me:{x}@db/x"),
    Format("password", drawn(ALL, 12), "The password is {x}.", "docker login --password {x} r", "password: {x}"),
    Format("password that is a word", drawn(string.ascii_lowercase, 12), "My wifi password is {x}.",
           "nmcli c --passphrase={x}", "passphrase = {x}"),
    Format("private key", drawn(ALL, 40), "Here: -----BEGIN PRIVATE KEY-----\n{x}\n-----END PRIVATE KEY-----",
           "echo '-----BEGIN PRIVATE KEY-----\n{x}\n-----END PRIVATE KEY-----' | ssh-add -",
           "-----BEGIN PRIVATE KEY-----\n{x}\n-----END PRIVATE KEY-----"),
    Format("pin", drawn(string.digits, 8), "My pin is {x}.", "PIN={x} ./open", "pin {x}"),
    Format("door code", drawn(string.digits, 8), "The code for the garage door is {x}.", "open {x} # the door code",
           "door code: {x}"),
    Format("card number", drawn(string.digits, 16), "{x} is my card number.", "pay '{x}' # card number",
           "card number {x}"),
)  # fmt: skip


def chat(form: Format, secret: str, hide: Hide = together, id: str = "") -> Episode:
    """A statement; an answer that repeats it and is called right; a /fix with it; one that is called wrong; and a fact
    that may be learnt."""
    said = form.said.format(x=secret)
    turns = [Turn("user", said), Turn("assistant", f"Noted. {said}"),
             Turn("user", "My dog is called Rex."), Turn("assistant", "Noted."),
             Turn("user", f"what did I say? was it {said}"), Turn("assistant", f"You said: {said}"),
             Turn("user", f"what is my {form.name}?"), Turn("assistant", said),
             Turn("user", f"my {form.name}, again?"), Turn("assistant", f"I think {said}")]
    wrong = f"I think {said}"
    marks = {5: records.Mark(True), 7: records.Mark(True, f"It is not {said}"), 9: records.Mark(False, wrong)}
    redact = hide([*(turn.text for turn in turns), *(mark.rejected for mark in marks.values())])
    return named(records.chat_episode(records.chat_record(turns, redact), turns, redact, marks), id)


def task(form: Format, secret: str, id: str = "") -> Episode:
    """A request, a plan, commands, what a file holds, and the answer; and one command that may be learnt."""
    said, typed, printed = (text.format(x=secret) for text in (form.said, form.typed, form.printed))
    result = TaskResult(
        f"count the lines of a.txt. {said}", "files: a.txt key.txt", typed,
        [Step("wc -l a.txt", status=0, decision="accept", output="3 a.txt"),
         Step("cat key.txt", status=0, decision="accept", output=printed),
         Step(typed, status=0, decision="accept", edited_from=f"ls; {typed}"),
         Step(f"echo {secret}", status=0, decision="accept", output=secret)], printed)
    redact = together(records.texts(result))
    return named(records.task_episode(records.task_record(result, redact), result, redact), id)


def corrections(form: Format, secret: str) -> Iterator[Episode]:
    """An edited command, one that was typed where the model failed (or with /fix), a /fix TEXT, a /bad and an order."""
    said, typed, printed = (text.format(x=secret) for text in (form.said, form.typed, form.printed))
    edit = TaskResult("log in", "files: a.txt", "log in", [
        Step(typed, status=0, decision="edit", edited_from=f"ls; {typed}", output=printed)])
    redact = together([said, *records.texts(edit)])
    record = records.task_record(edit, redact)
    yield named(records.task_episode(record, edit, redact), "edit")
    wrong = TaskResult("log in", "files: a.txt", "log in", [Step(f"{typed} x", status=1)], "", "steps")
    record = records.task_record(wrong, redact)
    yield named(teaching.episode(record, wrong, redact, command=typed), "typed")
    yield named(teaching.episode(record, wrong, redact, answer=said), "said")
    yield named(teaching.episode(record, wrong, redact), "bad")
    record = records.order_record(f"log in means `{typed}`", "noted", redact)
    yield named(teaching.order_episode(record, f"log in means `{typed}`", "log in", typed, redact), "order")


def named(episode: Episode, id: str) -> Episode:
    """With an id and a time of its own, which is all that two runs would differ by."""
    return episode.model_copy(update={"id": id or episode.kind, "time": "2026-01-01T00:00:00Z"})
