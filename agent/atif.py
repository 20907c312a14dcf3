"""A session in the Agent Trajectory Interchange Format, version 1.8 (harbor's RFC 0001): written, and checked.

A request is a step of the user; the plan with its first command, every further command and the answer are steps of the
agent. A command is a tool call ``bash``; what it printed is the observation that names the call. The model cannot be
asked for the tokens of one step, so each task's tokens stand at its last step (``notes`` says so). What a user typed
himself (``!command``) is no step of the agent's model: a step of the user with the command in ``extra`` and its output
as observation.
"""

from __future__ import annotations

import re
import time
from typing import Any

from nimllm import __version__
from nimllm.agent.sessions import Command, Past, PastTask

VERSION = "ATIF-v1.8"
NOTES = ("completion_tokens of a task (plans, commands, resampled ones too, and the answer) stand at the task's last "
         "agent step; prompt tokens are not counted.")
BASH = {"type": "function", "function": {
    "name": "bash", "description": "Run a command in the session's persistent bash.",
    "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}}}


def trajectory(past: Past) -> dict[str, Any]:
    """The session as an ATIF object without fields that are null. Its times are UTC."""
    about = past.about
    extra = {key: about[key] for key in ("base", "mode", "sandbox", "network", "memory", "workspace") if about.get(key)}
    steps: list[dict[str, Any]] = [{
        "source": "system", "timestamp": _stamp(past.started),
        "message": f"nimllm works in {past.workspace}; mode {about.get('mode', '?')}, sandbox {about.get('sandbox')}"}]
    for task in past.tasks:
        steps += _task(task)
    for number, step in enumerate(steps, 1):
        step["step_id"] = number
    tokens = sum(task.tokens for task in past.tasks)
    return {
        "schema_version": VERSION, "session_id": past.session or past.id, "trajectory_id": past.id,
        "agent": {"name": "nimllm", "version": str(about.get("version") or __version__),
                  "model_name": str(about.get("model") or "unknown"), "tool_definitions": [BASH], "extra": extra},
        "steps": steps, "notes": NOTES,
        "final_metrics": {"total_completion_tokens": tokens, "total_steps": len(steps),
                          "extra": {"tasks": len(past.tasks),
                                    "succeeded": sum(task.code == 0 for task in past.tasks)}},
    }


def _task(task: PastTask) -> list[dict[str, Any]]:
    own = [step for step in task.commands if step.by == "user"]
    if own and len(own) == len(task.commands) and not task.plan:  # !command
        return [{"source": "user", "timestamp": _stamp(task.started), "message": task.request,
                 "observation": {"results": [{"content": step.output, "extra": _about(step)} for step in own]}}]
    found: list[dict[str, Any]] = [{"source": "user", "timestamp": _stamp(task.started), "message": task.request}]
    plan: str | None = task.plan or None
    for number, step in enumerate(task.commands, 1):
        call = f"{task.id}.{number}"
        found.append({
            "source": "agent", "timestamp": _stamp(step.started), "message": "",
            **({"reasoning_content": plan} if plan else {}),
            "tool_calls": [{"tool_call_id": call, "function_name": "bash", "arguments": {"command": step.command}}],
            "observation": {"results": [{"source_call_id": call, "content": step.output, "extra": _about(step)}]},
        })
        plan = None
    if task.answer or plan or not task.commands:
        found.append({"source": "agent", "timestamp": _stamp(task.finished or task.started), "message": task.answer,
                      **({"reasoning_content": plan} if plan else {})})
    outcome = {"ended": task.ended or "interrupted", **({"exit_code": task.code} if task.code is not None else {}),
               **({"record": task.record} if task.record else {}), **({"memory": task.memory} if task.memory else {})}
    found[-1]["extra"] = outcome
    if task.tokens:
        found[-1]["metrics"] = {"completion_tokens": task.tokens}
    return found


def _about(step: Command) -> dict[str, Any]:
    return {"ended": step.ended or "killed", "exit_code": step.exit, "seconds": step.seconds, "cwd": step.cwd,
            "by": step.by}


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03}Z"


# ---- checking ----------------------------------------------------------------------------------------------------

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_TEXT, _NUMBER, _WHOLE, _OBJECT = (str,), (int, float), (int,), (dict,)
# object -> field -> (types, required). A field that is not here must not be there.
_FIELDS: dict[str, dict[str, tuple[tuple[type, ...], bool]]] = {
    "trajectory": {"schema_version": (_TEXT, True), "session_id": (_TEXT, False), "trajectory_id": (_TEXT, False),
                   "agent": (_OBJECT, True), "steps": ((list,), True), "notes": (_TEXT, False),
                   "final_metrics": (_OBJECT, False), "continued_trajectory_ref": (_TEXT, False),
                   "extra": (_OBJECT, False), "subagent_trajectories": ((list,), False)},
    "agent": {"name": (_TEXT, True), "version": (_TEXT, True), "model_name": (_TEXT, False),
              "tool_definitions": ((list,), False), "extra": (_OBJECT, False)},
    "step": {"step_id": (_WHOLE, True), "timestamp": (_TEXT, False), "source": (_TEXT, True),
             "model_name": (_TEXT, False), "reasoning_effort": ((str, int, float), False), "message": (_TEXT, True),
             "reasoning_content": (_TEXT, False), "tool_calls": ((list,), False), "observation": (_OBJECT, False),
             "metrics": (_OBJECT, False), "is_copied_context": ((bool,), False), "llm_call_count": (_WHOLE, False),
             "extra": (_OBJECT, False)},
    "tool_call": {"tool_call_id": (_TEXT, True), "function_name": (_TEXT, True), "arguments": (_OBJECT, True),
                  "extra": (_OBJECT, False)},
    "observation": {"results": ((list,), True)},
    "result": {"source_call_id": (_TEXT, False), "content": (_TEXT, False), "subagent_trajectory_ref": ((list,), False),
               "extra": (_OBJECT, False)},
    "metrics": {"prompt_tokens": (_WHOLE, False), "completion_tokens": (_WHOLE, False),
                "cached_tokens": (_WHOLE, False), "cost_usd": (_NUMBER, False), "prompt_token_ids": ((list,), False),
                "completion_token_ids": ((list,), False), "logprobs": ((list,), False), "extra": (_OBJECT, False)},
    "final_metrics": {"total_prompt_tokens": (_WHOLE, False), "total_completion_tokens": (_WHOLE, False),
                      "total_cached_tokens": (_WHOLE, False), "total_cost_usd": (_NUMBER, False),
                      "total_steps": (_WHOLE, False), "extra": (_OBJECT, False)},
}
_AGENTS_OWN = ("model_name", "reasoning_effort", "reasoning_content", "tool_calls", "metrics")


def problems(made: Any) -> list[str]:
    """What is wrong with a trajectory (as JSON gives it) by the format's rules; text only, no media parts. Empty when
    nothing is."""
    found: list[str] = []
    if not _fields("trajectory", made, "", found):
        return found
    if made.get("schema_version") != VERSION:
        found.append(f"schema_version is {made.get('schema_version')!r}, not {VERSION}")
    _fields("agent", made.get("agent"), "agent", found)
    if "final_metrics" in made:
        _fields("final_metrics", made["final_metrics"], "final_metrics", found)
    steps = made.get("steps") or []
    if not steps:
        found.append("there are no steps")
    for number, step in enumerate(steps, 1):
        where = f"steps[{number - 1}]"
        if _fields("step", step, where, found):
            _step(step, number, where, found)
    total = (made.get("final_metrics") or {}).get("total_steps")
    if total is not None and total != len(steps):
        found.append(f"total_steps is {total}, and there are {len(steps)}")
    return found


def _step(step: dict[str, Any], number: int, where: str, found: list[str]) -> None:
    if step.get("step_id") != number:
        found.append(f"{where}: step_id is {step.get('step_id')}, not {number}")
    if step.get("source") not in ("system", "user", "agent"):
        found.append(f"{where}: source is {step.get('source')!r}")
    if "timestamp" in step and not _STAMP.fullmatch(str(step["timestamp"])):
        found.append(f"{where}: timestamp {step['timestamp']!r} is not ISO 8601 with a zone")
    if step.get("source") != "agent":
        found += [f"{where}: {name} belongs to agent steps only" for name in _AGENTS_OWN if name in step]
    if step.get("llm_call_count") == 0 and ("metrics" in step or "reasoning_content" in step):
        found.append(f"{where}: no model was asked, and yet there are metrics or reasoning")
    if "metrics" in step:
        _fields("metrics", step["metrics"], f"{where}.metrics", found)
    calls = step.get("tool_calls") or []
    names = [call.get("tool_call_id") for call in calls if _fields("tool_call", call, f"{where}.tool_calls", found)]
    if len(set(names)) != len(names):
        found.append(f"{where}: two tool calls have one id")
    if "observation" in step and _fields("observation", step["observation"], f"{where}.observation", found):
        for result in step["observation"]["results"]:
            if _fields("result", result, f"{where}.observation.results", found) and (
                    result.get("source_call_id") not in (None, *names)):
                found.append(f"{where}: the observation answers {result['source_call_id']!r}, which was not called")


def _fields(kind: str, value: Any, where: str, found: list[str]) -> bool:
    """Whether ``value`` is an object of that kind; its fields' names and types are checked."""
    if not isinstance(value, dict):
        found.append(f"{where or kind}: not an object")
        return False
    known = _FIELDS[kind]
    before = len(found)
    for name, given in value.items():
        types = known.get(name)
        if types is None:
            found.append(f"{where or kind}: unknown field {name!r}")
        elif not isinstance(given, types[0]) or (isinstance(given, bool) and bool not in types[0]):
            found.append(f"{where or kind}: {name} is a {type(given).__name__}")
    found += [f"{where or kind}: {name} is missing" for name, (_, needed) in known.items()
              if needed and name not in value]
    return len(found) == before or kind == "step"
