import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emonb.study import Study, load_study, write_example

EMOTIONS = ("calm", "dread", "glee", "gloom", "pique")
ATTRIBUTES = ("bright", "loud")


@pytest.fixture(scope="module")
def own_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A run directory of the module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMONB_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Study file of a new study of somebody's own, as ``emonb new`` writes it."""
    return write_example(tmp_path / "mine")


@pytest.fixture
def tiny_study() -> Study:
    """A study with the published study's file layout, 5 emotions, 2 attributes, 2 seeds, 2 layers of 3 neurons."""
    study = load_study("published")
    fields = study.model_dump(mode="json")
    fields.update(
        name="tiny",
        emotions=list(EMOTIONS),
        attributes=list(ATTRIBUTES),
        seeds=[1, 2],
        layers=2,
        neurons=3,
        sizes=[2, 4],
        size=4,
    )
    fields["corpus"].update(labels=None)
    fields["released"].update(lesion_keys={"shine": "bright", "noise": "loud"}, random_only_sizes=[1])
    return Study.model_validate(fields)


@pytest.fixture
def human_paths(tiny_study: Study, tmp_path: Path) -> dict[str, Path]:
    """Valid human files of the tiny study, emotions in another order than the study lists them."""
    rng = np.random.default_rng(0)
    order = [EMOTIONS[k] for k in (3, 0, 4, 1, 2)]
    score = rng.random((5, 2))
    i, j = np.triu_indices(5, 1)
    judgments = rng.integers(1, 10, (4, 10)).astype(float)
    columns = ",".join(f"V{k + 1}" for k in range(10))
    texts = {
        "order": "\n".join(order) + "\n",
        "judgments": columns + "\n" + "\n".join(",".join(map(str, row)) for row in judgments) + "\n",
        "mean_judgments": "mean\n" + "\n".join(repr(float(v)) for v in judgments.mean(0)) + "\n",
        "scores": "loud,bright\n" + "\n".join(f"{b!r},{a!r}" for a, b in score.tolist()) + "\n",
        "attribute_rdms": "bright,loud\n"
        + "\n".join(f"{a * 3!r},{b * 2!r}" for a, b in np.abs(score[i] - score[j]).tolist())
        + "\n",
        "agreement": "Emotion,Count,Interrater Correlation,Cohen's kappa,Accuracy,,\n"
        + "\n".join(f"{e},10,0.5,0.{k + 1},0.8,," for k, e in enumerate(EMOTIONS))
        + "\n,,,,,,\n",
    }
    paths = {}
    for name, text in texts.items():
        paths[name] = tmp_path / f"{name}.csv"
        paths[name].write_text(text, encoding="utf-8")
    return paths


@pytest.fixture
def lesion_paths(tiny_study: Study, tmp_path: Path) -> dict[str, dict[tuple[str, int], Path]]:
    """Valid lesion files; the value encodes where it belongs."""
    files: dict[str, dict[tuple[str, int], Path]] = {"selective": {}, "random": {}}
    for kind, word, sizes in (("selective", "top", (2, 4)), ("random", "random", (1, 2, 4))):
        for e, emotion in enumerate(EMOTIONS):
            for seed in (1, 2):
                entries = {"sentiment": emotion, "seed": seed, "best": 0.9}
                for a, name in enumerate(("noise", "shine")):  # not the study's order
                    for size in sizes:
                        entries[f"{name}_{word}{size}"] = (a + 2 * e + 20 * seed + 100 * size) / 1000
                path = tmp_path / f"{kind}-{emotion}-{seed}.json"
                path.write_text(json.dumps(entries))
                files[kind][emotion, seed] = path
    return files
