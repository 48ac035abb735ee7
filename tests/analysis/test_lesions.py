"""Lesions against sets of the same structure, single attributes, depth, importance: oracles, known truth, calibration."""

import itertools

import numpy as np
import pingouin
import pytest
import scipy.stats
import xarray as xr

from emonb.analysis import lesions

ATTRIBUTES = [f"a{k}" for k in range(14)]


def _masks(values: np.ndarray, sizes: tuple[int, ...] = (10, 20)) -> xr.DataArray:
    """Mask means [attribute, size, draw]."""
    coords = {"attribute": ATTRIBUTES[: len(values)], "size": list(sizes), "draw": range(values.shape[2])}
    return xr.DataArray(values, coords, tuple(coords))


def _draw(rng: np.random.Generator, draws: int = 1, sizes: int = 2, own: float = 0.05) -> tuple[xr.DataArray, xr.DataArray]:
    """Selective masks that are nested over N, and random ones that are not; nothing to find."""
    selective = own * rng.normal(size=(14, 1, 1)) + 0.01 * rng.normal(size=(14, sizes, 1))
    labels = tuple(10 * (k + 1) for k in range(sizes))
    return _masks(selective, labels), _masks(0.05 * rng.normal(size=(14, sizes, draws)), labels)


def _rejects(tests: list[float], at_most: float = 0.08) -> None:
    rate = np.mean(np.array(tests) < 0.05)
    assert 0.02 <= rate <= at_most, rate


def _sets(values: np.ndarray, sizes: tuple[int, ...]) -> xr.DataArray:
    """Sets of neurons [attribute, size, layer, neuron]."""
    coords = {"attribute": ATTRIBUTES[: len(values)], "size": list(sizes), "layer": range(1, values.shape[2] + 1)}
    return xr.DataArray(values, {**coords, "neuron": range(values.shape[3])}, (*coords, "neuron"))


def _apart(sizes: tuple[int, ...] = (10, 20)) -> xr.DataArray:
    """Correlations of masks that share no more than chance has it: none, but an attribute's over sizes."""
    n = len(sizes)
    same = np.einsum("ab,ij->aibj", np.eye(14), np.ones((n, n)) if n > 1 else np.eye(1))
    coords = {"attribute": ATTRIBUTES, "size": list(sizes), "other": ATTRIBUTES, "other_size": list(sizes)}
    return xr.DataArray(same, coords, tuple(coords))


@pytest.mark.parametrize("within_layers", [False, True])
def test_masks_correlate_over_all_bijections_as_their_overlaps_say(within_layers: bool) -> None:
    worth = np.array([[3.0, 1.0, 4.0], [1.0, 4.0, 3.0]])  # both layers vary alike
    held = np.zeros((2, 2, 2, 3), bool)
    held[0, 0, 0, 0] = held[0, 1, 0, :2] = held[0, 1, 1, 2] = True  # a small mask within a larger one
    held[1, 0, 1, 1] = held[1, 1, 0, 1:] = held[1, 1, 1, 1] = True
    if within_layers:
        moves = [np.stack(pair) for pair in itertools.product(*(list(itertools.permutations(row)) for row in worth))]
    else:
        moves = [np.reshape(order, (2, 3)) for order in itertools.permutations(worth.ravel())]
    sums = np.array([(held * move).sum((2, 3)).ravel() for move in moves])
    found = lesions.relate_masks(_sets(held, (1, 3)), within_layers)
    assert found.values.reshape(4, 4) == pytest.approx(np.corrcoef(sums.T))


