from __future__ import annotations

from pathlib import Path

import pytest

from .public_calls import NEEDS, PUBLIC_CALLS, WITHOUT_A_CALL, public_names, resolve


def test_every_public_name_has_a_valid_call():
    assert sorted(PUBLIC_CALLS | WITHOUT_A_CALL) == sorted(public_names())


@pytest.mark.parametrize("name", PUBLIC_CALLS)
def test_the_valid_call_is_valid(name: str, tmp_path: Path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    resolve(name)(**PUBLIC_CALLS[name](tmp_path))
