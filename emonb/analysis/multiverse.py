"""Specification curve: a claim's effect under every defensible choice, sorted, with the share that passes.

Simonsohn, Simmons & Nelson (2020, Nat Hum Behav 4:1208); also called a multiverse analysis (Steegen et al. 2016).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd

from emonb.analysis.estimates import Estimate


def specify(
    choices: Mapping[str, Sequence[Any]], analyse: Callable[..., Estimate | None], passes: Callable[[Estimate], bool]
) -> pd.DataFrame:
    """Run one analysis under every combination of choices.

    A specification is no sample: nothing is inferred from how many pass, and they are far from independent. Unit of
    inference, population and assumptions are those of ``analyse`` under each choice.

    Parameters
    ----------
    choices : mapping of str to sequence
        The options of every choice, by name.
    analyse : function
        Called with one option of every choice by name; None where these options make no sense together.
    passes : function
        Whether an estimate would stand as a claim.

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
    >>> curve = specify(choices, lambda sign, error: from_t(sign, error, 20), lambda e: e.low > 0)
    >>> curve[["sign", "error", "passes"]].values.tolist()
    [[-1, 1.0, False], [-1, 0.25, False], [1, 1.0, False], [1, 0.25, True]]
    """
    rows = []
    for options in product(*choices.values()):
        chosen = dict(zip(choices, options, strict=True))
        effect = analyse(**chosen)
        if effect is not None:
            rows.append({**chosen, **effect._asdict(), "passes": bool(passes(effect))})
    if not rows:
        raise ValueError(f"no combination of {', '.join(choices)} makes sense together")
    return pd.DataFrame(rows).sort_values("value", kind="stable", ignore_index=True)


def share_by_option(curves: pd.DataFrame, choices: Sequence[str], by: str) -> pd.DataFrame:
    """Share that passes under every option of every choice, one column a claim.

    Parameters
    ----------
    curves : DataFrame
        From :func:`specify`, several below each other; "" where a claim has no such choice.
    choices : sequence of str
    by : str
        Column that tells them apart.

    Returns
    -------
    DataFrame
        Index "choice: option", numbers first; NaN where a claim has no such option.
    """
    parts = []
    for name in choices:
        mine = curves[curves[name] != ""]
        part = mine.groupby([name, by], sort=False)["passes"].mean().unstack()
        part = part.loc[sorted(part.index, key=lambda option: (not str(option).isdigit(), len(str(option)), str(option)))]
        parts.append(part.set_axis([f"{name}: {option}" for option in part.index]))
    return pd.concat(parts)
