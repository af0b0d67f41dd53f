from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunelimits import MLP, masks
from prunelimits.pruners import PHEW, draw_noise, prunable, prune, walks
from prunelimits.pruners.walks import _uniform, first_visits
from prunelimits.types import Masks, Params


def network(widths: tuple[int, ...]) -> tuple[Params, Masks]:
    generator = torch.Generator().manual_seed(0)
    allowed = prunable(MLP(widths))
    return {n: torch.randn(m.shape, generator=generator) for n, m in allowed.items()}, allowed


def visited(scores: Params, walk: int, layers: int) -> list[tuple[int, int, int]]:
    """The weights that a walk is the first to pass, as (layer, row, column), in its order."""
    found = []
    for layer, score in enumerate(scores.values()):
        times = -score
        for row, column in ((times // layers) == walk).nonzero().tolist():
            found.append((float(times[row, column]), layer, row, column))
    return [(layer, row, column) for _, layer, row, column in sorted(found)]


def test_walks_are_paths_from_the_inputs_and_the_outputs_in_turn():
    params, allowed = network((3, 40, 40, 2))
    scores = first_visits(params, allowed, draw_noise(allowed), walks=6)
    ends = []
    for walk in range(6):
        path = visited(scores, walk, 3)
        order = range(3) if walk % 2 == 0 else range(2, -1, -1)
        # So wide that no weight of the first walks is passed twice.
        assert [layer for layer, _, _ in path] == list(order)
        for (_, row, column), (_, next_row, next_column) in pairwise(path):
            assert (row == next_column) if walk % 2 == 0 else (column == next_row)
        ends.append(path[0][2] if walk % 2 == 0 else path[0][1])
    assert ends == [0, 0, 1, 1, 2, 0]


@pytest.mark.parametrize("backward", [False, True])
def test_steps_are_taken_in_proportion_to_the_magnitudes(backward: bool):
    weight = torch.tensor([[1.0, -3.0, 0.0], [2.0, 1.0, 4.0]])
    params, allowed = {"layer": weight}, {"layer": torch.ones(2, 3).bool()}
    walks, trials = 2, 4000
    noise = torch.rand(trials, 2, 3, generator=torch.Generator().manual_seed(1))
    scores = torch.func.vmap(lambda u: first_visits(params, allowed, {"layer": u}, walks))(
        {"layer": noise}["layer"]
    )["layer"]
    # Walk 0 is one forward step from input 0, walk 1 one backward step from output 0.
    taken = (scores == -float(backward)).double().mean(0)
    if backward:
        # What walk 0 took before is not new: only weight (0, 0) can be both.
        forward = torch.tensor([1 / 3, 2 / 3])
        expected = torch.tensor([1 / 4 * (1 - forward[0]), 3 / 4, 0.0])
        found = taken[0]
    else:
        expected, found = torch.tensor([1 / 3, 2 / 3]), taken[:, 0]
    torch.testing.assert_close(found, expected.double(), atol=0.03, rtol=0)


def test_numbers_stay_uniform_and_independent_when_the_noise_comes_again():
    # One weight of noise, two equal choices: half of all walks on every lap.
    params = {"layer": torch.ones(2, 1)}
    allowed = {"layer": torch.ones(2, 1).bool()}
    noise = {"layer": torch.rand(2, 1, generator=torch.Generator().manual_seed(2))}
    seen = [
        int(first_visits(params, allowed, noise, walks=2 * n + 1)["layer"].argmax())
        for n in range(3)
    ]
    assert len(set(seen)) == 1  # the first walk's choice does not depend on how many there are
    numbers = _uniform(noise["layer"].flatten(), torch.arange(20_000), 0)
    other = _uniform(noise["layer"].flatten(), torch.arange(20_000), 1)
    assert abs(float(numbers.mean()) - 0.5) < 0.01
    assert abs(float(numbers.var()) - 1 / 12) < 0.003
    correlations = torch.corrcoef(torch.stack([numbers[:-2], numbers[2:], other[:-2]]))
    assert float((correlations - torch.eye(3)).abs().max()) < 0.03


def test_a_zero_weight_is_not_passed_and_a_walk_ends_before_zeros():
    params, allowed = network((2, 3, 3, 1))
    allowed["layers.1.weight"][:, 0] = False  # a dead end behind unit 0
    scores = first_visits(params, allowed, draw_noise(allowed), walks=200)
    horizon = 200 * 3
    assert (scores["layers.1.weight"][:, 0] < -horizon).all()
    assert (scores["layers.0.weight"][0] > -horizon).all()  # forward walks run into it
    assert (scores["layers.1.weight"][:, 1:] > -horizon).all()


def test_a_layer_that_is_pruned_already_ends_all_walks():
    torch.manual_seed(0)
    model = MLP((2, 3, 3, 1))
    dead = {"layers.1.weight": torch.zeros(3, 3).bool()}
    found = prune(model, PHEW(), keep=9, masks=dead)
    assert [int(mask.sum()) for mask in found.values()] == [6, 0, 3]


def test_kept_weights_lie_on_paths():
    torch.manual_seed(0)
    model = MLP((2, 50, 50, 50, 1))
    found = prune(model, PHEW(), keep=40)
    assert masks.count(found) == 40
    ones = {n: m.double() for n, m in found.items()}
    reach = [torch.ones(2).double()]
    for mask in ones.values():
        reach.append((mask @ reach[-1] > 0).double())
    back = torch.ones(1).double()
    off_path = torch.tensor(0)
    for mask, forward in zip(reversed(ones.values()), reversed(reach[:-1]), strict=True):
        off_path += (mask.bool() & ~(forward.bool() & back.bool()[:, None])).sum()
        back = (mask.T @ back > 0).double()
    assert int(off_path) <= 3  # those of the last walk, which the budget cuts short


def test_convolutions_and_their_channels_in_a_linear_layer():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2)
    )
    found = prune(model, PHEW(), keep=30)
    assert masks.count(found) == 30
    channels = found["5.weight"].any(0).reshape(4, 9).any(1)
    into = found["2.weight"].flatten(1).any(1)
    assert int((channels & ~into).sum()) + int((into & ~channels).sum()) <= 1


