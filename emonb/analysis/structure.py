"""Structure: whether emotions lie among each other in neuron space as in people's judgments.

Representational similarity analysis: the fit of two RDMs with its interval and both p, within groups of emotions too; the
noise ceiling; RDMs without the pattern that all emotions share (centred) and without noise (cross-validated over seeds).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis import statistics
from emonb.analysis.rdm import (
    Rdm,
    order_emotions,
    pair_coords,
    pair_index,
    pair_labels,
    pair_values,
    pattern_rdm,
    stack_dim,
    to_square,
    varies,
)
from emonb.analysis.statistics import (
    Estimate,
    correlate_rows,
    draw_fits,
    draw_permutations,
    mantel_test,
    mean_of_defined,
    parametric_tau_p,
    permutation_p,
    permute_rdm,
    resample_factors,
    standard_ranks,
    step_up,
)
from emonb.analysis.tau import tau_b
from emonb.errors import LabelError


def fit_rdms(model: Rdm, human: Rdm, n_permutations: int, seed: int) -> Estimate:
    """Spearman correlation of two RDMs, by permuting emotions, with a jackknife interval.

    Unit: the emotion. Population of the interval: emotions of which these are a sample; of the p values: none, they
    speak of the relabellings of these emotions (Mantel 1967, Cancer Res 27:209). Exchangeability assumed: under the null
    the model's labels carry no information about the human RDM, so that every relabelling is equally likely. The
    jackknife leaves out one emotion with all its pairs and takes t on n - 1 degrees of freedom (Efron & Stein 1981, Ann
    Stat 9:586); it assumes no exchangeability.

    Parameters
    ----------
    model, human : array or DataArray, shape (n_pairs,)
    n_permutations, seed : int

    Returns
    -------
    Estimate
        Without a 90 % interval. All NaN where a side does not vary, or is not defined for every pair.
    """
    x, y = pair_values(model, human)
    n = len(to_square(x))
    rho = rank_correlation(x, y)
    if np.isnan([rho, *x, *y]).any():
        return Estimate()
    without = [rank_correlation(x[kept], y[kept]) for kept in leave_one_out(n)]
    low, high = (float(end) for end in np.clip(jackknife_interval(rho, without), -1, 1))  # a correlation ends there
    ranks = scipy.stats.zscore(scipy.stats.rankdata(x))
    target = scipy.stats.zscore(scipy.stats.rankdata(y)) / len(y)
    null = permute_rdm(ranks, draw_permutations(n, n_permutations, seed)) @ target
    p_greater, p = permutation_p(null, rho)
    return Estimate(rho, low, high, p=p, p_greater=p_greater)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman correlation of two vectors where the first is defined; NaN where one of them does not vary there."""
    return float(correlate_rows(x[None], y, "rho")[0])


def leave_one_out(n: int) -> list[np.ndarray]:
    """For each of n emotions, the pairs [n_pairs] that are left without it."""
    i, j = pair_index(n)
    return [(i != k) & (j != k) for k in range(n)]


def jackknife_interval(value: float, without: list[float], level: float = 0.95) -> tuple[float, float]:
    """Interval of an estimate from its values without each unit: t on n - 1 degrees of freedom (Efron & Stein 1981).

    >>> np.round(jackknife_interval(2.0, [2.5, 2.0, 1.5]), 3).tolist()  # of the mean of 1, 2 and 3
    [-0.484, 4.484]
    """
    n = len(without)
    error = np.sqrt((n - 1) * np.var(without))
    half = float(scipy.stats.t.isf((1 - level) / 2, n - 1) * error)
    return value - half, value + half


def split_at_middle(score: xr.DataArray) -> dict[str, list[str]]:
    """Emotions above and not above the middle of one attribute's scale, by name.

    A score is rescaled to run from 0 to 1, so the middle of its scale is 0.5. On valence, ``above`` are the pleasant
    emotions.

    >>> split_at_middle(xr.DataArray([0.0, 0.7, 1.0], {"emotion": ["fear", "awe", "joy"]}, ["emotion"]))
    {'above': ['awe', 'joy'], 'below': ['fear']}
    """
    above = score > (score.min() + score.max()) / 2
    return {"above": [str(e) for e in score.emotion[above].values], "below": [str(e) for e in score.emotion[~above].values]}


