"""The baselines of the memory bench: each learns a fact, its state survives a restart, its formula is the cited one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from nimllm.alignment.episodes import Episode, EpisodeTurn, Outcome
from nimllm.alignment.memory import lessons as lessons_of
from nimllm.alignment.memory.bench.method import Answers, Context
from nimllm.alignment.memory.bench.methods import closed_form, dense, lora, registry, thinned
from nimllm.alignment.memory.bench.methods.baseline import SPARSE_ENTRY, as_rows, diagonal_fisher, of_row, still_true
from nimllm.alignment.memory.bench.methods.settings import GRIDS, PULL, chosen, read_choices
from nimllm.alignment.memory.curvature import down_name
from nimllm.alignment.memory.gate import judge
from nimllm.alignment.memory.sparse import polyak_step, top_mask
from nimllm.alignment.memory.state import State
from nimllm.alignment.memory.update import Settings
from nimllm.errors import NimError
from nimllm.llm.checkpoint import fingerprint, read_tensors
from nimllm.llm.config import read_config
from nimllm.llm.model import GPT, load
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn

LEARNERS = ("full-adam", "full-sgd", "lora", "lora-merged", "ewc", "top", "fisher", "replay", "replay-kl", "memit",
            "alphaedit", "joint")
# 150,000 parameters have no room to keep neighbours apart (see test_update.py)
TINY = Settings(budget=0.05, controls=2, decisions=2, perplexity_limit=1.2, norm_limit=0.5)
# and they need longer steps than the defaults, which are for the shipped model
POINTS = {"full-adam": {"lr": 3e-3}, "lora": {"lr": 1e-2}, "lora-merged": {"lr": 1e-2},
          "ewc": {"lr": 3e-3, "strength": 3.0}, "joint": {"lr": 3e-3}, "memit": {"strength": 0.1, "places": "answer"},
          "alphaedit": {"strength": 0.001, "places": "answer"}}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def chat(*told: str, id: str = "a") -> Episode:
    turns = []
    for text in told:
        turns += [EpisodeTurn(role="user", text=text), EpisodeTurn(role="assistant", text="Noted.")]
    return Episode(id=id, kind="chat", turns=turns, outcome=Outcome(kind="success", by="user"))


REX, TOM, BO = chat("My dog is called Rex."), chat("my name is Tom", id="b"), chat("My dog is called Bo.", id="c")


@pytest.fixture(scope="module")
def prepared(talking_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What methods make of a base before they learn: general text, its Fisher, its covariances."""
    folder = tmp_path_factory.mktemp("prepared")
    made("fisher", talking_run, folder)
    registry.make("memit", talking_run, folder, 0)
    return folder


@pytest.fixture
def state(prepared: Path, tmp_path: Path) -> Path:
    """A new state folder that need not make them again."""
    for name in ("one", "two"):
        shutil.copytree(prepared, tmp_path / name)
    return tmp_path / "one"


def made(name: str, run: Path, state: Path, seed: int = 0):  # type: ignore[no-untyped-def]
    method = registry.make(name, run, state, seed, POINTS.get(name))
    for holder in (method, getattr(method, "session", None)):
        if hasattr(holder, "settings"):
            holder.settings = TINY
    return method


def answered(run: Path, tensors: dict[str, np.ndarray], episode: Episode) -> tuple[float, list[bool]]:
    """(mean loss of an episode's lessons, which of them would be written word for word) under some weights."""
    tokenizer = Tokenizer.load(run)
    plan = lessons_of.lessons(episode, tokenizer, 128)
    losses, right = judge(GPT(read_config(run)).load_numpy(tensors).eval(), plan.new)
    return sum(losses) / len(losses), right


