"""The generator of shell tasks: determinism, the executor's meaning, the truth, every schema, and the evaluation."""

from __future__ import annotations

import gzip
import io
import json
import math
import random
import shutil
import subprocess
import tarfile
import zipfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kinds_sample import sample

from nimllm.agent.gym import attempts, episodes, evaluate, truth
from nimllm.agent.gym.episodes import EVALUATION, Episode, Rejected, draft, execute, seeds
from nimllm.agent.gym.executor import Executor, plant
from nimllm.agent.gym.schema import Draft, Schema
from nimllm.agent.gym.truth import matches, normalise
from nimllm.agent.gym.wordings import humanise, say
from nimllm.agent.gym.worlds import Unsuitable, World
from nimllm.errors import NimError, UsageError
from nimllm.llm.turns import Turn
from nimllm.tools.shell import Shell

bwrap = subprocess.run(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], capture_output=True,
                       check=False).returncode == 0 if shutil.which("bwrap") else False
needs_bwrap = pytest.mark.skipif(not bwrap, reason="needs a working bubblewrap")


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with Executor() as made:
        yield made


def small(*names: str) -> World:
    world = World(random.Random(0), "notes")
    for name in names:
        world.add_file(name, f"{name}\nsecond\n")
    return world


def good(schema: Schema, executor: Executor, tries: range = range(1, 60)) -> Episode:
    """The first episode of the schema that is not rejected."""
    reasons = []
    for seed in tries:
        try:
            return execute(seed, *draft(seed, [schema]), executor)
        except Rejected as reason:
            reasons.append(str(reason))
    raise AssertionError(f"{schema.name} gives no episode: {set(reasons)}")


# ---- seeds and worlds


def test_seeds_of_training_and_evaluation_are_disjoint() -> None:
    spans = [seeds(stream, 2**24, late) for late in (False, True) for stream in (0, 1, 127)]
    for first, second in pairwise(spans):
        assert first.stop <= second.start
    assert seeds(127, 2**24).stop == EVALUATION == seeds(0, 1, True).start
    for stream, count in ((128, 1), (-1, 1), (0, 2**24 + 1)):
        with pytest.raises(UsageError):
            seeds(stream, count)


def test_a_seed_names_one_episode() -> None:
    among = list(episodes.load().values())
    first = [draft(seed, among) for seed in range(40)]
    again = [draft(seed, among) for seed in range(40)]
    for (a, world_a, made_a), (b, world_b, made_b) in zip(first, again, strict=True):
        assert (a.name, world_a.entries, world_a.commits, made_a) == (b.name, world_b.entries, world_b.commits, made_b)
    assert len({tuple(made.commands) for _, _, made in first}) > 30


