"""Representational similarity analysis: comparing RDMs, the noise ceiling, and how reliable a representation is."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from emonb.analysis.correlation import correlate_rows, mean_of_defined, standard_ranks
from emonb.analysis.estimates import Estimate
from emonb.analysis.inference import mantel_test, parametric_tau_p
from emonb.analysis.kendall import tau_b
from emonb.analysis.rdm import Rdm, order_emotions, pair_index, pair_values, pattern_rdm, to_square
from emonb.analysis.resampling import resample_factors
from emonb.analysis.ties import varies


def compare(a: Rdm, b: Rdm, measure: str = "tau") -> float:
    """Compare two RDM vectors.

    Parameters
    ----------
    a, b : array or DataArray, shape (n_pairs,)
    measure : {'tau', 'rho'}
        Kendall's tau-b or Spearman's rho.

    Returns
    -------
    float
        The descriptive statistic only; its p value needs :mod:`emonb.analysis.inference`, because RDM entries share items.
        NaN where an RDM does not vary.

    >>> round(compare([1.0, 2.0, 3.0], [10.0, 30.0, 20.0], "rho"), 9)
    0.5
    """
    a, b = pair_values(a, b)
    return float(correlate_rows(a[None], b, measure)[0])


def compare_rdms(rdms: xr.DataArray, human: xr.DataArray) -> xr.Dataset:
    """Compare every RDM of a labelled stack [..., pair] with one human RDM (pair), by tau-b and Spearman.

    Returns
    -------
    Dataset
        ``tau`` and ``rho`` over the other dimensions of ``rdms``.
    """
    rows, target = pair_values(rdms, human)
    flat = rows.reshape(-1, rows.shape[-1])
    return xr.Dataset({name: _like(rdms, correlate_rows(flat, target, name)) for name in ("tau", "rho")})


def compare_all(rdms: xr.DataArray) -> xr.DataArray:
    """Kendall tau-b between every two RDMs of a stack (label, pair); dims (label, other)."""
    label = next(str(dim) for dim in rdms.dims if dim != "pair")
    values = rdms.transpose(label, "pair").to_numpy()
    names = rdms[label].values
    return xr.DataArray(tau_b(values, values), dims=(label, "other"), coords={label: names, "other": names})


def test_fit(rdms: xr.DataArray, human: xr.DataArray, permutations: int, seed: int) -> pd.DataFrame:
    """Kendall tau-b of RDMs with the human one, tested by permuting emotions.

    Parameters
    ----------
    rdms : DataArray, dims (label, pair)
        RDMs tested together.
    human : DataArray, dims (pair,)
    permutations, seed : int

    Returns
    -------
    DataFrame
        One row a label: ``tau``; ``mantel_p`` (one-sided, unit: the emotion); ``p_fwe``, the same corrected over the rows
        by the largest tau-b of each permutation; ``parametric_p``, as if pairs of emotions were independent. All are NaN
        where an RDM is constant.
    """
    rows, target = pair_values(rdms, human)
    test = mantel_test(rows, target, permutations, seed)
    label = next(str(dim) for dim in rdms.dims if dim != "pair")
    columns = {
        "tau": test.statistic,
        "mantel_p": test.p,
        "p_fwe": test.p_fwe,
        "parametric_p": parametric_tau_p(test.statistic, rows, target[None]),
    }
    table = pd.DataFrame({name: c[:, 0] for name, c in columns.items()}, index=pd.Index(rdms[label].values, name=label))
    return table.where(table["tau"].notna())


def noise_ceiling(judgments: Rdm) -> tuple[float, float]:
    """Noise ceiling of a human RDM (Nili et al. 2014, PLoS Comput Biol 10:e1003553), Spearman.

    Parameters
    ----------
    judgments : array or DataArray, shape (n_judges, n_pairs)
        NaN where missing: each judge is compared over the pairs that this judge judged.

    Returns
    -------
    lower, upper : float
        Mean correlation of each judge with the mean of the *other* judges, and with the mean of all. Judges who gave the
        same judgment throughout have none and are left out (:func:`emonb.analysis.people.constant_judges`).
    """
    (judgments,) = pair_values(judgments)
    if judgments.ndim != 2 or len(judgments) < 2:
        raise ValueError(f"a noise ceiling needs at least two judges [n_judges, n_pairs], got shape {judgments.shape}")
    total, n = np.nansum(judgments, 0), (~np.isnan(judgments)).sum(0)
    lower = [compare(judge, (total - judge) / (n - 1), "rho") for judge in judgments]
    return mean_of_defined(lower), mean_of_defined(correlate_rows(judgments, total / n, "rho"))


def fit_judges(rdms: xr.DataArray, judgments: Rdm) -> xr.DataArray:
    """Mean Spearman of model RDMs [..., pair] with *single* judges: the scale on which the noise ceiling is defined.

    A correlation with the mean of all judges is higher, because averaging removes the judges' noise; it must not be read
    against the ceiling.

    Parameters
    ----------
    rdms : DataArray, dims (..., pair)
    judgments : array or DataArray, shape (n_judges, n_pairs)
        NaN where missing.

    Returns
    -------
    DataArray
        Over the other dimensions of ``rdms``. Judges who gave the same judgment throughout are left out.
    """
    rows, judges = pair_values(rdms, judgments)
    flat, judges = rows.reshape(-1, rows.shape[-1]), judges[[varies(judge) for judge in judges]]
    if np.isnan(judges).any() or not len(judges):
        return _like(rdms, np.array([mean_of_defined(correlate_rows(judges, row, "rho")) for row in flat]))
    return _like(rdms, (standard_ranks(flat) @ standard_ranks(judges).T).mean(1) / flat.shape[1])


def mean_reliability(judgments: Rdm, n_splits: int, seed: int) -> float:
    """Reliability of the judges' mean RDM: split-half Spearman, stepped up (Spearman 1910; Brown 1910), mean of splits.

    It is the share of the mean RDM's (rank) variance that is not noise of the judges. Splits in which a half does not
    vary say nothing and are left out; NaN where all are.
    """
    rng = np.random.default_rng(seed)
    (judgments,) = pair_values(judgments)
    values = []
    for _ in range(n_splits):
        order = rng.permutation(len(judgments))
        half = len(order) // 2
        halves = judgments[order[: 2 * half]].reshape(2, half, -1)
        halves = halves[..., ~np.isnan(halves).all(1).any(0)]  # pairs that both halves judged
        first, second = np.nanmean(halves, 1)
        r = compare(first, second, "rho")
        values.append(2 * r / (1 + r) if r > -1 else np.nan)
    return mean_of_defined(values)


class Interval(NamedTuple):
    """An estimate with its percentile interval over the draws in which it is defined."""

    value: float
    low: float
    high: float
    draws: int
    """Draws that count; with few emotions, some have too few different ones for a correlation."""


def bootstrap_fit(
    models: Rdm,
    judgments: Rdm,
    n_bootstraps: int,
    seed: int,
    over: str = "both",
    measure: str = "rho",
    width: float = 0.95,
) -> dict[str, list[Interval]]:
    """Bootstrap the fit of model RDMs with the mean human RDM.

    Emotions are drawn with replacement; pairs of an emotion with itself are left out (as in rsatoolbox). Every draw
    serves all models and the ceiling, so differences between models are paired.

    Exchangeability assumed: the emotions (judges) are independent draws from a population of emotions (judges).

    Parameters
    ----------
    models : array or DataArray, shape (n_models, n_pairs)
    judgments : array or DataArray, shape (n_judges, n_pairs)
        NaN where missing.
    n_bootstraps, seed : int
    over : {'emotions', 'judges', 'both'}
    measure : {'rho', 'tau'}
    width : float
        Of the intervals.

    Returns
    -------
    dict
        ``fit``: one :class:`Interval` a model. ``difference``: first model minus each model. ``ceiling``: upper
        noise ceiling (mean judge against the mean of all; Spearman).
    """
    if over not in ("emotions", "judges", "both"):
        raise ValueError(f"over must be 'emotions', 'judges' or 'both', got '{over}'")
    rng = np.random.default_rng(seed)
    models, judgments = (np.atleast_2d(rows) for rows in pair_values(models, judgments))
    squares, judge_squares = to_square(models), to_square(judgments)
    n, n_judges = squares.shape[-1], len(judgments)
    first, second = pair_index(n)
    fits, ceilings = np.empty((n_bootstraps, len(models))), np.empty(n_bootstraps)
    for b in range(n_bootstraps):
        emotions = np.array(rng.integers(n, size=n) if over != "judges" else range(n))
        judges = np.array(rng.integers(n_judges, size=n_judges) if over != "emotions" else range(n_judges))
        i, j = emotions[first], emotions[second]
        i, j = i[i != j], j[i != j]
        human = judge_squares[judges][:, i, j]
        judged = ~np.isnan(human).all(0)  # by any judge of this draw
        human, mean = human[:, judged], np.nanmean(human[:, judged], 0)
        fits[b] = correlate_rows(squares[:, i[judged], j[judged]], mean, measure)
        ceilings[b] = mean_of_defined(correlate_rows(human, mean, "rho"))
    observed = correlate_rows(models, np.nanmean(judgments, 0), measure)
    upper = mean_of_defined(correlate_rows(judgments, np.nanmean(judgments, 0), "rho"))

    def interval(value: float, draws: np.ndarray) -> Interval:
        valid = draws[np.isfinite(draws)]
        low, high = np.quantile(valid, [(1 - width) / 2, (1 + width) / 2]) if len(valid) > 1 else (np.nan, np.nan)
        return Interval(float(value), float(low), float(high), len(valid))

    return {
        "fit": [interval(observed[k], fits[:, k]) for k in range(len(models))],
        "difference": [interval(observed[0] - observed[k], fits[:, 0] - fits[:, k]) for k in range(len(models))],
        "ceiling": [interval(upper, ceilings)],
    }


class Gain(NamedTuple):
    """By how much a trained network fits people better than an untrained one."""

    seeds: int
    """Seeds whose activations each RDM averages, the same number for both networks."""
    trained: float
    """Fit of the trained network, mean over sets of seeds."""
    untrained: float
    gain: Estimate


def compare_networks(
    trained: xr.DataArray,
    other: xr.DataArray,
    judgments: xr.DataArray,
    distance: str,
    n_bootstraps: int,
    seed: int,
    n_sets: int = 20,
) -> Gain:
    """Compare the fits with people of a trained and an untrained network, both read with equally many seeds.

    The more seeds an RDM averages the better it fits, whatever the network; the one that was read with more seeds is
    therefore averaged over as many as the other has, and its fit is the mean over sets of seeds drawn by lot.

    Units: the emotion, the judge; interval and p for others of both, every draw serving both networks
    (:func:`emonb.analysis.resampling.resample_factors`). The seeds are kept.

    Parameters
    ----------
    trained, other : DataArray, dims (seed, emotion, layer, neuron)
        Activations.
    judgments : DataArray, dims (judge, pair)
    distance : {'correlation', 'euclidean'}
    n_bootstraps, seed : int
        The seed draws the sets too.
    n_sets : int
        Of seeds.
    """
    n = min(trained.sizes["seed"], other.sizes["seed"])
    rng = np.random.default_rng(seed)
    one, two = (seed_rdms(network, judgments, distance, n, n_sets, rng) for network in (trained, other))
    human = judgments.mean("judge")
    mine, others = (float(np.mean(correlate_rows(rdms, human.values, "rho"))) for rdms in (one, two))
    return Gain(n, mine, others, resample_factors(one, judgments.values, n_bootstraps, seed, minus=two)["both"])


def seed_rdms(
    activations: xr.DataArray, human: xr.DataArray, distance: str, n_seeds: int, n_sets: int, rng: np.random.Generator
) -> np.ndarray:
    """RDMs [set, pair] of activations averaged over sets of ``n_seeds`` seeds drawn by lot; one where these are all."""
    ordered = order_emotions(activations, human).transpose("seed", "emotion", "layer", "neuron").values
    every = len(ordered) == n_seeds
    sets = [rng.permutation(len(ordered))[:n_seeds] for _ in range(1 if every else n_sets)]
    means = (ordered[np.sort(some)].mean(0, dtype=np.float64) for some in sets)
    return np.array([pattern_rdm(mean.reshape(len(mean), -1), distance) for mean in means])


def _like(rdms: xr.DataArray, values: np.ndarray) -> xr.DataArray:
    """One value an RDM, labelled as the RDMs [..., pair] are."""
    others = rdms.transpose(..., "pair").isel(pair=0, drop=True)
    return others.copy(data=values.reshape(others.shape)).rename(None)