# -- every way of learning ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_a_fact_is_learnt(name: str, talking_run: Path, state: Path) -> None:
    base = read_tensors(talking_run / "model.safetensors")
    method = made(name, talking_run, state)
    update = method.learn(REX)
    assert update.accepted and update.bytes > 0
    tensors = method.tensors()
    assert {key: value.shape for key, value in tensors.items()} == {key: value.shape for key, value in base.items()}
    (before, _), (after, right) = (answered(talking_run, weights, REX) for weights in (base, tensors))
    assert after < 0.5 * before and sum(right) >= 0.35 * len(right), (before, after, right)
    again = method.learn(REX)  # the same item: nothing is learnt twice
    assert again == update and fingerprint(method.tensors()) == fingerprint(tensors)
    with pytest.raises(NotImplementedError):
        method.revert("m0001")


SIMPLE = ("full-adam", "full-sgd", "top", "memit", "replay", "fisher", "lora-merged")  # no state but the others' kinds


@pytest.mark.parametrize("name", ["literal", *(pytest.param(name, marks=pytest.mark.slow) if name in SIMPLE else name
                                               for name in LEARNERS)])
def test_a_restart_between_two_items_changes_no_bit(name: str, talking_run: Path, state: Path) -> None:
    one, second_state = made(name, talking_run, state, 7), state.with_name("two")
    updates = [one.learn(REX), one.learn(BO)]
    made(name, talking_run, second_state, 7).learn(REX)
    two = made(name, talking_run, second_state, 7)
    second = two.learn(BO)
    assert (second.entries, second.bytes) == (updates[1].entries, updates[1].bytes)
    assert fingerprint(two.tensors()) == fingerprint(one.tensors()) != fingerprint(two.base)
    assert abs(two.side_bytes() - one.side_bytes()) < 64  # the seconds that it notes have more digits or fewer
    # what learns on is the whole state, and not the weights alone
    third = made(name, talking_run, second_state, 7)
    for method in (one, third):
        method.learn(TOM)
    assert fingerprint(third.tensors()) == fingerprint(one.tensors())


def test_another_seed_or_point_does_not_go_on_with_this_state(talking_run: Path, tmp_path: Path) -> None:
    made("top", talking_run, tmp_path).learn(REX)
    with pytest.raises(NimError, match="another base, seed or setting"):
        made("top", talking_run, tmp_path, 1)
    with pytest.raises(NimError, match="another base, seed or setting"):
        registry.make("top", talking_run, tmp_path, 0, {"step": 0.25})
    path = tmp_path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(NimError, match="is damaged"):
        made("top", talking_run, tmp_path)
    with pytest.raises(NimError, match="no way of learning is called 'magic'"):
        registry.make("magic", talking_run, tmp_path, 0)


def test_state_is_whole_or_not_there(tmp_path: Path) -> None:
    state = State(tmp_path / "state", {"seed": 1})
    assert state.read("a") is None and state.bytes("a") == 0
    arrays = {"x": np.arange(3, dtype=np.float32), "y": np.ones((2, 2), np.float64)}
    state.write("a", arrays, {"n": [1, "ä"]})
    found = State(tmp_path / "state", {"seed": 1}).read("a")
    assert found is not None and found[1] == {"n": [1, "ä"]}
    assert all(np.array_equal(found[0][key], array) for key, array in arrays.items())
    (tmp_path / "state" / ".b.safetensors.1.tmp").write_bytes(b"half")
    State(tmp_path / "state", {"seed": 1})
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["a.safetensors"]
    with pytest.raises(NimError, match="cannot write"):
        State(tmp_path / "state" / "a.safetensors" / "below", {})


def test_an_episode_without_a_fact_is_a_no_op(talking_run: Path, tmp_path: Path) -> None:
    nothing = chat("how are you?", id="n")
    for name in ("top", "joint", "constant"):
        method = made(name, talking_run, tmp_path / name)
        update = method.learn(nothing)
        assert not update.accepted and update.entries == update.bytes == 0
        assert fingerprint(method.tensors()) == fingerprint(method.base)
    literal = made("literal", talking_run, tmp_path / "literal")  # it does not ask
    assert literal.learn(nothing).entries > 0


