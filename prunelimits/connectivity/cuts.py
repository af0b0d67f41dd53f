"""What is taken out of a model, and what is not."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Cut:
    """What is kept of a module: bool `(units,)` for its outputs and for its inputs.

    None: all of it, as of the inputs of a normalisation, which has none of its own.
    """

    outputs: Tensor
    inputs: Tensor | None


@dataclass(frozen=True)
class Cuts:
    """What is taken out of a model.

    Attributes:
        modules: What is kept of each module that can be cut, by path.
        heads: The heads that are kept of each `nn.MultiheadAttention` that can lose some, by path.
        whole: Modules that keep units which count for nothing, by path, and why.
        attributes: Numbers that modules tell of themselves, by path and name: of heads.
    """

    modules: dict[str, Cut] = field(default_factory=dict[str, Cut])
    heads: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    whole: dict[str, str] = field(default_factory=dict[str, str])
    attributes: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