def select_pairs(rdm: xr.DataArray, emotions: list[str]) -> xr.DataArray:
    """Pairs of which both emotions are among those named; LabelError for one the RDM does not have, or fewer than four."""
    unknown = set(emotions) - set(pair_labels(rdm))
    if unknown or len(emotions) < 4:
        what = f"the RDM has no {min(unknown)}" if unknown else f"{len(emotions)} emotions have too few pairs"
        raise LabelError(f"cannot compare RDMs within these emotions: {what}")
    return rdm.isel(pair=np.flatnonzero(rdm["first"].isin(emotions) & rdm["second"].isin(emotions)))


def fit_within(
    model: xr.DataArray, human: xr.DataArray, groups: dict[str, list[str]], n_permutations: int, seed: int
) -> dict[str, Estimate]:
    """Fit of two RDMs within each group of emotions, over pairs inside it (:func:`fit_rdms`).

    Two RDMs that only share a division of the emotions in two fit over all pairs and within neither group. A group of
    fewer than four emotions has no fit (NaN).
    """
    return {
        name: Estimate()
        if len(some) < 4
        else fit_rdms(select_pairs(model, some), select_pairs(human, some), n_permutations, seed)
        for name, some in groups.items()
    }


def to_table(found: Mapping[str, Estimate], name: str = "way") -> pd.DataFrame:
    """Rank correlations as a table: one row an estimate; columns rho, low, high, and p (two-sided)."""
    return statistics.to_table(found, name).rename(columns={"value": "rho"})[["rho", "low", "high", "p"]]


def correct_for_noise(rho: float, *reliabilities: float) -> float:
    """Correlation as it would be without noise on the sides whose reliabilities are given (Spearman 1904).

    Reliability is the share of an RDM's variance that is not noise. The result is at most 1 in size, and NaN where a
    reliability is not positive. It multiplies the estimate's own error by the same factor.

    >>> round(correct_for_noise(0.5, 0.64, 1.0), 3)
    0.625
    """
    product = np.prod(reliabilities)
    return float(np.clip(rho / np.sqrt(product), -1, 1)) if min(reliabilities) > 0 else float("nan")


def centred_rdm(activations: xr.DataArray, humans: xr.DataArray | xr.Dataset, centre: bool = True) -> xr.DataArray:
    """Correlation distance of seed-mean patterns with every neuron centred over emotions; dims (pair,).

    A correlation of raw patterns is mostly that of the pattern all emotions share. All NaN where an emotion's neurons are
    all at their mean, as in a network that reads nothing.

    ``activations`` (seed, emotion, layer, neuron); of ``humans`` only the names of the pairs are read; ``centre``: neurons
    as they are if false.
    """
    mean = (_centred if centre else _patterns)(activations, humans).mean(0)
    rdm = pattern_rdm(mean) if np.ptp(mean, axis=1).all() else np.full(len(pair_index(len(mean))[0]), np.nan)
    return xr.DataArray(rdm, dims="pair", coords=pair_coords(pair_labels(humans)))


def crossvalidated_rdms(activations: xr.DataArray, humans: xr.DataArray | xr.Dataset) -> xr.Dataset:
    """RDMs from products of patterns of *different* seeds, in which independent noise of the seeds averages out.

    ``activations`` (seed, emotion, layer, neuron); of ``humans`` only the names of the pairs are read.

    Returns
    -------
    Dataset
        Over ``pair``; NaN where there is a single seed. ``euclidean``: squared distance, whose expectation is 0 for
        patterns that do not differ (negative values are noise). ``crossnobis``: the same with every neuron divided by the
        standard deviation of its noise, that is of its residuals over seeds (Walther et al. 2016, NeuroImage 137:188; with
        more neurons than residuals only the diagonal of the noise's covariance is used). ``correlation``: 1 -
        cross-validated correlation of centred patterns; NaN for pairs with an emotion whose patterns agree so little
        between seeds that none is defined.
    """
    centred = _centred(activations, humans)
    mean = centred.mean(0)
    noise = np.sqrt(sum(((own - mean) ** 2).sum(0) for own in centred))
    products = _between_seeds(centred)
    own, (i, j) = np.diag(products), pair_index(centred.shape[1])
    agreeing = np.where(own > 0, own, np.nan)
    centred /= np.where(noise > 0, noise / np.sqrt(centred[:, :, 0].size), 1)
    scaled = _between_seeds(centred)
    rdms = {
        "euclidean": (own[i] + own[j] - 2 * products[i, j]),
        "crossnobis": np.diag(scaled)[i] + np.diag(scaled)[j] - 2 * scaled[i, j],
        "correlation": 1 - products[i, j] / np.sqrt(agreeing[i] * agreeing[j]),
    }
    return xr.Dataset({k: ("pair", v) for k, v in rdms.items()}, coords=pair_coords(pair_labels(humans)))


