"""Models as people write them: each once went wrong or was refused, each with its right value."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

import prunelimits as pl
from prunelimits import masks as pm
from prunelimits.connectivity import (
    analyze,
    compact,
    coupled_units,
    effective_masks,
    fold_constants,
)
from prunelimits.types import Masks


def ones(model: nn.Module) -> nn.Module:
    """The model in float64 with every parameter one."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
    return model.double()


def counted(masks: Masks) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def sparse(model: nn.Module, seed: int = 0, density: float = 0.4) -> nn.Module:
    """The model in float64 and evaluation mode with random parameters, many of them zero."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(values * (torch.rand(values.shape, generator=generator) < density))
    return model


def removing_the_rest_changes_nothing(model: nn.Module, *args: Tensor) -> None:
    found = effective_masks(model, inputs=args, keep_constants=True)
    params = pm.apply(dict(model.named_parameters()), found)
    close(functional_call(model, params, args), model(*args))


@pytest.mark.parametrize("seed", range(10))
def test_a_layer_that_a_sequence_uses_first_and_last_counts_by_both_uses(seed: int):
    layer = nn.Linear(4, 4)
    model = sparse(nn.Sequential(layer, nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), layer), seed)
    removing_the_rest_changes_nothing(model, torch.randn(3, 4, dtype=torch.float64))


def test_uses_of_other_rows_of_a_matrix_have_units_of_their_own():
    # Attention to another sequence reads 8 rows for the queries and 16 for the rest.
    model = sparse(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), density=0.9)
    args = (torch.randn(2, 4, 8).double(), torch.randn(2, 5, 8).double())
    removing_the_rest_changes_nothing(model, *args)
    report = analyze(model, inputs=args)
    (row,) = (row for row in report.layers if row.name == "multihead_attn")
    assert row.units == 24


@pytest.mark.parametrize("twice", ["activation", "linear"])
def test_the_core_keeps_modules_that_a_sequence_uses_twice(twice: str):
    again = nn.ReLU() if twice == "activation" else nn.Linear(4, 4)
    model = sparse(nn.Sequential(nn.Linear(4, 4), again, nn.Linear(4, 4), again, nn.Linear(4, 2)))
    x = torch.randn(8, 4, dtype=torch.float64)
    core = compact(model, inputs=x)
    close(core(x), model(x))
    assert isinstance(core, nn.Sequential)
    assert core[1] is core[3]


class Auxiliary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.aux = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.dropout(torch.relu(self.body(x)), 0.5, self.training)
        return self.aux(h) if self.training else self.head(h)


def test_a_model_in_training_mode_is_followed_in_evaluation_mode():
    model = ones(Auxiliary()).train()
    found = counted(effective_masks(model, inputs=torch.zeros(2, 3)))
    assert (found["head.weight"], found["aux.weight"]) == (8, 0)
    core = compact(model, inputs=torch.zeros(2, 3))
    assert core.training
    x = torch.randn(4, 3, dtype=torch.float64)
    close(core.eval()(x), model.eval()(x))


class InPlace(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        if self.how == "statement":
            h.add_(self.b(x))
        elif self.how == "kept":
            keep = h
            h += self.b(x)
            h = keep
        else:
            # The shortcut reads what the activation has changed already.
            h = self.relu(h) + h + self.b(x)
        return self.c(h)


@pytest.mark.parametrize("how", ["statement", "kept", "activation"])
def test_what_is_done_in_place_counts(how: str):
    found = counted(effective_masks(ones(InPlace(how)), inputs=torch.zeros(1, 3)))
    assert (found["a.weight"], found["b.weight"], found["c.weight"]) == (12, 12, 8)
    model = sparse(InPlace(how), 1)
    x = torch.randn(8, 3, dtype=torch.float64)
    params, _ = fold_constants(model, inputs=x)
    close(functional_call(model, params, (x,)), model(x))
    close(compact(model, inputs=x)(x), model(x))


class Optional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.with_prompt, self.alone = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor, prompt: Tensor | None = None, mask: Tensor | None = None):
        h = self.alone(x) if prompt is None else self.with_prompt(x + prompt)
        return {"out": h if mask is None else h + mask}


def test_optional_arguments_take_the_branch_that_they_are_given():
    model, x = ones(Optional()), torch.zeros(2, 3)
    alone = counted(effective_masks(model, inputs=x))
    assert (alone["alone.weight"], alone["with_prompt.weight"]) == (6, 0)
    named = counted(effective_masks(model, inputs={"x": x, "prompt": x, "mask": x[:, :2]}))
    assert (named["alone.weight"], named["with_prompt.weight"]) == (0, 6)
    placed = counted(effective_masks(model, inputs=(x, None, x[:, :2])))
    assert (placed["alone.weight"], placed["with_prompt.weight"]) == (6, 0)


def test_hooks_are_part_of_the_forward_pass():
    # Nothing comes out of the first layer but what the hook adds.
    model = ones(nn.Sequential(nn.Linear(2, 4, bias=False), nn.Linear(4, 2, bias=False)))
    with torch.no_grad():
        model[0].weight.zero_()
    carrying = effective_masks(model, keep_constants=True)
    assert int(carrying["1.weight"].sum()) == 0
    model[0].register_forward_hook(lambda module, args, out: out + 1)
    carrying = effective_masks(model, keep_constants=True, inputs=torch.zeros(1, 2))
    assert int(carrying["1.weight"].sum()) == 8
    assert len(model[0]._forward_hooks) == 1


def relu(x: Tensor) -> Tensor:
    """Bears the name of torch's, and adds what reaches the output."""
    return x + 1


