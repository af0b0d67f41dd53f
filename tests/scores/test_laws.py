"""What holds for every score."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from prunelimits import MLP
from prunelimits.masks import top
from prunelimits.problem import problem_of
from prunelimits.types import Params

from .cases import CASES, SCORES, Case, Score, binary, draw, flat, noise_for

WITHOUT_DATA = ("magnitude", "random", "lamp")
LOCAL = [SCORES[name] for name in WITHOUT_DATA]
WITHOUT_LOSS = ("synflow", "wanda", "obc")
WITH_LOSS = [n for n in SCORES if n not in WITHOUT_DATA and not n.startswith(WITHOUT_LOSS)]


@pytest.fixture(params=list(SCORES))
def score(request: pytest.FixtureRequest) -> Score:
    return SCORES[request.param]


def test_every_weight_named_has_a_finite_score(score: Score, case: Case) -> None:
    found = score(case.problem, case.params, case.masks, noise_for(case.masks))
    assert list(found) == list(case.masks)
    assert all(value.shape == case.masks[name].shape for name, value in found.items())
    assert all(value.isfinite().all() for value in found.values())
    assert flat(found).count_nonzero() > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["perceptron", "convolution"])
def test_many_models_at_once_are_scored_as_one_by_one(score: Score, name: str) -> None:
    case = CASES[name]()
    generator = torch.Generator().manual_seed(1)
    models, problem = 4, case.problem
    params = {
        name: torch.stack([value * (1 + 0.1 * member) for member in range(models)])
        for name, value in case.params.items()
    }
    masks = {
        name: torch.rand((models, *mask.shape), generator=generator) < 0.7
        for name, mask in case.masks.items()
    }
    noise = noise_for(masks)

    def scored(params: Params, masks: Params, noise: Params) -> Params:
        return score(problem, params, masks, noise)

    together = torch.func.vmap(scored)(params, masks, noise)
    for member in range(models):
        alone = scored(
            *({n: v[member] for n, v in part.items()} for part in (params, masks, noise))
        )
        for name, value in alone.items():
            torch.testing.assert_close(together[name][member], value, rtol=1e-9, atol=1e-12)
        keep = len(flat(alone)) // 2
        assert torch.equal(
            flat(top({n: v[member] for n, v in together.items()}, keep)), flat(top(alone, keep))
        )


def test_the_world_stays_as_it_was(score: Score, case: Case) -> None:
    before = copy.deepcopy((case.model.state_dict(), case.masks, case.batches))
    noise = noise_for(case.masks)
    modes = [module.training for module in case.model.modules()]
    random = torch.get_rng_state()
    score(case.problem, case.params, case.masks, noise)
    after = (case.model.state_dict(), case.masks, case.batches)
    torch.testing.assert_close(after, before, rtol=0, atol=0, equal_nan=True)
    assert [module.training for module in case.model.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in case.model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(flat(noise), flat(noise_for(case.masks)))
    assert torch.is_grad_enabled()


def test_what_is_pruned_does_not_matter_to_what_is_kept(score: Score, case: Case) -> None:
    noise = noise_for(case.masks)
    found = score(case.problem, case.params, case.masks, noise)
    moved = {n: v.masked_fill(~case.masks[n], 9) for n, v in case.params.items() if n in case.masks}
    again = score(case.problem, {**case.params, **moved}, case.masks, noise)
    for name, mask in case.masks.items():
        torch.testing.assert_close(again[name] * mask, found[name] * mask)


def test_layers_left_alone_count_whole_and_have_no_score(score: Score) -> None:
    case = CASES["perceptron"]()
    some = {"layers.1.weight": case.masks["layers.1.weight"]}
    found = score(case.problem, case.params, some, noise_for(case.masks))
    assert list(found) == ["layers.1.weight"]
    moved = {**case.params, "layers.0.weight": 2 * case.params["layers.0.weight"]}
    again = score(case.problem, moved, some, noise_for(case.masks))
    assert torch.equal(flat(found), flat(again)) == (score in LOCAL)


@pytest.mark.parametrize("name", [name for name in SCORES if not name.startswith("snip")])
def test_only_snip_scores_what_is_pruned(name: str, case: Case) -> None:
    noise = noise_for(case.masks)
    found = SCORES[name](case.problem, case.params, case.masks, noise)
    assert all(value[~case.masks[name]].eq(0).all() for name, value in found.items())


def test_float32_in_is_at_least_float32_out(score: Score) -> None:
    model = MLP((2, 3, 1)).bfloat16()
    x, y = torch.ones(4, 2).bfloat16(), torch.ones(4).bfloat16()
    problem, params = problem_of(model, binary, [(x, y)])
    masks = {n: torch.ones_like(v).bool() for n, v in params.items() if v.dim() > 1}
    found = score(problem, params, masks, noise_for(masks))
    assert all(value.dtype in (torch.float32, torch.float64) for value in found.values())


class Storages(TorchDispatchMode):
    """Remembers, without keeping it, the memory of every tensor that an operation gives."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[StorageWeakRef] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, Tensor):
                self.references.append(StorageWeakRef(value.untyped_storage()))
        return result

    def alive(self, *known: Params) -> int:
        """How many are still there, but for those of tensors that are known."""
        tensors = [value for part in known for value in part.values()]
        left = {storage(value) for value in tensors}
        return len({r.cdata for r in self.references if not r.expired()} - left)


