"""Results of our own that are committed under ``data``: prompts, masks, lesions, what was read; written once, read by name.

Beside every file of numbers lies a JSON file of the same name: its sha256, the settings it was made with, the log. Whoever
reads it says what settings the study has; numbers made with others are refused.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from safetensors.numpy import load_file, save_file

from emonb.artifacts import file_digest, replacing, write_text
from emonb.data.tables import arrange, pick_masks
from emonb.errors import ArtifactError, StudyError

UNBOUND = ("tuning.tokens_per_batch", "tuning.checkpoint_every", "lesions.comparison", "lesions.measure",
           "lesions.selection_seeds")  # fmt: skip
"""Settings that change nothing but rounding, that say something twice, or what is done with a result later."""
LABELS = ("kind", "attribute", "size", "draw")
CURVES = ("dev_accuracy", "train_loss")
STEP = 2**-8
"""To which activations are rounded: as fine as bfloat16 is around 1."""


def name_files(stage: str, folder: str, seeds: Sequence[int], ablation: str) -> dict[Any, str]:
    """Name the JSON files of a stage's committed result.

    >>> name_files("prompts", "small", [1], "zero"), name_files("lesions", "small", [1], "zero")
    ({1: 'small/prompts/seed-1.json'}, {'lesions': 'small/lesions-zero.json'})
    """
    if stage == "prompts":
        return {seed: f"{folder}/prompts/seed-{seed}.json" for seed in seeds}
    return {stage: f"{folder}/{stage}{f'-{ablation}' * (stage == 'lesions')}.json"}


def write_prompts(prompts: xr.Dataset, recipe: dict[str, Any], folder: Path, log: dict[str, Any]) -> list[Path]:
    """Write tuned prompts, one file a seed: a tensor an emotion [position, dimension], float16.

    Parameters
    ----------
    prompts : Dataset
        From :func:`emonb.model.tuning.tune_prompts`.
    recipe : dict
        Settings they were made with (:meth:`emonb.run.runs.Run.recipe`).
    folder : Path
    log : dict
        Device, versions, seconds of each seed.

    Returns
    -------
    list of Path
        The JSON files.
    """
    paths = []
    for seed in prompts.seed.values.tolist():
        mine, path = prompts.sel(seed=seed), folder / name_files("prompts", ".", [seed], "")[seed]
        emotions = [str(emotion) for emotion in mine.emotion.values]
        tensors = {emotion: mine.prompt.sel(emotion=emotion).values.astype(np.float16) for emotion in emotions}
        with replacing(path.with_suffix(".safetensors")) as part:
            save_file(tensors, part)
        learned = {
            emotion: {name: np.round(mine[name].sel(emotion=emotion).values, 6).tolist() for name in ("accuracy", *CURVES)}
            | {"examples": int(mine.examples.sel(emotion=emotion))}
            for emotion in emotions
        }
        paths.append(_describe(path, ".safetensors", recipe, log, emotions=learned))
    return paths


def read_prompts(
    emotions: Sequence[str], seeds: Sequence[int], files: Mapping[int, Path], recipe: dict[str, Any]
) -> xr.Dataset:
    """Read committed prompts, in the form of :func:`emonb.model.tuning.tune_prompts`.

    Parameters
    ----------
    emotions, seeds : sequence
        Those to take; there may be more.
    files : dict of int to Path
        JSON file of each seed.
    recipe : dict
        Settings of the study.

    Raises
    ------
    StudyError
        They were made with other settings.
    ArtifactError
        A file that is not what its JSON file describes.
    """
    noted = [_open(files[seed], ".safetensors", recipe, ("emotions", "seeds")) for seed in seeds]
    tensors = [load_file(files[seed].with_suffix(".safetensors")) for seed in seeds]
    learned = [[note["emotions"][emotion] for emotion in emotions] for note in noted]
    prompt = np.stack([np.stack([each[emotion] for emotion in emotions]) for each in tensors]).astype(np.float32)
    arrays: dict[str, Any] = {"prompt": (("seed", "emotion", "position", "dimension"), prompt)}
    for name in ("accuracy", "examples", *CURVES):
        values = np.array([[each[name] for each in row] for row in learned])
        arrays[name] = (("seed", "emotion", "epoch")[: values.ndim], values)
    epochs = np.arange(1, len(learned[0][0]["dev_accuracy"]) + 1)
    seconds = sum(note["log"]["seconds"] for note in noted)
    rate = len(epochs) * int(arrays["examples"][1].sum()) / seconds
    about = {"device": noted[0]["log"]["device"], "seconds": seconds, "examples_per_second": rate}
    return xr.Dataset(arrays, {"seed": list(seeds), "emotion": list(emotions), "epoch": epochs}, about)


def write_masks(masks: xr.Dataset, recipe: dict[str, Any], folder: Path, log: dict[str, Any]) -> Path:
    """Write masks (:func:`emonb.analysis.masks.plan_masks`), eight neurons a byte; returns the JSON file."""
    path = folder / name_files("masks", ".", (), "")["masks"]
    labels = {name: masks[name].values for name in LABELS}
    _save(path, silenced=np.packbits(_bits(masks), axis=-1), neurons=masks.sizes["neuron"], **labels)
    return _describe(path, ".npz", recipe, log)


def read_masks(
    attributes: Sequence[str],
    sizes: Sequence[int],
    comparisons: Sequence[str],
    draws: int,
    files: Mapping[str, Path],
    recipe: dict[str, Any],
) -> xr.Dataset:
    """Read committed masks in the form of :func:`emonb.analysis.masks.plan_masks`; errors as of :func:`read_prompts`.

    The plan may be smaller than what is committed, as each mask is drawn from its own labels.
    """
    path = files["masks"]
    _open(path, ".npz", recipe, ("attributes", "sizes", "comparisons", "draws"))
    found = _load(path)
    kept = np.isin(found["kind"], ["selective", *comparisons]) & np.isin(found["attribute"], list(attributes))
    kept &= np.isin(found["size"], list(sizes)) & (found["draw"] < draws)
    silenced = np.unpackbits(found["silenced"][kept], axis=-1, count=int(found["neurons"])).astype(bool)
    coords = {name: ("mask", found[name][kept]) for name in LABELS}
    axes = {"layer": np.arange(1, silenced.shape[1] + 1), "neuron": np.arange(silenced.shape[2])}
    return xr.Dataset({"silenced": (("mask", "layer", "neuron"), silenced)}, {**coords, **axes})


def write_lesions(
    lesions: xr.Dataset,
    masks: xr.Dataset,
    recipe: dict[str, Any],
    folder: Path,
    log: dict[str, Any],
    stage: str = "lesions",
) -> Path:
    """Write accuracy and AUC of every mask, seed and emotion (:func:`emonb.model.silencing.lesion_prompts`)."""
    path = folder / next(iter(name_files(stage, ".", (), str(lesions.attrs["ablation"])).values()))
    values = {name: lesions[name].values for name in ("mask_accuracy", "mask_auc", "baseline", "baseline_auc")}
    labels = {name: lesions[f"mask_{name}"].values for name in LABELS}
    axes = {"seed": lesions.seed.values, "emotion": lesions.emotion.values.astype(str)}
    _save(path, fingerprint=_fingerprints(masks), **labels, **axes, **values)
    return _describe(path, ".npz", recipe, log, ablation=lesions.attrs["ablation"], split=lesions.attrs["split"])


def read_lesions(
    masks: xr.Dataset,
    attributes: Sequence[str],
    sizes: Sequence[int],
    files: Mapping[str, Path],
    recipe: dict[str, Any],
) -> xr.Dataset:
    """Read what lesions did in the form of :func:`emonb.model.silencing.lesion_prompts`; errors as of :func:`read_prompts`.

    A mask is known by its neurons, so that no result is taken for another mask's.

    Raises
    ------
    StudyError
        A mask that was not lesioned, or other settings.
    """
    (path,) = files.values()
    note = _open(path, ".npz", recipe, ("attributes", "sizes", "comparisons", "draws"))
    found, mine = _load(path), _fingerprints(masks)
    row = {fingerprint: k for k, fingerprint in enumerate(found["fingerprint"].tolist())}
    missing = sum(fingerprint not in row for fingerprint in mine.tolist())
    if missing:
        raise StudyError(
            f"{missing} of the study's {len(mine)} masks are not among the {len(row)} that were lesioned in {path}; "
            "take the committed masks (-p stages.masks=committed) or compute (-p stages.lesions=computed)"
        )
    where = [row[fingerprint] for fingerprint in mine.tolist()]
    dims = ("mask", "seed", "emotion")
    arrays: dict[str, Any] = {name: (dims, found[f"mask_{name}"][where]) for name in ("accuracy", "auc")}
    arrays |= {name: (dims[1:], found[name]) for name in ("baseline", "baseline_auc")}
    coords = {"seed": found["seed"], "emotion": found["emotion"], **{name: masks[name] for name in LABELS}}
    about = {"ablation": note["ablation"], "split": note["split"]}
    about |= {name: note["log"][name] for name in ("device", "seconds")}
    return arrange(xr.Dataset(arrays, coords), attributes, sizes).assign_attrs(about)


def read_wordless(
    masks: xr.Dataset,
    attributes: Sequence[str],
    size: int,
    comparison: str,
    files: Mapping[str, Path],
    recipe: dict[str, Any],
) -> xr.Dataset:
    """Read lesions on comments without words (:func:`emonb.model.silencing.lesion_wordless`); empty: not made yet."""
    return read_lesions(pick_masks(masks, size, comparison), attributes, [size], files, recipe) if files else xr.Dataset()


def write_moved(moved: xr.Dataset, masks: xr.Dataset, recipe: dict[str, Any], folder: Path, log: dict[str, Any]) -> Path:
    """Write accuracy and AUC under moved masks (:func:`emonb.model.silencing.lesion_moved`), as many as there are."""
    path = folder / name_files("bijections", ".", (), "")["bijections"]
    values = {name: moved[name].to_numpy() for name in ("accuracy", "auc")}
    axes = {name: moved[name].to_numpy() for name in ("attribute", "seed", "emotion")}
    about = {name: moved.attrs[name] for name in ("ablation", "split")}
    about |= {name: int(moved.attrs[name]) for name in ("size", "within_layers")}
    own = _own_masks(masks, moved.attribute.values.tolist(), about["size"])
    _save(path, fingerprint=own, **axes, **values)
    return _describe(path, ".npz", recipe, log, **about)


def read_moved(
    masks: xr.Dataset,
    attributes: Sequence[str],
    size: int,
    bijections: int,
    within_layers: bool,
    files: Mapping[str, Path],
    recipe: dict[str, Any],
) -> xr.Dataset:
    """Read what moved masks did, as :func:`emonb.model.silencing.lesion_moved` gives it; errors of :func:`read_prompts`.

    There are as many bijections as were committed so far, at most those that the study wants, and none where nothing is
    committed, or it is of other masks than the study's.
    """
    none = xr.Dataset({name: (("bijection", "attribute"), np.empty((0, len(attributes)))) for name in ("accuracy", "auc")},
                      {"attribute": list(attributes)})  # fmt: skip
    if not files:
        return none
    path = files["bijections"]
    free, unread = ("attributes", "comparisons", "draws"), ("bijections", "size", "sizes", "within_layers")
    note, found = _open(path, ".npz", recipe, free, unread), _load(path)
    where = [found["attribute"].tolist().index(name) for name in attributes]
    same = (note["size"], note["within_layers"]) == (size, int(within_layers))
    if not same or (found["fingerprint"][where] != _own_masks(masks, attributes, size)).any():
        return none
    arrays = {name: found[name][:bijections, where] for name in ("accuracy", "auc")}
    axes = {"bijection": np.arange(len(arrays["auc"])), "attribute": list(attributes)}
    axes |= {"seed": found["seed"], "emotion": found["emotion"]}
    about = {
        **{name: note[name] for name in ("ablation", "split", "size", "within_layers")},
        "device": note["log"]["device"],
    }
    return xr.Dataset({name: (tuple(axes), values) for name, values in arrays.items()}, axes, about)


def _own_masks(masks: xr.Dataset, attributes: Sequence[str], size: int) -> np.ndarray:
    """Fingerprints of attributes' own masks of one size, in their order."""
    mine = masks.isel(mask=((masks.kind == "selective") & (masks["size"] == size)).values)
    found = dict(zip(mine.attribute.values.tolist(), _fingerprints(mine).tolist(), strict=True))
    return np.array([found.get(name, "") for name in attributes])


