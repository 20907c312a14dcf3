# ruff: noqa: E501 (commands under test stay on one line)
"""Snapshots and undo: exactly what a command did is taken back, and nothing of anybody else."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from nimllm.errors import LIMIT, NimError
from nimllm.tools import sandbox, trees
from nimllm.tools.shell import Shell
from nimllm.tools.snapshots import Change, Snapshots


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "b.txt").write_text("b")
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("a.txt")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder


@pytest.fixture
def shots(tmp_path: Path, work: Path) -> Snapshots:
    return Snapshots(tmp_path / "state", work)


def picture(folder: Path) -> dict[str, tuple[str, int, bytes]]:
    """Everything below ``folder``: kind, rights, contents."""
    seen = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        contents = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        mode = 0 if path.is_symlink() else stat.S_IMODE(info.st_mode)
        seen[str(path.relative_to(folder))] = (trees.kind_of(info.st_mode), mode, contents)
    return seen


def wreck(work: Path) -> None:
    (work / "a.txt").write_text("changed")
    (work / "deep" / "er" / "b.txt").unlink()
    (work / "deep" / "er").rmdir()
    (work / "deep").rmdir()
    (work / "deep").write_text("a file where a folder was")
    (work / "empty").rmdir()
    (work / "link").unlink()
    (work / "link").symlink_to("/etc/passwd")
    (work / "run.sh").chmod(0o644)
    (work / "new" / "folder").mkdir(parents=True)
    (work / "new" / "folder" / "c.txt").write_text("c")


def test_changes_between_and_undo(shots: Snapshots, work: Path) -> None:
    before_picture = picture(work)
    before = shots.take("before")
    assert shots.changes(before) == []
    wreck(work)
    after = shots.take("after")
    expected = {
        ("a.txt", "modified"),
        ("deep", "modified"),
        ("deep/er", "deleted"),
        ("deep/er/b.txt", "deleted"),
        ("empty", "deleted"),
        ("link", "modified"),
        ("run.sh", "mode"),
        ("new", "created"),
        ("new/folder", "created"),
        ("new/folder/c.txt", "created"),
    }
    assert {(change.path, change.kind) for change in shots.changes(before)} == expected
    assert shots.between(before, after) == shots.changes(before)
    wrecked = picture(work)
    planned = shots.undo(before, after, dry_run=True)
    assert picture(work) == wrecked
    assert shots.undo(before, after) == planned
    assert {item.path for item in planned} == {path for path, _ in expected} and not any(
        i.skipped_reason for i in planned
    )
    assert picture(work) == before_picture
    assert shots.changes(before) == []
    assert all(item.action == "left" for item in shots.undo(before, after)), "a second undo finds nothing to do"


def test_restore(shots: Snapshots, work: Path) -> None:
    before_picture = picture(work)
    before = shots.take("before")
    wreck(work)
    planned = shots.restore(before, dry_run=True)
    assert picture(work) != before_picture
    assert shots.restore(before) == planned == sorted(planned, key=lambda change: change.path)
    assert picture(work) == before_picture
    assert shots.restore(before) == []


def test_the_times_of_restored_files_are_the_old_ones(shots: Snapshots, work: Path) -> None:
    os.utime(work / "a.txt", (1_000_000_000, 1_000_000_000))
    before = shots.take("before")
    (work / "a.txt").write_text("x")
    shots.undo(before, shots.take("after"))
    assert (work / "a.txt").stat().st_mtime == 1_000_000_000


def test_what_somebody_else_changed_is_left_and_said(shots: Snapshots, work: Path) -> None:
    (work / "untouched-by-agent").write_text("1")
    before = shots.take("before")
    (work / "a.txt").write_text("agent")
    (work / "run.sh").write_text("agent")
    (work / "made").mkdir()
    (work / "made" / "x").write_text("agent")
    (work / "deep" / "er" / "b.txt").unlink()
    (work / "gone-again").write_text("agent")
    after = shots.take("after")
    (work / "a.txt").write_text("user")
    (work / "made" / "mine").write_text("user")
    (work / "deep" / "er" / "b.txt").write_text("user")
    (work / "untouched-by-agent").write_text("2")
    (work / "gone-again").unlink()
    done = {item.path: item for item in shots.undo(before, after)}
    assert {path: item.action for path, item in done.items()} == {
        "a.txt": "left",
        "run.sh": "restored",
        "made": "left",
        "made/x": "removed",
        "deep/er/b.txt": "left",
        "gone-again": "left",
    }
    assert done["a.txt"].skipped_reason == done["deep/er/b.txt"].skipped_reason == "somebody else changed it since"
    assert done["made"].skipped_reason == "it holds files of somebody else"
    assert done["gone-again"].skipped_reason == "it is already as it was"
    assert (work / "a.txt").read_text() == (work / "deep/er/b.txt").read_text() == "user"
    assert (work / "made" / "mine").read_text() == "user" and (work / "untouched-by-agent").read_text() == "2"
    assert (work / "run.sh").read_text() == "#!/bin/sh\n" and (work / "run.sh").stat().st_mode & 0o777 == 0o755


def test_a_folder_swapped_for_a_link_leads_nowhere(shots: Snapshots, work: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "er").mkdir(parents=True)
    (outside / "er" / "b.txt").write_text("not yours")
    before = shots.take("before")
    (work / "deep" / "er" / "b.txt").write_text("agent")
    after = shots.take("after")
    (work / "deep").rename(work / "moved")
    (work / "deep").symlink_to(outside)
    done = shots.undo(before, after)
    assert [item.action for item in done] == ["left"]
    assert (outside / "er" / "b.txt").read_text() == "not yours"
    shots.restore(before)
    assert (outside / "er" / "b.txt").read_text() == "not yours" and (work / "deep/er/b.txt").read_text() == "b"


def test_a_link_out_is_kept_as_a_link(shots: Snapshots, work: Path, tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "file").write_text("x")
    (work / "out").symlink_to(tmp_path / "big")
    before = shots.take("before")
    (work / "out").unlink()
    shots.restore(before)
    assert os.readlink(work / "out") == str(tmp_path / "big")
    assert not any("big" in path for path in shots._tree(before).entries)


def test_a_quick_second_write_of_the_same_size_is_seen(shots: Snapshots, work: Path) -> None:
    for text in "bcdefgh":
        one = shots.take("one")
        info = (work / "a.txt").stat()
        (work / "a.txt").write_text(text)
        os.utime(work / "a.txt", ns=(info.st_atime_ns, info.st_mtime_ns))  # a forged time does not hide it
        assert shots.between(one, shots.take("two")) == [Change("a.txt", "modified")]


def test_contents_are_kept_once_and_unchanged_files_not_read_again(
    shots: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "copy.txt").write_text("a")
    shots.take("one")
    assert shots.store.held_bytes() == len("a" + "b" + "#!/bin/sh\n")  # "a" once
    assert [path.stat().st_mode & 0o777 for path in shots.state.iterdir()] == [0o600] * len(list(shots.state.iterdir()))
    time.sleep(0.12)  # past the time in which a file may change without a new timestamp
    shots.take("two")
    read: list[str] = []
    keep = Snapshots._keep
    monkeypatch.setattr(Snapshots, "_keep", lambda self, path, *rest: (read.append(path), keep(self, path, *rest))[1])
    shots.take("three")
    assert read == []
    (work / "a.txt").write_text("z")
    Snapshots(shots.state, work).take("another session knows what the first one read")
    assert read == ["a.txt"]


def test_bounds_are_said_and_never_delete(tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MAX_FILE", 1000)
    monkeypatch.setattr(trees, "MAX_NEW", 2500)
    shots = Snapshots(tmp_path / "state", work)
    (work / "large").write_bytes(b"x" * 1001)
    for number in range(4):
        (work / f"part{number}").write_bytes(bytes([number]) * 900)
    before = shots.take("before")
    said = shots.skipped(before)
    assert "large: larger than 0 MiB" in said
    assert sum("of new contents" in line for line in said) == 2
    news = shots.news(before)
    assert news.startswith("undo will not cover large, part2, part3: ") and "larger than 0 MiB" in news
    assert shots.news(before) == "", "it is said once"
    (work / "large").write_bytes(b"y" * 2000)
    for number in range(4):
        (work / f"part{number}").unlink()
    after = shots.take("after")
    assert Change("large", "modified") in shots.between(before, after)
    done = {item.path: item for item in shots.undo(before, after)}
    assert done["large"].action == "left" and "larger" in done["large"].skipped_reason
    assert sorted(item.action for path, item in done.items() if path != "large") == [
        "left",
        "left",
        "restored",
        "restored",
    ]


def test_a_folder_that_was_not_listed_hides_nothing(shots: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a snapshot could not look at never counts as made, or as gone, since."""
    monkeypatch.setattr(trees, "MAX_ENTRIES", 5)
    few = shots.take("few")
    assert any("deep: there are more than 5 entries" in line for line in shots.skipped(few))
    monkeypatch.undo()
    everything = picture(work)
    assert shots.changes(few) == []
    shots.restore(few)
    assert picture(work) == everything
    (work / "new").write_text("in a folder that was listed")
    after = shots.take("after")
    assert shots.between(few, after) == [Change("new", "created")]
    monkeypatch.setattr(trees, "MAX_ENTRIES", 3)
    [done] = shots.undo(few, after)
    assert done.action == "removed"
    assert shots.between(after, shots.take("few again")) == [Change("new", "deleted")]


