"""Lesions: whether silencing attributes' neurons costs more than silencing sets that carry no information.

The null is one random bijection of the network's neurons. It moves the masks of all attributes and sizes N at once: their
sizes, which of them lie within each other and how much they overlap stay, and only what the neurons *do* is lost. So masks
that share neurons are not counted as independent, and sets drawn by lot pass the test as often as its level says.

Where lesions are live, masks can be moved and lesioned (:func:`bijection_test`); where they are not, the variance of the
masks' mean under the null follows from their overlaps (:func:`compare_masks`). Whether depth explains the loss is asked by
a line of accuracy over mean layer, fitted to attributes' masks and read where random ones lie (:func:`adjust_for_depth`).
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr

from emonb.analysis.neurons import layer_profile, select_neurons
from emonb.analysis.rdm import ROUNDING, varies
from emonb.analysis.statistics import Estimate, from_t, pool_errors, to_table

ALL = "all"  # the row that speaks for all sizes N together
_LABELS = ("attribute", "size", "draw")
COLUMNS = [*Estimate._fields, "difference", "error", "own", "cost"]
_NO_COST = "random masks cost no more than chance, so that nothing can be a share of it"
MOST = 2_000_000
"""Selections of one half of the masks that are counted one by one; where there are more, selections are drawn."""


def mask_means(
    data: xr.Dataset, kind: str, sizes: Sequence[int], measure: str = "accuracy", by_emotion: bool = False
) -> xr.DataArray:
    """Mean accuracy (or ``auc``) over seeds and emotions of every mask of a kind; dims (attribute, size, draw).

    ``data``: released lesions, with one mask a cell, or live ones, with many random draws; attributes that have no mask
    are left out. ``by_emotion`` keeps the emotions, as a fourth dimension.
    """
    over = ["seed"] if by_emotion else ["seed", "emotion"]
    if f"mask_{measure}" not in data:
        mean = data[measure].sel(kind=kind, size=list(sizes)).mean(over).drop_vars("kind").expand_dims(draw=[0])
    else:
        mine = data[f"mask_{measure}"].isel(mask=(data.mask_kind == kind).values).mean(over)
        labels = {f"mask_{name}": name for name in ("kind", *_LABELS) if f"mask_{name}" in mine.coords}
        mean = _unstack(mine.rename(labels))
        mean = mean.sel(attribute=data.attribute.values, size=list(sizes))
    return mean.transpose("attribute", "size", "draw", ...).dropna("attribute", how="any")


def rank_masks(rank: xr.DataArray, sizes: Sequence[int]) -> xr.DataArray:
    """Masks of each attribute's top N neurons, by rank; bool (attribute, size, layer, neuron)."""
    return xr.concat([select_neurons(rank, size) for size in sizes], pd.Index(sizes, name="size"))


def take_masks(masks: xr.Dataset, sizes: Sequence[int], kind: str = "selective") -> xr.DataArray:
    """Masks of one kind of a plan (:func:`emonb.analysis.masks.plan_masks`); bool (attribute, size, [draw,] layer, neuron).

    ``draw`` is there for random masks, of which an attribute has several.
    """
    mine = _unstack(masks.silenced.isel(mask=((masks.kind == kind) & masks["size"].isin(list(sizes))).values))
    mine = mine.sel(size=list(sizes)).transpose("attribute", "size", "draw", "layer", "neuron")
    return mine.isel(draw=0, drop=True) if kind == "selective" else mine


def _unstack(masks: xr.DataArray) -> xr.DataArray:
    """Put masks, or what is known of each, that carry their labels along ``mask`` into (attribute, size, draw, ...)."""
    index = pd.MultiIndex.from_arrays([masks[name].values for name in _LABELS], names=_LABELS)
    masks = masks.drop_vars(["kind", *_LABELS], errors="ignore")
    return masks.assign_coords(xr.Coordinates.from_pandas_multiindex(index, "mask")).unstack("mask")


def mean_layer(masks: xr.DataArray) -> xr.DataArray:
    """Mean layer (1 = first) of masks [..., layer, neuron]; NaN for an empty one."""
    return (layer_profile(masks) * masks.layer).sum("layer", skipna=False)