def test_networks_that_are_no_chain_are_refused():
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.relu(self.left(x)) + self.right(x)

    with pytest.raises(ValueError, match=r"chain: 'right\.weight' has 3 inputs, .* 2 outputs"):
        prune(Branches(), PHEW(), keep=3)


def test_the_number_of_walks_side_by_side_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    params, allowed = network((3, 6, 5, 2))
    noise = draw_noise(allowed)
    together = first_visits(params, allowed, noise, walks=61)
    monkeypatch.setattr(walks, "_AT_ONCE", 8)
    in_parts = first_visits(params, allowed, noise, walks=61)
    assert all(torch.equal(score, in_parts[name]) for name, score in together.items())


class Parallel(nn.Module):
    """Two branches of the same size, added: by their shapes they could be a chain."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.left(x) + self.right(x)


class Skip(nn.Module):
    """Convolutions with a connection that passes one by, with batch normalisation and a head."""

    def __init__(self, *, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.first, self.second = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.norm, self.head = nn.BatchNorm2d(3), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        inside = self.norm(self.second(x))
        x = (inside + x if self.skip else inside).relu()
        return self.head(x.mean((2, 3))).softmax(-1)


class Backward(nn.Module):
    """Layers that are used in another order than they were made in."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.first = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x).relu())


@pytest.mark.parametrize(
    ("model", "before", "past"),
    [
        (Parallel(), "left.weight", "right.weight"),
        (Skip(skip=True), "first.weight", "second.weight"),
        (Backward(), "last.weight", "first.weight"),
    ],
)
@pytest.mark.parametrize("shown", [True, False])
def test_layers_that_are_no_chain_are_refused(
    model: nn.Module, before: str, past: str, *, shown: bool
):
    x = torch.randn(2, 3, 8, 8) if isinstance(model, Skip) else torch.randn(2, 4)
    batches = [(x, torch.zeros(2))] if shown else []
    with pytest.raises(ValueError, match=f"depend on '{before}' past '{past}'"):
        prune(model, PHEW(), keep=8, batches=batches)


def test_a_chain_of_layers_is_one_whatever_its_functions():
    assert masks.count(prune(Skip(skip=False), PHEW(floor=1), keep=20)) == 20
    smooth = nn.Sequential(
        nn.Linear(3, 4), nn.LayerNorm(4), nn.GELU(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2)
    )
    assert masks.count(prune(smooth, PHEW(floor=1), keep=20)) == 20


def test_a_network_that_takes_an_unknown_shape_needs_a_batch():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 11 * 4, 2))
    with pytest.raises(ValueError, match="batches must hold a pair"):
        prune(model, PHEW(), keep=8)
    batches = [(torch.zeros(1, 1, 13, 6), torch.zeros(1))]
    assert masks.count(prune(model, PHEW(floor=1), keep=8, batches=batches)) == 8


def test_inputs_that_pass_by_a_layer_make_no_chain():
    class Dense(nn.Module):
        """The last layer sees the inputs too; by its size it could follow an unfolded image."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.cat([x, self.first(x).relu()], 1))

    for batches in ([], [(torch.randn(3, 4), torch.zeros(3))]):
        with pytest.raises(ValueError, match=r"depend on the inputs past 'first\.weight'"):
            prune(Dense(), PHEW(), keep=8, batches=batches)


class Twice(nn.Module):
    """A layer that is called again."""

    def __init__(self, again: int) -> None:
        super().__init__()
        self.first, self.last, self.again = nn.Linear(4, 4), nn.Linear(4, 2), again

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.again):
            x = torch.relu(self.first(x))
        return self.last(x)


class OtherWay(nn.Module):
    """A layer whose weight has its inputs as first axis, as the Conv1D of GPT-2."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.last = nn.Parameter(torch.randn(4, 4)), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x @ self.weight)


def test_a_layer_that_is_used_again_is_no_link_of_a_chain():
    assert masks.count(prune(Twice(1), PHEW(floor=1), keep=8)) == 8
    with pytest.raises(ValueError, match=r"'first\.weight' is used 3 times"):
        prune(Twice(3), PHEW(), keep=8)


def test_layers_that_walks_do_not_know_are_refused_by_name():
    with pytest.raises(ValueError, match="'weight' goes through a product by its first axis"):
        prune(OtherWay(), PHEW(), keep=8)
    upwards = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ConvTranspose2d(4, 4, 3), nn.Conv2d(4, 2, 3))
    with pytest.raises(ValueError, match=r"'1\.weight' goes through conv_transpose2d"):
        prune(upwards, PHEW(), keep=8, batches=[(torch.zeros(1, 2, 9, 9), torch.zeros(1))])


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_a_model_with_a_backward_hook_is_walked_as_without():
    model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 2))
    expected = prune(model, PHEW(), keep=8)
    model.register_full_backward_hook(lambda *_: None)
    found = prune(model, PHEW(), keep=8)
    assert all(torch.equal(found[name], mask) for name, mask in expected.items())
