"""The whole linkage: tables in, learned or given model, weighed pairs, clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np
import polars as pl

from jobs.errors import RequestError
from jobs.linking import blocking, estimation
from jobs.linking.clustering import Exclusions, cluster, components
from jobs.linking.comparisons import Comparison, comparisons_of
from jobs.linking.config import LinkConfig
from jobs.linking.forms import verified
from jobs.linking.model import Frequencies, Model, check_columns, frequencies_of
from jobs.linking.records import Plan, comparable, make_plan, row_keys
from jobs.linking.scoring import ROW, SINGLE, Scorer, frequency_columns, scorer

RANDOM_ROWS = 1_000  # all pairs of so many rows tell u: half a million
TRAINING_PAIRS = 1_500_000
LARGEST_COMPONENT = 250  # rows: in larger ones, pairs that share no block stay unseen
NO_DUPLICATES = 0.005  # fewer expected duplicates per row than this: the source has none


@dataclass(frozen=True)
class Linked:
    """What came of a linkage."""

    rows: pl.DataFrame  # _row, _source, _source_row, _key, _cluster, and the columns delivered
    pairs: pl.DataFrame  # l, r, weight (bits), probability; those worth a look
    model: Model
    details: pl.DataFrame  # sample pairs with what each comparison added
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


def gather(tables: dict[str, pl.DataFrame], id_column: str | None, hidden: set[str]) -> pl.DataFrame:
    """Return all rows in one table, numbered in the order of their keys, with source and row as delivered.

    Blanks around a cell are none of it, and an empty cell is null.
    """
    parts = []
    for source, delivered in tables.items():
        text = pl.col(pl.String).str.strip_chars()
        table = delivered.with_columns(pl.when(text != "").then(text))
        keys = row_keys(table.drop(hidden & set(table.columns)), source, id_column)
        parts.append(
            table.with_columns(
                keys, pl.lit(source).alias("_source"), pl.int_range(2, pl.len() + 2).alias("_source_row")
            )
        )
    rows = pl.concat(parts, how="diagonal").sort("_key", "_source")
    return rows.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))


def link(
    tables: dict[str, pl.DataFrame],
    config: LinkConfig,
    *,
    id_column: str | None = None,
    truth: str | None = None,
    model: Model | None = None,
    threshold: float | None = None,
    explained: float | None = None,
) -> Linked:
    """Link tables of text cells, by a model or by one learned here.

    Details are told of all pairs from probability `explained` on; by default of a few that tell most. The truth column
    is neither compared nor part of a row's key. Raises RequestError for a column that is not there.
    """
    _check(tables, config, id_column, truth)
    rows = gather(tables, id_column, {truth} if truth else set())
    left_out = {c for c in (id_column, truth) if c} | {c for c in rows.columns if c.startswith("_")}
    if model is None:
        left_out |= set(config.comparisons.without)
        if config.comparisons.only:
            left_out |= set(rows.columns) - set(config.comparisons.only)
        plan = make_plan(rows, config.columns, left_out, config.strong_keys)
    else:
        for source, table in tables.items():
            check_columns(model, table.columns, source)
        plan = model.plan
    if not plan.fields:
        raise RequestError("there is no column to compare by.", remedy="name columns in a configuration, see --config.")
    records = comparable(rows, plan)
    records = records.with_columns(rows[ROW], _singles(rows["_source"], config.sources_without_duplicates))
    blocks = _blocks(records, plan, config)
    with scorer(records, config.memory) as engine:
        engine.pairs_of(blocks)
        if model is None:
            comparisons, frequencies = _learn(engine, records, plan, blocks)
        else:
            comparisons, frequencies = list(model.comparisons), model.frequencies
        engine.add_frequencies({c: frequencies[c].table(records[c]) for c in frequencies if c in records.columns})
        weighed = _weigh(engine, comparisons, "pairs")
        return _decide(
            engine, rows, records, weighed, plan, comparisons, frequencies, config, model, threshold, explained
        )


def _check(tables: dict[str, pl.DataFrame], config: LinkConfig, id_column: str | None, truth: str | None) -> None:
    known = {column for table in tables.values() for column in table.columns}
    for column in sorted(config.named_columns() | {c for c in (id_column, truth) if c}):
        if column not in known:
            raise RequestError(f"no table has a column {column!r}.", remedy="see the header of the file.")
    for source in config.sources_without_duplicates:
        if source not in tables:
            raise RequestError(f"there is no source {source!r}.", remedy=f"sources: {', '.join(sorted(tables))}.")
    if sum(table.height for table in tables.values()) < 2:
        raise RequestError("there are fewer than two rows.", remedy="give tables with rows to link.")
    if not known - {id_column, truth}:
        raise RequestError("there is no column to compare by.", remedy="give tables that say more about their rows.")


def _singles(sources: pl.Series, without_duplicates: Sequence[str]) -> pl.Series:
    numbers = {source: number for number, source in enumerate(sorted(without_duplicates))}
    return pl.Series(SINGLE, [numbers.get(source) for source in sources.to_list()], dtype=pl.Int64)


def _blocks(records: pl.DataFrame, plan: Plan, config: LinkConfig) -> blocking.Blocks:
    atoms = blocking.atoms_of(records, plan)
    slugs = {f.column: f.slug for f in plan.fields}
    own = {
        slug: [blocking.Atom(slug, frozenset({slug}), records[slug])]
        for slug in slugs.values()
        if slug in records.columns
    }
    stated = [
        [atom for column in rule for atom in own.get(slugs.get(column, ""), [])] for rule in config.blocking.rules
    ]
    most = config.blocking.max_pairs or blocking.budget(records.height)
    infer = config.blocking.add_to_inferred or not config.blocking.rules
    return blocking.choose(atoms, most, [rule for rule in stated if rule], infer=infer)


def _learn(
    engine: Scorer, records: pl.DataFrame, plan: Plan, blocks: blocking.Blocks
) -> tuple[list[Comparison], dict[str, Frequencies]]:
    comparisons = comparisons_of(plan, set(records.columns))
    frequencies = {column: frequencies_of(records[column]) for column in frequency_columns(comparisons)}
    # Levels are judged before frequencies are known; Splink asks for the columns all the same.
    plain = [c.plain() for c in comparisons]
    chance = engine.patterns_of_random_pairs(plain, RANDOM_ROWS)
    samples = [estimation.sample_of(chance, plain, frozenset(), random=True)]
    engine.sample_pairs(TRAINING_PAIRS)
    patterns = engine.patterns(plain, "training_pairs")
    names = [c.name for c in comparisons]
    for number, origins in enumerate(blocks.origins):
        met = patterns.filter((pl.col("mask") // (1 << number)) % 2 == 1)
        touched = frozenset(i for i, c in enumerate(comparisons) if set(c.columns) & origins or c.name in origins)
        if met.height and len(touched) < len(names):
            samples.append(estimation.sample_of(met, plain, touched))
    learned = estimation.estimate(comparisons, samples)
    by_name = {c.name: c for c in learned.comparisons}
    return [
        c.with_levels(*zip(*((x.m, x.u, x.r) for x in by_name[c.name].levels), strict=True)) for c in comparisons
    ], frequencies


def _decide(
    engine: Scorer,
    rows: pl.DataFrame,
    records: pl.DataFrame,
    weighed: pl.DataFrame,
    plan: Plan,
    comparisons: list[Comparison],
    frequencies: dict[str, Frequencies],
    config: LinkConfig,
    model: Model | None,
    threshold: float | None,
    explained: float | None,
) -> Linked:
    notes: list[str] = []
    sources = rows["_source"]
    singles = records[SINGLE]
    shares = (model.share_of_matches, model.share_of_relatives) if model else _shares(weighed, sources, singles)
    if model is None and len(comparisons) == 1:
        shares = (_share_of_one(comparisons[0], frequencies), 0.0)
        notes.append(
            "one column alone does not tell chance from identity: rare values that agree are taken for matches"
        )
    if model is None and sources.n_unique() > 1 and not config.sources_without_duplicates:
        singles, found = _without_duplicates(sources, _judged(weighed, shares))
        if found:
            notes.append(f"no duplicates of their own, as it seems: {', '.join(found)}")
            weighed = weighed.filter(~_same(singles, weighed))
            shares = _shares(weighed, sources, singles)
    judged = _judged(weighed, shares)
    limit = (
        threshold
        or config.threshold
        or (model.threshold if model else chosen_threshold(_probability(judged["weight"])))
    )
    scored = _complete(engine, rows.height, judged, comparisons, singles, shares, limit)
    keys = tuple(records[slug].to_list() for slug in plan.strong)
    keys += tuple(verified(records[slug]).to_list() for slug in plan.verified)
    labels = cluster(rows.height, scored, float(np.log2(limit / (1 - limit))), Exclusions(singles.to_list(), keys))
    named = rows["_key"].gather(labels).str.slice(0, 16)
    kept = scored.filter(pl.col("weight") > -3).with_columns(
        _probability(scored.filter(pl.col("weight") > -3)["weight"]).alias("probability")
    )
    frozen = Model(
        engine=f"splink {version('splink')}",
        rows=rows.height,
        plan=plan,
        comparisons=tuple(comparisons),
        frequencies=frequencies,
        share_of_matches=shares[0],
        share_of_relatives=shares[1],
        threshold=limit,
    )
    telling = _telling(kept) if explained is None else kept.filter(pl.col("probability") >= explained)
    described = engine.details(comparisons, telling) if telling.height else pl.DataFrame()
    return Linked(
        rows.with_columns(("c" + named).alias("_cluster")),
        kept,
        frozen,
        described,
        tuple(notes),
        {"rows": rows.height, "pairs_compared": scored.height, "clusters": len(set(labels))},
    )


def _weigh(engine: Scorer, comparisons: list[Comparison], pairs: str) -> pl.DataFrame:
    """Return weights of a match and of relatives, each against strangers: l, r, weight, kinship."""
    weighed = engine.weights(comparisons, pairs)
    relatives = [c.of_relatives() for c in comparisons if c.shared]
    if not relatives or len(relatives) == len(comparisons):
        return weighed.with_columns(pl.lit(-100.0).alias("kinship"))
    return weighed.with_columns(engine.weights(relatives, pairs)["weight"].alias("kinship"))


def _share_of_one(comparison: Comparison, frequencies: dict[str, Frequencies]) -> float:
    """Return the share of matches at which two equal values as rare as most are a match nine times out of ten."""
    best = comparison.levels[0]
    chance = frequencies[best.tf].rarest if best.tf in frequencies else best.u
    return 9.0 / (9.0 + best.m / chance)


def _shares(weighed: pl.DataFrame, sources: pl.Series, singles: pl.Series) -> tuple[float, float]:
    return estimation.shares_of(
        weighed["weight"].to_numpy(), weighed["kinship"].to_numpy(), _all_pairs(sources, singles)
    )


def _judged(weighed: pl.DataFrame, shares: tuple[float, float]) -> pl.DataFrame:
    """Return pairs with the log odds (bits) of a match against everything else: l, r, weight."""
    against = estimation.against_relatives(weighed["weight"].to_numpy(), weighed["kinship"].to_numpy(), shares)
    prior = float(np.log2(shares[0] / (1 - shares[0])))
    return weighed.select("l", "r", pl.Series("weight", against + prior))


def _probability(weights: pl.Series) -> pl.Series:
    return pl.Series("probability", 1.0 / (1.0 + np.exp2(-np.clip(weights.to_numpy(), -500, 500))))


def _all_pairs(sources: pl.Series, singles: pl.Series) -> float:
    def two(sizes: pl.Series) -> float:
        wide = sizes.cast(pl.Float64)
        return float((wide * (wide - 1) / 2).sum())

    known = singles.drop_nulls()
    return max(1.0, two(pl.Series([len(sources)])) - two(known.value_counts()["count"]))


def _same(singles: pl.Series, pairs: pl.DataFrame) -> pl.Series:
    return (singles.gather(pairs["l"]) == singles.gather(pairs["r"])).fill_null(value=False)


def _without_duplicates(sources: pl.Series, judged: pl.DataFrame) -> tuple[pl.Series, list[str]]:
    """Return the sources within which hardly any pair seems to match, though pairs across sources do."""
    pairs = judged.with_columns(
        sources.gather(judged["l"]).alias("a"), sources.gather(judged["r"]).alias("b"), _probability(judged["weight"])
    )
    across = float(pairs.filter(pl.col("a") != pl.col("b"))["probability"].sum())
    found = []
    for source, count in sorted(sources.value_counts().iter_rows()):
        within = float(pairs.filter((pl.col("a") == source) & (pl.col("b") == source))["probability"].sum())
        if within < NO_DUPLICATES * count and across > 20 * within:
            found.append(source)
    return _singles(sources, found), found


def chosen_threshold(chances: pl.Series) -> float:
    """Return the probability from which pairs are taken for matches: where the expected F1 is highest.

    For calibrated probabilities the best threshold is half of the best F1 (Lipton, Elkan and Naryanaswamy 2014,
    Optimal thresholding of classifiers to maximize F1 measure). Never below one half: a wrong merge costs more.
    """
    ordered = np.sort(chances.to_numpy())[::-1]
    if not len(ordered):
        return 0.9
    hits = np.cumsum(ordered)
    f1 = 2 * hits / (np.arange(1, len(ordered) + 1) + hits[-1])
    return float(min(0.99, max(0.5, f1.max() / 2)))


def _complete(
    engine: Scorer,
    rows: int,
    weighed: pl.DataFrame,
    comparisons: list[Comparison],
    singles: pl.Series,
    shares: tuple[float, float],
    limit: float,
) -> pl.DataFrame:
    """Add the pairs within connected rows that no block brought together: average linkage asks for all of them."""
    strong = weighed.filter(pl.col("weight") >= np.log2(limit / (1 - limit)) - 3)
    groups = pl.DataFrame({"row": range(rows), "group": components(rows, strong.select("l", "r").iter_rows())})
    groups = groups.filter(pl.len().over("group").is_between(3, LARGEST_COMPONENT))
    if groups.is_empty():
        return weighed
    inside = groups.join(groups, on="group", how="inner").filter(pl.col("row") < pl.col("row_right"))
    missing = inside.select(pl.col("row").alias("l"), pl.col("row_right").alias("r")).join(
        weighed, on=["l", "r"], how="anti"
    )
    missing = missing.filter(~_same(singles, missing)).sort("l", "r")
    if missing.is_empty():
        return weighed
    engine.use_pairs(missing, "missing_pairs")
    return pl.concat([weighed, _judged(_weigh(engine, comparisons, "missing_pairs"), shares)]).sort("l", "r")


def _telling(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return a few pairs worth explaining: surest, just above and just below one half, and least sure."""
    ordered = pairs.sort("weight", "l", "r", descending=[True, False, False])
    near = ordered.sort(pl.col("weight").abs(), "l", "r").head(6)
    return (
        pl.concat([ordered.head(3), near, ordered.tail(3)])
        .unique(["l", "r"])
        .sort("weight", "l", "r", descending=[True, False, False])
    )