def test_worlds_are_trees_of_varied_names(tmp_path: Path) -> None:
    names: list[str] = []
    for seed in range(120):
        world = World.random(random.Random(seed))
        names += [path.rsplit("/", 1)[-1] for path in world.entries]
        assert 4 <= len(world.entries) <= 40
        for path in world.entries:
            assert path.count("/") <= 2
            assert "/" not in path or world.entries[path.rsplit("/", 1)[0]].kind == "dir"
    assert len(set(names)) / len(names) > 0.75, "names repeat: a model could know them by heart"
    assert 0.03 < sum(" " in name for name in names) / len(names) < 0.2
    world.materialise(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == set(world.entries)
    for path, entry in world.entries.items():
        if entry.kind == "file":
            assert (tmp_path / path).read_bytes() == entry.content
            assert (tmp_path / path).stat().st_mtime == entry.mtime


def test_an_empty_world_is_unsuitable() -> None:
    world = World(random.Random(0))
    for pick in (world.pick_file, world.pick_dir, world.pick_text):
        with pytest.raises(Unsuitable):
            pick()


# ---- the executor


def test_commands_share_one_shell(executor: Executor) -> None:
    done = executor.run(small("a.txt"), ["mkdir d", "cd d", "x=5; pwd", "false", "echo $x; echo oops >&2; echo end"])
    assert done is not None
    (_, _, where, failed, last) = done.observations
    assert where == (f"{done.root}/d\n", 0)
    assert failed == ("", 1)
    assert last == ("5\noops\nend\n", 0)
    assert done.before != done.after


def test_a_command_list_in_a_sourced_file_comes_back(executor: Executor) -> None:
    """bash 5.2 would replace the subshell by the last ``ls``."""
    done = executor.run(small("a.txt"), ["ls; ls", "ls | cat; ls"])
    assert done is not None and [status for _, status in done.observations] == [0, 0]


def test_a_shell_that_ends_gives_no_episode_and_the_next_one_runs(executor: Executor) -> None:
    assert executor.run(small("a"), ["exit 3", "ls"]) is None
    assert executor.run(small("a"), ["kill -9 $PPID $BASHPID", "ls"]) is None
    done = executor.run(small("a"), ["ls"])
    assert done is not None and done.observations == [("a\n", 0)]


def test_rights_taken_away_do_not_stay_behind(executor: Executor) -> None:
    world = small("d/e/f.txt")
    assert executor.run(world, ["chmod 0 d/e", "chmod 0 d"]) is not None
    done = executor.run(world, ["cat d/e/f.txt"])
    assert done is not None and done.observations[0][1] == 0


@needs_bwrap
def test_the_executor_is_sandboxed(executor: Executor) -> None:
    done = executor.run(small("a"), ["touch /usr/nimllm-was-here", "whoami", "cat /proc/net/dev | wc -l"], user="rita")
    assert done is not None
    assert done.observations[0][1] != 0 and done.observations[1] == ("rita\n", 0)
    assert int(done.observations[2][0]) <= 3  # two lines of headers and lo


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_git_worlds_have_the_commits_and_the_edits(executor: Executor, tmp_path: Path) -> None:
    world = small("a b.txt", "d/run.sh", 'quo"te.md')
    world.entries["d/run.sh"].mode = 0o755
    world.git = True
    world.commits = [("Ada King", "first", ["a b.txt"]), ("Bo Li", "second", ["d/run.sh", 'quo"te.md'])]
    world.edits = {"a b.txt": b"changed\n"}
    world.setup = ["git branch side"]
    commands = ["git log --format='%an: %s'", "git status --porcelain", "git ls-files -s d/run.sh", "git branch"]
    done = executor.run(world, commands)
    assert done is not None
    assert [output for output, _ in done.observations[:2]] == ["Bo Li: second\nAda King: first\n", ' M "a b.txt"\n']
    assert done.observations[2][0].startswith("100755 ") and "side" in done.observations[3][0]
    plant(world, tmp_path)  # the evaluation's way gives the same world
    for command, (output, _) in zip(commands, done.observations, strict=True):
        assert subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True,
                              check=True).stdout == output
    other = executor.run(world, ["git commit -qam third"])
    assert other is not None and other.after != done.after


# ---- what counts as the same


letters = st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
lines_of_text = st.lists(st.text(letters, max_size=12), max_size=6)


@given(lines_of_text, st.randoms(use_true_random=False), st.booleans())
def test_normalise(rows: list[str], rng: random.Random, ordered: bool) -> None:
    rows = [row.replace("\n", " ") for row in rows]
    text = "\n".join(rows)
    once = normalise(text, ordered)
    assert matches(once, text, ordered) or not once
    padded = "\n".join(row.replace(" ", "  ") + " \t" for row in rows)
    assert normalise(padded, ordered) == once
    shuffled = rows[:]
    rng.shuffle(shuffled)
    assert normalise("\n".join(shuffled), False) == normalise(text, False)


@pytest.mark.parametrize(("expect", "got", "ordered", "right"), [
    ("12", "12 notes.txt\n", True, True), ("12 notes.txt", "12\n", True, True), ("12", "13 notes.txt", True, False),
    ("12 a", "12 b", True, False), ("3", "3.0\n", True, True), ("2.50", "2.5", True, True), ("007", "7", True, False),
    ("a\nb", "b\na", False, True), ("a\nb", "b\na", True, False), ("a.txt\nb.txt", "a.txt  b.txt", False, True),
    ("./a", "a", True, True), ("a\nb", "a", False, False), ("", "", False, True), ("", "x", False, False),
    ("yes", "", True, False), ("four", "four files", True, False), ("4.0K", "4.0K\tsrc", True, True)])
