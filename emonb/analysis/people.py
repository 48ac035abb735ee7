"""People's ratings: how reliable they are, what their errors do to RDMs, in how many dimensions they differ.

Ratings are arrays (rater, emotion, attribute) with NaN where a rater did not rate. Where every rater scored every emotion
raters are crossed with emotions; where everyone rated one event, raters are nested in emotions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.rdm import pair_index, varies
from emonb.analysis.statistics import step_up
from emonb.errors import LabelError

VARIMAX_STOP = 1e-5  # relative gain at which R's varimax, which the study used, ends its rotation


def count_components(answers: np.ndarray, n_simulations: int, seed: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of principal components by parallel analysis (Horn 1965, Psychometrika 30:179).

    Components count as long as their eigenvalue exceeds the 95 % quantile of the same eigenvalue of independent normal
    data of this size, as in the study's ``bruceR::PCA`` (which simulates 20 such data sets).

    ``answers`` (n_events, n_items): none missing. Gives ``n``; ``eigenvalues``, ``chance`` (n_items,): of the correlation
    matrix, and the quantiles they are compared with.
    """
    rng = np.random.default_rng(seed)
    eigenvalues = eigenvalues_of(answers)
    chance = np.quantile([eigenvalues_of(rng.standard_normal(answers.shape)) for _ in range(n_simulations)], 0.95, axis=0)
    below = eigenvalues <= chance
    return int(below.argmax()) if below.any() else len(below), eigenvalues, chance


