# What operations are given is open, and so is what small functions of it give.
# pyright: reportUnknownLambdaType=false
"""Operations that move elements, leave some out, repeat or sum them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from prunelimits.connectivity.following.call import Call
from prunelimits.connectivity.following.recording import Followed
from prunelimits.connectivity.following.steps import Source
from prunelimits.connectivity.following.table import aten, rule
from prunelimits.connectivity.following.values import Argument

_MOVES = (
    "permute", "transpose", "t", "squeeze", "unsqueeze",
    "expand", "slice", "select", "cat", "stack", "split", "split_with_sizes", "chunk", "unbind",
    "flip", "roll", "repeat", "constant_pad_nd", "pixel_shuffle", "pixel_unshuffle", "im2col",
    "col2im", "diagonal", "tril", "triu", "reflection_pad1d", "reflection_pad2d",
    "reflection_pad3d", "replication_pad1d", "replication_pad2d", "replication_pad3d", "unfold",
    "movedim", "cumsum", "sum", "slice_scatter", "select_scatter", "channel_shuffle",
    "diag_embed", "repeat_interleave.self_int", "diagonal_scatter",
    "native_channel_shuffle", "rot90", "trace", "concat", "concatenate", "narrow", "tile",
    "select_copy", "expand_copy", "permute_copy", "slice_copy", "transpose_copy",
    "squeeze_copy", "unsqueeze_copy", "split_copy", "split_with_sizes_copy", "unbind_copy",
    "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d",
    "_upsample_nearest_exact2d", "_upsample_nearest_exact3d",
)  # fmt: skip


@rule(*aten(*_MOVES))
def moves(call: Call) -> Argument:
    """A linear map with coefficients 0 and 1."""
    return call.moves()


@rule(
    *aten("view", "_unsafe_view", "reshape", "view_copy", "_reshape_copy", "flatten", "unflatten")
)
def reshaped(call: Call) -> Argument:
    """Another shape. What comes in may lie otherwise in memory here than it did there."""
    if call.shapes[0][1] != call.followed[0].dtype and isinstance(call.args[1], torch.dtype):
        return call.unknown()
    shape = call.shapes[0][0]
    reshape = lambda v: v.reshape(shape)  # noqa: E731
    (x,) = call.followed
    if x.blocked is None:
        return call.linear(reshape, reshape, keeps_zero=True, lines=(shape,))
    return replace(call, operation=lambda x, *_, **__: reshape(x)).moves()


@rule(*aten("copy"))
def copied(call: Call) -> Argument:
    """The second tensor, in the shape of the first."""
    shape = call.shapes[0][0]
    source = call.args[1]
    if not isinstance(source, Followed):
        return source.expand(shape)
    spread = lambda v: v.expand(shape)  # noqa: E731
    return call.step((source,), spread, spread, keeps_zero=True)


@rule(*aten("as_strided"))
def strided(call: Call) -> Argument:
    """Elements by their places in memory, as they are where nothing was moved."""
    return replace(call, operation=_as_strided).moves() if call.contiguous else call.unknown()


def _as_strided(x: Tensor, *settings: Argument, **named: Argument) -> Tensor:
    return torch.as_strided(x.contiguous(), *settings, **named)


@rule(*aten("fill.Scalar", "full_like", "zeros_like", "ones_like", "empty_like", "new_zeros",
            "new_ones", "new_full", "new_empty", "new_empty_strided", "rand_like", "randn_like",
            "randint_like", "bernoulli.p", "uniform", "exponential", "geometric", "log_normal",
            "cauchy"))  # fmt: skip
def of_the_shape(call: Call) -> Argument:
    """Only the shape of what comes in is read."""
    name = str(call.operation)
    shape, dtype = call.shapes[0]
    if torch.Tag.nondeterministic_seeded in call.operation.tags:  # pyright: ignore[reportFunctionMemberAccess]
        return call.record.source(call.name, shape, dtype)
    value: Any = 0
    if "ones" in name:
        value = 1
    elif "new_full" in name:
        value = call.argument(2, "fill_value")
    elif "full_like" in name or "fill" in name:
        value = call.argument(1, "fill_value" if "full" in name else "value")
    kind = torch.float64 if dtype.is_floating_point else dtype
    return torch.full(shape, value, dtype=kind, device="cpu")


@rule(*aten("index_select", "gather", "index.Tensor", "_unsafe_index", "take"))
def chosen(call: Call) -> Argument:
    """What the index says; an index that is not known may say anything along its axes."""
    source = call.args[0]
    if len(call.followed) == 1 and isinstance(source, Followed):
        return call.moves()
    if "index.Tensor" in str(call.operation) or "_unsafe_index" in str(call.operation):
        return _any_index(call)
    if "take" in str(call.operation):
        return call.unknown()
    axis, index = call.args[1], call.args[2]
    if "index_select" in str(call.operation):
        return call.unknown() if not isinstance(index, Followed) else _any_row(call, axis)
    return _any_row(call, axis)


def _any_row(call: Call, axis: int) -> Argument:
    """`gather` and `index_select` by an index that is not known."""
    source, index = call.args[0], call.args[2]
    if not isinstance(index, Followed):
        return call.unknown()
    shape = call.shapes[0][0]
    along = axis % max(1, len(shape))
    gathers = "gather" in str(call.operation)

    def spread_index(i: Tensor) -> Tensor:
        if gathers:
            return i.expand(shape)
        lengths = [1] * len(shape)
        lengths[along] = -1
        return i.reshape(lengths).expand(shape)

    def rows(s: Tensor) -> Tensor:
        total = s.sum(along, keepdim=True)
        if gathers:
            # Other axes of the index may be shorter than the source's.
            total = total[tuple(
                slice(None) if a == along else slice(0, shape[a]) for a in range(len(shape))
            )]  # fmt: skip
        return total.expand(shape)

    if isinstance(source, Followed):
        return call.linear(lambda s, i: rows(s) + spread_index(i))
    return call.linear(spread_index)


def _any_index(call: Call) -> Argument:
    """`x[i, j]` by indices of which some are not known: everything along the indexed axes."""
    source, indices = call.args[:2]
    if not isinstance(source, Followed):
        return call.unknown()
    indexed = [axis for axis, index in enumerate(indices) if index is not None]
    if indexed != list(range(indexed[0], indexed[-1] + 1)):
        return call.unknown()
    given = [index for index in indices if index is not None]
    if any(isinstance(index, Tensor) for index in given):
        return call.unknown()
    shape = call.shapes[0][0]
    spread = torch.broadcast_shapes(*(index.shape for index in given))
    before, behind = indexed[0], len(source.shape) - indexed[-1] - 1

    def paths(s: Tensor, *found: Tensor) -> Tensor:
        rows = s.sum(indexed)
        rows = rows.reshape(*rows.shape[:before], *[1] * len(spread), *rows.shape[before:])
        total = rows.expand(shape)
        for index in found:
            whole = index.expand(spread).reshape(*[1] * before, *spread, *[1] * behind)
            total = total + whole
        return total

    return call.linear(paths)


@rule(*aten("embedding"))
def embedding(call: Call) -> Argument:
    """Rows of a table: the known ones, or any row by an index that is not known."""
    table, index = call.args[:2]
    if not isinstance(index, Followed):
        return call.step((table,), lambda t: t[index], lambda t: t[index], keeps_zero=True)
    if not isinstance(table, Followed):
        shape = call.shapes[0][0]
        used = (table != 0).any(0).float()
        return call.step(
            (index,), lambda i: i.unsqueeze(-1).expand(shape) * used, lambda i: table[i.long()],
        )  # fmt: skip
    return call.product(
        index, table, lambda i, t: t[i.long()],
        paths=lambda i, t: i.unsqueeze(-1) * t.sum(0), contracts=True,
    )  # fmt: skip


@rule(*aten("_embedding_bag", "_embedding_bag_forward_only"))
def embedding_bag(call: Call) -> Argument:
    """Rows of a table taken together, by indices that are not known."""
    table, index, offsets = call.args[:3]
    known = isinstance(table, Followed) and isinstance(index, Followed)
    # Offsets that come in as they are: every index may be in every bag.
    given = all(
        isinstance(x, Followed) and isinstance(call.record.steps[x.step], Source)
        for x in (index, offsets)
    )
    if not known or not (isinstance(offsets, Tensor) or given):
        return call.unknown()
    weights = call.argument(6, "per_sample_weights")
    shape, count = call.shapes[0][0], index.shape[0]
    inside = torch.ones(shape[0], count, dtype=torch.bool, device="cpu")
    if isinstance(offsets, Tensor):
        # From a bag's offset to the next one.
        place = torch.arange(count, device="cpu")
        ends = torch.cat([offsets[1:], torch.tensor([count], device="cpu")])[: shape[0]]
        inside = (place >= offsets[: shape[0], None]) & (place < ends[:, None])
    if weights is not None:
        rows = torch.Size((count, shape[1]))
        table = call.product(
            index, table, lambda i, t: t[i.long()],
            paths=lambda i, t: i.unsqueeze(-1) * t.sum(0), contracts=True, shape=rows,
        )  # fmt: skip
        table = call.product(table, weights, lambda r, w: r * w.unsqueeze(-1), shape=rows)
        bags = call.step(
            (table,), lambda r: inside.to(r.dtype) @ r, lambda r: inside.to(r.dtype) @ r,
            keeps_zero=True, shape=shape,
        )  # fmt: skip
    else:
        mode = ("sum", "mean", "max")[call.argument(4, "mode", 0)]
        bags = call.product(
            index, table,
            lambda i, t: functional.embedding_bag(i.long(), t, offsets, mode=mode),
            paths=lambda i, t: (inside.to(i.dtype) @ i).unsqueeze(-1) * t.sum(0), contracts=True,
        )  # fmt: skip
    return [bags, *[None] * (len(call.shapes) - 1)]
