"""The source code behind a user's class or function, so that results go stale when it is edited."""

from __future__ import annotations

import builtins
import dataclasses
import dis
import functools
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from prunelimits.resuming.code import assignment, code_within, compiled, constant, written

# Code of these counts by its name, not by its text.
_LIBRARIES = frozenset({"prunelimits", "torch", "numpy", "scipy", *sys.stdlib_module_names})
# Folders that packages are installed in.
_INSTALLED = frozenset({"site-packages", "dist-packages"})
# Methods that `dataclass` makes from the fields.
_GENERATED = frozenset(
    f"__{name}__"
    for names in ("init repr eq hash replace", "lt le gt ge", "setattr delattr getstate setstate")
    for name in names.split()
)
_CONSTANTS = (bool, int, float, complex, str, bytes, tuple, frozenset, Tensor, np.ndarray)


def source_of(value: object) -> str:
    """The source code that decides what a class, a function or an instance of a class does.

    That is its own, that of its bases, and that of the functions, classes and constants that it
    refers to, and so on. Comments, docstrings and layout do not count, nor do variables that the
    code itself changes. The code of this library, of torch, of Python and of other installed
    packages counts by its name alone.

    What runs is decisive: where a file has been edited since it was imported, or there is no file,
    the compiled code stands for its source. That text differs between versions of Python.

    Args:
        value: A class, function, bound method or `functools.partial`; of any other object its class
            counts.

    Examples:
        >>> source_of(sorted)
        'builtins.sorted'
        >>> import prunelimits as pl
        >>> source_of(pl.pruners.SNIP)
        'prunelimits.SNIP'
    """
    if not (isinstance(value, type | functools.partial) or inspect.isroutine(value)):
        value = type(value)
    return _Reader(value).text()