def test_ours_is_the_product(talking_run: Path, tmp_path: Path) -> None:
    method = made("ours-approved", talking_run, tmp_path)
    first, second = method.learn(REX), method.learn(TOM)
    assert first.accepted and second.accepted and first.bytes > 0
    after, right = answered(talking_run, dict(method.tensors()), TOM)
    assert sum(right) >= 0.6 * len(right), after
    assert method.learn(REX).id == first.id and len(method.store.records()) == 2
    both = fingerprint(method.tensors())
    method.store.close()
    again = made("ours-approved", talking_run, tmp_path)
    assert again.learn(TOM).id == second.id and fingerprint(again.tensors()) == both
    again.revert(first.id)
    again.revert(second.id)
    assert fingerprint(again.tensors()) == again.store.base and again.side_bytes() > 0
    assert again.sleep() is None
    again.store.close()


# -- references --------------------------------------------------------------------------------------------------------


def test_the_constant_answer_is_the_value_told_most(talking_run: Path, tmp_path: Path) -> None:
    method = made("constant", talking_run, tmp_path)
    assert isinstance(method, Answers) and not isinstance(method, Context)
    question = [Turn("user", "What is my name?")]
    assert method.answer([question]) == [""]
    for episode in (REX, TOM):
        method.learn(episode)
    assert method.answer([question] * 2) == ["Tom", "Tom"]
    method.learn(chat("Mira's dog is called Rex.", id="d"))
    assert made("constant", talking_run, tmp_path).answer([question]) == ["Rex"]


def test_in_context_finds_what_was_told(talking_run: Path, tmp_path: Path) -> None:
    method = made("in-context", talking_run, tmp_path)
    assert isinstance(method, Context) and method.context([Turn("user", "anything?")]) == []
    for episode in (REX, TOM, BO, chat("hello", "Mira's city is Oslo.", "thanks", id="e")):
        method.learn(episode)
    method = made("in-context", talking_run, tmp_path)
    found = method.context([Turn("user", "Which city does Mira live in?")])
    assert [turn.text for turn in found[-2:]] == ["Mira's city is Oslo.", "Noted."]  # not the small talk around it
    assert method.context([Turn("user", "What is my dog called?")])[-2].text == "My dog is called Bo."
    assert method.context([Turn("user", "Zebras?")]) == []
    assert fingerprint(method.tensors()) == fingerprint(method.base) and method.added_bytes > 0
    long = [Turn("user", "Mira " * 100)]  # a question that fills the context leaves no room
    assert method.context(long) == []


# -- formulas ----------------------------------------------------------------------------------------------------------


def test_the_ewc_penalty_has_the_gradient_that_differences_find() -> None:
    rng = torch.Generator().manual_seed(3)
    shapes = {"a": (3, 2), "b": (4,)}
    theta = {name: torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_()
             for name, shape in shapes.items()}
    anchor = {name: torch.randn(shape, generator=rng, dtype=torch.float64) for name, shape in shapes.items()}
    fisher = {name: torch.rand(shape, generator=rng, dtype=torch.float64) for name, shape in shapes.items()}
    dense.ewc_penalty(theta, anchor, fisher, 7.0).backward()
    step = 1e-6
    for name, values in theta.items():
        assert values.grad is not None
        torch.testing.assert_close(values.grad, 7.0 * fisher[name] * (values.detach() - anchor[name]))
        for place in range(values.numel()):
            found = []
            for sign in (1, -1):
                moved = {key: other.detach().clone() for key, other in theta.items()}
                moved[name].view(-1)[place] += sign * step
                found.append(float(dense.ewc_penalty(moved, anchor, fisher, 7.0)))
            assert (found[0] - found[1]) / (2 * step) == pytest.approx(float(values.grad.view(-1)[place]), abs=1e-6)


