"""The report on a network's connectivity, as numbers, a dict and a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from prunelimits.connectivity.counted import Counted, WithCounted
from prunelimits.html_table import html_table


@dataclass(frozen=True)
class LayerReport(WithCounted):
    """One layer: a linear layer, a convolution or a normalisation.

    Dead units are counted once each: as `cut_off_from_output` if an input reaches them, as
    `constant` if only biases do and an output reads them, and as `cut_off_from_input` otherwise. A
    normalisation has no units of its own: its shift counts where the units of its layer are.

    Attributes:
        name: The layer's name.
        weights: Weights in all: entries of matrices and kernels.
        nonzero_weights: Those that are kept.
        effective_weights: Those on an input-to-output path.
        biases: Biases in all; of a normalisation, scales and shifts.
        nonzero_biases: Those that are kept.
        effective_biases: Those that count: see `effective_masks`.
        inputs: Units or channels on its input side from which an effective weight leads.
        units: Units or channels.
        connected: Those on an input-to-output path: the width of the connected core.
        cut_off_from_input: Units that no input reaches and that add nothing to an output.
        cut_off_from_output: Units whose value changes, and no output sees it.
        constant: Units with the same value for every input.
        paths: Input-to-output paths through each unit, exact; of a model, counted when first read.
    """

    name: str
    weights: int
    nonzero_weights: int
    effective_weights: int
    biases: int
    nonzero_biases: int
    effective_biases: int
    inputs: int
    units: int
    connected: int
    cut_off_from_input: int
    cut_off_from_output: int
    constant: int
    paths: Counted[tuple[int, ...]] = Counted()  # noqa: RUF009

    @property
    def dead(self) -> int:
        """Units on no input-to-output path."""
        return self.units - self.connected


@dataclass(frozen=True)
class ParameterKind:
    """How many of a model's parameters are of one kind.

    Attributes:
        name: "weights" (contracted with what comes in), "embeddings" (looked up), "biases",
            "normalisation" (scales and shifts), "other", or "not read" by the forward pass.
        parameters: How many there are.
        kept: How many are kept.
        effective: How many are effective.
    """

    name: str
    parameters: int
    kept: int
    effective: int


@dataclass(frozen=True, repr=False)
class ConnectivityReport(WithCounted):
    """What of a network really counts, in all and by layer.

    Sparsity and compression are of weights; nonzeros count weights and biases. `str` of it is a
    table.

    Attributes:
        layers: In the order of the forward pass.
        weights: Weights in all.
        nonzero_weights: Those that are kept.
        effective_weights: Those on an input-to-output path.
        biases: Biases in all; scales and shifts of normalisations are among them.
        nonzero_biases: Those that are kept.
        effective_biases: Those that count: see `effective_masks`.
        carrying_nonzeros: Effective weights and biases, and those that carry constants to an
            output: the kept of `effective_masks(..., keep_constants=True)`.
        widths: Units of the connected core: the inputs on a path, then each layer's `connected`
            (normalisations aside).
        paths: Input-to-output paths of one sample, exact, of a model counted when first read:
            between positions in convolutions, through either factor of a product where the other
            can be other than zero, and from every element of a softmax's or normalisation's group
            to every other. None: not defined, since an operation is not known.
        exact: Whether every operation is known. If not, what is left out is still of no effect,
            but more may be.
        unknown: The operations that are not known.
        kinds: The parameters by kind, for a model: what the forward pass does not read included.
    """

    layers: tuple[LayerReport, ...]
    weights: int
    nonzero_weights: int
    effective_weights: int
    biases: int
    nonzero_biases: int
    effective_biases: int
    carrying_nonzeros: int
    widths: tuple[int, ...]
    paths: Counted[int | None] = Counted()  # noqa: RUF009
    exact: bool = True
    unknown: tuple[str, ...] = ()
    kinds: tuple[ParameterKind, ...] = ()

    @property
    def nonzeros(self) -> int:
        """Kept weights and biases."""
        return self.nonzero_weights + self.nonzero_biases

    @property
    def effective_nonzeros(self) -> int:
        """Effective weights and biases."""
        return self.effective_weights + self.effective_biases

    @property
    def sparsity(self) -> float:
        """The share of the weights that is pruned, in [0, 1]."""
        return 1 - self.nonzero_weights / self.weights

    @property
    def effective_sparsity(self) -> float:
        """The share of the weights that is pruned or on no input-to-output path, in [0, 1]."""
        return 1 - self.effective_weights / self.weights

    @property
    def compression(self) -> float:
        """Weights over kept weights; infinite if none is kept."""
        return _ratio(self.weights, self.nonzero_weights)

    @property
    def effective_compression(self) -> float:
        """Weights over effective weights; infinite if there are none."""
        return _ratio(self.weights, self.effective_weights)

    @property
    def dead_units(self) -> int:
        """Units on no input-to-output path, those of all layers."""
        return sum(layer.dead for layer in self.layers)

    @property
    def read(self) -> float:
        """The share of all parameters that the forward pass reads, in [0, 1]."""
        left = sum(kind.parameters for kind in self.kinds if kind.name == "not read")
        return 1 - left / (sum(kind.parameters for kind in self.kinds) or 1)

    @property
    def effective_nodes(self) -> int:
        """Units with an effective weight: each layer's on its input side, and the outputs.

        As in [Node-Path Balancing](https://openreview.net/forum?id=rvF0zyTV8b).
        """
        return sum(layer.inputs for layer in self.layers) + self.widths[-1]

    @property
    def effective_paths(self) -> int | None:
        """The same as `paths`, under the name that Node-Path Balancing gives it."""
        return self.paths

    def to_dict(self) -> dict[str, Any]:
        """Every number as plain dicts, lists, ints and floats: `json.dumps` takes it."""
        derived = (
            "nonzeros", "effective_nonzeros", "sparsity", "effective_sparsity", "compression",
            "effective_compression", "dead_units", "effective_nodes", "read",
        )  # fmt: skip
        result: dict[str, Any] = {name: getattr(self, name) for name in derived}
        result |= asdict(self)
        result["widths"] = list(self.widths)
        result["unknown"] = list(self.unknown)
        result["kinds"] = [asdict(kind) for kind in self.kinds]
        result["layers"] = [
            {**asdict(layer), "paths": list(layer.paths), "dead": layer.dead}
            for layer in self.layers
        ]
        return result

    def __repr__(self) -> str:
        return (
            f"<ConnectivityReport: {self.nonzeros:,} nonzeros, {self.effective_nonzeros:,} "
            f"effective; sparsity {_percent(self.sparsity)}, effective "
            f"{_percent(self.effective_sparsity)}; {len(self.layers)} layers>"
        )

    def _repr_html_(self) -> str:
        """The table, as notebooks show it."""
        header, *rows = self._rows()
        notes = [*self._summary(), *self._notes()]
        return html_table("What of the network counts", header, rows, notes)

    def __str__(self) -> str:
        return "\n".join([*_table(self._rows()), "", *self._summary(), *self._notes()])

    def _rows(self) -> list[list[str]]:
        """The header, a row for each layer, and one for all."""
        rows = [
            [
                layer.name,
                f"{layer.nonzero_weights:,} / {layer.weights:,}" if layer.weights else "",
                f"{layer.effective_weights:,}" if layer.weights else "",
                f"{layer.nonzero_biases:,} / {layer.biases:,}" if layer.biases else "",
                f"{layer.effective_biases:,}" if layer.biases else "",
                f"{layer.connected:,} / {layer.units:,}" if layer.units else "",
                *(f"{n:,}" if layer.units else "" for n in _causes(layer)),
            ]
            for layer in self.layers
        ]
        total = [
            "all",
            f"{self.nonzero_weights:,} / {self.weights:,}",
            f"{self.effective_weights:,}",
            f"{self.nonzero_biases:,} / {self.biases:,}",
            f"{self.effective_biases:,}",
            f"{sum(r.connected for r in self.layers):,} / {sum(r.units for r in self.layers):,}",
            *(f"{sum(causes):,}" for causes in zip(*map(_causes, self.layers), strict=True)),
        ]
        return [_HEADER, *rows, total]

    def _summary(self) -> list[str]:
        return [
            f"nonzeros    {self.nonzeros:,} kept, {self.effective_nonzeros:,} effective, "
            f"{self.carrying_nonzeros:,} with what carries constants",
            f"sparsity    {_percent(self.sparsity)}, effective {_percent(self.effective_sparsity)} "
            f"(compression {self.compression:,.4g}, effective {self.effective_compression:,.4g})",
            f"core        {'-'.join(map(str, self.widths))} units, "
            f"{self.effective_nodes:,} effective nodes",
            f"paths       {_short(self.paths)} from an input to an output"
            if self.paths is not None
            else "paths       not defined through operations that are not known",
        ]

    def _notes(self) -> list[str]:
        """What a reader must know beside the numbers; nothing for a plain network."""
        notes: list[str] = []
        if not self.exact:
            notes.append(
                f"not exact   the worst is assumed of {', '.join(self.unknown)}: what is left out "
                "is of no effect, more may be"
            )
        if any(kind.name not in ("weights", "biases", "normalisation") for kind in self.kinds):
            parts = [f"{k.name} {k.effective:,} of {k.parameters:,}" for k in self.kinds]
            notes.append(f"effective   {', '.join(parts)} ({_percent(self.read)} read)")
        return notes


_HEADER = [
    "layer", "weights kept", "effective", "biases kept", "effective", "units on a path",
    "no input", "no output", "constant",
]  # fmt: skip


def _causes(layer: LayerReport) -> tuple[int, int, int]:
    return layer.cut_off_from_input, layer.cut_off_from_output, layer.constant


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def _percent(share: float) -> str:
    # Never rounded up to all: 99.9999 % is not everything.
    text = f"{100 * share:.2f}"
    return f"{text if share == 1 or text != '100.00' else '>99.99'} %"


def _short(number: int) -> str:
    """An integer in full, or its first digits and power of ten."""
    if number < 10**15:
        return f"{number:,}"
    # log10 of the number by its bits: longer ones than Python prints must work too.
    power = max(0, int((number.bit_length() - 1) * 0.30103) - 1)
    leading = number // 10 ** max(0, power - 20)
    digits = str(leading)
    exponent = max(0, power - 20) + len(digits) - 1
    return f"about {digits[0]}.{digits[1:4]}e{exponent}"


def _ratio(weights: int, left: int) -> float:
    return weights / left if left else float("inf")
