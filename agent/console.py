"""The line at the bottom: reading messages, single keys and edited commands, inline, never on the alternate screen.

With a terminal it is prompt-toolkit; with ``--plain``, TERM=dumb or a pipe it is flat lines without cursor control.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from nimllm.agent.display import Glyphs, visible
from nimllm.agent.face import coloured
from nimllm.errors import CONFIG, NimError

ANSWERS = {"y": "yes", "n": "no", "a": "always", "e": "edit", "q": "quit"}  # typed out, they are one answer
MAX_MESSAGE = 10_000_000  # characters of one message; longer lines are cut, then refused as too long


def private_file(path: Path) -> Path:
    """Makes ``path`` with mode 0600 unless it is there."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise NimError(f"cannot write {path}", error.strerror or str(error), "set XDG_STATE_HOME to a folder you can "
                       "write", CONFIG) from None
    return path


class Console:
    """``commands``: slash command -> its second words, for completion. ``status``: the bar at the bottom.
    ``folder``: where file names are completed. ``history``: a file, made 0600."""

    def __init__(self, history: Path, commands: Mapping[str, Iterable[str]], status: Callable[[], str],
                 folder: Callable[[], Path], plain: bool = False) -> None:
        self.tty = sys.stdin is not None and sys.stdin.isatty()
        self.rich = self.tty and sys.stdout.isatty() and not plain and os.environ.get("TERM", "dumb") != "dumb"
        self._colour = coloured(sys.stdout, plain)
        self._commands = {name: list(words) for name, words in commands.items()}
        self._status, self._folder = status, folder
        self._history = private_file(history)
        self._session: Any = None
        self._typed: list[str] = []  # whole lines that were typed before a question, which they do not answer

    def patched(self) -> AbstractContextManager[None]:
        """While this is held, what other threads print appears above the prompt."""
        if not self.rich:
            return nullcontext()
        from prompt_toolkit.patch_stdout import patch_stdout

        return patch_stdout(raw=True)

    # ---- a message ------------------------------------------------------------------------------------------------

    def read(self, prompt: str = "") -> str:
        """One message. EOFError: ^D on an empty line, or the end of a pipe; KeyboardInterrupt: ^C on an empty line."""
        prompt = prompt or Glyphs.of(sys.stdout.encoding if self.rich else "ascii").prompt
        if not self.rich:
            return self._typed.pop(0) if self._typed else self._read_line(prompt if self.tty else "")
        if self._session is None:
            self._session = self._make_session()
        with self.patched():
            return str(self._session.prompt(prompt, handle_sigint=False))

    def _read_line(self, prompt: str) -> str:
        """A flat line. ^C raises KeyboardInterrupt here even while a task has a handler of its own for it."""
        shown = sys.stdout if sys.stdout.isatty() else sys.stderr
        if prompt:
            shown.write(prompt)
            shown.flush()
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            line = sys.stdin.readline(MAX_MESSAGE)
            if not line:
                raise EOFError
            while line.endswith("\\\n"):  # a backslash joins lines
                line = line[:-2] + "\n" + sys.stdin.readline(MAX_MESSAGE)
        finally:
            signal.signal(signal.SIGINT, handler)
        return line.rstrip("\n")

    def _make_session(self) -> Any:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.filters import Condition
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.output import ColorDepth
        from prompt_toolkit.styles import Style

        from nimllm.agent.recall import Recall

        keys = KeyBindings()

        @keys.add("enter")
        def _enter(event: Any) -> None:
            buffer = event.current_buffer
            if buffer.document.current_line_before_cursor.endswith("\\") and buffer.document.is_cursor_at_the_end:
                buffer.delete_before_cursor()
                buffer.insert_text("\n")
            else:
                buffer.validate_and_handle()

        @keys.add("escape", "enter")
        def _newline(event: Any) -> None:
            event.current_buffer.insert_text("\n")

        @keys.add("c-c")
        def _clear(event: Any) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
            else:
                event.app.exit(exception=KeyboardInterrupt)

        def completing() -> bool:
            text = session.default_buffer.document.text_before_cursor
            return text.startswith("/") or text.rsplit(" ", 1)[-1].startswith("@")

        session: Any = PromptSession(
            history=Recall(self._history), multiline=True, key_bindings=keys,
            completer=self._completer(), complete_while_typing=Condition(completing),
            bottom_toolbar=lambda: " " + self._status(), prompt_continuation="  ", enable_open_in_editor=True,
            reserve_space_for_menu=4, style=Style.from_dict({"bottom-toolbar": "noreverse fg:ansibrightblack"}),
            color_depth=None if self._colour else ColorDepth.DEPTH_1_BIT,
        )
        return session

    def _completer(self) -> Any:
        from prompt_toolkit.completion import Completer, Completion, PathCompleter
        from prompt_toolkit.document import Document

        commands, folder = self._commands, self._folder
        paths = PathCompleter(get_paths=lambda: [str(folder())], expanduser=True)

        class Words(Completer):
            def get_completions(self, document: Any, event: Any) -> Iterator[Any]:
                text = document.text_before_cursor
                if text.startswith("/"):
                    first, blank, rest = text.partition(" ")
                    if not blank:
                        options, start = sorted(commands), first
                    else:
                        options, start = commands.get(first, []), rest
                    for option in options:
                        if option.startswith(start):
                            yield Completion(option, start_position=-len(start))
                    return
                word = text.rsplit(" ", 1)[-1].rsplit("\n", 1)[-1]
                name = word[1:] if word[:1] in "@!" else word
                if word.startswith("@") or event.completion_requested:
                    yield from paths.get_completions(Document(name, len(name)), event)

        return Words()

    def ring(self, text: str) -> None:
        """A bell."""
        if self.tty and sys.stdout.isatty():
            sys.stdout.write("\a")
            sys.stdout.flush()

    def clear(self) -> None:
        """Flat lines stay."""

    # ---- questions ------------------------------------------------------------------------------------------------

    def key(self, question: str, keys: Mapping[str, str], cancel: str) -> str:
        """One of ``keys``' values by a single key; ^C, ^D and a closed terminal give ``cancel``. What was typed before
        the question was asked does not answer it."""
        if self.rich or not self._commands:  # one task with -p: there is no later
            self._forget_typed()
        else:
            self._keep_typed()
        if not self.rich:
            while True:
                try:
                    said = self._read_line(question + " ").strip().lower()
                except (EOFError, KeyboardInterrupt):
                    return cancel
                if said in keys:  # as a whole: it may begin with what was typed before the question
                    return keys[said]
                if said[:1] in keys and any(said == word for word in ANSWERS.values()):
                    return keys[said[:1]]
        from prompt_toolkit.application import Application
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.layout import Layout, Window
        from prompt_toolkit.layout.controls import FormattedTextControl

        bindings = KeyBindings()

        def bind(key: str, name: str) -> None:
            bindings.add(key)(lambda event: event.app.exit(result=name))

        for key, name in keys.items():
            bind(key, name)
        bind("c-c", cancel)
        bind("c-d", cancel)
        window = Window(FormattedTextControl(question, show_cursor=False), dont_extend_height=True, wrap_lines=True)
        app: Application[str] = Application(Layout(window), key_bindings=bindings)
        try:
            return app.run(handle_sigint=False)
        except (EOFError, KeyboardInterrupt):
            return cancel

    def _keep_typed(self) -> None:
        """Lines that are there before a question is asked are messages for later."""
        import select

        while self.tty and select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline(MAX_MESSAGE)
            if not line:
                return
            if line.strip():
                self._typed.append(line.rstrip("\n"))
                sys.stdout.write(f"queued: {visible(self._typed[-1])}\n")
                sys.stdout.flush()

    def _forget_typed(self) -> None:
        if not self.tty:
            return
        import termios

        try:
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
        except (termios.error, OSError, ValueError):
            pass
        if self._session is not None:
            from prompt_toolkit.input.typeahead import clear_typeahead

            clear_typeahead(self._session.app.input)

    def line(self, question: str, default: str = "") -> str | None:
        """A line, beginning with ``default``; None when the user gave up."""
        if not self.rich:
            if default:
                print(f"(now: {visible(default)}; an empty line keeps it)", file=sys.stderr)
            try:
                return self._read_line(question) or default
            except (EOFError, KeyboardInterrupt):
                return None
        from prompt_toolkit import prompt
        from prompt_toolkit.key_binding import KeyBindings

        keys = KeyBindings()
        keys.add("escape", "enter")(lambda event: event.current_buffer.insert_text("\n"))
        keys.add("enter")(lambda event: event.current_buffer.validate_and_handle())
        try:
            return str(prompt(question, default=default, multiline=True, key_bindings=keys, handle_sigint=False))
        except (EOFError, KeyboardInterrupt):
            return None