def find_components(answers: np.ndarray, n: int, stop: float = VARIMAX_STOP) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of standardised items, rotated by varimax (Kaiser-normalised), with standardised scores.

    Components come in the order of the variance they carry after rotation, signed so that their loadings sum to more
    than zero, as in R's ``psych::principal``, which the study used.

    ``answers`` (n_events, n_items): none missing; ``n``: number of components; ``stop``: relative gain at which the
    rotation ends. The criterion is nearly flat here: a smaller one rotates further. Gives ``loading`` (n_items, n);
    ``score`` (n_events, n).
    """
    from factor_analyzer import Rotator  # half a second, and only this function needs it
    from sklearn.decomposition import PCA

    z = scipy.stats.zscore(np.asarray(answers, np.float64), ddof=1)
    pca = PCA(n, whiten=True, svd_solver="full").fit(z)
    rotator = Rotator("varimax", normalize=True, max_iter=5_000, tol=stop)
    loading = rotator.fit_transform(pca.components_.T * np.sqrt(pca.explained_variance_))
    score = pca.transform(z) @ rotator.rotation_
    order, sign = np.argsort(-(loading**2).sum(0)), np.where(loading.sum(0) < 0, -1.0, 1.0)
    return (loading * sign)[:, order], (score * sign)[:, order]


def add_components(people: xr.Dataset, names: Sequence[str], missing: float, n_simulations: int, seed: int) -> xr.Dataset:
    """Turn answers about events into attributes: one rater an event, who rates its emotion on every component.

    ``people``: ``rating``, ``panel_of``, ``answer`` (event, statement) and ``emotion_of`` (event) of
    :func:`emonb.data.people.read_ratings`; ``names``: the components', largest first; ``missing``: what a missing answer
    counts as (the study: the middle of the scale); ``n_simulations``, ``seed``: of the parallel analysis.

    Returns
    -------
    Dataset
        ``people`` with the events' raters in ``rating``, and ``loading`` (statement, component), ``eigenvalue`` and
        ``chance`` (rank); in its attrs ``components``, the number that parallel analysis finds, and ``missing``.
    """
    n, eigenvalue, chance = count_components(_fill(people, missing), n_simulations, seed)
    loading, appraised = _rate(people, names, missing, VARIMAX_STOP)
    rating = xr.concat([people.rating, appraised], "rater", join="outer")
    rating = rating.reindex(emotion=people.emotion, attribute=[*people.attribute.values, *names])
    panel_of = np.r_[people.panel_of.values, np.full(appraised.sizes["rater"], "appraisal")]
    whole = people.drop_vars(["rating", "panel_of", "question", "attribute", "rater"], errors="ignore")
    whole = whole.assign(rating=rating, panel_of=("rater", panel_of), loading=(("statement", "component"), loading))
    whole = whole.assign(eigenvalue=("rank", eigenvalue), chance=("rank", chance))
    whole = whole.assign_coords(component=list(names), rank=np.arange(1, len(eigenvalue) + 1))
    if "question" in people:
        whole["question"] = people.question.reindex(attribute=rating.attribute, fill_value="")
    return whole.assign_attrs(components=n, missing=missing)


def rotate_further(people: xr.Dataset) -> xr.DataArray:
    """Ratings on the components (rater, emotion, attribute) had their rotation gone on until it gained nothing more."""
    return _rate(people, list(people.component.values), people.attrs["missing"], stop=1e-12)[1]


def describe_components(people: xr.Dataset, n: int) -> pd.DataFrame:
    """The ``n`` statements of largest loading of every component: ``component``, ``loading``, ``wording``."""
    rows = []
    for component in people.component.values:
        loading = people.loading.sel(component=component).values
        for k in np.argsort(-abs(loading))[:n]:
            rows.append((component, float(loading[k]), str(people.wording.values[k])))
    return pd.DataFrame(rows, columns=["component", "loading", "wording"])


def _fill(people: xr.Dataset, missing: float) -> np.ndarray:
    return people.answer.fillna(missing).transpose("event", "statement").to_numpy()


def _rate(people: xr.Dataset, names: Sequence[str], missing: float, stop: float) -> tuple[np.ndarray, xr.DataArray]:
    """Loadings, and the events' scores as ratings of their emotions by raters numbered on from the panels'."""
    loading, score = find_components(_fill(people, missing), len(names), stop)
    coords = {
        "rater": people.sizes["rater"] + np.arange(len(score)),
        "emotion": people.emotion.values,
        "attribute": list(names),
    }
    rating = xr.DataArray(np.nan, coords, ("rater", "emotion", "attribute"))
    rating.values[np.arange(len(score)), people.indexes["emotion"].get_indexer(people.emotion_of.values)] = score
    return loading, rating


def eigenvalues_of(values: np.ndarray) -> np.ndarray:
    """Eigenvalues of the correlation matrix of columns, largest first."""
    return np.linalg.eigvalsh(np.corrcoef(values, rowvar=False))[::-1]


class Icc(NamedTuple):
    """Intraclass correlation of mean ratings; arrays over attributes where several were given."""

    icc: np.ndarray
    low: np.ndarray
    """95 % interval."""
    high: np.ndarray
    f: np.ndarray
    """F ratio of emotions."""
    p: np.ndarray
    """Of F, one-sided: chance that emotions which do not differ give so large a ratio."""


def icc_crossed(ratings: np.ndarray) -> Icc:
    """ICC(2,k): reliability of the mean of k raters who all scored every emotion, raters and emotions random.

    The raters' own levels count as error (absolute agreement). Interval by Satterthwaite's degrees of freedom; McGraw &
    Wong 1996, Psychol Methods 1:30, as in R's ``psych`` and in ``pingouin``.

    ``ratings`` (..., n_raters, n_emotions).

    >>> round(float(icc_crossed(np.array([[1, 2, 4], [2, 3, 5], [1, 3, 6]])).icc), 3)
    0.947
    """
    y = np.asarray(ratings, np.float64)
    k, n = y.shape[-2:]
    emotion, rater = y.mean(-2, keepdims=True), y.mean(-1, keepdims=True)
    grand = y.mean((-2, -1), keepdims=True)
    rows = k * ((emotion - grand) ** 2).sum((-2, -1)) / (n - 1)
    columns = n * ((rater - grand) ** 2).sum((-2, -1)) / (k - 1)
    error = ((y - emotion - rater + grand) ** 2).sum((-2, -1)) / ((n - 1) * (k - 1))
    single = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
    a, b = k * single / n / (1 - single), 1 + k * single * (n - 1) / n / (1 - single)
    df = (a * columns + b * error) ** 2 / ((a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1)))
    tail, noise = 0.025, k * columns + (k * n - k - n) * error
    upper, lower = scipy.stats.f.isf(tail, n - 1, df), scipy.stats.f.isf(tail, df, n - 1)
    low = n * (rows - upper * error) / (upper * noise + n * rows)
    high = n * (lower * rows - error) / (noise + n * lower * rows)
    f = rows / error
    p = scipy.stats.f.sf(f, n - 1, (n - 1) * (k - 1))
    icc, low, high = (step_up(r, k) for r in (single, low, high))  # of one rater, to the mean of k
    return Icc(icc, low, high, f, p)


def icc_nested(ratings: np.ndarray) -> Icc:
    """ICC(1,k): reliability of mean ratings where other people rated each emotion (one-way, exact F interval).

    ``ratings`` (..., n_raters, n_emotions): NaN where a rater did not rate; emotions may have different numbers of raters.

    >>> round(float(icc_nested(np.array([[1, 2, 4], [2, 3, 5], [1, 3, 6]])).icc), 3)
    0.946
    """
    y = np.asarray(ratings, np.float64)
    count = (~np.isnan(y)).sum(-2)
    emotion, grand = np.nanmean(y, -2), np.nanmean(y, (-2, -1))
    between, within = count.shape[-1] - 1, count.sum(-1) - count.shape[-1]
    rows = (count * (emotion - grand[..., None]) ** 2).sum(-1) / between
    error = np.nansum((y - emotion[..., None, :]) ** 2, (-2, -1)) / within
    f, tail = rows / error, 0.025
    low = 1 - scipy.stats.f.isf(tail, between, within) / f
    high = 1 - 1 / (f * scipy.stats.f.isf(tail, within, between))
    return Icc(1 - 1 / f, low, high, f, scipy.stats.f.sf(f, between, within))


def score_emotions(rating: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Mean rating of every emotion, and the same rescaled so that the lowest emotion is 0 and the highest 1.

    ``rating`` (rater, emotion, attribute); both are (emotion, attribute). LabelError where all emotions have the same mean
    on an attribute.
    """
    mean = rating.mean("rater").transpose("emotion", "attribute")
    low, high = mean.min("emotion"), mean.max("emotion")
    flat = constant_attributes(mean)
    if flat:
        raise LabelError(f"every emotion has the same mean rating on {flat[0]}; leave the attribute out")
    return mean, (mean - low) / (high - low)


