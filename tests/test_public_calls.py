from __future__ import annotations

from pathlib import Path

import pytest

from .public_calls import NEEDS, PUBLIC_CALLS, WITHOUT_A_CALL, public_names, resolve
from .public_methods import PUBLIC_METHODS, method_names


def test_every_public_name_has_a_valid_call():
    assert sorted(PUBLIC_CALLS | WITHOUT_A_CALL) == sorted(public_names())


@pytest.mark.parametrize("name", PUBLIC_CALLS)
def test_the_valid_call_is_valid(name: str, tmp_path: Path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    resolve(name)(**PUBLIC_CALLS[name](tmp_path))


def test_every_public_method_with_arguments_has_a_valid_call():
    assert sorted(PUBLIC_METHODS) == sorted(method_names())


@pytest.mark.parametrize("name", PUBLIC_METHODS)
def test_the_valid_call_of_a_method_is_valid(name: str, tmp_path: Path):
    method, arguments = PUBLIC_METHODS[name](tmp_path)
    method(**arguments)
