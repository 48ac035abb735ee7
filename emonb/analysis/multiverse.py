"""Specification curve: a claim's effect under every defensible choice, sorted, with the share that passes.

Simonsohn, Simmons & Nelson (2020, Nat Hum Behav 4:1208); also called a multiverse analysis (Steegen et al. 2016).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from emonb.analysis.estimates import Estimate

Plan = tuple[Mapping[str, Sequence[Any]], Callable[..., Estimate | None]]
"""The options of every choice of a claim, and its analysis under one option of each."""
EVERY, ALPHA = "all", 0.05


def specify(choices: Mapping[str, Sequence[Any]], analyse: Callable[..., Estimate | None]) -> pd.DataFrame:
    """Run one analysis under every combination of choices.

    A specification passes where its two-sided p is below .05 and its 95 % interval above zero, as the rule for verdicts
    has it. It is no sample: nothing is inferred from how many pass, and they are far from independent. Unit of
    inference, population and assumptions are those of ``analyse`` under each choice.

    Parameters
    ----------
    choices : mapping of str to sequence
        The options of every choice, by name.
    analyse : function
        Called with one option of every choice by name; None where these options make no sense together.

    Returns
    -------
    DataFrame
        One row a specification, by ascending ``value``: the options, the fields of
        :class:`~emonb.analysis.estimates.Estimate`, ``passes``.

    Raises
    ------
    ValueError
        No combination makes sense.

    >>> from emonb.analysis.estimates import from_t
    >>> choices = {"sign": [1, -1], "error": [1.0, 0.25]}
    >>> curve = specify(choices, lambda sign, error: from_t(sign, error, 20))
    >>> curve[["sign", "error", "passes"]].values.tolist()
    [[-1, 1.0, False], [-1, 0.25, False], [1, 1.0, False], [1, 0.25, True]]
    """
    rows = []
    for options in product(*choices.values()):
        chosen = dict(zip(choices, options, strict=True))
        effect = analyse(**chosen)
        if effect is not None:
            rows.append({**chosen, **effect._asdict(), "passes": effect.p < ALPHA and effect.low > 0})
    if not rows:
        raise ValueError(f"no combination of {', '.join(choices)} makes sense together")
    return pd.DataFrame(rows).sort_values("value", kind="stable", ignore_index=True)


def thirds(layers: Sequence[int]) -> dict[str, np.ndarray]:
    """All layers, and the lower, middle and upper ones where there are at least three.

    >>> {name: some.tolist() for name, some in thirds([1, 2, 3, 4]).items()}
    {'all': [1, 2, 3, 4], 'lower': [1, 2], 'middle': [3], 'upper': [4]}
    """
    parts = np.array_split(np.asarray(layers), 3) if len(layers) > 2 else []
    return {EVERY: np.asarray(layers), **dict(zip(("lower", "middle", "upper"), parts, strict=False))}


def known(effect: Estimate) -> Estimate | None:
    """The estimate, if it has an interval and a p."""
    return effect if np.isfinite([effect.value, effect.low, effect.high, effect.p]).all() else None


def named(choices: Mapping[str, Any], analyse: Callable[..., Estimate | None]) -> Plan:
    """Choices with their names in the table: ``seeds_`` is ``seeds``, which a function has another use for."""
    of = {name.rstrip("_"): name for name in choices}
    return {name: list(choices[of[name]]) for name in of}, lambda **chosen: analyse(**{of[k]: v for k, v in chosen.items()})
