"""Results of our own that are committed under ``data``: prompts, masks, lesions, what was read; written once, read by name.

Beside every file of numbers lies a JSON file of the same name: its sha256, the settings it was made with (the recipe of
:meth:`emonb.run.runs.Run.recipe`), the log. Whoever reads it says what settings the study has; numbers made with others are
refused (StudyError), and so is a file that is not what its JSON file describes (ArtifactError).
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
RUN = ("seed", "emotion")
PLAN = ("attributes", "sizes", "comparisons", "draws")


class Form(NamedTuple):
    """How a result lies in its file."""

    arrays: Mapping[str, tuple[str, ...]]
    """Dimensions of each array."""
    axes: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """Of masks; a table of what was done to masks calls them ``mask_kind``, ..."""
    noted: tuple[str, ...] = ()
    """Attributes that the JSON file tells."""
    free: tuple[str, ...] = ()
    """Lists and numbers in the recipe of which a study may want fewer."""
    unread: tuple[str, ...] = ()
    """Settings that this result does not hang on, or that its reader looks at."""


_LESIONS = Form(
    {**dict.fromkeys(("mask_accuracy", "mask_auc"), ("mask", *RUN)), **dict.fromkeys(("baseline", "baseline_auc"), RUN)},
    RUN, LABELS, ("ablation", "split"), PLAN,
)  # fmt: skip
FORMS = {
    "masks": Form({"silenced": ("mask", "layer", "neuron")}, (), LABELS, (), PLAN),
    "lesions": _LESIONS,
    "wordless": _LESIONS,
    "bijections": Form(
        dict.fromkeys(("accuracy", "auc"), ("bijection", "attribute", *RUN)),
        ("attribute", *RUN), (), ("ablation", "split", "size", "within_layers"), ("attributes", "comparisons", "draws"),
        ("bijections", "size", "sizes", "within_layers"),
    ),
    "dose": Form(
        {**dict.fromkeys(("accuracy", "auc"), ("mask", "dose", *RUN)),
         **dict.fromkeys(("only_accuracy", "only_auc"), ("mask", *RUN))},
        ("dose", *RUN), ("kind", "attribute"), ("split", "size"), ("attributes", "comparisons", "draws"), ("masks.sizes",),
    ),
    "activations_in_use": Form(
        {"activation": (*RUN, "layer", "neuron")}, (*RUN, "layer"), free=("emotions", "seeds")
    ),
    "centroids": Form({"embedding": ("emotion", "dimension"), "comments": ("emotion",)}, ("emotion",), free=("emotions",)),
}  # fmt: skip
"""Every stage whose result is one file; prompts are a file a seed."""


def name_files(stage: str, folder: str, seeds: Sequence[int], ablation: str) -> dict[Any, str]:
    """Name the JSON files of a stage's committed result.

    >>> name_files("prompts", "small", [1], "zero"), name_files("lesions", "small", [1], "zero")
    ({1: 'small/prompts/seed-1.json'}, {'lesions': 'small/lesions-zero.json'})
    """
    if stage == "prompts":
        return {seed: f"{folder}/prompts/seed-{seed}.json" for seed in seeds}
    return {stage: f"{folder}/{stage}{f'-{ablation}' * (stage == 'lesions')}.json"}


def write(
    stage: str,
    made: xr.Dataset,
    recipe: dict[str, Any],
    folder: Path,
    log: dict[str, Any],
    masks: xr.Dataset | None = None,
) -> Path:
    """Write a stage's result but prompts; return its JSON file.

    Masks are packed, eight neurons a byte; activations are whole numbers of :data:`STEP`. ``masks`` are those that were
    lesioned, or moved, by whose neurons the rows are known.
    """
    form, path = FORMS[stage], folder / name_files(stage, ".", (), str(made.attrs.get("ablation")))[stage]
    arrays = {name: made[name].transpose(*dims).to_numpy() for name, dims in form.arrays.items()}
    arrays |= {name: made[name].to_numpy() for name in form.axes}
    arrays |= {name: made[f"mask_{name}" if f"mask_{name}" in made else name].to_numpy() for name in form.labels}
    if stage == "masks":
        arrays |= {"silenced": np.packbits(arrays["silenced"], axis=-1), "neurons": np.array(made.sizes["neuron"])}
    elif stage == "activations_in_use":
        arrays["activation"] = np.round(arrays["activation"] / STEP).astype(np.int16)
    elif stage == "bijections" and masks is not None:
        arrays["fingerprint"] = _own_masks(masks, made.attribute.values.tolist(), int(made.attrs["size"]))
    elif masks is not None:
        arrays["fingerprint"] = _fingerprints(masks)
    arrays = {name: values.astype(str) if values.dtype.kind in "OU" else values for name, values in arrays.items()}
    with replacing(path.with_suffix(".npz")) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    noted = {name: made.attrs[name] for name in form.noted}
    noted = {name: value if isinstance(value, str) else int(value) for name, value in noted.items()}
    return _describe(path, ".npz", recipe, log, **noted)


def _read(stage: str, files: Mapping[str, Path], recipe: dict[str, Any]) -> xr.Dataset:
    """A result as it was written: arrays, axes and labels, with the fingerprints of its masks, and what was noted of it."""
    form, (path,) = FORMS[stage], files.values()
    note = _open(path, ".npz", recipe, form.free, form.unread)
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
        found = dict(file)
    if stage == "masks":
        found["silenced"] = np.unpackbits(found["silenced"], axis=-1, count=int(found["neurons"])).astype(bool)
    arrays = {name: (dims, found[name]) for name, dims in form.arrays.items()}
    coords: dict[str, Any] = {name: found[name] for name in form.axes}
    coords |= {name: ("mask", found[name]) for name in form.labels}
    if "fingerprint" in found:
        coords["fingerprint"] = ("attribute" if stage == "bijections" else "mask", found["fingerprint"])
    about = {name: note[name] for name in form.noted} | {
        n: note["log"][n] for n in ("device", "seconds") if n in note["log"]
    }
    return xr.Dataset(arrays, coords, about)


def read_masks(
    attributes: Sequence[str],
    sizes: Sequence[int],
    comparisons: Sequence[str],
    draws: int,
    files: Mapping[str, Path],
    recipe: dict[str, Any],
) -> xr.Dataset:
    """Read committed masks in the form of :func:`emonb.analysis.masks.plan_masks`.

    The plan may be smaller than what is committed, as each mask is drawn from its own labels.
    """
    found = _read("masks", files, recipe)
    kept = found.kind.isin(["selective", *comparisons]) & found.attribute.isin(list(attributes))
    kept &= found["size"].isin(list(sizes)) & (found.draw < draws)
    axes = {"layer": np.arange(1, found.sizes["layer"] + 1), "neuron": np.arange(found.sizes["neuron"])}
    return found.isel(mask=kept.values).assign_coords(axes).drop_attrs()


def read_lesions(
    masks: xr.Dataset,
    attributes: Sequence[str],
    sizes: Sequence[int],
    files: Mapping[str, Path],
    recipe: dict[str, Any],
) -> xr.Dataset:
    """Read what lesions did in the form of :func:`emonb.model.silencing.lesion_prompts`.

    A mask is known by its neurons, so that no result is taken for another mask's.

    Raises
    ------
    StudyError
        A mask that was not lesioned, or other settings.
    """
    ((stage, path),) = files.items()
    found, mine = _read(stage, files, recipe), _fingerprints(masks).tolist()
    row = {fingerprint: k for k, fingerprint in enumerate(found.fingerprint.values.tolist())}
    missing = sum(fingerprint not in row for fingerprint in mine)
    if missing:
        raise StudyError(
            f"{missing} of the study's {len(mine)} masks are not among the {len(row)} that were lesioned in {path}; "
            "take the committed masks (-p stages.masks=committed) or compute (-p stages.lesions=computed)"
        )
    found = found.isel(mask=[row[fingerprint] for fingerprint in mine]).drop_vars("fingerprint")
    found = found.rename(mask_accuracy="accuracy", mask_auc="auc")
    return arrange(found.assign_coords({name: masks[name] for name in LABELS}), attributes, sizes).assign_attrs(found.attrs)


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


def read_bijections(
    masks: xr.Dataset,
    attributes: Sequence[str],
    size: int,
    bijections: int,
    within_layers: bool,
    files: Mapping[str, Path],
    recipe: dict[str, Any],
) -> xr.Dataset:
    """Read what moved masks did, as :func:`emonb.model.silencing.lesion_moved` gives it.

    There are as many bijections as were committed so far, at most those that the study wants, and none where nothing is
    committed, or it is of other masks than the study's.
    """
    none = xr.Dataset({name: (("bijection", "attribute"), np.empty((0, len(attributes)))) for name in ("accuracy", "auc")},
                      {"attribute": list(attributes)})  # fmt: skip
    if not files:
        return none
    found = _read("bijections", files, recipe).sel(attribute=list(attributes))
    same = (found.attrs["size"], found.attrs["within_layers"]) == (size, int(within_layers))
    if not same or (found.fingerprint.values != _own_masks(masks, attributes, size)).any():
        return none
    found = found.isel(bijection=slice(bijections)).drop_vars("fingerprint")
    return found.assign_coords(bijection=np.arange(found.sizes["bijection"]))


def read_dose(attributes: Sequence[str], comparison: str, files: Mapping[str, Path], recipe: dict[str, Any]) -> xr.Dataset:
    """Read doses in the form of :func:`emonb.model.silencing.dose_prompts`."""
    found = _read("dose", files, recipe)
    if comparison not in found.kind:
        kinds = ", ".join(dict.fromkeys(found.kind.values.tolist()))
        raise StudyError(f"{files['dose']} has doses of {kinds}, not of {comparison}")
    return found.isel(mask=found.attribute.isin(list(attributes)).values)


def read_activations_in_use(
    emotions: Sequence[str], seeds: Sequence[int], files: Mapping[str, Path], recipe: dict[str, Any]
) -> xr.Dataset:
    """Read activations in the form of :func:`emonb.model.reading.read_over_comments`."""
    found = _read("activations_in_use", files, recipe)
    found = found.assign(activation=(found.activation * STEP).astype(np.float32))
    return found.assign_coords(neuron=np.arange(found.sizes["neuron"])).sel(seed=list(seeds), emotion=list(emotions))


def read_centroids(emotions: Sequence[str], files: Mapping[str, Path], recipe: dict[str, Any]) -> xr.Dataset:
    """Read means in the form of :func:`emonb.model.reading.embed_emotions`."""
    return _read("centroids", files, recipe).sel(emotion=list(emotions))


def write_prompts(prompts: xr.Dataset, recipe: dict[str, Any], folder: Path, log: dict[str, Any]) -> list[Path]:
    """Write tuned prompts, one file a seed: a tensor an emotion [position, dimension], float16; return the JSON files."""
    paths = []
    for seed in prompts.seed.values.tolist():
        mine, path = prompts.sel(seed=seed), folder / name_files("prompts", ".", [seed], "")[seed]
        each = {str(emotion): mine.sel(emotion=emotion) for emotion in mine.emotion.values}
        with replacing(path.with_suffix(".safetensors")) as part:
            save_file({emotion: one.prompt.values.astype(np.float16) for emotion, one in each.items()}, part)
        learned = {
            emotion: {name: np.round(one[name].values, 6).tolist() for name in ("accuracy", *CURVES)}
            | {"examples": int(one.examples)}
            for emotion, one in each.items()
        }
        paths.append(_describe(path, ".safetensors", recipe, log, emotions=learned))
    return paths


def read_prompts(
    emotions: Sequence[str], seeds: Sequence[int], files: Mapping[int, Path], recipe: dict[str, Any]
) -> xr.Dataset:
    """Read some of the committed prompts, in the form of :func:`emonb.model.tuning.tune_prompts`."""
    noted = [_open(files[seed], ".safetensors", recipe, ("emotions", "seeds")) for seed in seeds]
    tensors = [load_file(files[seed].with_suffix(".safetensors")) for seed in seeds]
    learned = [[note["emotions"][emotion] for emotion in emotions] for note in noted]
    prompt = np.stack([np.stack([each[emotion] for emotion in emotions]) for each in tensors]).astype(np.float32)
    arrays: dict[str, Any] = {"prompt": ((*RUN, "position", "dimension"), prompt)}
    for name in ("accuracy", "examples", *CURVES):
        values = np.array([[each[name] for each in row] for row in learned])
        arrays[name] = ((*RUN, "epoch")[: values.ndim], values)
    epochs = np.arange(1, len(learned[0][0]["dev_accuracy"]) + 1)
    seconds = sum(note["log"]["seconds"] for note in noted)
    rate = len(epochs) * int(arrays["examples"][1].sum()) / seconds
    about = {"device": noted[0]["log"]["device"], "seconds": seconds, "examples_per_second": rate}
    return xr.Dataset(arrays, {"seed": list(seeds), "emotion": list(emotions), "epoch": epochs}, about)


def _own_masks(masks: xr.Dataset, attributes: Sequence[str], size: int) -> np.ndarray:
    """Fingerprints of attributes' own masks of one size, in their order."""
    mine = masks.isel(mask=((masks.kind == "selective") & (masks["size"] == size)).values)
    found = dict(zip(mine.attribute.values.tolist(), _fingerprints(mine).tolist(), strict=True))
    return np.array([found.get(name, "") for name in attributes])


def _fingerprints(masks: xr.Dataset) -> np.ndarray:
    """Short hash of each mask's neurons."""
    bits = masks.silenced.transpose("mask", "layer", "neuron").to_numpy()
    return np.array([hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()[:16] for mask in bits])


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
