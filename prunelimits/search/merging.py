"""Stores that parts of a search left, joined."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from prunelimits.arguments import checked_kept_file
from prunelimits.resuming import check_same
from prunelimits.resuming.portion import checked_kept
from prunelimits.search.description import unfolded
from prunelimits.search.store import Store


def merge_stores(parts: Iterable[str | os.PathLike[str]], store: str | os.PathLike[str]) -> None:
    """Joins what the parts of a search found, in one store, where the search may go on.

    What is in several of them, such as phase one, is taken once. If one part is refused, the store
    gets none of them.

    Args:
        parts: Stores of the same search.
        store: Where to; it is made, or holds a part of the same search and is added to.

    Raises:
        StoreError: If one is damaged, missing or of another search, holds another result of the
            same shard, or another process is writing to `store`.
        ValueError: If `parts` is empty.
    """
    paths = checked_kept(parts)
    store = checked_kept_file("store", store)
    # Told by the part that is of another search, before a store is made.
    first: dict[str, str] = {}
    for path in paths:
        with Store(path, write=False) as part:
            described = unfolded(part.description())
        first = first or described
        check_same(path, described, first, "search")
    with Store(store, write=True) as whole:
        whole.absorb(_opened(paths))


def _opened(paths: Iterable[Path]) -> Iterator[Store]:
    for path in paths:
        with Store(path, write=False) as store:
            yield store
