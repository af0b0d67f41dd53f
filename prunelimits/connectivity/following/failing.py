"""Why a model cannot be followed, in a sentence or two, and what can be done."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from prunelimits.connectivity.following.values import Argument

_BY_VALUES = (
    "its forward pass chooses by values of tensors: use torch.where or torch.cond, or "
    "analyze the part that does not"
)


def why_not_exported(
    model: nn.Module,
    twin: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    error: Exception,
) -> str:
    """The message for a model that torch cannot export.

    Args:
        model: The model.
        twin: A copy of it in evaluation mode.
        args: What it is called with by position.
        kwargs: And by name.
        error: What torch says.
    """
    if "GuardOnDataDependent" not in type(error).__name__:
        failing = _failing_module(twin, args, kwargs)
        if failing is not None:
            place, error = failing
            return (
                f"model {type(model).__name__} cannot be called with these inputs: {place} fails "
                f"({_first_line(error)}); see that model(inputs) runs in evaluation mode"
            )
    text, advice = str(error), (
        "it runs, but torch.export does not follow it: leave out what it names (packed sequences, "
        "NumPy, derivatives and torch.func within the forward pass, code of other libraries), or "
        "analyze the part without it"
    )  # fmt: skip
    if "data-dependent" in text or "GuardOnDataDependent" in type(error).__name__:
        advice = _BY_VALUES
    elif "pytree" in text.lower() or "Unsupported input type" in text:
        advice = (
            "register the types it takes and returns by torch.export.register_dataclass or "
            "torch.utils._pytree.register_pytree_node, or switch off caches it returns"
        )
    return (
        f"model {type(model).__name__} cannot be exported with these inputs "
        f"({_first_line(error)}); {advice}"
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _failing_module(
    twin: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, Exception] | None:
    """Where the forward pass fails by itself, and why. None: it does not."""
    try:
        # With tensors of its own, for it may write to buffers.
        twin = copy.deepcopy(twin)
    except Exception:
        return None
    entered: list[str] = []
    for path, module in twin.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            return None
        name = f"{path!r} ({type(module).__name__})" if path else "its own forward pass"
        module.register_forward_pre_hook(_entering(entered, name), prepend=True)
        module.register_forward_hook(_leaving(entered))
    try:
        # With gradients, which a forward pass may take itself.
        with torch.enable_grad():
            twin(*args, **kwargs)
    except Exception as error:
        return (entered[-1] if entered else "its call"), error
    return None


def _entering(entered: list[str], name: str) -> Callable[[nn.Module, Argument], None]:
    def enter(module: nn.Module, args: Argument) -> None:
        entered.append(name)

    return enter


def _leaving(entered: list[str]) -> Callable[[nn.Module, Argument, Argument], None]:
    def leave(module: nn.Module, args: Argument, output: Argument) -> None:
        entered.pop()

    return leave


def refuse_unknown_shapes(program: ExportedProgram) -> None:
    """Raises if a number or a shape in a program depends on values, or is left open.

    Raises:
        ValueError: If one does; the message names the operation and the module it is in.
    """
    for node in program.graph.nodes:
        for value in pytree.tree_leaves(node.meta.get("val")):
            sizes = value.shape if isinstance(value, Tensor) else (value,)
            if any(isinstance(n, torch.SymInt | torch.SymFloat | torch.SymBool) for n in sizes):
                raise ValueError(f"cannot follow {place_of(node)}: {_reason(node)}")


def place_of(node: fx.Node) -> str:
    """An operation, and the module it is called in."""
    modules: Any = list((node.meta.get("nn_module_stack") or {}).values())
    inside = next((path for path, _ in reversed(modules) if path), "")
    return f"{node.target} in {inside!r}" if inside else f"{node.target}"


def _reason(node: fx.Node) -> str:
    if node.op == "placeholder" or "sym_size" in str(node.target):
        return "a size is left open: export the model with fixed sizes, without dynamic_shapes"
    return f"what it gives has a number or a size that depends on values, and {_BY_VALUES}"
