"""Two processes against one: the same losses; killed, stopped and resumed with another number of them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import ddp_worker
import numpy as np
import pytest

from nimllm.llm.distributed import Group
from nimllm.llm.run_folder import read_metrics

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def trace(run: Path) -> list[float]:
    return [loss for _, loss in read_metrics(run)[0]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every run of the worker, by one process and by two."""
    folder = tmp_path_factory.mktemp("runs")
    ddp_worker.write_data(folder)
    for name in (*ddp_worker.RUNS, *ddp_worker.SHARDED):
        ddp_worker.train(folder, folder / f"{name}.one", name)
    for name in ("sharded_adamw", "sharded_muon"):
        ddp_worker.train(folder, folder / f"{name}.grown", name, stop_after=3)
    ddp_worker.train(folder, folder / "grown", "masked", stop_after=3)
    done = subprocess.run([*LAUNCH, ddp_worker.__file__, str(folder), ",".join(ddp_worker.RUNS)], env=environment(),
                          capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    ddp_worker.train(folder, folder / "shrunk", "masked", resume=True)
    for name in ("sharded_adamw", "sharded_muon"):
        ddp_worker.train(folder, folder / f"{name}.shrunk", name, resume=True)
    return folder


def tolerance(name: str) -> float:
    """Muon orthogonalises in bf16: what fp32 rounds in the gradient becomes parts in a thousand of the update."""
    return 3e-3 if "muon" in name or "bf16" in name else 2e-5


@pytest.mark.parametrize("name", [*ddp_worker.RUNS, *ddp_worker.SHARDED])
def test_two_processes_lose_what_one_loses(runs: Path, name: str) -> None:
    one, two = (read_metrics(runs / f"{name}.{count}") for count in ("one", "two"))
    assert len(one[0]) == len(two[0]) == ddp_worker.STEPS and one[0][-1][1] < max(loss for _, loss in one[0])
    rtol = tolerance(name)
    np.testing.assert_allclose(np.array(two[0])[:2], np.array(one[0])[:2], rtol=1e-3 if "bf16" in name else 2e-5)
    np.testing.assert_allclose(np.array(two[0]), np.array(one[0]), rtol=rtol)
    np.testing.assert_allclose(np.array(two[1]), np.array(one[1]), rtol=rtol)
    norms = [[json.loads(line)["gradient_norm"] for line in (runs / f"{name}.{count}" / "metrics.jsonl").open()]
             for count in ("one", "two")]
    np.testing.assert_allclose(norms[1], norms[0], rtol=0.05 if rtol > 1e-3 else 2e-3, atol=1e-5)


@pytest.mark.parametrize("name", [f"{kind}{way}" for kind in ("", "sharded_adamw.", "sharded_muon.")
                                  for way in ("shrunk", "grown")])  # fmt: skip
def test_a_run_goes_on_with_another_number_of_processes(runs: Path, name: str) -> None:
    steps, losses = zip(*read_metrics(runs / name)[0], strict=True)
    assert list(steps) == list(range(1, ddp_worker.STEPS + 1))
    whole = name.split(".")[0] if "." in name else "masked"
    np.testing.assert_allclose(losses, trace(runs / f"{whole}.one"), rtol=tolerance(name))


def test_shards_and_copies_leave_the_same_checkpoint(runs: Path) -> None:
    from safetensors.numpy import load_file

    for name in ("sharded_adamw", "sharded_muon"):
        one, two = (load_file(runs / f"{name}.{count}" / "last.safetensors") for count in ("one", "two"))
        assert {key: tensor.shape for key, tensor in one.items()} == {key: tensor.shape for key, tensor in two.items()}
        apart = max(float(np.abs(one[key] - two[key]).max()) for key in one if key.startswith("weight::"))
        assert apart < (5e-3 if "muon" in name else 1e-4), apart
        best = [load_file(runs / f"{name}.{count}" / "model.safetensors") for count in ("one", "two")]
        assert all(best[0][key].shape == best[1][key].shape for key in best[0]) and best[0].keys() == best[1].keys()


@pytest.mark.parametrize("count, size", [(3, 2), (1, 2), (8, 3), (0, 4), (7, 1)])
def test_parts_are_all_rows_once_and_in_order(count: int, size: int) -> None:
    parts = [Group(rank, size).part(count) for rank in range(size)]
    assert [row for part in parts for row in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


# -- the command under torchrun ----------------------------------------------------------------------------------

OPTIONS = ["--size", "tiny", "--context", "32", "--batch-tokens", "96", "--eval-every", "1000", "--plain", "--dtype",
           "fp32", "--device", "cpu", "--save-seconds", "0.3", "--seed", "4"]  # fmt: skip


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(5)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(2, 9))) for _ in range(300)]
    folder = tmp_path_factory.mktemp("book")
    (folder / "book.txt").write_text("".join(" ".join(rng.choice(words, 12)) + ".\n" for _ in range(900)))
    return folder


