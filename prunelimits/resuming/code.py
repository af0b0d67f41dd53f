"""Code as text: its source where that is what runs, else what it was compiled to."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
import types
from collections.abc import Iterable, Iterator

import numpy as np
from torch import Tensor

from prunelimits.resuming.numbers import tensor_bytes


def written(value: type | types.CodeType, code: Iterable[types.CodeType]) -> str | None:
    """The source of a class or of a function's code, without comments, docstrings and layout.

    None if there is none, or if the file was edited since it was imported: if some of `code`, the
    code objects that belong to `value`, is not what the file would be compiled to.
    """
    try:
        lines, _ = inspect.findsource(value)
        tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
        compiled = _compiled_from("".join(lines))
    # What the parser and the tokenizer raise; a lambda's lines are often no statement.
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    if not all(part in compiled for part in code):
        return None
    return _plain(tree)


def assignment(name: str, function: types.FunctionType) -> str | None:
    """The statements that give a name of a function's module its value; None if there are none."""
    try:
        lines, _ = inspect.findsource(function.__code__)
        tree = ast.parse("".join(lines))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    found = [
        _plain(node)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
        and any(isinstance(part, ast.Name) and part.id == name for part in _targets(node))
    ]
    return "\n".join(found) or None


def compiled(code: types.CodeType) -> str:
    """Bytecode and constants as text, without line numbers; it depends on Python's version."""
    constants = [
        compiled(part) if isinstance(part, types.CodeType) else constant(part)
        for part in code.co_consts
    ]
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    names = (code.co_names, code.co_varnames, code.co_freevars)
    return f"{code.co_name} {counts} {names} {code.co_code.hex()} [{', '.join(constants)}]"


def constant(value: object) -> str:
    """A text for a constant: equal for equal ones, and never with an address in memory."""
    if isinstance(value, Tensor | np.ndarray):
        content = tensor_bytes(value) if isinstance(value, Tensor) else value.tobytes()
        head = f"{type(value).__name__} {tuple(value.shape)} {value.dtype}"
        return f"{head} {hashlib.sha256(content).hexdigest()}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__}({', '.join(map(constant, value))})"
    if isinstance(value, set | frozenset):
        return f"set({', '.join(sorted(map(constant, value)))})"
    if isinstance(value, dict):
        pairs = (f"{constant(key)}: {constant(part)}" for key, part in value.items())
        return f"dict({', '.join(pairs)})"
    simple = isinstance(value, bool | int | float | complex | str | bytes | np.generic)
    if simple or value is None or value is Ellipsis:
        return repr(value)
    return getattr(value, "__qualname__", type(value).__qualname__)


def code_within(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object, and those of the functions and comprehensions in it."""
    yield code
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from code_within(part)


# A user's methods are in few files, so a small cache is enough.
@functools.lru_cache(maxsize=16)
def _compiled_from(text: str) -> frozenset[types.CodeType]:
    return frozenset(code_within(compile(text, "", "exec", dont_inherit=True)))


def _plain(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            # A body may not be empty.
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> Iterator[ast.AST]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        yield from ast.walk(target)
