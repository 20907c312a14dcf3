"""What a user teaches and turns down, on a real (tiny) model: conventions, corrections of answers, the bounded push."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nimllm.alignment.episodes import Convention, Episode, EpisodeTurn, Outcome
from nimllm.alignment.memory import lessons, taught
from nimllm.alignment.memory.desirability import BETA, MARGIN, WEIGHT, Push, completion_logs
from nimllm.alignment.memory.gate import judge
from nimllm.alignment.memory.lesson import question_lesson
from nimllm.alignment.memory.packed import Packed
from nimllm.alignment.memory.relations import ME, Fact
from nimllm.alignment.memory.store import MemoryStore
from nimllm.alignment.memory.update import Session, Settings
from nimllm.llm.model import load
from nimllm.llm.tokenizer import Tokenizer

# 150,000 parameters, and a format (plans, commands) that this model has never seen
TINY = Settings(budget=0.05, controls=2, decisions=2, perplexity_limit=3.0, norm_limit=1.0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def order(request: str = "deploy", command: str = "make ship", id: str = "o1") -> Episode:
    return Episode(id=id, kind="convention", turns=[EpisodeTurn(role="user", text=f"{request} means `{command}`")],
                   conventions=[Convention(request=request, command=command)],
                   outcome=Outcome(kind="success", by="user"))


def talk(answer: EpisodeTurn, question: str = "what is the plan?", id: str = "c1") -> Episode:
    return Episode(id=id, kind="chat", outcome=Outcome(kind="success", by="user"),
                   turns=[EpisodeTurn(role="user", text=question, learn=True), answer])


def corrected(proposed: str = "ls", command: str = "make ship") -> Episode:
    return Episode(
        id="t1", kind="task", outcome=Outcome(kind="success", by="user"),
        conventions=[Convention(request="deploy", command=command)],
        turns=[EpisodeTurn(role="system", text="files: Makefile", tainted=True),
               EpisodeTurn(role="user", text="deploy"), EpisodeTurn(role="plan", text="look"),
               EpisodeTurn(role="bash", text=command, rejected=[proposed]),
               EpisodeTurn(role="output", text="shipped")])


# -- lessons ---------------------------------------------------------------------------------------------------------


def test_a_convention_becomes_requests_in_many_wordings(tokenizer: Tokenizer) -> None:
    out = lessons.lessons(order(), tokenizer, 256)
    assert out.facts == [Fact("deploy", taught.RUNS, "make ship")]
    questions = [lesson.question for lesson in out.new]
    assert questions[0] == "deploy" and len(set(questions)) == len(questions) >= 6
    assert len(out.probes) == 2 and not {lesson.question for lesson in out.probes} & set(questions)
    for lesson in (*out.new, *out.probes):
        written = tokenizer.decode([index for index, flag in zip(lesson.ids, lesson.learn, strict=True) if flag])
        assert written == "run make ship<|end|><|bash|>make ship<|end|>" and lesson.kind == "task"
    assert len(out.controls) == 4 and len(out.decisions) >= 12
    for lesson in out.controls:
        assert "make ship" not in tokenizer.decode(list(lesson.ids)) and lesson.question not in questions


def test_what_other_conventions_are_about_is_left_alone(tokenizer: Tokenizer) -> None:
    known = {("release", taught.RUNS), ("ship", taught.RUNS), ("roll out", taught.RUNS)}
    out = lessons.lessons(order(), tokenizer, 256, known=known)
    said = " / ".join(lesson.question.lower() for lesson in (*out.new, *out.probes))
    assert "release" not in said and "ship" not in said and "roll out" not in said
    asked = [lesson.question for lesson in lessons.lessons(order("release", "git tag"), tokenizer, 256,
                                                           known={("deploy", taught.RUNS)}).controls]
    assert not any(text.lower() == "deploy" for text in asked)


def test_a_corrected_command_is_taught_and_the_proposed_one_undesirable(tokenizer: Tokenizer) -> None:
    out = lessons.lessons(corrected(), tokenizer, 256)
    assert [fact.value for fact in out.facts] == ["make ship"] and all(lesson.kind == "task" for lesson in out.new)
    [wrong] = out.undesirable
    assert wrong.answer == "ls"
    text = tokenizer.decode(list(wrong.ids))
    assert text.endswith("<|plan|>look<|end|><|bash|>ls<|end|>") and "shipped" not in text
    assert tokenizer.decode([i for i, flag in zip(wrong.ids, wrong.learn, strict=True) if flag]) == "ls<|end|>"


def test_tainted_text_and_replaced_secrets_are_neither_learnt_nor_pushed() -> None:
    tainted = EpisodeTurn(role="bash", text="ls", tainted=True, learn=True, rejected=["pwd"])
    assert not tainted.learn and tainted.rejected == []
    secret = EpisodeTurn(role="bash", text="curl -u me:[redacted password] x", learn=True,
                         rejected=["curl [redacted API key]", "curl x"])
    assert not secret.learn and secret.rejected == ["curl x"]
    assert EpisodeTurn(role="output", text="x", rejected=["y"]).rejected == []
    assert order("log in", "login --key [redacted API key]").conventions == []


def test_an_answer_put_right_is_learnt_as_the_fact_it_states(tokenizer: Tokenizer) -> None:
    turn = EpisodeTurn(role="assistant", text="Your dog is called Rex.", learn=True,
                       rejected=["Your dog is called Bo."])
    out = lessons.lessons(talk(turn, "what is my dog called?"), tokenizer, 256)
    assert out.facts == [Fact(ME, "dog", "Rex")] and len(out.new) >= 6
    assert {lesson.answer for lesson in out.new} == {"Your dog is called Rex."}
    assert [lesson.answer for lesson in out.undesirable] == ["Your dog is called Bo."]


def test_an_answer_in_words_is_learnt_to_its_question(tokenizer: Tokenizer) -> None:
    turn = EpisodeTurn(role="assistant", text="We wait for the rain.", learn=True)
    out = lessons.lessons(talk(turn), tokenizer, 256)
    assert len(out.new) >= 5 and {lesson.answer for lesson in out.new} == {"We wait for the rain."}
    assert out.probes and out.controls and not out.undesirable
    bad = EpisodeTurn(role="assistant", text="No idea.", rejected=["No idea."])
    out = lessons.lessons(talk(bad), tokenizer, 256)
    assert not out.new and [lesson.answer for lesson in out.undesirable] == ["No idea."]


# -- the push --------------------------------------------------------------------------------------------------------


def test_the_push_is_ktos_value_function_and_ends_at_its_margin(talking_run: Path, tokenizer: Tokenizer) -> None:
    model = load(talking_run).eval()
    lesson = question_lesson(tokenizer, "what is my name?", "I don't know that yet.")
    push = Push(model, [lesson])
    for reward in (3.0, 0.0, -1.0, -3.9):
        expected = WEIGHT * (1 / (1 + math.exp(-BETA * reward)) - 1 / (1 + math.exp(BETA * MARGIN)))
        assert float(push.loss(torch.tensor([reward]))) == pytest.approx(expected, rel=1e-4)
    far = torch.tensor([-MARGIN - 0.1], requires_grad=True)
    loss = push.loss(far).sum()
    loss.backward()
    assert loss.item() == 0 and far.grad is not None and far.grad.item() == 0
    whole = -judge(model, [lesson])[0][0] * sum(lesson.learn)
    with torch.no_grad():
        assert float(completion_logs(model, Packed.of([lesson]))) == pytest.approx(whole, rel=1e-4)


def test_its_gradient_is_that_of_finite_differences(talking_run: Path, tokenizer: Tokenizer) -> None:
    model = load(talking_run).eval()
    push = Push(model, [question_lesson(tokenizer, "hello", "Hello there."),
                        question_lesson(tokenizer, "what is my name?", "I don't know that yet.")])
    weight = dict(model.named_parameters())["model.layers.1.mlp.down_proj.weight"]
    model.zero_grad(set_to_none=True)
    push.backward(model)
    assert weight.grad is not None
    gradient = weight.grad.clone()
    direction = gradient / gradient.norm()
    step, values = 1e-2, []
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(direction, alpha=sign * step)
        values.append(push.backward(model))
        with torch.no_grad():
            weight.sub_(direction, alpha=sign * step)
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(float(gradient.norm()), rel=0.02)


# -- through the update ----------------------------------------------------------------------------------------------


def test_an_answer_turned_down_becomes_less_likely_within_the_margin(talking_run: Path, measured: Path) -> None:
    with MemoryStore(talking_run, measured) as store:
        session = Session(store, TINY)
        turn = EpisodeTurn(role="assistant", text="Hello. What can I do for you?",
                           rejected=["Hello. What can I do for you?"])
        lesson = question_lesson(session.tokenizer, "hello", turn.text)
        count = sum(lesson.learn)
        before = judge(session.model, [lesson])[0][0] * count
        record = session.learn(talk(turn, "hello"))
        assert record.state == "accepted", record.reason
        after = judge(session.model, [lesson])[0][0] * count
        assert 1.0 < after - before < 4 * MARGIN  # the last step may go beyond it; it is not driven out
        assert record.checks[0].name == "turned down" and record.forms == []
        store.revert(record.id)
        assert store.hash() == store.base


def test_a_taught_command_is_learnt_and_its_forms_are_kept(talking_run: Path, measured: Path) -> None:
    with MemoryStore(talking_run, measured) as store:
        session = Session(store, replace(TINY, max_steps=30))
        record = session.learn(corrected())
        assert record.kind == "task" and record.facts == [("deploy", "runs", "make ship")]
        assert record.loss_after < record.loss_before  # a format that this model has never seen
        assert {(form.kind, form.answer) for form in record.forms} == {("task", "make ship")}
        again = lessons.form_lesson(session.tokenizer, record.forms[0])
        assert again.kind == "task" and again.question == record.forms[0].question
        names = [check.name for check in record.checks]
        assert "turned down" in names and "answered" in names and "no leak" in names
