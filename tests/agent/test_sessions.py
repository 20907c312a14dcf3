"""Saved sessions: written line by line, resumed, listed, exported, deleted; nothing torn, nothing interleaved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from terminal import Terminal

from nimllm.agent import records, retention, sessions, transcript, vocabulary
from nimllm.agent.sessions_command import exported
from nimllm.errors import NimError
from nimllm.tools import exports, sandbox
from nimllm.tools.redact import redact
from nimllm.tools.shell import Shell

Call = Callable[..., subprocess.CompletedProcess[str]]
SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2


def _files(home: Path) -> list[Path]:
    return sorted((home / "sessions").glob("*.jsonl"))


def _valid(path: Path) -> list[dict]:
    """Every line is an event of the vocabulary, the numbers are without a gap."""
    events = []
    for line in path.read_text().splitlines():
        vocabulary.read(line)
        events.append(json.loads(line))
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["session"] for event in events}) == 1
    return events


# ---- the file ------------------------------------------------------------------------------------------------------


def test_a_task_is_a_session(agent: Call, home: Path, workspace: Path) -> None:
    done = agent("-p", "write hi to a.txt", "-y", "--json")
    [path] = _files(home)
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    events = _valid(path)
    assert [event["type"] for event in events] == [
        "session.started", "task.started", "plan", "step.started", "step.completed", "answer", "task.completed",
        "session.state", "session.ended"]
    assert events[0]["workspace"] == str(workspace) and events[0]["sandbox"] and events[0]["version"]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["session"] for event in told} == {events[0]["session"]}
    step = events[4]
    assert step["snapshot"] and step["after"]
    [record] = [json.loads(item.read_text()) for item in (home / "tasks").glob("*.json")]
    assert record["session"] == events[0]["session"] and record["id"] == events[6]["record"]
    assert not (workspace / ".nimllm").exists()


def test_ephemeral_writes_nothing(agent: Call, home: Path, workspace: Path) -> None:
    assert agent("-p", "write hi to a.txt", "-y", "--ephemeral").returncode == 0
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert (workspace / "a.txt").read_text() == "hi\n"
    for words in (["--ephemeral", "--continue"], ["--continue", "--resume", "x"], ["--ephemeral", "--tasks", "x.yaml"]):
        assert agent("-p", "list the files", *words[:2], *words[2:]).returncode == 2


def test_a_request_that_fails_leaves_a_whole_session(agent: Call, home: Path) -> None:
    assert agent("-p", "").returncode == 2
    assert all(_valid(path)[-1]["exit_code"] == 2 for path in _files(home))
    assert agent("-p", "list the files", "--model", "/nowhere").returncode == 3
    assert all(_valid(path)[-1]["type"] == "session.ended" for path in _files(home))


def _created(folder: Path) -> transcript.Transcript:
    return transcript.create(folder / transcript.named("abcd1234"), "abcd1234", redact)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_read_as_far_as_it_goes(path_of: Path, data: st.DataObject) -> None:
    """Bits flipped, bytes lost or put in: nothing but a NimError, and what is exported is still valid."""
    raw = bytearray(path_of.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "put", "type"]))
        if kind == "flip":
            raw[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "cut":
            del raw[at : at + data.draw(st.integers(1, 40))]
        elif kind == "put":
            raw[at:at] = data.draw(st.binary(max_size=20))
        else:
            text = bytes(raw)
            field = data.draw(st.sampled_from([b'"ts": 1', b'"seq": ', b'"task": "', b'"env": {', b'"command": "']))
            raw = bytearray(text.replace(field, field[: field.rindex(b" ") + 1] + b'"x" "', 1))
    copy = path_of.with_name("20260101-000000-damaged0.jsonl")
    copy.unlink(missing_ok=True)
    copy.write_bytes(bytes(raw))
    for form in ("json", "markdown", "atif"):
        try:
            exported(copy, form)
        except NimError:
            pass
    try:
        opened = transcript.reopen(copy, redact)
    except NimError:
        return
    sessions.mend(opened)
    opened.close()
    assert transcript.last(copy)["type"] == "session.ended"


@pytest.fixture
def path_of(home: Path) -> Path:
    """A session's file without any program having run."""
    opened = transcript.create(sessions.folder() / transcript.named("abcd1234"), "abcd1234", redact)
    opened.emit("session.started", version="1", model="m", base="", mode="ask", sandbox="bwrap", network="off",
                memory="off", workspace="/w")
    for number in ("1", "2"):
        opened.emit("task.started", task=number, request="r")
        opened.emit("plan", task=number, text="p")
        opened.emit("step.started", task=number, step=1, command="c", verdict="run", rule="", reason="")
        opened.emit("step.output", task=number, step=1, text="o\n", tainted=True)
        opened.emit("step.completed", task=number, step=1, command="c", by="model", ended="done", exit=0, duration=0.1,
                    cwd="/w", snapshot="a", after="b")
        opened.emit("session.state", cwd="/w", env={"A": "b"}, unset=["C"], always=["mkdir"], mode="ask")
    opened.close()
    return opened.path


