"""Does the model's structure follow the attributes that people's does? Two profiles over the attributes, compared."""

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.rdm import pair_values, stack_dim, to_square
from emonb.analysis.statistics import TIE, Estimate, draw_permutations, from_interval, permutation_p, relabelled_tau
from emonb.analysis.structure import jackknife_interval, leave_one_out
from emonb.analysis.tau import tau_b

_LARGEST = 1 - 1e-12  # correlation whose z is still a number


def compare_profiles(
    model: xr.DataArray, human: xr.DataArray, attributes: xr.DataArray, n_permutations: int, seed: int
) -> Estimate:
    """Correlate (Pearson) over the attributes how well each one's RDM agrees with the model's and with the human RDM.

    Unit: the emotion; the attributes are these ones (fixed), not a sample: they depend on each other, and permuting
    emotions keeps that. Population: for the interval, emotions of which these are a sample (jackknife of Fisher's z, as a
    correlation ends at 1; Efron & Stein 1981; t on n - 1 degrees of freedom); for p, the relabellings of these emotions.
    Exchangeability assumed: under the null the model's labels carry no information about the human RDM nor about any
    attribute (Mantel 1967). A model that follows what all attributes share departs from this null too.

    Parameters
    ----------
    model, human : DataArray, dims (pair,)
    attributes : DataArray, dims (attribute, pair)
    n_permutations, seed : int

    Returns
    -------
    Estimate
        All NaN where one of the RDMs does not vary.

    Raises
    ------
    LabelError
        RDMs of different pairs.
    """
    return relate_profiles(draw_profiles(model, human, attributes, n_permutations, seed))


def draw_profiles(
    model: xr.DataArray, human: xr.DataArray, attributes: xr.DataArray, n_permutations: int, seed: int
) -> xr.Dataset:
    """Agreement of attributes' RDMs with the model's and the human one, of which any attributes can be compared.

    Over (attribute): ``profile`` (without, side), of all emotions and without each; ``relabelled`` (permutation), of the
    model. NaN where an RDM does not vary.
    """
    x, y, rows = pair_values(model, human, attributes)
    both, n = np.stack([x, y]), len(to_square(x))
    kept = [np.ones(len(x), bool), *leave_one_out(n)]
    orders = draw_permutations(n, n_permutations, seed)
    null = relabelled_tau(x, orders, rows)
    profiles = np.stack([tau_b(both[:, some], rows[:, some]) for some in kept])
    sides = {"profile": (("without", "side", "attribute"), profiles)}
    drawn = xr.Dataset({**sides, "relabelled": (("permutation", "attribute"), null)})
    return drawn.assign_coords(attribute=attributes.attribute.values)


def relate_profiles(drawn: xr.Dataset) -> Estimate:
    """Compare profiles over the attributes that :func:`draw_profiles` gave, or some of them."""
    drawn = drawn.isel(attribute=~drawn.profile[0].isnull().all("side").values)
    profiles, null = drawn.profile.to_numpy(), drawn.relabelled.to_numpy()
    if np.isnan(profiles[0]).any() or drawn.sizes["attribute"] < 2:
        return Estimate()
    r, *without = (float(_correlate_rows(mine[None], theirs)[0]) for mine, theirs in profiles)
    z, *z_without = np.arctanh(np.clip([r, *without], -_LARGEST, _LARGEST))

    def interval(level: float) -> tuple[float, float]:
        low, high = np.tanh(jackknife_interval(z, z_without, level))
        return float(low), float(high)

    p_greater, p = permutation_p(_correlate_rows(null, profiles[0, 1]), r)
    return from_interval(r, interval, p)._replace(p_greater=p_greater)


def step_down(rdms: xr.DataArray, target: xr.DataArray, n_permutations: int, seed: int) -> pd.DataFrame:
    """Which RDMs another one follows: tau-b, emotions permuted, family-wise by min-P (Westfall & Young 1993, alg. 2.8).

    Statistics with wider null distributions would dominate a maximum; p values of each RDM's own null distribution do
    not. Unit: the emotion. Population: the relabellings of these emotions. Exchangeability assumed: under the null the
    target's labels carry no information about the RDMs tested; for a family-wise rate with some false nulls, also subset
    pivotality, that is the p values of true nulls are distributed as if all were true.

    ``rdms`` (label, pair): such as attributes'; ``target`` (pair,): a mean human RDM or a model's. Gives one row a label:
    ``tau``, ``p_greater`` and ``p_two_sided`` by itself, ``p_fwe`` (one-sided, over the labels); NaN where an RDM is
    constant.
    """
    label = stack_dim(rdms)
    names = pd.Index(rdms[label].values, name=label)
    defined = (rdms.max("pair") > rdms.min("pair")) & bool(target.max() > target.min())
    rows, y = pair_values(rdms.isel({label: np.flatnonzero(defined)}), target)
    if not len(rows):
        return pd.DataFrame(np.nan, names, ["tau", "p_greater", "p_two_sided", "p_fwe"])
    observed = tau_b(rows, y[None])[:, 0]
    null = relabelled_tau(y, draw_permutations(len(to_square(y)), n_permutations, seed), rows)
    values = np.vstack([observed, null])  # [1 + n_permutations, label]
    p = (len(values) + 1 - scipy.stats.rankdata(values.round(12), "min", axis=0)) / len(values)
    order = np.argsort(p[0], kind="stable")  # most significant first
    least = np.minimum.accumulate(p[:, order[::-1]], axis=1)[:, ::-1]  # of this RDM and those behind it
    stepwise = (least <= p[0, order] + TIE).mean(0)
    p_fwe = np.empty(len(rows))
    p_fwe[order] = np.maximum.accumulate(stepwise)
    both = [permutation_p(null[:, k], observed[k])[1] for k in range(len(rows))]
    columns = {"tau": observed, "p_greater": p[0], "p_two_sided": both, "p_fwe": p_fwe}
    return pd.DataFrame(columns, names[defined.to_numpy()]).reindex(names)


def _correlate_rows(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Pearson correlation of each row with the target; 0 where a row is constant."""
    rows, target = rows - rows.mean(1, keepdims=True), target - target.mean()
    size = np.linalg.norm(rows, axis=1) * np.linalg.norm(target)
    return np.divide(rows @ target, size, out=np.zeros(len(rows)), where=size > 0)
