"""From many items to a few components: how many (parallel analysis), which (varimax), and what people score on them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

VARIMAX_STOP = 1e-5  # relative gain at which R's varimax, which the study used, ends its rotation


def count_components(answers: np.ndarray, n_simulations: int, seed: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Number of principal components by parallel analysis (Horn 1965, Psychometrika 30:179).

    Components count as long as their eigenvalue exceeds the 95 % quantile of the same eigenvalue of independent normal
    data of this size, as in the study's ``bruceR::PCA`` (which simulates 20 such data sets).

    Parameters
    ----------
    answers : array, shape (n_events, n_items)
        None missing.
    n_simulations, seed : int

    Returns
    -------
    n : int
    eigenvalues, chance : array, shape (n_items,)
        Of the correlation matrix, and the quantiles they are compared with.
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

    Parameters
    ----------
    answers : array, shape (n_events, n_items)
        None missing.
    n : int
        Number of components.
    stop : float
        Relative gain at which the rotation ends. The criterion is nearly flat here: a smaller one rotates further.

    Returns
    -------
    loading : array, shape (n_items, n)
    score : array, shape (n_events, n)
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

    Parameters
    ----------
    people : Dataset
        ``rating``, ``panel_of``, ``answer`` (event, statement) and ``emotion_of`` (event) of
        :func:`emonb.data.ratings.read_ratings`.
    names : sequence of str
        The components' names, largest first.
    missing : float
        What a missing answer counts as (the study: the middle of the scale).
    n_simulations, seed : int
        Of the parallel analysis.

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


def rotate_further(people: xr.Dataset, stop: float = 1e-12) -> xr.DataArray:
    """Ratings on the components (rater, emotion, attribute) had their rotation gone on until it gained nothing more."""
    return _rate(people, list(people.component.values), people.attrs["missing"], stop)[1]


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
