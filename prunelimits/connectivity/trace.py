"""A model as it is analyzed: the steps of its forward pass, its parameters and its masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import nn
from torch.export import ExportedProgram

from prunelimits.arguments import checked_choice, shown
from prunelimits.connectivity.following.model import (
    Inputs,
    Model,
    example_of,
    first_rows,
    follow,
)
from prunelimits.connectivity.following.network import Network
from prunelimits.connectivity.following.other_sizes import Call, at_other_sizes
from prunelimits.connectivity.following.plain import plain_chain
from prunelimits.connectivity.parameters import ModelParameters, model_parameters
from prunelimits.masks import check_bools
from prunelimits.types import Masks

Unknown: TypeAlias = Literal["sound", "refuse"]
"""What becomes of an operation without a rule."""


@dataclass(frozen=True)
class Traced:
    """A model that is followed.

    Attributes:
        network: The steps of its forward pass.
        parameters: Its parameters and masks.
        any_size: Whether it works on each row of features by itself, however many there are.
    """

    network: Network
    parameters: ModelParameters
    any_size: bool = False

    def masked(self, model: Model, masks: Masks | None) -> Traced:
        """The same with other masks; what was followed serves them too."""
        return replace(self, parameters=model_parameters(model, masks))

    def example(self, model: nn.Module, inputs: Inputs) -> Call:
        """What the model is called with; of rows that are samples as many as were followed."""
        example, samples = example_of(model, inputs), self.network.samples
        return first_rows(example, samples) if samples > 1 else example

    def other_examples(self, model: Model, inputs: Inputs) -> list[Call]:
        """What the model is called with at other sizes than the example's, if it takes any."""
        if self.any_size or not isinstance(model, nn.Module):
            return []
        args, kwargs = self.example(model, inputs)
        samples = self.network.samples
        return at_other_sizes(model, args, kwargs, samples)

    def at(self, model: Model, example: Call) -> Traced:
        """The same model, called with another example."""
        args, kwargs = example
        try:
            network = follow(model, kwargs or args, self.parameters.aliases)
        except ValueError:
            # Where it can be called and not be followed, nothing is known of it.
            network = Network([], [], [], ())
        return replace(self, network=network)


def trace(
    model: Model,
    masks: Masks | None,
    inputs: Inputs,
    unknown: Unknown = "sound",
    *,
    argument: str = "model",
) -> Traced:
    """Follows the model's forward pass in evaluation mode; the model stays as it is.

    Args:
        model: The model.
        masks: Name -> bool of its parameters. None: zeros are the mask.
        inputs: An example of what it is called with.
        unknown: Whether an operation without a rule is assumed to do the worst, or refused.
        argument: What the caller knows the model as, for messages.

    Raises:
        ValueError: If the model cannot be exported, has an operation without a rule that is to be
            refused, `inputs` is missing or does not fit, or masks or parameters are bad.
        TypeError: If `model` is no module, a mask no bool tensor or an input no tensor.
    """
    checked_choice("unknown", unknown, ("sound", "refuse"))
    if masks is not None:
        check_bools(masks)
    if not isinstance(model, nn.Module | ExportedProgram):
        also = " or an MLP's masks by name" if argument == "network" else ""
        raise TypeError(f"{argument} must be a torch.nn.Module{also}, got {shown(model)}")
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError(
            f"{argument} must be made of Python code, got {type(model).__name__}: give the module "
            "that it was scripted or traced from"
        )
    parameters = model_parameters(model, masks, argument)
    network = None
    if isinstance(model, nn.Module):
        network = plain_chain(model, inputs, parameters.aliases)
    any_size = network is not None
    if network is None:
        network = follow(model, inputs, parameters.aliases)
    if unknown == "refuse" and network.unknown:
        raise ValueError(
            f"cannot follow {', '.join(network.unknown)}: register a rule with "
            'prunelimits.connectivity.rule, or take unknown="sound"'
        )
    return Traced(network, parameters, any_size)
