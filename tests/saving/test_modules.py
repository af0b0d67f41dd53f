"""Any module on disk: what comes back, and what is refused with the model left as it was."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.nn.utils import prune as torch_prune

import prunelimits as pl
from prunelimits.masks import make_permanent, to_torch_prune

from .models import MODELS, Counting, LooseModel, TiedModel, Wrapper, cnn, weight_normed

Make = Callable[[], nn.Module]


def bits(value: Tensor) -> list[int]:
    plain = value.detach().resolve_conj().contiguous()
    return [*plain.shape, *plain.flatten().view(torch.uint8).tolist()]


def bits_of(model: nn.Module) -> dict[str, list[int]]:
    """Everything that `state_dict` has, and the buffers that it has not."""
    tensors = {**dict(model.named_buffers()), **model.state_dict()}
    return {name: bits(value) for name, value in tensors.items() if isinstance(value, Tensor)}


def saved_bits(model: nn.Module) -> dict[str, list[int]]:
    state = model.state_dict()
    return {name: bits(value) for name, value in state.items() if isinstance(value, Tensor)}


def random_masks(model: nn.Module) -> dict[str, Tensor]:
    return {name: torch.rand(p.shape) > 0.5 for name, p in model.named_parameters() if p.dim() > 1}


def same_masks(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return list(one) == list(two) and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_model_and_its_masks_come_back_bit_for_bit(make: Make, tmp_path: Path):
    model, other = make(), make()
    masks = random_masks(model)
    assert bits_of(other) != bits_of(model)
    before = bits_of(model)
    parameters = list(other.parameters())
    wanted = [p.requires_grad for p in parameters]
    forms = [p.stride() for p in parameters]
    pl.save(model, masks, tmp_path / "net.pt")
    loaded, again = pl.load(tmp_path / "net.pt", model=other)
    assert loaded is other
    assert saved_bits(other) == saved_bits(model)
    assert same_masks(again, masks)
    assert bits_of(model) == before
    assert all(new is old for new, old in zip(other.parameters(), parameters, strict=True))
    assert [p.requires_grad for p in parameters] == wanted
    assert [p.stride() for p in parameters] == forms


def test_the_function_comes_back(tmp_path: Path):
    model, images = cnn().eval(), torch.randn(3, 1, 6, 6)
    pl.save(model, None, tmp_path / "net.pt")
    loaded, masks = pl.load(tmp_path / "net.pt", cnn().eval())
    assert masks == {}
    assert torch.equal(loaded(images), model(images))


def test_a_pruned_model_is_pruned_when_it_comes_back(tmp_path: Path):
    model = cnn()
    masks = pl.prune(model, pl.pruners.Magnitude(), keep=11)
    make_permanent(model, masks)
    pl.save(model, masks, tmp_path / "net.pt")
    loaded, masks = pl.load(tmp_path / "net.pt", model=cnn())
    assert pl.masks.count(masks) == 11
    nonzero = sum(int((loaded.get_parameter(name) != 0).sum()) for name in masks)
    assert nonzero == 11


def test_the_file_is_a_plain_dict_for_torch_load(tmp_path: Path):
    model = TiedModel()
    pl.save(model, None, tmp_path / "net.pt")
    content: Any = torch.load(tmp_path / "net.pt", weights_only=True)
    assert content["class"] == "TiedModel"
    assert content["tied"] == {"head.weight": "embed.weight"}
    other = TiedModel()
    other.load_state_dict(content["state_dict"], strict=False)
    assert saved_bits(other) == saved_bits(model)


def test_ties_are_kept_and_saved_once(tmp_path: Path):
    model = TiedModel()
    pl.save(model, {"embed.weight": torch.ones(7, 4).bool()}, tmp_path / "net.pt")
    loaded, _ = pl.load(tmp_path / "net.pt", model=TiedModel())
    assert loaded.head.weight is loaded.embed.weight
    content: Any = torch.load(tmp_path / "net.pt", weights_only=True)
    assert "head.weight" not in content["state_dict"]
    with pytest.raises(ValueError, match=r"'head\.weight', which the model shares with 'embed"):
        pl.save(model, {"head.weight": torch.ones(7, 4).bool()}, tmp_path / "net.pt")


def test_masks_follow_a_tie_whose_first_name_is_another(tmp_path: Path):
    class HeadFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 7, bias=False)
            self.embed = nn.Embedding(7, 4)
            self.embed.weight = self.head.weight
            self.mix = nn.Linear(4, 4)

    model, mask = TiedModel(), torch.rand(7, 4) > 0.5
    pl.save(model, {"embed.weight": mask}, tmp_path / "net.pt")
    loaded, masks = pl.load(tmp_path / "net.pt", model=HeadFirst())
    assert torch.equal(loaded.head.weight, model.embed.weight)
    assert same_masks(masks, {"head.weight": mask})


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
@pytest.mark.parametrize("wrap", ["compiled", "wrapped", "both", "compiled inside"])
def test_wrappers_may_come_and_go(wrap: str, tmp_path: Path):
    def wrapped(model: nn.Module) -> nn.Module:
        if wrap == "compiled inside":
            model[5] = torch.compile(model[5])  # type: ignore[index,operator]
        if wrap in ("compiled", "both"):
            model = torch.compile(model)  # type: ignore[assignment]
        return Wrapper(model) if wrap in ("wrapped", "both") else model

    masks = random_masks(cnn())
    model, plain = wrapped(cnn()), cnn()
    own = dict(zip(random_masks(model), masks.values(), strict=True))
    pl.save(model, own, tmp_path / "net.pt")
    loaded, again = pl.load(tmp_path / "net.pt", model=plain)
    assert list(saved_bits(loaded).values()) == list(saved_bits(model).values())
    assert same_masks(again, masks)
    # Masks of the model that was wrapped are understood too, and the other way loads as well.
    pl.save(model, masks, tmp_path / "again.pt")
    assert same_masks(pl.load(tmp_path / "again.pt", model=cnn())[1], masks)
    other, again = pl.load(tmp_path / "net.pt", model=wrapped(cnn()))
    assert saved_bits(other) == saved_bits(model)
    assert same_masks(again, own)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_a_compiled_mlp_is_saved_as_an_mlp(tmp_path: Path):
    model = pl.MLP((2, 3, 1))
    pl.save(model, None, tmp_path / "plain.pt")
    pl.save(torch.compile(model), None, tmp_path / "net.pt")
    assert (tmp_path / "net.pt").read_bytes() == (tmp_path / "plain.pt").read_bytes()


def test_the_file_of_an_mlp_is_what_torch_saves_of_its_three_parts(tmp_path: Path):
    model = pl.MLP((2, 3, 1))
    masks = {"layers.0.weight": torch.rand(3, 2) > 0.5}
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    buffer = io.BytesIO()
    torch.save({"widths": [2, 3, 1], "state_dict": state, "masks": masks}, buffer)
    pl.save(model, masks, tmp_path / "net.pt")
    assert (tmp_path / "net.pt").read_bytes() == buffer.getvalue()


def test_an_mlp_fills_a_model_too(tmp_path: Path):
    model = pl.MLP((2, 3, 1))
    masks = {"layers.0.weight": torch.rand(3, 2) > 0.5}
    pl.save(model, masks, tmp_path / "net.pt")
    loaded, again = pl.load(tmp_path / "net.pt", model=pl.MLP((2, 3, 1)))
    assert saved_bits(loaded) == saved_bits(model)
    assert same_masks(again, masks)
    with pytest.raises(ValueError, match=r"shape of 'layers\.0\.weight' is \(3, 2\) in the file"):
        pl.load(tmp_path / "net.pt", model=pl.MLP((2, 4, 1)))


def test_a_subclass_of_the_mlp_is_not_taken_for_one(tmp_path: Path):
    class Squared(pl.MLP):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) ** 2

    pl.save(Squared((2, 3, 1)), None, tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"net\.pt holds a Squared, not a prunelimits\.MLP"):
        pl.load(tmp_path / "net.pt")


def test_weights_in_the_form_of_torch_prune_become_plain(tmp_path: Path):
    model, masks = cnn(), {"5.weight": torch.rand(2, 4) > 0.5}
    plain = copy.deepcopy(model)
    to_torch_prune(model, masks)
    torch_prune.l1_unstructured(model[0], "weight", amount=5)  # type: ignore[index]
    make_permanent(plain, pl.masks.from_torch_prune(model))
    before = bits_of(model)
    pl.save(model, {"5.weight": torch.ones(2, 4).bool()}, tmp_path / "net.pt")
    assert bits_of(model) == before
    loaded, again = pl.load(tmp_path / "net.pt", model=cnn())
    assert saved_bits(loaded) == saved_bits(plain)
    assert torch.equal(again["5.weight"], masks["5.weight"])
    assert int((~again["0.weight"]).sum()) == 5
    with pytest.raises(ValueError, match=r"model is in torch\.nn\.utils\.prune form"):
        pl.load(tmp_path / "net.pt", model=model)
    assert bits_of(model) == before


def test_tied_weights_in_the_form_of_torch_prune_stay_tied(tmp_path: Path):
    model, mask = TiedModel(), torch.rand(7, 4) > 0.5
    to_torch_prune(model, {"embed.weight": mask})
    pl.save(model, None, tmp_path / "net.pt")
    loaded, masks = pl.load(tmp_path / "net.pt", model=TiedModel())
    assert same_masks(masks, {"embed.weight": mask})
    assert loaded.head.weight is loaded.embed.weight
    make_permanent(model)
    assert saved_bits(loaded) == saved_bits(model)


def test_an_mlp_in_the_form_of_torch_prune_is_saved_as_an_mlp(tmp_path: Path):
    model, mask = pl.MLP((2, 3, 1)), torch.rand(3, 2) > 0.5
    to_torch_prune(model, {"layers.0.weight": mask})
    pl.save(model, None, tmp_path / "net.pt")
    loaded, masks = pl.load(tmp_path / "net.pt")
    assert same_masks(masks, {"layers.0.weight": mask})
    make_permanent(model)
    assert saved_bits(loaded) == saved_bits(model)


def test_extra_state_comes_back_or_nothing_changes(tmp_path: Path):
    model = Counting(3)
    pl.save(model, None, tmp_path / "net.pt")
    loaded, _ = pl.load(tmp_path / "net.pt", model=Counting())
    assert loaded.count == 3
    assert torch.equal(loaded.seen["means"][0], model.seen["means"][0])
    assert loaded.seen["names"] == ("a", None)
    pl.save(nn.Sequential(Counting(5), Counting(-1)), None, tmp_path / "net.pt")
    target = nn.Sequential(Counting(1), Counting(1))
    before = bits_of(target)
    with pytest.raises(ValueError, match=r"extra state '1\._extra_state' of .*: a negative count"):
        pl.load(tmp_path / "net.pt", model=target)
    assert bits_of(target) == before
    assert target[0].count == 1
    model.seen = {"code": print}  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"extra state '_extra_state', which holds <built-in"):
        pl.save(model, None, tmp_path / "net.pt")


def sparse_model() -> nn.Module:
    model = nn.Linear(2, 2)
    model.register_buffer("graph", torch.eye(2).to_sparse())
    return model


def quantised_model() -> nn.Module:
    model = nn.Linear(2, 2)
    model.register_buffer("low", torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8))
    return model


def fake_model() -> nn.Module:
    with FakeTensorMode():
        return nn.Linear(2, 2)


def keeping_more() -> nn.Module:
    class Packed(nn.Linear):
        def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
            super()._save_to_state_dict(destination, prefix, keep_vars)
            destination[prefix + "packed"] = torch.ones(3)

    return nn.Sequential(Packed(2, 2))


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor.*")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(2, 2, device="meta"), "no data for 'weight', which is on the meta"),
        (lambda: nn.LazyLinear(2), "no shape for 'weight' yet"),
        (sparse_model, "has 'graph' in layout torch.sparse_coo"),
        (quantised_model, "has 'low' quantised"),
        (fake_model, "has 'weight' as a FakeTensor"),
    ],
)
def test_tensors_that_no_file_can_hold_are_refused(make: Make, message: str, tmp_path: Path):
    with pytest.raises(ValueError, match=f"^model .*{message}"):
        pl.save(make(), None, tmp_path / "net.pt")
    assert not list(tmp_path.iterdir())
    pl.save(nn.Linear(2, 2), None, tmp_path / "net.pt")
    with pytest.raises(ValueError, match=f"^model .*{message}"):
        pl.load(tmp_path / "net.pt", model=make())


def test_state_outside_parameters_and_buffers_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"model keeps '0\.packed' outside"):
        pl.save(keeping_more(), None, tmp_path / "net.pt")


def other_types() -> nn.Module:
    model = cnn()
    model[5].double()  # type: ignore[index]
    return model


@pytest.mark.parametrize(
    ("saved", "make", "message"),
    [
        (cnn, lambda: cnn()[:5], r"only the file has '5\.weight', '5\.bias'"),  # type: ignore[index]
        (lambda: cnn()[:5], cnn, r"only the model has '5\.weight', '5\.bias'"),  # type: ignore[index]
        (cnn, other_types, r"dtype of '5\.weight' is torch\.float32 in the file, torch\.float64"),
        (
            lambda: nn.Linear(2, 3),
            lambda: nn.Linear(3, 2),
            r"shape of 'weight' is \(3, 2\) in the file, \(2, 3\) in the model, 'bias' is",
        ),
        (TiedModel, LooseModel, r"the file shares 'head\.weight' with 'embed\.weight', the model"),
        (LooseModel, TiedModel, r"the model shares 'head\.weight' with 'embed\.weight', the file"),
        (lambda: Counting().linear, Counting, r"only the model has .*extra state '_extra_state'"),
        (
            weight_normed,
            lambda: nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)),
            r"only the file has '0\.parametrizations\.weight\.original0'",
        ),
        (lambda: nn.LSTM(2, 2, 9), lambda: nn.Linear(1, 1), r"'bias_hh_l0', .* and 31 more"),
        (
            lambda: nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(6))),
            lambda: nn.Sequential(nn.Linear(2, 2, bias=False)),
            r"only the file has '1\.weight', .*, '5\.weight'(?! and)",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_told_why_and_left_alone(
    saved: Make, make: Make, message: str, tmp_path: Path
):
    model = saved()
    pl.save(model, random_masks(model), tmp_path / "net.pt")
    target = make()
    before = bits_of(target)
    with pytest.raises(ValueError, match=rf"^model does not fit .*net\.pt: .*{message}"):
        pl.load(tmp_path / "net.pt", model=target)
    assert bits_of(target) == before


def test_numbers_that_the_model_keeps_in_one_place_must_agree(tmp_path: Path):
    class Halves(nn.Module):
        def __init__(self, *, joined: bool) -> None:
            super().__init__()
            numbers = torch.randn(4)
            self.whole = nn.Parameter(numbers)
            self.register_buffer("part", numbers[:2] if joined else torch.randn(2))
            self.register_buffer("one", torch.randn(1).expand(3) if joined else torch.randn(3))

    joined, loose = Halves(joined=True), Halves(joined=False)
    pl.save(joined, None, tmp_path / "net.pt")
    again, _ = pl.load(tmp_path / "net.pt", model=Halves(joined=True))
    assert saved_bits(again) == saved_bits(joined)
    pl.save(loose, None, tmp_path / "net.pt")
    before = bits_of(joined)
    with pytest.raises(ValueError, match=r"model keeps numbers of '(whole|one)' in one place"):
        pl.load(tmp_path / "net.pt", model=joined)
    assert bits_of(joined) == before


def test_a_model_of_another_is_asked_for(tmp_path: Path):
    pl.save(TiedModel(), None, tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"net\.pt holds a TiedModel, .*model=TiedModel\(\.\.\.\)"):
        pl.load(tmp_path / "net.pt")
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module or None, got <class"):
        pl.load(tmp_path / "net.pt", model=TiedModel)  # type: ignore[call-overload]


def test_models_of_inference_mode_are_saved_and_not_filled(tmp_path: Path):
    with torch.inference_mode():
        model = nn.Linear(2, 2)
    pl.save(model, None, tmp_path / "net.pt")
    target = nn.Linear(2, 2)
    with torch.inference_mode():
        pl.load(tmp_path / "net.pt", model=target)
    assert saved_bits(target) == saved_bits(model)
    with pytest.raises(ValueError, match=r"'weight' from torch\.inference_mode"):
        pl.load(tmp_path / "net.pt", model=model)


def test_a_flipped_bit_anywhere_is_told_or_changes_nothing(tmp_path: Path):
    model, masks = TiedModel(), {"embed.weight": torch.rand(7, 4) > 0.5}
    path = tmp_path / "net.pt"
    pl.save(model, masks, path)
    content, chance, told = path.read_bytes(), random.Random(0), 0
    weight = content.index(model.mix.weight.detach().numpy().tobytes())
    for place in [*range(weight, weight + 16), *chance.choices(range(len(content)), k=500)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        target = TiedModel()
        before = bits_of(target)
        try:
            _, again = pl.load(path, model=target)
        except ValueError as error:
            assert "net.pt" in str(error)  # noqa: PT017
            assert bits_of(target) == before
            told += 1
        else:
            assert place >= weight + 16 or place < weight
            assert saved_bits(target) == saved_bits(model)
            assert same_masks(again, masks)
    assert told > 200


def changed(**parts: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda content: {**content, **parts}


@pytest.mark.parametrize(
    "change",
    [
        changed(version=2),
        changed(version=True),
        changed(state_dict=[torch.zeros(2)]),
        changed(state_dict={"a": 3}),
        changed(tied={"head.weight": "nowhere"}),
        changed(tied={"head.weight": ["embed.weight"]}),
        changed(tied={"mix.weight": "embed.weight"}),
        changed(tied=[]),
        changed(extra_state=None),
        changed(masks={"mix.weight": torch.ones(4, 4)}),
        changed(masks={"mix.weight": torch.ones(4, 3).bool()}),
        changed(masks={"nowhere": torch.ones(4, 4).bool()}),
        lambda content: {name: content[name] for name in content if name != "tied"},
    ],
)
def test_other_content_is_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]], tmp_path: Path
):
    path, target = tmp_path / "net.pt", TiedModel()
    pl.save(target, None, path)
    before = bits_of(target)
    torch.save(change(torch.load(path, weights_only=True)), path)
    for model in (None, target):
        with pytest.raises(ValueError, match=r"net\.pt is not a module that prunelimits saved"):
            pl.load(path, model=model)  # type: ignore[call-overload]
    assert bits_of(target) == before


def test_a_mask_of_a_buffer_is_refused(tmp_path: Path):
    path, target = tmp_path / "net.pt", cnn()
    with pytest.raises(ValueError, match=r"masks names '1\.running_mean', which is not among"):
        pl.save(target, {"1.running_mean": torch.ones(4).bool()}, path)
    pl.save(target, None, path)
    content: Any = torch.load(path, weights_only=True)
    content["masks"] = {"1.running_mean": torch.ones(4).bool()}
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"model does not fit .*'1\.running_mean'"):
        pl.load(path, model=target)


def test_a_class_with_a_name_of_a_stranger_is_not_repeated(tmp_path: Path):
    path = tmp_path / "net.pt"
    pl.save(cnn(), None, path)
    content: Any = torch.load(path, weights_only=True)
    torch.save({**content, "class": "X(); import os"}, path)
    with pytest.raises(ValueError, match=r"holds a Module, .*model=Module\(\.\.\.\)"):
        pl.load(path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_models_on_a_gpu_are_saved_on_the_cpu_and_filled_where_they_are(tmp_path: Path):
    model = nn.LSTM(3, 4).cuda()
    masks = {name: mask.cuda() for name, mask in random_masks(model).items()}
    pl.save(model, masks, tmp_path / "net.pt")
    on_cpu, _ = pl.load(tmp_path / "net.pt", model=nn.LSTM(3, 4))
    loaded, again = pl.load(tmp_path / "net.pt", model=nn.LSTM(3, 4).cuda())
    for name, value in model.named_parameters():
        assert torch.equal(on_cpu.get_parameter(name), value.cpu())
        assert torch.equal(loaded.get_parameter(name), value)
    assert all(mask.is_cuda for mask in again.values())
