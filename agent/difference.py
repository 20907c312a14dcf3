"""What the agent changed in the files, as a unified diff in git's form: ``git apply -R`` takes it back elsewhere."""

from __future__ import annotations

import difflib
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence

from nimllm import errors
from nimllm.agent import equipment, undo
from nimllm.agent.display import size, visible
from nimllm.agent.face import STYLES, coloured
from nimllm.tools.snapshots import Piece, Snapshots
from nimllm.tools.trees import Entry

CONTEXT = 3
MAX_LINES = 20_000  # compared line by line on each side, after what is equal at both ends; more takes minutes
_MODES = {"f": "100", "l": "120"}
_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\", "\r": "\\r"}
NO_NEWLINE = "\\ No newline at end of file"


def difference(shots: Snapshots, steps: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Lines (without their ends) of the diff of what ``steps`` changed, by path. Text is as in the files, not made
    safe for a terminal."""
    for piece in shots.pieces(steps):
        yield from _piece(piece)


def _piece(piece: Piece) -> Iterator[str]:
    was, became = piece.was, piece.became
    folders = [entry is not None and entry.kind in "do" for entry in (was, became)]
    old_name, new_name = _quoted(f"a/{piece.path}"), _quoted(f"b/{piece.path}")
    if was is not None and folders[0] and became is not None and folders[1]:
        yield f"# rights of {_quoted(piece.path)}: {was.mode:03o} -> {became.mode:03o}"
        return
    for entry, word in ((was, "removed"), (became, "made")):
        if entry is not None and entry.kind in "do":
            yield f"# {'folder' if entry.kind == 'd' else 'special file'} {_quoted(piece.path)} {word}"
    first = None if folders[0] else was
    second = None if folders[1] else became
    if first is None and second is None:
        return
    if first is not None and second is not None and first.kind != second.kind:  # git has a link go and a file come
        yield from _entry(old_name, new_name, first, None, piece.old, None)
        yield from _entry(old_name, new_name, None, second, None, piece.new)
        return
    yield from _entry(old_name, new_name, first, second, piece.old, piece.new)


def _entry(old_name: str, new_name: str, was: Entry | None, became: Entry | None, old: bytes | None, new: bytes | None
           ) -> Iterator[str]:
    yield f"diff --git {old_name} {new_name}"
    if was is None and became is not None:
        yield f"new file mode {_git_mode(became)}"
    elif became is None and was is not None:
        yield f"deleted file mode {_git_mode(was)}"
    elif was is not None and became is not None and _git_mode(was) != _git_mode(became):
        yield f"old mode {_git_mode(was)}"
        yield f"new mode {_git_mode(became)}"
    if was is not None and became is not None and was.ref and was.ref == became.ref:
        if _git_mode(was) == _git_mode(became):
            yield f"# rights of {new_name[2:]}: {was.mode:03o} -> {became.mode:03o}"
        return
    left = "/dev/null" if was is None else old_name
    right = "/dev/null" if became is None else new_name
    before, after = _text(was, old), _text(became, new)
    if before is None or after is None:
        sizes = [size(entry.size) if entry is not None else "nothing" for entry in (was, became)]
        held = [entry is None or data is not None for entry, data in ((was, old), (became, new))]
        yield (f"Binary files {left} and {right} differ ({sizes[0]} -> {sizes[1]})" if all(held) else
               f"# {new_name[2:]}: {sizes[0]} -> {sizes[1]}; its contents are not kept")
        return
    hunks = list(_hunks(before, after))
    if hunks:
        yield f"--- {left}" + ("\t" if " " in left else "")
        yield f"+++ {right}" + ("\t" if " " in right else "")
        yield from hunks


def _git_mode(entry: Entry) -> str:
    return "120000" if entry.kind == "l" else "100755" if entry.mode & 0o100 else "100644"


def _text(entry: Entry | None, data: bytes | None) -> str | None:
    """The file as text; None when it is none, or its contents are not there."""
    if entry is None:
        return ""
    if data is None or (entry.kind == "f" and b"\0" in data):
        return None
    try:
        return data.decode("utf-8", "surrogateescape" if entry.kind == "l" else "strict")
    except UnicodeDecodeError:
        return None


def _lines(text: str) -> list[str]:
    """Only a newline ends a line; the last may have none, and then carries git's remark."""
    lines = text.split("\n")
    last = lines.pop()
    return [*lines, f"{last}\n{NO_NEWLINE}"] if last else lines


def _hunks(old: str, new: str) -> Iterator[str]:
    one, two = _lines(old), _lines(new)
    begin = 0
    while begin < min(len(one), len(two)) and one[begin] == two[begin]:
        begin += 1
    end = 0
    while end < min(len(one), len(two)) - begin and one[-1 - end] == two[-1 - end]:
        end += 1
    if max(len(one), len(two)) - begin - end > MAX_LINES:
        yield f"# {len(one)} and {len(two)} lines: too many to compare"
        return
    keep = CONTEXT  # of the equal lines at both ends, what hunks show
    start = max(0, begin - keep)
    shown_one = one[start : len(one) - max(0, end - keep)]
    shown_two = two[start : len(two) - max(0, end - keep)]
    matcher = difflib.SequenceMatcher(None, shown_one, shown_two, autojunk=len(shown_one) > 2000)
    for group in matcher.get_grouped_opcodes(CONTEXT):
        (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
        yield f"@@ -{_range(start + i1, start + i2)} +{_range(start + j1, start + j2)} @@"
        for tag, a1, a2, b1, b2 in group:
            if tag == "equal":
                yield from _marked(" ", shown_one[a1:a2])
                continue
            yield from _marked("-", shown_one[a1:a2])
            yield from _marked("+", shown_two[b1:b2])


def _range(begin: int, end: int) -> str:
    count = end - begin
    return f"{begin + 1}" if count == 1 else f"{begin + 1 if count else begin},{count}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        text, _, remark = line.partition("\n")
        yield mark + text
        if remark:
            yield remark


def _quoted(name: str) -> str:
    """As git quotes names with unusual characters: in double quotes, bytes in octal."""
    if all(" " <= letter <= "~" and letter not in '"\\' for letter in name):
        return name
    shown = ""
    for letter in name:
        if letter in _ESCAPES:
            shown += _ESCAPES[letter]
        elif " " <= letter <= "~":
            shown += letter
        else:
            shown += "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8", "surrogateescape"))
    return f'"{shown}"'


def style(line: str) -> str:
    """The name of the style a line of the diff is shown in."""
    if line.startswith(("+++ ", "--- ")):
        return "bold"
    return {"+": "good", "-": "bad", "@": "command", "#": "dim", "d": "bold"}.get(line[:1], "")


def painted(line: str) -> str:
    """One line for a terminal: nothing in it acts, and its colour says what it is."""
    name, text = style(line), visible(line)
    return f"\x1b[{STYLES[name]}m{text}\x1b[0m" if name else text


def main(args: Namespace) -> int:
    """``nimllm diff [TASK]``: coloured and made safe on a terminal, as it is elsewhere (for ``git apply``)."""
    record = undo.find(equipment.workspace_of(args), args.task or "")
    shots = undo.open_snapshots(record.workspace)
    terminal, colour = sys.stdout.isatty(), coloured(sys.stdout)
    try:
        for line in difference(shots, undo.steps(record)):
            if terminal:
                print(painted(line) if colour else visible(line))
            else:
                sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")
    finally:
        shots.close()
    return errors.OK
