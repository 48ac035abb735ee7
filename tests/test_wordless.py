"""Comments without the emotions' words: which they are, and lesions on them."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import xarray as xr

from emonb.data import committed
from emonb.data.comments import hold_words
from emonb.data.tables import pick_masks
from emonb.errors import StudyError
from emonb.model.backbone import Live
from emonb.model.silencing import lesion_prompts
from emonb.run.runs import Run
from emonb.study import load_study


@pytest.mark.parametrize(
    ("text", "word"),
    [("Loved it", "love"), ("LOVING", "love"), ("pities", "pity"), ("the saddest", "sad"), ("in awe.", "awe"),
     ("thanks!", "thank"), ("my self-love", "self-love"), ("love-hate", "hate"), ("panicking", "panick")],
)  # fmt: skip
def test_words_are_found_in_their_inflections(text: str, word: str) -> None:
    assert hold_words([text], [word]).tolist() == [True]


@pytest.mark.parametrize(("text", "word"), [("clover", "love"), ("sadism", "sad"), ("awful", "awe"), ("self", "self-love")])
def test_other_words_are_none(text: str, word: str) -> None:
    assert hold_words([text], [word]).tolist() == [False]


def test_every_emotion_has_its_name_among_its_words() -> None:
    study = load_study("minilm")
    assert set(study.emotion_words) == set(study.emotions)
    assert all(emotion in study.emotion_words[emotion] for emotion in study.emotions)


def test_lesions_without_words_are_those_of_comments_that_hold_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMONB_RUNS", str(tmp_path / "runs"))
    path = tiny.save_study(tmp_path, **tiny.SHARED)
    changed = {"tuning.epochs": 1, "tuning.examples": 8}
    run = Run(load_study(str(path), **changed), progress=False)
    with pytest.raises(StudyError, match="does not say which words"):
        run.load("wordless")
    comments = run.load("comments")
    test = comments[comments["split"] == run.study.lesions.split]
    gone = str(run.study.emotions[0])  # a word of each of its comments
    words = {gone: sorted({text.split()[-1] for text in test.loc[test[gone], "text"]})}
    held = hold_words(list(comments["text"]), words[gone])
    assert held.any() and not held.all()
    run = Run(load_study(run.study, emotion_words=words), progress=False)
    found, masks, study = run.load("wordless"), run.load("masks"), run.study
    left = comments[~held].reset_index(drop=True)
    kept = [e for e in study.emotions if left.loc[left["split"] == study.lesions.split, e].any()]
    assert gone not in kept and found.emotion.values.tolist() == kept
    chosen = pick_masks(masks, study.size, study.lesions.comparison)
    assert set(chosen["size"].values.tolist()) == {study.size} and (chosen.kind == "selective").any()
    live = Live(run.backbone(), study.layers, study.neurons, left, study.tuning, "cpu")
    given = (study.lesioned_seeds, study.attributes, [study.size], study.lesions)
    again = lesion_prompts(live, run.load("prompts").sel(emotion=kept), chosen, *given, progress=False)
    xr.testing.assert_allclose(found.drop_attrs(), again.drop_attrs(), atol=1e-9)
    recipe, log = run.recipe("wordless"), {"device": "cpu", "seconds": 1.0}
    files = {"wordless": committed.write("wordless", found, recipe, tmp_path, log, chosen)}
    assert files["wordless"].name == "wordless.json"
    given = (study.attributes, study.size, study.lesions.comparison)
    read = committed.read_wordless(masks, *given, files, recipe)
    np.testing.assert_array_equal(read.mask_auc.values, found.mask_auc.values)
    assert not len(committed.read_wordless(masks, *given, {}, recipe))
