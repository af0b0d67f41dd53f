"""Kinds of layers and of what stands between them, beside those of `kinds`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .kinds import Written, fc, kind, param, rows


@kind()
def padded_around_and_mirrored():
    around = nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular")
    mirrored = nn.Conv2d(4, 2, 3, padding=2, padding_mode="reflect")
    return nn.Sequential(around, nn.ReLU(), mirrored), rows(1, 2, 4, 4)


@kind()
def transposed_in_groups():
    up = nn.ConvTranspose1d(6, 9, 3, stride=2, groups=3, padding=1)
    return nn.Sequential(nn.Conv1d(2, 6, 1), up, nn.ReLU(), nn.Conv1d(9, 2, 1)), rows(2, 2, 4)


@kind()
def normed_by_root_mean_squares():
    return nn.Sequential(fc(), nn.RMSNorm(4), fc(4, 2)), rows(2, 4)


@kind()
def the_largest_of_several():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(m.a(x).view(len(x), 4, 2).amax(-1))

    return Written(run, a=fc(4, 8), last=fc(4, 2)), rows(2, 4)


@kind()
def kernels_standardised():
    def run(m: Any, x: Tensor) -> Tensor:
        w = m.conv.weight
        w = (w - w.mean((1, 2), keepdim=True)) / (w.std((1, 2), keepdim=True) + 1e-5)
        return m.last(torch.relu(functional.conv1d(x, w, m.conv.bias)).mean(-1))

    return Written(run, conv=nn.Conv1d(2, 4, 3), last=fc(4, 2)), rows(2, 2, 5)


@kind()
def written_into_a_copy_of_a_buffer():
    def run(m: Any, x: Tensor) -> Tensor:
        held = m.held.clone()
        held[:, 1:3] = m.a(x)
        return m.last(held.flatten(1))

    held = torch.zeros(2, 4, 4, dtype=torch.float64)
    return Written(run, held=held, a=fc(), last=fc(16, 2)), rows(2, 2, 4)


@kind()
def bytes_of_an_image():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.conv(x.to(m.conv.weight.dtype) / 255).flatten(1)

    image = torch.arange(18, dtype=torch.uint8).view(1, 2, 3, 3)
    return Written(run, conv=nn.Conv2d(2, 2, 2)), image


@kind(exact=False)
def an_orthogonal_matrix():
    layer = torch.nn.utils.parametrizations.orthogonal(fc())
    return nn.Sequential(layer, nn.ReLU(), fc(4, 2)), rows(2, 4)


@kind()
def parameters_in_lists_and_dicts():
    def run(m: Any, x: Tensor) -> Tensor:
        for w in m.list:
            x = torch.tanh(x @ w)
        return x @ m.dict["a"] + m.dict["b"]

    named = nn.ParameterDict({"a": param(4, 2), "b": param(2)})
    return Written(run, list=nn.ParameterList([param(4, 4), param(4, 4)]), dict=named), rows(2, 4)


@kind()
def a_convolution_and_its_transpose():
    def run(m: Any, x: Tensor) -> Tensor:
        h = torch.relu(m.conv(x))
        return functional.conv_transpose2d(h, m.conv.weight, m.shift, stride=2)

    return Written(run, conv=nn.Conv2d(2, 3, 2, stride=2), shift=param(2)), rows(1, 2, 4, 4)


@kind()
def densely_connected():
    def run(m: Any, x: Tensor) -> Tensor:
        given = [x]
        for layer in m.layers:
            given.append(torch.relu(layer(torch.cat(given[::-1], -1))))
        return m.last(given[-1])

    return Written(run, layers=nn.ModuleList([fc(4, 3), fc(7, 3)]), last=fc(3, 2)), rows(2, 4)


@kind()
def normed_over_two_axes():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(functional.layer_norm(m.a(x), (3, 4), m.scale, m.shift).flatten(1))

    parts = {"scale": param(3, 4), "shift": param(3, 4)}
    return Written(run, a=fc(), last=fc(12, 2), **parts), rows(2, 3, 4)


@kind()
def not_nothing_where_nothing_comes_in():
    def run(m: Any, x: Tensor) -> Tensor:
        jump = functional.threshold(m.a(x), 0.1, 2.0) + m.b(x).cos()
        return m.last(jump + functional.hardshrink(m.c(x)) + x**0)

    return Written(run, a=fc(), b=fc(), c=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def triangles_of_matrices():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.a(x).view(-1, 2, 2)
        found = h.tril() @ h.triu(1) + torch.diag_embed(m.b(x)[:, :2])
        return m.last(found.flatten(1)) + h.diagonal(dim1=1, dim2=2).sum(-1, keepdim=True)

    return Written(run, a=fc(), b=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def turned_and_tiled():
    def run(m: Any, x: Tensor) -> Tensor:
        h = torch.rot90(m.a(x), 1, (2, 3)).swapaxes(2, 3).narrow(2, 1, 2)
        return m.b(h.tile(1, 1, 2, 1).repeat(1, 2, 1, 1).movedim(1, -1))

    return Written(run, a=nn.Conv2d(2, 2, 1), b=fc(4, 2)), rows(1, 2, 3, 3)


@kind()
def cut_unevenly():
    def run(m: Any, x: Tensor) -> Tensor:
        a, b, c = m.a(x).chunk(3, -1)
        first, *_ = m.b(x).unbind(-1)
        left, middle, right = torch.tensor_split(m.a(x), [1, -2], -1)
        joined = torch.hstack([a * first[:, None], torch.relu(b), c])
        return m.last(joined) + middle[:, :2] + torch.block_diag(left, right)[: len(x), :2]

    return Written(run, a=fc(4, 8), b=fc(), last=fc(8, 2)), rows(2, 4)


@kind()
def products_that_are_added_by_factors():
    def run(m: Any, x: Tensor) -> Tensor:
        h = torch.addmm(m.a(x), x, m.w, beta=0, alpha=2)
        return m.last(h) + torch.addmm(m.b(x), x, m.v, beta=0.5, alpha=0)

    parts = {"w": param(4, 4), "v": param(4, 2)}
    return Written(run, a=fc(), b=fc(4, 2), last=fc(4, 2), **parts), rows(2, 4)


@kind()
def unpooled():
    def run(m: Any, x: Tensor) -> Tensor:
        h, places = functional.max_pool2d(m.a(x), 2, return_indices=True)
        return m.c(functional.max_unpool2d(torch.relu(m.b(h)), places, 2))

    layers = {name: nn.Conv2d(2, 2, 1) for name in "abc"}
    return Written(run, **layers), rows(1, 2, 4, 4)


@kind()
def a_form_of_both():
    def run(m: Any, x: Tensor) -> Tensor:
        return torch.einsum("...i,ij,...j->...", m.a(x), m.w, m.b(x)).unsqueeze(-1) @ m.v

    return Written(run, a=fc(), b=fc(), w=param(4, 4), v=param(1, 2)), rows(2, 3, 4)


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


@kind()
def rounded_with_a_gradient_of_its_own():
    def run(m: Any, x: Tensor) -> Tensor:
        return m.last(_Rounded.apply(m.a(x)))

    return Written(run, a=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def kept_as_an_attribute():
    def run(m: Any, x: Tensor) -> Tensor:
        m.seen = m.a(x)
        m.parts = [m.seen * 2]
        return m.last(torch.relu(m.parts[0]))

    return Written(run, a=fc(), last=fc(4, 2)), rows(2, 4)


@kind()
def patches_that_mix():
    def run(m: Any, x: Tensor) -> Tensor:
        h = m.conv(x)
        b, c, height, width = h.shape
        h = h.reshape(b, c, height // 2, 2, width // 2, 2).permute(0, 2, 4, 3, 5, 1)
        return m.mix(m.last(h.reshape(b, -1, 4 * c)).mT).mT

    parts = {"conv": nn.Conv2d(2, 2, 3, padding=1), "last": fc(8, 4), "mix": fc()}
    return Written(run, **parts), rows(1, 2, 4, 4)


@kind()
def the_same_kernel_turned():
    def run(m: Any, x: Tensor) -> Tensor:
        turned = functional.conv2d(x, m.w.flip(-1)) + functional.conv2d(x, m.w.transpose(2, 3))
        return functional.conv2d(x, m.w) + turned

    return Written(run, w=param(2, 2, 3, 3)), rows(1, 2, 4, 4)


@kind()
def a_kernel_that_sees_no_later_pixel():
    def run(m: Any, x: Tensor) -> Tensor:
        h = functional.conv2d(x, m.conv.weight * m.mask, m.conv.bias, padding=1)
        return m.last(torch.relu(h))

    mask = torch.ones(3, 3, dtype=torch.float64)
    mask[1, 1:], mask[2] = 0, 0
    return Written(run, conv=nn.Conv2d(2, 3, 3), mask=mask, last=nn.Conv2d(3, 2, 1)), rows(
        1, 2, 3, 3
    )
