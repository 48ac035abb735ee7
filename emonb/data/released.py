"""The authors' released results as labelled arrays; a name that does not fit the study is an error, never a NaN."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from emonb.data.tables import advise, check_labels, numeric, read_table, read_text
from emonb.errors import LabelError
from emonb.study import Released

Prompt = tuple[str, int]  # emotion, seed


def name_files(template: str, emotions: Sequence[str], seeds: Sequence[int]) -> dict[Prompt, str]:
    """URL paths of a kind of file there is for every prompt, by (emotion, seed).

    >>> name_files("lesions/{emotion}-{seed}.json", ["joy"], [1, 3])
    {('joy', 1): 'lesions/joy-1.json', ('joy', 3): 'lesions/joy-3.json'}
    """
    return {(e, s): template.format(emotion=e, seed=s) for e in emotions for s in seeds}


def read_accuracy(emotions: Sequence[str], seeds: Sequence[int], file: Path) -> xr.Dataset:
    """Accuracy of every tuned prompt on the dev split: ``accuracy`` (seed, emotion), fractions 0..1.

    Seeds of the file that the study leaves out are dropped; a seed of the study that the file lacks is an error.
    """
    table = read_table(file, ["sentiment", "random_seed", "accuracy"])
    _check_fractions(numeric(table[["random_seed", "accuracy"]], file)[:, 1], file)
    check_labels(table["sentiment"].unique(), emotions, "emotions", file)
    twice = table.index[table.duplicated(["sentiment", "random_seed"])]
    if len(twice):
        raise LabelError(f"{file}, line {twice[0]}: an accuracy of this emotion and seed stands above; {advise(file)}")
    wide = table.pivot(index="random_seed", columns="sentiment", values="accuracy")
    check_labels([s for s in wide.index if s in seeds], seeds, "seeds", file)
    values = wide.loc[list(seeds), list(emotions)].to_numpy(np.float64)
    if np.isnan(values).any():
        raise LabelError(f"{file}: not every emotion has an accuracy for every seed; {advise(file)}")
    coords = {"seed": list(seeds), "emotion": list(emotions)}
    return xr.Dataset({"accuracy": (("seed", "emotion"), values)}, coords=coords)


def read_activations(
    emotions: Sequence[str],
    seeds: Sequence[int],
    layers: int,
    neurons: int,
    files: dict[Prompt, Path],
    progress: bool = True,
) -> xr.Dataset:
    """FFN activations of every prompt: ``activation`` (seed, emotion, layer, neuron), float64, dimensionless.

    ``files`` are one CSV each: a header 0, 1, 2, ... and one row of layers * neurons numbers, layer by layer. A LabelError
    where a column is missing or renamed, or a value is not a finite number.
    """
    n = layers * neurons
    header = ",".join(map(str, range(n)))
    values = np.empty((len(seeds), len(emotions), n))

    def one(at: tuple[int, ...]) -> None:
        s, e = at
        values[s, e] = _read_row(files[emotions[e], seeds[s]], header, n)

    places = list(np.ndindex(values.shape[:2]))
    with ThreadPoolExecutor(2) as pool:
        list(tqdm(pool.map(one, places), total=len(places), desc="activations", unit="prompt", disable=not progress))
    by_layer = values.reshape(len(seeds), len(emotions), layers, neurons)  # [seed, emotion, layer, neuron]
    coords = {"seed": list(seeds), "emotion": list(emotions), **_neurons(layers, neurons)}
    return xr.Dataset({"activation": (("seed", "emotion", "layer", "neuron"), by_layer)}, coords=coords)


def read_ranks(attributes: Sequence[str], layers: int, neurons: int, file: Path) -> xr.Dataset:
    """Published searchlight ranks: ``rank`` (attribute, layer, neuron), 1 = highest tau, ties averaged."""
    values = numeric(read_table(file, attributes), file)
    if len(values) != layers * neurons:
        raise LabelError(f"{file}: expected {layers * neurons} neurons, found {len(values)} rows; {advise(file)}")
    ranks = values.T.reshape(len(attributes), layers, neurons)
    coords = {"attribute": list(attributes), **_neurons(layers, neurons)}
    return xr.Dataset({"rank": (("attribute", "layer", "neuron"), ranks)}, coords=coords)


def read_lesions(
    attributes: Sequence[str],
    emotions: Sequence[str],
    seeds: Sequence[int],
    sizes: Sequence[int],
    released: Released,
    selective: dict[Prompt, Path],
    random: dict[Prompt, Path],
) -> xr.Dataset:
    """Accuracy with neurons silenced; ``accuracy`` (kind, attribute, size, seed, emotion), ``baseline`` (seed, emotion).

    ``selective`` and ``random`` are one JSON each; ``released`` says how they name attributes, and sizes only the random
    files have: those are NaN in ``selective``. A LabelError names an unknown attribute, emotion or size, a missing entry,
    a value outside 0..1.
    """
    every = sorted((*sizes, *released.random_only_sizes))
    kinds: dict[str, tuple[dict[Prompt, Path], str, Sequence[int]]] = {
        "selective": (selective, "top", sizes),
        "random": (random, "random", every),
    }
    coords: dict[str, Any] = {"kind": list(kinds), "attribute": list(attributes), "size": every}
    coords |= {"seed": list(seeds), "emotion": list(emotions)}
    accuracy = np.full([len(labels) for labels in coords.values()], np.nan)
    baseline = np.full((len(seeds), len(emotions)), np.nan)
    for k, (files, word, kind_sizes) in enumerate(kinds.values()):
        for (emotion, seed), path in files.items():
            s, e = coords["seed"].index(seed), coords["emotion"].index(emotion)
            baseline[s, e], entries = _read_lesion(path, emotion, seed, released.lesion_keys, word, kind_sizes)
            for (attribute, size), value in entries.items():
                accuracy[k, coords["attribute"].index(attribute), every.index(size), s, e] = value
    return xr.Dataset({"accuracy": (tuple(coords), accuracy), "baseline": (("seed", "emotion"), baseline)}, coords=coords)


def _neurons(layers: int, neurons: int) -> dict[str, np.ndarray]:
    return {"layer": np.arange(1, layers + 1), "neuron": np.arange(neurons)}


def _read_row(path: Path, header: str, n: int) -> np.ndarray:
    first, _, rest = read_text(path).partition("\n")
    if first.strip().replace('"', "") != header:
        found = first.count(",") + 1
        raise LabelError(
            f"{path}: expected the columns 0 ... {n - 1}, found {found} columns (missing or renamed); {advise(path)}, or "
            "correct the study's layers and neurons"
        )
    try:
        row = np.array(rest.split(","), dtype=np.float64)
    except ValueError:
        raise LabelError(f"{path}, line 2: a value is not a number; {advise(path)}") from None
    if row.shape != (n,):
        raise LabelError(f"{path}: expected one row of {n} values, found {row.size} values; {advise(path)}")
    _check_finite(row, path)
    return row


def _read_lesion(
    path: Path, emotion: str, seed: int, names: dict[str, str], word: str, sizes: Sequence[int]
) -> tuple[float, dict[tuple[str, int], float]]:
    try:
        entries = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise LabelError(f"{path}: not valid JSON ({error}); {advise(path)}") from None
    if not isinstance(entries, dict):
        raise LabelError(f"{path}: expected a JSON object with a number for every mask; {advise(path)}")
    if entries.pop("sentiment", None) != emotion or entries.pop("seed", None) != seed:
        raise LabelError(f"{path}: the file is not about emotion '{emotion}', seed {seed}; {advise(path)}")
    wanted = {f"{name}_{word}{size}": (names[name], size) for name in names for size in sizes}
    for key in entries:
        if key != "best" and key not in wanted:
            stem = key.rsplit("_", 1)[0]
            problem = "an entry no size of the study explains" if stem in names else f"the unknown attribute '{stem}'"
            raise LabelError(f"{path}: '{key}' is {problem}; known: {', '.join(names)} x {list(sizes)}")
    check_labels(entries, [*wanted, "best"], "entries", path)
    wrong = [key for key, value in entries.items() if type(value) not in (int, float) or abs(value) > 1e9]
    if wrong:
        raise LabelError(f"{path}: '{wrong[0]}' is not a number of 0 to 1; {advise(path)}")
    values = np.array(list(entries.values()), dtype=np.float64)
    _check_finite(values, path)
    _check_fractions(values, path)
    return float(entries.pop("best")), {wanted[key]: float(value) for key, value in entries.items()}


def _check_finite(values: np.ndarray, path: Path) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise LabelError(f"{path}: {bad} of {values.size} values are not finite numbers; {advise(path)}")


def _check_fractions(values: np.ndarray, path: Path) -> None:
    if values.size and (values.min() < 0 or values.max() > 1):
        raise LabelError(
            f"{path}: accuracies must lie in 0..1, found {values.min():.3g} to {values.max():.3g}; {advise(path)}"
        )