def test_the_diagonal_fisher_is_the_expected_square_of_the_score(talking_run: Path) -> None:
    """Against the sum over all labels, weighted by their probability, at one place of one row."""
    model = load(talking_run).eval()
    row = [1, 20, 30]
    names = ("model.norm.weight", "model.layers.1.mlp.down_proj.weight")
    exact = {name: torch.zeros_like(dict(model.named_parameters())[name]) for name in names}
    logits_v = model(torch.tensor([row[:-1]]))[0, -1]
    probabilities = torch.softmax(logits_v.detach(), 0)
    likely = probabilities.topk(500).indices
    for label in likely.tolist():
        model.zero_grad()
        torch.nn.functional.cross_entropy(logits_v[None], torch.tensor([label])).backward(retain_graph=True)
        for name, total in exact.items():
            gradient = dict(model.named_parameters())[name].grad
            assert gradient is not None
            total += probabilities[label] * gradient.square()
    rows, learn = [row] * 300, [[False, False, True]] * 300
    found = diagonal_fisher(model, rows, learn, 0)
    for name, total in exact.items():
        ratio = float(found[name].sum() / total.sum())
        assert 0.8 < ratio < 1.3, (name, ratio)
        assert float(torch.corrcoef(torch.stack([found[name].flatten(), total.flatten()]))[0, 1]) > 0.9


def test_memit_is_the_minimum_of_its_normal_equations() -> None:
    rng = np.random.default_rng(5)
    n, d, m = 12, 5, 4
    keys, residuals, general = rng.normal(size=(m, n)), rng.normal(size=(m, d)), rng.normal(size=(40, n))
    prior = 3.0 * general.T @ general / 40
    found = closed_form.memit_delta(*(torch.from_numpy(part) for part in (keys, residuals, prior))).numpy()
    assert np.allclose(found @ (prior + keys.T @ keys), residuals.T @ keys)

    def cost(delta: np.ndarray) -> float:
        return float(np.square(keys @ delta.T - residuals).sum() + np.trace(delta @ prior @ delta.T))

    for _ in range(20):
        assert cost(found) < cost(found + 1e-3 * rng.normal(size=(d, n)))


def test_alphaedit_stays_in_the_null_space_and_is_the_minimum_there() -> None:
    rng = np.random.default_rng(6)
    n, d, m, ridge = 10, 4, 3, 0.2
    general = rng.normal(size=(50, 4)) @ np.linalg.qr(rng.normal(size=(n, 4)))[0].T  # text uses 4 of 10 directions
    keys, residuals, earlier = rng.normal(size=(m, n)), rng.normal(size=(m, d)), rng.normal(size=(2, n))
    projection = closed_form.null_projection(torch.from_numpy(general.T @ general / 50))
    assert round(float(projection.trace())) == 6
    torch.testing.assert_close(projection @ projection, projection)
    found = closed_form.alphaedit_delta(torch.from_numpy(keys), torch.from_numpy(residuals),
                                        torch.from_numpy(earlier.T @ earlier), projection, ridge).numpy()
    p = projection.numpy()
    assert np.allclose(found, found @ p) and np.allclose(general @ found.T, 0)
    # numpy's own least squares over the coordinates of the null space
    values, vectors = np.linalg.eigh(general.T @ general)
    null = vectors[:, values < 1e-9 * values.max()]
    rows = np.vstack([keys @ null, earlier @ null, np.sqrt(ridge) * np.eye(6)])
    wanted = np.vstack([residuals, np.zeros((2, d)), np.zeros((6, d))])
    assert np.allclose(found.T, null @ np.linalg.lstsq(rows, wanted, rcond=None)[0])