def test_relations_are_known_formulas_for_nested_masks_and_for_overlapping_ones() -> None:
    total, n, m, k = 40, 8, 12, 5
    held = np.zeros((2, 2, 1, total), bool)
    held[0, 0, 0, :n] = held[0, 1, 0, :m] = True
    held[1, 0, 0, n - k : 2 * n - k] = held[1, 1, 0, n - k : m + n - k] = True
    found = lesions.relate_masks(_sets(held, (n, m)))
    nested = found.sel(attribute="a0", other="a0", size=n, other_size=m).item()
    assert nested == pytest.approx(np.sqrt(n * (total - m) / (m * (total - n))))
    apart = found.sel(attribute="a0", other="a1", size=n, other_size=n).item()
    assert apart == pytest.approx((k / n - n / total) / (1 - n / total))
    empty = lesions.relate_masks(_sets(held & (np.arange(2)[:, None, None, None] > 0), (n, m)))
    assert empty.sel(attribute="a0").isnull().all() and empty.sel(attribute="a1", other="a1").notnull().all()


def test_masks_of_ranks_and_of_plans_are_the_same_sets() -> None:
    coords = {"attribute": ["a0", "a1"], "layer": [1], "neuron": range(3)}
    rank = xr.DataArray([[[3.0, 1.0, 2.0]], [[1.0, 3.0, 2.0]]], coords, tuple(coords))
    by_rank = lesions.rank_masks(rank, [1, 2])
    rows = [
        ("random", "a0", 1),
        ("selective", "a1", 2),
        ("selective", "a0", 2),
        ("selective", "a1", 1),
        ("selective", "a0", 1),
    ]
    silenced = [by_rank.sel(attribute=a, size=n).values for _, a, n in rows]
    labels = {name: ("mask", list(column)) for name, column in
              zip(("kind", "attribute", "size"), zip(*rows, strict=True), strict=True)}  # fmt: skip
    plan = xr.Dataset({"silenced": (("mask", "layer", "neuron"), np.stack(silenced))},
                      {**labels, "draw": ("mask", [0] * 5), "layer": [1], "neuron": range(3)})  # fmt: skip
    taken = lesions.take_masks(plan, [1, 2]).sel(attribute=["a0", "a1"])
    xr.testing.assert_equal(taken.drop_vars("kind", errors="ignore"), by_rank.transpose("attribute", "size", ...))


def test_masks_that_share_nothing_are_compared_as_two_samples_and_intervals_are_fiellers() -> None:
    selective, random = _draw(np.random.default_rng(3), draws=3)
    selective = selective - 0.05
    table = lesions.compare_masks(selective, random, _apart(), intact=0.3)
    for n in (10, 20):
        s, r = selective.sel(size=n).values.ravel(), random.sel(size=n).values.ravel()
        error = r.std(ddof=1) * np.sqrt(1 / s.size + 1 / r.size)
        row, t = table.loc[n], (r.mean() - s.mean()) / error
        assert row[["difference", "error", "t", "df"]].tolist() == pytest.approx(
            [r.mean() - s.mean(), error, t, r.size - 1]
        )
        assert row["p"] == pytest.approx(2 * scipy.stats.t.sf(abs(t), r.size - 1))
        assert row["value"] == pytest.approx((0.3 - s.mean()) / (0.3 - r.mean()) - 1)
        for end, level in (("low", 0.975), ("high", 0.975), ("low90", 0.95), ("high90", 0.95)):
            u = 1 + row[end]  # the ratio of losses at which the test of own - u * random is just not passed
            spread = r.var(ddof=1) * (1 / s.size + u**2 / r.size)
            assert abs((0.3 - s.mean()) - u * (0.3 - r.mean())) / np.sqrt(spread) == pytest.approx(
                scipy.stats.t.ppf(level, r.size - 1)
            )
    nested = lesions.compare_masks(selective, random, _apart(), 0.3).loc["all"]
    sd = random.std(("attribute", "draw"), ddof=1).values
    of_own, of_random = sd.sum() ** 2 / 4 / 14, (sd**2).sum() / 4 / 42
    assert nested["error"] == pytest.approx(np.sqrt(of_own + of_random))
    matched = lesions.compare_masks(selective, random, _apart(), 0.3, matched=True)
    within = np.sqrt(random.var("draw", ddof=1).mean("attribute")).values
    of_own, of_random = within.sum() ** 2 / 4 / 14, (within**2).sum() / 4 / 42
    assert matched.loc["all", "error"] == pytest.approx(np.sqrt(of_own + of_random))
    assert matched.loc[10, "df"] == 28 and matched.loc["all", "df"] > 28


