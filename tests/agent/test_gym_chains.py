"""Schemas of code bases, git and several steps: they run, and every step can be derived from what stands before it."""

from __future__ import annotations

import importlib
import random
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from kinds_sample import sample

from nimllm.agent.gym import episodes
from nimllm.agent.gym.episodes import Episode, Rejected, draft, execute, top_names
from nimllm.agent.gym.executor import Executor
from nimllm.agent.gym.history import commit_ids
from nimllm.agent.gym.projects import project
from nimllm.agent.gym.schema import Schema
from nimllm.agent.gym.worlds import World
from nimllm.llm.turns import observation, workspace_note

MODULES = ("builds", "chains", "code", "git", "git_changes", "git_lookups", "lookups", "repairs", "repairs_git",
           "repairs_options", "repairs_paths", "repairs_scripts", "sequences", "lookups_files", "lookups_git",
           "git_history", "git_refs", "git_remotes", "code_reading", "code_edits",
           "manifests", "chores", "hunts")
SEEDS = range(2)


def _own() -> list[Schema]:
    names = {importlib.import_module(f"nimllm.agent.gym.schemas.{name}").__name__ for name in MODULES}
    return [schema for schema in episodes.load().values() if schema.make.__module__ in names]


OWN = _own()
CHAINS = [schema for schema in OWN if schema.steps > 1]
LOOKED_FOR = [f"chain.{word}" for word in ("largest", "smallest", "newest", "oldest", "longest")]

pytestmark = pytest.mark.skipif(shutil.which("git") is None or shutil.which("make") is None,
                                reason="needs git and make")


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor() as running:
        yield running


@pytest.fixture(scope="module", params=["some", pytest.param("all", marks=pytest.mark.slow)])
def executed(request: pytest.FixtureRequest) -> list[Schema]:
    """The kinds whose episodes are looked at: each way of looking has some."""
    if request.param == "all":
        return OWN
    names = [schema.name for schema in OWN]
    some = sample(names, 24).union(*(sample([name for name in names if name.startswith(family)], 2) for family in
                                     ("chain.", "repair.")))
    return [schema for schema in OWN if schema.name in some or schema.name in LOOKED_FOR]


@pytest.fixture(scope="module")
def made(executed: list[Schema], executor: Executor) -> dict[str, list[Episode]]:
    """A few executed episodes of each."""
    found: dict[str, list[Episode]] = {}
    for schema in executed:
        for seed in SEEDS:
            try:
                _, world, drafted = draft(seed, [schema])
                found.setdefault(schema.name, []).append(execute(seed, schema, world, drafted, executor))
            except Rejected:
                continue
    return found


def test_every_schema_yields_episodes(executed: list[Schema], made: dict[str, list[Episode]]) -> None:
    assert {schema.name for schema in executed} == made.keys()


def test_numbers_of_kinds() -> None:
    def kinds(*modules: str) -> int:
        return sum(schema.make.__module__.rsplit(".", 1)[1] in modules for schema in OWN)

    assert kinds("code", "builds") >= 22
    assert kinds("git", "git_changes") >= 24
    assert len(CHAINS) >= 26
    assert sum(schema.steps == 3 for schema in CHAINS) >= 8


def test_paths_of_a_step_stand_before_it(made: dict[str, list[Episode]]) -> None:
    """A file's name in a command comes from the request, the note, or an output that the model has seen."""
    for schema in CHAINS:
        for episode in made.get(schema.name, ()):
            for request in episode.requests:
                seen = request + "\n" + workspace_note(top_names(episode.world))
                for command, (output, status) in zip(episode.commands, episode.observations, strict=True):
                    for token in shlex.split(command):
                        path = token.removeprefix("./").rstrip("/")
                        if path in episode.world.entries and len(path) > 2:
                            folder, _, name = path.rpartition("/")
                            stem = name.removesuffix(".py")  # unittest prints test_order.OrderTest, not the path
                            assert name in seen or (stem in seen and folder in seen), (schema.name, request, command)
                    for number in re.findall(r"(?<![\w$])\d{3,}(?!\w)", command):
                        assert number in seen, (schema.name, request, command)
                    seen += "\n" + command + "\n" + observation(output, status)


def test_found_files_are_the_right_ones(made: dict[str, list[Episode]]) -> None:
    """The second command of a chain is about the path that the first one printed."""
    for schema in CHAINS:
        if schema.name.startswith("chain."):
            for episode in made.get(schema.name, ()):
                first = episode.observations[0][0].strip()
                printed = first.split(":", 1)[0] if schema.name == "chain.defining" else first.split("\n")[0]
                name = printed.rsplit("/", 1)[-1] if schema.name != "chain.longest" else first.split(" ",
                1)[1].rsplit("/")[-1]
                assert name in " ".join(shlex.split(episode.commands[1])), (schema.name, episode.seed)


def test_plan_says_what_is_looked_for(made: dict[str, list[Episode]]) -> None:
    for name in LOOKED_FOR:
        for episode in made[name]:
            assert f"find the {name.removeprefix('chain.')}" in episode.plan[0]


def test_repairs_fail_first_and_do_not_plan_it(made: dict[str, list[Episode]]) -> None:
    for schema in CHAINS:
        if schema.name.startswith("repair."):
            for episode in made.get(schema.name, ()):
                assert episode.observations[0][1] != 0
                assert all(status == 0 for _, status in episode.observations[1:])
                words = " ".join(episode.requests).lower()
                if len(episode.plan) == episode.steps:  # then the request itself names both steps
                    assert "rmdir" in words or "mkdir" in episode.commands[0]


def test_requests_are_clean() -> None:
    for schema in OWN:
        wordings: set[str] = set()
        for seed in range(12):
            try:
                _, _, drafted = draft(seed, [schema])
            except Rejected:
                continue
            for request in drafted.requests:
                assert request == request.strip() and "  " not in request, (schema.name, request)
                assert "{" not in request and "|" not in request, (schema.name, request)
            wordings.update(drafted.requests)
            if seed and len(wordings) >= 6:
                break
        assert len(wordings) >= 6, schema.name


def test_commit_ids_are_those_of_git(executor: Executor) -> None:
    for seed in range(4):
        world = World.random(random.Random(seed))
        world.add_history()
        done = executor.run(world, ["git log --reverse --format=%H"])
        assert done is not None
        assert done.observations[0][0].split() == commit_ids(world)


@pytest.mark.parametrize("tests", ["tests", "test", ""])
def test_projects_fail_as_announced(executor: Executor, tests: str) -> None:
    rng = random.Random(7)
    world = World.random(rng)
    made = project(world, rng, tests=tests, failing=2)
    done = executor.run(world, [made.runner()])
    assert done is not None
    failed = set(re.findall(r"^FAIL: (\w+)", done.observations[0][0], re.MULTILINE))
    assert failed == {method for _, method in made.failing} and len(failed) == 2
    assert "ERROR" not in done.observations[0][0]


def test_commands_are_valid_bash(made: dict[str, list[Episode]]) -> None:
    """Names with blanks or quotes never break a command."""
    script = "\n".join(command for found in made.values() for episode in found for command in episode.commands)
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
