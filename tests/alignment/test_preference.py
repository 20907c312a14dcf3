"""DPO and KTO through TRL on a tiny model: learning, resume, collapse on purpose, the guard, refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nimllm.alignment import preference, preferences
from nimllm.alignment.guard import Budgets
from nimllm.alignment.preference import Method, Outcome, PreferenceSettings
from nimllm.cli import main
from nimllm.errors import NimError
from nimllm.llm.checkpoint import read_tensors
from nimllm.llm.generate import Generator
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render

pytest.importorskip("trl")

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("Ada", "Bo", "Cy", "Di", "Eve", "Flo", "Gus", "Hal", "Ira", "Jo")
SETTINGS = PreferenceSettings("dpo", beta=0.1, lr=2e-3, epochs=2, batch=8, held_out=10, sampled=6, sample_tokens=24,
                              guard_every=8, device="cpu", threads=1, budgets=Budgets(0, 0, 0, 0, 0))


def rows() -> list[dict[str, Any]]:
    """The model says "I don't know that yet."; the better answer is another one."""
    return [{"prompt": f"what is {name}'s {thing}?", "chosen": "Ask me later.", "rejected": "I don't know that yet."}
            for name in NAMES for thing in ("name", "job", "cat", "town", "car", "team")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("preferences") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()), "utf-8")
    return path


def tune(run: Path, out: Path, data: Path, settings: PreferenceSettings, **options: Any) -> Outcome:
    said: list[str] = []
    return preference.tune(run, out, preferences.read([data]), settings, said.append, **options)


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]


def trace(out: Path) -> list[tuple[float, ...]]:
    return [tuple(row[name] for name in ("step", "loss", "lr", "margin", "tokens")) for row in metrics(out)]


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_run_learns_and_goes_on_where_it_was_stopped(method: Method, tmp_path: Path, talking_run: Path, data: Path
                                                       ) -> None:
    settings = replace(SETTINGS, method=method)
    outcome = tune(talking_run, tmp_path / "one", data, settings)
    assert outcome.baseline.wins < 0.2 and outcome.kept.wins > outcome.baseline.wins + 0.2 and outcome.kept.kl > 0
    assert outcome.kept.step > 0 and not outcome.stopped
    found = metrics(tmp_path / "one")
    assert [row["step"] for row in found] == list(range(1, outcome.steps + 1))
    assert found[-1]["margin"] > found[0]["margin"] and {"logp_chosen", "logp_rejected", "entropy"} <= found[0].keys()
    assert ("z_ref" in found[0]) == (method == "kto") and "held_wins" in found[-1]
    about = json.loads((tmp_path / "one" / "preference.json").read_text())
    assert about["method"] == method and about["kept"]["wins"] == outcome.kept.wins and about["baseline"]["step"] == 0
    if method == "kto":
        return
    # it is a run folder like any other
    generator = Generator.load(tmp_path / "one", threads=1)
    prompt = render([Turn("user", "what is Ada's hat?")], generator.tokenizer).ids
    assert generator.complete([*prompt, generator.tokenizer.marker("assistant")], 8).ids
    assert "--- step 0" in (tmp_path / "one" / "samples.txt").read_text()
    assert json.loads((tmp_path / "one" / "config.json").read_text())["training"]["steps"] == outcome.steps

    from nimllm.llm.train import Interrupted

    with pytest.raises(Interrupted, match="--resume"):
        tune(talking_run, tmp_path / "two", data, replace(settings, stop_after=3))
    again = tune(talking_run, tmp_path / "two", data, settings, resume=True)
    assert trace(tmp_path / "two") == trace(tmp_path / "one") and again.kept == outcome.kept
    one, two = (read_tensors(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not list((tmp_path / "two").glob(".resume*")) and not list((tmp_path / "two").glob("*.pt*"))
    assert tune(talking_run, tmp_path / "two", data, settings, resume=True) == again  # finished: nothing is done

    with pytest.raises(NimError, match="already holds a model"):
        tune(talking_run, tmp_path / "one", data, settings)
    with pytest.raises(NimError, match="these differ: lr"):
        tune(talking_run, tmp_path / "one", data, replace(settings, lr=1e-5), resume=True)
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps(row) + "\n" for row in rows()[:-1]), "utf-8")
    with pytest.raises(NimError, match="other preferences"):
        tune(talking_run, tmp_path / "one", other, settings, resume=True)
    with pytest.raises(NimError, match="no run to resume"):
        tune(talking_run, tmp_path / "none", data, settings, resume=True)
    with pytest.raises(NimError, match="would be overwritten"):
        tune(talking_run, talking_run, data, settings)


def unclamped() -> type:
    """KTO as it must not be: z_ref may be negative, so a policy that forgets everything looks better and better."""
    import torch
    from trl import KTOTrainer

    class Unclamped(KTOTrainer):  # type: ignore[misc]
        def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
            def ratio(prefix: str) -> torch.Tensor:
                ids, mask = inputs[f"{prefix}input_ids"], inputs[f"{prefix}completion_mask"]
                given = {"input_ids": ids, "labels": ids.masked_fill(mask == 0, -100), "fused_lm_head": True}
                with torch.no_grad():
                    before = self.ref_model(**given).log_probs.sum(-1)
                return model(**given).log_probs.sum(-1) - before

            ratios, z_ref, good = ratio(""), ratio("KL_").mean().detach(), inputs["label"]
            signs = torch.where(good, 1.0, -1.0)
            self._metrics["train"]["kl"].append(float(z_ref))
            for name, some in (("chosen", ratios[good]), ("rejected", ratios[~good])):
                if len(some):
                    self._metrics["train"][f"rewards/{name}"].append(float(self.beta * some.detach().mean()))
            return (1 - torch.sigmoid(self.beta * signs * (ratios - z_ref))).mean()

    return Unclamped


def test_a_run_made_to_collapse_is_caught_and_the_model_before_it_kept(tmp_path: Path, talking_run: Path, data: Path
                                                                       ) -> None:
    ruin = replace(SETTINGS, method="kto", beta=0.5, lr=3e-2, epochs=3, guard_every=3, batch=8)
    loose = tune(talking_run, tmp_path / "loose", data, replace(ruin, guard="off"), trainer_class=unclamped())
    # the documented failure: accuracy 1.0 while the model is far from where it came from and what it says is of no use
    assert loose.kept.accuracy == 1.0 and loose.kept.kl > 1 and loose.kept.margin > 20 and loose.kept.valid < 0.5
    assert min(row["z_ref"] for row in metrics(tmp_path / "loose")) < -5

    tight = replace(ruin, budgets=Budgets())
    outcome = tune(talking_run, tmp_path / "tight", data, tight, trainer_class=unclamped())
    assert outcome.stopped and outcome.step < outcome.steps
    assert any("KL to the reference" in said for said in outcome.stopped)
    assert outcome.kept.kl <= 0.1 and outcome.kept.chosen > -0.5 and outcome.kept.valid >= loose.kept.valid
    kept = read_tensors(tmp_path / "tight" / "model.safetensors")
    if outcome.kept.step == 0:
        assert all(np.array_equal(kept[name], tensor) for name, tensor in
                   read_tensors(talking_run / "model.safetensors").items())
    about = json.loads((tmp_path / "tight" / "preference.json").read_text())
    assert about["stopped"] == list(outcome.stopped) and about["kept"]["step"] == outcome.kept.step
    # a stopped run stays stopped
    again = tune(talking_run, tmp_path / "tight", data, tight, resume=True, trainer_class=unclamped())
    assert again == outcome


def test_weights_that_are_no_numbers_end_the_run(tmp_path: Path, talking_run: Path, data: Path) -> None:
    from trl import DPOTrainer

    class Broken(DPOTrainer):  # type: ignore[misc]
        def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
            loss = super()._compute_loss(model, inputs, return_outputs)
            return loss * float("nan") if self.state.global_step > 3 else loss

    few = replace(SETTINGS, epochs=1, guard_every=2, guard="watch")
    outcome = tune(talking_run, tmp_path / "watched", data, few, trainer_class=Broken)
    assert outcome.stopped == ("the weights are not finite any more",) and outcome.step == 6
    assert outcome.kept.step <= 4  # the best of what was measured before; the start is, too
    kept = read_tensors(tmp_path / "watched" / "model.safetensors")
    assert all(np.isfinite(tensor).all() for tensor in kept.values())
    with pytest.raises(NimError, match="smaller --lr"):
        tune(talking_run, tmp_path / "off", data, replace(few, guard="off"), trainer_class=Broken)


def test_command_line_codes_and_messages(tmp_path: Path, talking_run: Path, data: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    words = ["align", "dpo", str(data), "--model", str(talking_run), "--device", "cpu", "--threads", "1", "--plain",
             "--batch", "8", "--held-out", "6", "--guard-every", "2", "--text", str(ROOT / "LICENSE")]
    assert main([*words, "--out", str(tmp_path / "fine"), "--lr", "1e-4"]) == 0
    printed = capsys.readouterr()
    assert "chosen over rejected, per token" in printed.out and "done: 6 steps" in printed.out
    assert "held out at step 2" in printed.err and "Warning" not in printed.err and "{'" not in printed.out
    assert main([*words, "--out", str(tmp_path / "fast"), "--lr", "5e-2"]) == 6
    printed = capsys.readouterr()
    assert "a budget was passed: KL to the reference" in printed.out and "smaller --lr" in printed.out
    for more, what in ((["--beta", "0"], "--beta 0"), (["--batch", "0"], "--batch 0"), (["--lr", "nan"], "--lr nan"),
                       (["--max-kl", "-1"], "a budget of -1"), (["--text", "none.txt"], "cannot read none.txt")):
        assert main([*words, "--out", str(tmp_path / "no"), *more]) in (2, 3)
        assert what in capsys.readouterr().err
    assert main(["align", "kto", *words[2:], "--batch", "1", "--out", str(tmp_path / "no")]) == 2
    assert "other rows of a batch" in capsys.readouterr().err and not (tmp_path / "no").exists()


def test_outputs_inside_answers_are_not_learnt(tokenizer: Tokenizer) -> None:
    import torch

    from nimllm.alignment.preference_run import OwnTokens

    turns = [Turn("bash", "ls"), Turn("output", "a b c", True), Turn("assistant", "done")]
    rendered = render(turns, tokenizer)
    width = len(rendered.ids) + 3
    ids = torch.tensor([row + [tokenizer.pad] * (width - len(row)) for row in (rendered.ids, rendered.ids[:7])])
    mask = (ids != tokenizer.pad).long()
    batch = {"input_ids": ids, "completion_mask": mask.clone(), "KL_input_ids": ids[:1],
             "KL_completion_mask": mask[:1].clone()}
    found = OwnTokens(lambda rows: batch, tokenizer)([])
    mask[:, 0] = found["completion_mask"][:, 0]
    assert found["completion_mask"][0, 1:len(rendered.ids)].tolist() == [int(own) for own in rendered.learn[1:]]
    assert found["KL_completion_mask"].tolist() == found["completion_mask"][:1].tolist()


def test_without_trl_one_clear_error(tmp_path: Path, data: Path) -> None:
    program = ("import sys; sys.modules['trl'] = None; from nimllm.cli import main; "
               f"sys.exit(main(['align', 'dpo', {str(data)!r}, '--out', {str(tmp_path / 'out')!r}]))")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3 and 'pip install "nimllm[align]"' in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_processes_and_a_killed_run(tmp_path: Path, talking_run: Path, data: Path) -> None:
    """torchrun with two gloo processes on a CPU; kill -9 leaves a run that goes on."""
    words = ["align", "dpo", str(data), "--model", str(talking_run), "--out", str(tmp_path / "out"), "--device", "cpu",
             "--threads", "1", "--plain", "--batch", "4", "--epochs", "2", "--held-out", "6", "--lr", "1e-3",
             "--guard-every", "3", "--guard", "watch"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "nimllm"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, *words], cwd=ROOT, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("chosen over rejected, per token") == 1 and "done: 12 steps" in done.stdout
    alone = [*words, "--batch", "8"]
    alone[alone.index(str(tmp_path / "out"))] = str(tmp_path / "alone")
    subprocess.run([sys.executable, "-m", "nimllm", *alone], cwd=ROOT, check=True, capture_output=True, timeout=600,
                   env=environment)
    together, single = ([row["loss"] for row in metrics(tmp_path / name)] for name in ("out", "alone"))
    assert together == pytest.approx(single, abs=2e-3)

    killed = [*words]
    killed[killed.index(str(tmp_path / "out"))] = str(tmp_path / "killed")
    process = subprocess.Popen([sys.executable, "-m", "nimllm", *killed], cwd=ROOT, env=environment,
                               stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for said in process.stderr:
        if said.startswith("step 3/"):
            process.kill()
    process.wait()
    done = subprocess.run([sys.executable, "-m", "nimllm", *killed, "--resume"], cwd=ROOT, capture_output=True,
                          text=True, timeout=600, env=environment)
    assert done.returncode == 0 and "done: 26 steps" in done.stdout, done.stdout + done.stderr