def test_places_of_the_closed_forms(talking_run: Path, prepared: Path) -> None:
    plan = lessons_of.lessons(chat("Mira's dog is called Rex."), Tokenizer.load(talking_run), 128)
    lesson = next(lesson for lesson in plan.new if "Mira" in lesson.question)
    found = {}
    for places in ("subject", "prompt", "answer"):
        method = registry.make("memit", talking_run, prepared, 0, {"strength": 1.0, "places": places})
        found[places] = method.places(lesson, ["Mira"])
    tokenizer, first = Tokenizer.load(talking_run), lesson.learn.index(True)
    assert lesson.ids[first - 1] == tokenizer.marker("assistant")
    assert found["prompt"] == [lesson.pivot - 1] and first < lesson.pivot  # where the value begins
    assert found["answer"] == list(range(first - 1, len(lesson.ids) - 1))
    [end] = found["subject"]
    assert tokenizer.decode(list(lesson.ids[2 : end + 1])).rstrip().endswith("Mira")
    own = lessons_of.lessons(REX, tokenizer, 128).new[0]
    method = registry.make("memit", talking_run, prepared, 0, {"strength": 1.0, "places": "subject"})
    assert method.places(own, ["me"]) == [own.pivot - 1]


def test_a_closed_form_changes_down_projections_of_the_middle_only(talking_run: Path, state: Path) -> None:
    method = made("alphaedit", talking_run, state)
    method.learn(REX)
    moved = {name for name, tensor in method.tensors().items() if not np.array_equal(tensor, method.base[name])}
    assert moved == {down_name(layer) for layer in method.layers}


def test_lora_gradients_are_those_of_autograd() -> None:
    rng = torch.Generator().manual_seed(1)
    a, b = (torch.randn(shape, generator=rng, requires_grad=True) for shape in ((8, 5), (7, 8)))
    x, weight = torch.randn(3, 5, generator=rng), torch.randn(7, 5, generator=rng)
    whole = weight + lora.SCALE * b @ a
    whole.retain_grad()
    (x @ whole.T).tanh().sum().backward()
    found_a, found_b = lora.factor_gradients(whole.grad, a.detach(), b.detach())
    torch.testing.assert_close(found_a, a.grad)
    torch.testing.assert_close(found_b, b.grad)


def test_lora_moves_weights_by_at_most_its_rank(talking_run: Path, tmp_path: Path) -> None:
    for name, rank in (("lora", 8), ("lora-merged", 16)):
        method = made(name, talking_run, tmp_path / name)
        for episode in (REX, TOM):
            method.learn(episode)
        key = "model.layers.0.mlp.up_proj.weight"
        found = np.linalg.svd((method.tensors()[key] - method.base[key]).astype(np.float64), compute_uv=False)
        assert found[rank:].max() < 1e-5 * found[0] < found[0]
        assert np.array_equal(method.tensors()["model.embed_tokens.weight"], method.base["model.embed_tokens.weight"])


def test_thinned_methods_change_one_per_cent(talking_run: Path, state: Path) -> None:
    parameters = read_config(talking_run).parameters()
    for name, folder in (("top", state), ("fisher", state.with_name("two"))):
        update = made(name, talking_run, folder).learn(REX)
        assert 0.5 * 0.01 * parameters < update.entries <= 0.0102 * parameters, name
        assert update.bytes == SPARSE_ENTRY * update.entries


def test_the_literal_method_learns_the_text_and_pulls_everything_back(talking_run: Path, tmp_path: Path) -> None:
    method = made("literal", talking_run, tmp_path)
    told = thinned.told_lesson(REX, method)
    text = method.tokenizer.decode([index for index, flag in zip(told.ids, told.learn, strict=True) if flag])
    assert text == "My dog is called Rex.<|end|>Noted.<|end|>"
    before, _ = judge(method.model, [told])
    method.learn(REX)
    after, _ = judge(method.model, [told])
    assert after[0] < before[0]
    first = {name: tensor - method.base[name] for name, tensor in method.tensors().items()}
    method.learn(TOM)
    shrunk = total = 0
    for name, tensor in method.tensors().items():
        old, now = first[name], tensor - method.base[name]
        moved = np.abs(old) > 1e-4
        shrunk += int(np.isclose(now[moved], (1 - PULL) * old[moved], rtol=0.02).sum())
        total += int(moved.sum())
    assert total and shrunk > 0.5 * total  # the rest was written again
    tainted = Episode(id="t", kind="task", outcome=Outcome(kind="failure"),
                      turns=[EpisodeTurn(role="output", text="x")])
    assert thinned.told_lesson(tainted, method) is None


