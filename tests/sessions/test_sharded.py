"""Two processes with parameters sharded by FSDP2 prune alike, and like one process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunelimits.masks import count
from prunelimits.pruners import GMP, SET, SNIP, Magnitude, RigL, prune
from prunelimits.sessions import attach
from prunelimits.types import Masks

try:
    import torch.distributed.fsdp
    from torch.distributed.tensor import DTensor  # noqa: F401

    FSDP2 = hasattr(torch.distributed.fsdp, "fully_shard")
except ImportError:
    FSDP2 = False
pytestmark = pytest.mark.skipif(not FSDP2, reason="this torch has no FSDP2")

STEPS = 8


def network() -> nn.Sequential:
    """Rows that two processes share unequally: 7, 3 and 1."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 3), nn.Tanh(), nn.Linear(3, 1)
    ).double()


def optimizer_of(name: str, model: nn.Module) -> torch.optim.Optimizer:
    if name == "AdamW":
        return torch.optim.AdamW(model.parameters(), lr=0.01)
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)


def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(outputs.squeeze(1), targets)


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step)).double()
    return x, x[:, 0].sign()


def snip_masks() -> Masks:
    """What is pruned before the model is sharded."""
    return prune(network(), SNIP(floor=1), keep=20, loss=loss, batches=[batch(99)])


CASES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "GMP": (GMP(rounds=3), {"keep": 20, "steps": STEPS}, "SGD"),
    "GMP AdamW": (GMP(rounds=3, scope="erk"), {"keep": 20, "steps": STEPS}, "AdamW"),
    "RigL": (RigL(rounds=3), {"keep": 20, "steps": STEPS}, "SGD"),
    "SET": (SET(rounds=3), {"keep": 20, "steps": STEPS}, "AdamW"),
    "Magnitude": (Magnitude(floor=1), {"sparsity": 0.5}, "SGD"),
    "SNIP before": (None, {}, "SGD"),
}


def start(case: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    pruner, asked, _ = CASES[case]
    return attach(snip_masks() if pruner is None else pruner, model, optimizer, **asked)


def worker(rank: int, folder: str) -> None:
    """One of the two processes: every case, and what is refused."""
    from torch.distributed.fsdp import fully_shard

    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    mesh = torch.distributed.init_device_mesh("cpu", (2,))
    results: dict[str, Any] = {}
    for case in CASES:
        model = network()
        for layer in (model[0], model[2]):
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        optimizer = optimizer_of(CASES[case][2], model)
        session = start(case, model, optimizer)
        alive = []
        for epoch in range(2):  # entered again, after an evaluation that leaves whole parameters
            with session:
                for step in range(epoch * STEPS // 2, (epoch + 1) * STEPS // 2):
                    x, y = (part[rank * 8 : rank * 8 + 8] for part in batch(step))
                    optimizer.zero_grad()
                    loss(model(x), y).backward()
                    optimizer.step()
                    alive.append(outside(model, optimizer, session.masks))
            with torch.no_grad():
                model(batch(0)[0])
        model.reshard()
        values = {name: p.detach().full_tensor() for name, p in model.named_parameters()}
        results[case] = [session.masks, values, sum(alive)]
    results["refused"] = refused(model, optimizer, rank)
    torch.save(results, f"{folder}/rank{rank}")


def outside(model: Any, optimizer: torch.optim.Optimizer, masks: Masks) -> int:
    """Nonzeros outside the masks, in weights and state."""
    model.reshard()
    found = 0
    for name, weight in model.named_parameters():
        if name in masks:
            state = [v for v in optimizer.state[weight].values() if v.shape == weight.shape]
            for value in (weight.detach(), *state):
                found += int(value.full_tensor()[~masks[name]].count_nonzero())
    return found


def refused(model: nn.Module, optimizer: torch.optim.Optimizer, rank: int) -> list[str]:
    """The errors of what cannot be done with a sharded model."""
    from prunelimits import lottery_ticket
    from prunelimits.masks import to_torch_prune

    data: Any = {"loss": loss, "batches": [batch(0)]}
    calls: list[Any] = [
        lambda: prune(model, SNIP(), keep=5, **data),
        lambda: attach(SNIP(), model, optimizer, keep=5, **data),
        lambda: lottery_ticket(model, lambda *_: None, keep=5),
        lambda: to_torch_prune(model, snip_masks()),
        lambda: attach(
            SET(), model, optimizer, keep=5, steps=9, generator=torch.Generator().manual_seed(rank)
        ),
    ]
    messages = []
    for call in calls:
        try:
            call()
            messages.append("")
        except ValueError as error:
            messages.append(str(error))
    return messages


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("sharded")
    code = (
        f"import os, sys, runpy; names = runpy.run_path({__file__!r})\n"
        "names['worker'](int(sys.argv[1]), sys.argv[2])\n"
        "import torch; torch.distributed.barrier(); os._exit(0)"  # as in test_replicas.py
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    processes = [subprocess.Popen([*command, str(rank), str(folder)]) for rank in range(2)]
    assert [process.wait(timeout=400) for process in processes] == [0, 0]
    return [torch.load(folder / f"rank{rank}", weights_only=True) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_sharded_parameters_are_pruned_as_one_process_does(case: str, ranks: list[Any]):
    (masks, weights, outside), (others, same, besides) = (results[case] for results in ranks)
    assert outside == besides == 0
    assert all(torch.equal(mask, others[name]) for name, mask in masks.items())
    assert all(torch.equal(value, same[name]) for name, value in weights.items())

    model = network()
    optimizer = optimizer_of(CASES[case][2], model)
    with start(case, model, optimizer) as session:
        for step in range(STEPS):
            x, y = batch(step)
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    assert count(masks) == (26 if case == "Magnitude" else 20)
    assert all(torch.equal(mask, masks[name]) for name, mask in session.masks.items())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_what_runs_or_copies_the_model_is_refused_by_name(ranks: list[Any]):
    snip, attached, lottery, torch_form, drawn = ranks[0]["refused"]
    assert ranks[0]["refused"] == ranks[1]["refused"]
    assert "SNIP runs the model, which is sharded over processes" in snip
    assert attached == snip
    assert "find the ticket before it is sharded" in lottery
    assert "use make_permanent" in torch_form
    assert drawn == "generator must be in the same state in all processes"
