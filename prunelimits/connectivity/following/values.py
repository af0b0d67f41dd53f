"""What passes through a graph that torch made."""

from __future__ import annotations

from typing import Any, TypeAlias

Argument: TypeAlias = Any
"""Whatever a model is called with, passes to an operation or gives: torch leaves it open."""