class Launched:
    """torchrun in the background; its children, and what it says."""

    def __init__(self, folder: Path, *words: str, restarts: int = 0) -> None:
        self.output = folder / f"output-{time.monotonic_ns()}.txt"
        with open(self.output, "w") as file:
            command = [*LAUNCH, "--max-restarts", str(restarts), "-m", "nimllm.llm.train", *words]
            self.process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=file,
                                            stderr=subprocess.STDOUT, start_new_session=True)

    def said(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def wait_for(self, text: str, path: Path | None = None, times: int = 1) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            if self.said().count(text) >= times and (path is None or path.exists()):
                return
            time.sleep(0.05)
        raise AssertionError(f"{text!r} never came: {self.said()}")

    def children(self) -> list[int]:
        """The training processes in the order of their ranks."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(entry.read_text().rsplit(")", 1)[1].split()[1])
                variables = (entry.parent / "environ").read_bytes().split(b"\0") if parent == self.process.pid else []
            except (OSError, IndexError, ValueError):
                continue
            for variable in variables:
                if variable.startswith(b"RANK="):
                    found[int(variable[5:])] = int(entry.parent.name)
        return [found[rank] for rank in sorted(found)]

    def end(self) -> int:
        try:
            return self.process.wait(60)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the processes through /proc")
def test_kill_of_one_process_ends_the_other_and_the_run_goes_on(book: Path) -> None:
    launched = Launched(book, "book.txt", "--out", "killed", "--steps", "100000", *OPTIONS)
    run = book / "killed"
    launched.wait_for("step 1/", run / "last.safetensors")
    children = launched.children()
    assert len(children) == 2
    os.kill(children[1], signal.SIGKILL)
    began = time.monotonic()
    assert launched.end() != 0 and time.monotonic() - began < 30
    said = launched.said()
    assert said.count("nimllm: ") == 1 and "another process of this run is gone" in said and "--resume" in said
    assert not any(Path(f"/proc/{child}").exists() for child in children)

    resumed = Launched(book, "--resume", "--out", "killed", "--plain", "--device", "cpu", restarts=1)
    resumed.wait_for("resumed after step")
    after = int(re.findall(r"resumed after step (\d+)", resumed.said())[0])
    resumed.wait_for(f"step {after + 1}/")
    os.kill(resumed.children()[0], signal.SIGKILL)  # now torchrun itself goes on with the run
    resumed.wait_for("resumed after step", times=2)
    last = int(re.findall(r"resumed after step (\d+)", resumed.said())[1])
    seen = resumed.said().rsplit("resumed after step", 1)[0].count(f"step {last + 1}/")  # by those who were killed
    resumed.wait_for(f"step {last + 1}/", times=seen + 1)
    os.kill(resumed.process.pid, signal.SIGTERM)
    assert resumed.end() != 0
    steps = [step for step, _ in read_metrics(run)[0]]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > last >= after


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the processes through /proc")
def test_interrupt_stops_all_processes_after_the_same_step(book: Path) -> None:
    launched = Launched(book, "book.txt", "--out", "stopped", "--steps", "100000", *OPTIONS)
    launched.wait_for("step 1/")
    os.killpg(launched.process.pid, signal.SIGINT)  # as ^C in a terminal does: torchrun and both processes
    assert launched.end() != 0
    said = launched.said()
    assert said.count("nimllm: stopped at step") == 1 and "go on with --resume" in said.lower()
    step = int(re.findall(r"stopped at step (\d+)", said)[0])
    from safetensors import safe_open

    with safe_open(book / "stopped" / "last.safetensors", "np") as file:
        assert file.metadata()["step"] == str(step)
    assert len(read_metrics(book / "stopped")[0]) == step


def test_an_error_of_all_is_said_once(book: Path) -> None:
    launched = Launched(book, "missing.txt", "--out", "nothing", *OPTIONS)
    assert launched.end() != 0
    said = launched.said()
    assert said.count("nimllm: ") == 1 and "missing.txt" in said, said
    assert not (book / "nothing").exists()


LEAVES = """
import atexit, sys
from nimllm.errors import NimError
from nimllm.llm.distributed import together

class Last:
    def __del__(self):
        print("taken apart")

last = Last()

def work(group):
    group.join("gloo")
    atexit.register(print, f"left {group.rank}")
    group.sum([1.0])
    if sys.argv[1] == "fails":
        raise NimError("no luck", "", "", 7)
    return 0

try:
    sys.exit(together(work))
except NimError as error:
    sys.exit(error.code)
"""


@pytest.mark.parametrize("how, code", [("well", 0), ("fails", 7)])
def test_a_process_ends_before_python_is_taken_apart(tmp_path: Path, how: str, code: int) -> None:
    """gloo's threads may want the interpreter until the end: now and then that was an abort."""
    script = tmp_path / "leaves.py"
    script.write_text(LEAVES)
    done = subprocess.run([*LAUNCH, str(script), how], env=environment(), capture_output=True, text=True, timeout=120)
    assert (done.returncode != 0) == (code != 0)
    assert "left 0" in done.stdout and "left 1" in done.stdout and "taken apart" not in done.stdout
    if code:
        assert re.search(rf"exitcode\s*: {code}\b", done.stderr), done.stderr
