"""The error of everything that keeps a run."""


class StoreError(RuntimeError):
    """A kept run cannot be read, written or continued; the message says why and what to do."""
