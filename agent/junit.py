"""JUnit XML of scripted tasks, as Jenkins, GitLab and GitHub's actions read it.

The common ground of the two schemas in use (Ant's, by Windy Road, and junit-10 of Jenkins' xUnit plugin): one suite,
one case a task, in it a ``failure`` (a check failed), an ``error`` (the task could not be set up, or was stopped before
its checks) or a ``skipped`` (it was not tried).
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from nimllm.agent.trial import TaskReport

# What XML 1.0 allows (https://www.w3.org/TR/xml/#charsets); a program's output may hold anything.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SUITE = "nimllm"


def document(reports: Sequence[TaskReport], left: Sequence[str], seconds: float, started: float,
             about: dict[str, Any], redact: Callable[[str], str] = str) -> bytes:
    """``left``: ids of tasks that were not tried; ``seconds``: wall clock of all; ``started``: seconds since 1970;
    ``about``: properties of the suite."""
    def clean(text: str) -> str:
        return allowed(redact(text))

    failed = [one for one in reports if not one.passed and one.checks and not one.error]
    errors = [one for one in reports if not one.passed and one not in failed]
    counts = {"tests": str(len(reports) + len(left)), "failures": str(len(failed)), "errors": str(len(errors)),
              "skipped": str(len(left))}
    top = ElementTree.Element("testsuites")  # Ant's schema allows it no attributes
    suite = ElementTree.SubElement(top, "testsuite", {
        "name": SUITE, "package": SUITE, "id": "0", "hostname": clean(socket.gethostname()) or "localhost",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(started)), "time": f"{seconds:.3f}", **counts})
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in about.items():
        if value not in ("", None):
            ElementTree.SubElement(properties, "property", {"name": name, "value": clean(str(value))})
    for one in reports:
        name = one.id if one.repeat == 1 else f"{one.id} ({one.repeat})"
        case = ElementTree.SubElement(suite, "testcase", {"name": name, "classname": f"{SUITE}.tasks",
                                                          "time": f"{one.seconds:.3f}"})
        if not one.passed:
            kind = "failure" if one in failed else "error"
            told = ElementTree.SubElement(case, kind, {"message": clean(one.why), "type": f"exit-code-{one.code}"})
            told.text = clean(_story(one))
    for id in left:
        case = ElementTree.SubElement(suite, "testcase", {"name": id, "classname": f"{SUITE}.tasks", "time": "0.000"})
        ElementTree.SubElement(case, "skipped")
    ElementTree.SubElement(suite, "system-out")
    ElementTree.SubElement(suite, "system-err")
    ElementTree.indent(top, " ")
    return ElementTree.tostring(top, encoding="utf-8", xml_declaration=True) + b"\n"


def allowed(text: str) -> str:
    """``text`` without what no XML document may hold."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _story(report: TaskReport) -> str:
    lines = [report.error] if report.error else []
    if report.result is not None:
        lines += [f"request: {report.result.request}"]
        lines += [f"$ {step.command}    [{step.ended if step.status is None else f'exit {step.status}'}]"
                  for step in report.result.steps]
        lines += [f"answer: {report.result.answer}"] if report.result.answer else []
    lines += [f"check {'passed' if check.passed else 'failed'}: {check.check}"
              + (f" ({check.detail})" if check.detail else "") for check in report.checks]
    return "\n".join(lines)