def relate_masks(masks: xr.DataArray, within_layers: bool = False) -> xr.DataArray:
    """Correlation of what masks cost, if a random bijection of neurons moved them all.

    For sums over neurons of a finite population of T, two masks of n and m neurons that share k have covariance
    (k - n m / T) sigma^2 T / (T - 1): for a mask within a larger one the correlation is
    sqrt(n (T - m) / (m (T - n))), for two of one size (k / n - n / T) / (1 - n / T).

    ``masks``: bool (attribute, size, layer, neuron), from :func:`rank_masks` or :func:`take_masks`; ``within_layers``:
    bijections keep every neuron in its layer, and layers are taken to vary alike. Gives (attribute, size, other,
    other_size); NaN for a mask that is empty or full.
    """
    values = masks.transpose("layer", "attribute", "size", "neuron").to_numpy().astype(np.float32)
    n_layers, n_attributes, n_sizes, n_neurons = values.shape
    values = values.reshape(n_layers, n_attributes * n_sizes, n_neurons)
    if not within_layers:
        values = values.transpose(1, 0, 2).reshape(1, n_attributes * n_sizes, -1)
    count = values.sum(2, dtype=np.float64)  # [layer, mask]
    shared = sum(layer.astype(np.float64) @ layer.T for layer in values)
    covariance = shared - np.einsum("la,lb->ab", count, count) / values.shape[2]
    sd = np.sqrt(np.where(np.diag(covariance) > 1e-9, np.diag(covariance), np.nan))
    related = (covariance / np.outer(sd, sd)).reshape(n_attributes, n_sizes, n_attributes, n_sizes)
    names, sizes = masks.attribute.values, masks["size"].values
    coords = {"attribute": names, "size": sizes, "other": names, "other_size": sizes}
    return xr.DataArray(related, coords, tuple(coords))


def compare_masks(
    selective: xr.DataArray, random: xr.DataArray, related: xr.DataArray, intact: float, matched: bool = False
) -> pd.DataFrame:
    """Test whether attributes' masks cost more than sets of the same structure that carry no information.

    Unit of inference: the attribute with its masks of all sizes. Null: one random bijection of neurons has moved all of
    them. Fixed: sizes of the masks and overlaps between them, emotions, seeds. Under the null the mean loss under
    attributes' masks has the variance that their overlaps give (``related``), with the standard deviation that
    comparison masks of each size have; comparison masks add that of their own mean. Assumed: what a mask costs is near
    enough to a sum over its neurons for correlations to follow from overlaps, and the mean of all masks is near normal
    (with masks as skewed and heavy-tailed as released ones, 4 to 6 % of sets drawn by lot have p < .05).

    Parameters
    ----------
    selective, random : DataArray, dims (attribute, size, draw)
        From :func:`mask_means`.
    related : DataArray
        From :func:`relate_masks`, of the attributes' own masks.
    intact : float
        The same measure without a mask.
    matched : bool
        Random masks belong to the attribute they were drawn for, and vary around a mean of its own.

    Returns
    -------
    DataFrame
        One row an N and one for all: ``value`` is the excess, loss under attributes' masks over loss under random ones
        minus 1, with intervals (Fieller 1954, J R Stat Soc B 16:175) and p as
        :class:`~emonb.analysis.statistics.Estimate`; ``difference`` (random - selective) and its standard error
        ``error`` under the null, both in the measure's unit; ``own`` and ``cost``, losses under attributes' and under
        random masks. All but these four are NaN where masks do not differ, or random masks cost nothing that an
        excess could be a share of.
    """
    rows = {}
    for name in [*selective["size"].values.tolist(), ALL]:
        sizes = selective["size"].values.tolist() if name == ALL else [name]
        rows[name] = _compare(*_arrange(selective, random, related, sizes), intact, matched)
    return pd.DataFrame(list(rows.values()), pd.Index(list(rows), name="N"), COLUMNS)