def test_what_is_torn_is_cut_off(tmp_path: Path) -> None:
    opened = _created(tmp_path)
    for number in range(3):
        opened.emit("warning", task="1", text=f"n{number}")
    with pytest.raises(NimError, match="open in another process"):
        transcript.reopen(opened.path, redact)
    assert transcript.held(opened.path)
    opened.close()
    whole = opened.path.read_bytes()
    cut = whole[: whole.rindex(b"\n", 0, -1) + 1]
    for end in range(len(cut), len(whole)):
        opened.path.write_bytes(whole[:end])
        assert [event["text"] for event in transcript.read(opened.path)] == ["n0", "n1"]
        again = transcript.reopen(opened.path, redact)
        again.emit("warning", task="1", text="after")
        again.close()
        events = _valid(opened.path)
        assert [event["text"] for event in events] == ["n0", "n1", "after"] and opened.path.read_bytes().startswith(cut)
    for nothing in (b"", b"{", b"\0" * 100):
        opened.path.write_bytes(nothing)
        with pytest.raises(NimError, match="empty"):
            transcript.reopen(opened.path, redact)


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """RLIMIT_FSIZE cuts a write in two like a full disk does."""
    code = ("import resource, signal, sys\n"
            "from pathlib import Path\n"
            "from nimllm.agent import transcript\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "opened = transcript.create(Path(sys.argv[1]), 'abcd1234', str)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "for n in range(50): opened.emit('warning', task='1', text='x' * (n % 7) * 30)\n")
    path = tmp_path / "s.jsonl"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) > 3 and all(line.endswith(b"\n") and json.loads(line) for line in lines)


def test_long_outputs_keep_head_and_tail(tmp_path: Path) -> None:
    opened = _created(tmp_path)
    text = "".join(f"line {n}\n" for n in range(40_000))
    for start in range(0, len(text), 5000):
        opened.emit("step.output", task="1", step=1, tainted=True, text=text[start : start + 5000])
    opened.emit("step.completed", task="1", step=1)
    opened.emit("step.output", task="1", step=2, tainted=True, text="short")
    opened.emit("step.completed", task="1", step=2)
    opened.close()
    one = "".join(event["text"] for event in transcript.read(opened.path) if event.get("step") == 1 and "text" in event)
    two = [event["text"] for event in transcript.read(opened.path) if event.get("step") == 2 and "text" in event]
    assert text.startswith(one[: transcript.OUTPUT_KEPT]) and one.endswith(text[-1000:]) and two == ["short"]
    assert len(one) < transcript.OUTPUT_KEPT + transcript.TAIL_KEPT + 100
    left_out = len(text) - transcript.OUTPUT_KEPT - transcript.TAIL_KEPT
    assert f"[... {left_out} characters left out ...]" in one


def test_secrets_are_redacted_when_they_are_written(agent: Call, home: Path, workspace: Path) -> None:
    (workspace / "a.txt").write_text(f"token {SECRET}\n")
    agent("-p", "show a.txt, then count its lines", "-y")
    [path] = _files(home)
    assert SECRET not in path.read_text() and "[redacted" in path.read_text()


# ---- the environment -----------------------------------------------------------------------------------------------

VALUES = st.dictionaries(
    st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True),
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=30), max_size=5)


@pytest.fixture(scope="module")
def plain_shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("shell")
    with Shell(folder, sandbox.probe(folder)) as opened:
        yield opened