def test_matches(expect: str, got: str, ordered: bool, right: bool) -> None:
    assert matches(normalise(expect, ordered), got, ordered) is right


def _tar(mtime: int, names: list[str], text: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text), mtime
            tar.addfile(info, io.BytesIO(text))
    return buffer.getvalue()


def test_archives_are_compared_by_their_members() -> None:
    one = gzip.compress(_tar(1, ["a", "./b"]), mtime=5)
    assert truth.content(one) == truth.content(gzip.compress(_tar(2, ["b", "a"]), mtime=6))
    assert truth.content(one) != truth.content(gzip.compress(_tar(1, ["a", "b"], b"y"), mtime=5))
    assert truth.content(one) != truth.content(gzip.compress(_tar(1, ["a", "c"]), mtime=5))
    zips = []
    for year in (2020, 2021):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(zipfile.ZipInfo("n", (year, 1, 1, 0, 0, 0)), "text")
        zips.append(truth.content(buffer.getvalue()))
    assert zips[0] == zips[1]
    assert truth.content(b"\x1f\x8bbroken") != truth.content(b"\x1f\x8bbroken too")


@pytest.mark.parametrize("change", [
    lambda folder: (folder / "a").write_text("other"), lambda folder: (folder / "a").chmod(0o755),
    lambda folder: (folder / "new").mkdir(), lambda folder: (folder / "a").unlink(),
    lambda folder: (folder / "l").symlink_to("b"), lambda folder: (folder / "a").rename(folder / "z")])
def test_the_state_sees_every_change(tmp_path: Path, change: Callable[[Path], object]) -> None:
    (tmp_path / "a").write_text("text")
    (tmp_path / ".git").mkdir()
    before = truth.state(tmp_path)
    (tmp_path / ".git" / "index").write_text("inside git is not looked at")
    assert truth.state(tmp_path) == before
    change(tmp_path)
    assert truth.state(tmp_path) != before


# ---- the schemas


ALL = episodes.load()
SAMPLE = sample(ALL, 60)  # that are executed; all of them are ``slow``


def test_there_are_enough_kinds() -> None:
    single = [schema for schema in ALL.values() if schema.steps == 1]
    tools = {tool for schema in single for tool in schema.tools}
    wanted = {"find", "grep", "sed", "awk", "sort", "uniq", "cut", "wc", "tr", "head", "tail", "xargs", "tar", "gzip",
              "zip", "du", "df", "ls", "cp", "mv", "mkdir", "rm", "rmdir", "chmod", "ln", "stat", "date", "basename",
              "diff", "cmp", "comm", "paste", "touch", "cat", "rev", "tac", "seq", "printf", "echo", "file", "md5sum",
              "sha256sum", "env", "whoami", "hostname", "jq"}
    assert len(single) >= 45 and wanted <= tools, wanted - tools
    assert {schema.steps for schema in ALL.values()} >= {1, 2, 3}


def test_every_kind_drafts() -> None:
    """Without running it: requests, and as many commands and lines of plan as it says."""
    for schema in ALL.values():
        for seed in range(1, 60):
            try:
                made = draft(seed, [schema])[2]
                break
            except Rejected:
                continue
        else:
            raise AssertionError(f"{schema.name} suits no world")
        assert made.requests and all(request.strip() for request in made.requests), schema.name
        assert len(made.commands) == schema.steps and all(map(str.strip, made.commands)), schema.name
        assert len(made.plan) == max(1, schema.steps) or (0 < len(made.plan) < schema.steps and made.fails), schema.name


@pytest.mark.parametrize("schema", [pytest.param(schema, id=name, marks=[] if name in SAMPLE else [pytest.mark.slow])
                                    for name, schema in ALL.items()])