def compare_attributes(
    selective: xr.DataArray, random: xr.DataArray, related: xr.DataArray, intact: float, matched: bool = False
) -> pd.Series:
    """Test whether masks of attributes like these cost more than random ones, mean over all sizes.

    Unit of inference: the attribute. Population: attributes like these, with their masks, and random masks. Fixed:
    emotions, seeds. The attributes' own spread takes the place of the random masks'; masks that share neurons are
    correlated by as much, so that the variance of their mean is larger and has fewer degrees of freedom (by the
    eigenvalues of their correlation; Satterthwaite 1946).

    Parameters are those of :func:`compare_masks`, and the result is a row of its.
    """
    own, drawn, shared = _arrange(selective, random, related, selective["size"].values.tolist())
    values = own.mean(0) - (drawn.mean((0, 2)) if matched else 0.0)  # [attribute]
    n, r = len(values), shared.mean((1, 3))  # the attributes' masks of all sizes
    r = r / np.sqrt(np.outer(np.diag(r), np.diag(r)))
    centred = r - r.mean(0) - r.mean(1)[:, None] + r.mean()
    of_own = _variance(values) * (n - 1) / np.trace(centred) * r.mean() if n > 1 else np.nan
    df = np.trace(centred) ** 2 / (centred**2).sum() if n > 1 else np.nan
    variance, df_random = _spread(drawn, matched)
    of_random = variance / (len(variance) ** 2 * drawn[0].size)
    error, df = pool_errors(np.r_[of_own, of_random], np.r_[df, np.full(len(variance), df_random)])
    loss, cost = intact - own.mean(), intact - drawn.mean()
    excess = _divide(loss, cost, of_own, of_random.sum(), df)
    return pd.Series([*excess, loss - cost, error, loss, cost], COLUMNS)


