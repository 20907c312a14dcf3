"""The context window: what is shortened, in which order, and what never fits."""

import pytest

from nimllm.agent.window import LEFT_OUT, Overflow, check_request, fit_chat, fit_task
from nimllm.errors import USAGE, NimError
from nimllm.llm.tokenizer import train_char
from nimllm.llm.turns import Turn, render

TOKENIZER = train_char(["".join(map(chr, range(32, 127))) + "\n"])


def test_a_request_of_100_kb_is_refused_with_its_size() -> None:
    with pytest.raises(NimError) as caught:
        check_request("count the words " * 6250, TOKENIZER, 512)
    assert caught.value.code == USAGE
    assert "100,000 characters" in caught.value.message() and "256" in caught.value.message()


@pytest.mark.parametrize("text", ["", "  \n", "a\0b", "caf\udce9"])
def test_a_request_that_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(NimError) as caught:
        check_request(text, TOKENIZER, 512)
    assert caught.value.code == USAGE


def test_a_request_that_fills_exactly_its_share_is_taken() -> None:
    check_request("x" * 256, TOKENIZER, 512)
    with pytest.raises(NimError):
        check_request("x" * 257, TOKENIZER, 512)


def _task(*outputs: str) -> list[Turn]:
    turns = [Turn("system", "files: a"), Turn("user", "do it"), Turn("plan", "do")]
    for output in outputs:
        turns += [Turn("bash", "ls"), Turn("output", output, True)]
    return turns


def test_what_fits_is_left_alone() -> None:
    turns = _task("one", "two")
    assert fit_task(turns, TOKENIZER, 512, 64) == render(turns, TOKENIZER)


def test_the_oldest_output_is_shortened_first() -> None:
    turns = _task("A" * 300, "B" * 100)
    text = TOKENIZER.decode(fit_task(turns, TOKENIZER, 400, 64).ids)
    assert "B" * 100 in text and LEFT_OUT in text and "A" * 120 in text and "A" * 121 not in text


def test_the_window_holds_however_many_outputs_there_are() -> None:
    turns = _task(*("C" * 400 for _ in range(6)))
    rendered = fit_task(turns, TOKENIZER, 400, 64)
    assert len(rendered.ids) + 64 <= 400
    assert len(rendered.ids) == len(rendered.learn)


def test_too_much_without_outputs_overflows() -> None:
    with pytest.raises(Overflow):
        fit_task([Turn("system", "x" * 300), Turn("user", "y" * 300)], TOKENIZER, 512, 64)


def test_a_conversation_loses_its_oldest_exchanges() -> None:
    turns = [Turn("user", "a" * 100), Turn("assistant", "b" * 100), Turn("user", "c" * 100)]
    rendered, dropped = fit_chat(turns, TOKENIZER, 200, 50)
    assert dropped == 2 and TOKENIZER.decode(rendered.ids) == "<|user|>" + "c" * 100 + "<|end|>"
    assert fit_chat(turns, TOKENIZER, 512, 50)[1] == 0
    with pytest.raises(Overflow):
        fit_chat([Turn("user", "d" * 180)], TOKENIZER, 200, 50)
