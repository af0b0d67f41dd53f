import numpy as np

from prunelimits.arguments import shown


def test_a_long_value_is_told_by_its_kind():
    assert shown(list(range(100))) == "a list"
    assert shown(np.ones(3)) == "an array (3,) of float64"
    assert shown("ab") == "'ab'"