def permute_masks(
    selective: xr.DataArray, random: xr.DataArray, matched: bool = False, n_permutations: int = 9_999, seed: int = 0
) -> float:
    """Two-sided p that masks of one size, of which some are called an attribute's own, are called so by chance.

    Exact where all selections can be counted (half against half), else of selections drawn at random. Unit of inference:
    the mask. Exchangeability assumed: any of the masks of this size (matched: any of an attribute's) might have been the
    attributes' own. Masks that share neurons are exchangeable with ones that do not only as far as overlaps are few.

    ``selective``, ``random`` (attribute, draw): one selective mask an attribute; ``matched``: as of :func:`compare_masks`;
    ``n_permutations``, ``seed``: used where selections are drawn.
    """
    own = selective.mean("draw").values
    masks = np.column_stack([own, random.sel(attribute=selective.attribute).transpose("attribute", "draw").values])
    n, choices = masks.shape
    expected = masks.mean() * n
    apart = abs(own.sum() - expected) - ROUNDING * np.abs(masks).sum()
    if not np.isfinite(masks).all():
        return float("nan")
    halves = masks[: n // 2], masks[n // 2 :]
    if matched and choices ** (n - n // 2) <= MOST:
        sums = [np.zeros(1), np.zeros(1)]
        for k, half in enumerate(halves):
            for row in half:
                sums[k] = np.add.outer(sums[k], row).ravel()
        return _count_outside([(sums[0], sums[1])], expected, apart)
    pooled = masks.T.ravel()
    if not matched and 2 ** (len(pooled) // 2 + len(pooled) % 2) <= MOST:
        left, right = (_subset_sums(part) for part in np.array_split(pooled, 2))
        pairs = [(left[k], right[n - k]) for k in left if n - k in right]
        return _count_outside(pairs, expected, apart)
    rng = np.random.default_rng(seed)
    if matched:
        drawn = np.array([masks[np.arange(n), rng.integers(choices, size=n)].sum() for _ in range(n_permutations)])
    else:
        drawn = np.array([rng.permutation(pooled)[:n].sum() for _ in range(n_permutations)])
    return float(((np.abs(drawn - expected) >= apart).sum() + 1) / (n_permutations + 1))


def count_emotions(
    selective: xr.DataArray,
    random: xr.DataArray,
    related: xr.DataArray,
    n_draws: int,
    seed: int,
    matched: bool = False,
) -> tuple[float, float]:
    """Share of the emotions that are recognised worse under attributes' masks than under random ones, and its p.

    The null is that of :func:`compare_masks`: emotions share the masks, so that by chance, too, most of them are worse, or
    most are better. Profiles of random masks over emotions, as far as they differ from their mean, are drawn again, put
    together so that they correlate as the attributes' masks do, and set against as many of random masks.

    ``selective``, ``random`` (attribute, size, draw, emotion): from :func:`mask_means`, by emotion; ``related``,
    ``matched``: as of :func:`compare_masks`. The p is two-sided, (b + 1) / (n + 1), b counting shares at least as far from
    one half; NaN without two masks.
    """
    rng = np.random.default_rng(seed)
    random = random.sel({name: selective[name] for name in ("attribute", "size", "emotion")})
    masks = random.transpose("size", "attribute", "draw", "emotion").values
    gap = masks.mean((0, 1, 2)) - selective.mean(("size", "attribute", "draw")).values
    gap = np.where(abs(gap) > ROUNDING * np.abs(masks).max(initial=0), gap, 0.0)
    n_sizes, n_attributes, draws, n_emotions = masks.shape
    within = (2,) if matched and draws > 1 else (1, 2)
    lost = draws if matched and draws > 1 else n_attributes * draws
    if lost < 2:
        return float((gap > 0).mean()), float("nan")
    pool = (masks - masks.mean(within, keepdims=True)) * np.sqrt(lost / (lost - 1))  # [size, attribute, draw, emotion]
    pool = pool.reshape(n_sizes, -1, n_emotions)
    names, sizes = selective.attribute.values, selective["size"].values
    mine = related.sel(attribute=names, size=sizes, other=names, other_size=sizes)
    by_size = mine.transpose("size", "attribute", "other_size", "other").values
    n = n_sizes * n_attributes
    values, vectors = np.linalg.eigh(by_size.reshape(n, n))
    weights = (vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T).mean(0).reshape(n_sizes, n_attributes)
    shares = np.empty(n_draws)
    for k in range(n_draws):
        own = rng.integers(pool.shape[1], size=(n_sizes, n_attributes))
        others = rng.integers(pool.shape[1], size=(n_sizes, n_attributes * draws))
        at = np.arange(n_sizes)[:, None]
        shift = pool[at, others].mean((0, 1)) - np.einsum("sa,sae->e", weights, pool[at, own])
        shares[k] = (shift > 0).mean()
    share = float((gap > 0).mean())
    as_far = np.abs(shares - 0.5) >= abs(share - 0.5) - ROUNDING
    return share, float((as_far.sum() + 1) / (n_draws + 1))


def bijection_test(own: xr.DataArray, moved: xr.DataArray) -> dict[str, float]:
    """Test attributes' masks against the same masks moved together by random bijections, lesioned like them.

    Exact for any network and any number of bijections: under the null the masks are one more draw of the moved ones.

    ``own`` (attribute,): accuracy (or another measure) under attributes' masks; ``moved`` (bijection, attribute). Gives
    ``difference`` (mean under moved masks - mean under attributes' own), ``sd`` of the mean of moved ones, ``n``
    bijections, and two-sided ``p`` = (b + 1) / (n + 1).
    """
    means = moved.sel(attribute=own.attribute).mean("attribute").values
    every = np.r_[float(own.mean()), means]
    apart = np.abs(every - every.mean())
    p = (apart[1:] >= apart[0] - ROUNDING).sum() + 1
    sd = float(means.std(ddof=1)) if len(means) > 1 else float("nan")
    return {"difference": float(means.mean() - every[0]), "sd": sd, "n": len(means), "p": float(p / len(every))}


def find_outlying(selective: xr.DataArray, random: xr.DataArray) -> pd.DataFrame:
    """Find single attributes whose masks lie outside the random masks.

    Unit of inference: the random mask. Population: all random masks of the kind and size; what is tested is whether one
    attribute's mask is a further draw from it (predictive t: the distance over s sqrt(1 + 1/n)). Fixed: attributes,
    emotions, seeds. Assumed: random masks' means are normal with one variance; where an attribute has several draws, it is
    compared with its own, and only the variance is common to all.

    ``selective``, ``random`` (attribute, size, draw). Gives an index (N, attribute): ``value`` (random - selective),
    ``t``, one-sided ``p`` and ``p_holm``, corrected over the attributes of a row's N (Holm 1979). Never over all N: an
    attribute's masks share neurons over N and random ones do not, so that by chance, too, a mean of the former lies
    farther out than means of the latter.
    """
    random = random.sel(attribute=selective.attribute, size=selective["size"])
    rows = {}
    for name in selective["size"].values.tolist():
        ours, others = (x.sel(size=name) for x in (selective.mean("draw"), random))
        drawn = others.transpose("attribute", "draw").values
        pool = drawn if drawn.shape[1] > 1 else drawn.reshape(1, -1)  # its own draws, or all masks of the size
        gap, n, df = pool.mean(1) - ours.values, pool.shape[1], pool.size - len(pool)
        spread = np.sqrt(np.mean([_variance(row) for row in pool]))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(spread > 0, gap / (spread * np.sqrt(1 + 1 / n)), np.nan)
        p = scipy.stats.t.sf(t, df)
        for a, holm in enumerate(_holm(p)):
            rows[name, str(ours.attribute.values[a])] = (gap[a], t[a], p[a], holm)
    index = pd.MultiIndex.from_tuples(rows, names=["N", "attribute"])
    return pd.DataFrame(list(rows.values()), index, ["value", "t", "p", "p_holm"])


def compare_kinds(data: xr.Dataset, masks: xr.DataArray, sizes: Sequence[int]) -> pd.DataFrame:
    """Compare attributes' masks with every kind of random mask, by every measure there is, over all N.

    ``data``: released lesions have one kind, and no AUC; ``masks``: bool (attribute, size, layer, neuron), the attributes'
    own. Gives an index (comparison, measure); ``value``, ``low``, ``high``, ``p`` (two-sided), ``error`` of
    :func:`compare_masks`.
    """
    kinds, rows = [str(name) for name in data.kind.values if name != "selective"], {}
    for kind, measure in product(kinds, [name for name in ("accuracy", "auc") if name in data]):
        selective, random = (mask_means(data, name, sizes, measure) for name in ("selective", kind))
        related = relate_masks(masks.sel(size=list(sizes)), is_matched(kind))
        intact = float(data["baseline" if measure == "accuracy" else f"baseline_{measure}"].mean())
        rows[kind, measure] = compare_masks(selective, random, related, intact, is_matched(kind)).loc[ALL]
    return pd.DataFrame(rows).T[["value", "low", "high", "p", "error"]].rename_axis(["comparison", "measure"])


def say_why(table: pd.DataFrame) -> str:
    """Why a row of :func:`compare_masks` has no p; of several reasons that of the row with the first one.

    >>> say_why(pd.DataFrame({"p": [0.2, np.nan], "error": [0.1, 0.2]}))
    'random masks cost no more than chance, so that nothing can be a share of it'
    """
    error = table["error"][table["p"].isna()]
    reasons = {"there is one random mask only": error.isna(), "masks do not differ": error == 0, _NO_COST: error > 0}
    return next((reason for reason, rows in reasons.items() if rows.any()), "there are too few masks")


def is_matched(kind: str) -> bool:
    """Tell whether random masks of a kind are matched to an attribute's own mask (:mod:`emonb.analysis.masks`)."""
    return kind != "random"


def _arrange(
    selective: xr.DataArray, random: xr.DataArray, related: xr.DataArray, sizes: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Own masks [size, attribute], random ones [size, attribute, draw], correlations [attribute, size, other, size]."""
    names = selective.attribute.values
    own = selective.sel(size=sizes).mean("draw").transpose("size", "attribute").values
    drawn = random.sel(attribute=names, size=sizes).transpose("size", "attribute", "draw").values
    shared = related.sel(attribute=names, size=sizes, other=names, other_size=sizes)
    return own, drawn, shared.transpose("attribute", "size", "other", "other_size").values


def _compare(own: np.ndarray, drawn: np.ndarray, shared: np.ndarray, intact: float, matched: bool) -> tuple[float, ...]:
    """One row of :func:`compare_masks`; arrays as of :func:`_arrange`."""
    variance, df = _spread(drawn, matched)
    sd, n_sizes = np.sqrt(variance), len(variance)
    of_own = sd * (shared.mean((0, 2)) @ sd) / n_sizes**2  # each size's part in the variance of the mean of all own masks
    of_random = variance / (n_sizes**2 * drawn[0].size)
    error, df = pool_errors(of_own + of_random, np.full(n_sizes, df))
    loss, cost = float(intact - own.mean()), float(intact - drawn.mean())
    excess = _divide(loss, cost, of_own.sum(), of_random.sum(), df)
    return (*excess, loss - cost, error, loss, cost)


def _spread(drawn: np.ndarray, matched: bool) -> tuple[np.ndarray, float]:
    """Variance between random masks of each size, matched ones around an attribute's mean, and its degrees of freedom."""
    groups = drawn if matched and drawn.shape[2] > 1 else drawn.reshape(len(drawn), 1, -1)
    variance = np.array([np.mean([_variance(group) for group in size]) for size in groups])
    return variance, float(groups.shape[1] * (groups.shape[2] - 1))


def _divide(loss: float, cost: float, of_loss: float, of_cost: float, df: float) -> Estimate:
    """Excess of one loss over another, loss / cost - 1, with the t test of their difference and Fieller's intervals."""
    test = from_t(loss - cost, float(np.sqrt(of_loss + of_cost)), df)
    value = loss / cost - 1 if cost else np.nan
    ends = []
    for level in (0.95, 0.90):
        bound = scipy.stats.t.isf((1 - level) / 2, df) ** 2
        a, b, c = cost**2 - bound * of_cost, loss * cost, loss**2 - bound * of_loss
        if not (np.isfinite(test.p) and a > 0 and cost > 0):  # random masks may cost nothing
            return Estimate(float(value))
        half = np.sqrt(b**2 - a * c)
        ends += [float((b - half) / a - 1), float((b + half) / a - 1)]
    return Estimate(*(float(number) for number in (value, *ends, *test[5:])))


def _count_outside(pairs: Sequence[tuple[np.ndarray, np.ndarray]], expected: float, apart: float) -> float:
    """Share of all sums of a left and a right part that lie at least so far from what is expected."""
    hits = total = 0
    for left, right in pairs:
        right = np.sort(right)
        low = np.searchsorted(right, expected - apart - left, side="right")
        high = np.searchsorted(right, expected + apart - left, side="left")
        hits += int((low + len(right) - np.maximum(high, low)).sum())
        total += len(left) * len(right)
    return hits / total


def _subset_sums(values: np.ndarray) -> dict[int, np.ndarray]:
    """Sums of all subsets, by the number of members."""
    sums, members = np.zeros(1), np.zeros(1, int)
    for value in values:
        sums, members = np.r_[sums, sums + value], np.r_[members, members + 1]
    return {k: sums[members == k] for k in range(len(values) + 1)}


def _variance(values: np.ndarray) -> float:
    """Variance of a sample; 0 where it varies by no more than rounding, NaN where it is no sample."""
    if len(values) < 2:
        return float("nan")
    return float(values.var(ddof=1)) if varies(values) else 0.0


def _holm(p: np.ndarray) -> np.ndarray:
    """Correct p values by Holm's step-down method.

    >>> _holm(np.array([0.01, 0.04, 0.03])).round(9).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    return np.minimum(stepped, 1)[np.argsort(order)]


def adjust_for_depth(
    selective: xr.DataArray, depth: xr.DataArray, random: xr.DataArray, random_depth: xr.DataArray
) -> pd.DataFrame:
    """Compare random and selective masks at one mean layer (analysis of covariance, masks of unequal variance).

    Unit of inference: the mask. Population: attributes like these and random masks. Fixed: emotions, seeds. Assumed:
    accuracy is linear in the mean layer; around the line selective masks are independent and normal, and so are random
    masks. For all N together accuracy and layer are averaged over the sizes first, as an attribute's masks are nested.

    ``selective``, ``random`` (attribute, size, draw): from :func:`mask_means`; ``depth`` (attribute, size): mean layer of
    the selective masks (:func:`mean_layer`); ``random_depth`` (attribute, size, draw): of the random ones, the middle
    layer where they are spread evenly.

    Returns
    -------
    DataFrame
        One row an N and one for all: ``value`` (random - selective at the random masks' layer) with intervals and p as
        :class:`~emonb.analysis.statistics.Estimate`; ``raw`` difference; ``explained`` = raw - value, the part of the
        difference that depth accounts for (negative: depth works against it); ``slope`` (accuracy a layer) and mean
        ``depth`` of the selective masks. NaN where all masks are equally deep.
    """
    attributes = selective.attribute.values
    random, place = random.sel(attribute=attributes), random_depth.sel(attribute=attributes)
    depth = depth.sel(attribute=attributes, size=selective["size"].values)
    tests, more = {}, []
    for name in [*selective["size"].values.tolist(), ALL]:
        y, x, other, at = (
            (array.mean("size") if name == ALL else array.sel(size=name)).values
            for array in (selective.mean("draw"), depth, random, place)
        )
        n, x0, spread = len(y), float(at.mean()), float(((x - x.mean()) ** 2).sum())
        slope = float((x - x.mean()) @ y / spread) if spread > 1e-12 else np.nan
        fitted = y.mean() + slope * (x0 - x.mean())
        residual = float(((y - y.mean() - slope * (x - x.mean())) ** 2).sum() / (n - 2)) if n > 2 else np.nan
        residual = residual if varies(y) else 0.0
        variances = [residual * (1 / n + (x0 - x.mean()) ** 2 / spread) if spread > 1e-12 else np.nan]
        variances.append(other.var(ddof=1) / other.size if varies(other) else 0.0)
        tests[name] = from_t(
            float(other.mean() - fitted), *pool_errors(np.array(variances), np.array([n - 2, other.size - 1]))
        )
        more.append((other.mean() - y.mean(), fitted - y.mean(), slope, x.mean()))
    table = to_table(tests, "N")
    return table.join(pd.DataFrame(more, table.index, ["raw", "explained", "slope", "depth"]))
