"""The steps of a forward pass, each as a map on numbers of paths.

A step knows two maps of its input tensors: `compute`, which is the computation itself, and `paths`,
which takes the number of paths that reach each element of its inputs to those that reach each
element of its output. `paths` has coefficients 0 and 1 and is linear (`Linear`) or linear in each
of two inputs (`Product`). Paths to an output are counted by the transposed map, which automatic
differentiation gives where a rule does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from prunelimits.connectivity.following.transposes import Transposed


@dataclass(frozen=True, eq=False)
class AbstractStep(ABC):
    """One step.

    Attributes:
        name: What errors and reports call it.
        inputs: The numbers of the steps it reads.
        shape: Of its output.
        dtype: Of its output: float64 for every floating type.
        varies: Whether it depends on an input of the network, as it is written.
        lines: Where each element is made of the same element of each input: the shape in which an
            input lies, to be spread to that of the output. Empty: it is made of others.
    """

    name: str
    inputs: tuple[int, ...]
    shape: torch.Size
    dtype: torch.dtype
    varies: bool
    lines: tuple[torch.Size, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def spread(self, at: Sequence[Tensor], paths: Sequence[Tensor | None]) -> Tensor:
        """The paths that reach each element of the output.

        Args:
            at: For each input, 1 where it may be other than zero and 0 elsewhere.
            paths: For each input, the paths that reach it; None: none does.
        """

    @abstractmethod
    def gather(
        self, at: Sequence[Tensor], paths: Tensor, wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        """The transposed map: the paths that each input element has to the output's.

        Args:
            at: As for `spread`.
            paths: For each element of the output, the paths that go on from it.
            wanted: For each input whether it is asked for; None is given for the others.
        """

    @abstractmethod
    def compute(self, *inputs: Tensor) -> Tensor:
        """What the step computes."""

    def zeros(self) -> Tensor:
        """A zero for every element of the output, in its dtype."""
        return torch.zeros(self.shape, dtype=self.dtype, device="cpu")


@dataclass(frozen=True, eq=False)
class AbstractLeaf(AbstractStep):
    """A step that reads no other."""

    def spread(self, at: Sequence[Tensor], paths: Sequence[Tensor | None]) -> Tensor:
        """Nothing comes in."""
        return torch.zeros(self.shape, dtype=torch.float32, device="cpu")

    def gather(
        self, at: Sequence[Tensor], paths: Tensor, wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        """Nothing to give it to."""
        return []

    def compute(self, *inputs: Tensor) -> Tensor:
        """Nothing is known of it."""
        return self.zeros()


@dataclass(frozen=True, eq=False)
class Source(AbstractLeaf):
    """An input of the network, or a number drawn at random."""


@dataclass(frozen=True, eq=False)
class Parameter(AbstractLeaf):
    """A parameter of the network; `name` is the one it is kept under."""


@dataclass(frozen=True, eq=False)
class Constant(AbstractLeaf):
    """What depends on no input and no parameter.

    Attributes:
        content: Its value.
    """

    content: Tensor

    def compute(self, *inputs: Tensor) -> Tensor:
        """The value."""
        return self.content


@dataclass(frozen=True, eq=False)
class Linear(AbstractStep):
    """What moves elements, adds or collects them, or works on each by itself.

    Attributes:
        function: The computation.
        paths: Its map on numbers of paths, linear in all inputs together.
        keeps_zero: Whether zeros give zeros.
        opaque: Whether nothing is known of it: any output may be other than zero.
        divides: Whether it is a reciprocal, and nothing must not come in.
    """

    function: Callable[..., Tensor]
    paths: Callable[..., Tensor]
    keeps_zero: bool = False
    opaque: bool = False
    divides: bool = False

    def spread(self, at: Sequence[Tensor], paths: Sequence[Tensor | None]) -> Tensor:
        """The map itself."""
        if all(part is None for part in paths):
            return torch.zeros(self.shape, dtype=torch.float32, device="cpu")
        zeros = [torch.zeros_like(x) if p is None else p for x, p in zip(at, paths, strict=True)]
        return self.paths(*zeros)

    def gather(
        self, at: Sequence[Tensor], paths: Tensor, wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        """Its transpose, the same everywhere."""
        return _transposed(self.paths, at, paths, wanted)

    def compute(self, *inputs: Tensor) -> Tensor:
        """The computation."""
        return self.function(*inputs)


@dataclass(frozen=True, eq=False)
class Product(AbstractStep):
    """A product, element by element or summed: of two inputs, linear in each.

    An element carries a signal if both factors can be other than zero and one of them depends on
    the input. A path through it goes through either factor, where the other can be other than zero.

    Attributes:
        function: The computation.
        paths: Its map on numbers of paths, linear in each of the two inputs.
        contracts: Whether it sums over an axis that both share, as a layer does.
        transposed: The transpose of `paths` in either input. None: found by differentiation.
    """

    function: Callable[[Tensor, Tensor], Tensor]
    paths: Callable[[Tensor, Tensor], Tensor]
    contracts: bool = False
    transposed: Transposed | None = None

    def spread(self, at: Sequence[Tensor], paths: Sequence[Tensor | None]) -> Tensor:
        """The paths through the left factor where the right one carries, and the other way."""
        left, right = paths
        if left is None and right is None:
            return torch.zeros(self.shape, dtype=torch.float32, device="cpu")
        result = None
        if left is not None:
            result = self.paths(left, at[1])
        if right is not None:
            more = self.paths(at[0], right)
            result = more if result is None else result + more
        assert result is not None
        return result

    def gather(
        self, at: Sequence[Tensor], paths: Tensor, wanted: Sequence[bool]
    ) -> list[Tensor | None]:
        """The transpose of the derivative at what carries."""
        if self.transposed is not None:
            return self.transposed(at, paths, wanted)
        return _transposed(self.paths, at, paths, wanted)

    def compute(self, *inputs: Tensor) -> Tensor:
        """The product."""
        return self.function(*inputs)


def _transposed(
    function: Callable[..., Tensor], at: Sequence[Tensor], paths: Tensor, wanted: Sequence[bool]
) -> list[Tensor | None]:
    with torch.enable_grad():
        leaves = [x.detach().requires_grad_(asked) for x, asked in zip(at, wanted, strict=True)]
        asked = [x for x in leaves if x.requires_grad]
        if not asked:
            return [None] * len(leaves)
        output = function(*leaves)
        if not output.requires_grad:
            return [torch.zeros_like(x) if x.requires_grad else None for x in leaves]
        found = torch.autograd.grad(output, asked, paths, allow_unused=True)
    given = iter(found)
    result: list[Tensor | None] = []
    for x in leaves:
        part = next(given) if x.requires_grad else None
        result.append(torch.zeros_like(x) if x.requires_grad and part is None else part)
    return result