def test_one_command_that_makes_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Abuse case 20, smaller: more files than are listed. What is covered is taken back, the rest stays and is said."""
    monkeypatch.setattr(trees, "MAX_ENTRIES", 1000)
    work = tmp_path / "work"
    work.mkdir()
    (work / "mine").write_text("mine")
    shots = Snapshots(tmp_path / "state", work)
    with Shell(work, sandbox.probe(work)) as shell:
        before = shots.take("before")
        shell.run("for d in 1 2 3 4; do mkdir d$d; for n in {1..400}; do : >d$d/$n; done; done; echo theirs >mine")
        after = shots.take("after")
    assert "there are more than 1000 entries" in shots.news(after)
    done = shots.undo(before, after)
    assert sum(item.action == "removed" for item in done) >= 1000 - 4
    assert (work / "mine").read_text() == "mine"
    assert sum(len(files) for _, _, files in os.walk(work)) == 1 + 400  # d4 was not looked at


def test_git_comes_last_and_is_covered(shots: Snapshots, work: Path) -> None:
    (work / ".git").mkdir()
    (work / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    before = shots.take("before")
    assert list(shots._tree(before).entries)[-1] == ".git/HEAD"
    (work / ".git" / "HEAD").write_text("broken")
    shots.undo(before, shots.take("after"))
    assert (work / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"


def test_the_state_inside_the_workspace_is_not_part_of_it(work: Path) -> None:
    shots = Snapshots(work / ".state" / "snapshots", work)
    before = shots.take("before")
    shots.take("again")
    assert shots.changes(before) == []
    assert not any("snapshots" in path for path in shots._tree(before).entries)


def test_unusual_files(shots: Snapshots, work: Path) -> None:
    odd = [os.fsencode(work) + b"/\xff\xfe", os.fsencode(work) + b"/two\nlines", os.fsencode(work) + "/ü 🎉".encode()]
    for path in odd:
        with open(path, "wb") as file:
            file.write(path)
    os.mkfifo(work / "fifo")
    before = shots.take("before")
    assert "fifo: not a regular file" in shots.skipped(before)
    for path in odd:
        os.unlink(path)
    (work / "fifo").unlink()
    after = shots.take("after")
    reopened = Snapshots(shots.state, work)
    done = {item.path: item.action for item in reopened.undo(before, after)}
    assert done.pop("fifo") == "left" and set(done.values()) == {"restored"} and len(done) == 3
    for path in odd:
        with open(path, "rb") as file:
            assert file.read() == path


def test_an_unreadable_folder_is_not_taken_for_an_empty_one(
    shots: Snapshots, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("/deep"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    before = shots.take("before")
    assert "deep: Permission denied" in shots.skipped(before)
    monkeypatch.undo()
    assert shots.restore(before) == [] and (work / "deep" / "er" / "b.txt").exists()


def test_damage_is_seen(shots: Snapshots, work: Path) -> None:
    before = shots.take("before")
    (work / "a.txt").write_text("agent")
    after = shots.take("after")
    shots.store._db.execute("UPDATE objects SET data = x'62' WHERE data = x'61'")
    [done] = shots.undo(before, after)
    assert (done.action, done.skipped_reason) == ("left", "its old contents are damaged")
    assert (work / "a.txt").read_text() == "agent" and len(list(work.iterdir())) == 5
    shots.store._db.execute("UPDATE snapshots SET entries = x'00' WHERE id = ?", (before,))
    with pytest.raises(NimError, match="cannot be read"):
        Snapshots(shots.state, work).changes(before)
    for bad in ("nothing", "../../etc/passwd"):
        with pytest.raises(NimError, match="no snapshot"):
            shots.changes(bad)


def test_a_damaged_store_is_put_aside(shots: Snapshots, work: Path) -> None:
    before = shots.take("before")
    shots.close()
    path = Snapshots.file(shots.state, work)
    path.write_bytes(b"not a database" * 1000)
    again = Snapshots(shots.state, work)
    assert again.all() == [] and "damaged" in again.news("") and again.store.trouble
    with pytest.raises(NimError, match="no snapshot"):
        again.changes(before)
    assert again.take("goes on") and [item for item in shots.state.iterdir() if ".damaged-" in item.name]


def test_no_space(tmp_path: Path, work: Path) -> None:
    shots = Snapshots(tmp_path / "state", work)
    shots.take("small")
    pages = shots.store._db.execute("PRAGMA page_count").fetchone()[0]
    shots.store._db.execute(f"PRAGMA max_page_count = {pages + 4}")
    (work / "a.txt").write_bytes(os.urandom(1 << 20))
    with pytest.raises(NimError, match="no space") as error:
        shots.take("x")
    assert error.value.code == LIMIT
    shots.store._db.execute("PRAGMA max_page_count = 1000000")
    assert [info.label for info in shots.all()] == ["small"], "all of a snapshot, or nothing of it"
    assert shots.take("x")


def test_prune_keeps_what_is_left_whole(shots: Snapshots, work: Path) -> None:
    names = []
    for number in range(6):
        (work / "a.txt").write_text(f"contents {number}")
        names.append(shots.take(f"n{number}"))
        shots.take("the same again")
    assert [info.label for info in shots.all()][:2] == ["n0", "the same again"]
    assert shots.prune(keep=3) == 9
    assert [info.id for info in shots.all()][1] == names[5]
    held = [bytes(row[0]) for row in shots.store._db.execute("SELECT data FROM objects")]
    assert b"contents 5" in held and b"contents 0" not in held
    (work / "a.txt").write_text("later")
    Snapshots(shots.state, work).restore(names[5])
    assert (work / "a.txt").read_text() == "contents 5"
    assert shots.prune(keep=3) == 0 and shots.take("goes on")
    (work / "large").write_bytes(os.urandom(100_000))
    shots.take("large")
    (work / "large").unlink()
    last = [shots.take("small") for _ in range(3)][-1]
    assert shots.prune(keep=100, most=1000) == 6 and shots.all()[-1].id == last
    assert shots.store.held_bytes() < 1000


def test_long_chains_of_differences(shots: Snapshots, work: Path) -> None:
    seen = []
    for number in range(80):
        (work / f"f{number % 7}").write_text(str(number))
        if number % 5 == 0:
            (work / f"f{(number + 1) % 7}").unlink(missing_ok=True)
        seen.append((shots.take(""), picture(work)))
    fresh = Snapshots(shots.state, work)
    for id, was in seen[::-9]:
        fresh.restore(id)
        assert picture(work) == was


def _take_many(state: Path, work: Path, count: int) -> None:
    shots = Snapshots(state, work)
    for _ in range(count):
        shots.take("")
        shots.prune(keep=40)


def test_two_sessions_share_a_store(tmp_path: Path, work: Path) -> None:
    """Snapshots and pruning of two processes at once: none fails, none loses the other's contents."""
    import multiprocessing

    others = [multiprocessing.get_context("spawn").Process(target=_take_many, args=(tmp_path / "state", work, 25))
              for _ in range(2)]
    for other in others:
        other.start()
    shots = Snapshots(tmp_path / "state", work)
    for number in range(25):
        (work / "a.txt").write_text(f"{number}")
        before = shots.take("before")
        (work / "a.txt").write_text("agent")
        [done] = shots.undo(before, shots.take("after"))
        assert done.action == "restored" and (work / "a.txt").read_text() == f"{number}"
    for other in others:
        other.join()
        assert other.exitcode == 0
    assert len({info.id for info in shots.all()}) == len(shots.all())


