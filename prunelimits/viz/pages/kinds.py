"""The kinds of pages: one network, two side by side, a run as a film, what a search found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from prunelimits.arguments import checked_items, checked_text, shown
from prunelimits.elimination import EliminationResult
from prunelimits.masks import check_bools
from prunelimits.models import MLP
from prunelimits.modes import in_plain_modes
from prunelimits.pareto import pareto_front
from prunelimits.search import SearchResult
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
    shown_classes,
)
from prunelimits.viz.pages.frames import NamedNetwork, Network, named_network
from prunelimits.viz.pages.page import Page

# Networks of a gallery that are off the front get this room, so that data fit beside them.
_ROOM = 600_000


@in_plain_modes
def playground(
    model: Network,
    masks: Masks | None = None,
    data: Data | None = None,
    *,
    title: str | None = None,
    about: str | None = None,
    classes: Sequence[str] | None = None,
) -> Page:
    """A page on which a sparse network can be looked at and touched.

    The network stands as in Appendix I of
    [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075): each unit with its value over
    the plane, each weight as a curve, each bias as a chip, the decision large with the data on it.
    The page computes the network itself, in float32: weights can be pruned, brought back and
    changed, and everything follows. With other than two inputs, units show histograms of their
    values on the data.

    Args:
        model: The network, in any form that `comparison` takes; it is not changed. At most 200,000
            parameters.
        masks: What is kept, by parameter name. None: what `model` says, else everything.
        data: Inputs `(samples, inputs)` and classes `(samples,)`, from 0. Accuracy counts all of
            them; some 2,000 are drawn. Needed where the model has other than two inputs.
        title: The heading. None: the widths.
        about: A line below it. None: how many samples there are.
        classes: What classes 0, 1, ... are called, at most one an output, or two where there is
            one output. None: by their numbers.

    Raises:
        ValueError: If the model is too large or has a kept parameter that is not finite in float32,
            if masks or data do not fit it, or if the page would have over 2 MB.
        TypeError: If `model` is no `MLP`, a mask no bool tensor, or data are no tensors.

    Examples:
        >>> page = playground(MLP((2, 3, 1)), title="Three units")
        >>> page.save("three-units.html")  # doctest: +SKIP
    """
    checked_text("title", title)
    named = named_network("model", model, "")
    if masks is not None:
        if named.masks is not None:
            raise ValueError("masks stand in model already: give them once")
        check_bools(masks)
        named = named._replace(masks=masks)
    label = named.label or "-".join(map(str, named.model.widths))
    named = named._replace(label=label if title is None else title)
    return _page("single", [named], data, title, about, classes)


@in_plain_modes
def comparison(
    left: Network,
    right: Network,
    data: Data | None = None,
    *,
    title: str = "Side by side",
    about: str | None = None,
    classes: Sequence[str] | None = None,
) -> Page:
    """A page with two networks side by side; each can be touched as in `playground`.

    Args:
        left: A model; with its masks behind it or a name in front of it in a tuple, or both; or
            what a search or an elimination found.
        right: The other, with as many inputs and outputs.
        data: As in `playground`.
        title: The heading.
        about: A line below it. None: how many samples there are.
        classes: As in `playground`.

    Raises:
        ValueError: As `playground`; or if the two have different inputs or outputs.
        TypeError: As `playground`.
    """
    checked_text("title", title, absent=False)
    return _page(
        "comparison",
        [named_network("left", left, "left"), named_network("right", right, "right")],
        data,
        title,
        about,
        classes,
    )


@in_plain_modes
def film(
    frames: Sequence[Network],
    data: Data | None = None,
    *,
    title: str = "A pruning run",
    about: str | None = None,
    classes: Sequence[str] | None = None,
) -> Page:
    """A page that plays a pruning run, a frame a round; every frame can be touched.

    Args:
        frames: A network of each round, in any form that `comparison` takes, all of the same
            widths. A model that is trained on must be copied for its frame.
        data: As in `playground`.
        title: The heading.
        about: A line below it. None: how many samples there are.
        classes: As in `playground`.

    Raises:
        ValueError: As `playground`; or if there are no frames or they have different widths.
        TypeError: As `playground`.

    Examples:
        >>> model = MLP((2, 3, 1))
        >>> page = film([(f"round {i}", model, None) for i in range(3)])
    """
    checked_text("title", title, absent=False)
    named = [
        named_network(f"frames[{n}]", frame, str(n + 1))
        for n, frame in enumerate(checked_items("frames", frames, object))
    ]
    widths = {model.widths for _, model, _ in named}
    if len(widths) > 1:
        raise ValueError(f"frames must all have the same widths, got {sorted(widths)}")
    return _page("film", named, data, title, about, classes)


@in_plain_modes
def gallery(
    result: SearchResult | EliminationResult,
    data: Data | None = None,
    *,
    title: str = "What was found",
    about: str | None = None,
    classes: Sequence[str] | None = None,
) -> Page:
    """A page with the Pareto front of what was found as a chart, where a click opens a network.

    The accuracies in the chart are those that the search or the elimination measured, of networks
    that predict numbers R². Where the
    networks of all sizes are too many for a page, the front and the most accurate others are on it.

    Args:
        result: What a search or an elimination gave, or `read_result` or `read_elimination`.
        data: As in `playground`.
        title: The heading.
        about: A line below it. None: how many samples there are.
        classes: As in `playground`.

    Raises:
        ValueError: As `playground`; or if nothing was trained yet.
        TypeError: As `playground`.
    """
    found, target = _found(result)
    if not found:
        raise ValueError("result must hold at least one trained network, got none")
    reaching = [f for f in found if target is not None and f.accuracy >= target]
    chosen = reaching[0] if reaching else max(found, key=lambda f: f.accuracy)
    checked_data = checked(chosen.network.model, data)
    front = set(pareto_front((f.nonzeros, f.accuracy) for f in found))
    networks: dict[int, EncodedNetwork] = {}
    room = _ROOM
    for one in sorted(found, key=lambda f: ((f.nonzeros, f.accuracy) not in front, -f.accuracy)):
        network = encode_network(*one.network, None)
        network["accuracy"] = one.accuracy
        on_front = (one.nonzeros, one.accuracy) in front
        if not on_front:
            room -= len(network["values"]) + len(network["kept"])
        if room > 0 or on_front:
            networks[one.nonzeros] = network
    sizes = sorted(networks)
    content = _content("gallery", chosen.network.model, checked_data, title, about, classes)
    content["networks"] = [networks[size] for size in sizes]
    content["target"] = target
    content["measure"] = "R²" if result.loss == "mse" else "accuracy"
    content["first"] = sizes.index(chosen.nonzeros)
    return Page(content)


class _Found(NamedTuple):
    """A network of a gallery, and where it stands in the chart."""

    nonzeros: int
    accuracy: float
    network: NamedNetwork


def _found(result: object) -> tuple[list[_Found], float | None]:
    """The best network of every size, by size, and the target."""
    if isinstance(result, SearchResult):
        points = [(n.nonzeros, n.accuracy, n) for n in result.best]
        target = result.config.target
    elif isinstance(result, EliminationResult):
        points = [(n.nonzeros, n.score, n) for n in result.networks]
        target = result.target
    else:
        raise TypeError(
            f"result must be a SearchResult or an EliminationResult, got {shown(result)}"
        )
    points.sort(key=lambda point: point[0])
    return [_Found(n, a, named_network("result", network, "")) for n, a, network in points], target


def _page(
    mode: Mode,
    frames: Sequence[NamedNetwork],
    data: Data | None,
    title: str | None,
    about: str | None,
    classes: Sequence[str] | None,
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
    heading = frames[0][0] if title is None else title
    content = _content(mode, model, first, heading, about, classes)
    content["networks"] = [encode_network(*frame, first) for frame in frames]
    return Page(content)


def _content(
    mode: Mode,
    model: MLP,
    data: Data | None,
    title: str,
    about: str | None,
    classes: Sequence[str] | None,
) -> Content:
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
        "measure": "accuracy",
        "first": 0,
        "classes": shown_classes(classes, model.widths[-1]),
    }
