"""Measured effects of the study's deviations, where its released data allow it."""

import html
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.stats

from emonb.analysis import inference
from emonb.analysis.kendall import tau_b
from emonb.book.tables import Html
from emonb.data import goemotions
from emonb.model import reading

if TYPE_CHECKING:
    from emonb.run.stages import Run


def measure_effects(run: "Run") -> dict[str, Any]:
    """Measure each deviation's effect on the released data.

    Parameters
    ----------
    run : Run
        Of a study whose stages are released.

    Returns
    -------
    dict
        ``table``: one row a deviation (file, setting here that reproduces it, effect); ``quantities``: the numbers.
    """
    numbers = {
        **_gelu(run),
        **_negatives(run),
        **_batch_means(run),
        **_rounding(run),
        **_monotone(run),
        **_parametric(run),
        **_random_masks(run),
    }
    n = numbers
    rows = [
        ("positions from 0", "framework/roberta.py", "backbone.position_offset: paper (or roberta)", "needs new tuning"),
        (
            "values after GELU",
            "get_active_neuron.py",
            "none needed (files read as they are)",
            f"lowest value {n['min']:.5f}; GELU's floor {n['floor']:.5f}",
        ),
        (
            "read at <mask>, no comment",
            "get_active_neuron.py",
            "activations.read_prompts (or read_comments)",
            "needs new tuning",
        ),
        (
            "negatives may be positives",
            "framework/data_loader.py",
            "tuning.negatives: paper (or true)",
            f"expected share of positives among negatives: {n['negatives_mean']:.2%} on average, "
            f"at most {n['negatives_max']:.2%}",
        ),
        ("dev for selection and lesions", "framework/trainer.py", "lesions.split: dev (or test)", "needs new tuning"),
        ("dropout on while tuning", "framework/trainer.py", "none: dropout is off here", "needs new tuning"),
        (
            "mean of batch means",
            "eval_mask_neuron.py",
            "accuracies read as released",
            f"last batch weighs up to {n['batch_weight']:.1f} times as much as it should",
        ),
        (
            "one random mask a cell",
            "gen_mask.py",
            "lesions.draws: 1 (or more)",
            f"random masks of one N differ by SD {n['random_sd']:.3f}; the reported difference is {n['difference']:.3f}",
        ),
        (
            "no monotone step",
            "Code/analysis_RSA_by_neuron.R",
            "inference.paper_q",
            f"{n['monotone_changed']:.0f} of {n['monotone_total']:.0f} tests change sides at .01",
        ),
        (
            "parametric p on pairs",
            "Code/analysis_RSA_by_neuron.R",
            "inference.parametric_tau_p",
            f"{n['parametric_hits']:,.0f} significant tests become {n['fwe_hits']:,.0f} (family-wise, emotions permuted)",
        ),
        (
            "rounding noise breaks ties",
            "Data/preprocessed/.../dist_emotional_PCs.csv",
            "RDMs read as released",
            f"importance changes by at most {n['rounding_tau']:.4f}",
        ),
        ("column names become NaN", "gen_mask.py", "an explicit table; unknown names raise", "not measurable"),
    ]
    return {"table": _table(rows), "quantities": numbers}


def _table(rows: list[tuple[str, str, str, str]]) -> Html:
    head = "<th>deviation, file</th><th>setting here that reproduces it</th><th>measured effect</th>"
    body = "".join(
        f"<tr><td><b>{html.escape(name)}</b><br><small>{html.escape(file)}</small></td><td>{html.escape(setting)}</td>"
        f"<td>{html.escape(effect)}</td></tr>"
        for name, file, setting, effect in rows
    )
    return Html(f'<table class="results"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def _gelu(run: "Run") -> dict[str, float]:
    return {"min": float(run.load("activations").activation.min()), "floor": reading.GELU_FLOOR}


def _comments(run: "Run") -> pd.DataFrame:
    paths = run.fetch(list(run.study.corpus.model_dump().values()))
    return goemotions.read_goemotions(run.study, {s: paths[p] for s, p in run.study.corpus.model_dump().items()})


def _negatives(run: "Run") -> dict[str, float]:
    comments = _comments(run)
    prevalence = comments[comments["split"] == "train"][sorted(run.study.emotions)].mean()
    return {"negatives_mean": float(prevalence.mean()), "negatives_max": float(prevalence.max())}


def _batch_means(run: "Run") -> dict[str, float]:
    comments = _comments(run)
    n = 2 * comments[comments["split"] == "dev"][sorted(run.study.emotions)].sum()
    n = n[n > 100]
    batches, last = np.ceil(n / 100), (n - 1) % 100 + 1
    return {"batch_weight": float(((1 / batches) / (last / n)).max())}


def _rounding(run: "Run") -> dict[str, float]:
    rdms = run.load("rdms")
    raw = rdms.attribute_rdm.values
    difference = tau_b(raw, rdms.human.values[None]) - tau_b(np.round(raw, 9), rdms.human.values[None])
    return {"rounding_tau": float(np.abs(difference).max())}


def _monotone(run: "Run") -> dict[str, float]:
    p = run.load("searchlight_null").p_parametric.values
    changed = (inference.paper_q(p) < 0.01) != (inference.benjamini_hochberg(p) < 0.01)
    return {"monotone_changed": float(changed.sum()), "monotone_total": float(p.size)}


def _parametric(run: "Run") -> dict[str, float]:
    null = run.load("searchlight_null")
    return {"parametric_hits": float((null.q_paper < 0.01).sum()), "fwe_hits": float((null.p_fwe < 0.05).sum())}


def _random_masks(run: "Run") -> dict[str, float]:
    means = run.load("lesions").accuracy.sel(size=run.study.size).mean(("seed", "emotion"))
    random, selective = means.sel(kind="random").values, means.sel(kind="selective").values
    return {"random_sd": float(scipy.stats.tstd(random)), "difference": float(random.mean() - selective.mean())}