def compare_scores(rating: xr.DataArray, score: xr.DataArray) -> pd.DataFrame:
    """Scores from single ratings against finished ones: one row an attribute that was rated; ``rho``, ``difference``."""
    own = score_emotions(rating)[1].to_pandas()
    other = score.to_pandas().loc[own.index, own.columns]
    columns = {"rho": own.corrwith(other, method="spearman"), "difference": abs(own - other).max()}
    return pd.DataFrame(columns).rename_axis("attribute")


def assess_reliability(rating: xr.DataArray) -> pd.DataFrame:
    """Reliability of every attribute's scores: ICC(2,k) where raters are crossed with emotions, else ICC(1,k).

    ``rating`` (rater, emotion, attribute). Gives one row an attribute: ``kind``, ``raters`` (of an emotion, mean),
    ``icc``, ``low``, ``high``, ``p``, and ``validity`` of the attribute's RDM (:func:`rdm_validity`).
    """
    rows = {}
    for attribute in rating.attribute.values:
        values = rating.sel(attribute=attribute).dropna("rater", how="all").transpose("rater", "emotion").to_numpy()
        crossed = not np.isnan(values).any()
        result = icc_crossed(values) if crossed else icc_nested(values)
        numbers = {name: float(getattr(result, name)) for name in ("icc", "low", "high", "p")}
        numbers["validity"] = rdm_validity(numbers["icc"])
        raters = float((~np.isnan(values)).sum(0).mean())
        rows[attribute] = {"kind": "ICC(2,k)" if crossed else "ICC(1,k)", "raters": raters, **numbers}
    return pd.DataFrame(rows).T.infer_objects().rename_axis("attribute")


def describe_panels(people: xr.Dataset) -> pd.DataFrame:
    """Everyone who took part: one row a panel; ``given`` (people), ``kept`` (after exclusion), ``rated`` (attributes)."""
    rows = {}
    for panel in people.panel.values:
        own = people.rating.isel(rater=np.flatnonzero(people.panel_of.values == panel))
        rated = own.attribute.values[own.notnull().any(("rater", "emotion")).values]
        rows[panel] = {"given": int(people.given.sel(panel=panel)), "kept": own.sizes["rater"], "rated": ", ".join(rated)}
    return pd.DataFrame(rows).T.rename_axis("panel")


def rdm_validity(reliability: float) -> float:
    """Expected Spearman correlation of an RDM of noisy scores with the RDM of the scores without their noise.

    An RDM entry is |a - b|: noise that hardly moves a score moves a small difference a lot, so RDMs are less reliable
    than the scores they are made from. For normal scores and errors the signed differences before and after noise
    correlate at the root of the reliability, and the correlation of their sizes follows by integration.

    ``reliability``: of the scores, 0 to 1: their ICC.

    >>> [round(rdm_validity(r), 2) for r in (1.0, 0.9, 0.6)]
    [1.0, 0.83, 0.46]
    """
    r = np.sqrt(np.clip(reliability, 0, 1))
    if r > 0.9995:  # the integrand becomes a ridge narrower than the grid
        return 1.0
    x, weight = np.polynomial.legendre.leggauss(400)
    x, weight = 4 * (x + 1), 4 * weight  # sizes from 0 to 8 standard deviations
    rank = weight * (2 * scipy.stats.norm.cdf(x) - 1)
    far, near = (x[:, None] ** 2 + x**2) / (2 * (1 - r**2)), r * x[:, None] * x / (1 - r**2)
    density = (np.exp(near - far) + np.exp(-near - far)) / (np.pi * np.sqrt(1 - r**2))
    return float(12 * rank @ density @ rank - 3)


