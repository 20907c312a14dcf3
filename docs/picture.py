"""The picture of a session in the README: a real one, driven over a pseudo-terminal, as an SVG.

    python docs/picture.py docs/session.svg

The messages below are typed into ``nimllm --agent`` in a folder made for it; y answers its questions. What a terminal
would show (pyte) becomes the picture (rich). The same model gives the same picture but for the ids of tasks, which
are times; speeds are not in it. Needs the ``test`` extra.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import pexpect
import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

MESSAGES = ("how many python files are here?", "make a folder called build", "!git --version | cut -c1-12",
            "which files contain the word TODO?", "/undo")
FILES = {"app/main.py": "import util\n\nprint(util.greet('you'))  # TODO: take a name\n",
         "app/util.py": "def greet(name):\n    return f'hello {name}'\n", "README.md": "# A small project\n",
         "notes.txt": "TODO: write tests\n"}
PATIENCE = 60.0
_SPEED = re.compile(r" · \d+ tok/s")


class Session:
    """``nimllm --agent`` at the other end of a pseudo-terminal of so many columns and rows."""

    def __init__(self, folder: Path, home: Path, columns: int, rows: int, words: list[str]) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.Stream(self.screen)
        env = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home / ".state"), "TERM": "xterm-256color",
               "XDG_CONFIG_HOME": str(home / ".config"), "LANG": "C.UTF-8", "NO_COLOR": ""}
        self.child = pexpect.spawn(sys.executable, ["-m", "nimllm", "--agent", *words], cwd=str(folder), env=env,
                                   encoding="utf-8", dimensions=(rows, columns))

    def until(self, pattern: str) -> None:
        """Reads until the pattern is on the screen, and a moment longer."""
        end = time.monotonic() + PATIENCE
        quiet = 0
        while quiet < 3:
            try:
                self._stream.feed(self.child.read_nonblocking(1 << 16, 0.1))
                quiet = 0
            except pexpect.TIMEOUT:
                quiet = quiet + 1 if re.search(pattern, "\n".join(self.screen.display), re.M) else 0
            if time.monotonic() > end:
                raise SystemExit(f"waited for {pattern!r}; the screen:\n" + "\n".join(self.screen.display))

    def say(self, message: str) -> None:
        """One message; its questions are answered with y."""
        self.child.send(message + "\r")
        while True:
            self.until(r"^  \[y\]es|^› *$(?=\n (?!working))")
            if not any(line.startswith("  [y]es") for line in self.screen.display):
                return
            self.child.send("y")

    def rows(self) -> list[Text]:
        """All rows that were ever shown, the last one being the status bar."""
        lines = [*self.screen.history.top, *(self.screen.buffer[row] for row in range(self.screen.lines))]
        return [_text(line, self.screen.columns) for line in lines]


def _text(line: dict[int, pyte.screens.Char], columns: int) -> Text:
    text = Text()
    for column in range(columns):
        cell = line[column]
        colour = None if cell.fg == "default" else cell.fg.replace("bright", "bright_")
        if colour and re.fullmatch(r"[0-9a-f]{6}", colour):
            colour = "#" + colour
        text.append(cell.data, Style(color="yellow" if colour == "brown" else colour, bold=cell.bold))
    text.rstrip()
    return text


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("out", type=Path, help="the SVG file")
    options.add_argument("--columns", type=int, default=84)
    options.add_argument("--model", metavar="DIR", help="run folder (default: the shipped model)")
    options.add_argument("messages", nargs="*", default=MESSAGES, help="what is typed (default: a tour)")
    args = options.parse_args()
    words = ["--memory", "off", *(["--model", str(Path(args.model).resolve())] if args.model else [])]
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home, "project")
        for name, content in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        session = Session(folder, Path(home), args.columns, 40, words)
        session.until("/help for commands")
        for message in args.messages:
            session.say(message)
        rows = session.rows()
        session.child.close(force=True)
    while rows and not rows[-1].plain.strip():
        rows.pop()
    if rows:
        rows[-1] = Text(_SPEED.sub("", rows[-1].plain), style="bright_black")
    console = Console(record=True, width=args.columns, file=io.StringIO(), force_terminal=True,
                      color_system="truecolor")
    for row in rows:
        console.print(row, no_wrap=True, overflow="crop")
    picture = console.export_svg(title="nimllm --agent", unique_id="nimllm")
    picture = re.sub(r"@font-face {[^}]*}\s*", "", picture)  # rich's come from another host
    args.out.write_text(picture, "utf-8")
    print(f"{args.out}: {len(rows)} rows")


if __name__ == "__main__":
    main()
