"""Parts of a module as callers name them: by name, pattern, module, class or a question."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import TypeAlias

from torch import nn

from prunelimits.arguments import shown

Part: TypeAlias = str | nn.Module | type[nn.Module] | Callable[[str, nn.Parameter], bool]
"""A part of a model, for `include` and `ignore`.

- text: the name of a parameter or module, or a pattern of names such as `"encoder.*.weight"`;
- a module of the model, or a class of modules, such as `nn.Embedding`: all that they hold;
- a function of a parameter's name and the parameter: those for which it is true.
"""


def checked_parts(argument: str, parts: object) -> tuple[Part, ...]:
    """`parts` as a tuple: an iterable is read once, so that a generator names its parts to all.

    Raises:
        TypeError: If it is a single part, no iterable, or holds something else.
    """
    if isinstance(parts, str | nn.Module | type) or not isinstance(parts, Iterable):
        raise TypeError(f"{argument} must be modules and names, got {shown(parts)}, not a list")
    result: list[Part] = []
    for part in parts:  # pyright: ignore[reportUnknownVariableType]
        module_class = isinstance(part, type) and issubclass(part, nn.Module)
        if not (isinstance(part, str | nn.Module) or module_class or callable(part)) or (
            isinstance(part, type) and not module_class
        ):
            raise TypeError(
                f"{argument} must hold modules and names, got {shown(part)}: patterns of names, "
                "classes of modules and functions of a name and a parameter are possible too"
            )
        result.append(part)  # pyright: ignore[reportArgumentType]
    return tuple(result)


def parameters_of(model: nn.Module, argument: str, parts: Iterable[Part]) -> dict[int, bool]:
    """The parameters of some parts: `id` -> whether it was meant by itself, not by what holds it.

    Raises:
        ValueError: If a name, a pattern or a module is not in the model.
    """
    found: dict[int, bool] = {}
    for part in parts:
        for parameter, alone in _parameters_of(model, argument, part):
            found[id(parameter)] = alone or found.get(id(parameter), False)
    return found


def _parameters_of(model: nn.Module, argument: str, part: Part) -> list[tuple[nn.Parameter, bool]]:
    # A tied parameter may be named by any of its names.
    parameters = dict(model.named_parameters(remove_duplicate=False))
    if isinstance(part, str):
        return _named(model, argument, part, parameters)
    if isinstance(part, nn.Module):
        if all(part is not module for module in model.modules()):
            raise ValueError(f"{argument} holds a {type(part).__name__} that is not in the model")
        return [(parameter, False) for parameter in part.parameters()]
    if isinstance(part, type):
        holders = (module for module in model.modules() if isinstance(module, part))
        return [(parameter, False) for holder in holders for parameter in holder.parameters()]
    return [(value, True) for name, value in parameters.items() if part(name, value)]


def _named(
    model: nn.Module, argument: str, name: str, parameters: dict[str, nn.Parameter]
) -> list[tuple[nn.Parameter, bool]]:
    modules = dict(model.named_modules(remove_duplicate=False))
    if name in parameters:
        return [(parameters[name], True)]
    if name and name in modules:
        return [(parameter, False) for parameter in modules[name].parameters()]
    matched = [(value, False) for key, value in parameters.items() if fnmatchcase(key, name)]
    for key, module in modules.items():
        if key and fnmatchcase(key, name):
            matched.extend((parameter, False) for parameter in module.parameters())
    if not matched:
        raise ValueError(f"{argument} names {name!r}, which is no module or parameter of the model")
    return matched
