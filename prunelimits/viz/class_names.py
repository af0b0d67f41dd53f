"""What classes are called in figures, on pages and in tables."""

from __future__ import annotations

from collections.abc import Sequence

from prunelimits.arguments import checked_items

_LONGEST = 40


def checked_classes(classes: Sequence[str] | None, count: int) -> tuple[str, ...] | None:
    """The names of classes 0, 1, ..., if they are texts and no more than there are classes.

    Raises:
        TypeError: If they are no texts.
        ValueError: If they are more than `count`.
    """
    if classes is None:
        return None
    names = tuple(checked_items("classes", classes, str))
    if len(names) > count:
        raise ValueError(f"classes must name at most {count} classes, got {len(names)} names")
    return names


def class_labels(classes: Sequence[str] | None, count: int) -> list[str]:
    r"""What each of `count` classes is called where there is room for a few words.

    That is its name, in one line of at most 40 characters, or its number where it has none. Where
    two would look the same, all have their numbers in front. The page that trains does likewise
    with a table that is dropped on it.

    Examples:
        >>> class_labels(("setosa", "versi\ncolor"), 3)
        ['setosa', 'versi color', 'class 2']
        >>> class_labels(("a", "a "), 2)
        ['0: a', '1: a']
    """
    names = [*(classes or ())][:count]
    labels = [_line(name) or f"class {n}" for n, name in enumerate(names)]
    labels += [f"class {n}" for n in range(len(labels), count)]
    if len(set(labels)) < count:
        return [f"{n}: {label}" for n, label in enumerate(labels)]
    return labels


def _line(name: str) -> str:
    """A name without line breaks and control characters, which would change what stands around."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    line = " ".join(printable.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
