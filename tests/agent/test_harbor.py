"""Tasks in harbor's form: read, set up without a container, tried, tested; and refused with the reason."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from nimllm.agent import dockerfile, harbor, tasks
from nimllm.agent.trial import Bench
from nimllm.errors import NimError
from nimllm.tools import sandbox

Call = Callable[..., CompletedProcess[str]]
TOML = """
schema_version = "1.4"
[agent]
timeout_sec = 33.0
[verifier]
timeout_sec = 30.0
[verifier.env]
WHO = "${NOBODY_SET_THIS:-world}"
[environment]
build_timeout_sec = 60.0
cpus = 2
memory_mb = 2048
"""
DOCKERFILE = """# syntax=docker/dockerfile:1
FROM ubuntu:24.04 AS only
ARG WHERE=/data
ENV GREETING="hello there" N=3
WORKDIR /app
COPY --chown=root:root data.txt \\
     # a comment between
     more.txt ./
COPY ["data.txt", "${WHERE}/inner/"]
COPY tool.sh /usr/local/bin/hello-tool
RUN mkdir -p sub && \\
    echo built $N >sub/built
CMD ["sleep", "infinity"]
"""
SOLVE = """#!/bin/bash
hello-tool >/app/out.txt
cat /data/inner/data.txt >>out.txt
cat /tests/test.sh && touch /app/seen
ls /solution >ours
exit 0
"""
TEST = """#!/bin/bash
set -e
test "$WHO" = world && test "$PWD" = /app && test -w . && test ! -e seen && test ! -e /solution
test "$(cat out.txt)" = "$(printf 'tool-ran hello there\\none')"
test "$(cat sub/built)" = "built 3"
touch /app/writable
echo 1 >/logs/verifier/reward.txt
"""


def make(folder: Path, toml: str = TOML, docker: str | None = DOCKERFILE, solve: str = SOLVE, test: str = TEST,
         instruction: str = "<!-- harbor-canary GUID 1 -->\n\nlist the files\n") -> Path:
    for name in ("environment", "solution", "tests"):
        (folder / name).mkdir(parents=True)
    for name, text in (("instruction.md", instruction), ("task.toml", toml), ("solution/solve.sh", solve),
                       ("tests/test.sh", test), ("environment/data.txt", "one\n"), ("environment/more.txt", "two\n"),
                       ("environment/tool.sh", "#!/bin/sh\necho tool-ran $GREETING\n"),
                       ("environment/Dockerfile", docker)):
        if text is not None:
            (folder / name).write_text(text)
    (folder / "environment" / "tool.sh").chmod(0o755)
    return folder


def test_a_task_is_validated_by_its_own_solution_and_the_model_is_not_asked(agent: Call, tmp_path: Path) -> None:
    make(tmp_path / "set" / "hello")
    make(tmp_path / "set" / "wrong", solve="#!/bin/bash\ntrue\n")
    report = tmp_path / "r.json"
    done = agent("--tasks", str(tmp_path / "set"), "--solution", "--report", str(report), "--model", str(tmp_path))
    assert done.returncode == 1, done.stderr  # and no model was loaded: that folder holds none
    rows = {row["id"]: row for row in json.loads(report.read_text())["tasks"]}
    assert rows["hello"]["pass"] and rows["hello"]["rewards"] == {"reward": 1.0}, rows["hello"]
    assert not rows["wrong"]["pass"] and "the tests wrote no reward" in rows["wrong"]["checks"][0]["detail"]


def test_a_model_works_at_the_tasks_own_place(agent: Call, tmp_path: Path) -> None:
    """``list the files`` runs ls; its output has what the Dockerfile copied, and not the tests."""
    test = "#!/bin/bash\n[ -f data.txt ] && echo '{\"reward\": 1, \"speed\": 2.5}' >/logs/verifier/reward.json\n"
    folder = make(tmp_path / "task", test=test)
    report = tmp_path / "r.json"
    done = agent("--tasks", str(folder), "--mode", "auto", "--report", str(report))
    row = json.loads(report.read_text())["tasks"][0]
    assert done.returncode == 0 and row["request"] == "list the files", done.stderr
    assert row["rewards"] == {"reward": 1.0, "speed": 2.5}


def test_without_a_dockerfile_the_files_are_the_workspace(agent: Call, tmp_path: Path) -> None:
    folder = make(tmp_path / "task", docker=None, solve="#!/bin/bash\ncat data.txt >/app/out\n",
                  test="#!/bin/bash\ngrep -qx one /app/out && echo 1 >/logs/verifier/reward.txt\n")
    assert agent("--tasks", str(folder), "--solution").returncode == 0


def test_folders_and_toml_are_read(tmp_path: Path) -> None:
    make(tmp_path / "b task")
    make(tmp_path / "a", toml='version = "1.0"\n[environment]\nallow_internet = false\n')
    (tmp_path / "notes").mkdir()
    first, second = tasks.read_tasks(tmp_path)
    assert (first.id, first.network, first.timeout) == ("a", False, 600)
    assert (second.id, second.network, second.timeout) == ("b-task", None, 33)
    assert second.stage is not None and second.stage.env == {"GREETING": "hello there", "N": "3"}
    assert str(second.stage.workdir) == "/app" and second.stage.test_env == {"WHO": "world"}
    assert tasks.read_tasks(tmp_path, "b*") == [second]
    with pytest.raises(NimError, match="--only z leaves no task"):
        tasks.read_tasks(tmp_path, "z")


@pytest.mark.parametrize(("toml", "docker", "said"), [
    (TOML + "[[steps]]\nname = 'x'\n", DOCKERFILE, "several steps"),
    (TOML.replace("cpus = 2", "gpus = 1"), DOCKERFILE, "accelerator"),
    (TOML.replace("cpus = 2", "os = 'windows'"), DOCKERFILE, "windows"),
    (TOML.replace("${NOBODY_SET_THIS:-world}", "${NOBODY_SET_THIS}"), DOCKERFILE, "needs the variable NOBODY_SET_THIS"),
    (TOML, "FROM a AS b\nFROM c\nCOPY --from=b x y\n", "several stages"),
    (TOML, "FROM a\nCOPY --from=other /x /y\n", "--from=other"),
    (TOML, "FROM a\nADD https://example.org/x /x\n", "fetches"),
    (TOML, "FROM a\nADD x.tar.gz /x\n", "unpacks"),
    (TOML, "FROM a\nCOPY missing /x\n", "missing is missing"),
    (TOML, "FROM a\nCOPY ../../x /x\n", "outside of the task"),
    (TOML, "FROM a\nSHELL [\"powershell\"]\n", "another shell"),
    (TOML, "FROM a\nFETCH x\n", "not known"),
    (TOML, "FROM a\nRUN apt-get install -y nothing-here\n", "nothing can be installed"),
])
def test_what_needs_a_container_is_refused_with_the_reason(home: Path, tmp_path: Path, toml: str, docker: str,
                                                           said: str) -> None:
    [task] = tasks.read_tasks(make(tmp_path / "task", toml=toml, docker=docker))

    def nobody() -> Any:
        raise AssertionError("no model is asked")

    report = Bench(nobody, lambda folder, network: sandbox.probe(folder), "full", solution=True).run(task)
    assert report.code == 3 and said in report.error, report


@pytest.mark.parametrize(("name", "text", "said"), [
    ("task.toml", "x = [", "task.toml"), ("task.toml", "[agent]\ntimeout_sec = 'soon'\n", "agent.timeout_sec"),
    ("instruction.md", "\n\n", "is empty"), ("task.toml", None, "cannot read"),
])
def test_what_is_no_task_ends_before_anything_runs(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    folder = make(tmp_path / "task")
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    with pytest.raises(NimError, match=said) as caught:
        tasks.read_tasks(tmp_path)
    assert caught.value.code == 2


def test_a_folder_without_tasks(tmp_path: Path) -> None:
    with pytest.raises(NimError, match="holds no task"):
        tasks.read_tasks(tmp_path)


def test_links_out_of_a_task_are_not_followed(agent: Call, tmp_path: Path) -> None:
    folder = make(tmp_path / "task")
    (tmp_path / "secret").write_text("x\n")
    (folder / "tests" / "link").symlink_to(tmp_path / "secret")
    done = agent("--tasks", str(folder), "--solution")
    assert done.returncode == 3 and "leads out of the task" in done.stderr


@pytest.mark.parametrize(("name", "text", "found"), [
    ("reward.txt", "1\n", {"reward": 1.0}), ("reward.txt", "0.5", {"reward": 0.5}),
    ("reward.json", '{"a": 1, "b": 0}', {"a": 1.0, "b": 0.0}), ("reward.json", "1", {"reward": 1.0}),
    ("reward.txt", "", "empty"), ("reward.txt", "yes", "no number"), ("reward.txt", "nan", "not a number"),
    ("reward.json", '{"a": "1"}', "not a number"), ("reward.json", "{", "no number"),
    ("reward.json", '{"a": 1e999}', "not a number"), ("reward.json", "[" * 30000, "no number"),
    ("reward.txt", "1" * 100_000, "not a small file"), ("reward.txt", None, "wrote no reward"),
])
def test_rewards(tmp_path: Path, name: str, text: str | None, found: object) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    if isinstance(found, dict):
        assert harbor.read_rewards(tmp_path) == found
    else:
        with pytest.raises(ValueError, match=str(found)):
            harbor.read_rewards(tmp_path)


def test_a_reward_that_is_a_pipe_or_a_link_is_not_read(tmp_path: Path) -> None:
    import os

    (tmp_path / "real").write_text("1\n")
    (tmp_path / "reward.txt").symlink_to("real")
    with pytest.raises(ValueError, match="cannot be read"):
        harbor.read_rewards(tmp_path)
    os.mkfifo(tmp_path / "reward.json")
    with pytest.raises(ValueError, match="not a small file"):
        harbor.read_rewards(tmp_path)


def test_dockerfiles_are_read_like_docker_reads_them() -> None:
    recipe = dockerfile.parse(
        "FROM a\nARG V=1\nENV A=x B=\"y z\"\nENV C=${A}-$V A=later\nENV OLD a b\nENV E='q r' F=g\\ h\n"
        "WORKDIR /app\nWORKDIR sub\n"
        "RUN <<EOF\nset -e\necho one\nEOF\nRUN [\"echo\", \"two words\"]\nCOPY a b ${D:-dir}/\n"
        "RUN --mount=type=cache x\n",
        "Dockerfile")
    assert recipe.env == {"A": "later", "B": "y z", "C": "x-1", "OLD": "a b", "E": "q r", "F": "g h"}
    assert str(recipe.workdir) == "/app/sub"
    runs = [step.command for step in recipe.steps if isinstance(step, dockerfile.Run)]
    assert runs == ["set -e\necho one", "echo 'two words'", "x"]
    copy = next(step for step in recipe.steps if isinstance(step, dockerfile.Copy))
    assert (copy.sources, str(copy.target), copy.into) == (("a", "b"), "/app/sub/dir", True)
