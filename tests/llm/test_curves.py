"""Plots and TensorBoard events: what a reader of them gets to see."""

from __future__ import annotations

import builtins
import math
from pathlib import Path

import pytest

from nimllm.errors import NimError
from nimllm.llm.event_log import FOLDER, EventLog
from nimllm.llm.plots import Curve, draw, save_png, smoothed, terminal_plot
from nimllm.llm.progress import Progress


def dots(line: str) -> list[int]:
    return [at for at, character in enumerate(line) if 0x2801 <= ord(character) <= 0x28FF]


def test_a_falling_loss_falls_and_the_validation_stands_on_its_values() -> None:
    plot = terminal_plot([(step, 10 - step / 10) for step in range(1, 101)], 50, 10, [(50, 5.0), (100, 0.0)])
    lines = plot.splitlines()
    assert lines[0].strip().startswith("9.900 │") and "0.000 │" in lines[9]
    first = [dots(line)[0] for line in lines[:10]]
    assert first == sorted(first) and len(set(first)) == 10
    marks = [(row, line.index("o")) for row, line in enumerate(lines[:10]) if "o" in line]
    assert len(marks) == 2 and marks[0][0] in (4, 5) and marks[1] == (9, len(lines[9]) - 1)
    assert lines[-2].split() == ["1", "100"] and "training" in lines[-1] and "validation" in lines[-1]


def test_a_short_curve_is_a_line_without_gaps() -> None:
    for line in (draw([Curve("a", [(0, 1), (1, 1), (9, 1)])], 30, 1),):
        assert len(dots(line.splitlines()[0])) == 30


def test_the_beginning_has_room_on_a_logarithmic_axis() -> None:
    points = [(step, 1.0 if step > 10 else 2.0) for step in range(1, 1001)]
    linear, log = (draw([Curve("a", points)], 60, 2, log_x=log).splitlines()[0] for log in (False, True))
    assert len(dots(linear)) <= 2 < 18 <= len(dots(log))


def test_letters_stand_for_curves_where_there_are_no_colours() -> None:
    high, low = Curve("a one", [(0, 2), (10, 2)]), Curve("b two", [(0, 1), (10, 1)])
    lines = draw([high, low], 20, 3, letters=True).splitlines()
    assert lines[0].endswith("│" + "a" * 20) and lines[2].endswith("│" + "b" * 20)
    assert "*" * 20 in draw([high, Curve("b two", high.points)], 20, 3, letters=True)


@pytest.mark.parametrize("points", [[], [(1, 2.0)], [(1, math.nan), (2, math.inf)]])
def test_nothing_to_draw_is_nothing(points: list[tuple[float, float]]) -> None:
    assert terminal_plot(points) == ""


def test_smoothing_keeps_a_constant_and_follows_a_step() -> None:
    assert [y for _, y in smoothed([(x, 3.0) for x in range(100)])] == pytest.approx([3.0] * 100)
    noisy = [(x, 5.0 + (x % 2) - (2.0 if x >= 500 else 0)) for x in range(1000)]
    values = [y for _, y in smoothed(noisy)]
    assert max(values[:480]) - min(values[:480]) < 0.2 and values[-1] == pytest.approx(3.5, abs=0.1)
    falling = [(x, -float(x)) for x in range(1000)]
    assert smoothed(falling)[500] == pytest.approx((500, -500.0)), "it lags behind"


def test_png_of_a_run_without_points_and_of_several(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert save_png(tmp_path / "none.png", [("a", [], [])], "nothing")
    two = [("a", [(1, 2.0), (2, math.nan)], []), ("b", [(1, 1.0)], [(1, 3.0)])]
    assert save_png(tmp_path / "two.png", two, "t", log_x=True)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


def progress(step: int, loss: float, **more) -> Progress:
    return Progress(step, 20, loss, 1e-3, 1000.0, 1.0, gradient_norm=0.5, **more)


def test_events_of_a_resumed_run_do_not_overlap(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with EventLog(tmp_path) as log:
        for step in range(1, 13):
            log(progress(step, 100.0 + step))
    with EventLog(tmp_path, step=8) as log:  # it was killed behind its checkpoint, and goes on from it
        for step in range(9, 21):
            log(progress(step, 200.0 + step, **({"validation": 3.0, "bits_per_byte": 1.5, "sample": "once"}
                                                if step == 20 else {})))
    events = accumulator.EventAccumulator(str(tmp_path / FOLDER))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("loss/training")]
    assert found == [(step, (100.0 if step <= 8 else 200.0) + step) for step in range(1, 21)]
    assert [event.step for event in events.Scalars("loss/validation")] == [20]
    assert "speed/mfu" not in events.Tags()["scalars"] and "optimizer/gradient_norm" in events.Tags()["scalars"]
    assert any("sample" in tag for tag in events.Tags()["tensors"])


def test_without_tensorboard_one_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def missing(name: str, *rest, **more):
        if name.startswith(("torch.utils.tensorboard", "tensorboard")):
            raise ImportError("No module named 'tensorboard'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(NimError, match=r"nimllm\[tensorboard\]"):
        EventLog(tmp_path)


def test_the_command_writes_events_and_goes_on_with_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from nimllm.cli import main

    text = tmp_path / "text.txt"
    text.write_text("".join(f"line {number} says {number * 37 % 101}\n" for number in range(1500)))
    run = tmp_path / "run"
    words = ["train", str(text), "--size", "tiny", "--context", "32", "--steps", "8", "--batch-tokens", "128",
             "--eval-every", "4", "--plain", "--device", "cpu", "--tensorboard", "--set", "stop_after=5"]
    assert main([*words, "--out", str(run)]) == 130

    assert main(["train", "--resume", "--out", str(run), "--plain", "--tensorboard", "--device", "cpu"]) == 0
    events = accumulator.EventAccumulator(str(run / FOLDER))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/training")] == list(range(1, 9))
    assert [event.step for event in events.Scalars("loss/validation")] == [4, 8]
    out, err = capsys.readouterr()
    assert "o validation" in out and "resumed after step 5" in err and "tokens seen" in err
    samples = (run / "samples.txt").read_text()
    assert samples.count("--- step 4,") == samples.count("--- step 8,") == 1
