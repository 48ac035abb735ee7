"""Which attributes have neurons: label permutations of every neuron, family-wise by min-P, by rate, and by count."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.stats
import xarray as xr

from emonb.analysis.inference import benjamini_hochberg, draw_permutations, paper_q, parametric_tau_p, permute_rdm
from emonb.analysis.kendall import count_scores, norms, pack_signs
from emonb.analysis.kendall_octets import count_fast
from emonb.analysis.normal_scores import N_MOMENTS, Found, Tail, Work, permute_scores
from emonb.analysis.rdm import average_neuron_rdms, order_emotions, pair_labels


def find_neurons(
    activations: xr.Dataset,
    humans: xr.Dataset,
    permutations: int,
    seed: int,
    seeds: Sequence[int] | None = None,
    chunk: int = 50,
    device: str = "cpu",
    progress: bool = False,
    work: Work | None = None,
    moments: int = N_MOMENTS,
    null: xr.Dataset | None = None,
) -> xr.Dataset:
    """Test every neuron's RDM against every attribute's (tau-b, one-sided), by permuting emotions.

    Unit of inference: the emotion. Population: the relabellings of these emotions; neurons and attributes are these ones.
    Exchangeability assumed: under the null the attributes' labels carry no information about the neurons, so that every
    relabelling is equally likely (Mantel 1967); one relabelling serves all neurons and attributes, which keeps their
    dependence. An attribute that no neuron carries but that correlates with one that is carried is not under this null:
    see :func:`emonb.analysis.own.find_own_neurons`.

    Parameters
    ----------
    activations : Dataset
        ``activation`` (seed, emotion, layer, neuron).
    humans : Dataset
        ``attribute_rdm`` (attribute, pair).
    permutations, seed : int
        Relabellings of the test; more of them give the null distributions' moments.
    seeds : sequence of int, optional
        Of the prompts; all if none are given.
    chunk : int
        Permutations at a time; bounds the memory.
    device : str
        ``cuda`` multiplies signs on a GPU; anything else counts bits. Scores are integers: the results are the same.
    progress : bool
    work : Work, optional
        Where blocks of permutations are made and kept (:func:`emonb.analysis.normal_scores.permute_scores`).
    moments : int
        Relabellings from which the moments are taken.
    null : Dataset, optional
        Result of a test like this one (of other seeds, or of more layers) whose moments are used in their place.

    Returns
    -------
    Dataset
        Over (attribute, layer, neuron): ``tau``; ``score``, its normal score; ``mean``, ``sd`` and ``skew`` over
        relabellings; ``p``, by permutation; ``q`` (Benjamini & Hochberg 1995 within the attribute, of the normal scores'
        tails, which no number of permutations bounds) and ``q_pooled`` (the same over all attributes together); ``p_fwe``
        (min-P over neurons within the attribute, Westfall & Young 1993); ``p_parametric`` (normal approximation, pairs as
        independent) and ``q_paper`` (p * N / rank over all tests), as the study has them. Over (attribute): ``beyond``,
        neurons beyond their own one-sided .05; ``beyond_null``, its mean over relabellings; ``beyond_p``, one-sided. Over
        (permutation, attribute): ``peak``, the highest normal score.

    Raises
    ------
    LabelError
        The two are about different emotions.
    """
    activation = activations.activation.sel(seed=list(seeds)) if seeds else activations.activation
    neurons = average_neuron_rdms(order_emotions(activation, humans.attribute_rdm))
    rdms = humans.attribute_rdm.transpose("attribute", "pair").to_numpy()
    orders = draw_permutations(len(pair_labels(humans.attribute_rdm)), permutations + (0 if null else moments), seed)
    x, y = pack_signs(neurons), pack_signs(rdms)
    observed, norm = count_scores(x, y), norms(x.n_untied, y.n_untied)
    count = _make_counter(neurons, device)
    tail = None if null is None else read_tail(null, activation, humans.attribute_rdm, norm)
    found = permute_scores(
        lambda batch: count(permute_rdm(rdms, batch)), observed, orders, chunk, progress, work, moments, tail
    )
    tau = observed / norm
    parametric = parametric_tau_p(tau, neurons, rdms)
    arrays = {
        "tau": tau,
        "mean": found.mean / norm,
        "sd": found.sd / norm,
        "p_parametric": parametric,
        "q_paper": paper_q(parametric),
    }
    return label_neurons(arrays, found, activation, humans.attribute_rdm).assign_attrs(n_permutations=permutations)


def read_tail(
    null: xr.Dataset, activation: xr.DataArray, attribute_rdm: xr.DataArray, unit: np.ndarray | float = 1.0
) -> Tail:
    """Moments [n_neurons, n_attributes] that a result has for these neurons and attributes, in another unit."""
    chosen = {
        "attribute": attribute_rdm.attribute.values,
        "layer": activation.layer.values,
        "neuron": activation.neuron.values,
    }
    some = null[["mean", "sd", "skew"]].sel(chosen).transpose("layer", "neuron", "attribute")
    mean, sd, skew = (some[name].to_numpy().reshape(-1, some.sizes["attribute"]) for name in ("mean", "sd", "skew"))
    return Tail(np.nan_to_num(mean * unit), np.nan_to_num(sd * unit), skew)  # what never varies has no spread


def label_neurons(
    arrays: dict[str, np.ndarray], found: Found, activation: xr.DataArray, attribute_rdm: xr.DataArray
) -> xr.Dataset:
    """Label a result, and more arrays [n_neurons, n_attributes] (also means and spreads, in the statistic's unit).

    What is not defined (a neuron or attribute that never varies) has a normal score of minus infinity, and p and q are 1.
    """
    coords = {
        "attribute": attribute_rdm.attribute.values,
        "layer": activation.layer.values,
        "neuron": activation.neuron.values,
    }
    shape = [len(values) for values in coords.values()]
    defined = np.isfinite(found.score)
    tail = scipy.stats.norm.sf(found.score)
    tests = {
        "score": found.score,
        "skew": found.skew,
        "p": np.where(defined, found.p, 1.0),
        "p_fwe": np.where(defined, found.p_fwe, 1.0),
        "q": np.stack([benjamini_hochberg(column) for column in tail.T], axis=1),
        "q_pooled": benjamini_hochberg(tail.ravel()).reshape(tail.shape),
    }
    named: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        name: (tuple(coords), array.T.reshape(shape)) for name, array in {**tests, **arrays}.items()
    }
    named |= {name: (("attribute",), getattr(found, name)) for name in ("beyond", "beyond_null", "beyond_p")}
    return xr.Dataset({**named, "peak": (("permutation", "attribute"), found.peak)}, coords=coords)


def _make_counter(neurons: np.ndarray, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Function of relabelled RDMs [n, n_y, n_pairs]: the numerators of tau-b [n_neurons, n * n_y]."""
    if not device.startswith("cuda"):
        x = pack_signs(neurons)
        return lambda batch: count_fast(x, pack_signs(batch.reshape(-1, batch.shape[-1])))
    from emonb.analysis.kendall_gpu import SignMatrix

    signs = SignMatrix(neurons, device)
    return lambda batch: signs.score(SignMatrix(batch.reshape(-1, batch.shape[-1]), device)).int().cpu().numpy()
