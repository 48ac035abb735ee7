"""RDMs of the words alone, against what scikit-learn and numpy give for each pair."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_distances

from emonb.analysis.rdm import pair_coords
from emonb.analysis.words import corpus_rdms

COMMENTS = {
    "so calm now": "calm", "calm and glee": "calm glee", "what dread": "dread", "glee glee": "glee",
    "gloom dread": "dread gloom", "pique gloom": "gloom pique", "hm": "", "such pique": "pique",
}  # fmt: skip
ORDER = ["gloom", "calm", "pique", "dread", "glee"]


def _comments() -> pd.DataFrame:
    labels = {e: [e in said.split() for said in COMMENTS.values()] for e in sorted(ORDER)}
    return pd.DataFrame({"split": "train", "text": list(COMMENTS), **labels})


def _humans() -> xr.Dataset:
    return xr.Dataset(coords=pair_coords(ORDER))


def test_words_and_labels_of_every_pair() -> None:
    comments = _comments()
    elsewhere = comments.assign(split="test", text="calm dread pique", calm=True, dread=True)
    made = corpus_rdms(pd.concat([comments, elsewhere], ignore_index=True), _humans())  # training comments only
    assert made.pair.values.tolist()[:2] == ["gloom|calm", "gloom|pique"]
    words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(comments["text"]).toarray()
    any_label = comments[ORDER].any(axis=1)
    for pair in made.pair.values:
        a, b = (comments[name].to_numpy() for name in str(pair).split("|"))
        distance = cosine_distances(words[a].mean(0)[None], words[b].mean(0)[None])[0, 0]
        assert float(made.tfidf.sel(pair=pair)) == pytest.approx(distance, abs=1e-12)
        r = np.corrcoef(a[any_label], b[any_label])[0, 1]
        assert float(made.cooccurrence.sel(pair=pair)) == pytest.approx(1 - r, abs=1e-12)


def test_single_labels_say_nothing_about_similarity() -> None:
    comments = _comments()
    comments = comments[comments[ORDER].sum(axis=1) < 2].assign(gloom=lambda c: c["text"] == "hm")
    comments["text"] = "said " + comments["text"]  # a word that two comments share
    assert list(corpus_rdms(comments, _humans()).data_vars) == ["tfidf"]
