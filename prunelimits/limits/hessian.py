"""The Hessian of a loss over a whole data set, as a linear operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from prunelimits.arguments import checked_flag, checked_tensor, checked_tensors
from prunelimits.limits.checks import check_dtype, check_params, checked_names
from prunelimits.limits.losses import batch_weights, finite_loss
from prunelimits.masks import check_masks, flatten, unflatten
from prunelimits.modes import differentiable, in_plain_modes
from prunelimits.nested import map_tensors
from prunelimits.scores.gradient import check_batches
from prunelimits.types import Masks, Params, Problem

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

_GRAPH_BYTES = 2**30
# As many vectors go through a graph side by side as need about this together.
_BYTES_AT_ONCE = 2**28


class Hessian:
    """The second derivative of the mean loss over all batches, by the named parameters.

    `H = sum_b n_b / n * d^2 L_b / dw^2`, where batch b has `n_b` of the `n` samples. A
    product with a vector costs about two gradients of the whole data; the batches, their order
    and so the matrix are the same in every product. A vector holds the entries of the parameters
    in the order of `names`.

    Args:
        problem: The task. Its loss is a mean over the samples of a batch.
        params: Parameters and buffers by name, where to differentiate. They are copied.
        names: The parameters to differentiate by. None: all of `params`.
        masks: Entries that are False are no variables: they stay as they are, and the matrix has
            no row for them.
        dtype: What to compute in, torch.float32 or torch.float64. None: the parameters' own.
        keep_graphs: Whether to keep the graph of every batch's gradient from one product to the
            next: twice as fast, and as much memory as all of the data's activations. None: where
            that is less than a gigabyte.

    Attributes:
        names: The parameters to differentiate by, in the order of a vector's entries.
        size: The number of rows, and of columns.
        dtype: What it computes in.
        device: Where the parameters are.

    Raises:
        ValueError: If there are no batches, a name or a mask fits no parameter, nothing is left
            to differentiate by, or a loss is NaN or infinite.
        TypeError: If a parameter to differentiate by or `dtype` is no real floating-point type.

    Examples:
        >>> x, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.zeros(2)
        >>> problem = Problem(lambda p, x: x @ p["w"], torch.nn.functional.mse_loss, [(x, y)])
        >>> hessian = Hessian(problem, {"w": torch.zeros(2)})
        >>> hessian.product(torch.tensor([1.0, 0.0]))  # x^T x is ((10, 14), (14, 20))
        tensor([10., 14.])
    """

    @in_plain_modes
    def __init__(
        self,
        problem: Problem,
        params: Params,
        names: Iterable[str] | None = None,
        *,
        masks: Masks | None = None,
        dtype: torch.dtype | None = None,
        keep_graphs: bool | None = None,
    ) -> None:
        check_batches(problem)
        check_params(params)
        if names is not None:
            names = checked_names("names", names)
        if keep_graphs is not None:
            checked_flag("keep_graphs", keep_graphs)
        check_dtype(dtype)
        self.names = tuple(params if names is None else dict.fromkeys(names))
        unknown = [name for name in self.names if name not in params]
        if unknown or not self.names:
            raise ValueError(f"names must be among {sorted(params)}, got {list(self.names)}")
        for name in self.names:
            if not params[name].is_floating_point():
                kind = params[name].dtype
                raise TypeError(f"params[{name!r}] must be a floating-point tensor, got {kind}")
        self.dtype = dtype or params[self.names[0]].dtype
        self.device = params[self.names[0]].device
        copies = {name: self._cast(value.detach()).clone() for name, value in params.items()}
        # The same leaves in every graph: a graph of its own copy each would keep many.
        self._leaves = [copies[name].requires_grad_() for name in self.names]
        self._params: Params = copies
        self._shapes = {name: params[name].shape for name in self.names}
        batches = [map_tensors(self._cast, batch) for batch in map(tuple, problem.batches)]
        self._problem = problem._replace(batches=batches)
        self._weights = batch_weights(problem).tolist()
        self._kept = self._kept_entries({} if masks is None else masks)
        self.size = sum(map(_entries, self._shapes.values()))
        if self._kept is not None:
            self.size = len(self._kept)
        if self.size == 0:
            raise ValueError("masks must keep at least one entry of the named parameters, got none")
        bytes_each = self._graph_bytes()
        self._at_once = max(1, _BYTES_AT_ONCE // bytes_each)
        if keep_graphs is None:
            keep_graphs = len(batches) * bytes_each <= _GRAPH_BYTES
        self._graphs = list(self._each_graph()) if keep_graphs else None

    def __repr__(self) -> str:
        return f"Hessian(size={self.size}, batches={len(self._weights)}, dtype={self.dtype})"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.size, self.size

    @in_plain_modes
    def product(self, vectors: Tensor) -> Tensor:
        """`H v` for a vector `(size,)`, or for many at once, `(..., size)`; the same shape.

        Raises:
            ValueError: If the last axis is not as long as the matrix is wide.
        """
        checked_tensor("vectors", vectors)
        if vectors.dim() == 0 or vectors.shape[-1] != self.size:
            raise ValueError(f"vectors must be (..., {self.size}), got {tuple(vectors.shape)}")
        rows = vectors.detach().to(self.device, self.dtype).reshape(-1, self.size)
        whole = self._with_masked(rows)
        result = torch.zeros_like(whole)
        graphs = self._each_graph() if self._graphs is None else self._graphs
        # What looks for NaN on the way back reads values, of which several vectors have several.
        at_once = 1 if torch.is_anomaly_enabled() else self._at_once
        for weight, gradient in zip(self._weights, graphs, strict=True):
            for part, into in zip(whole.split(at_once), result.split(at_once), strict=True):
                self._add(self._derivative(gradient, part), weight, into)
        return self._without_masked(result).reshape(vectors.shape)

    __matmul__ = product

    @in_plain_modes
    def dense(self) -> Tensor:
        """The matrix itself, `(size, size)`, symmetric to the last bit; for small networks."""
        identity = torch.eye(self.size, dtype=self.dtype, device=self.device)
        matrix = self.product(identity)
        return (matrix + matrix.T) / 2

    @in_plain_modes
    def gradient(self) -> Tensor:
        """The gradient of the mean loss, `(size,)`."""
        graphs = self._each_graph() if self._graphs is None else self._graphs
        result = torch.zeros(self.size, dtype=self.dtype, device=self.device)
        for weight, gradient in zip(self._weights, graphs, strict=True):
            row = [part.detach().unsqueeze(0) for part in gradient]
            result.add_(self._without_masked(_joined(row))[0], alpha=weight)
        return result

    def vector(self, params: Params) -> Tensor:
        """What the matrix has rows for, `(size,)`: zero for a name that `params` has not."""
        checked_tensors("params", params)
        for name, shape in self._shapes.items():
            if name in params and params[name].shape != shape:
                got = tuple(params[name].shape)
                raise ValueError(f"params[{name!r}] must have shape {tuple(shape)}, got {got}")
        whole = {n: params.get(n, self._params[n].new_zeros(s)) for n, s in self._shapes.items()}
        rows = [value.detach().to(self._params[n])[None] for n, value in whole.items()]
        return self._without_masked(_joined(rows))[0]

    def to_scipy(self) -> LinearOperator:
        """The operator as SciPy's solvers take it, for numpy arrays on the CPU."""
        # Importing the library does not load SciPy.
        from prunelimits.limits.scipy_operator import SymmetricOperator

        return SymmetricOperator(self.product, self.size, self.dtype)

    def _cast(self, value: Tensor) -> Tensor:
        return differentiable(value.to(self.dtype) if value.is_floating_point() else value)

    def _kept_entries(self, masks: Masks) -> Tensor | None:
        check_masks({name: self._params[name] for name in self.names}, masks)
        if not masks:
            return None
        everything = {
            name: torch.ones(shape, dtype=torch.bool, device=self.device)
            for name, shape in self._shapes.items()
        }
        whole = flatten({n: masks.get(n, one).to(self.device) for n, one in everything.items()})
        return whole.nonzero().squeeze(1)

    def _each_graph(self) -> Iterator[Sequence[Tensor]]:
        """The gradient of one batch after the other, to be differentiated once more."""
        return (self._graph(number) for number in range(len(self._weights)))

    def _graph(self, number: int) -> Sequence[Tensor]:
        # Plain reverse mode twice: measured against forward over reverse (`torch.func.jvp` of
        # `grad`), it takes half the time, and the first half can be kept.
        x, y = self._problem.batches[number]
        with sdpa_kernel(SDPBackend.MATH):  # the only attention that can be differentiated twice
            outputs = self._problem.apply(self._params, x)
        loss = finite_loss(self._problem.loss(outputs, y), number)
        if not loss.requires_grad:
            raise ValueError(
                "loss must be a differentiable function of the named parameters: "
                "its value has no gradient"
            )
        return torch.autograd.grad(loss, self._leaves, create_graph=True, materialize_grads=True)

    def _graph_bytes(self) -> int:
        """The memory that the graph of the first batch holds, and a vector's at least."""
        sizes = {0: self.size * self.dtype.itemsize}

        def note(value: Tensor) -> Tensor:
            storage = value.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return value

        with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
            self._graph(0)
        return sum(sizes.values())

    def _derivative(self, gradient: Sequence[Tensor], vectors: Tensor) -> Sequence[Tensor | None]:
        """A batch's Hessian times each vector, by parameter; None is zero."""
        # A gradient that no parameter enters, such as a linear function's, has zero derivative.
        live = [place for place, part in enumerate(gradient) if part.requires_grad]
        if not live:
            return [None] * len(gradient)
        parts = list(unflatten(vectors, self._shapes).values())
        one = len(vectors) == 1
        return torch.autograd.grad(
            [gradient[place] for place in live],
            self._leaves,
            [parts[place][0] if one else parts[place] for place in live],
            retain_graph=True,
            is_grads_batched=not one,
            allow_unused=True,
        )

    def _add(self, products: Iterable[Tensor | None], weight: float, into: Tensor) -> None:
        # Views of `into`: joining the products first would copy them once more.
        targets = unflatten(into, self._shapes).values()
        for product, target in zip(products, targets, strict=True):
            if product is not None:
                target.add_(product, alpha=weight)

    def _with_masked(self, rows: Tensor) -> Tensor:
        """`(vectors, size)` with zeros for the entries that the masks prune."""
        if self._kept is None:
            return rows
        whole = sum(map(_entries, self._shapes.values()))
        return rows.new_zeros(len(rows), whole).index_copy(1, self._kept, rows)

    def _without_masked(self, rows: Tensor) -> Tensor:
        """The inverse of `_with_masked`."""
        return rows if self._kept is None else rows[:, self._kept]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def _entries(shape: torch.Size) -> int:
    return shape.numel()