class Namesake(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2, bias=False)
        self.last = nn.Linear(2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(relu(self.fc(x)))


def test_functions_are_known_by_what_they_do_and_not_by_name():
    model = ones(Namesake())
    with torch.no_grad():
        model.fc.weight.zero_()
    carrying = effective_masks(model, inputs=torch.zeros(1, 3), keep_constants=True)
    assert int(carrying["last.weight"].sum()) == 2


def test_a_constant_that_no_bias_can_hold_is_kept_only_with_constants():
    model = ones(nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1, bias=False)))
    with torch.no_grad():
        model[0].weight.zero_()
    x = torch.zeros(1, 1, dtype=torch.float64)
    _, folded = fold_constants(model)
    assert int(effective_masks(model, folded)["2.weight"].sum()) == 0
    removing_the_rest_changes_nothing(model, x)


class Scalar(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.fc = nn.Linear(3, 4)
        self.extra = nn.Parameter(torch.ones(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "sum":
            return self.fc(x).sum()
        if self.how == "squeeze":
            return self.fc(x).mean(axis=1).squeeze()
        if self.how == "transposed":
            return functional.linear(x, self.extra.T.T)
        return functional.linear(x, self.extra[:2])


@pytest.mark.parametrize(
    ("how", "name", "expected"),
    [("sum", "fc.weight", 12), ("squeeze", "fc.weight", 12), ("transposed", "extra", 12),
     ("part", "extra", 6)],
)  # fmt: skip
@pytest.mark.parametrize("samples", [1, 4])
def test_outputs_and_parameters_of_any_shape(how: str, name: str, expected: int, samples: int):
    found = effective_masks(ones(Scalar(how)), inputs=torch.zeros(samples, 3))
    assert int(found[name].sum()) == expected


def test_a_batch_normalisation_without_a_shift():
    model = ones(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, bias=False), nn.ReLU()))
    model.eval()
    found = counted(effective_masks(model, inputs=torch.zeros(1, 1, 2, 2)))
    assert found == {"0.weight": 2, "0.bias": 2, "1.weight": 2}


def test_a_weight_normalisation():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    model = ones(nn.Sequential(layer, nn.ReLU(), nn.Linear(2, 1)))
    with torch.no_grad():
        model[2].weight[0, 0] = 0
    found = counted(effective_masks(model, inputs=torch.zeros(1, 3)))
    assert found["0.parametrizations.weight.original0"] == 1
    assert found["0.parametrizations.weight.original1"] == 3


def test_the_output_size_of_a_transposed_convolution():
    class Up(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(1, 1, 2, stride=2)

        def forward(self, x: Tensor) -> Tensor:
            return self.up(x, output_size=(5, 5))

    assert counted(effective_masks(ones(Up()), inputs=torch.zeros(1, 1, 2, 2)))["up.weight"] == 4


def test_a_gate_carries_where_both_factors_can():
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value = nn.Linear(2, 3, bias=False)
            self.gate = nn.Linear(2, 3, bias=False)
            self.last = nn.Linear(3, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.value(x) * self.gate(x))

    model = ones(Gate())
    with torch.no_grad():
        model.value.weight[0] = 0
        model.gate.weight[1] = 0
        model.gate.weight[2, 0] = 0
    found = effective_masks(model, inputs=torch.zeros(1, 2))
    assert found["value.weight"].tolist() == [[False, False], [False, False], [True, True]]
    assert found["gate.weight"].tolist() == [[False, False], [False, False], [False, True]]
    assert found["last.weight"].tolist() == [[False, False, True]]
    # Through the value two paths, through the gate one.
    assert analyze(model, inputs=torch.zeros(1, 2)).paths == 3


def test_the_sigmoid_of_nothing_is_not_nothing():
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value, self.gate = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.value(x) * torch.sigmoid(self.gate(x))

    model = ones(Gate())
    with torch.no_grad():
        model.gate.weight.zero_()
    assert counted(effective_masks(model, inputs=torch.zeros(1, 2))) == {
        "value.weight": 4, "gate.weight": 0,
    }  # fmt: skip


def test_a_causal_mask_is_read_exactly():
    """The first of two tokens never reads the second, whose own values nothing reads then."""

    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.position = nn.Parameter(torch.ones(3, 2))
            self.value = nn.Linear(2, 2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            h = x + self.position
            v = self.value(h)
            return functional.scaled_dot_product_attention(h, h, v, is_causal=True)[:, :2]

    found = effective_masks(ones(Causal()), inputs=torch.zeros(1, 3, 2))
    assert found["position"].tolist() == [[True, True], [True, True], [False, False]]


def test_what_is_written_over_an_input_comes_out():
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.key, self.last = nn.Linear(3, 3, bias=False), nn.Linear(3, 1)

        def forward(self, x: Tensor, cache: Tensor) -> Tensor:
            cache[:, 0] = self.key(x)
            return self.last(x)

    cache, places = torch.zeros(5, 2, 3), torch.zeros(5, 2, 3, dtype=torch.int64)
    model = Keeps()
    report = analyze(model, inputs=(torch.randn(5, 3), cache))
    assert report.effective_weights == 12
    assert not cache.any()

    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(3, 1)

        def forward(self, x: Tensor, seen: Tensor) -> Tensor:
            seen += 1
            return self.last(x * seen[:, 0])

    analyze(Counts(), inputs=(torch.randn(5, 3), places))
    assert not places.any()


def test_complex_numbers_come_in_and_out():
    class Turning(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.real, self.imag = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)

        def forward(self, z: Tensor) -> Tensor:
            real = self.real(z.real) - self.imag(z.imag)
            return torch.complex(real, self.real(z.imag) + self.imag(z.real))

    masks = {"real.weight": torch.zeros(2, 3).bool(), "imag.weight": torch.eye(2, 3).bool()}
    z = torch.complex(torch.randn(5, 3), torch.randn(5, 3))
    report = analyze(Turning(), masks, inputs=z)
    # Of each of two numbers either part comes in, and goes to the other part.
    assert (report.exact, report.effective_weights, report.paths) == (True, 2, 4)
    whole = analyze(Turning(), inputs=z)
    assert (whole.effective_weights, whole.paths) == (12, 24)


def test_rows_that_meet_are_no_samples():
    """Time comes first in a recurrent layer by default, and one step of it has no recurrence."""
    model = ones(nn.LSTM(2, 3)).eval()
    found = effective_masks(model, inputs=torch.zeros(4, 1, 2))
    assert int(found["weight_hh_l0"].sum()) == 36
    alone = effective_masks(model, inputs=torch.zeros(1, 1, 2))
    assert int(alone["weight_hh_l0"].sum()) == 0


def test_paths_are_those_of_one_sample():
    model = ones(nn.Sequential(nn.Conv1d(1, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(6, 2)))
    for samples in (1, 2, 5):
        report = analyze(model, inputs=torch.zeros(samples, 1, 3))
        assert (report.paths, report.layers[0].paths) == (12, (6, 6))


def test_an_operation_that_is_not_known_is_treated_soundly():
    class Unknown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(2, 3), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.linalg.qr(self.a(x).unsqueeze(-1))[0].squeeze(-1))

    model, x = ones(Unknown()), torch.zeros(1, 2)
    with torch.no_grad():
        model.b.weight[0, 0] = 0
    report = analyze(model, inputs=x)
    assert not report.exact
    assert report.unknown == ("aten.linalg_qr.default",)
    assert report.paths is None
    assert "not exact   the worst is assumed of aten.linalg_qr.default" in str(report)
    assert counted(effective_masks(model, inputs=x))["a.weight"] == 6
    with pytest.raises(ValueError, match=r"cannot follow aten\.linalg_qr\.default: register"):
        effective_masks(model, inputs=x, unknown="refuse")
    with pytest.raises(ValueError, match="unknown must be one of 'sound', 'refuse'"):
        effective_masks(model, inputs=x, unknown="guess")  # type: ignore[arg-type]


def test_a_rule_for_an_operation_of_one_s_own():
    @torch.library.custom_op(
        "prunelimits_tests::cube", mutates_args=(), schema="(Tensor x) -> Tensor"
    )
    def cube(x: Tensor) -> Tensor:
        return x**3

    cube.register_fake(torch.empty_like)

    class Cubed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(2, 3), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(cube(self.a(x)))

    model, x = ones(Cubed()), torch.zeros(1, 2)
    with torch.no_grad():
        model.b.weight[0, 0] = 0
    assert counted(effective_masks(model, inputs=x))["a.weight"] == 6

    @pl.connectivity.rule(cube)
    def follow_cube(call: pl.connectivity.Call):
        return call.elementwise()

    report = analyze(model, inputs=x)
    assert report.exact
    assert report.effective_weights == 4 + 2
    with pytest.raises(TypeError, match="operations must be operations such as"):
        pl.connectivity.rule(torch.relu)


def test_tied_parameters_count_once():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(5, 3)
            self.head = nn.Linear(3, 5, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.embed(ids))

    model, ids = ones(Tied()), torch.zeros(2, 4, dtype=torch.long)
    assert counted(effective_masks(model, inputs=ids)) == {"embed.weight": 15}
    core = compact(model, inputs=ids)
    assert core.embed.weight is core.head.weight
    by_other_name = {"head.weight": torch.zeros(5, 3, dtype=torch.bool)}
    assert analyze(model, by_other_name, inputs=ids).nonzero_weights == 0


def test_the_share_of_parameters_that_is_read():
    model = ones(Auxiliary()).eval()
    report = analyze(model, inputs=torch.zeros(1, 3))
    kinds = {kind.name: (kind.parameters, kind.effective) for kind in report.kinds}
    assert kinds == {"weights": (20, 20), "biases": (6, 6), "not read": (10, 0)}
    assert report.read == 26 / 36


def test_exported_programs_and_graph_modules_are_taken_as_they_are():
    model = sparse(InPlace("statement"))
    x = torch.zeros(2, 3, dtype=torch.float64)
    expected = effective_masks(model, inputs=x)
    program = torch.export.export(model, (x,))
    for found in (
        effective_masks(program),
        effective_masks(program.module(), inputs=x),
        effective_masks(torch.fx.symbolic_trace(model), inputs=x),
    ):
        assert all(torch.equal(found[name], mask) for name, mask in expected.items())
    with pytest.raises(ValueError, match="inputs belong to a module"):
        effective_masks(program, inputs=x)


def test_the_core_keeps_what_is_frozen_and_each_module_s_mode_and_type():
    model = nn.Sequential(
        nn.Conv1d(2, 4, 1), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 2, 1, bias=False)
    )
    model.train()
    model[1].eval()
    model[0].weight.requires_grad_(False)
    masks = {"3.weight": torch.zeros(2, 4, 1, dtype=torch.bool)}
    masks["3.weight"][:, :2] = True
    core = compact(model, masks, inputs=torch.zeros(1, 2, 3))
    assert [module.training for module in core.children()] == [True, False, True, True]
    assert [p.requires_grad for p in core.parameters()] == [False, True, True, True, True]
    assert core[0].weight.shape == (2, 2, 1)
    assert core[1].num_features == 2


def test_threads_do_not_disturb_each_other():
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    mine, x = nn.Sequential(nn.Linear(3, 3), nn.ReLU()), torch.zeros(1, 1, 4)
    failures: list[BaseException] = []
    done = threading.Event()

    def analyzing() -> None:
        try:
            for _ in range(3):
                analyze(model, inputs=x)
                compact(model, inputs=x)
        except BaseException as error:
            failures.append(error)

    def calling() -> None:
        try:
            while not done.is_set():
                mine(torch.ones(1, 3))
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=analyzing) for _ in range(2)]
    caller = threading.Thread(target=calling)
    for thread in (*workers, caller):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    caller.join()
    assert failures == []
    assert mine(torch.ones(1, 3)).shape == (1, 3)


