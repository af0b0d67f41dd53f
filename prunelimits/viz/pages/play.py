"""The page that trains: a network learns and is pruned while the reader watches."""

from __future__ import annotations

from collections.abc import Sequence

from prunelimits.arguments import checked_text
from prunelimits.datasets.plane_features import PLANE, checked_features
from prunelimits.masks import check_bools
from prunelimits.models import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.training.data import check_data, default_loss
from prunelimits.types import Masks
from prunelimits.viz.pages.content import (
    Data,
    PlayContent,
    encode_data,
    encode_network,
    shown_classes,
)
from prunelimits.viz.pages.frames import Network, named_network
from prunelimits.viz.pages.page import Page
from prunelimits.viz.pages.presets import presets
from prunelimits.viz.pages.records import records

_MOST_LAYERS = 5
_MOST_WIDTH = 16
_MOST_CLASSES = 8


@in_plain_modes
def play(
    model: Network | None = None,
    masks: Masks | None = None,
    data: Data | None = None,
    *,
    inputs: Sequence[str] = PLANE,
    classes: Sequence[str] | None = None,
    title: str = "Train, prune, and watch paths die",
    about: str | None = None,
) -> Page:
    """A page that trains a network of two inputs, prunes it, and shows what becomes of it.

    Everything is computed in the page, by the same rules as in the library: stochastic gradient
    descent with momentum, nine pruning methods, effective nonzeros and paths. Data, network,
    training and method are chosen there; the same seed gives the same run, and the address holds
    all settings.

    Args:
        model: Where to start from: one to five hidden layers of at most 16 units. It is not
            changed. None: a random start of the page's own.
        masks: What of the model is kept, by parameter name. None: everything.
        data: Inputs `(samples, 2)` and classes `(samples,)`, from 0, at most 8 of them. None: the
            data sets of the page.
        inputs: What of a point the network is given: functions of its coordinates, by their names
            in `prunelimits.datasets.plane_features`.
        classes: What the classes of `data` are called. None: by their numbers.
        title: The heading.
        about: A line below it. None: what to do.

    Raises:
        ValueError: If the model has other widths than the page can show, or masks or data do not
            fit it.
        TypeError: If an argument is of another kind.

    Examples:
        >>> page = play()
        >>> page.save("play.html")  # doctest: +SKIP
    """
    checked_text("title", title, absent=False)
    checked_text("about", about)
    inputs = checked_features("inputs", inputs)
    if about is None:
        about = "Press Play. Then choose a method, prune, and see what is left of the network."
    if masks is not None:
        check_bools(masks)
    if model is not None:
        named = named_network("model", model, "")
        if masks is not None and named.masks is not None:
            raise ValueError("masks stand in model already: give them once")
        model, masks = named.model, named.masks if masks is None else masks
        _check_widths(model.widths, len(inputs))
    elif masks is not None:
        raise ValueError("masks are given without a model")
    points = None if data is None else _checked_data(data, model)
    if points is None and classes is not None:
        raise ValueError("classes are given without data: the page's own have no names")
    outputs = 1 if points is None else _outputs(points[1])
    settings: dict[str, str | int | float | list[int] | list[str]] = {}
    if inputs != PLANE:
        settings["inputs"] = list(inputs)
    if points is not None:
        settings["data"] = "given"
        settings["batch"] = max(1, min(64, len(points[0]) // 10))
    if model is not None:
        settings["hidden"] = list(model.widths[1:-1])
        if points is None and model.widths[-1] != 1:
            raise ValueError(
                f"data is needed for a model of {model.widths[-1]} outputs: the page's own data "
                "have two classes, one output"
            )
    content: PlayContent = {
        "mode": "play",
        "title": title,
        "about": about,
        "settings": settings,
        "network": None if model is None else encode_network("", model, masks, None),
        "data": encode_data(points),
        "classes": shown_classes(classes, outputs),
        "records": records(),
        "presets": presets(),
    }
    return Page(content)


def _check_widths(widths: tuple[int, ...], inputs: int) -> None:
    hidden = widths[1:-1]
    fits = widths[0] == inputs and 1 <= len(hidden) <= _MOST_LAYERS and max(hidden) <= _MOST_WIDTH
    if not fits or widths[-1] > _MOST_CLASSES:
        raise ValueError(
            f"model must have {inputs} inputs, 1 to {_MOST_LAYERS} hidden layers of at most "
            f"{_MOST_WIDTH} units and at most {_MOST_CLASSES} outputs, got widths {widths}"
        )


def _checked_data(data: object, model: MLP | None) -> Data:
    if not isinstance(data, tuple) or len(data) != 2:  # pyright: ignore[reportUnknownArgumentType]
        raise TypeError(f"data must be a pair of tensors (x, y), got {type(data).__name__}")
    x, y = data  # pyright: ignore[reportUnknownVariableType]
    outputs = _outputs(y) if model is None else model.widths[-1]
    points = check_data(x, y, inputs=2, outputs=outputs, loss=default_loss(outputs))  # pyright: ignore[reportUnknownArgumentType]
    needed = _outputs(points[1])
    if needed != outputs:
        raise ValueError(
            f"data must have as many classes as the model has outputs: {outputs}, got {needed}"
        )
    return points


def _outputs(y: object) -> int:
    """One output for two classes, else one a class."""
    classes = int(y.max()) + 1 if hasattr(y, "max") and hasattr(y, "numel") and y.numel() else 2  # pyright: ignore
    if classes > _MOST_CLASSES:
        raise ValueError(f"data must have at most {_MOST_CLASSES} classes, got {classes}")
    return classes if classes > 2 else 1