def test_schema(schema: Schema, executor: Executor) -> None:
    """A valid episode; its gold passes its own check; an empty output, or an unchanged folder, does not."""
    episode = good(schema, executor)
    assert len(episode.requests) == len(set(episode.requests)) >= 1
    assert all("{" not in request.replace("${", "") or "{" in " ".join(episode.protected)
               for request in episode.requests), episode.requests
    turns = episodes.render(episode, random.Random(1), note=True)
    assert [turn.role for turn in turns] == ["system", "user", "plan", *["bash", "output"] * episode.steps, "assistant"]
    assert all(turn.text.strip() for turn in turns if turn.role != "output")
    mended = [at for at in range(len(turns) - 3)  # the last command is an answer, whatever its status
              if turns[at].role == "bash" and turns[at + 1].text.startswith("[exit ")]
    assert [turn.tainted for turn in turns] == [
        turn.role in ("system", "output") or at in mended for at, turn in enumerate(turns)]
    again = executor.run(episode.world, episode.commands, episode.times, *episodes.place(episode.seed))
    assert again is not None and again.after == episode.expect_state
    if episode.asks:
        last = again.observations[-1][0].replace(again.root, "{root}")
        assert episode.expect_output is None or matches(episode.expect_output, last, episode.ordered)
        assert episode.expect_output is None or not matches(episode.expect_output, "", episode.ordered)
    else:
        assert (again.before != episode.expect_state) == bool(episode.steps)


def test_the_commands_of_another_request_do_not_pass(executor: Executor) -> None:
    among = [schema for schema in ALL.values() if schema.name.split(".")[0] in ("find", "grep", "text", "file", "csv")]
    found = [episode for episode in episodes.produce(range(60), among, executor)
             if episode.expect_output or not episode.asks]
    passed = []
    for one, other in pairwise(found):
        done = executor.run(one.world, other.commands, one.times, *episodes.place(one.seed))
        if done is None or done.after != one.expect_state:
            continue
        outputs = [output for output, _ in done.observations]
        if one.asks and not any(matches(one.expect_output or "", output, one.ordered) for output in outputs):
            continue
        passed.append((one.commands, other.commands))
    assert len(found) > 50 and not passed


@pytest.mark.parametrize(("made", "reason"), [
    (Draft(["q"], ["cat missing"], ["p"], True), "ended with 1"),
    (Draft(["q"], ["true"], ["p"], True), "empty answer"),
    (Draft(["q"], ["true"], ["p"], False), "nothing changed"),
    (Draft(["q"], ["seq 5000"], ["p"], True), "printed too much"),
    (Draft(["q"], ["ls", "ls"], ["p", "p"], True), "do not agree"),
    (Draft(["q"], ["ls"], ["p"], True, fails=frozenset({0})), "ended with 0"),
    (Draft(["q"], [], ["p"], False, answer="no"), "do not agree")])
def test_a_wrong_draft_is_rejected(made: Draft, reason: str, executor: Executor) -> None:
    schema = Schema("x.x", ("ls",), 1, lambda world, rng: made)
    with pytest.raises(Rejected, match=reason):
        execute(1, schema, small("a"), made, executor)


def test_to_decline_needs_a_word(executor: Executor) -> None:
    schema = Schema("x.x", (), 0, lambda world, rng: Draft(["q"], [], ["p"], False))
    with pytest.raises(Rejected, match="without a word"):
        execute(1, schema, small("a"), Draft(["q"], [], ["p"], False), executor)
    episode = execute(1, schema, small("a"), Draft(["q"], [], ["p"], False, answer="No."), executor)
    assert [turn.role for turn in episodes.render(episode, random.Random(0), False)] == ["user", "plan", "assistant"]


# ---- rows and wordings