class _Reader:
    """Collects code, starting from one object, until nothing new is referred to."""

    def __init__(self, value: object) -> None:
        self._home = _package(value)
        self._waiting: list[tuple[str, object]] = [("", value)]
        # By `id`, with the object itself: the id of one that is gone may be given to another.
        self._seen: dict[int, object] = {}

    def text(self) -> str:
        parts: list[str] = []
        while self._waiting:
            name, value = self._waiting.pop()
            if id(value) not in self._seen or isinstance(value, _CONSTANTS):
                self._seen[id(value)] = value
                parts.append(self._read(name, value))
        # Sorted, as names come from sets, whose order differs from process to process.
        return "\n".join([parts[0], *sorted(set(parts[1:]) - set(parts[:1]))])

    def _read(self, name: str, value: object) -> str:
        if isinstance(value, types.MethodType):
            self._waiting += [("", value.__func__), ("", value.__self__)]
            return f"method {value.__func__.__qualname__}"
        if isinstance(value, functools.partial):
            partial: functools.partial[object] = value
            arguments = [*partial.args, *partial.keywords.values()]
            self._waiting += [("", partial.func), *(("argument", part) for part in arguments)]
            return f"partial {constant(partial.args)} {constant(partial.keywords)}"
        if isinstance(value, types.FunctionType):
            return self._function(value) if self._is_users(value) else _library_name(value)
        if isinstance(value, type):
            return self._class(value) if self._is_users(value) else _library_name(value)
        if callable(wrapped := getattr(value, "__wrapped__", None)):
            # Such as what functools.cache gives.
            self._waiting.append((name, wrapped))
            return f"wrapped {_library_name(type(value))}"
        if inspect.isroutine(value):
            return _library_name(value)
        return self._value(name, value)

    def _value(self, name: str, value: object) -> str:
        """A constant, or the class of an object."""
        if isinstance(value, _CONSTANTS) or value is None:
            return f"{name} = {constant(value)}"
        self._waiting.append(("", type(value)))
        if dataclasses.is_dataclass(value):
            self._waiting += [
                (f"{name}.{field.name}", getattr(value, field.name))
                for field in dataclasses.fields(value)
            ]
        return f"{name} is a {type(value).__qualname__}"

    def _is_users(self, value: type | types.FunctionType) -> bool:
        package = _package(value)
        if package == "builtins":
            # Also the module of what `exec` makes outside of any module; that is the user's.
            return getattr(builtins, value.__qualname__, None) is not value
        if package in _LIBRARIES:
            return False
        return package == self._home or not _is_installed(getattr(value, "__module__", None))

    def _class(self, value: type) -> str:
        self._waiting += [("", base) for base in value.__bases__]
        own: list[types.FunctionType] = []
        for name, part in sorted(vars(value).items()):
            for function in _functions(part):
                if name in _GENERATED and dataclasses.is_dataclass(value) and _is_made(function):
                    continue
                if function.__qualname__.startswith(f"{value.__qualname__}."):
                    own.append(function)
                    self._refer(function)
                else:
                    self._waiting.append((name, function))
        # Besides the text: the values that run, as the file may have been edited since.
        constants = [
            f"{value.__qualname__}.{name} = {constant(part)}"
            for name, part in sorted(vars(value).items())
            if not name.startswith("__") and isinstance(part, _CONSTANTS)
        ]
        text = written(value, [function.__code__ for function in own]) if own else None
        if text is None:
            text = f"class {value.__qualname__}\n" + "\n".join(compiled(f.__code__) for f in own)
        return "\n".join([text, *constants])

    def _function(self, value: types.FunctionType) -> str:
        self._refer(value)
        text = written(value.__code__, [value.__code__])
        return compiled(value.__code__) if text is None else text

    def _refer(self, function: types.FunctionType) -> None:
        """Adds what a function's names stand for: in its module, around it, and its defaults."""
        code = list(code_within(function.__code__))
        names = {name for part in code for name in part.co_names}
        changed = {
            instruction.argval
            for part in code
            for instruction in dis.get_instructions(part)
            if instruction.opname in ("STORE_GLOBAL", "STORE_DEREF")
        }
        for name in sorted((names - changed) & function.__globals__.keys()):
            value = function.__globals__[name]
            if not isinstance(value, types.ModuleType):
                self._add(name, value, assignment(name, function))
            elif not _is_installed(value.__name__) and _top(value.__name__) not in _LIBRARIES:
                for inner in sorted(names & vars(value).keys()):
                    self._add(f"{name}.{inner}", vars(value)[inner], None)
        variables = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in variables:
            try:
                if name not in changed:
                    self._add(name, cell.cell_contents, None)
            except ValueError:
                # A name that has no value yet.
                continue
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._add(f"default of {function.__qualname__}", default, None)

    def _add(self, name: str, value: object, statement: str | None) -> None:
        if isinstance(value, list | dict | set):
            # These may be filled while the code runs: what counts is how they began.
            self._waiting.append((name, statement or type(value).__name__))
        elif not isinstance(value, types.ModuleType):
            self._waiting.append((name, value))


def _functions(value: object) -> Iterator[types.FunctionType]:
    """The functions in an entry of a class: methods, properties, and whatever wraps them."""
    if isinstance(value, types.FunctionType):
        yield value
    elif isinstance(value, staticmethod | classmethod):
        yield from _functions(value.__func__)
    elif isinstance(value, property):
        for part in (value.fget, value.fset, value.fdel):
            yield from _functions(part)
    elif isinstance(value, functools.cached_property):
        yield from _functions(value.func)
    elif callable(wrapped := getattr(value, "__wrapped__", None)):
        yield from _functions(wrapped)


def _is_made(function: types.FunctionType) -> bool:
    """Whether a function was made by `dataclass` while the program ran, not written in a file."""
    file = function.__code__.co_filename
    return file == "<string>" or Path(file).name in ("reprlib.py", "dataclasses.py")


def _package(value: object) -> str:
    if isinstance(value, functools.partial):
        return _package(value.func)
    return _top(getattr(value, "__module__", None) or "builtins")


def _top(module: str) -> str:
    return module.partition(".")[0]


def _is_installed(module: str | None) -> bool:
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    return file is not None and not _INSTALLED.isdisjoint(Path(file).parts)


def _library_name(value: object) -> str:
    return f"{_package(value)}.{getattr(value, '__qualname__', type(value).__qualname__)}"