def write_dose(dose: xr.Dataset, recipe: dict[str, Any], folder: Path, log: dict[str, Any]) -> Path:
    """Write accuracy and AUC of masks at every dose, and alone (:func:`emonb.model.silencing.dose_prompts`)."""
    path = folder / name_files("dose", ".", (), "")["dose"]
    values = {str(name): values.to_numpy() for name, values in dose.data_vars.items()}
    axes = {name: dose[name].to_numpy() for name in ("kind", "attribute", "dose", "seed")}
    _save(path, emotion=dose.emotion.values.astype(str), **axes, **values)
    return _describe(path, ".npz", recipe, log, split=dose.attrs["split"], size=int(dose.attrs["size"]))


def read_dose(attributes: Sequence[str], comparison: str, files: Mapping[str, Path], recipe: dict[str, Any]) -> xr.Dataset:
    """Read doses in the form of :func:`emonb.model.silencing.dose_prompts`; errors as of :func:`read_prompts`."""
    path = files["dose"]
    note = _open(path, ".npz", recipe, ("attributes", "comparisons", "draws"), ("masks.sizes",))  # of one size, its own
    found = _load(path)
    if comparison not in found["kind"]:
        raise StudyError(f"{path} has doses of {', '.join(dict.fromkeys(found['kind'].tolist()))}, not of {comparison}")
    dims: dict[str, tuple[str, ...]] = {name: ("mask", "dose", "seed", "emotion") for name in ("accuracy", "auc")}
    dims |= {f"only_{name}": ("mask", "seed", "emotion") for name in ("accuracy", "auc")}
    labels = {name: ("mask", found[name]) for name in ("kind", "attribute")}
    axes = {name: found[name] for name in ("dose", "seed", "emotion")}
    dose = xr.Dataset({name: (along, found[name]) for name, along in dims.items()}, {**axes, **labels})
    about = {"split": note["split"], "size": note["size"], "device": note["log"]["device"]}
    return dose.isel(mask=np.isin(found["attribute"], list(attributes))).assign_attrs(about)


