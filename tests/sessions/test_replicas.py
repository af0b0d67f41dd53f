"""Two processes with DistributedDataParallel prune alike, and like one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunelimits.masks import count
from prunelimits.pruners import GMP, RigL
from prunelimits.sessions import attach

# It leaves without tearing the interpreter down: a thread of gloo's that still holds a tensor then
# would be ended inside a destructor, and take the process with it (pytorch/pytorch#179291).
SCRIPT = """
import os
import sys
import torch
from torch import nn
from torch.nn import functional
from prunelimits.pruners import GMP, RigL
from prunelimits.sessions import attach

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
)
for method in (GMP, RigL):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    replica = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with attach(method(rounds=3), model, optimizer, keep=12, steps=8) as session:
        for step in range(8):
            x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step)).double()
            x = x[rank * 8 : rank * 8 + 8]
            optimizer.zero_grad()
            functional.cross_entropy(replica(x), (x[:, 0] > 0).long()).backward()
            optimizer.step()
    torch.save([session.masks, model.state_dict()], f"{folder}/{method.__name__}-{rank}")
torch.distributed.barrier()
os._exit(0)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where both processes left what every method came to."""
    folder = tmp_path_factory.mktemp("replicas")
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    processes = [subprocess.Popen([*command, str(rank), str(folder)]) for rank in range(2)]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("method", [GMP, RigL])
def test_replicas_prune_alike_and_as_one_process_does(method: Any, trained: Path):
    (masks, weights), (others, same) = (
        torch.load(trained / f"{method.__name__}-{rank}", weights_only=True) for rank in range(2)
    )
    assert all(torch.equal(mask, others[name]) for name, mask in masks.items())
    assert all(torch.equal(value, same[name]) for name, value in weights.items())

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with attach(method(rounds=3), model, optimizer, keep=12, steps=8) as session:
        for step in range(8):
            x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step)).double()
            optimizer.zero_grad()
            functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
            optimizer.step()
    assert count(session.masks) == 12
    assert all(torch.equal(mask, masks[name]) for name, mask in session.masks.items())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(weights[name], value, rtol=1e-12, atol=1e-14)
        assert not weights[name][~masks.get(name, torch.ones_like(value).bool())].any()