def test_rows_give_the_turns_back(executor: Executor) -> None:
    episode = good(ALL["text.count_lines"], executor)
    row = json.loads(json.dumps(episodes.row(episode)))
    turns = [Turn(turn["role"], turn["text"], turn["tainted"]) for turn in row["turns"]]
    rng = random.Random(episode.seed ^ 0xF00D)
    assert turns == episodes.render(episode, rng, rng.random() < episodes.NOTE_SHARE)
    assert turns[-1].text.split()[-2] == row["outputs"][0][0].strip(), "the answer carries the output"


def test_the_command_writes_the_same_file_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, workers in zip(files, ("1", "2"), strict=True):
        assert episodes.main(["--count", "30", "--seed", "5", "--out", str(path), "--workers", workers, "--schemas",
                              "text.*,file.*", "--steps", "1"]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    rows = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert len(rows) >= 28 and all(row["schema"].startswith(("text.", "file.")) for row in rows)
    assert "rejected" in capsys.readouterr().err
    assert episodes.main(["--count", "1", "--out", str(files[0]), "--schemas", "no.such"]) == 2


def test_wordings() -> None:
    rng = random.Random(0)
    said = {say(rng, "(a|b (c|d)|) {x}", x="(y|z)") for _ in range(60)}
    assert said == {"a (y|z)", "b c (y|z)", "b d (y|z)", "(y|z)"}
    assert say(rng, "is it (here|here) ?") == "is it here?" and say(rng, "a .bak file .") == "a .bak file."
    for seed in range(400):
        text = humanise(random.Random(seed), "rename bottle.txt to candle.txt in folder", ("bottle.txt", "candle.txt"))
        assert "bottle.txt" in text and "candle.txt" in text


# ---- evaluation


@pytest.mark.parametrize(("passed", "total", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0),
                                                              (81, 263, 0.2553, 0.3662)])
def test_wilson(passed: int, total: int, low: float, high: float) -> None:
    """81 of 263: the example of Newcombe 1998, table I (0.2553 to 0.3662 without continuity correction)."""
    got = evaluate.wilson(passed, total)
    assert math.isclose(got[0], low, abs_tol=6e-5) and math.isclose(got[1], high, abs_tol=6e-5)


@needs_bwrap
def test_evaluation_passes_the_gold_and_nothing_else() -> None:
    tasks = list(evaluate.unseen(14, 3))
    assert all(episode.seed >= EVALUATION for episode in tasks)
    assert any(episode.root for episode in tasks), "none of them names its folder"

    def run(shell: Shell, commands: tuple[str, ...]) -> Namespace:
        return Namespace(steps=[shell.run(command) for command in commands], answer="")

    def right(shell: Shell, request: str) -> Namespace:
        for episode in (episode.at(shell.run("pwd").output.strip()) for episode in tasks):
            rng = random.Random(episode.seed ^ 0xF00D)
            if humanise(rng, rng.choice(episode.requests), episode.protected, episode.commands) == request:
                return run(shell, episode.commands)
        raise AssertionError(f"nobody was to ask {request!r}")

    report = evaluate.evaluate(right, tasks)
    assert [verdict.why for verdict in report.verdicts] == [""] * 14
    assert report.rate() == (14, 14) and json.loads(json.dumps(report.data()))["all"]["rate"] == 1
    assert evaluate.evaluate(lambda shell, request: run(shell, ("true",)), tasks).rate() == (0, 14)
    busy = [episode for episode in tasks if episode.commands][:3]
    assert evaluate.evaluate(lambda shell, request: run(shell, ()), busy).rate() == (0, 3)

    declined = list(evaluate.unseen(3, 3, steps=0))
    assert evaluate.evaluate(lambda shell, request: run(shell, ()), declined).rate() == (3, 3)
    assert evaluate.evaluate(lambda shell, request: run(shell, ("true",)), declined).rate() == (0, 3)

    def raises(shell: Shell, request: str) -> Namespace:
        raise NimError("the model broke")

    assert evaluate.evaluate(raises, tasks[:1]).verdicts[0].why == "the model broke"


