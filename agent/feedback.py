"""/good, /bad and /fix in the session, a command typed where the model failed, and orders about the future."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimllm.agent.display import one_line, visible
from nimllm.agent.hooks import Hooks
from nimllm.agent.results import Step, TaskResult

if TYPE_CHECKING:
    from nimllm.agent.records import TaskRecord
    from nimllm.agent.session import Session
    from nimllm.alignment.memory.conventions import Order

FIX = "/fix COMMAND, or /fix TEXT: what should have been run, or said, the last time"


def tell_learning(session: Session, otherwise: str = "") -> None:
    """What will be learnt; with --memory off only that it is in the log."""
    if session.log.learning:
        session.face.say(f"learning: {visible(session.log.learning)}", "dim")
    elif session.args.memory == "off":
        session.face.say("in the log only; nothing is learnt (--memory off)", "dim")
    elif otherwise:
        session.face.say(otherwise, "dim")


def _last(session: Session) -> tuple[TaskResult, TaskRecord] | None:
    """The last task, if there is one and its update is done; says so otherwise."""
    if session.last is None:
        session.face.say("no task yet")
        return None
    if session.last[1].memory.state == "queued":
        session.face.say("its update is still running; try again when it is done", "warn")
        return None
    return session.last


def good(session: Session) -> None:
    """The last task was right: what waits is approved, else it is learnt."""
    last = _last(session)
    if last is None:
        return
    result, record = last
    if record.memory.state == "accepted":
        session.face.say(f"it is already remembered as {record.memory.id}")
    elif record.memory.state == "pending" and record.memory.id:
        from nimllm.agent import records, slash

        slash.decide(session, "approve", record.memory.id)
        record.memory.state, record.outcome, record.by = "accepted", "success", "user"
        record.detail = "the user said so"
        records.write(record)
    elif record.kind != "task":
        session.face.say("noted")
    else:
        session.log.said(result, record, "success")
        session.face.say("noted" + (", remembering it" if session.log.pending else ""))
        tell_learning(session)


def bad(session: Session, why: str) -> None:
    """The last task was wrong: what was learnt of it is taken back, and the one thing it did becomes less likely."""
    from nimllm.agent import teaching

    last = _last(session)
    if last is None:
        return
    result, record = last
    _take_back(session, record)
    session.log.said(result, record, "failure", why)
    session.face.say("noted as wrong")
    if record.kind != "task":
        return
    session.failed = last
    if teaching.blamed(result):
        session.log.correct(result, record)
        tell_learning(session)
    else:
        session.face.say("which of its commands was wrong is not known; /fix COMMAND says what should have run", "dim")


def fix(session: Session, text: str) -> None:
    """What the last task should have run (a command) or said."""
    from nimllm.agent import teaching
    from nimllm.tools.redact import find

    if not text:
        session.face.say(FIX, "warn")
        return
    last = _last(session)
    if last is None:
        return
    result, record = last
    if record.kind != "task" or not result.request:
        session.face.say("the last thing was no task; ask again first", "warn")
        return
    marked = teaching.command_of(text)
    command = marked or (text if result.steps or teaching.is_command(text) else "")
    if find(text):
        session.face.say("it holds a secret, and secrets are never learnt", "warn")
        return
    _take_back(session, record)
    record.outcome, record.by = "failure", "user"
    record.detail = f"the user: it should have been {'run' if command else 'said'}: {command or text}"
    session.log.correct(result, record, command, "" if command else text)
    session.failed = None
    session.face.say("noted", "good")
    tell_learning(session)
    if command:
        session.face.say(f"nothing ran; !{visible(one_line(command, 60))} runs it", "dim")


def _take_back(session: Session, record: TaskRecord) -> None:
    """What was learnt of a task that was wrong leaves the weights, or the inbox."""
    from nimllm.agent import slash

    if record.memory.id and record.memory.state in ("accepted", "pending"):
        slash.decide(session, "revert" if record.memory.state == "accepted" else "reject", record.memory.id)
        record.memory.state = "rejected"


def typed_instead(session: Session, step: Step, record: TaskRecord) -> bool:
    """The user typed a command right after a request the model failed at: if it worked, it is the command for that.
    Whether it was taken for one."""
    from nimllm.agent import teaching
    from nimllm.tools.redact import find

    if session.failed is None or step.ended != "done" or step.status != 0:
        return False
    result, _ = session.failed
    request = one_line(result.request, 50)
    if teaching.only_looks(step.command):
        session.face.say(f"(a look; /fix COMMAND says what “{visible(request)}” means)", "dim")
        return False
    session.failed = None
    if find(step.command):
        session.face.say(f"a command with a secret is not learnt, for “{visible(request)}” neither", "dim")
        return False
    record.detail = f"typed for: {result.request}"
    session.log.correct(result, record, step.command)
    tell_learning(session)
    if session.log.learning:
        session.face.say("/bad takes that back", "dim")
    session.last = (result, record)
    return True


def read_order(text: str) -> Order | None:
    """An order about the future, in what the user typed."""
    from nimllm.alignment.memory import conventions

    return conventions.order(text)


def noted(text: str, order: Order, hooks: Hooks, memory: str) -> TaskResult:
    """Says that an order is noted, or why it is not, as a task's answer; nothing runs."""
    from nimllm.tools.redact import find

    request, command = one_line(order.request, 60), one_line(order.command, 100)
    if find(text):
        told = f"not noted: “{request}” would be learnt with a secret in it, and secrets are never learnt"
    elif memory == "off":
        told = f"noted in the log only (--memory off): “{request}” means {command}"
    else:
        told = f"noted: “{request}” means {command}"
    hooks.answer_text(told)
    hooks.answer(told)
    return TaskResult(text, "", answer=told)