def write_activations_in_use(read: xr.Dataset, recipe: dict[str, Any], folder: Path, log: dict[str, Any]) -> Path:
    """Write activations over comments (:func:`emonb.model.reading.read_over_comments`), as whole numbers of STEP."""
    path = folder / name_files("activations_in_use", ".", (), "")["activations_in_use"]
    activation = read.activation.transpose("seed", "emotion", "layer", "neuron")
    axes = {name: activation[name].values for name in ("seed", "layer")}
    steps = np.round(activation.to_numpy() / STEP).astype(np.int16)
    _save(path, activation=steps, emotion=activation.emotion.values.astype(str), **axes)
    return _describe(path, ".npz", recipe, log)


def read_activations_in_use(
    emotions: Sequence[str], seeds: Sequence[int], files: Mapping[str, Path], recipe: dict[str, Any]
) -> xr.Dataset:
    """Read activations in the form of :func:`emonb.model.reading.read_over_comments`; errors as of :func:`read_prompts`."""
    path = files["activations_in_use"]
    note = _open(path, ".npz", recipe, ("emotions", "seeds"))
    found = _load(path)
    activation = (found["activation"] * STEP).astype(np.float32)
    coords = {name: found[name] for name in ("seed", "emotion", "layer")} | {"neuron": np.arange(activation.shape[3])}
    read = xr.Dataset({"activation": (("seed", "emotion", "layer", "neuron"), activation)}, coords)
    return read.sel(seed=list(seeds), emotion=list(emotions)).assign_attrs(device=note["log"]["device"])


