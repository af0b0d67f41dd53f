"""What the benchmarks need to take networks from other libraries, none of them downloaded."""

from __future__ import annotations

import importlib.util
import sys

import torch


def without_its_operations() -> None:
    """Makes torchvision importable where its compiled part does not fit the installed torch.

    Its classifiers are plain modules; only what detects objects calls operations of its own, two of
    which its Python code asks for by name as it is imported.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        _KEPT.append(torch.library.Library("torchvision", "DEF"))
        for name in ("nms", "qnms"):
            _KEPT[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    del torchvision


# A library's definitions go with it.
_KEPT: list[torch.library.Library] = []