def disattenuate(tau: xr.DataArray, reliability: xr.DataArray, of_judges: float = 1.0) -> xr.DataArray:
    """Rank correlations of attribute RDMs with the mean human RDM, as they would be without the raters' noise.

    Each is divided by the validity of its RDM (:func:`rdm_validity`) and by the root of the mean human RDM's
    reliability: Spearman's correction for attenuation (1904, Am J Psychol 15:72). It assumes normal errors that do not
    depend on the score, multiplies the estimate's own error by the same factor, and says nothing where an attribute is
    hardly reliable.

    ``tau``, ``reliability`` (attribute,): Kendall tau-b or Spearman; ICC of the attribute's scores; ``of_judges``:
    reliability of the mean human RDM. Gives (attribute,): at most 1 in size; NaN where a reliability is not above 0.
    """
    tau, reliability = xr.align(tau, reliability, join="exact")
    validity = xr.apply_ufunc(np.vectorize(rdm_validity, otypes=[float]), reliability)
    if not of_judges > 0:
        return xr.full_like(tau, np.nan)
    return (tau / (validity * np.sqrt(of_judges))).where(reliability > 0).clip(-1, 1)


def compare_judges(judgment: xr.DataArray) -> pd.DataFrame:
    """How each judge agrees with the others (Spearman over the pairs the judge judged; missing judgments left out).

    The means over judges are the lower and the upper end of the noise ceiling (Nili et al. 2014).

    ``judgment`` (judge, pair): NaN where missing. Gives one row a judge: ``judged`` (pairs), ``with_others`` (the mean of
    the other judges), ``with_all``.
    """
    table = judgment.transpose("pair", "judge").to_pandas()
    total, n = table.sum(axis=1), table.count(axis=1)
    others = table.rsub(total, axis=0).div(n - 1, axis=0)
    columns = {
        "judged": table.count(),
        "with_others": table.corrwith(others, method="spearman"),
        "with_all": table.corrwith(total / n, method="spearman"),
    }
    return pd.DataFrame(columns).rename_axis("judge")


def constant_judges(judgment: xr.DataArray) -> list[int]:
    """Judges who gave the same judgment to every pair they judged: no correlation with them is defined."""
    table = judgment.transpose("judge", "pair")
    return [int(judge) for judge, row in zip(table.judge.values, table.values, strict=True) if not varies(row)]


def find_copies(answers: xr.DataArray) -> list[tuple[int, int]]:
    """Pairs of people whose answers are the same throughout, and not all alike: rows that were perhaps copied.

    ``answers`` has a dimension ``judge`` or ``rater``; who left an answer out, or gave the same to everything, is no copy.
    """
    who = "judge" if "judge" in answers.dims else "rater"
    rows = answers.transpose(who, ...).to_numpy().reshape(answers.sizes[who], -1)
    first: dict[bytes, int] = {}
    copies = []
    for name, row in zip(answers[who].values.tolist(), rows, strict=True):
        if varies(row) and not np.isnan(row).any():
            earlier = first.setdefault(row.tobytes(), name)
            copies += [(earlier, name)] if earlier != name else []
    return copies


def constant_attributes(score: xr.DataArray) -> list[str]:
    """Attributes on which every emotion has the same score: nothing can be compared with them."""
    table = score.transpose("attribute", "emotion")
    return [str(name) for name, row in zip(table.attribute.values, table.values, strict=True) if not varies(row)]


def compare_pairs_of_judges(judgment: xr.DataArray) -> np.ndarray:
    """Spearman correlation of every two judges over the pairs that both judged, shape (n_judges * (n_judges - 1) / 2,)."""
    table = pd.DataFrame(judgment.transpose("pair", "judge").to_numpy())
    return table.corr("spearman").to_numpy()[pair_index(table.shape[1])]


def count_dimensions(score: xr.DataArray) -> float:
    """Effective number of independent attributes: participation ratio of the eigenvalues of their correlations.

    It is the number of attributes if none correlate and 1 if they are all the same; attributes that do not vary are left
    out, and NaN says that fewer than two do.
    """
    values = score.transpose("emotion", "attribute").to_numpy()
    values = values[:, [varies(column) for column in values.T]]
    if values.shape[1] < 2:
        return float("nan")
    eigenvalues = eigenvalues_of(values)
    return float(eigenvalues.sum() ** 2 / (eigenvalues**2).sum())
