# Modules are taken apart and put together here, which torch has no public names for.
# pyright: reportPrivateUsage=false
"""Attention with some of its heads: what `compact` makes of `torch.nn.MultiheadAttention`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunelimits.arguments import checked_instance, checked_tensor, shown


class FewerHeads(nn.Module):
    """`torch.nn.MultiheadAttention` with fewer heads than its width holds, and called like it.

    A plain module: its projections are linear layers, whose rows and columns are those of the heads
    that are left. It gives no attention weights, since those of the other heads are not there.

    Args:
        whole: The attention that it is cut from; it stays as it is.
        heads: The heads that are kept, bool `(heads,)`, at least one.

    Raises:
        TypeError: If `whole` is no `torch.nn.MultiheadAttention`, or `heads` no bool tensor.
        ValueError: If `heads` has another shape or keeps none, or `whole` adds keys and values of
            its own.

    Attributes:
        num_heads: The heads that are left.
        batch_first: Whether samples come before positions.
        dropout: The share of attention that is dropped in training.

    Examples:
        >>> whole = nn.MultiheadAttention(8, 4, batch_first=True)
        >>> FewerHeads(whole, torch.tensor([True, False, False, True])).q_proj
        Linear(in_features=8, out_features=4, bias=True)
    """

    # What TransformerEncoderLayer asks before it takes a way of its own through the whole module.
    _qkv_same_embed_dim = False

    def __init__(self, whole: nn.MultiheadAttention, heads: Tensor) -> None:
        checked_instance("whole", whole, nn.MultiheadAttention, "a torch.nn.MultiheadAttention")
        if checked_tensor("heads", heads).dtype != torch.bool:
            raise TypeError(f"heads must be a bool tensor, got {heads.dtype}")
        if tuple(heads.shape) != (whole.num_heads,) or not bool(heads.any()):
            raise ValueError(
                f"heads must be ({whole.num_heads},) with at least one that is kept, "
                f"got {shown(heads)}"
            )
        if _maybe(whole.bias_k) is not None or whole.add_zero_attn:
            raise ValueError("whole must not add keys and values of its own")
        super().__init__()
        rows = heads.repeat_interleave(whole.head_dim)
        joined = _maybe(whole.in_proj_weight)
        shifts = _maybe(whole.in_proj_bias)
        weights: list[Tensor] = [whole.q_proj_weight, whole.k_proj_weight, whole.v_proj_weight]
        if joined is not None:
            weights = list(joined.detach().chunk(3))
        biases: list[Tensor | None] = [None] * 3
        if shifts is not None:
            biases = list(shifts.detach().chunk(3))
        # Parts of a matrix do not say whether it is trained.
        owners = weights if joined is None else [joined] * 3
        parts = [
            _linear(weight, bias, rows, owner.requires_grad)
            for weight, bias, owner in zip(weights, biases, owners, strict=True)
        ]
        if shifts is not None:
            for part in parts:
                part.bias.requires_grad_(shifts.requires_grad)
        self.q_proj, self.k_proj, self.v_proj = parts
        out = whole.out_proj
        shift = _maybe(out.bias)
        self.out_proj = _linear(out.weight.T, None, rows, out.weight.requires_grad, columns=True)
        if shift is not None:
            self.out_proj.bias = nn.Parameter(shift.detach().clone(), shift.requires_grad)
        self.num_heads = int(heads.sum())
        self.batch_first = whole.batch_first
        self.dropout = whole.dropout
        self.in_proj_bias = None
        self.train(whole.training)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, None]:
        """As `torch.nn.MultiheadAttention`, but for the attention weights, which are None.

        Raises:
            ValueError: If `attn_mask` has an axis of heads.
        """
        del need_weights, average_attn_weights, is_causal  # a causal mask is given all the same
        if attn_mask is not None and attn_mask.dim() > 2:
            raise ValueError("attn_mask must be the same for all heads: some are left out")
        batched = query.dim() == 3
        parts = [x if batched else x.unsqueeze(0) for x in (query, key, value)]
        if batched and not self.batch_first:
            parts = [x.transpose(0, 1) for x in parts]
        layers = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (
            layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for layer, x in zip(layers, parts, strict=True)
        )
        mask = _added(attn_mask, q)
        padding = _added(key_padding_mask, q)
        if padding is not None:
            padding = padding.reshape(-1, 1, 1, k.shape[2])
            mask = padding if mask is None else mask + padding
        dropout = self.dropout if self.training else 0.0
        found = functional.scaled_dot_product_attention(q, k, v, mask, dropout)
        result = self.out_proj(found.transpose(1, 2).flatten(2))
        if batched and not self.batch_first:
            result = result.transpose(0, 1)
        return (result if batched else result.squeeze(0)), None


def _maybe(parameter: Tensor | None) -> Tensor | None:
    """What torch declares as a parameter although it may be missing."""
    return parameter


def _added(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """A mask as what is added to the scores."""
    if mask is None or mask.is_floating_point():
        return mask
    return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill(
        mask, -torch.inf
    )


def _linear(
    weight: Tensor, bias: Tensor | None, rows: Tensor, trainable: bool, *, columns: bool = False
) -> nn.Linear:
    """A layer of some rows of a weight, or of them as columns."""
    kept = weight.detach()[rows.to(weight.device)]
    kept = (kept.T if columns else kept).clone()
    layer = nn.Linear(
        kept.shape[1], len(kept), bias=bias is not None, device="meta", dtype=kept.dtype
    )
    layer.weight = nn.Parameter(kept, trainable)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach()[rows.to(bias.device)].clone(), trainable)
    return layer


def cannot_lose_heads(module: nn.MultiheadAttention) -> str | None:
    """Why a module keeps all its heads. None: it need not."""
    if type(module) is not nn.MultiheadAttention:
        return f"{type(module).__name__} is a class of its own"
    if module._forward_hooks or module._forward_pre_hooks:
        return "it has hooks"
    if module.bias_k is not None or module.add_zero_attn:
        return "it adds keys and values of its own"
    return None