@needs_bwrap
def test_a_repair_is_judged_once_more_after_its_failing_command() -> None:
    found = evaluate.unseen(9, 5, "repair.copy_folder,repair.grep_case")
    tasks = [episode for episode in found if not episode.root][:3]  # their requests are the same in every folder
    assert all(evaluate.up_to_failure(episode) == episode.commands[:1] for episode in tasks)
    right: dict[str, tuple[str, ...]] = {}
    for episode in tasks:
        rng = random.Random(episode.seed ^ 0xF00D)
        right[humanise(rng, rng.choice(episode.requests), episode.protected)] = episode.commands
    seen: list[Sequence[str]] = []

    def work(shell: Shell, request: str) -> Namespace:
        """Avoids the failure."""
        return Namespace(steps=[shell.run(command) for command in right[request][1:]], answer="")

    def repair(shell: Shell, request: str, played: Sequence[str]) -> Namespace:
        seen.append(played)
        rest = right[request][len(played):] if len(seen) < 3 else ()
        return Namespace(steps=[shell.run(command) for command in (*played, *rest)], answer="")

    report = evaluate.evaluate(work, tasks, repair=repair)
    assert report.rate() == (3, 3) and report.failed() == (0, 0)
    assert report.repaired() == (2, 3) and seen == [episode.commands[:1] for episode in tasks]
    assert all(not verdict.failures for verdict in report.repairs), "the played failure is not the model's"
    assert "repairs, the failing command played first: 2/3" in "\n".join(report.lines())
    data = json.loads(json.dumps(report.data()))
    assert data["repairs"]["passed"] == 2 and len(data["played"]) == 3 and data["failed"]["total"] == 0
    clumsy = evaluate.evaluate(lambda shell, request: repair(shell, request, right[request][:1]), tasks)
    assert clumsy.failed() == (0, 3) and not clumsy.repairs


@needs_bwrap
def test_eval_shell_runs_the_loop(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tests' model knows "list the files" and little else: the command line ends with 0 and a report either way."""
    arguments = Namespace(model=str(run_folder), tasks=1, seed=EVALUATION, steps=1, schemas="list.plain", failures=True,
                          json=True, samples=None, try_first=False, try_seconds=2.0, pass_at=2, temperature=1.0)
    assert evaluate.main(arguments) == 0
    data = json.loads(capsys.readouterr().out)
    assert list(data["pass_at"]) == ["1", "2"] and 0 <= data["pass_at"]["1"] <= data["pass_at"]["2"] <= 1
    assert data["all"]["total"] == 1 and data["steps"]["1"]["total"] == 1 and list(data["schemas"]) == ["list.plain"]
    assert all(task["seed"] >= EVALUATION and task["request"] for task in data["tasks"])


@pytest.mark.parametrize("arguments", [(0, 1.0), (65, 1.0), (4, 0.0)])
def test_attempts_that_cannot_be_are_refused(run_folder: Path, arguments: tuple[int, float]) -> None:
    with pytest.raises(UsageError, match="--pass-at"):
        evaluate.main(Namespace(model=str(run_folder), pass_at=arguments[0], temperature=arguments[1], samples=None,
                                try_first=False, try_seconds=2.0))


def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one() -> None:
    for right, count, k in ((0, 4, 2), (1, 4, 2), (2, 5, 3), (4, 4, 1), (1, 6, 6)):
        draws = [any(place < right for place in draw) for draw in combinations(range(count), k)]
        assert attempts.pass_at(right, count, k) == pytest.approx(sum(draws) / len(draws))
    outcomes = iter([[True, False], [True, True], [False, False]])

    def evaluated(number: int) -> evaluate.Report:
        return evaluate.Report([evaluate.Verdict("s", 1, 0, "r", [], [], "", "" if passed else "no", 0.0)
                                for passed in next(outcomes)])

    made = attempts.Attempts.of(3, evaluated)
    assert made.right == [2, 1] and made.shown == [1, 2, 3]
    assert made.at(1) == pytest.approx(0.5) and made.at(3) == 1.0
    assert made.line() == "sampled: pass@1 50.0%, pass@2 83.3%, pass@3 100.0%"
