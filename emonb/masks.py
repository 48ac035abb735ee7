"""What masks can tell: variance by mask, emotion and seed; depth; how many masks an effect would need."""

import numpy as np
import scipy.stats
import xarray as xr


def variance_components(accuracy: xr.DataArray) -> dict[str, float]:
    """Variance of accuracy over masks, emotions and seeds (crossed random effects, expected mean squares).

    Parameters
    ----------
    accuracy : DataArray, dims (attribute, seed, emotion)
        One mask per attribute, of one kind and size. A single observation per cell, so the three-way interaction and
        noise are one component (``residual``).

    Returns
    -------
    dict
        Share of the total variance of ``mask``, ``emotion``, ``seed``, the two-way interactions
        (``mask:emotion``, ``mask:seed``, ``emotion:seed``) and ``residual``. Negative estimates are set to 0.
    """
    dims = ("attribute", "emotion", "seed")
    values = accuracy.transpose(*dims).to_numpy()
    sizes = dict(zip(dims, values.shape, strict=True))
    squares = {key: _mean_square(values, key) for key in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))}
    names = {0: "mask", 1: "emotion", 2: "seed"}
    axes = list(sizes.values())
    out = {"residual": squares[0, 1, 2]}
    for a, b in ((0, 1), (0, 2), (1, 2)):
        other = axes[3 - a - b]
        out[f"{names[a]}:{names[b]}"] = (squares[a, b] - squares[0, 1, 2]) / other
    for a in range(3):
        b, c = (k for k in range(3) if k != a)
        interactions = squares[min(a, b), max(a, b)] + squares[min(a, c), max(a, c)] - squares[0, 1, 2]
        out[names[a]] = (squares[(a,)] - interactions) / (axes[b] * axes[c])
    positive = {name: max(float(value), 0.0) for name, value in out.items()}
    total = sum(positive.values())
    return {name: value / total for name, value in positive.items()}


def layer_profile(mask: xr.DataArray) -> xr.DataArray:
    """Share of each attribute's mask that lies in each layer; dims (attribute, layer)."""
    return mask.sum("neuron") / mask.sum(("layer", "neuron"))


def mean_depth(mask: xr.DataArray) -> xr.DataArray:
    """Mean layer (1 = first) of each attribute's neurons; dims (attribute,)."""
    profile = layer_profile(mask)
    return (profile * profile.layer).sum("layer")


def partial_correlation(a: np.ndarray, b: np.ndarray, given: np.ndarray) -> float:
    """Pearson correlation of ``a`` and ``b`` given one covariate."""
    rab, rac, rbc = (np.corrcoef(u, v)[0, 1] for u, v in ((a, b), (a, given), (b, given)))
    return float((rab - rac * rbc) / np.sqrt((1 - rac**2) * (1 - rbc**2)))


def leave_one_out(drop: xr.DataArray, importance: xr.DataArray) -> xr.DataArray:
    """Pearson r over attributes between drop and importance with each attribute left out; dims (attribute, ...)."""
    names = list(drop.attribute.values)
    parts = [xr.corr(drop.drop_sel(attribute=name), importance.drop_sel(attribute=name), dim="attribute") for name in names]
    return xr.concat(parts, dim=xr.DataArray(names, dims="attribute", name="attribute"))


def power_of_masks(
    effect: float,
    sd_selective: float,
    sd_random: float,
    n_selective: int,
    n_random: list[int],
    seed: int,
    n: int = 100_000,
) -> dict[int, float]:
    """Power of a one-sided two-sample test at .05 whose unit is the mask, for several numbers of random masks.

    Parameters
    ----------
    effect : float
        mean(random) - mean(selective), in accuracy.
    sd_selective, sd_random : float
        Standard deviation of a mask's mean accuracy over masks.
    n_selective : int
    n_random : list of int
    seed, n : int
        Simulations of normal masks, tested by Welch's t (the permutation test's power to within simulation error). Means
        and variances are drawn, not masks; every number of random masks meets the same selective ones.

    Returns
    -------
    dict of int to float
    """
    rng = np.random.default_rng(seed)

    def draw(mean: float, sd: float, m: int) -> tuple[np.ndarray, np.ndarray, int]:
        return rng.normal(mean, sd / np.sqrt(m), n), sd * np.sqrt(rng.chisquare(m - 1, n) / (m - 1)), m

    selective = draw(-effect, sd_selective, n_selective)
    power = {}
    for m in n_random:
        test = scipy.stats.ttest_ind_from_stats(*selective, *draw(0, sd_random, m), equal_var=False, alternative="less")
        power[m] = float((test.pvalue < 0.05).mean())
    return power


def masks_needed(effect: float, sd_selective: float, sd_random: float, power: float = 0.8, level: float = 0.05) -> int:
    """Masks of *each* kind that a one-sided two-sample test needs to see an effect (normal approximation).

    Parameters
    ----------
    effect : float
        mean(random) - mean(selective), positive.
    sd_selective, sd_random : float
        Standard deviation of a mask's mean accuracy over masks.
    power, level : float
    """
    if effect <= 0:
        raise ValueError(f"an effect of {effect:.3g} is not in the claim's direction: no number of masks would show it")
    z = scipy.stats.norm.isf(level) + scipy.stats.norm.ppf(power)
    return int(np.ceil(z**2 * (sd_selective**2 + sd_random**2) / effect**2))


def power_of_attributes(r: float, n_attributes: list[int], seed: int, n: int = 20_000) -> dict[int, float]:
    """Power of a one-sided test of a Pearson r at .05 whose unit is the attribute."""
    rng = np.random.default_rng(seed)
    power = {}
    for m in n_attributes:
        x = rng.normal(size=(n, m))
        y = r * x + np.sqrt(1 - r**2) * rng.normal(size=(n, m))
        z = np.arctanh(scipy.stats.pearsonr(x, y, axis=1).statistic) * np.sqrt(m - 3)
        power[m] = float((z > scipy.stats.norm.isf(0.05)).mean())
    return power


def _mean_square(values: np.ndarray, axes: tuple[int, ...]) -> float:
    """Mean square of the effect (interaction) of these axes in a full crossed layout with one value a cell."""
    effect = values
    for axis in range(3):
        if axis in axes:
            effect = effect - effect.mean(axis, keepdims=True)
        else:
            effect = effect.mean(axis, keepdims=True)
    repeats = np.prod([values.shape[k] for k in range(3) if k not in axes])
    df = np.prod([values.shape[k] - 1 for k in axes])
    return float((effect**2).sum() * repeats / df)
