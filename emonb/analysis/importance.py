"""Does an attribute's loss grow with its importance to people? Correlation over attributes, tested in two ways.

The loss under the selective masks is taken as it is: subtracting one random mask a cell adds that mask's noise. The
subtracted one (*drop*) is given beside it.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.lesions import ALL
from emonb.analysis.people import assess_reliability, disattenuate
from emonb.analysis.rdm import pair_index, pair_values, to_square, varies
from emonb.analysis.statistics import bayes_r, correlate, draw_permutations, from_r, permutation_p, relabelled_tau
from emonb.analysis.structure import mean_reliability

SPLITS = 200  # random halves of the judges, as everywhere in the book


def correct_importance(importance: xr.DataArray, people: xr.Dataset, seed: int) -> pd.DataFrame:
    """Importance of attributes corrected for the noise of their raters and of the judges.

    See :func:`emonb.analysis.people.disattenuate` for what the correction assumes. In simulations at an ICC of .6 it
    overshoots by about a tenth where the true importance is .5 and a fifth where it is .25 (``test_people.py``).

    ``importance`` (attribute,): rank correlation of each attribute's RDM with the judges' mean RDM; ``people``: ``rating``
    (rater, emotion, attribute) and ``judgment`` (judge, pair) of :func:`emonb.data.people.read_ratings`; ``seed``: of the
    random halves of judges.

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


def draw_importance(attribute_rdm: xr.DataArray, human: xr.DataArray, n_permutations: int, seed: int) -> xr.DataArray:
    """Importance of every attribute to people whose emotions are permuted; first row: not permuted.

    Importance is Kendall's tau-b of the attribute's RDM with the mean human RDM (Li et al., Methods). Relabelling the
    emotions of the human RDM keeps how the attributes depend on each other.

    ``attribute_rdm`` (attribute, pair); ``human`` (pair,). Gives (draw, attribute).
    """
    rdms, target = pair_values(attribute_rdm.transpose("attribute", "pair"), human)
    n_items = len(to_square(target))
    orders = np.vstack([np.arange(n_items), draw_permutations(n_items, n_permutations, seed)])
    return xr.DataArray(
        relabelled_tau(target, orders, rdms), {"attribute": attribute_rdm.attribute.values}, ("draw", "attribute")
    )


def loss_test(loss: xr.DataArray, drawn: xr.DataArray, seed: int) -> pd.DataFrame:
    """Pearson r over attributes of loss and importance at every N, and of the loss averaged over N.

    *Attributes permuted* (``p``, ``p_greater``). Unit of inference: the attribute. Population: attributes like these.
    Fixed: emotions, seeds, judges. Exchangeability assumed: attributes, which near duplicates (valence and happy-face)
    are not.

    *Emotions permuted* (``p_emotions``, ``p_emotions_greater``). Unit: the emotion. Population: emotions like these,
    and with them people's structure. Fixed: attributes with their masks and losses. Exchangeability assumed: emotions'
    labels in human judgment; how attributes depend on each other is kept.

    Parameters
    ----------
    loss : DataArray, dims (attribute, size)
        Averaged over emotions and seeds; a constant, such as accuracy without a mask, drops out.
    drawn : DataArray, dims (draw, attribute)
        Importance, and under it as it is with permuted emotions (:func:`draw_importance`). As many permutations of the
        attributes; at least as extreme ones count as (b + 1) / (n + 1).
    seed : int

    Returns
    -------
    DataFrame
        One row an N and one for all: ``value`` (r) with Fisher z intervals, p two-sided and ``p_greater`` as
        :class:`~emonb.analysis.statistics.Estimate` names them; ``p_emotions``, ``p_emotions_greater``; ``bf``,
        ``bf_greater`` (:func:`~emonb.analysis.statistics.bayes_r`). NaN where all losses are equal.
    """
    names = loss.attribute.values
    importance = drawn.sel(attribute=names).transpose("draw", "attribute").to_numpy()
    orders = draw_permutations(len(names), len(importance) - 1, seed)
    shuffled = importance[0][np.vstack([np.arange(len(names)), orders])]
    rows = {}
    for name in [*loss["size"].values.tolist(), ALL]:
        values = (loss.mean("size") if name == ALL else loss.sel(size=name)).values
        p, p_greater = _permuted(values, shuffled)
        p_emotions, p_emotions_greater = _permuted(values, importance)
        r = _correlate(values, importance[:1])[0]
        evidence = bayes_r(r, len(names)), bayes_r(r, len(names), "greater")
        effect = from_r(r, len(names))._replace(p=p, p_greater=p_greater)
        rows[name] = (*effect, p_emotions, p_emotions_greater, *evidence)
    columns = [*effect._fields, "p_emotions", "p_emotions_greater", "bf", "bf_greater"]
    return pd.DataFrame(rows.values(), pd.Index(list(rows), name="N"), columns)


def leave_out(loss: xr.DataArray, importance: xr.DataArray, names: Sequence[str]) -> pd.Series:
    """Pearson r over attributes of loss and importance at every N and over all, without these attributes.

    Unit: the attribute; a description, not a test.

    ``loss`` (attribute, size); ``importance`` (attribute,); ``names``: near duplicates, say, on which r may rest.
    """
    kept = [name for name in loss.attribute.values if name not in names]
    loss, importance = loss.sel(attribute=kept), importance.sel(attribute=kept)
    over_sizes = correlate(loss, importance).to_series()
    return pd.Series(
        [*over_sizes, float(correlate(loss.mean("size"), importance))], pd.Index([*over_sizes.index, ALL], name="N")
    )


def find_duplicates(level: xr.DataArray) -> list[tuple[str, str, float]]:
    """Pairs of attributes whose scores (attribute, emotion) correlate by more than .9 in size, the closest first."""
    with np.errstate(invalid="ignore"):  # an attribute that is the same for every emotion resembles none
        r = np.corrcoef(level.transpose("attribute", "emotion").to_numpy())
    names = level.attribute.values.astype(str)
    pairs = [(str(names[i]), str(names[j]), float(r[i, j])) for i, j in zip(*pair_index(len(names)), strict=True)]
    return sorted((pair for pair in pairs if abs(pair[2]) > 0.9), key=lambda pair: -abs(pair[2]))


def name_subsets(score: xr.DataArray) -> dict[str, list[str]]:
    """All attributes, and all but the two whose scores (attribute, emotion) are most alike, where there are such."""
    names, alike = [str(name) for name in score.attribute.values], next(iter(find_duplicates(score)), None)
    without = {f"without {alike[0]}, {alike[1]}": [name for name in names if name not in alike[:2]]} if alike else {}
    return {"all": names} | without


def _correlate(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Pearson r of values with each row; NaN where one of both is constant."""
    a, b = values - values.mean(), rows - rows.mean(1, keepdims=True)
    a = a if varies(values) else np.zeros_like(a)
    norm = np.linalg.norm(a) * np.linalg.norm(b, axis=1)
    return np.divide(b @ a, norm, out=np.full(len(rows), np.nan), where=norm > 1e-12)


def _permuted(values: np.ndarray, importance: np.ndarray) -> tuple[float, float]:
    """Two-sided and one-sided (greater) p of the first row's correlation among the other rows'."""
    r = _correlate(values, importance)
    p_greater, p = (np.nan, np.nan) if np.isnan(r[0]) else permutation_p(r[1:], r[0])
    return p, p_greater
