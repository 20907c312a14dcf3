"""The lines at the bottom of the terminal while a session lives: what is unfinished, what waits, the question, the
input, the status bar. Everything else is text that is printed above them once and never touched again.

One prompt-toolkit application runs in the main thread for the whole session, so that the user can type at any time;
tasks run in a thread of their own and print by :meth:`Screen.write`. Nothing is redrawn by a timer; output is shown at
most ten times a second, each time with a single write.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nimllm.agent.display import Glyphs, visible
from nimllm.agent.face import coloured

if TYPE_CHECKING:
    from prompt_toolkit.application import Application
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.history import History

REPAINT = 0.1  # seconds between two showings of output
QUIET = 0.25  # seconds without a key before one may answer a question: faster than that nobody has read it
SHOWN_WAITING = 3  # messages in the queue that are listed
SPELLING = 0.6  # seconds between two keys of such a word
LEFT_AT_END = 2.0  # seconds that a slow terminal is given for the last words
PAINT_BYTES = 600  # of a repaint of the lines at the bottom, roughly


class Closed(Exception):
    """The terminal is gone, or the session ends: nobody can be asked."""


@dataclass
class _Question:
    """What a task wants to know. ``keys``: it is answered by one of these; none: by a line that begins with
    ``default``."""

    text: str
    keys: Mapping[str, str] = field(default_factory=dict)
    cancel: str | None = None
    default: str = ""
    shown: float = float("inf")
    taken: bool = False  # the user has turned from the draft to the question
    done: threading.Event = field(default_factory=threading.Event)
    said: str | None = None


@dataclass
class Hooks:
    """What the screen tells and asks, always in the main thread: each must return at once."""

    message: Callable[[str], None]
    interrupt: Callable[[], None]  # ^C when there is no draft to clear, or while something runs
    leave: Callable[[], None]  # ^D on an empty line
    recall: Callable[[], str | None]  # ↑ on an empty line: the newest waiting message, taken out of the queue
    empty: Callable[[], None]  # Enter on an empty line
    status: Callable[[int], str]  # the bar at the bottom, for so many columns
    waiting: Callable[[], Sequence[str]]
    busy: Callable[[], bool]


class Screen:
    """``run()`` in the main thread; ``write``, ``key`` and ``line`` from any other; ``exit`` from anywhere."""

    rich = True
    tty = True

    def __init__(self, history: History, completer: Completer, hooks: Hooks, plain: bool = False) -> None:
        from nimllm.agent.terminal import Terminal

        self.hooks = hooks
        self._stdout = sys.stdout
        self.glyphs = Glyphs.of(sys.stdout.encoding)
        self.colour = coloured(sys.stdout, plain)
        self.output = Terminal(sys.stdout, self.colour)
        self._lock = threading.Lock()
        self._above: list[str] = []  # whole lines and the beginning of one, on their way to the screen
        self._tail = ""  # the unfinished line
        self._scheduled = False
        self._painted = 0.0
        self._asking = threading.Lock()  # one question at a time
        self.question: _Question | None = None
        self._draft: Any = None  # the document that waits while a line is asked for
        self._key_at = 0.0
        self.spelling: str | None = None  # what is left of the word that the answering key began
        self._closed = False
        self._buffer, self._app = self._build(history, completer)

    # ---- running --------------------------------------------------------------------------------------------------

    def run(self) -> Any:
        """Until :meth:`exit`; returns its result. EOFError: the terminal was closed."""
        import asyncio

        stand_in = _Above(self)
        streams = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = stand_in  # type: ignore[assignment]

        async def live() -> Any:
            asyncio.get_running_loop().set_exception_handler(self._broken)
            return await self._app.run_async(handle_sigint=False, set_exception_handler=False, pre_run=self._flush_soon)

        try:
            return asyncio.run(live())
        finally:
            sys.stdout, sys.stderr = streams
            self._close()

    def on_start(self, what: Callable[[], None]) -> None:
        """Called in the loop, before the first painting."""
        self._app.pre_run_callables.append(what)

    def _broken(self, loop: Any, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            self._end(exception=error)

    def exit(self, result: Any) -> None:
        """Ends :meth:`run`, once what was written is on the screen."""
        self._call(lambda: self._end(result=result))

    def fail(self, error: BaseException) -> None:
        """Ends :meth:`run` with an exception."""
        self._call(lambda: self._end(exception=error))

    def _end(self, **how: Any) -> None:
        self._closed = True
        self.answer(None)
        if self._app.is_running and not self._app.is_done:
            self._paint(now=True, last=True)
            self._app.exit(**how)

    def _close(self) -> None:
        self._closed = True
        self.answer(None)
        self.output.pipe.close(LEFT_AT_END)

    def _call(self, what: Callable[[], None]) -> None:
        """Runs ``what`` in the main thread's loop, at once when this is it."""
        loop = self._app.loop
        if loop is None:
            self._app.pre_run_callables.append(what)
        else:
            try:
                loop.call_soon_threadsafe(what)
            except RuntimeError:  # the loop has ended
                pass

    # ---- what is printed above ------------------------------------------------------------------------------------

    def write(self, text: str) -> None:
        """Prints text above the input; the part behind the last newline is shown there until its line is whole."""
        with self._lock:
            self._above.append(text)
            if self._scheduled:
                return
            self._scheduled = True
        self._flush_soon()

    def refresh(self) -> None:
        """The status or the queue has changed."""
        with self._lock:
            if self._scheduled:
                return
            self._scheduled = True
        self._flush_soon()

    def ring(self, text: str) -> None:
        """A bell, and a note (OSC 9) where the terminal shows such: ``text`` is visible and short."""
        note = "" if os.environ.get("TERM") == "linux" else f"\x1b]9;{text}\x07"

        def write() -> None:
            self.output.write_raw(note + "\a")
            self.output.flush()

        self._call(write)

    def clear(self) -> None:
        """An empty screen, because the user wanted one."""
        self._call(self._app.renderer.clear)

    def drop(self) -> None:
        """Forgets what is not on the screen yet: after ^C nobody wants to wait for it."""
        with self._lock:
            lines = sum(text.count("\n") for text in self._above)
            if lines > 1:
                self._above = [f"\n[{lines} lines not shown]\n"]

    def _flush_soon(self) -> None:
        loop = self._app.loop
        if loop is None:
            return
        wait = self._painted + REPAINT - time.monotonic()
        try:
            loop.call_soon_threadsafe(lambda: loop.call_later(max(0.0, wait), self._paint))
        except RuntimeError:
            pass

    def _paint(self, now: bool = False, last: bool = False) -> None:
        """Prints the whole lines that have come, and draws the bottom anew: one write. ``now``: however slow the
        terminal is. ``last``: nothing is drawn below any more."""
        app, loop = self._app, self._app.loop
        if not now and loop is not None and (app._running_in_terminal or not self.output.pipe.idle):
            loop.call_later(REPAINT / 2, self._paint)  # an editor has the terminal, or the line is slow
            return
        with self._lock:
            self._scheduled = False
            text = self._tail + "".join(self._above)
            self._above.clear()
            most = 1 << 62 if now else max(self.output.pipe.chunk - PAINT_BYTES, 128)
            cut = text.rfind("\n", 0, most) + 1 or text.find("\n") + 1
            done, rest = text[:cut], text[cut:]
            more = "\n" in rest
            if more:
                self._above.append(rest)
                self._tail = ""
                self._scheduled = True
            else:
                self._tail = rest
        if last and self._tail:
            done, self._tail = done + self._tail + "\n", ""
        self._painted = time.monotonic()
        if done:
            self.output.holding = True
            try:
                app.renderer.erase()
                self.output.write_raw(done.replace("\n", "\r\n"))
                if not last:
                    app._redraw()
            finally:
                self.output.holding = False
                self.output.flush()
        elif not last:
            app._redraw()
        if more and loop is not None:
            loop.call_later(REPAINT, self._paint)

    # ---- questions ------------------------------------------------------------------------------------------------

    def key(self, question: str, keys: Mapping[str, str], cancel: str) -> str:
        """One of ``keys``' values, by a single key. ^C, ^D and the end of the terminal give ``cancel``.

        What is typed before the question was seen goes into the draft: a key answers when the line is empty and no
        other came just before, or after Tab.
        """
        said = self._ask(_Question(question, keys, cancel))
        return cancel if said is None else said

    def line(self, question: str, default: str = "") -> str | None:
        """A line in place of the draft, which comes back afterwards; None when the user gave up."""
        return self._ask(_Question(question, default=default))

    def _ask(self, question: _Question) -> str | None:
        with self._asking:
            if self._closed:
                return None
            self._call(lambda: self._pose(question))
            question.done.wait()
        return question.said

    def _pose(self, question: _Question) -> None:
        if self._closed:
            question.done.set()
            return
        self._paint(now=True)
        self.question = question
        question.shown = time.monotonic()
        if not question.keys:
            from prompt_toolkit.document import Document

            self._draft = self._buffer.document
            self._buffer.set_document(Document(question.default, len(question.default)), bypass_readonly=True)
        self._app._redraw()

    def answer(self, said: str | None) -> None:
        question, self.question = self.question, None
        if question is None:
            return
        if not question.keys:
            self._buffer.set_document(self._draft, bypass_readonly=True)
            self._draft = None
        question.said = said
        question.done.set()
        self._app.invalidate()

    def by_key(self) -> bool:
        """Whether the next key answers the question."""
        question = self.question
        if question is None or not question.keys:
            return False
        if question.taken:
            return True
        pipe = self.output.pipe
        quiet = time.monotonic() - max(question.shown, self._key_at, pipe.idle_since)
        return not self._buffer.text and pipe.idle and quiet >= QUIET

    def spelt(self, typed: str) -> bool:
        """Whether ``typed`` goes on with the word that answered the last question (``es``, then Enter)."""
        rest = self.spelling
        if rest is None or time.monotonic() - self._key_at > SPELLING:
            self.spelling = None
            return False
        if typed == "\n":
            self.spelling = None
            return not rest
        self.spelling = rest[1:] if rest[:1] == typed.lower() else None
        return self.spelling is not None

    # ---- the application ------------------------------------------------------------------------------------------

    def _build(self, history: History, completer: Completer) -> tuple[Buffer, Application[Any]]:
        from prompt_toolkit.application import Application
        from prompt_toolkit.buffer import Buffer
        from prompt_toolkit.filters import Condition, has_focus, is_done
        from prompt_toolkit.formatted_text import ANSI
        from prompt_toolkit.key_binding import merge_key_bindings
        from prompt_toolkit.key_binding.bindings.open_in_editor import load_open_in_editor_bindings
        from prompt_toolkit.layout import (
            BufferControl,
            ConditionalContainer,
            Dimension,
            Float,
            FloatContainer,
            FormattedTextControl,
            HSplit,
            Layout,
            VerticalAlign,
            Window,
        )
        from prompt_toolkit.layout.menus import CompletionsMenu
        from prompt_toolkit.layout.processors import HighlightIncrementalSearchProcessor, HighlightSelectionProcessor
        from prompt_toolkit.styles import Style
        from prompt_toolkit.widgets import SearchToolbar

        from nimllm.agent.keys import bindings

        def completing() -> bool:
            text = buffer.document.text_before_cursor
            return not self.typing_line() and (text.startswith("/") or "@" in text.rsplit("\n", 1)[-1])

        def accepted(buffer: Buffer) -> bool:
            self._message(buffer.text)
            return False

        buffer = Buffer(history=history, completer=completer, multiline=True, accept_handler=accepted,
                        complete_while_typing=Condition(completing), tempfile_suffix=".txt")
        search = SearchToolbar(ignore_case=True)
        control = BufferControl(buffer, search_buffer_control=search.control, preview_search=True,
                                input_processors=[HighlightIncrementalSearchProcessor(), HighlightSelectionProcessor()])

        def prefix(row: int, wrapped: int) -> Any:
            mark = visible(self.question.text) if self.typing_line() and self.question else self.glyphs.prompt
            return [("class:prompt", mark if not row and not wrapped else "  ")]

        def input_height() -> Dimension:
            return Dimension(min=6 if buffer.complete_state is not None else 1)

        def above(text: Callable[[], Any], style: str = "", most: int = 3) -> ConditionalContainer:
            """Rows above the input, there only while ``text()`` has any."""
            window = Window(FormattedTextControl(text), height=lambda: Dimension(max=most), wrap_lines=True,
                            dont_extend_height=True, style=style)
            return ConditionalContainer(window, Condition(lambda: bool(text())) & ~is_done)

        bar = Window(FormattedTextControl(lambda: self.hooks.status(self.output.get_size().columns)), height=1,
                     dont_extend_height=True, style="class:bar")
        rows = HSplit(
            [above(lambda: ANSI(self._tail) if self._tail else "", most=6), above(self._waiting, "class:waiting", 8),
             above(self._asked, "class:question", 6),
             Window(control, height=input_height, get_line_prefix=prefix, wrap_lines=True, dont_extend_height=True),
             search, ConditionalContainer(bar, ~is_done)], align=VerticalAlign.TOP)
        menu = Float(CompletionsMenu(max_height=8, scroll_offset=1, extra_filter=has_focus(buffer)), xcursor=True,
                     ycursor=True, transparent=True)
        app: Application[Any] = Application(
            Layout(FloatContainer(rows, [menu]), focused_element=control),
            key_bindings=merge_key_bindings([load_open_in_editor_bindings(), bindings(self, buffer)]),
            style=Style.from_dict({"bar": "fg:ansibrightblack", "waiting": "fg:ansibrightblack", "prompt": "bold",
                                   "question": "bold"} if self.colour else {}),
            output=self.output, erase_when_done=True, terminal_size_polling_interval=None,
        )
        app.ttimeoutlen = 0.1  # Esc alone: a tenth of a second later
        app.key_processor.after_key_press += lambda _: self._note_key()
        return buffer, app

    def _note_key(self) -> None:
        self._key_at = time.monotonic()

    def typing_line(self) -> bool:
        return self.question is not None and not self.question.keys

    def _waiting(self) -> str:
        waiting = list(self.hooks.waiting())
        rows = ["  queued: " + visible(text.split("\n", 1)[0]) for text in waiting[:SHOWN_WAITING]]
        if len(waiting) > SHOWN_WAITING:
            rows.append(f"  and {len(waiting) - SHOWN_WAITING} more")
        return "\n".join(rows)

    def _asked(self) -> str:
        question = self.question
        if question is None or not question.keys:
            return ""
        draft = self._buffer.text and not question.taken
        return "  Tab, then " + question.text.strip() if draft else question.text

    def _message(self, text: str) -> None:
        if self.typing_line():
            self.answer(text)
        elif text.strip():
            self.hooks.message(text)
        else:
            self.hooks.empty()


class _Above(io.TextIOBase):
    """Stands in for standard output and error while the screen lives."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def write(self, text: str) -> int:
        self._screen.write(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._screen.output.fd

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._screen._stdout.encoding
