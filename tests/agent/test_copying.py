"""Names that can only be copied: mended where a model garbles them, and left alone everywhere else."""

from pathlib import Path

import pytest

from nimllm.agent.copying import literals, placed, repaired


@pytest.mark.parametrize(("request_", "command", "right"), [
    ("sort people.csv by name", "sort -t , -k 2 heart.csv", "sort -t , -k 2 people.csv"),
    ("stage docs/changes.md", "git add docs/chitted.md", "git add docs/changes.md"),
    ("add up numbers.txt", "awk '{ s += $1 } END { print s }' number.txt",
     "awk '{ s += $1 } END { print s }' numbers.txt"),
    ("how many lines has /srv/app-3u2a/debug.log?", "wc -l < /srv/appimus-3u2a/debug.log",
     "wc -l < /srv/app-3u2a/debug.log"),
    ("rename fetch_rows to load_rows in store.py", "sed -i 's/fetch_rows/lead_rows/g' store.py",
     "sed -i 's/fetch_rows/load_rows/g' store.py"),
    ("copy a.txt to b.txt", "cp a.txt c.txt", "cp a.txt b.txt"),
    ("what does 'conf/app.toml' say", "cat cnf/app.toml", "cat conf/app.toml"),
])
def test_a_garbled_name_is_the_one_that_was_said(request_: str, command: str, right: str, tmp_path: Path) -> None:
    assert repaired(command, request_, tmp_path) == right


@pytest.mark.parametrize(("request_", "command"), [
    ("sort people.csv by name", "sort people.csv > sorted.csv"),  # the name of an output is the model's to choose
    ("make a backup of a.txt", "cp a.txt a.txt.bak"),
    ("rename the .JPG files in Pictures/2025 to .jpg", 'for f in *.JPG; do mv "$f" "${f%.JPG}.jpg"; done'),
    ("what happened on 2026-03-05 in app.log", "grep 2026-03-05 app.log"),
    ("show the biggest file", "find . -type f -printf '%s %p\\n' | sort -nr | head -n 1"),
    ("print the sha256 of a.txt", "sha256sum a.txt"),
    ("list the files", "ls"),
    ("compress src", "tar -czf src.tar.gz src"),
    ("show a.txt and/or b.txt", "cat a.txt b.txt"),
    ("what is in old.txt but not in new.txt", "sort old.txt | comm -23 - known.txt"),
])
def test_what_is_right_or_the_models_own_stays(request_: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "known.txt").write_text("")  # it exists: somebody may mean it
    assert repaired(command, request_, tmp_path) == command


def test_a_name_from_an_output_may_be_used(tmp_path: Path) -> None:
    request = "read other.csv, and count the lines of the file it names"
    assert repaired("wc -l data.csv", request, tmp_path, known="data.csv\n") == "wc -l data.csv"
    assert repaired("wc -l data.csv", request, tmp_path) == "wc -l other.csv"


def test_literals_are_what_looks_like_a_name() -> None:
    said = 'rename "src/main.py" to app2, set MAX_SIZE in .env (see README.md), e.g. it\'s fine. ok?'
    assert literals(said)[:5] == ["src/main.py", "app2", "MAX_SIZE", ".env", "README.md"]
    assert literals("how many files are there in here?") == []


def test_a_file_that_is_in_one_place_below_is_found_there(tmp_path: Path) -> None:
    for name in ("Downloads/setup.iso", "a/twice.txt", "b/twice.txt", ".hidden/secret.txt", "here.txt", "c/here.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert placed("stat -c %s setup.iso", tmp_path) == "stat -c %s Downloads/setup.iso"
    for same in ("cat twice.txt", "cat here.txt", "cat secret.txt", "cat nothing.txt", "ls > setup.iso",
                 "cat Downloads/setup.iso", "grep 'setup.iso' here.txt"):
        assert placed(same, tmp_path) == same