def seed_reliability(
    activations: xr.DataArray, humans: xr.DataArray | xr.Dataset, n_splits: int, seed: int, centre: bool = False
) -> float:
    """Reliability of the correlation RDM of seed-mean patterns: Spearman between random halves of the seeds, stepped up.

    Stepped up to all seeds (Spearman 1910; Brown 1910), mean of the splits. Unit: the seed; population: seeds. NaN where
    there is a single seed, or halves have no RDM. ``centre``: centre every neuron over emotions (:func:`centred_rdm`).
    """
    values = _centred(activations, humans) if centre else _patterns(activations, humans)
    values -= values.mean(-1, keepdims=True)
    rng = np.random.default_rng(seed)
    n_seeds, n = values.shape[:2]
    if n_seeds < 2:
        return float("nan")
    flat = values.reshape(n_seeds * n, -1)
    products = (flat @ flat.T).reshape(n_seeds, n, n_seeds, n)
    i, j = pair_index(n)
    found = []
    for _ in range(n_splits):
        order = rng.permutation(n_seeds)
        halves = []
        for half in (order[: n_seeds // 2], order[n_seeds // 2 : 2 * (n_seeds // 2)]):
            inner = products[half][:, :, half].sum((0, 2))
            length = np.sqrt(np.diag(inner))
            length[length == 0] = np.nan
            halves.append(1 - inner[i, j] / (length[i] * length[j]))
        found.append(rank_correlation(*halves))
    return float(step_up(mean_of_defined(found), n_seeds / (n_seeds // 2)))


def fit_without_noise(
    rdms: xr.Dataset, activations: xr.DataArray, judges: float, n_splits: int, seed: int
) -> dict[str, float]:
    """Reliability of the correlation RDM over seeds, and its fit corrected for the noise of both sides.

    The correction takes the noise of ranked RDMs to be additive; in simulations it was too strong by .03 to .08.

    ``rdms``: ``human`` (pair), ``model`` (distance, pair); ``activations`` (seed, emotion, layer, neuron); ``judges``:
    reliability of the human RDM; ``n_splits``, ``seed``: of :func:`seed_reliability`.

    Returns
    -------
    dict
        ``network`` and ``centred`` (every neuron centred over emotions): reliability; with ``.without_noise``: Spearman
        with the human RDM, corrected (:func:`correct_for_noise`).
    """
    raw, human = rdms.model.sel(distance="correlation"), rdms.human.values
    found = {}
    for name, rdm in (("network", raw), ("centred", centred_rdm(activations, rdms))):
        found[name] = seed_reliability(activations, rdms, n_splits, seed, centre=name == "centred")
        found[f"{name}.without_noise"] = correct_for_noise(rank_correlation(rdm.values, human), found[name], judges)
    return found


def _patterns(activations: xr.DataArray, humans: xr.DataArray | xr.Dataset) -> np.ndarray:
    """Patterns [seed, emotion, neuron] in the order of the human pairs; a copy."""
    ordered = order_emotions(activations, humans).transpose("seed", "emotion", "layer", "neuron")
    values = ordered.to_numpy().astype(np.float64, copy=False)
    return values.reshape(*values.shape[:2], -1)


def _centred(activations: xr.DataArray, humans: xr.DataArray | xr.Dataset) -> np.ndarray:
    values = _patterns(activations, humans)
    values -= values.mean(1, keepdims=True)
    return values


def _between_seeds(patterns: np.ndarray) -> np.ndarray:
    """Mean product [emotion, emotion] of patterns of two different seeds."""
    n = len(patterns)
    total = patterns.sum(0)
    if n < 2:
        return np.full((len(total), len(total)), np.nan)
    within = sum(own @ own.T for own in patterns)
    return np.asarray((total @ total.T - within) / (n * (n - 1)))


def compare(a: Rdm, b: Rdm, measure: str = "tau") -> float:
    """Compare two RDM vectors.

    A description: its p needs :mod:`emonb.analysis.statistics`, because RDM entries share items. ``a``, ``b`` (n_pairs,);
    ``measure`` {'tau', 'rho'}: Kendall's tau-b or Spearman's rho. NaN where an RDM does not vary.

    >>> round(compare([1.0, 2.0, 3.0], [10.0, 30.0, 20.0], "rho"), 9)
    0.5
    """
    a, b = pair_values(a, b)
    return float(correlate_rows(a[None], b, measure)[0])


def compare_rdms(rdms: xr.DataArray, human: xr.DataArray) -> xr.Dataset:
    """Compare every RDM of a stack (..., pair) with one human RDM (pair), by tau-b and Spearman: ``tau``, ``rho`` (...)."""
    rows, target = pair_values(rdms, human)
    flat = rows.reshape(-1, rows.shape[-1])
    return xr.Dataset({name: _like(rdms, correlate_rows(flat, target, name)) for name in ("tau", "rho")})


def compare_all(rdms: xr.DataArray) -> xr.DataArray:
    """Kendall tau-b between every two RDMs of a stack (label, pair); dims (label, other)."""
    label = stack_dim(rdms)
    values = rdms.transpose(label, "pair").to_numpy()
    names = rdms[label].values
    return xr.DataArray(tau_b(values, values), dims=(label, "other"), coords={label: names, "other": names})


def fit_tests(rdms: xr.DataArray, human: xr.DataArray, permutations: int, seed: int) -> pd.DataFrame:
    """Kendall tau-b of RDMs with the human one, tested by permuting emotions.

    ``rdms`` (label, pair): tested together; ``human`` (pair,).

    Returns
    -------
    DataFrame
        One row a label: ``tau``; ``mantel_p`` (one-sided, unit: the emotion); ``p_fwe``, the same corrected over the rows
        by the largest tau-b of each permutation; ``parametric_p``, as if pairs of emotions were independent. All are NaN
        where an RDM is constant.
    """
    rows, target = pair_values(rdms, human)
    test = mantel_test(rows, target, permutations, seed)
    label = stack_dim(rdms)
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

    ``judgments`` (n_judges, n_pairs): NaN where missing; each judge is compared over the pairs that this judge judged.

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

    ``rdms`` (..., pair); ``judgments`` (n_judges, n_pairs): NaN where missing; judges who gave the same judgment
    throughout are left out. Gives the mean over the other dimensions of ``rdms``.
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
        values.append(step_up(r, 2) if r > -1 else np.nan)
    return mean_of_defined(values)


def bootstrap_fit(
    models: Rdm, judgments: Rdm, n_bootstraps: int, seed: int, over: str = "both", measure: str = "rho"
) -> pd.DataFrame:
    """Bootstrap the fit of model RDMs with the mean human RDM; 95 % percentile intervals.

    Emotions are drawn with replacement; pairs of an emotion with itself are left out (as in rsatoolbox). Every draw
    serves all models. Exchangeability assumed: the emotions (judges) are independent draws from a population of emotions
    (judges).

    ``models`` (n_models, n_pairs); ``judgments`` (n_judges, n_pairs): NaN where missing; ``over`` {'emotions', 'judges',
    'both'}; ``measure`` {'rho', 'tau'}. Intervals of :func:`emonb.analysis.statistics.resample_factors` are not too wide
    where both are resampled.

    Returns
    -------
    DataFrame
        A row a model: ``value``, ``low``, ``high``, and ``draws``, how many count: with few emotions, some have too few
        different ones for a correlation.
    """
    models, judgments = (np.atleast_2d(rows) for rows in pair_values(models, judgments))
    fits = draw_fits(models, judgments, over, n_bootstraps, np.random.default_rng(seed), measure)
    table = pd.DataFrame({"value": correlate_rows(models, np.nanmean(judgments, 0), measure)})
    drawn = pd.DataFrame(fits)  # whose quantiles leave out what is not defined
    ends = drawn.quantile([0.025, 0.975]).to_numpy()
    counted = drawn.count()
    return table.assign(
        low=np.where(counted > 1, ends[0], np.nan), high=np.where(counted > 1, ends[1], np.nan), draws=counted
    )


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
    (:func:`emonb.analysis.statistics.resample_factors`). The seeds are kept.

    ``trained``, ``other`` (seed, emotion, layer, neuron): activations; ``judgments`` (judge, pair); ``distance``
    {'correlation', 'euclidean'}; ``seed``: of the bootstraps and of the ``n_sets`` sets of seeds.
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
