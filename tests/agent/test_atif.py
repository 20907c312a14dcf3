"""The ATIF export: what it says of a session, our own validator, and harbor's where it is installed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from nimllm.agent import atif, sessions, transcript
from nimllm.agent.sessions_command import exported

Call = Callable[..., CompletedProcess[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A session with a task of two commands, one that failed, one of the user's own, and one that was killed."""
    opened = transcript.create(tmp_path / transcript.named("abcd1234", 1.8e9), "abcd1234", str)
    opened.emit("session.started", version="1", model="m", base="f" * 64, mode="ask", sandbox="bwrap", network="off",
                memory="auto", workspace="/w")
    opened.emit("task.started", task="1", request="do two things")
    opened.emit("plan", task="1", text="one\ntwo")
    for step, text in ((1, "out one\n"), (2, "")):
        opened.emit("step.started", task="1", step=step, command=f"c{step}")
        if text:
            opened.emit("step.output", task="1", step=step, text=text, tainted=True)
        opened.emit("step.completed", task="1", step=step, command=f"c{step}", by="model", ended="done", exit=0,
                    duration=0.5, cwd="/w")
    opened.emit("answer", task="1", text="Done.")
    opened.emit("task.completed", task="1", exit_code=0, ended="answered", tokens=17, record="r1")
    opened.emit("memory.committed", task="1", state="accepted")
    opened.emit("task.started", task="2", request="something else")
    opened.emit("plan", task="2", text="try")
    opened.emit("step.completed", task="2", step=1, command="rm x", by="model", ended="rejected", exit=None, duration=0)
    opened.emit("task.failed", task="2", exit_code=4, ended="aborted")
    opened.emit("task.started", task="3", request="!ls")
    opened.emit("step.started", task="3", step=1, command="ls")
    opened.emit("step.output", task="3", step=1, text="a.txt\n", tainted=True)
    opened.emit("step.completed", task="3", step=1, command="ls", by="user", ended="done", exit=0, duration=0.1)
    opened.emit("task.completed", task="3", exit_code=0, ended="answered")
    opened.emit("task.started", task="4", request="the last")
    opened.emit("step.started", task="4", step=1, command="sleep 30")
    opened.close()
    return opened.path


@pytest.fixture
def made(path: Path) -> dict[str, Any]:
    return json.loads(exported(path, "atif"))  # type: ignore[no-any-return]


def test_what_it_says(made: dict[str, Any]) -> None:
    assert atif.problems(made) == []
    assert (made["schema_version"], made["session_id"]) == ("ATIF-v1.8", "abcd1234")
    assert made["agent"]["model_name"] == "m" and made["agent"]["extra"]["sandbox"] == "bwrap"
    assert [step["source"] for step in made["steps"]] == [
        "system", "user", "agent", "agent", "agent", "user", "agent", "user", "user", "agent"]
    first, second, answer = made["steps"][2:5]
    assert first["reasoning_content"] == "one\ntwo" and "reasoning_content" not in second
    assert first["tool_calls"] == [{"tool_call_id": "1.1", "function_name": "bash", "arguments": {"command": "c1"}}]
    [result] = first["observation"]["results"]
    assert (result["source_call_id"], result["content"], result["extra"]["exit_code"]) == ("1.1", "out one\n", 0)
    assert answer["message"] == "Done." and answer["metrics"] == {"completion_tokens": 17}
    assert answer["extra"] == {"ended": "answered", "exit_code": 0, "record": "r1", "memory": "committed"}
    assert made["steps"][6]["extra"] == {"ended": "aborted", "exit_code": 4}
    own = made["steps"][7]
    assert own["message"] == "!ls" and own["observation"]["results"][0]["content"] == "a.txt\n"
    killed = made["steps"][9]
    assert killed["observation"]["results"][0]["extra"]["ended"] == "killed"
    assert killed["extra"]["ended"] == "interrupted"
    assert made["final_metrics"]["total_completion_tokens"] == 17 and made["final_metrics"]["total_steps"] == 10


def _change(made: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(made)
    at: Any = changed
    *parts, last = path.split("/")
    for part in parts:
        at = at[int(part)] if isinstance(at, list) else at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return changed


@pytest.mark.parametrize(("at", "value", "said"), [
    ("schema_version", "ATIF-v1.7", "schema_version"), ("steps", [], "no steps"),
    ("agent/name", ..., "name is missing"),
    ("steps/0/step_id", 2, "step_id is 2, not 1"), ("steps/1/source", "assistant", "source is"),
    ("steps/1/metrics", {}, "belongs to agent steps only"), ("steps/2/message", ..., "message is missing"),
    ("steps/2/observation/results/0/source_call_id", "9.9", "was not called"),
    ("steps/2/tool_calls/0/arguments", "c1", "arguments is a str"), ("steps/0/new", 1, "unknown field 'new'"),
    ("steps/0/timestamp", "yesterday", "not ISO 8601"), ("steps/4/metrics/completion_tokens", True, "is a bool"),
    ("steps/4/llm_call_count", 0, "no model was asked"), ("final_metrics/total_steps", 3, "total_steps"),
    ("agent", "nimllm", "agent is a str"), ("steps/2/tool_calls/0/more", 1, "unknown field"),
])
def test_the_validator_sees_what_is_wrong(made: dict[str, Any], at: str, value: Any, said: str) -> None:
    assert any(said in problem for problem in atif.problems(_change(made, at, value))), at


def test_harbors_own_models_accept_it(made: dict[str, Any]) -> None:
    trajectories = pytest.importorskip("harbor.models.trajectories")
    read = trajectories.Trajectory.model_validate(made)
    assert len(read.steps) == 10 and read.to_json_dict()["steps"][2]["tool_calls"] == made["steps"][2]["tool_calls"]


def test_a_real_session_is_exported(agent: Call, nimllm: Call, home: Path, tmp_path: Path) -> None:
    assert agent("-p", "show a.txt, then count its lines", "-y").returncode == 0
    [saved] = sessions.files()
    done = nimllm("sessions", "export", saved.stem, "--atif")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and atif.problems(found) == []
    assert [step["source"] for step in found["steps"]] == ["system", "user", "agent", "agent", "agent"]
    assert found["steps"][2]["observation"]["results"][0]["content"] == "one\ntwo\nthree\n"
    assert found["final_metrics"]["total_completion_tokens"] > 5
