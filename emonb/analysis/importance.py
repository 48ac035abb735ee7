"""How much attributes matter to people, beside what it would be if raters and judges made no errors."""

import pandas as pd
import xarray as xr

from emonb.analysis.people import assess_reliability, disattenuate
from emonb.analysis.structure import mean_reliability

SPLITS = 200  # random halves of the judges, as everywhere in the book


def correct_importance(importance: xr.DataArray, people: xr.Dataset, seed: int) -> pd.DataFrame:
    """Importance of attributes corrected for the noise of their raters and of the judges.

    See :func:`emonb.analysis.people.disattenuate` for what the correction assumes. In simulations at an ICC of .6 it
    overshoots by about a tenth where the true importance is .5 and a fifth where it is .25 (``tests/test_people.py``).

    Parameters
    ----------
    importance : DataArray, dims (attribute,)
        Rank correlation of each attribute's RDM with the judges' mean RDM.
    people : Dataset
        ``rating`` (rater, emotion, attribute) and ``judgment`` (judge, pair) of
        :func:`emonb.data.ratings.read_ratings`.
    seed : int
        Of the random halves of judges.

    Returns
    -------
    DataFrame
        One row an attribute: ``importance``, ``icc``, ``corrected``; ``low`` and ``high``, corrected at the upper and the
        lower end of the ICC's 95 % interval. NaN where an ICC is not above 0.
    """
    reliability = assess_reliability(people.rating).loc[importance.attribute.values]
    judges = mean_reliability(people.judgment, SPLITS, seed)
    table = pd.DataFrame({"importance": importance.to_series(), "icc": reliability["icc"]})
    for name, column in {"corrected": "icc", "low": "high", "high": "low"}.items():
        table[name] = disattenuate(importance, reliability[column].to_xarray(), judges).to_series()
    return table.rename_axis("attribute")
