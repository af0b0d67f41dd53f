"""RigL in Lightning's Trainer, by a callback.

Run: python examples/lightning_pruning.py
Needs pip install lightning. Trains an MLP on the Cubist Spiral; a quarter of its weights is there
at any time, and which ones changes while it trains.
"""

import argparse

import lightning
import torch
from torch import nn

import prunelimits as pl
from prunelimits.integrations.lightning import PruningCallback


class Spiral(lightning.LightningModule):
    """A classifier of two classes, as one would write it without pruning."""

    def __init__(self) -> None:
        super().__init__()
        self.net = pl.MLP((2, 32, 32, 1))

    def training_step(self, batch: list[torch.Tensor], number: int) -> torch.Tensor:
        """The loss of a batch."""
        x, y = batch
        return nn.functional.binary_cross_entropy_with_logits(self.net(x).squeeze(1), y)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The one optimizer."""
        return torch.optim.Adam(self.parameters(), lr=0.01)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--keep", type=int, default=280, help="weights that survive, of 1,120")
options = parser.parse_args()

lightning.seed_everything(0, verbose=False)
x, y = pl.datasets.cubist_spiral(2_000)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x, y), batch_size=100, shuffle=True
)
model = Spiral()
callback = PruningCallback(pl.pruners.RigL(), keep=options.keep)
trainer = lightning.Trainer(
    max_epochs=options.epochs,
    callbacks=[callback],
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    accelerator="cpu",
)
trainer.fit(model, loader)
masks = callback.session.masks
with torch.no_grad():
    accuracy = float(((model.net(x).squeeze(1) > 0) == (y == 1)).float().mean())
own = {name.removeprefix("net."): mask for name, mask in masks.items()}
print(f"kept {pl.masks.count(masks)} of 1,120 weights, accuracy {accuracy:.1%}")
print(f"effective sparsity {pl.effective_sparsity(model.net, own):.1%}")
