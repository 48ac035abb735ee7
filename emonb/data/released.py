"""The authors' released results as labelled arrays; a name that does not fit the study is an error, never a NaN."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xarray as xr
from tqdm import tqdm

from emonb.data.checks import check_finite, check_labels, numeric, read_table
from emonb.errors import LabelError
from emonb.settings import Released
from emonb.study import Study


def released_files(study: Study, kind: str) -> dict[tuple[str, int], str]:
    """URL paths of a per-prompt kind of file (``activations``, ``lesions_selective``, ...), by (emotion, seed)."""
    template = getattr(_released(study), kind)
    return {(e, s): template.format(emotion=e, seed=s) for e in study.emotions for s in study.seeds}


def read_accuracy(study: Study, path: Path) -> xr.DataArray:
    """Accuracy of every tuned prompt on the dev split; dims (seed, emotion), fractions 0..1.

    Seeds of the file that the study leaves out are dropped; a seed of the study that the file lacks is an error.
    """
    table = read_table(path, ["sentiment", "random_seed", "accuracy"])
    check_labels(table["sentiment"].unique(), study.emotions, "emotions", path)
    wide = table.pivot(index="random_seed", columns="sentiment", values="accuracy")
    check_labels([s for s in wide.index if s in study.seeds], study.seeds, "seeds", path)
    wide = wide.loc[list(study.seeds), list(study.emotions)]
    values = numeric(wide, path)
    _check_fractions(values, path)
    return xr.DataArray(
        values,
        dims=("seed", "emotion"),
        coords={"seed": list(study.seeds), "emotion": list(study.emotions)},
        name="accuracy",
    )


def read_activations(study: Study, files: dict[tuple[str, int], Path], progress: bool = True) -> xr.DataArray:
    """FFN activations of every prompt; dims (seed, emotion, layer, neuron), float64.

    Parameters
    ----------
    study : Study
    files : dict of (emotion, seed) to Path
        One CSV each: a header 0, 1, 2, ... and one row of layers * neurons numbers, layer by layer.
    progress : bool
        Show a progress bar.

    Raises
    ------
    LabelError
        A column missing or renamed, or a value that is not a finite number.
    """
    n = study.layers * study.neurons
    header = ",".join(map(str, range(n))).encode()
    out = np.empty((len(study.seeds), len(study.emotions), n))
    where = {key: (study.seeds.index(key[1]), study.emotions.index(key[0])) for key in files}

    def one(key: tuple[str, int]) -> None:
        out[where[key]] = _read_row(files[key], header, n)

    with ThreadPoolExecutor(2) as pool:
        list(tqdm(pool.map(one, files), total=len(files), desc="activations", unit="prompt", disable=not progress))
    return xr.DataArray(
        out.reshape(len(study.seeds), len(study.emotions), study.layers, study.neurons),
        dims=("seed", "emotion", "layer", "neuron"),
        coords={
            "seed": list(study.seeds),
            "emotion": list(study.emotions),
            "layer": np.arange(1, study.layers + 1),
            "neuron": np.arange(study.neurons),
        },
        name="activation",
    )


def read_ranks(study: Study, path: Path) -> xr.DataArray:
    """Published searchlight ranks (1 = highest tau, ties averaged); dims (attribute, layer, neuron)."""
    table = read_table(path, study.attributes)
    if len(table) != study.layers * study.neurons:
        raise LabelError(f"{path}: expected {study.layers * study.neurons} neurons, found {len(table)} rows")
    values = numeric(table, path).T.reshape(len(study.attributes), study.layers, study.neurons)
    return xr.DataArray(
        values,
        dims=("attribute", "layer", "neuron"),
        coords={
            "attribute": list(study.attributes),
            "layer": np.arange(1, study.layers + 1),
            "neuron": np.arange(study.neurons),
        },
        name="rank",
    )


def read_lesions(study: Study, files: dict[str, dict[tuple[str, int], Path]]) -> xr.Dataset:
    """Accuracy with neurons silenced; ``accuracy`` (kind, attribute, size, seed, emotion), ``baseline`` (seed, emotion).

    Parameters
    ----------
    study : Study
    files : dict of kind to dict of (emotion, seed) to Path
        Kinds are ``selective`` and ``random``; sizes that only the random files have are NaN in ``selective``.

    Raises
    ------
    LabelError
        An unknown attribute, emotion or size, a missing entry, a value outside 0..1.
    """
    extra = _released(study).random_only_sizes
    sizes = sorted((*study.sizes, *extra))
    kinds = {"selective": ("top", study.sizes), "random": ("random", tuple(sizes))}
    shape = (len(kinds), len(study.attributes), len(sizes), len(study.seeds), len(study.emotions))
    accuracy, baseline = np.full(shape, np.nan), np.full(shape[3:], np.nan)
    for k, (kind, (word, kind_sizes)) in enumerate(kinds.items()):
        for (emotion, seed), path in files[kind].items():
            s, e = study.seeds.index(seed), study.emotions.index(emotion)
            baseline[s, e], entries = _read_lesion(study, path, emotion, seed, word, kind_sizes)
            for (attribute, size), value in entries.items():
                accuracy[k, study.attributes.index(attribute), sizes.index(size), s, e] = value
    return xr.Dataset(
        {
            "accuracy": (("kind", "attribute", "size", "seed", "emotion"), accuracy),
            "baseline": (("seed", "emotion"), baseline),
        },
        coords={
            "kind": list(kinds),
            "attribute": list(study.attributes),
            "size": sizes,
            "seed": list(study.seeds),
            "emotion": list(study.emotions),
        },
    )


def _released(study: Study) -> Released:
    if study.released is None:
        raise LabelError(f"study '{study.name}' has no released files; set its stages to 'computed'")
    return study.released


def _read_row(path: Path, header: bytes, n: int) -> np.ndarray:
    first, _, rest = path.read_bytes().partition(b"\n")
    if first.strip().replace(b'"', b"") != header:
        found = first.count(b",") + 1
        raise LabelError(f"{path}: expected the columns 0 ... {n - 1}, found {found} columns (missing or renamed)")
    try:
        row = np.array(rest.split(b","), dtype=np.float64)
    except ValueError as error:
        raise LabelError(f"{path}: a value is not a number ({error})") from None
    if row.shape != (n,):
        raise LabelError(f"{path}: expected one row of {n} values, found {row.size} values")
    check_finite(row, path)
    return row


def _read_lesion(
    study: Study, path: Path, emotion: str, seed: int, word: str, sizes: tuple[int, ...]
) -> tuple[float, dict[tuple[str, int], float]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise LabelError(f"{path}: not valid JSON ({error}); fetch the file again") from None
    if entries.pop("sentiment", None) != emotion or entries.pop("seed", None) != seed:
        raise LabelError(f"{path}: the file is not about emotion '{emotion}', seed {seed}")
    names = _released(study).lesion_keys
    wanted = {f"{name}_{word}{size}": (names[name], size) for name in names for size in sizes}
    for key in entries:
        if key != "best" and key not in wanted:
            stem = key.rsplit("_", 1)[0]
            problem = "an entry no size of the study explains" if stem in names else f"the unknown attribute '{stem}'"
            raise LabelError(f"{path}: '{key}' is {problem}; known: {', '.join(names)} x {list(sizes)}")
    check_labels(entries, [*wanted, "best"], "entries", path)
    values = np.array(list(entries.values()), dtype=np.float64)
    check_finite(values, path)
    _check_fractions(values, path)
    return float(entries.pop("best")), {wanted[key]: float(value) for key, value in entries.items()}


def _check_fractions(values: np.ndarray, where: Path) -> None:
    if values.min() < 0 or values.max() > 1:
        raise LabelError(f"{where}: accuracies must lie in 0..1, found {values.min():.3g} to {values.max():.3g}")