def test_nothing_is_a_share_of_random_masks_that_cost_nothing() -> None:
    selective, random = _draw(np.random.default_rng(4), draws=3)
    row = lesions.compare_masks(selective, random, _apart(), intact=float(random.mean()) + 1e-4).loc["all"]
    assert row[["low", "high", "low90", "high90", "p"]].isna().all() and np.isfinite(row["difference"])
    same = lesions.compare_masks(selective, xr.full_like(random, 0.7), _apart(), intact=0.8)
    assert same[["low", "p"]].isna().all(axis=None)


def _size_of_the_test(draws: int, n: int, seed: int) -> tuple[float, float]:
    """How often real bijections of a heavy-tailed network are said to be special, by this test and without overlaps."""
    rng, total, sizes, n_attributes = np.random.default_rng(seed), 1500, np.array([60, 120, 240]), 14
    follows = 0.6 * rng.normal(size=total) + 0.8 * rng.normal(size=(n_attributes, total))
    place = np.argsort(np.argsort(follows, axis=1), axis=1)
    held = place[:, None] < sizes[:, None]
    related = lesions.relate_masks(_sets(held[:, :, None], tuple(sizes))).values
    worth = rng.gamma(0.02, size=total) * np.repeat([0.5, 1.5], total // 2)  # half of the neurons vary three times as much
    own_sums = held.reshape(-1, total).astype(np.float32)
    rejected = np.zeros(2)
    for _ in range(n):
        moved = worth[rng.permutation(total)].astype(np.float32)
        own = 10 - (own_sums @ moved).reshape(n_attributes, len(sizes)).T
        random = np.empty((len(sizes), n_attributes, draws))
        for k, size in enumerate(sizes):
            lots = np.argpartition(rng.random((n_attributes * draws, total), dtype=np.float32), size, axis=1)[:, :size]
            random[k] = 10 - worth[lots].sum(1).reshape(n_attributes, draws)
        row = lesions._compare(own, random, related, 10.0, False)
        usual = (random.mean() - own.mean()) / np.sqrt((random.var((1, 2), ddof=1)).sum() / 9 / random[0].size)
        rejected += row[5] < 0.05, abs(usual) > 1.96
    return tuple(rejected / n)


@pytest.mark.parametrize(("draws", "n"), [(1, 3000), (4, 3000)])
def test_sets_that_carry_no_information_pass_as_often_as_the_level_says(draws: int, n: int) -> None:
    """Nested, strongly overlapping sets of neurons of which few do most: two-sided .05 is .05 +- .01."""
    mine, usual = _size_of_the_test(draws, n, 7)
    assert mine == pytest.approx(0.05, abs=0.01)
    assert usual > 0.25  # of a test whose only sample are random masks


def test_attributes_in_general_are_a_sample_whose_overlaps_count() -> None:
    selective, random = _draw(np.random.default_rng(5), draws=2, sizes=1)
    found = lesions.compare_attributes(selective, random, _apart((10,)), 0.3)
    welch = scipy.stats.ttest_ind(random.values.ravel(), selective.values.ravel(), equal_var=False)
    assert (found["t"], found["p"]) == pytest.approx((welch.statistic, welch.pvalue))
    rng, p = np.random.default_rng(6), []
    shared = 0.3 + 0.7 * np.eye(14)
    related = _apart((10,)).copy(data=shared[:, None, :, None])
    for _ in range(400):
        own = _masks((np.linalg.cholesky(shared) @ rng.normal(size=14))[:, None, None], (10,))
        p.append(lesions.compare_attributes(own, _draw(rng, sizes=1)[1], related, 5.0)["p"])
    _rejects(p)


def test_selections_of_one_size_are_counted_one_by_one() -> None:
    rng = np.random.default_rng(8)
    selective, random = _masks(rng.normal(size=(4, 1, 1)), (10,)), _masks(rng.normal(size=(4, 1, 2)), (10,))
    own, others = (x.sel(size=10) for x in (selective, random))
    masks = np.column_stack([own.values, others.values])
    apart = abs(own.values.sum() - 4 * masks.mean())
    sums = np.array([sum(some) for some in itertools.product(*masks)])
    expected = np.mean(np.abs(sums - 4 * masks.mean()) >= apart - 1e-12)
    assert lesions.permute_masks(own, others, matched=True) == pytest.approx(expected)
    sums = np.array([sum(some) for some in itertools.combinations(masks.ravel(), 4)])
    expected = np.mean(np.abs(sums - 4 * masks.mean()) >= apart - 1e-12)
    assert lesions.permute_masks(own, others) == pytest.approx(expected)
    both = own.values.ravel(), others.values.ravel()
    scipys = scipy.stats.permutation_test(
        both, lambda a, b: abs(a.mean() - b.mean()), n_resamples=np.inf, alternative="greater"
    )
    assert lesions.permute_masks(own, others) == pytest.approx(scipys.pvalue)


def test_selections_too_many_to_be_counted_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    selective, random = (x.sel(size=10) for x in _draw(np.random.default_rng(9), draws=1))
    exact = {matched: lesions.permute_masks(selective, random, matched) for matched in (False, True)}
    monkeypatch.setattr(lesions, "MOST", 10)
    for matched, p in exact.items():
        assert lesions.permute_masks(selective, random, matched, 4999, 1) == pytest.approx(p, abs=0.03)
    same = xr.full_like(selective, 0.7)
    assert lesions.permute_masks(same, xr.full_like(random, 0.7 + 1e-16)) == 1
    assert np.isnan(lesions.permute_masks(same * np.nan, random))


def _by_emotion(rng: np.random.Generator, draws: int) -> tuple[xr.DataArray, xr.DataArray]:
    """Masks that move all emotions together; attributes' own over two sizes are the same sets but for noise."""
    own = np.repeat(rng.normal(size=(14, 1, 1, 1)) + 2 * rng.normal(size=(14, 1, 1, 27)), 2, axis=1)
    random = rng.normal(size=(14, 2, draws, 1)) + 2 * rng.normal(size=(14, 2, draws, 27))
    coords = {"attribute": ATTRIBUTES, "size": [10, 20], "draw": range(draws), "emotion": range(27)}
    dims = tuple(coords)
    return xr.DataArray(own, {**coords, "draw": [0]}, dims), xr.DataArray(random, coords, dims)


@pytest.mark.parametrize("draws", [1, 3])
def test_most_emotions_are_worse_by_chance_as_often_as_p_says(draws: int) -> None:
    rng = np.random.default_rng(30)
    p = [lesions.count_emotions(*_by_emotion(rng, draws), _apart(), 199, k, draws > 1)[1] for k in range(200)]
    assert np.mean(np.array(p) < 0.05) <= 0.08 and np.mean(np.array(p) < 0.5) == pytest.approx(0.45, abs=0.12)
    own, random = _by_emotion(rng, draws)
    assert lesions.count_emotions(own - 9, random, _apart(), 499, 0) == (1.0, pytest.approx(1 / 500, abs=0.02))
    assert lesions.count_emotions(own + 9, random, _apart(), 499, 0)[0] == 0.0
    one = (x.isel(attribute=[0], draw=[0]) for x in (own, random))
    assert np.isnan(lesions.count_emotions(*one, _apart(), 9, 0)[1])


def test_masks_are_one_more_draw_of_moved_ones() -> None:
    rng = np.random.default_rng(31)
    moved = xr.DataArray(rng.normal(size=(19, 14)), {"attribute": ATTRIBUTES}, ("bijection", "attribute"))
    own = xr.DataArray(np.full(14, -9.0), {"attribute": ATTRIBUTES}, ("attribute",))
    found = lesions.bijection_test(own, moved)
    assert found["p"] == 1 / 20 and found["n"] == 19 and found["difference"] == pytest.approx(moved.mean().item() + 9)
    assert found["sd"] == pytest.approx(moved.mean("attribute").std(ddof=1).item())
    every = [lesions.bijection_test(moved[k], moved.drop_isel(bijection=k))["p"] for k in range(19)]
    assert sorted(every) == pytest.approx(np.arange(1, 20) / 19)


def test_every_kind_of_mask_is_compared_by_every_measure() -> None:
    accuracy = _lesions(np.random.default_rng(14))
    intact = {name: (("seed", "emotion"), np.full((3, 5), 0.9)) for name in ("baseline", "baseline_auc")}
    data = xr.Dataset({"accuracy": accuracy, "auc": accuracy**2, **intact})
    sets = _sets(np.random.default_rng(0).random((6, 2, 1, 50)) < 0.3, (10, 20))
    table = lesions.compare_kinds(data, sets, [10, 20])
    assert table.index.tolist() == [("random", "accuracy"), ("random", "auc")]
    selective, random = (lesions.mask_means(data, kind, [10, 20], "auc") for kind in ("selective", "random"))
    expected = lesions.compare_masks(selective, random, lesions.relate_masks(sets), 0.9).loc["all"]
    assert table.loc[("random", "auc")].tolist() == pytest.approx(expected[table.columns].tolist())


def test_outlying_attributes_are_those_that_were_planted() -> None:
    rng = np.random.default_rng(7)
    selective, random = _draw(rng, own=0.01)
    selective.loc["a3"] -= 0.5
    found = lesions.find_outlying(selective, random)
    assert found.index[found.p_holm < 0.05].tolist() == [(n, "a3") for n in (10, 20)]
    s, r = selective.sel(size=10, attribute="a5").item(), random.sel(size=10).values.ravel()
    t = (r.mean() - s) / (r.std(ddof=1) * np.sqrt(1 + 1 / 14))
    assert found.loc[(10, "a5"), "t"] == pytest.approx(t)
    corrected = pingouin.multicomp(found.loc[10, "p"].tolist(), method="holm")[1]
    assert found.loc[10, "p_holm"].tolist() == pytest.approx(corrected.tolist())
    assert (lesions.find_outlying(selective, _draw(rng, draws=5)[1]).loc[20].p_holm < 0.05).sum() == 1


def _lesions(rng: np.random.Generator, effect: float = 0.0, sizes: tuple[int, ...] = (10, 20)) -> xr.DataArray:
    shape = (2, 6, len(sizes), 3, 5)
    y = 0.7 + 0.1 * rng.normal(size=5) + 0.05 * rng.normal(size=(3, 1)) + 0.05 * rng.normal(size=shape)
    y[0] += 0.05 * rng.normal(size=(6, 1, 1, 1)) - effect
    y += 0.04 * rng.normal(size=(2, 6, len(sizes), 1, 1)) + 0.02 * rng.normal(size=(2, 1, 1, 1, 5))
    coords = {
        "kind": ["selective", "random"],
        "attribute": ATTRIBUTES[:6],
        "size": list(sizes),
        "seed": [1, 3, 5],
        "emotion": list("vwxyz"),
    }
    return xr.DataArray(y, coords, tuple(coords))


def test_masks_of_live_and_released_lesions_are_laid_out_alike() -> None:
    accuracy = _lesions(np.random.default_rng(0))
    released = lesions.mask_means(xr.Dataset({"accuracy": accuracy}), "random", [20, 10])
    xr.testing.assert_allclose(
        released.squeeze("draw", drop=True), accuracy.sel(kind="random", size=[20, 10], drop=True).mean(("seed", "emotion"))
    )
    rows = list(itertools.product(["random", "selective"], ATTRIBUTES[:6][::-1], [10, 20], [1, 0]))
    labels = {
        f"mask_{n}": ("mask", list(c))
        for n, c in zip(("kind", "attribute", "size", "draw"), zip(*rows, strict=True), strict=True)
    }
    value = [ATTRIBUTES.index(a) + n / 100 + d / 1000 for _, a, n, d in rows]
    live = xr.Dataset(
        {"accuracy": accuracy, "mask_accuracy": (("mask", "seed", "emotion"), np.tile(value, (3, 5, 1)).T.swapaxes(1, 2))},
        labels,
    )
    means = lesions.mask_means(live, "random", [20, 10])
    assert means.sel(attribute="a4", size=20, draw=1).item() == pytest.approx(4.201)
    assert means.attribute.values.tolist() == ATTRIBUTES[:6] and means["size"].values.tolist() == [20, 10]


def test_depth_is_taken_out_exactly_and_agrees_with_a_regression() -> None:
    rng = np.random.default_rng(10)
    layer = xr.DataArray(rng.uniform(6, 9, (14, 2)), {"attribute": ATTRIBUTES, "size": [10, 20]}, ("attribute", "size"))
    selective, random = _draw(rng)
    deep, middle = selective + 0.05 * (layer - 6.5) - 0.04, xr.full_like(random, 6.5)
    table = lesions.adjust_for_depth(deep, layer, random, middle)
    line = scipy.stats.linregress(layer.sel(size=10), deep.sel(size=10).squeeze())
    at = random.sel(size=10).mean().item() - line.intercept - 6.5 * line.slope
    assert table.loc[10, "value"] == pytest.approx(at) and table.loc[10, "slope"] == pytest.approx(line.slope)
    assert table.loc[10, "raw"] == pytest.approx(table.loc[10, "value"] + table.loc[10, "explained"])
    exact = lesions.adjust_for_depth(
        0.05 * (layer - 6.5).expand_dims(draw=[0]) - 0.04, layer, random, xr.full_like(random, 6.5)
    )
    assert exact.loc["all", "value"] == pytest.approx(random.mean().item() + 0.04) and exact.loc["all", "explained"] < 0
    flat = lesions.adjust_for_depth(selective, xr.full_like(layer, 1.0), random, xr.full_like(random, 1.0))
    assert flat[["value", "p", "low", "high90"]].isna().all(axis=None) and flat.raw.notna().all()


def test_depth_adjusted_test_is_calibrated() -> None:
    rng, found = np.random.default_rng(11), []
    for _ in range(500):
        layer = xr.DataArray(
            7 + rng.normal(size=(14, 1)) @ np.ones((1, 2)),
            {"attribute": ATTRIBUTES, "size": [10, 20]},
            ("attribute", "size"),
        )
        selective, random = _draw(rng)
        middle = xr.full_like(random, 6.5)
        found.append(lesions.adjust_for_depth(selective + 0.05 * (layer - 6.5), layer, random, middle).loc["all", "p"])
    _rejects(found)


def test_depth_of_planned_masks_is_their_mean_layer() -> None:
    silenced = np.zeros((2, 3, 4), bool)
    silenced[0, 0, :2], silenced[1, 2, :2] = True, True
    labels = {
        "kind": ("mask", ["random"] * 2),
        "attribute": ("mask", ["a0"] * 2),
        "size": ("mask", [2, 2]),
        "draw": ("mask", [0, 1]),
    }
    masks = xr.Dataset({"silenced": (("mask", "layer", "neuron"), silenced)}, {**labels, "layer": [1, 2, 3]})
    assert lesions.mean_layer(lesions.take_masks(masks, [2], "random")).values.tolist() == [[[1.0, 3.0]]]
