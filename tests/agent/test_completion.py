"""What Tab, / and @ offer, and what the history keeps."""

import os
import re
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from terminal import Common

from nimllm.agent.completion import Words, named, score
from nimllm.agent.recall import KEPT, MOST_BYTES, Recall


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("src/main.py", "src/domain/model.py", "docs/my notes.txt", ".hidden/secret.py", ".env", "readme.md",
                 "node_modules/x/main.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def _offered(tree: Path, text: str, asked: bool = False) -> list[str]:
    words = Words({"/mode": ("ask", "auto"), "/model": (), "/quit": ()}, lambda: tree)
    found = words.get_completions(Document(text, len(text)), CompleteEvent(completion_requested=asked))
    return [text[: len(text) + one.start_position] + one.text for one in found]


def test_commands_and_their_words(tree: Path) -> None:
    assert _offered(tree, "/mo") == ["/mode", "/model"]
    assert _offered(tree, "/mode a") == ["/mode ask", "/mode auto"]
    assert _offered(tree, "say /mo") == []


def test_files_by_some_of_their_letters(tree: Path) -> None:
    assert _offered(tree, "show @main")[0] == "show @src/main.py"
    assert "show @src/domain/model.py" in _offered(tree, "show @sdm")
    assert _offered(tree, "show @notes") == ['show @"docs/my notes.txt"']
    assert _offered(tree, "show @\"my no") == ['show @"docs/my notes.txt"']
    assert not [one for one in _offered(tree, "show @secret")] and not _offered(tree, "a@main")
    assert _offered(tree, "show @.env") == ["show @.env"]  # hidden ones when a dot is typed
    assert not any("node_modules" in one for one in _offered(tree, "show @main"))


def test_tab_completes_paths_anywhere(tree: Path) -> None:
    assert _offered(tree, "!cat src/ma", asked=True) == ["!cat src/main.py"]
    assert _offered(tree, "list sr", asked=True) == ["list src/"] and _offered(tree, "list sr") == []
    assert _offered(tree, f"cat {tree}/read", asked=True) == [f"cat {tree}/readme.md"]


def test_the_files_own_name_counts_most() -> None:
    ranked = sorted(("x/y/main.py", "main/z.py", "domain.txt"), key=lambda path: -(score("main", path) or 0))
    assert ranked[0] == "x/y/main.py" and score("xyz", "main.py") is None


def test_at_is_taken_off_names_of_files(tree: Path) -> None:
    assert named('show @readme.md and @"docs/my notes.txt" to me@example.com @nobody', tree) == \
        'show readme.md and "docs/my notes.txt" to me@example.com @nobody'


def test_the_history_keeps_no_secret(tmp_path: Path) -> None:
    recall = Recall(tmp_path / "history")
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    for line in (f"!curl -H 'Authorization: Bearer {token}' x", "two\nlines", "!!quiet", " blank first", "last"):
        recall.append_string(line)
    text = (tmp_path / "history").read_text()
    assert token not in text and "quiet" not in text and "blank" not in text
    assert os.stat(tmp_path / "history").st_mode & 0o777 == 0o600
    again = list(Recall(tmp_path / "history").load_history_strings())
    assert again[:2] == ["last", "two\nlines"] and re.search(r"\[redacted", again[2]) and len(again) == 3
    assert f"!curl -H 'Authorization: Bearer {token}' x" in recall.get_strings()  # of this session it is all there


def test_the_history_stays_small(tmp_path: Path) -> None:
    file = tmp_path / "history"
    recall = Recall(file)
    for number in range(2 * MOST_BYTES // 1000):
        recall._append(f"{number} " + "x" * 980)
    loaded = list(Recall(file).load_history_strings())
    assert len(loaded) <= KEPT and file.stat().st_size <= MOST_BYTES
    assert loaded[0].startswith(f"{2 * MOST_BYTES // 1000 - 1} ") and file.stat().st_mode & 0o777 == 0o600
    assert next(iter(Recall(file).load_history_strings())) == loaded[0]


def test_on_the_terminal(common: Common) -> None:
    opened = common.terminal
    (common.workspace / "my file.txt").write_text("one\n")
    opened.type("/sta")
    opened.see("/status")
    opened.type("\t\r")
    opened.typed("/status")
    opened.type("\r")
    opened.expect("workspace")
    opened.ready()
    opened.type("show @myf")
    opened.see('my file.txt')
    opened.type("\t")
    opened.typed('show @"my file.txt"')
