"""Keeping a run that goes on later."""

from __future__ import annotations


class StoreError(RuntimeError):
    """A store cannot be read, written or continued; the message says why and what to do."""
