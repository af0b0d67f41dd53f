import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

lightning: Any = pytest.importorskip("lightning.pytorch")

from prunelimits.integrations.lightning import PruningCallback  # noqa: E402
from prunelimits.masks import count, make_permanent  # noqa: E402
from prunelimits.pruners import GMP, AbstractPruner, Magnitude, RigL, prune  # noqa: E402
from prunelimits.sessions import attach  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Classifier(lightning.LightningModule):
    def __init__(self, manual: bool = False, optimizers: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        self.automatic_optimization = not manual
        self.number = optimizers
        self.nonzeros: list[int] = []

    def training_step(self, batch: Any, index: int) -> Tensor:
        x, y = batch
        loss = functional.cross_entropy(self.net(x), y)
        if not self.automatic_optimization:
            optimizers = self.optimizers()
            optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
            for optimizer in optimizers:
                optimizer.zero_grad()
            self.manual_backward(loss)
            for optimizer in optimizers:
                optimizer.step()
        self.nonzeros.append(nonzeros(self))
        return loss

    def configure_optimizers(self) -> Any:
        if self.number == 2:
            return [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in self.net[::2]]
        return torch.optim.AdamW(self.parameters(), lr=0.01)


def nonzeros(model: nn.Module) -> int:
    return sum(int(p.count_nonzero()) for p in model.parameters() if p.dim() > 1)


def loader() -> DataLoader[Any]:
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=8)


def fit(model: Any, callback: Any, folder: Path, epochs: int = 4, **more: Any) -> Any:
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, callbacks=[callback],
        enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(model, loader(), **more)
    return trainer


@pytest.mark.parametrize("pruner", [GMP(rounds=4), RigL(rounds=4)])
@pytest.mark.parametrize("manual", [False, True])
def test_it_is_the_plain_loop(pruner: AbstractPruner, manual: bool, tmp_path: Path):
    model, callback = Classifier(manual), PruningCallback(pruner, keep=15)
    fit(model, callback, tmp_path)
    plain = Classifier()
    optimizer = plain.configure_optimizers()
    with attach(pruner, plain, optimizer, keep=15, steps=20) as session:
        for _ in range(4):
            for x, y in loader():
                optimizer.zero_grad()
                functional.cross_entropy(plain.net(x), y).backward()
                optimizer.step()
    assert nonzeros(model) == 15 == count(callback.session.masks)
    assert all(torch.equal(m, session.masks[n]) for n, m in callback.session.masks.items())
    assert all(torch.equal(p, plain.get_parameter(n)) for n, p in model.named_parameters())


def test_it_takes_what_attach_takes():
    given = inspect.signature(attach).parameters
    taken = inspect.signature(PruningCallback).parameters
    assert list(taken) == [n for n in given if n not in ("model", "optimizer", "resume")]
    for name, parameter in taken.items():
        assert parameter.default == given[name].default
        assert parameter.annotation == given[name].annotation


def test_what_is_pruned_already_stays_pruned(tmp_path: Path):
    model = Classifier()
    first = prune(model, Magnitude(), keep=30)
    make_permanent(model, first)
    fit(model, callback := PruningCallback(GMP(rounds=4), keep=15, masks=first), tmp_path)
    assert nonzeros(model) == 15
    assert not any((m & ~first[n]).any() for n, m in callback.session.masks.items())


def test_steps_are_those_that_are_said(tmp_path: Path):
    model, pruner = Classifier(), GMP(rounds=4)
    fit(model, PruningCallback(pruner, keep=15, steps=10), tmp_path)
    assert model.nonzeros.index(15) == pruner.update_steps(10)[-1]


def test_a_second_training_has_a_session_of_its_own(tmp_path: Path):
    callback = PruningCallback(GMP(rounds=2), keep=15)
    fit(Classifier(), callback, tmp_path, epochs=1)
    first = callback.session
    fit(again := Classifier(), callback, tmp_path, epochs=1)
    assert callback.session is not first
    assert nonzeros(again) == 15


def test_two_optimizers_share_one_budget(tmp_path: Path):
    model, callback = Classifier(True, 2), PruningCallback(GMP(rounds=4), keep=15)
    fit(model, callback, tmp_path)
    assert nonzeros(model) == 15


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path):
    whole = Classifier()
    fit(whole, PruningCallback(GMP(rounds=4), keep=15, every=4), tmp_path)
    half, callback = Classifier(), PruningCallback(GMP(rounds=4), keep=15, every=4)
    trainer = fit(half, callback, tmp_path, epochs=2)
    assert nonzeros(half) > 15
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    rest = Classifier()
    fit(
        rest,
        PruningCallback(GMP(rounds=4), keep=15, every=4),
        tmp_path,
        ckpt_path=tmp_path / "half.ckpt",
    )
    assert nonzeros(rest) == 15
    assert all(torch.equal(p, whole.get_parameter(n)) for n, p in rest.named_parameters())
