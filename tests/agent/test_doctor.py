"""What doctor says of a machine, good and bad."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

Call = Callable[..., CompletedProcess[str]]


def test_a_healthy_machine(nimllm: Call, run_folder: Path) -> None:
    done = nimllm("doctor", "--model", str(run_folder), "--json")
    data = json.loads(done.stdout)
    rows = {row["name"]: row for row in data["findings"]}
    assert done.returncode == data["exit_code"] == 0
    assert set(rows) == {"system", "bash", "sandbox", "state", "kept", "engine", "model", "memory", "kernels"}
    assert rows["sandbox"]["level"] == "bwrap" and len(rows["model"]["fingerprint"]) == 64
    assert {row["op"] for row in rows["kernels"]["table"]} >= {"rms_norm", "attention", "decode"}
    text = nimllm("doctor", "--model", str(run_folder)).stdout
    findings = [line for line in text.splitlines() if not line.startswith(" ")]  # the table of kernels has many lines
    assert {"attention", "decode", "linear_cross_entropy"} <= {
        line.split()[1] for line in text.splitlines() if line.startswith(" ") and line.split()[0] == "cpu"}
    assert len(findings) == 9 and "fingerprint" in text and "\x1b" not in text


def test_everything_is_examined_though_something_is_bad(nimllm: Call, tmp_path: Path) -> None:
    done = nimllm("doctor", "--model", str(tmp_path / "none"), "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)["findings"]}
    assert done.returncode == 3 and rows["model"]["state"] == "bad" and "no such folder" in rows["model"]["said"]
    assert rows["kernels"]["state"] == "good"


def test_a_damaged_model_is_named(nimllm: Call, run_folder: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(run_folder, broken)
    raw = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(raw[: len(raw) // 2])
    done = nimllm("doctor", "--model", str(broken))
    assert done.returncode == 3 and "model.safetensors" in done.stdout


def test_every_probe_of_the_sandbox_is_named(nimllm: Call, run_folder: Path) -> None:
    done = nimllm("doctor", "--model", str(run_folder), "--json")
    found = next(row for row in json.loads(done.stdout)["findings"] if row["name"] == "sandbox")
    assert set(found["levels"]) == {"bwrap", "landlock"}
    for level in found["levels"].values():
        names = {check["name"]: check["held"] for check in level["checks"]}
        assert not level["works"] or (all(names.values()) and {
            "a command runs", "the workspace can be written", "nothing outside can be written", "there is no network",
            "protected files cannot be written", "no privilege can be gained", "this process cannot be looked into",
            "system calls are filtered"} <= set(names))
    text = nimllm("doctor", "--model", str(run_folder)).stdout
    assert "no privilege can be gained (NoNewPrivs 1, CapEff 0000000000000000)" in text


def test_no_sandbox_fails_closed(nimllm: Call, run_folder: Path, workspace: Path) -> None:
    """The workspace is the whole machine: nothing can be held in it."""
    words = ("agent", "--model", str(run_folder), "--memory", "off", "-C", "/", "-p", "list the files")
    done = nimllm(*words, "--mode", "ask")
    assert done.returncode == 5 and "--sandbox none" in done.stderr and done.stderr.count("\n") == 1
    assert nimllm(*words, "--mode", "auto", "--sandbox", "none").returncode == 5