@given(VALUES)
def test_exports_survive_bash(plain_shell: Shell, values: dict[str, str]) -> None:
    """What bash exports is read back exactly, whatever is in it."""
    values = {f"NIM_{name}": value for name, value in values.items()}
    plain_shell.run("\n".join(["for name in ${!NIM_*}; do unset $name; done", exports.commands(values, [])]))
    assert {name: value for name, value in exports.parse(plain_shell.exports).items()
            if name.startswith("NIM_")} == values


def test_what_is_kept_of_the_environment() -> None:
    start = {"HOME": "/h", "GONE": "1", "SAME": "1"}
    now = {"HOME": "/other", "SAME": "1", "NEW": "x", "MY_TOKEN": "abc", "URL": "https://u:pass1234@host/",
           "LATE": SECRET, "BIG": "x" * 100_000, "PWD": "/x", "LD_PRELOAD": "/x.so"}
    assert exports.changed(now, start) == ({"HOME": "/other", "NEW": "x"}, ["GONE"])
    assert exports.parse(b'declare -x A="1\n2"\nnonsense $(touch /tmp/x)\ndeclare -x B\ndeclare -rx C=$\'\\e\\001\'\n'
                         ) == {"A": "1\n2", "C": "\x1b\x01"}
    assert exports.commands({"A;rm": "x", "B": "a'b; rm -rf /"}, ["C", "D E"]) == (
        "export B='a'\"'\"'b; rm -rf /'\nunset -v C")


# ---- going on ------------------------------------------------------------------------------------------------------


@pytest.fixture
def first(run_folder: Path, workspace: Path, home: Path) -> str:
    """A session with state, ended properly; its id."""
    (workspace / "sub dir").mkdir()
    opened = Terminal(workspace, run_folder)
    opened.ready()
    opened.do(f"!cd 'sub dir'; export NIM_A='x  y' NIM_TOKEN={SECRET}; unset LANG")
    opened.say("make the folder old")
    opened.answer("a")
    opened.ready()
    opened.say("/quit")
    opened.end(0)
    [path] = _files(home)
    return path.stem


def test_a_session_is_gone_on_with(first: str, run_folder: Path, workspace: Path, home: Path, agent: Call, nimllm: Call
                                   ) -> None:
    before = _valid(_files(home)[0])
    again = Terminal(workspace, run_folder, "--continue")
    again.expect("2 tasks so far")
    again.expect("make the folder old")
    again.expect("always allowed: mkdir")
    again.ready()
    other = agent("--resume", first[-8:], "-p", "list the files")
    assert other.returncode == 3 and "open in another process" in other.stderr
    assert "(open)" in nimllm("sessions", "list").stdout
    assert nimllm("sessions", "delete", first).returncode == 3
    again.say('!pwd; echo "is:$NIM_A:${NIM_TOKEN-none}:${LANG-none}"')
    again.expect("is:x  y:none:none")
    again.ready()
    again.do("!rmdir old")
    again.do("make the folder old")  # the approval is remembered
    again.do("/export story.md")
    again.say("/quit")
    again.end(0)
    assert str(workspace / "sub dir") in again.text and (workspace / "sub dir" / "old").is_dir()
    events = _valid(_files(home)[0])
    assert events[: len(before)] == before and events[len(before)]["type"] == "session.resumed"
    assert SECRET not in _files(home)[0].read_text()
    assert (workspace / "story.md").read_text().startswith(f"# nimllm session {first}")
    # -p goes on with it, too
    done = agent("--continue", "-p", "list the files")
    assert done.returncode == 0 and done.stdout.startswith("old\n") and "6 tasks so far" not in done.stdout
    assert _valid(_files(home)[0])[-1]["type"] == "session.ended" and len(_files(home)) == 1