class Branch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else self.fc(x)


class Opaque:
    def __init__(self, value: Tensor) -> None:
        self.value = value


class Values(nn.Module):
    """What it gives depends on values, or is nothing that torch knows."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.inner, self.fc = how, nn.Identity(), nn.Linear(3, 3)
        if how == "chosen":
            self.inner.forward = lambda x: x[x[:, 0] > 0]

    def forward(self, x: Tensor) -> object:
        if self.how == "item":
            return self.fc(x) * x.max().item()
        if self.how == "numpy":
            return self.fc(torch.from_numpy(x.numpy() * 2))
        return Opaque(self.fc(x)) if self.how == "object" else self.inner(self.fc(x))


def quantised() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 2)), {nn.Linear})


class Poisoned(nn.Linear):
    def __init__(self) -> None:
        super().__init__(2, 2)
        with torch.no_grad():
            self.weight[0, 0] = torch.nan


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (Branch(), (1, 3), "model Branch cannot be exported .*chooses by values of tensors"),
        (Values("item"), (2, 3), "cannot follow aten.item.default: .* depends on values"),
        (Values("chosen"), (2, 3), r"cannot follow aten.index.Tensor in 'inner': .* on values"),
        (
            Values("numpy"),
            (2, 3),
            "cannot be exported .* it runs, but torch.export does not follow",
        ),
        (Values("object"), (2, 3), "cannot be exported .* register the types"),
        (nn.Sequential(nn.Conv1d(3, 2, 1)), (1, 4, 2), r"'0' \(Conv1d\) fails .* 3 channels"),
        (nn.Sequential(nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2))), (1, 3), "'0.1' .Linear"),
        (nn.Sequential(nn.Linear(3, 2), nn.Sequential(Poisoned())), (1, 3), "'1.0.weight' is not"),
        (
            nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, device="meta", affine=False)),
            (1, 3),
            "buffer '1.running_mean' is on the meta device",
        ),
        (
            quantised(),
            (1, 3),
            "'0' is Linear, quantised",
        ),
        (nn.Sequential(nn.Linear(3, 2)), (0, 3), "inputs must not be empty"),
        (nn.LazyLinear(2), (1, 3), "'weight' is uninitialised"),
        (nn.Linear(3, 2, device="meta"), (1, 3), "'weight' is on the meta device"),
    ],
)
def test_what_cannot_be_followed_is_told_why(
    model: nn.Module, shape: tuple[int, ...], message: str
):
    with pytest.raises(ValueError, match=message):
        effective_masks(model, inputs=torch.zeros(shape))


def test_inputs_must_be_dense_and_hold_data():
    model = nn.Conv1d(3, 2, 1)
    with pytest.raises(ValueError, match="inputs must hold data, got a tensor on the meta"):
        effective_masks(model, inputs=torch.zeros(1, 3, 2, device="meta"))
    with pytest.raises(TypeError, match="inputs must be dense tensors, got "):
        effective_masks(model, inputs=torch.ones(1, 3, 2).to_sparse())
    with warnings.catch_warnings():
        # Torch says that it may change.
        warnings.simplefilter("ignore")
        nested = torch.nested.as_nested_tensor([torch.ones(3, 2)])
    with pytest.raises(TypeError, match=r"must be dense tensors, got torch\.float32, nested"):
        effective_masks(model, inputs=nested)


def test_a_forward_pass_that_takes_derivatives_is_told_apart_from_one_that_fails():
    class Force(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.energy = nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(torch.tanh(self.energy(x)).sum(), x)[0]

    with pytest.raises(ValueError, match=r"it runs, but torch.export .* derivatives"):
        effective_masks(Force(), inputs=torch.ones(2, 3))


def test_what_torch_logs_of_a_failure_is_in_the_error_alone(
    capfd: pytest.CaptureFixture[str],
):
    model = nn.Sequential(nn.Conv1d(3, 2, 1), nn.Flatten(), nn.Linear(5, 2))
    with pytest.raises(ValueError, match=r"'2' .Linear. fails"):
        effective_masks(model, inputs=torch.zeros(1, 3, 2))
    assert "Traceback" not in capfd.readouterr().err


def test_a_layer_without_units_leaves_nothing_effective():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = nn.Sequential(nn.Linear(4, 0), nn.Linear(0, 2))
    report = analyze(model, inputs=torch.randn(2, 1, 4))
    assert (report.effective_weights, report.paths, report.widths) == (0, 0, (0, 0))


def test_scripted_modules_and_open_sizes_are_refused():
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    x = torch.randn(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model, x)
    with pytest.raises(TypeError, match="give the module that it was scripted or traced from"):
        effective_masks(traced, inputs=x)  # pyright: ignore
    rows = torch.export.Dim("rows", min=2)
    program = torch.export.export(model.eval(), (x,), dynamic_shapes=({0: rows},))
    with pytest.raises(ValueError, match="a size is left open: export the model with fixed sizes"):
        effective_masks(program)


def test_a_matrix_that_is_used_in_parts_has_the_units_of_all_of_them():
    """Cross-attention takes its queries from one tensor, keys and values from another."""
    inner = ones(nn.MultiheadAttention(4, 2, batch_first=True)).eval()

    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.inner(x, y, y, need_weights=False)[0]

    report = analyze(Cross(), inputs=(torch.zeros(1, 3, 4), torch.zeros(1, 5, 4)))
    rows = {layer.name: (layer.units, layer.effective_weights) for layer in report.layers}
    assert rows["inner"] == (12, 48)
    assert rows["inner.out_proj"] == (4, 16)


def test_a_bag_of_embeddings_reads_every_row():
    model = ones(nn.Sequential(nn.EmbeddingBag(5, 3), nn.Linear(3, 1)))
    with torch.no_grad():
        model[0].weight[:, 0] = 0
    report = analyze(model, inputs=torch.zeros(1, 4, dtype=torch.long))
    assert report.exact
    assert report.effective_weights == 10 + 2
    assert {kind.name for kind in report.kinds} == {"weights", "embeddings", "biases"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("forward", "shape"),
    [
        (lambda m, x: m.b(m.a(x)[:, 0] * m.a(x)[:, 1:].sum(1)), (2, 3, 4)),
        (lambda m, x: m.b(torch.cat([torch.ones(2, 4, dtype=x.dtype), m.a(x)])), (2, 4)),
        (
            lambda m, x: m.b(torch.zeros(2, 4).to(x).scatter(1, torch.eye(2, 4).long(), m.a(x))),
            (2, 4),
        ),
        (
            lambda m, x: m.b(torch.gather(m.a(x), 1, m.b(x).argmax(1, keepdim=True).expand(2, 4))),
            (2, 4),
        ),
        (lambda m, x: m.b(torch.cdist(m.a(x), m.b(x))[:, :4]), (2, 4, 4)),
        (lambda m, x: torch.linalg.solve(m.a(x) + 3 * torch.eye(4).to(x), m.b(x)), (2, 4, 4)),
        (lambda m, x: m.b(m.a(x).mean(0)), (2, 4)),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_operations_of_many_kinds(forward: object, shape: tuple[int, ...], seed: int):
    class Any(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return forward(self, x)  # type: ignore[operator]

    model = sparse(Any(), seed)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    removing_the_rest_changes_nothing(model, x)
    params, _ = fold_constants(model, inputs=x)
    close(functional_call(model, params, (x,)), model(x))
    close(compact(model, inputs=x)(x), model(x))


def test_no_path_begins_in_a_constant_that_is_joined_to_what_is_followed():
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(torch.cat([x, torch.ones(len(x), 2, dtype=x.dtype)], 1))

    report = analyze(ones(Joined()), inputs=torch.zeros(1, 2))
    assert (report.paths, report.effective_weights, report.carrying_nonzeros) == (2, 2, 4)


def test_a_buffer_that_is_written_comes_back_at_the_next_call():
    class Running(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
            self.register_buffer("mean", torch.zeros(2))

        def forward(self, x: Tensor) -> Tensor:
            result = self.b(self.mean.expand(len(x), 2).clone())
            self.mean.mul_(0.5).add_(self.a(x).mean(0))
            return result

    model = ones(Running())
    assert counted(effective_masks(model, inputs=torch.zeros(1, 2))) == {
        "a.weight": 4,
        "b.weight": 4,
    }
    assert int(model.mean.sum()) == 0


class Heads(nn.Module):
    """Attention that reads the number of its heads off its tensors, then a feed-forward block."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(8, 8) for _ in range(4))
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        parts = [
            part(x).unflatten(-1, (-1, 4)).transpose(1, 2) for part in (self.q, self.k, self.v)
        ]
        h = functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        h = x + self.out(h)
        return h + self.down(functional.gelu(self.up(h)))