def test_a_killed_undo_leaves_nothing_behind(shots: Snapshots, work: Path) -> None:
    before = shots.take("before")
    (work / "a.txt").write_text("agent")
    after = shots.take("after")
    (work / "deep" / ".nimllm-undo-0123456789ab").write_text("half")
    (work / ".nimllm-undo-notes").write_text("the user's own")
    shots.undo(before, after)
    assert not (work / "deep" / ".nimllm-undo-0123456789ab").exists() and (work / ".nimllm-undo-notes").exists()
    assert (work / "a.txt").read_text() == "a"


def test_a_hard_link_is_not_written_through(shots: Snapshots, work: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("not yours")
    before = shots.take("before")
    (work / "a.txt").unlink()
    os.link(outside, work / "a.txt")
    shots.undo(before, shots.take("after"))
    assert (work / "a.txt").read_text() == "a" and outside.read_text() == "not yours"


def test_a_closed_folder_is_opened_for_the_work_and_closed_again(shots: Snapshots, work: Path) -> None:
    (work / "deep").chmod(0o500)
    was = picture(work)
    before = shots.take("before")
    (work / "deep").chmod(0o700)
    (work / "deep" / "er" / "b.txt").write_text("agent")
    (work / "deep" / "new").write_text("agent")
    (work / "deep" / "er").chmod(0o500)
    (work / "deep").chmod(0o555)
    shots.undo(before, shots.take("after"))
    assert picture(work) == was
    (work / "deep").chmod(0o700)


def test_pieces_join_what_follows_on_and_keep_apart_what_does_not(shots: Snapshots, work: Path) -> None:
    steps = []
    for text in ("b", "c"):
        before = shots.take("before")
        (work / "a.txt").write_text(text)
        steps.append((before, shots.take("after")))
    [piece] = shots.pieces(steps)
    assert (piece.path, piece.old, piece.new) == ("a.txt", b"a", b"c")
    (work / "a.txt").write_text("user")
    before = shots.take("before")
    (work / "a.txt").write_text("d")
    (work / "link").unlink()
    steps.append((before, shots.take("after")))
    assert [(p.path, p.old, p.new) for p in shots.pieces(steps)] == [
        ("a.txt", b"a", b"c"), ("a.txt", b"user", b"d"), ("link", b"a.txt", None)]


def test_a_command_of_the_shell_is_undone(tmp_path: Path, shots: Snapshots, work: Path) -> None:
    before_picture = picture(work)
    with Shell(work, sandbox.probe(work)) as shell:
        before = shots.take("before")
        shell.run(
            "sed -i s/a/zzz/ a.txt; rm -rf deep; mkdir -p x/y; cp run.sh x/y; chmod 600 run.sh; ln -sf b link; mv empty full"
        )
        after = shots.take("after")
    assert len(shots.between(before, after)) == 11
    shots.undo(before, after)
    assert picture(work) == before_picture


def test_small_workspaces_are_quick(tmp_path: Path) -> None:
    work = tmp_path / "work"
    for number in range(200):
        (work / f"d{number % 10}").mkdir(parents=True, exist_ok=True)
        (work / f"d{number % 10}" / f"{number}").write_text(str(number))
    shots = Snapshots(tmp_path / "state", work)
    shots.take("first")
    time.sleep(0.12)
    shots.take("second")
    took = []
    for _ in range(15):
        begun = time.process_time()
        shots.take("again")
        took.append(time.process_time() - begun)
    assert min(took) < 0.010  # 1.3 ms measured