def test_what_was_corrected_leaves_the_buffer(talking_run: Path, tmp_path: Path) -> None:
    method = made("replay", talking_run, tmp_path)
    for episode in (REX, TOM, BO):
        method.learn(episode)
    answers = {row[3] for row in method.about["buffer"]}
    assert any("Bo" in answer for answer in answers) and any("Tom" in answer for answer in answers)
    assert not any("Rex" in answer for answer in answers)
    plan = lessons_of.lessons(TOM, method.tokenizer, 128)
    rows = as_rows(plan)
    assert [of_row(row) for row in rows] == plan.new and still_true(rows, plan) == []
    assert still_true(rows, lessons_of.lessons(REX, method.tokenizer, 128)) == rows


def test_masks_and_steps() -> None:
    scores = {"a": torch.tensor([[1.0, 5.0], [2.0, 0.0]]), "b": torch.tensor([4.0, 3.0])}
    mask = top_mask(scores, 3)
    assert mask["a"].tolist() == [[False, True], [False, False]] and mask["b"].tolist() == [True, True]
    assert sum(int(part.sum()) for part in top_mask(scores, 0).values()) == 1
    x = {"x": torch.tensor([3.0, 4.0], requires_grad=True)}

    def loss() -> torch.Tensor:
        return 2 * x["x"].sum() - 4  # linear: half of it goes with a step of a half

    loss().backward()
    assert polyak_step(x, {"x": torch.tensor([1.0, 0.0])}, loss().item(), 0.5)
    assert loss().item() == pytest.approx(5.0)
    assert not polyak_step(x, {"x": torch.tensor([-1.0, 0.0])}, 1.0, 0.5)
    assert not polyak_step(x, {"x": torch.zeros(2)}, 1.0, 0.5) and loss().item() == pytest.approx(5.0)


# -- settings ----------------------------------------------------------------------------------------------------------


def test_the_choices_beside_the_code_are_points_of_the_grids(tmp_path: Path) -> None:
    read_choices()  # the committed file, if there is one
    path = tmp_path / "choices.json"
    assert chosen("top", "base", path) == (GRIDS["top"][0], "untuned (the default)")
    path.write_text('{"base": "base", "choices": {"top": {"step": 0.25}}}')
    assert chosen("top", "base", path) == ({"step": 0.25}, "tuned on the dev seed")
    assert chosen("top", "other", path) == ({"step": 0.25}, "tuned on another base")
    assert chosen("lora", "base", path)[1] == "untuned (the default)" and chosen("base", "base", path) == ({}, "")
    for broken in ('{"choices": {"top": {"step": 9}}}', '{"choices": {"magic": {}}}', "[]", "{", '{"choices": 3}'):
        path.write_text(broken)
        with pytest.raises(NimError, match="cannot be used"):
            read_choices(path)


def test_every_method_with_a_grid_is_in_the_registry_and_the_rest_need_none(talking_run: Path) -> None:
    assert set(GRIDS) <= set(registry.WAYS) == set(registry.METHODS)
    assert set(registry.WAYS) - set(GRIDS) == {"base", "constant", "in-context", "ours", "ours-approved", "ours-sleep"}
    about = registry.settings("replay", talking_run)
    assert about["point"] in GRIDS["replay"] and about["shared"]["max_steps"] > 0
    assert about["tuned"] == (about["tuning"] == "tuned on the dev seed")
    assert registry.settings("base", talking_run)["tuned"]
