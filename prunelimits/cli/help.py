"""What `--help` prints: a command's options in groups, one under the other.

The parser of the command line makes one box of all options; which belong together, a command says
in `groups`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Protocol,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from tyro.conf import Positional

from prunelimits.cli.report import console

Groups = Mapping[str, tuple[str, ...]]
"""Titles, and the fields below each."""

YOUR_DATA: Groups = {"Your own data": ("data", "label", "drop", "input_array", "standardise")}


class Command(Protocol):
    """A command: a dataclass whose fields are its options, which `groups` has all."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    groups: ClassVar[Groups]

    def run(self) -> int:
        """Does what it is for; its exit code."""
        ...


class Option(NamedTuple):
    """An option as it is shown.

    Attributes:
        flags: How it is written, `--name` and shorter; empty for what stands without one.
        value: What follows, such as `FILE`; empty for a switch.
        text: What it does.
        default: What it is if it is not given; empty where that is nothing.
    """

    flags: tuple[str, ...]
    value: str
    text: str
    default: str


def print_overview(description: str, commands: Mapping[str, type[Command]]) -> None:
    """What the program does, and its commands in a line each."""
    console.print("usage: prunelimits COMMAND [OPTIONS]\n", markup=False)
    console.print(description, markup=False)
    rows = [(name, inspect.getdoc(command) or "") for name, command in commands.items()]
    _print_group("Commands", [(name, Text(said.partition("\n\n")[0])) for name, said in rows])
    more = [
        ("COMMAND --help", Text("Tells all about a command, and how long it takes.")),
        ("--version", Text("Tells the version.")),
        ("--tyro-print-completion SHELL", Text("Prints completion for bash, zsh or tcsh.")),
    ]
    _print_group("Also", more)


def print_help(name: str, command: type[Command]) -> None:
    """A command's description, and its options by groups."""
    options = options_of(command)
    first = [o for field, o in options.items() if field in command.groups.get("Arguments", ())]
    usage = " ".join([f"usage: prunelimits {name}", *(o.value for o in first), "[OPTIONS]"])
    console.print(usage, markup=False, soft_wrap=True)
    for paragraph in (inspect.getdoc(command) or "").split("\n\n"):
        console.print("\n" + " ".join(paragraph.split()), markup=False)
    for title, fields in command.groups.items():
        _print_group(title, [_row(options[field]) for field in fields])


def options_of(command: type[Any]) -> dict[str, Option]:
    """The options of a command by field, those of a group of options as `group.field`."""
    texts = _texts(command)
    found: dict[str, Option] = {}
    hints = get_type_hints(command, include_extras=True)
    for field in dataclasses.fields(command):
        kind, config, positional = _unpacked(hints[field.name])
        if dataclasses.is_dataclass(kind):
            if field.default is None:
                continue  # has no options of its own
            prefix = field.name if getattr(config, "name", None) is None else config.name
            for inner, option in options_of(cast("type[Any]", kind)).items():
                flags = tuple(f"--{prefix}.{f[2:]}" if prefix else f for f in option.flags)
                found[f"{field.name}.{inner}"] = option._replace(flags=flags)
            continue
        flags = (*(getattr(config, "aliases", None) or ()), "--" + field.name.replace("_", "-"))
        switch = kind is bool
        value = "" if switch else getattr(config, "metavar", None) or _value(kind)
        found[field.name] = Option(
            () if positional else flags, value, texts[field.name], _default(field)
        )
    return found


def _row(option: Option) -> tuple[str, Text]:
    shown = " ".join([", ".join(option.flags), option.value]).strip()
    text = Text(option.text)
    if option.default:
        text.append(f" [{option.default}]", style="cyan")
    return shown, text


def _print_group(title: str, rows: Sequence[tuple[str, Text]]) -> None:
    console.print(f"\n{title}", style="bold", markup=False)
    table = Table.grid(padding=(0, 2, 0, 0))
    # Long ones stand on a line of their own, so that the texts have room.
    width = max([len(shown) for shown, _ in rows if len(shown) <= _WIDE], default=_WIDE)
    table.add_column(width=width, no_wrap=True)
    table.add_column()
    for shown, text in rows:
        if len(shown) <= _WIDE:
            table.add_row(Text(shown), text)
            continue
        console.print(Padding(table, (0, 0, 0, 2)))
        console.print(f"  {shown}", markup=False, soft_wrap=True)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=width, no_wrap=True)
        table.add_column()
        table.add_row("", text)
    console.print(Padding(table, (0, 0, 0, 2)))


_WIDE = 26


def _default(field: dataclasses.Field[Any]) -> str:
    factory = field.default_factory
    value: Any = field.default if factory is dataclasses.MISSING else factory()
    if value in (dataclasses.MISSING, None, (), {}) or value is False:
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType]


def _unpacked(hint: Any) -> tuple[Any, Any, bool]:  # noqa: ANN401
    """A field's type without what surrounds it, its `tyro.conf.arg`, whether it has no flag."""
    config, positional = None, False
    while True:
        origin, inner = get_origin(hint), get_args(hint)
        if hasattr(hint, "__metadata__"):
            for extra in hint.__metadata__:
                config = extra if hasattr(extra, "metavar") else config
                positional |= extra is Positional
            hint = inner[0]
        elif origin in (Union, UnionType) and NoneType in inner:
            hint = next(kind for kind in inner if kind is not NoneType)
        else:
            return hint, config, positional


def _value(kind: Any) -> str:  # noqa: ANN401
    """What stands for a value of a type."""
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    if get_origin(kind) is tuple:
        one = _value(get_args(kind)[0])
        return f"{one} [{one} ...]"
    return {int: "N", float: "NUMBER", Path: "FILE", str: "NAME"}.get(kind, "VALUE")


@cache
def _texts(command: type[Any]) -> dict[str, str]:
    """What is said of each field: in the text below it, or in the docstring's attributes."""
    found: dict[str, str] = {}
    for cls in reversed(command.__mro__):
        if not dataclasses.is_dataclass(cls):
            continue
        listed = (inspect.getdoc(cls) or "").partition("\nAttributes:\n")[2].split("\n\n")[0]
        for name, text in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", listed, re.MULTILINE):
            found[name] = " ".join(text.split())
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                said = text.value if isinstance(text, ast.Expr) else None
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    found[field.target.id] = " ".join(said.value.split())
    return found
