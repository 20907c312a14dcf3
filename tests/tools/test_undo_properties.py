# ruff: noqa: E501 (messages of failures stay on one line)
"""Undo is exact whatever was done to the files, by the agent and by somebody else in turns."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_snapshots import picture

from nimllm.tools.snapshots import Snapshots

NAMES = ["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "remove", "folder", "link", "mode"]), st.sampled_from(NAMES), st.integers(0, 3)
    ),
    max_size=12,
)


def play(work: Path, steps: list[tuple[str, str, int]]) -> None:
    for kind, name, number in steps:
        path = work / name
        try:
            if kind == "write":
                path.write_text("x" * number)
            elif kind == "remove":
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            elif kind == "folder":
                path.mkdir()
            elif kind == "link":
                path.symlink_to(f"to{number}")
            elif not path.is_symlink():
                path.chmod([0o700, 0o755, 0o711, 0o750][number])
        except OSError:
            continue


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, STEPS)
def test_undo_is_exact_whatever_was_done(
    tmp_path: Path, first: list[tuple[str, str, int]], second: list[tuple[str, str, int]]
) -> None:
    base = Path(tempfile.mkdtemp(dir=tmp_path))
    work = base / "work"
    work.mkdir(parents=True)
    shots = Snapshots(base / "state", work)
    play(work, first)
    was = picture(work)
    before = shots.take("before")
    play(work, second)
    after = shots.take("after")
    assert bool(shots.between(before, after)) == (picture(work) != was)
    assert shots.between(after, again := shots.take("nothing was done")) == [] and shots.store.unchanged(after, again)
    shots.undo(before, after)
    assert picture(work) == was
    assert shots.changes(before) == []


TURNS = st.lists(st.tuples(st.booleans(), STEPS), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, TURNS)
def test_undo_takes_back_the_agents_changes_and_nothing_else(
    tmp_path: Path, first: list[tuple[str, str, int]], turns: list[tuple[bool, list[tuple[str, str, int]]]]
) -> None:
    """The agent and somebody else by turns. For every path: where only the agent changed it, it is what it was; where
    somebody else changed it last, it is what they made of it; and a second undo finds nothing to do."""
    base = Path(tempfile.mkdtemp(dir=tmp_path))
    work = base / "work"
    work.mkdir(parents=True)
    shots = Snapshots(base / "state", work)
    play(work, first)
    pairs = []
    history = [(False, picture(work))]  # (by the agent, what it left)
    for agent, steps in turns:
        before = shots.take("before") if agent else ""
        play(work, steps)
        if agent:
            pairs.append((before, shots.take("after")))
        history.append((agent, picture(work)))
    at_last = history[-1][1]
    planned = shots.undo_steps(pairs, dry_run=True)
    assert picture(work) == at_last, "a dry run touches nothing"
    done = shots.undo_steps(pairs)
    assert done == planned
    now = picture(work)
    said = {item.path: item for item in done}
    for path in {path for _, was in history for path in was} | set(now):
        values = [(agent, was.get(path)) for agent, was in history]
        changes = [agent for (_, one), (agent, two) in itertools.pairwise(values) if one != two]
        if not any(changes):  # never touched by the agent
            assert now.get(path) == at_last.get(path), path
            assert path not in said or said[path].action == "left"
        elif all(changes):  # by nobody else
            if path in said and said[path].action == "left" and now.get(path) != values[0][1]:
                # its folder is somebody else's matter: it holds a file of theirs, or they took it away
                assert said[path].skipped_reason in ("it holds files of somebody else", "its folder is gone"), said[path]
            else:
                assert now.get(path) == values[0][1], path
        elif not changes[-1] and at_last.get(path) not in [value for agent, value in values if agent]:
            assert now.get(path) == at_last.get(path), path  # somebody else had the last word
    again = shots.undo_steps(pairs)
    assert all(item.action == "left" for item in again)
    assert picture(work) == now
    shots.close()
