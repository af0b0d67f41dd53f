"""Pruned modules of one form side by side: their tensors and masks, without the modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from torch import Tensor

from prunelimits.masks import rows, unflatten
from prunelimits.randomness import derive
from prunelimits.types import Masks, Params


@final
@dataclass(frozen=True, eq=False)
class ModuleStack:
    """Pruned modules stacked along a leading axis, on the CPU.

    Attributes:
        state: Parameters and buffers, name -> tensor `(models, *shape)`, zero outside the masks.
        masks: Of the weights that may be pruned, name -> bool `(models, *shape)`.
        origin: Which start each descends from, int64 `(models,)`.
        score: The metric, larger is better, float64 `(models,)`.
    """

    state: Params
    masks: Masks
    origin: Tensor
    score: Tensor

    def __len__(self) -> int:
        return len(self.origin)

    def __getitem__(self, members: Tensor | slice) -> ModuleStack:
        return ModuleStack(
            {name: value[members] for name, value in self.state.items()},
            {name: mask[members] for name, mask in self.masks.items()},
            self.origin[members],
            self.score[members],
        )

    def nonzeros(self) -> Tensor:
        """Kept weights of each, int64 `(models,)`; what is never pruned does not count."""
        return rows(self.masks).sum(1)

    def signatures(self) -> Tensor:
        """Sums of a word for every weight that is kept, modulo 2^64: equal for equal masks."""
        kept = rows(self.masks).numpy()
        words = derive(0, np.arange(kept.shape[1]))
        sums = [words[row].sum(dtype=np.uint64) for row in kept]
        return torch.from_numpy(np.array(sums, dtype=np.uint64).astype(np.int64))

    def joined(self, others: Sequence[ModuleStack]) -> ModuleStack:
        """These networks, then the others."""
        all_ = [self, *others]
        return ModuleStack(
            {name: torch.cat([part.state[name] for part in all_]) for name in self.state},
            {name: torch.cat([part.masks[name] for part in all_]) for name in self.masks},
            torch.cat([part.origin for part in all_]),
            torch.cat([part.score for part in all_]),
        )

    def member(self, index: int) -> tuple[Params, Masks]:
        """The tensors and masks of one network."""
        state = {name: value[index] for name, value in self.state.items()}
        return state, {name: mask[index] for name, mask in self.masks.items()}

    def keeping(self, kept: Tensor) -> ModuleStack:
        """The same networks with other masks, `(models, entries)`, and zeros where they prune."""
        masks = unflatten(kept, {name: mask.shape[1:] for name, mask in self.masks.items()})
        pruned = {name: self.state[name].masked_fill(~mask, 0) for name, mask in masks.items()}
        return replace(self, state={**self.state, **pruned}, masks=masks)