def write_centroids(centroids: xr.Dataset, recipe: dict[str, Any], folder: Path, log: dict[str, Any]) -> Path:
    """Write mean sentence embeddings (:func:`emonb.model.reading.embed_emotions`)."""
    path = folder / name_files("centroids", ".", (), "")["centroids"]
    arrays = {name: centroids[name].to_numpy() for name in ("embedding", "comments")}
    _save(path, emotion=centroids.emotion.values.astype(str), **arrays)
    return _describe(path, ".npz", recipe, log)


def read_centroids(emotions: Sequence[str], files: Mapping[str, Path], recipe: dict[str, Any]) -> xr.Dataset:
    """Read means in the form of :func:`emonb.model.reading.embed_emotions`; errors as of :func:`read_prompts`."""
    path = files["centroids"]
    _open(path, ".npz", recipe, ("emotions",))
    found = _load(path)
    arrays = {"embedding": (("emotion", "dimension"), found["embedding"]), "comments": ("emotion", found["comments"])}
    return xr.Dataset(arrays, {"emotion": found["emotion"]}).sel(emotion=list(emotions))


def find_differences(made: Any, wanted: Any, free: Collection[str] = (), name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Settings that are not the same: dotted name, value it was made with, value wanted.

    ``free`` names lists of which some may be wanted, and numbers of which fewer may be.

    >>> list(find_differences({"a": {"b": 1, "n": 9, "s": [1, 3]}}, {"a": {"b": 2, "n": 4, "s": [3]}}, ("n", "s")))
    [('a.b', 1, 2)]
    """
    if isinstance(made, dict) and isinstance(wanted, dict):
        for key in sorted({*made, *wanted}):
            yield from find_differences(made.get(key), wanted.get(key), free, f"{name}.{key}".lstrip("."))
    elif name.rpartition(".")[2] in free and made is not None and wanted is not None:
        fewer = set(wanted) <= set(made) if isinstance(wanted, list) else wanted <= made
        if not fewer:
            yield name, made, wanted
    elif made != wanted and not name.endswith(UNBOUND):
        yield name, made, wanted


def _open(
    path: Path, suffix: str, recipe: dict[str, Any], free: Collection[str], unread: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What is noted beside a file, which must be as it was and made with the settings of the study."""
    note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    numbers = path.with_suffix(suffix)
    if not numbers.is_file() or file_digest(numbers) != note["sha256"]:
        raise ArtifactError(f"{numbers} is not what {path.name} describes; take both from the repository again")
    differences = find_differences(note["recipe"], json.loads(json.dumps(recipe)), free)
    for name, made, wanted in (row for row in differences if not row[0].endswith(unread)):
        raise StudyError(
            f"{path} was made with other settings: {name} was {str(made)[:60]}, the study has {str(wanted)[:60]}; compute "
            "anew what depends on it (-p stages.prompts=computed, stages.masks, stages.lesions)"
        )
    return note


def _describe(path: Path, suffix: str, recipe: dict[str, Any], log: dict[str, Any], **more: Any) -> Path:
    note = {"sha256": file_digest(path.with_suffix(suffix)), **more, "log": log, "recipe": recipe}
    return write_text(json.dumps(note, indent=1) + "\n", path)


def _save(path: Path, **arrays: Any) -> None:
    with replacing(path.with_suffix(".npz")) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
        return dict(file)


def _bits(masks: xr.Dataset) -> np.ndarray:
    return masks.silenced.transpose("mask", "layer", "neuron").to_numpy()


def _fingerprints(masks: xr.Dataset) -> np.ndarray:
    """Short hash of each mask's neurons."""
    return np.array([hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()[:16] for mask in _bits(masks)])
