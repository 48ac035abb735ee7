"""What the page *Can we trust the instrument?* tells and draws: verdicts in planted worlds, errors, power."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emonb.book.claims import ALPHA, Claim, Declarations
from emonb.book.figures import DARK, FAINT, RANDOM, SELECTIVE, VERDICT_COLOURS, finish
from emonb.book.instrument import JUDGED, YES, count_simulated, make_errors, say_rate
from emonb.book.ledger import Truths, find_truth

VERDICTS = (*JUDGED, "not tested", "not run")


NOMINAL = ALPHA / 2
"""How often a *yes*, which needs a two-sided p below .05 on the claimed side, may be said of nothing."""


Trial = dict[str, Any]


def tally(
    trials: Iterable[Trial], declared: Declarations, worlds: Sequence[str], truths: Truths, n: int = 10
) -> pd.DataFrame:
    """Count verdicts of every claim in every world.

    Parameters
    ----------
    trials : iterable of dict
        From :func:`emonb.book.instrument.read_trials`.
    declared : Declarations
    worlds : sequence of str
    truths : dict
        From :func:`emonb.book.ledger.read_truths`.
    n : int
        World seeds that are to be run; those that are missing count as ``not run``.

    Returns
    -------
    DataFrame
        Index (claim, world); a column for each of VERDICTS, ``truth`` (as the verdicts, or blank), ``true``
        (of a count, how many there truly are; else missing) and ``beyond``, verdicts of *yes* where
        no is true or, of a count, that count more than there are.
    """
    table = {}
    trials = list(trials)
    for claim in declared.claims:
        for world in worlds:
            mine = [trial["claims"].get(claim.id, {}) for trial in trials if trial["study"] == world]
            said = [entry.get("holds", "not tested") for entry in mine]
            counts = {verdict: said.count(verdict) for verdict in VERDICTS[:-1]}
            counts["not run"] = max(0, n - len(mine))
            truth = find_truth(claim, world, truths) or ""
            table[claim.id, world] = {
                **counts,
                "truth": truth,
                "true": next((entry["true_count"] for entry in mine if "true_count" in entry), None),
                "beyond": sum(_is_false_alarm(entry, truth) for entry in mine),
            }
    return pd.DataFrame(table).T.rename_axis(["claim", "world"])


def _is_false_alarm(entry: Mapping[str, Any], truth: str) -> bool:
    if entry.get("holds") not in YES:
        return False
    return truth == "no" or ("true_count" in entry and entry["value"] > entry["true_count"])


def count_errors(table: pd.DataFrame, rates: pd.DataFrame, declared: Declarations) -> pd.DataFrame:
    """How often each claim's own test errs, in every simulated cell and planted world whose truth is known.

    Parameters
    ----------
    table : DataFrame
        From :func:`tally`.
    rates : DataFrame
        From :func:`read_rates`.
    declared : Declarations

    Returns
    -------
    DataFrame
        A row an error, claim and place: ``claim``; ``error``, one of *false alarm* (*yes* where
        nothing is there), *miss* (no *yes* of an effect as large as the bound, or larger in a
        planted world) and *false no* (*no* of such an effect); ``source`` (simulated, planted);
        ``place``, what the null or world is like; how often, ``k`` of ``n``, with the exact 95 %
        interval ``low`` to ``high`` of the rate.
    """
    planted = [row for claim in declared.claims for row in _count_planted(table.loc[claim.id], claim)]
    return pd.concat([count_simulated(rates, declared), make_errors(planted)], ignore_index=True)


def _count_planted(mine: pd.DataFrame, claim: Claim) -> list[list[Any]]:
    rows = []
    for world, cell in mine.iterrows():
        said_yes, n = int(cell[list(YES)].sum()), int(cell[list(JUDGED)].sum())
        place = str(world).removeprefix("control-").replace("control", "causal")
        if cell["truth"] == "no" or pd.notna(cell["true"]):
            rows.append([claim.id, "false alarm", "planted", place, int(cell["beyond"]), n])
        if cell["truth"] == "yes":
            rows.append([claim.id, "miss", "planted", place, n - said_yes, n])
            rows.append([claim.id, "false no", "planted", place, int(cell["no"]), n])
    return rows


def find_unsound(errors: pd.DataFrame) -> dict[str, str]:
    """Claims whose test says *yes* of nothing more often than .05, beyond chance, somewhere: claim -> the worst place.

    Such a claim prints no *yes*: its ``no_yes`` in ``data/claims.yml`` says why, and a test holds
    every committed ledger to it.
    """
    alarms = errors[(errors["error"] == "false alarm") & (errors["low"] > ALPHA)]
    worst = alarms.sort_values("low").groupby("claim").tail(1)
    return {row.claim: f"{row.place}: {say_rate(row.k, row.n)}" for row in worst.itertuples()}


def tabulate_errors(errors: pd.DataFrame, declared: Declarations) -> pd.DataFrame:
    """The errors of each claim's own test, as text: where it is worst of all simulated nulls, and over all planted worlds.

    Parameters
    ----------
    errors : DataFrame
        From :func:`count_errors`.
    declared : Declarations

    Returns
    -------
    DataFrame
        A row a claim, a column an error and source, "k of n [exact 95 % interval]".
    """
    rows = {}
    for claim in declared.claims:
        row = {}
        for error in ("false alarm", "miss", "false no"):
            for source in ("simulated", "planted"):
                mine = errors[(errors["claim"] == claim.id) & (errors["error"] == error) & (errors["source"] == source)]
                row[f"{error}, {source}"] = _say_worst(mine) if source == "simulated" else _say_all(mine)
        rows[claim.title] = row
    return pd.DataFrame(rows).T


def _say_worst(errors: pd.DataFrame) -> str:
    if errors.empty:
        return "–"
    worst = errors.assign(rate=errors["k"] / errors["n"]).nlargest(1, "rate").iloc[0]
    return f"{say_rate(worst['k'], worst['n'])} ({worst['place']})"


def _say_all(errors: pd.DataFrame) -> str:
    return say_rate(int(errors["k"].sum()), int(errors["n"].sum()))


def tabulate_truths(declared: Declarations, worlds: Mapping[str, str], truths: Truths) -> pd.DataFrame:
    """What is true of each claim in each world, and how that is known.

    Parameters
    ----------
    declared : Declarations
    worlds : dict of str to str
        World -> what it is called.
    truths : dict
        From :func:`emonb.book.ledger.read_truths`.

    Returns
    -------
    DataFrame
        Rows: claims; columns: worlds, and ``why``, the reasons. *Yes* or *no*; where it was
        measured, the effect with its standard error; a dash where nothing settles it.
    """
    rows: dict[str, dict[str, str]] = {}
    for claim in declared.claims:
        row = {name: _say_truth(claim, world, truths) for world, name in worlds.items()}
        groups = {
            known.because: ", ".join(worlds[world] for world in known.worlds if world in worlds) for known in claim.truth
        }
        rows[claim.title] = row | {"why": "; ".join(f"{names}: {why}" for why, names in groups.items())}
    return pd.DataFrame(rows).T


def _say_truth(claim: Claim, world: str, truths: Truths) -> str:
    known, found = claim.known_in(world), truths.get(world, {}).get(claim.id)
    truth = find_truth(claim, world, truths) or "–"
    if known is None or known.holds != "measured" or found is None:
        return truth
    return f"{truth}: {found['effect']:.2f} ± {found['se']:.2f}"


_GRADES = {
    f"{o}{m}": m.replace("auc", "AUC") + ", own" * bool(o) for o in ("", "own.") for m in ("precision", "recall", "auc")
}


def grade_wiring(trials: Iterable[Trial], worlds: Mapping[str, str]) -> pd.DataFrame:
    """Neurons found against neurons wired, a world a row: means over world seeds with the lowest and highest.

    Of an attribute that is voiced: precision (of the neurons found, the share that is wired to it), recall (of the wired,
    the share found) and AUC (how often a wired neuron follows it more closely than another does); beside them how many
    silent attributes were given neurons, in how many of the seeds any was.
    """
    rows: dict[str, dict[str, Any]] = {}
    for world, name in worlds.items():
        mine = [trial["quantities"] for trial in trials if trial["study"] == world and "truth.auc" in trial["quantities"]]
        if not mine:
            continue
        rows[name] = {"worlds": len(mine)}
        for measure, title in _GRADES.items():
            values = [q[f"truth.{measure}"] for q in mine if f"truth.{measure}" in q]
            rows[name][title] = _say_range(values)
        rows[name]["silent attributes found"] = f"{sum(q['truth.silent_found'] > 0 for q in mine)} of {len(mine)}"
    return pd.DataFrame(rows).T


def _say_range(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{np.mean(values):.2f}" + (f" [{min(values):.2f}, {max(values):.2f}]" if len(values) > 1 else "")


# a blue that a dark page does not lighten, as white numbers stand on it
COLOURS = {**VERDICT_COLOURS, "yes": "#00699F", "not tested": "#FFFFFF", "not run": "#FFFFFF"}


_HATCHES = {"not tested": "////", "not run": "...."}


_MARKS = {"yes": "true", "yes, too small to matter": "true, too small", "no": "false", "": "no truth"}


def draw_worlds(table: pd.DataFrame, titles: Mapping[str, str], worlds: Mapping[str, str]) -> Figure:
    """Draw claims x worlds: in each cell a bar of the shares of verdicts, and what is true.

    Parameters
    ----------
    table : DataFrame
        From :func:`tally`.
    titles : dict of str to str
        Claim -> its title, from the top.
    worlds : dict of str to str
        World -> what its column is called.
    """
    fig, ax = plt.subplots(figsize=(0.62 * len(worlds) + 2.2, 0.56 * len(titles) + 1.5))
    for x, world in enumerate(worlds):
        for y, claim in enumerate(titles):
            cell = table.loc[(claim, world)]
            _draw_cell(ax, x, y, {name: int(cell[name]) for name in COLOURS if cell[name]})
            mark = _MARKS[cell["truth"]]
            if cell["truth"] == "yes" and pd.notna(cell["true"]):
                mark = f"{cell['true']:.0f} true"
            ax.text(x + 0.5, y - 0.36, mark, ha="center", va="center", fontsize=9)
    ax.set(xlim=(0, len(worlds)), ylim=(len(titles) - 0.4, -0.6))
    ax.set_yticks(range(len(titles)), list(titles.values()))
    ax.set_xticks([x + 0.5 for x in range(len(worlds))], list(worlds.values()))
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)
    handles = [
        plt.Rectangle((0, 0), 1, 1, fc=colour, ec=FAINT, hatch=_HATCHES.get(name, ""), label=name)
        for name, colour in COLOURS.items()
    ]
    ax.legend(handles=handles, ncols=3, loc="upper center", bbox_to_anchor=(0.45, -0.01))
    return finish(fig)


def _draw_cell(ax: Axes, x: float, y: float, counts: Mapping[str, int]) -> None:
    left, total = x + 0.06, max(1, sum(counts.values()))
    for name, count in counts.items():
        width, blank = 0.88 * count / total, name in _HATCHES
        edge = FAINT if blank else "white"
        ax.barh(y, width, 0.5, left, color=COLOURS[name], edgecolor=edge, hatch=_HATCHES.get(name, ""), lw=0.5)
        if not blank:
            colour = "white" if name == "yes" else DARK
            ax.text(left + width / 2, y, str(count), ha="center", va="center", fontsize=9, color=colour)
        left += width


def draw_power(rates: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw how often the rule says yes, by planted strength: a panel a claim.

    Parameters
    ----------
    rates : DataFrame
        From :func:`emonb.book.instrument.read_rates`.
    titles : dict of str to str
        Claim -> title of its panel.
    """
    columns = 4
    rows = -(-(len(titles) + 1) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(7.2, 2.1 * rows), sharex=True, sharey=True)
    hues = dict(zip((0.0, 0.5, 0.9), sns.color_palette("colorblind", 3), strict=True))
    styles = {1: "-", 4: "--", 28: ":"}
    for ax, (claim, title) in zip(axes.flat, titles.items(), strict=False):
        mine = rates[(rates["claim"] == claim) & (rates["kind"] == "")]
        for (correlation, draws), line in mine.groupby(["correlation", "draws"]):
            line = line.sort_values("strength")
            share = line[list(YES)].sum(axis=1) / line["n"]
            ax.plot(line["strength"], share, styles[draws], color=hues[correlation], marker="o", ms=3.5)
        at = rates[(rates["claim"] == claim) & (rates["kind"] == "bound")]["strength"]
        for strength in at:
            ax.axvline(strength, color=FAINT, lw=0.8)
        ax.axhline(NOMINAL, color=FAINT, lw=0.8, ls="--")
        ax.set_title(title, fontsize=9)
        ax.set(ylim=(-0.02, 1.02), xticks=[0, 0.25, 0.5, 0.75, 1])
    for ax in axes.flat[len(titles) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("planted strength")
    for ax in axes[:, 0]:
        ax.set_ylabel("share judged yes")
    handles = [plt.Line2D([], [], color=c, marker="o", ms=4, label=f"shared variance {r:g}") for r, c in hues.items()]
    handles += [plt.Line2D([], [], color="black", ls=s, label=f"masks a cell: {m}") for m, s in styles.items()]
    handles.append(plt.Line2D([], [], color=FAINT, label="effect at the bound"))
    axes.flat[-1].legend(handles=handles, loc="center")
    return finish(fig)


def draw_alarms(errors: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw how often each claim's test says yes of nothing, with exact intervals; orange: beyond .05 with all of it.

    Parameters
    ----------
    errors : DataFrame
        From :func:`count_errors`; may be empty.
    titles : dict of str to str
        Claim -> its title, from the top.
    """
    fig, ax = plt.subplots(figsize=(7.2, 0.62 * len(titles) + 1.0))
    marks = {"simulated": "o", "planted": "D"}
    for y, claim in enumerate(titles):
        mine = errors[(errors["claim"] == claim) & (errors["error"] == "false alarm")]
        shifts = np.linspace(-0.38, 0.38, len(mine) + 2)[1:-1]
        for shift, cell in zip(shifts, mine.itertuples(), strict=True):
            colour = SELECTIVE if cell.low > ALPHA else RANDOM
            ax.plot([cell.low, cell.high], [y + shift] * 2, color=colour, lw=0.8)
            ax.plot(cell.k / cell.n, y + shift, marks[cell.source], color=colour, ms=3.2)
        ax.axhline(y + 0.5, color=FAINT, lw=0.4)
    for level, style in ((NOMINAL, ":"), (ALPHA, "--")):
        ax.axvline(level, color=FAINT, lw=0.9, ls=style)
    ax.set_yticks(range(len(titles)), list(titles.values()))
    alarms = errors[errors["error"] == "false alarm"]
    right = max(0.35, 1.05 * float((alarms["k"] / alarms["n"]).max() if len(alarms) else 0))
    ax.set(xlim=(0, right), ylim=(len(titles) - 0.4, -0.6), xlabel="share judged yes where nothing is there")
    handles = [plt.Line2D([], [], color=RANDOM, marker=m, lw=0.8, ms=4, label=name) for name, m in marks.items()]
    ax.legend(handles=handles, loc="lower right")
    return finish(fig)
