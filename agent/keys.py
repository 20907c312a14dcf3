"""What the keys of a session do: the line, the question, the draft, stopping and leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.search import stop_search

from nimllm.agent.console import ANSWERS

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.key_binding import KeyPressEvent

    from nimllm.agent.screen import Screen


def bindings(screen: Screen, buffer: Buffer) -> KeyBindings:
    """All keys that the screen gives a meaning of its own."""
    keys = KeyBindings()
    typing = has_focus(buffer)
    by_key = Condition(screen.by_key)
    line = Condition(screen.typing_line)

    @keys.add("enter", filter=typing & ~by_key)
    def _enter(event: KeyPressEvent) -> None:
        if screen.spelt("\n"):
            return
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None  # the first Enter takes the completion
        elif buffer.document.current_line_before_cursor.endswith("\\") and buffer.document.is_cursor_at_the_end:
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        elif screen.typing_line():
            screen.answer(buffer.text)
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter", filter=typing & ~by_key)
    def _newline(event: KeyPressEvent) -> None:
        buffer.insert_text("\n")

    @keys.add("c-c", eager=True)
    def _interrupt(event: KeyPressEvent) -> None:
        question = screen.question
        if not event.app.layout.has_focus(buffer):  # a search
            stop_search()
        elif question is not None:
            screen.answer(question.cancel)
        elif buffer.text and not screen.hooks.busy():
            buffer.append_to_history()  # ^C clears the line; ↑ brings it back
            buffer.reset()
        else:
            screen.hooks.interrupt()

    @keys.add("c-d", filter=typing & Condition(lambda: not buffer.text))
    def _end(event: KeyPressEvent) -> None:
        if screen.question is not None:
            screen.answer(screen.question.cancel)
        else:
            screen.hooks.leave()

    @keys.add("escape", filter=line)
    def _give_up(event: KeyPressEvent) -> None:
        screen.answer(None)

    @keys.add("tab", filter=Condition(lambda: screen.question is not None and bool(screen.question.keys)), eager=True)
    def _turn(event: KeyPressEvent) -> None:
        if screen.question is not None:
            screen.question.taken = not screen.question.taken

    keys.add("enter", filter=by_key)(lambda event: None)

    @keys.add(Keys.Any, filter=typing & Condition(lambda: screen.spelling is not None))
    def _spell(event: KeyPressEvent) -> None:
        if not screen.spelt(event.data) and event.data.isprintable():
            buffer.insert_text(event.data)

    @keys.add(Keys.Any, filter=by_key)
    def _reply(event: KeyPressEvent) -> None:
        question = screen.question
        assert question is not None
        said = question.keys.get(event.data.lower())
        if said is not None:
            screen.spelling = ANSWERS.get(event.data.lower(), " ")[1:]
            screen.answer(said)
        elif not question.taken and event.data.isprintable():
            buffer.insert_text(event.data)  # not an answer: the beginning of a message

    @keys.add("up", filter=typing & ~by_key & Condition(lambda: not buffer.text and bool(screen.hooks.waiting())))
    def _recall(event: KeyPressEvent) -> None:
        text = screen.hooks.recall()
        if text:
            buffer.text = text
            buffer.cursor_position = len(text)

    @keys.add("c-z")
    def _suspend(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    return keys