def test_the_core_has_no_dead_heads_and_no_dead_hidden_units():
    model = Heads().double().eval()
    masks = {n: torch.ones_like(p, dtype=torch.bool) for n, p in model.named_parameters()}
    masks["out.weight"][:, :4] = False
    masks["down.weight"][:, 5:] = False
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    core = compact(model, masks, inputs=x)
    close(core(x), functional_call(model, pm.apply(dict(model.named_parameters()), masks), (x,)))
    assert [core.q.out_features, core.v.out_features, core.out.in_features] == [4, 4, 4]
    assert (core.up.out_features, core.down.in_features) == (5, 5)


class Scaled(nn.Module):
    """Two layers with constants between them: a buffer, an attribute, and one made of a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)
        self.register_buffer("scale", torch.ones(4))
        self.register_buffer("shift", torch.zeros(4), persistent=False)
        self.register_buffer("unread", torch.full((2,), torch.nan))
        self.plain = torch.ones(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x).relu() * (2 * self.scale) * self.plain + self.shift)


@pytest.mark.parametrize(
    "function", [analyze, compact, coupled_units, effective_masks, fold_constants]
)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_constants_that_are_no_numbers_are_named(function: Callable[..., object], value: float):
    x, kind = torch.randn(2, 3), "NaN" if math.isnan(value) else "infinite, as a factor,"
    for name in ("scale", "plain"):
        model = Scaled()
        getattr(model, name)[1] = value
        with pytest.raises(ValueError, match=rf"'{name}' is {kind} in aten\.mul"):
            function(model, inputs=x)
    for name in ("running_mean", "running_var"):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
        getattr(model[1], name)[1] = value
        with pytest.raises(ValueError, match=rf"'1\.{name}' is {kind} in aten.* in '1'"):
            function(model, inputs=x)
        if function not in (coupled_units, compact):
            exported = torch.export.export(model.eval(), (x,))
            with pytest.raises(ValueError, match=rf"'1\.{name}' is {kind}"):
                function(exported)
    # Nothing is a multiple of what is added, and infinities are how attention rules out.
    model = Scaled()
    model.shift[1] = value
    if math.isnan(value):
        with pytest.raises(ValueError, match=r"'shift' is NaN in aten\.add"):
            function(model, inputs=x)
    else:
        function(model, inputs=x)


class Times(nn.Module):
    """A layer, and a number."""

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.compute = nn.Linear(3, 2), compute

    def forward(self, x: Tensor) -> Tensor:
        return self.compute(self.layer(x))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Times(lambda x: x * math.nan), "a number is NaN in aten.mul"),
        (Times(lambda x: x + math.nan), "a number is NaN in aten.add"),
        (Times(lambda x: x * math.inf), "a number is infinite, as a factor, in aten.mul"),
        (Times(lambda x: x * torch.from_numpy(np.array([1, np.nan]))), "NaN in aten.mul"),
        (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, eps=math.nan)), "a number is NaN"),
    ],
)
def test_numbers_in_the_code_that_are_none_are_told(model: nn.Module, message: str):
    with pytest.raises(ValueError, match=f"must compute with finite constants: .*{message}"):
        analyze(model, inputs=torch.randn(2, 3))


def test_numbers_that_are_chosen_or_put_in_a_place_may_be_none():
    for fill in (math.nan, -math.inf):
        model = Times(lambda x, fill=fill: x.masked_fill(torch.tensor([True, False]), fill))
        assert analyze(model, inputs=torch.randn(2, 3)).effective_weights == 3


def test_a_negative_variance_is_named():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[1].running_var[2] = -1
    with pytest.raises(ValueError, match=r"'1\.running_var' is negative, as a variance, in aten"):
        analyze(model, inputs=torch.randn(2, 3))


def test_a_network_of_eight_bits_is_followed():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to(torch.float8_e4m3fn)
    masks = {"0.weight": torch.tensor([[True], [False], [True], [True]]).expand(4, 3)}
    assert analyze(model, masks).effective_weights == 9 + 6
    model[0].weight.data.view(torch.uint8)[0, 0] = 0x7F
    with pytest.raises(ValueError, match=r"must be finite, '0\.weight' is not"):
        analyze(model, masks)


@pytest.mark.parametrize("widths", [(3, 0, 2), (3, 2, 0)])
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_where_no_unit_is_none_can_be_cut(widths: tuple[int, ...]):
    model = nn.Sequential(nn.Linear(*widths[:2]), nn.ReLU(), nn.Linear(*widths[1:]))
    x = torch.randn(2, 3)
    for function in (compact, coupled_units):
        with pytest.raises(ValueError, match=r"model must have units in every layer: '\d.weight'"):
            function(model, inputs=x)
    folded, _ = fold_constants(model, inputs=x)
    close(functional_call(model, folded, (x,)), model(x))
