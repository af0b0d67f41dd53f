"""What [Sparsest Models Elude Pruning](https://arxiv.org/abs/2407.04075) reports."""

from __future__ import annotations

PAPER_COMBINATORIAL = ((30, 0.9604), (45, 0.9959))
"""Nonzeros and accuracy of the sparsest networks that its combinatorial search found from random
initialisations, at 95 % and 99.5 % (Section 4.2)."""
PAPER_COMBINATORIAL_FIXED = ((26, 0.9647), (38, 0.9970))
"""The same from the initialisation that had led to the first one, and to the second (Section 7.1
and Appendix A)."""
PAPER_SMALLEST: dict[str, tuple[int | None, int | None]] = {
    "LTH": (44, None),
    "GMP": (None, 61),
    "RigL": (52, 84),
    "SynFlow": (51, None),
    "IterSNIP": (None, 78),
}
"""Nonzeros of the smallest networks pruned from width 16 at 95 % and at 99.5 %, where the text
names them (Section 5.1)."""
PAPER_PARAMETER_SAMPLES = {
    "LTH": 3.4e9,
    "Dense": 1.5e9,
    "GMP": 5.3e8,
    "RigL": 2.1e8,
    "GraSP": 2.0e8,
    "ProsPr": 1.9e8,
    "SNIP": 1.9e8,
    "IterSNIP": 1.9e8,
    "FORCE": 1.9e8,
    "SynFlow": 1.9e8,
}
"""Table 1, "FLOPS required": width 16, 55 weights."""
