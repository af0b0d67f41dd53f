"""Which arrays of a file of NumPy are the inputs, and which the labels."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

from prunelimits.cli.tables import ColumnChoice

# Names under which arrays of an .npz file are taken, in this order.
_PAIRS = (("x", "y"), ("x_train", "y_train"), ("data", "target"), ("inputs", "labels"))


class FileTable(NamedTuple):
    """What a file holds, before labels are numbered."""

    x: NDArray[Any]
    y: NDArray[Any]


def only_for_archives(input_array: str | None) -> None:
    """Raises if an option about .npz files is given for another.

    Raises:
        ValueError: Naming the option.
    """
    if input_array is not None:
        raise ValueError(f"--input-array is for .npz files, got {input_array!r}")


def inputs_and_labels(
    arrays: dict[str, NDArray[Any]], choice: ColumnChoice, input_array: str | None
) -> FileTable:
    """Which array is x and which y, with the columns that are left of x.

    Args:
        arrays: By their names; one alone without a name is a matrix with the labels last.
        choice: Which columns or array hold the labels, and which columns are left out.
        input_array: The name of the inputs, or None.

    Raises:
        ValueError: If that cannot be told, or they do not fit each other.
    """
    if list(arrays) == [""]:
        only_for_archives(input_array)
        (matrix,) = arrays.values()
        if matrix.ndim != 2 or matrix.shape[1] < 2:
            raise ValueError(
                f"must hold a matrix with the labels in its last column, got {matrix.shape}"
            )
        at, inputs = choice.places([str(n + 1) for n in range(matrix.shape[1])])
        return FileTable(matrix[:, inputs], matrix[:, at])
    x, y = _two_arrays(arrays, choice.label, input_array)
    if not choice.drop:
        return FileTable(x, y)
    # The labels are in an array of their own.
    columns = ColumnChoice(None, choice.drop)
    _, left = columns.places([*(str(n + 1) for n in range(x.shape[1])), "labels"])
    return FileTable(x[:, left], y)


def _two_arrays(
    arrays: dict[str, NDArray[Any]], label: str | None, input_array: str | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
    for flag, name in (("--label", label), ("--input-array", input_array)):
        if name is not None and name not in arrays:
            raise ValueError(f"{flag} must name an array of the file, {shapes}, got {name!r}")
    # A name as it stands comes before one that is another beside its case.
    folded = {name.lower(): array for name, array in arrays.items()} | arrays
    pair = next((p for p in _PAIRS if all(name in folded for name in p)), None)
    several = [a for n, a in arrays.items() if a.ndim >= 2 and a.shape[1] > 1 and n != label]
    single = [a for n, a in arrays.items() if a.ndim >= 1 and _is_column(a) and n != input_array]
    if pair is not None and label is None and input_array is None:
        several, single = [folded[pair[0]]], [folded[pair[1]]]
    if input_array is not None:
        several = [arrays[input_array]]
    elif pair is not None and label is not None and folded[pair[0]] is not arrays[label]:
        several = [folded[pair[0]]]
    if label is not None:
        single = [arrays[label]]
    elif pair is not None and input_array is not None:
        single = [folded[pair[1]]]
    if len(several) != 1 or len(single) != 1:
        raise ValueError(
            f"must hold arrays x (samples, inputs) and y (samples), got {shapes}: "
            "--input-array and --label tell which they are"
        )
    (x,), (y,) = several, single
    if x.ndim < 2 or not _is_column(y) or len(x) != len(y):
        raise ValueError(
            f"must hold as many rows of inputs as labels: x (samples, inputs) and y (samples), "
            f"got {shapes}"
        )
    return x, y.reshape(len(y))


def _is_column(array: NDArray[Any]) -> bool:
    return array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)
