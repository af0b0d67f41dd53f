"""What differs between the versions of the libraries below that a user may have."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def quiet_vmap() -> Generator[None]:
    """Without the warning that `torch.vmap` maps something by a loop, which torch 2.4 does more of.

    The results are the same, and nobody who uses the library can do anything about it.

    Examples:
        >>> with quiet_vmap():
        ...     warnings.warn("There is a performance drop because ...")
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop because")
        yield
