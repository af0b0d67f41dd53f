"""What a spectrum will take, told beforehand."""

from __future__ import annotations

import time
from typing import NamedTuple

from prunelimits.arguments import checked_flag, checked_instance, checked_integer
from prunelimits.limits.checks import checked_count
from prunelimits.limits.hessian import Hessian
from prunelimits.limits.lanczos import lanczos_start, make_orthogonal
from prunelimits.limits.spectrum import random_signs
from prunelimits.modes import in_plain_modes


class LanczosCost(NamedTuple):
    """What `lanczos_spectrum` is about to need.

    Attributes:
        seconds: About so long, on a machine as busy as now.
        bytes: For the vectors that it keeps; the Hessian itself needs more where it keeps graphs.
    """

    seconds: float
    bytes: int


@in_plain_modes
def lanczos_cost(
    hessian: Hessian, *, probes: int = 4, steps: int = 100, reorthogonalize: bool = True
) -> LanczosCost:
    """The time and the memory of `lanczos_spectrum` with these arguments.

    Two products are done, of which the second is timed; with reorthogonalisation step k takes k
    times as long as being orthogonal to one vector, which is timed too.

    Raises:
        ValueError: If `probes` or `steps` is below 1.
        TypeError: If they are not integers.

    Examples:
        >>> import torch
        >>> from prunelimits.types import Problem
        >>> x, y = torch.ones(3, 1000), torch.zeros(3)
        >>> problem = Problem(lambda p, x: x @ p["w"], torch.nn.functional.mse_loss, [(x, y)])
        >>> hessian = Hessian(problem, {"w": torch.zeros(1000)})
        >>> lanczos_cost(hessian, probes=2, steps=100).bytes  # 101 vectors of 1,000 float32 a probe
        808000
        >>> lanczos_cost(hessian, probes=2, steps=100, reorthogonalize=False).bytes
        24000
    """
    checked_instance("hessian", hessian, Hessian, "a Hessian")
    checked_flag("reorthogonalize", reorthogonalize)
    probes = checked_count("probes", probes)
    steps = min(checked_integer("steps", steps, least=1), hessian.size)
    start = random_signs(probes, hessian.size, 0).to(hessian.device, hessian.dtype)
    hessian.product(start)
    began = time.perf_counter()
    hessian.product(start)
    seconds = steps * (time.perf_counter() - began)
    if reorthogonalize:
        others = random_signs(probes, hessian.size, 1).to(start)
        basis = lanczos_start(start).basis
        began = time.perf_counter()
        make_orthogonal(others, basis)
        seconds += steps**2 / 2 * (time.perf_counter() - began)
    kept = steps + 1 if reorthogonalize else 3
    return LanczosCost(seconds, probes * kept * hessian.size * hessian.dtype.itemsize)
