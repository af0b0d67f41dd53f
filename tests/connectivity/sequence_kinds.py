"""Kinds of sequences, graphs and choices, beside those of `kinds`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .kinds import SOFTMAX, Written, fc, kind, param, rows


@kind()
def the_best_two_experts():
    def run(m: Any, x: Tensor) -> Tensor:
        gates = m.gate(x)
        values, chosen = gates.topk(2, -1)
        shares = torch.zeros_like(gates).scatter(-1, chosen, values.softmax(-1))
        return torch.stack([expert(x) for expert in m.experts], -1) @ shares[..., None]

    return Written(run, gate=fc(4, 3), experts=nn.ModuleList(fc(4, 2) for _ in range(3))), rows(
        3, 4
    )


@kind(cancels="a padded position is looked up only where its value is masked")
def attention_that_ids_mask():
    def run(m: Any, ids: Tensor) -> Tensor:
        h, there = m.table(ids), ids != 0
        scores = (m.q(h) @ m.k(h).mT).masked_fill(~there[:, None], -torch.inf).softmax(-1)
        return m.last(scores @ m.v(h)) * there[..., None]

    parts = {"q": fc(), "k": fc(bias=False), "v": fc(), "last": fc(4, 2)}
    return Written(run, table=nn.Embedding(6, 4), **parts), torch.tensor(
        [[1, 3, 5, 0], [2, 2, 0, 0]]
    )


@kind()
def short_time_fourier_transforms():
    def run(m: Any, x: Tensor) -> Tensor:
        waves = torch.stft(m.first(x), 8, 4, window=m.window, return_complex=True)
        return m.last(waves.abs().mT)

    window = torch.hann_window(8, dtype=torch.float64)
    return Written(run, first=fc(16, 16), window=window, last=fc(5, 2)), rows(2, 16)


@kind()
def sliding_windows():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.a(x)
        return m.last(h.unfold(1, 3, 2)) + torch.as_strided(h.contiguous(), (2, 3, 2), (8, 1, 3))

    return Written(run, a=fc(6, 8), last=fc(3, 2)), rows(2, 6)


@kind(cancels="an order has no gradient")
def ordered_by_another():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(m.a(x).gather(1, m.b(x).argsort(-1)))

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(3, 4)


@kind()
def tokens_left_out():
    def run(m: Any, x: Tensor) -> Tensor:
        values, chosen = m.score(x).squeeze(-1).topk(2, 1)
        left = x.gather(1, chosen[..., None].expand(-1, -1, 4))
        return m.last(left * values[..., None].sigmoid())

    return Written(run, score=fc(4, 1), last=fc(4, 2)), rows(2, 4, 4)


@kind()
def messages_along_edges():
    def run(m: Any, x: Tensor, edges: Tensor) -> Tensor:
        source, target = edges
        messages = torch.relu(m.a(torch.cat([x[source], x[target]], -1)))
        return m.last(m.cell(torch.zeros_like(x).index_add(0, target, messages), x))

    edges = torch.tensor([[0, 1, 2, 3, 1], [1, 2, 0, 0, 3]])
    return Written(run, a=fc(8, 4), cell=nn.GRUCell(4, 4), last=fc(4, 2)), (rows(4, 4), edges)


@kind()
def looked_up_by_one_hot():
    def run(m: Any, ids: Tensor) -> Tensor:
        return m.last(functional.one_hot(ids, 5).to(m.w.dtype) @ m.w)

    return Written(run, w=param(5, 4), last=fc(4, 2)), torch.tensor([[0, 4, 2]])


@kind()
def one_layer_again_and_again():
    def run(m: Any, x: Tensor) -> Tensor:
        z = torch.zeros(len(x), 4, dtype=x.dtype)
        for _ in range(3):
            z = torch.tanh(m.w(z) + m.u(x))
        return m.last(z)

    return Written(run, w=fc(), u=fc(), last=fc(4, 2)), rows(2, 4)


@kind(cancels=SOFTMAX)
def several_queries_a_key():
    def run(m: Any, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        q = m.q(x).view(b, t, 4, 2).transpose(1, 2)
        k = m.k(x).view(b, t, 2, 2).transpose(1, 2)
        v = m.v(x).view(b, t, 2, 2).transpose(1, 2)
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=m.shift, enable_gqa=True)
        return m.last(found.transpose(1, 2).flatten(2))

    parts = {"q": fc(4, 8), "k": fc(bias=False), "v": fc(), "last": fc(8, 2)}
    return Written(run, shift=param(3, 3), **parts), rows(1, 3, 4)


@kind(cancels=SOFTMAX)
def turned_by_positions():
    def run(m: Any, x: Tensor) -> Tensor:
        angle = torch.arange(x.shape[1], dtype=x.dtype)[:, None] * m.speeds
        c, s = angle.cos(), angle.sin()

        def turned(v: Tensor) -> Tensor:
            a, b = v[..., ::2], v[..., 1::2]
            return torch.stack([a * c - b * s, a * s + b * c], -1).flatten(-2)

        h = functional.scaled_dot_product_attention(turned(m.q(x)), turned(m.k(x)), m.v(x))
        return m.last(h)

    speeds = torch.tensor([1.0, 0.1], dtype=torch.float64)
    return Written(run, speeds=speeds, q=fc(), k=fc(), v=fc(), last=fc(4, 2)), rows(1, 3, 4)


@kind(cancels=SOFTMAX)
def keys_and_values_of_before():
    def run(m: Any, x: Tensor, k: Tensor, v: Tensor) -> object:
        k, v = torch.cat([k, m.k(x)], 1), torch.cat([v, m.v(x)], 1)
        return m.last((m.q(x) @ k.mT).softmax(-1) @ v), (k, v)

    parts = {"q": fc(), "k": fc(), "v": fc(), "last": fc()}
    return Written(run, **parts), (rows(2, 1, 4), rows(2, 3, 4), rows(2, 3, 4))


@kind()
def mapped_over_rows():
    def run(m: Any, x: Tensor) -> Tensor:
        return torch.vmap(lambda row: m.b(torch.relu(m.a(row))))(x)

    return Written(run, a=fc(), b=fc(4, 2)), rows(3, 4)


@kind(cancels="a bucket has no gradient")
def put_into_buckets():
    def run(m: Any, x: Tensor) -> Tensor:
        borders = torch.tensor([-1.0, 0.0, 1.0], dtype=x.dtype)
        return m.last(m.table(torch.bucketize(m.a(x), borders)).sum(1))

    return Written(run, a=fc(), table=nn.Embedding(4, 3), last=fc(3, 2)), rows(2, 4)


@kind(cancels="offsets that are drawn are none")
def weighted_bags_of_given_offsets():
    def run(m: Any, ids: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
        return m.last(m.bag(ids, offsets, per_sample_weights=m.scale * weights))

    bag = nn.EmbeddingBag(6, 4, mode="sum", include_last_offset=True)
    inputs = (torch.tensor([1, 2, 3, 5]), torch.tensor([0, 2, 4]), rows(4))
    return Written(run, bag=bag, scale=param(4), last=fc(4, 2)), inputs


@kind()
def weighted_bags_of_known_offsets():
    def run(m: Any, ids: Tensor) -> Tensor:
        offsets = torch.tensor([0, 1])
        return m.last(m.bag(ids, offsets, per_sample_weights=m.scale))

    bag = nn.EmbeddingBag(6, 4, mode="sum")
    return Written(run, bag=bag, scale=param(4), last=fc(4, 2)), torch.tensor([1, 2, 3, 5])


@kind()
def the_largest_of_bags():
    def run(m: Any, ids: Tensor) -> Tensor:
        return m.last(m.bag(ids))

    bag = nn.EmbeddingBag(6, 4, mode="max")
    return Written(run, bag=bag, last=fc(4, 2)), torch.tensor([[1, 2], [3, 5]])


@kind()
def recurrent_without_a_batch():
    return Written(lambda m, x: m.last(m.cells(x)[0]), cells=nn.LSTM(3, 4, 2), last=fc(4, 2)), rows(
        4, 3
    )


@kind()
def sums_over_all_sequences_of_labels():
    def run(m: Any, x: Tensor) -> Tensor:
        scores = m.a(x)
        total = scores[:, 0] + m.start
        for t in range(1, x.shape[1]):
            total = (total[:, :, None] + m.pairs).logsumexp(1) + scores[:, t]
        return total.logsumexp(1)

    return Written(run, a=fc(4, 3), pairs=param(3, 3), start=param(3)), rows(2, 3, 4)


@kind()
def attention_in_linear_time():
    def run(m: Any, x: Tensor) -> Tensor:
        q, k = functional.elu(m.q(x)) + 1, functional.elu(m.k(x)) + 1
        sums = torch.einsum("btd,bte->btde", k, m.v(x)).cumsum(1)
        scale = torch.einsum("btd,btd->bt", q, k.cumsum(1))
        return m.last(torch.einsum("btd,btde->bte", q, sums) / scale[..., None])

    return Written(run, q=fc(), k=fc(), v=fc(), last=fc(4, 2)), rows(1, 3, 4)


@kind()
def a_state_that_decays():
    def run(m: Any, x: Tensor) -> Tensor:
        decay, step = -m.a.exp(), functional.softplus(m.step(x))
        state = torch.zeros(len(x), 4, 2, dtype=x.dtype)
        given: list[Tensor] = []
        for t in range(x.shape[1]):
            new = step[:, t, :, None] * m.b(x[:, t])[:, None] * x[:, t, :, None]
            state = state * (step[:, t, :, None] * decay).exp() + new
            given.append((state * m.c(x[:, t])[:, None]).sum(-1))
        return torch.stack(given, 1) + x * m.d

    parts = {"a": param(4, 2), "d": param(4)}
    return Written(run, step=fc(), b=fc(4, 2), c=fc(4, 2), **parts), rows(2, 3, 4)


@kind(cancels="the nearest code has no gradient")
def the_nearest_of_a_code():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.a(x)
        nearest = m.code[(h[:, None] - m.code).square().sum(-1).argmin(-1)]
        return m.last(h + (nearest - h).detach())

    return Written(run, a=fc(), code=param(3, 4), last=fc(4, 2)), rows(3, 4)


@kind()
def lists_in_dicts():
    def run(m: Any, batch: dict[str, Any], extra: Tensor | None = None) -> object:
        h = m.a(batch["x"]) + sum(m.b(y) for y in batch["ys"])
        return {"out": m.last(h), "more": [h.mean(), extra]}

    batch = {"x": rows(2, 4), "ys": [rows(2, 4), rows(2, 4)]}
    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), {"batch": batch}


@kind()
def read_in_both_directions():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(torch.cat([m.cells(x)[0], m.cells(x.flip(1))[0].flip(1)], -1))

    return Written(run, cells=nn.GRU(3, 4, batch_first=True), last=fc(8, 2)), rows(2, 3, 3)


@kind()
def routed_by_agreement():
    def run(m: Any, x: Tensor) -> Tensor:
        votes = torch.einsum("bij,iojk->biok", x, m.w)
        logits, found = torch.zeros_like(votes[..., 0]), votes.sum(1)
        for _ in range(2):
            found = (logits.softmax(-1)[..., None] * votes).sum(1)
            length = found.square().sum(-1, keepdim=True)
            found = found * length / (1 + length) / (length + 1e-8).sqrt()
            logits = logits + (votes * found[:, None]).sum(-1)
        return found

    return Written(run, w=param(3, 2, 4, 2)), rows(2, 3, 4)


@kind(cancels="a choice has no gradient")
def a_matrix_a_sample_chooses():
    def run(m: Any, x: Tensor) -> Tensor:
        chosen = m.gate(x).argmax(-1)
        return (m.w[chosen] @ m.a(x)[..., None]).squeeze(-1) + m.b[chosen]

    return Written(run, gate=fc(4, 3), w=param(3, 2, 4), a=fc(), b=param(3, 2)), rows(3, 4)