def test_sessions_that_cannot_be_gone_on_with(agent: Call, home: Path, workspace: Path, tmp_path: Path) -> None:
    none = agent("--continue", "-p", "list the files")
    assert none.returncode == 2 and "no session of" in none.stderr
    assert agent("--resume", "nothing", "-p", "list the files").returncode == 2
    assert agent("-p", "list the files").returncode == 0
    other = tmp_path / "other"
    other.mkdir()
    [path] = _files(home)
    elsewhere = agent("--resume", path.stem, "-p", "list the files", cwd=other)
    assert elsewhere.returncode == 2 and f"--cd {workspace}" in elsewhere.stderr
    workspace.joinpath("gone").mkdir()
    state = json.loads(path.read_text().splitlines()[-2])
    lines = path.read_text().splitlines()
    lines[-2] = json.dumps({**state, "cwd": str(workspace / "nowhere")})
    path.write_text("\n".join(lines) + "\n")
    moved = agent("--continue", "-p", "list the files")
    assert moved.returncode == 0 and "is gone; now in" in moved.stderr


def test_list_show_export_delete(agent: Call, inside: Call, home: Path, workspace: Path, tmp_path: Path) -> None:
    assert inside("sessions", "list").stdout == "no saved sessions\n"
    agent("-p", "write hi to a.txt", "-y")
    agent("-p", "look for nothing")
    rows = json.loads(inside("sessions", "list", "--json").stdout)
    assert [row["request"] for row in rows] == ["look for nothing", "write hi to a.txt"]
    assert inside("sessions", "list", "-C", str(tmp_path)).stdout == "no saved sessions\n"
    shown = inside("sessions", "show", rows[0]["session"][:6]).stdout
    assert "› look for nothing" in shown and "$ ls nothing-here" in shown and "exit 2" in shown
    text = inside("sessions", "export", rows[0]["id"]).stdout
    assert "## look for nothing" in text and "```bash\nls nothing-here\n```" in text
    out = tmp_path / "out.jsonl"
    assert inside("sessions", "export", rows[0]["id"], "--json", "-o", str(out)).returncode == 0
    assert out.read_text().splitlines() == _files(home)[1].read_text().splitlines()
    assert inside("sessions", "export", rows[0]["id"], "-o", str(out)).returncode == 2  # it exists
    assert inside("sessions", "delete", rows[0]["id"]).returncode == 0
    assert len(_files(home)) == 1 and inside("sessions", "show", rows[0]["id"]).returncode == 2
    assert inside("sessions", "show", "2").returncode == 0, "the beginning is enough"


def test_a_killed_session_gets_its_end_and_its_task_can_be_undone(agent: Call, inside: Call, home: Path, workspace: Path
                                                                  ) -> None:
    """As after kill -9 between a command and the end of its task: the record was never written."""
    agent("-p", "delete notes.txt", "-y")
    [path] = _files(home)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:5]) + '{"v": 1, "ts": 17')
    for record in (home / "tasks").glob("*.json"):
        record.unlink()
    assert "delete notes.txt" in inside("undo", "--list").stdout
    events = _valid(path)
    assert [event["type"] for event in events[-2:]] == ["task.failed", "session.ended"]
    assert events[-1]["error"] == sessions.KILLED
    assert inside("undo").returncode == 0 and (workspace / "notes.txt").read_text() == "secret plans\n"
    assert agent("--continue", "-p", "list the files").returncode == 0


def test_the_end_of_a_memory_update_is_heard_of_later(home: Path, run_folder: Path, path_of: Path) -> None:
    """The worker outlives a killed session: what it wrote is in the ledger, and the task log does not know it."""
    import numpy as np

    from nimllm.agent.recording import Recording
    from nimllm.alignment.memory.events import Record
    from nimllm.alignment.memory.store import MemoryStore, quantise

    done, lost = (records.TaskRecord(id=records.new_id(), time=records.now(), request="r",
                                     memory=records.MemoryRecord(state="queued")) for _ in range(2))
    for record in (done, lost):
        records.write(record)
    opened = transcript.reopen(path_of, redact)
    for number, record in (("1", done), ("2", lost)):
        opened.emit("task.completed", task=number, exit_code=0, ended="answered", record=record.id)
    with MemoryStore(run_folder) as store:
        name, tensor = next(iter(store.base_tensors().items()))
        change = np.zeros(tensor.shape, np.float32)
        change.flat[:7] = 0.02
        store.commit(Record(episode=done.id, loss_before=2.0, loss_after=0.1), quantise({name: change}, store.grid))
    recording = Recording(opened, sessions.read(path_of), "abcd1234")
    lines = recording.settle(MemoryStore(run_folder, writable=False))
    opened.close()
    assert "remembered m0001" in lines[0] and "1 memory update did not end" in lines[1]
    assert records.read(done.id).memory.id == "m0001" and records.read(lost.id).memory.state == "queued"
    assert sessions.read(path_of).tasks[0].memory == "committed"


