"""The kinds of pages: one network, two side by side, a run as a film, what a search found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from prunelimits.arguments import checked_instance, checked_items, checked_text, shown
from prunelimits.masks import check_bools
from prunelimits.models import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.pareto import pareto_front
from prunelimits.search import FoundNetwork, SearchResult
from prunelimits.types import Masks
from prunelimits.viz.pages.content import (
    Content,
    Data,
    EncodedNetwork,
    Mode,
    checked,
    encode_data,
    encode_network,
    extent_of,
)
from prunelimits.viz.pages.page import Page

Frame: TypeAlias = tuple[str, MLP, Masks | None] | tuple[MLP, Masks | None]
"""A network of a film or a comparison: what to call it, the model, its masks.

Without a name it is called "left" or "right", in a film by its number.
"""

_NamedFrame: TypeAlias = tuple[str, MLP, Masks | None]

# Networks of a gallery that are off the front get this room, so that data fit beside them.
_ROOM = 600_000


@in_plain_modes
def playground(
    model: MLP,
    masks: Masks | None = None,
    data: Data | None = None,
    *,
    title: str | None = None,
    about: str | None = None,
) -> Page:
    """A page on which a sparse network can be looked at and touched.

    The network stands as in Appendix I of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075): each unit with its value over
    the plane, each weight as a curve, each bias as a chip, the decision large with the data on it.
    The page computes the network itself, in float32: weights can be pruned, brought back and
    changed, and everything follows. With other than two inputs, units show histograms of their
    values on the data.

    Args:
        model: The network; it is not changed. At most 200,000 parameters.
        masks: What is kept, by parameter name. None: everything.
        data: Inputs `(samples, inputs)` and classes `(samples,)`, from 0. Accuracy counts all of
            them; some 2,000 are drawn. Needed where the model has other than two inputs.
        title: The heading. None: the widths.
        about: A line below it. None: how many samples there are.

    Raises:
        ValueError: If the model is too large or has a kept parameter that is not finite in float32,
            if masks or data do not fit it, or if the page would have over 2 MB.
        TypeError: If `model` is no `MLP`, a mask no bool tensor, or data are no tensors.

    Examples:
        >>> page = playground(MLP((2, 3, 1)), title="Three units")
        >>> page.save("three-units.html")  # doctest: +SKIP
    """
    if masks is not None:
        check_bools(masks)
    checked_text("title", title)
    label = "-".join(map(str, model.widths)) if isinstance(model, MLP) else ""
    return _page("single", [(label if title is None else title, model, masks)], data, title, about)


@in_plain_modes
def comparison(
    left: Frame,
    right: Frame,
    data: Data | None = None,
    *,
    title: str = "Side by side",
    about: str | None = None,
) -> Page:
    """A page with two networks side by side; each can be touched as in `playground`.

    Args:
        left: A name, a model and its masks; the name can be left out.
        right: The other, with as many inputs and outputs.
        data: As in `playground`.
        title: The heading.
        about: A line below it. None: how many samples there are.

    Raises:
        ValueError: As `playground`; or if the two have different inputs or outputs.
        TypeError: As `playground`.
    """
    checked_text("title", title, absent=False)
    return _page(
        "comparison",
        [_frame("left", left, "left"), _frame("right", right, "right")],
        data,
        title,
        about,
    )


@in_plain_modes
def film(
    frames: Sequence[Frame],
    data: Data | None = None,
    *,
    title: str = "A pruning run",
    about: str | None = None,
) -> Page:
    """A page that plays a pruning run, a frame a round; every frame can be touched.

    Args:
        frames: (label, model, masks) of each round, all of the same widths; the label can be left
            out. A model that is trained on must be copied for its frame.
        data: As in `playground`.
        title: The heading.
        about: A line below it. None: how many samples there are.

    Raises:
        ValueError: As `playground`; or if there are no frames or they have different widths.
        TypeError: As `playground`.

    Examples:
        >>> model = MLP((2, 3, 1))
        >>> page = film([(f"round {i}", model, None) for i in range(3)])
    """
    checked_text("title", title, absent=False)
    named = [
        _frame(f"frames[{n}]", f, str(n + 1))
        for n, f in enumerate(checked_items("frames", frames, tuple))
    ]
    widths = {model.widths for _, model, _ in named}
    if len(widths) > 1:
        raise ValueError(f"frames must all have the same widths, got {sorted(widths)}")
    return _page("film", named, data, title, about)


@in_plain_modes
def gallery(
    result: SearchResult,
    data: Data | None = None,
    *,
    title: str = "What the search found",
    about: str | None = None,
) -> Page:
    """A page with the Pareto front of a search as a chart, where a click opens a network.

    The accuracies in the chart are those that the search measured. Where the networks of all sizes
    are too many for a page, the front and the most accurate others are on it.

    Args:
        result: What `read_result` or a search gave.
        data: As in `playground`.
        title: The heading.
        about: A line below it. None: how many samples there are.

    Raises:
        ValueError: As `playground`; or if nothing was trained yet.
        TypeError: As `playground`.
    """
    checked_instance("result", result, SearchResult, "a SearchResult")
    chosen = result.sparsest or result.most_accurate
    if chosen is None:
        raise ValueError("result must hold at least one trained network, got none")
    checked_data = checked(chosen.model, data)
    front = set(pareto_front((n.nonzeros, n.accuracy) for n in result.best))
    networks: dict[int, EncodedNetwork] = {}
    room = _ROOM
    for found in sorted(result.best, key=lambda n: (_point(n) not in front, -n.accuracy)):
        label = f"{found.nonzeros} nonzeros"
        network = encode_network(label, found.model, found.masks, None)
        network["accuracy"] = found.accuracy
        if _point(found) not in front:
            room -= len(network["values"]) + len(network["kept"])
        if room > 0 or _point(found) in front:
            networks[found.nonzeros] = network
    sizes = sorted(networks)
    content = _content("gallery", chosen.model, checked_data, title, about)
    content["networks"] = [networks[size] for size in sizes]
    content["target"] = result.config.target
    content["first"] = sizes.index(chosen.nonzeros)
    return Page(content)


def _point(found: FoundNetwork) -> tuple[int, float]:
    return found.nonzeros, found.accuracy


def _frame(name: str, frame: object, label: str) -> _NamedFrame:
    if isinstance(frame, tuple) and len(frame) == 2:  # pyright: ignore[reportUnknownArgumentType]
        frame = (label, *frame)  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(frame, tuple) or len(frame) != 3:  # pyright: ignore[reportUnknownArgumentType]
        raise TypeError(f"{name} must be a label, a model and its masks, got {shown(frame)}")  # pyright: ignore[reportUnknownArgumentType]
    label, model, masks = frame  # pyright: ignore[reportUnknownVariableType]
    checked_text(f"the label of {name}", label, absent=False)
    checked_instance(f"the model of {name}", model, MLP, "an MLP")
    if masks is not None:
        check_bools(masks)  # pyright: ignore[reportUnknownArgumentType]
    return frame  # pyright: ignore[reportUnknownVariableType]


def _page(
    mode: Mode,
    frames: Sequence[_NamedFrame],
    data: Data | None,
    title: str | None,
    about: str | None,
) -> Page:
    if not frames:
        raise ValueError("frames must hold at least one network, got none")
    _, model, _ = frames[0]
    first = checked(model, data)
    for _, other, _ in frames[1:]:
        checked(other, data)
        if (other.widths[0], other.widths[-1]) != (model.widths[0], model.widths[-1]):
            raise ValueError(
                "networks on one page must have the same inputs and outputs, got widths "
                f"{model.widths} and {other.widths}"
            )
    content = _content(mode, model, first, frames[0][0] if title is None else title, about)
    content["networks"] = [encode_network(*frame, first) for frame in frames]
    return Page(content)


def _content(mode: Mode, model: MLP, data: Data | None, title: str, about: str | None) -> Content:
    checked_text("title", title, absent=False)
    checked_text("about", about)
    if about is None:
        about = "No data given." if data is None else f"Data: {len(data[0]):,} samples."
    return {
        "mode": mode,
        "title": title,
        "about": about,
        "inputs": model.widths[0],
        "outputs": model.widths[-1],
        "extent": extent_of(data, model.widths[0]),
        "networks": [],
        "data": encode_data(data),
        "target": None,
        "first": 0,
    }