def storage(value: Tensor) -> int:
    return StorageWeakRef(value.untyped_storage()).cdata


@pytest.mark.parametrize("requires_grad", [False, True])
def test_nothing_is_left_but_the_result(score: Score, requires_grad: bool) -> None:
    case = CASES["perceptron"]()
    problem, noise = case.problem, noise_for(case.masks)
    params = dict(case.model.named_parameters()) if requires_grad else case.params
    given = (params, case.masks, noise, {str(i): x for i, (x, _) in enumerate(case.batches)})
    with Storages() as storages:
        found = score(problem, params, case.masks, noise)
    assert not any(value.requires_grad for value in found.values())
    assert storages.alive(*given, found) == 0  # at once, without the garbage collector
    assert storages.alive(*given) > 0
    del found
    assert storages.alive(*given) == 0


def test_the_check_before_sees_a_graph_that_is_kept() -> None:
    case = CASES["perceptron"]()
    params = dict(case.model.named_parameters())
    with Storages() as storages:
        kept = case.problem.apply(params, case.batches[0][0]).sum()
    assert storages.alive(params, {"kept": kept}) > 0


@pytest.mark.parametrize("name", [n for n in SCORES if n not in WITHOUT_DATA])
def test_no_batches(name: str) -> None:
    case = CASES["perceptron"]()
    problem = case.problem._replace(batches=[])
    with pytest.raises(ValueError, match="batches must hold at least one pair"):
        SCORES[name](problem, case.params, case.masks, noise_for(case.masks))


@pytest.mark.parametrize("name", WITH_LOSS)
def test_a_loss_with_axes(name: str) -> None:
    case = CASES["perceptron"]()
    problem = case.problem._replace(loss=lambda outputs, y: (outputs[:, 0] - y) ** 2)
    with pytest.raises(ValueError, match=r"loss must give one number.*got shape \(6,\)"):
        SCORES[name](problem, case.params, case.masks, noise_for(case.masks))


def test_masks_that_do_not_fit(score: Score) -> None:
    case = CASES["perceptron"]()
    wrong = {"layers.9.weight": torch.ones(2, 2, dtype=torch.bool)}
    with pytest.raises(ValueError, match=r"masks names 'layers\.9\.weight'"):
        score(case.problem, case.params, wrong, noise_for(wrong))


@pytest.mark.parametrize("name", ["random", "snip, fresh start", "obd, estimated"])
def test_noise_that_does_not_fit(name: str) -> None:
    case = CASES["perceptron"]()
    noise = noise_for(case.masks)
    with pytest.raises(ValueError, match="noise is needed by this score"):
        SCORES[name](case.problem, case.params, case.masks)
    with pytest.raises(ValueError, match=r"noise must have 'layers\.0\.weight'"):
        SCORES[name](case.problem, case.params, case.masks, {})
    noise["layers.1.weight"] = torch.rand(1)
    with pytest.raises(ValueError, match=r"noise\['layers.1.weight'\] must have shape \(3, 3\)"):
        SCORES[name](case.problem, case.params, case.masks, noise)


@pytest.mark.parametrize("name", WITH_LOSS)
def test_batches_count_alike(name: str) -> None:
    case = CASES["smooth"]()
    generator = torch.Generator().manual_seed(0)
    x, y = draw(generator, 8, 2), draw(generator, 8, 2)
    halves = [(x[:4], y[:4]), (x[4:], y[4:])]
    parts = [(x, y)] * 2 if name.startswith("prospr") else halves
    noise = noise_for(case.masks)
    whole = SCORES[name](case.problem._replace(batches=[(x, y)]), case.params, case.masks, noise)
    split = SCORES[name](case.problem._replace(batches=parts), case.params, case.masks, noise)
    torch.testing.assert_close(split, whole, rtol=1e-9, atol=1e-12)


class Block(nn.Module):
    """A convolution beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(x + self.norm(self.first(x)))


class Recurrent(nn.Module):
    """The last state of a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.GRU(3, 2, batch_first=True), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x)[0][:, -1])


def attention() -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 4, batch_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 2))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Sequential(Block(), Block(), nn.Flatten(), nn.Linear(32, 2)), (2, 4, 4)),
        (Recurrent, (3, 3)),
        (attention, (3, 4)),
    ],
    ids=["shortcuts", "recurrent", "attention"],
)
def test_networks_of_many_kinds(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(3, *shape), torch.tensor([0, 1, 1])
    problem, params = problem_of(make(), nn.functional.cross_entropy, [(x, y)])
    masks = {n: torch.ones_like(v).bool() for n, v in params.items() if v.dim() > 1}
    for name, score in SCORES.items():
        if name.startswith(("wanda", "obc")) and any("weight_hh" in n for n in masks):
            with pytest.raises(ValueError, match="goes through gru"):
                score(problem, params, masks, noise_for(masks))
            continue
        found = score(problem, params, masks, noise_for(masks))
        assert all(v.isfinite().all() and v.count_nonzero() for v in found.values()), name
    assert torch.backends.cuda.flash_sdp_enabled()