def test_two_sessions_at_once_do_not_mix(agent: Call, home: Path, run_folder: Path, workspace: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    both = [subprocess.Popen([sys.executable, "-m", "nimllm", "agent", "--model", str(run_folder), "--memory", "off",
                              "-p", request, "-y", "--json"], cwd=workspace, stdout=subprocess.PIPE, text=True,
                             stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(root)})
            for request in ("print a lot", "write hi to a.txt", "make the folder old")]
    told = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0, 0]
    files = _files(home)
    assert len(files) == 3
    said = {json.loads(text.splitlines()[0])["session"]: text for text in told}
    for path in files:
        events = _valid(path)
        shown = [json.loads(line) for line in said[events[0]["session"]].splitlines()]
        assert next(e for e in events if e["type"] == "task.started")["request"] == shown[1]["request"]
    assert sum(1 for _ in (home / "tasks").glob("*.json")) == 3


# ---- how much is kept ----------------------------------------------------------------------------------------------


def test_the_oldest_go(home: Path, tmp_path: Path) -> None:
    folder = sessions.folder()
    kept = None
    for number in range(12):
        opened = transcript.create(folder / f"20260101-0000{number:02}-{number:08x}.jsonl", f"{number:08x}", str)
        opened.emit("session.started", text="x" * 1000)
        if number == 0:
            kept = opened  # open: stays, however old
        else:
            opened.close()
    assert sessions.prune(keep=5) == 6
    assert len(sessions.files()) == 6 and kept is not None and kept.path.exists()
    assert sessions.prune(keep=100, most=2500) == 3
    kept.close()
    outputs = home / "outputs"
    outputs.mkdir(mode=0o700)
    for number in range(4):
        (outputs / f"{number}.log").write_bytes(b"x" * 1000)
        os.utime(outputs / f"{number}.log", (number, number))
    retention._oldest(outputs.glob("*.log"), 3, 2500)
    assert sorted(path.name for path in outputs.iterdir()) == ["2.log", "3.log"]
    row = {row.name: row for row in retention.kept()}
    assert row["outputs"].count == 2 and row["outputs"].bytes == 2000 and row["sessions"].count == 3


def test_doctor_says_what_is_kept(inside: Call, agent: Call, run_folder: Path) -> None:
    agent("-p", "write hi to a.txt", "-y")
    said = json.loads(inside("doctor", "--model", str(run_folder), "--json").stdout)
    findings = {row["name"]: row for row in said["findings"]}
    assert findings["kept"]["sessions"]["count"] == 1 and findings["kept"]["snapshots"]["bytes"] > 0
    assert "sessions 1 (" in findings["kept"]["said"]


def test_records_of_old_versions_are_read(home: Path, tmp_path: Path) -> None:
    made = records.TaskRecord(id="x", time=records.now(), request="r")
    old = {key: value for key, value in made.model_dump().items() if key not in ("session", "undoes")}
    (tmp_path / "x.json").write_text(json.dumps(old))
    assert records.read("x", tmp_path).session == ""


def test_reading_a_long_session_is_quick(tmp_path: Path) -> None:
    opened = _created(tmp_path)
    opened.emit("session.started", workspace="/w")
    for number in range(300):
        opened.emit("task.started", task=str(number), request="r")
        for step in (1, 2):
            opened.emit("step.started", task=str(number), step=step, command="c")
            opened.emit("step.output", task=str(number), step=step, text="x" * 8000, tainted=True)
            opened.emit("step.completed", task=str(number), step=step, command="c", ended="done", exit=0)
    opened.close()
    begun = time.process_time()
    past = sessions.read(opened.path)
    assert len(past.tasks) == 300 and len(past.tasks[-1].commands) == 2
    assert time.process_time() - begun < 2.0  # 0.03 s measured
    assert transcript.last(opened.path)["type"] == "step.completed"
