"""Requests with absolute paths: rewritten in wordings and commands alike, executed, and judged in another folder."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nimllm.agent.gym import absolute, episodes, places
from nimllm.agent.gym.executor import Executor, top_of
from nimllm.agent.gym.schema import Draft
from nimllm.agent.gym.worlds import World

bwrap = subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True,
                       check=False).returncode == 0 if shutil.which("bwrap") else False
needs_bwrap = pytest.mark.skipif(not bwrap, reason="needs a working bubblewrap")


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor() as made:
        yield made


def world() -> World:
    made = World(random.Random(0), "notes")
    for name in ("notes.txt", "a b.md", "docs/x.py", "docs/y.py", "run.sh", "old/z.log"):
        made.add_file(name, f"{name}\nsecond\n")
    return made


def draft(request: str, command: str, *protected: str, asks: bool = True) -> Draft:
    return Draft([request], command.split(" ;; "), ["plan"] * len(command.split(" ;; ")), asks, protected=protected)


@pytest.mark.parametrize(("request_", "command", "protected", "said", "run"), [
    ("count lines of notes.txt?", "wc -l < notes.txt", (), "count lines of /r/notes.txt?", "wc -l < /r/notes.txt"),
    ("show a b.md", "cat 'a b.md'", (), "show /r/a b.md", "cat '/r/a b.md'"),
    ("python files of docs", "find docs -type f -name '*.py'", ("docs",), "python files of /r/docs",
     "find /r/docs -type f -name '*.py'"),
    ("copy 'notes.txt' to docs/", "cp notes.txt docs/", ("docs",), "copy '/r/notes.txt' to /r/docs/",
     "cp /r/notes.txt /r/docs/"),
    ("make the folder new_one", "mkdir new_one", ("new_one",), "make the folder /r/new_one", "mkdir /r/new_one"),
    ("rename notes.txt to b.txt", "mv notes.txt b.txt", ("notes.txt", "b.txt"), "rename /r/notes.txt to b.txt",
     "mv /r/notes.txt /r/b.txt"),
    ("x.py of docs: sorted to s.txt", "sort docs/x.py > s.txt", ("docs", "s.txt"),
     "x.py of /r/docs: sorted to /r/s.txt", "sort /r/docs/x.py > /r/s.txt"),
    ("pack docs into d.tgz", "tar -czf d.tgz docs", ("docs", "d.tgz"), "pack /r/docs into /r/d.tgz",
     "tar -czf /r/d.tgz -C /r docs"),
    ("a1.txt to a3.txt in docs", "touch docs/a{1..3}.txt", ("docs",), "a1.txt to a3.txt in /r/docs",
     "touch /r/docs/a{1..3}.txt"),
    ("sort notes.txt to s.txt, count s.txt", "sort notes.txt > s.txt ;; wc -l < s.txt", ("notes.txt", "s.txt"),
     "sort /r/notes.txt to /r/s.txt, count /r/s.txt", "sort /r/notes.txt > /r/s.txt ;; wc -l < /r/s.txt"),
])
def test_named(request_: str, command: str, protected: tuple[str, ...], said: str, run: str) -> None:
    made = absolute.named(draft(request_, command, *protected), world(), "/r", random.Random(0))
    assert made is not None
    assert made.requests == [said] and " ;; ".join(made.commands) == run
    assert made.plan == ["plan"] * len(made.commands) and "/r" in made.protected


@pytest.mark.parametrize(("request_", "command"), [
    ("where is notes.txt?", "find . -name notes.txt"),  # a pattern, not a path
    ("say notes.txt", "echo notes.txt"),
    ("print notes.txt", "awk 'BEGIN { print \"notes.txt\" }' notes.txt"),
    ("the old files of old", "find old -type f"),  # which of the two is the folder?
    ("list everything", "ls"),
    ("save five", "mkdir five"),  # not said to be a name
])
def test_what_may_be_no_path_is_left_alone(request_: str, command: str) -> None:
    assert absolute.named(draft(request_, command), world(), "/r", random.Random(0)) is None


@pytest.mark.parametrize(("request_", "command", "run"), [
    ("find python files here", "find . -type f -name '*.py'", "find /r -type f -name '*.py'"),
    ("list the files in this folder", "ls", "ls /r"), ("biggest first", "ls -S | head -n 3", "ls -S /r | head -n 3"),
    ("delete the logs", "rm *.log", "rm /r/*.log"), ("who wrote the last commit?", "git log -1 --format=%an",
     "git -C /r log -1 --format=%an"), ("commit all", "git add -A && git commit -qm 'x y'",
     "git -C /r add -A && git -C /r commit -qm 'x y'"), ("build it", "make all", "cd /r && make all"),
    ("lines of notes.txt", "wc -l < notes.txt", "wc -l < /r/notes.txt"),
    ("unpack notes.txt", "tar -xzf notes.txt", "tar -xzf /r/notes.txt -C /r")])
def test_rooted(request_: str, command: str, run: str) -> None:
    for seed in range(8):
        made = absolute.rooted(draft(request_, command), world(), "/r", random.Random(seed))
        assert made is not None and made.commands == [run]
        assert "/r" in made.requests[0]
        assert "this folder" not in made.requests[0] and "here" not in made.requests[0].split()


@pytest.mark.parametrize("command", ["echo $((3 * 4))", "cat /etc/passwd", "cd docs && ls", "whoami", "pwd",
                                     "for f in *; do echo $f; done", "tar -cz docs | wc -c"])
def test_what_has_no_folder_gets_none(command: str) -> None:
    made = [absolute.rewritten(draft("do it", command), world(), "/r", random.Random(seed)) for seed in range(20)]
    assert made == [None] * 20


def test_places_are_varied_and_can_all_be_mounted() -> None:
    found = [places.where(random.Random(seed))[1] for seed in range(3000)]
    assert len(set(found)) > 2500
    for top in ("/home/", "/tmp/", "/srv/", "/opt/", "/var/log/", "/etc/", "/mnt/", "/root/", "/var/tmp/"):
        assert any(root.startswith(top) for root in found), top
    assert "/data" in found
    assert all(top_of(root) for root in found)
    assert {root.count("/") for root in found} >= {1, 2, 3, 4, 5}


@needs_bwrap
@pytest.mark.parametrize("root", ["/data", "/etc/nginx/conf", "/home/ann/x", "/tmp/a b/c", "/var/log/web", "/opt/one"])
def test_the_world_lies_where_it_is_said(executor: Executor, root: str) -> None:
    for _ in range(2):  # and nothing is left of the first
        done = executor.run(world(), ["pwd", "ls -d /etc/passwd /usr/bin", "touch made"], root=root)
        assert done is not None and done.root == root
        assert done.observations[0] == (f"{root}\n", 0) and done.observations[1][1] == 0
        assert done.before != done.after
    away = executor.run(world(), ["pwd", "ls", f"cat {root!r}/notes.txt"], root=root, elsewhere=True)
    assert away is not None and root not in away.observations[0][0] and away.observations[1] == ("", 0)
    assert away.observations[2][1] == 0


def test_a_third_of_the_episodes_name_their_folder_and_can_be_moved(executor: Executor) -> None:
    made = list(episodes.produce(range(900, 1020), episodes.chosen(), executor))
    named = [episode for episode in made if episode.root]
    assert 0.2 < len(named) / len(made) < 0.45
    for episode in named:
        texts = [*episode.requests, *episode.commands]
        assert all(episode.root in request for request in episode.requests)
        assert any(episode.root in command for command in episode.commands)
        moved = episode.at("/elsewhere/it.is")
        assert not any(episode.root in text for text in (*moved.requests, *moved.commands)), texts
        assert moved.at(episode.root).commands == episode.commands
    again = list(episodes.produce(range(900, 930), episodes.chosen(), executor))
    assert [replace(one, world=None) for one in again] == [replace(one, world=None) for one in made[:len(again)]]  # type: ignore[arg-type]


def test_moved_leaves_longer_paths_alone() -> None:
    assert absolute.moved("ls /data/x '/data' /data-2 /srv/data", "/data", "/n") == "ls /n/x '/n' /data-2 /srv/data"


def test_a_moved_episode_is_done_in_its_new_folder(executor: Executor, tmp_path: Path) -> None:
    checked = 0
    for episode in episodes.produce(range(1100, 1200), episodes.chosen("find.*,text.*,file.*"), executor):
        if not episode.root or episode.world.git:
            continue
        folder = tmp_path / f"{episode.seed}"
        folder.mkdir()
        episode.world.materialise(folder)
        for command in episode.at(str(folder)).commands:
            done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (command, done.stderr)
        checked += 1
    assert checked > 10
