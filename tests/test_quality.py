from __future__ import annotations

import json
import math
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from costlab import catalog, quality, store
from costlab.cli.quality import quality_group
from costlab.core import Basis, Figure, InvalidArgument, UnknownName
from costlab.quality import gap

DAY = date(2026, 11, 22)
SCORES = store.load(quality.SCORES)
NAMES = store.load(quality.NAMES)
BOARDS = {board.id: board for board in store.load(quality.BOARDS)}
DOCUMENTS = {document.id: document for document in store.load(quality.DOCUMENTS)}
MODELS = {model.id for model in catalog.models()}


# ── Every shipped row ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shelf", quality.SHELVES, ids=lambda shelf: shelf.table)
def test_every_table_loads_and_holds_rows(shelf: store.Shelf[object]) -> None:
    assert store.load(shelf)


def test_every_score_has_a_board_a_document_and_one_reviewed_name() -> None:
    for score in SCORES:
        board = BOARDS[score.board]
        assert DOCUMENTS[score.source].publisher
        fits = [n for n in NAMES if n.name == score.name and n.mode in ("", board.mode)]
        assert len(fits) == 1, score
        assert math.isfinite(score.value)
        assert score.plus_minus is None or score.plus_minus >= 0
        assert score.level is None or score.plus_minus is not None
        assert score.seen.startswith(f"{score.opens:%Y}")
        if score.seen_precision == "day":
            assert score.seen.startswith(score.opens.isoformat())


def test_every_name_stands_for_models_of_the_book_or_says_why_for_none() -> None:
    for name in NAMES:
        assert set(name.models) | set(name.hosted) <= MODELS, name
        assert name.models or name.why, name
    used = {score.name for score in SCORES}
    assert used == {name.name for name in NAMES}


def test_only_the_arena_steers_routing_and_every_other_board_says_why_not() -> None:
    steering = {board.id for board in BOARDS.values() if board.routing}
    assert steering == {"arena-t2v", "arena-i2v", "arena-edit"}
    assert all(board.why_not for board in BOARDS.values() if not board.routing)


def test_a_model_has_at_most_one_main_row_of_each_sound_in_a_snapshot() -> None:
    seen: set[tuple[object, ...]] = set()
    for score in SCORES:
        board = BOARDS[score.board]
        if not board.routing or score.extent != "board":
            continue
        name = next(n for n in NAMES if n.name == score.name and n.mode in ("", board.mode))
        for model in (*name.models, *name.hosted):
            if not name.variant:
                key = (model, score.board, score.opens, name.audio)
                assert key not in seen
                seen.add(key)


def test_what_was_collected_is_kept_or_left_out_with_a_reason() -> None:
    left = [row for row in quality.left_out() if row.table == "scores"]
    assert len(SCORES) + sum(row.rows for row in left) == 663
    assert all(row.why and row.items for row in quality.left_out())


def test_every_feature_and_latency_is_of_a_model_of_the_book_and_says_where_it_was_read() -> None:
    features = store.load(quality.FEATURES)
    for feature in features:
        assert feature.model in MODELS
        offered = quality.VOCABULARY[feature.feature]
        assert not offered or feature.value in offered
        assert feature.publisher
        assert feature.document
    assert len({(f.model, f.feature) for f in features}) == len(features)
    for latency in store.load(quality.LATENCY):
        assert latency.model in MODELS
        assert (latency.seconds is None) == (latency.low is not None and latency.high is not None)
        assert latency.publisher
        assert latency.document


def test_features_do_not_contradict_the_price_book_s_models() -> None:
    for feature in store.load(quality.FEATURES):
        model = catalog.model(feature.model)
        if feature.feature == "lora" and model.lora is not None:
            assert (feature.value == "yes") == model.lora, feature


def test_the_article_s_word_on_faces_is_of_low_confidence_and_of_wan_2_2_alone() -> None:
    said = [f for f in store.load(quality.FEATURES) if f.feature in ("faces", "text")]
    assert {f.model for f in said} == {"wan2.2-t2v-a14b", "wan2.2-i2v-a14b", "wan2.2-ti2v-5b"}
    assert {f.confidence for f in said} == {"low"}


# ── Ratings ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "mode", "day", "points"),
    [
        ("seedance-2.0", "t2v", DAY, 1479.2),
        ("wan-3.0", "t2v", DAY, 1476.3),
        ("minimax-h3", "t2v", DAY, 1460.3),
        ("veo-3.1", "t2v", DAY, 1364.2),
        ("wan-2.7", "t2v", DAY, 1337.2),
        ("kling-2.6-pro", "t2v", DAY, 1216.2),
        ("wan2.2-t2v-a14b", "t2v", DAY, 1131.6),
        ("wan2.2-i2v-a14b", "i2v", DAY, 1170.2),
        ("wan2.2-t2v-a14b", "t2v", date(2026, 9, 21), 1131.0),
        ("wan2.2-t2v-a14b", "t2v", date(2026, 8, 16), 1133),
        ("wan2.2-t2v-a14b", "t2v", date(2026, 4, 15), 1130),
        ("wan2.2-t2v-a14b", "t2v", date(2025, 9, 1), 1144.5),
    ],
)
def test_a_rating_is_that_of_the_latest_whole_snapshot(
    model: str, mode: str, day: date, points: float
) -> None:
    rating = quality.rating(model, mode, as_of=day)
    assert rating is not None
    assert rating.value == points
    assert rating.source is not None
    assert rating.source.publisher


def test_an_extract_of_three_models_does_not_replace_a_whole_board() -> None:
    rating = quality.rating("veo-3.1", as_of=date(2026, 7, 1))
    assert rating is not None
    assert rating.ref == "score:arena-t2v@2026-04-16:Veo 3.1 with audio"


@pytest.mark.parametrize(
    ("model", "mode"),
    [("wan2.2-ti2v-5b", "t2v"), ("wan2.2-ti2v-5b", "i2v"), ("kling-3.0", "t2v"),
     ("fal-wan2.2-a14b-turbo", "i2v"), ("veo-3.1", "extend")],
)  # fmt: skip
def test_where_nobody_voted_there_is_no_score(model: str, mode: str) -> None:
    assert quality.rating(model, mode, as_of=DAY) is None


def test_before_the_first_snapshot_there_is_no_score() -> None:
    assert quality.rating("veo-3", as_of=date(2025, 8, 27)) is None


def test_few_step_recipes_have_no_score() -> None:
    few = quality.recipe("wan2.2-t2v-a14b", steps=4, guidance=False, technique="4-step distilled")
    assert few
    assert quality.rating("wan2.2-t2v-a14b", as_of=DAY, recipe=few) is None
    assert quality.recipe("wan2.2-t2v-a14b", steps=40) == ""
    assert quality.recipe("veo-3.1", steps=4) == ""


def test_sound_chooses_between_twins_and_is_noted_where_it_differs() -> None:
    loud = quality.rating("veo-3", as_of=DAY, audio=True)
    silent = quality.rating("veo-3", as_of=DAY)
    other = quality.rating("veo-3.1", as_of=DAY)
    mixed = quality.rating("seedance-2.0", as_of=DAY)
    assert loud is not None
    assert silent is not None
    assert (loud.value, silent.value) == (1340.2, 1253.7)
    assert other is not None
    assert other.source is not None
    assert "had sound, unlike" in other.source.note
    assert mixed is not None
    assert mixed.source is not None
    assert "mixes silent clips" in mixed.source.note


def test_sound_alone_is_worth_86_points_in_text_and_73_in_image() -> None:
    for mode, points in (("t2v", 1339.2 - 1252.9), ("i2v", 1330.3 - 1256.9)):
        worth = quality.sound_worth(mode, as_of=date(2026, 8, 31))
        assert worth is not None
        assert worth.value == pytest.approx(points)
    assert round(1339.2 - 1252.9) == 86
    assert round(1330.3 - 1256.9) == 73


def test_an_interval_that_was_not_printed_is_the_last_printed_one_and_says_so() -> None:
    rating = quality.rating("veo-3.1", as_of=DAY)
    assert rating is not None
    assert rating.range is not None
    assert rating.range.high - float(rating.value) == pytest.approx(14.4)
    assert rating.source is not None
    assert "2026-08-17" in rating.source.note
    newcomer = quality.rating("wan-3.0", as_of=DAY)
    assert newcomer is not None
    assert newcomer.range is None


def test_a_seller_of_the_same_open_weights_is_estimated_from_them() -> None:
    hosted = quality.rating("fal-wan2.2-a14b", as_of=DAY)
    assert hosted is not None
    assert hosted.basis is Basis.ESTIMATED
    assert hosted.value == 1131.6


def test_vbench_is_kept_and_does_not_steer() -> None:
    kept = [row for row in quality.scores("veo-3", as_of=DAY) if row.score.board == "vbench-total"]
    assert [row.score.value for row in kept] == [85.06]
    assert not kept[0].board.routing
    wan = [s.value for s in SCORES if s.board == "vbench-total" and s.name.startswith("Wan 2.1")]
    assert max(wan) > 85.06


def test_names_are_resolved_and_unknown_ones_refused() -> None:
    assert quality.rating("Wan2.2-T2V-A14B", as_of=DAY) == quality.rating(
        "wan2.2-t2v-a14b", as_of=DAY
    )
    with pytest.raises(UnknownName):
        quality.rating("veo-99", as_of=DAY)
    with pytest.raises(InvalidArgument, match="mode"):
        quality.ranking("extend", as_of=DAY)


def test_the_ranking_lists_every_model_of_the_mode_those_without_a_score_last() -> None:
    rows = quality.ranking("t2v", as_of=DAY)
    assert {row.model for row in rows} == {m.id for m in catalog.models() if "t2v" in m.modes}
    values = [float(row.rating.value) for row in rows if row.rating]
    assert values == sorted(values, reverse=True)
    assert rows[-1].rating is None


# ── Latency ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "seconds"),
    [("grok-imagine-1.0", 27.92), ("veo-3.1", 53.55), ("wan-2.7", 66.05), ("kling-3.0", 93.34),
     ("seedance-2.0", 184.6), ("fal-wan2.2-a14b", 312.52), ("wan-2.6", 69.76)],
)  # fmt: skip
def test_latency_is_that_of_the_comparable_table(model: str, seconds: float) -> None:
    found = quality.latency(model, as_of=DAY)
    assert found is not None
    assert (found.value, found.unit) == (seconds, "s")


def test_latency_of_printed_ends_is_an_estimate_between_them() -> None:
    found = quality.latency("luma-ray-2", as_of=DAY)
    assert found is not None
    assert found.basis is Basis.ESTIMATED
    assert found.range is not None
    assert (found.range.low, found.range.high) == (30, 60)
    assert found.value == pytest.approx(math.sqrt(30 * 60))


def test_self_hosted_latency_is_not_looked_up() -> None:
    assert quality.latency("wan2.2-t2v-a14b", as_of=DAY) is None


def test_the_mode_s_own_latency_comes_first() -> None:
    found = quality.latency("wan-2.6", as_of=DAY, mode="i2v")
    assert found is not None
    assert found.value == 52.68


# ── Capabilities ──────────────────────────────────────────────────────────────────────────────


def able(model: str) -> quality.Capability:
    found = quality.capability(model)
    assert found is not None
    return found


def test_every_model_has_a_row_and_every_known_fact_a_source() -> None:
    rows = quality.matrix()
    assert {row.model for row in rows} == MODELS
    sourceless = {m.id for m in catalog.models() if m.source is None}
    for row in rows:
        assert set(row.facts) == set(quality.VOCABULARY)
        for fact in row.facts.values():
            assert fact.value == "unknown" or fact.source or row.model in sourceless


def test_the_article_s_router_fails_where_wan_cannot_follow() -> None:
    wan = able("wan2.2-t2v-a14b")
    assert wan.lacks() == ()
    assert wan.lacks(lora=True, resolution="720p", seconds=5) == ()
    assert wan.lacks(audio=True) == ("makes no sound",)
    assert wan.lacks(image=True) == ("takes no image",)
    assert wan.lacks(resolution="1080p") == ("ends at 720p, below 1080p",)
    assert wan.lacks(seconds=Decimal(8)) == ("makes clips of 5 s, none holds 8 s",)
    assert "article" in wan.lacks(faces=True)[0]
    assert len(wan.lacks(faces=True, text=True, audio=True, image=True, seconds=9)) == 5


def test_unknown_is_not_yes_and_for_faces_not_no() -> None:
    veo = able("veo-3.1")
    assert veo["faces"] == "unknown"
    assert veo.lacks(faces=True) == ()
    assert veo.unsure(faces=True, text=True) == (
        "no source says how well it shows human faces",
        "no source says how well it shows lettering",
    )
    assert able("kling-o1").lacks(audio=True) == ("no source says that it makes sound",)
    assert able("ovi").lacks(resolution="480p") == ("no source says that it reaches 480p",)


def test_lengths_narrow_with_the_resolution() -> None:
    hailuo = able("hailuo-2.3")
    assert hailuo.lacks(seconds=10, resolution="720p") == ()
    assert hailuo.lacks(seconds=10, resolution="1080p") == (
        "makes clips of 6 s at 1080p, none holds 10 s",
    )


def test_a_model_that_the_book_does_not_hold_has_no_capability() -> None:
    assert quality.capability("no-such-model") is None


# ── Entries ───────────────────────────────────────────────────────────────────────────────────


def kling(value: float = 1350, **named: object) -> quality.EnteredRating:
    given_: dict[str, object] = {
        "model": "kling-3.0", "value": value, "low": 1300, "high": 1400,
        "valid_from": date(2026, 11, 1),
    }  # fmt: skip
    return quality.EnteredRating(**(given_ | named))  # type: ignore[arg-type]


def test_an_entered_rating_holds_from_its_day_until_removed(own_store: Path) -> None:
    name = quality.enter(kling(), who="Ann", why="our own votes")
    assert quality.rating("kling-3.0", as_of=date(2026, 10, 31)) is None
    rating = quality.rating("kling-3.0", as_of=DAY)
    assert rating is not None
    assert (rating.value, rating.basis) == (1350, Basis.ENTERED)
    assert rating.range is not None
    assert (rating.range.low, rating.range.high, rating.range.level) == (1300, 1400, 0.9)
    quality.enter(kling(1360, valid_from=date(2026, 11, 20)), who="Bo", why="more votes")
    later = quality.rating("kling-3.0", as_of=DAY)
    before = quality.rating("kling-3.0", as_of=date(2026, 11, 19))
    assert later is not None
    assert before is not None
    assert (later.value, before.value) == (1360, 1350)
    quality.remove("kling-3.0 t2v 2026-11-20", who="Bo", why="wrong poll")
    quality.remove(name, who="Ann", why="wrong poll")
    assert quality.rating("kling-3.0", as_of=DAY) is None
    assert [(r.action, r.who) for r in quality.audit()] == [
        ("entered", "Ann"), ("entered", "Bo"), ("removed", "Bo"), ("removed", "Ann"),
    ]  # fmt: skip


def test_the_published_rating_stays_visible_beside_an_entered_one(own_store: Path) -> None:
    quality.enter(kling(1400, model="Veo 3.1 (Standard)"), who="Ann", why="our own votes")
    row = next(r for r in quality.ranking(as_of=DAY) if r.model == "veo-3.1")
    assert row.rating is not None
    assert row.published is not None
    assert (row.rating.value, row.published.value) == (1400, 1364.2)
    published = quality.published("veo-3.1", as_of=DAY)
    assert published is not None
    assert published.value == 1364.2


def test_a_recipe_is_rated_by_people_alone_and_apart_from_its_model(own_store: Path) -> None:
    few = quality.recipe("wan2.2-t2v-a14b", steps=4, guidance=False)
    entry = kling(1100, model="wan2.2-t2v-a14b", recipe=few, low=1050, high=1150)
    quality.enter(entry, who="Ann", why="side by side")
    rated = quality.rating("wan2.2-t2v-a14b", as_of=DAY, recipe=few)
    plain = quality.rating("wan2.2-t2v-a14b", as_of=DAY)
    assert rated is not None
    assert plain is not None
    assert (rated.value, plain.value) == (1100, 1131.6)
    assert ("wan2.2-t2v-a14b", few) in {(r.model, r.recipe) for r in quality.ranking(as_of=DAY)}


def test_an_entered_capability_counts_and_shows_what_was_published(own_store: Path) -> None:
    entry = quality.EnteredFeature(model="wan2.2-t2v-a14b", feature="faces", value="good")
    name = quality.enter(entry, who="Ann", why="looked at 50 clips")
    fact = able("wan2.2-t2v-a14b").facts["faces"]
    assert (fact.value, fact.basis) == ("good", Basis.ENTERED)
    assert fact.published is not None
    assert fact.published.value == "weak"
    assert able("wan2.2-t2v-a14b").lacks(faces=True) == ()
    quality.remove(name, who="Ann", why="looked again")
    assert able("wan2.2-t2v-a14b").lacks(faces=True) != ()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"low": 1360}, "lie in its range"),
        ({"low": 1350, "high": 1350}, "needs a range"),
        ({"mode": "extend"}, "a rating is of"),
        ({"level": 1.0}, "level"),
    ],
)
def test_an_entry_must_make_sense(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        kling(**wrong)  # type: ignore[arg-type]


def test_an_entry_needs_who_why_and_a_model(own_store: Path) -> None:
    with pytest.raises(InvalidArgument, match="who"):
        quality.enter(kling(), who=" ", why="x")
    with pytest.raises(UnknownName):
        quality.enter(kling(model="kling-99"), who="Ann", why="x")
    with pytest.raises(InvalidArgument, match="faces is one of good, weak"):
        quality.EnteredFeature(model="veo-3.1", feature="faces", value="great")
    with pytest.raises(InvalidArgument, match="no entry"):
        quality.remove("kling-3.0 t2v 2026-11-01", who="Ann", why="x")
    assert quality.audit() == ()


# ── Comparing ─────────────────────────────────────────────────────────────────────────────────


def rated(points: float) -> Figure:
    return Figure.entered("rating", points, "points")


def test_veo_3_1_is_preferred_to_wan_2_2_in_79_percent_of_votes() -> None:
    veo, wan = (quality.rating(m, as_of=DAY) for m in ("veo-3.1", "wan2.2-t2v-a14b"))
    assert veo is not None
    assert wan is not None
    share = quality.preference("Veo 3.1 over Wan 2.2", veo, wan)
    by_hand = 1 / (1 + 10 ** (-(1364.2 - 1131.6) / 400))
    assert share.value == pytest.approx(by_hand)
    assert round(by_hand, 3) == 0.792
    assert share.range is not None
    spread = math.hypot(14.4, 15.1)
    assert share.range.low == pytest.approx(quality.share_preferred(232.6 - spread))


@given(st.floats(-2000, 2000))
def test_the_shares_of_two_models_sum_to_one(points: float) -> None:
    total = quality.share_preferred(points) + quality.share_preferred(-points)
    assert total == pytest.approx(1)


def test_ratings_of_different_snapshots_are_not_compared() -> None:
    new = quality.rating("veo-3.1", as_of=DAY)
    old = quality.rating("wan2.2-t2v-a14b", as_of=date(2026, 8, 31))
    assert new is not None
    assert old is not None
    with pytest.raises(InvalidArgument, match="different snapshots"):
        quality.difference("gap", new, old)
    with pytest.raises(InvalidArgument, match="different snapshots"):
        quality.frontier(
            [
                quality.Point(route="a", usd=1, rating=new),
                quality.Point(route="b", usd=1, rating=old),
            ]
        )


def test_a_frontier_without_scores_is_refused_by_name() -> None:
    points = [
        quality.Point(route="veo-3.1", usd=1, rating=rated(1364)),
        quality.Point(route="kling-4.0", usd=2, rating=None),
        quality.Point(route="kling-3.0", usd=2, rating=None),
    ]
    with pytest.raises(InvalidArgument, match=r"no public score for kling-3\.0, kling-4\.0"):
        quality.frontier(points)


def test_the_frontier_keeps_what_nothing_beats() -> None:
    table = {"wan": (0.2, 1131), "veo": (2.0, 1364), "seedance": (1.5, 1479), "dear": (0.3, 1100)}
    points = [
        quality.Point(route=name, usd=usd, rating=rated(points))
        for name, (usd, points) in table.items()
    ]
    assert [point.route for point in quality.frontier(points)] == ["wan", "seedance"]
    assert quality.frontier([]) == ()


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=12))
def test_the_frontier_is_the_set_that_no_other_point_dominates(
    pairs: list[tuple[int, int]],
) -> None:
    points = [
        quality.Point(route=str(n), usd=usd, rating=rated(points))
        for n, (usd, points) in enumerate(pairs)
    ]
    alone = {
        str(n)
        for n, (usd, points) in enumerate(pairs)
        if not any((u <= usd and p >= points) and (u < usd or p > points) for u, p in pairs)
    }
    assert {point.route for point in quality.frontier(points)} == alone


# ── What another board suggests ───────────────────────────────────────────────────────────────


def test_another_board_suggests_and_never_rates() -> None:
    suggested = quality.suggestion("kling-3.0", as_of=DAY)
    assert suggested is not None
    assert suggested.basis is Basis.ESTIMATED
    assert suggested.value == pytest.approx(1356, abs=1)
    assert quality.rating("kling-3.0", as_of=DAY) is None
    assert quality.suggestion("wan2.2-ti2v-5b", as_of=DAY) is None
    assert quality.suggestion("veo-3.1", "edit", as_of=DAY) is None
    assert quality.suggestion("kling-3.0", as_of=date(2026, 8, 1)) is None


def test_the_suggestion_is_a_straight_line_through_the_shared_models() -> None:
    suggested = quality.suggestion("kling-3.0", as_of=DAY)
    assert suggested is not None
    pairs = [
        (1092, 1364.2), (1086, 1361.9), (1238, 1512.9), (1227, 1460.3), (1221, 1479.2),
        (1000, 1256.0), (1106, 1337.2), (1028, 1326.7), (1211, 1427.2),
    ]  # fmt: skip
    mean_x, mean_y = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in pairs) / sum(
        (x - mean_x) ** 2 for x, _ in pairs
    )
    assert suggested.value == pytest.approx(mean_y + slope * (1093 - mean_x))


def test_models_that_were_left_out_of_the_line_fall_in_its_range_about_as_often_as_said() -> None:
    inside = []
    for mode in ("t2v", "i2v"):
        for model in catalog.models():
            suggested = quality.suggestion(model.id, mode, as_of=DAY)
            actual = quality.published(model.id, mode, as_of=DAY, audio=True)
            if suggested and suggested.range and actual:
                inside.append(suggested.range.low <= actual.value <= suggested.range.high)
    assert len(inside) == 19
    assert sum(inside) == 17


# ── The gap ───────────────────────────────────────────────────────────────────────────────────


def test_the_gap_s_history_is_what_the_boards_of_those_days_say() -> None:
    days = gap.history(as_of=DAY)
    assert [day.points for day in days] == [256, 178, 202, 352, 59, 56]
    for day in days:
        values = {
            score.name: score.value
            for score in SCORES
            if score.board == "arena-t2v" and score.seen.startswith(day.day.isoformat())
        }
        assert values[day.best] == max(values.values())
        assert day.source in DOCUMENTS
        if day.open:
            assert round(values[day.best] - values[day.open]) == day.points


def test_the_wan_line_closed_30_30_6_and_78_percent() -> None:
    along = [step for step in gap.steps(as_of=DAY) if step.line == "Wan"]
    assert [round(100 * step.share) for step in along] == [30, 30, 6, 78]
    first = along[0]
    assert first.gap_before == pytest.approx(1516.2 - 1131.6)
    assert first.share == pytest.approx(1 - (1516.2 - 1245.3) / (1516.2 - 1131.6))


def test_the_projection_is_estimated_spans_the_steps_and_repeats_with_its_seed() -> None:
    answer = quality.project_gap(3, as_of=DAY)
    assert answer.gaps[0].value == pytest.approx(1516.2 - 1460.3)
    assert [figure.basis for figure in answer.gaps[1:]] == [Basis.ESTIMATED] * 3
    shares = [step.share for step in answer.steps]
    start = float(answer.gaps[0].value)
    for n, figure in enumerate(answer.gaps[1:], 1):
        assert figure.range is not None
        assert figure.range.low <= figure.value <= figure.range.high
        assert figure.range.low >= start * (1 - max(shares)) ** n - 1e-9
        assert figure.range.high <= start * (1 - min(shares)) ** n + 1e-9
    assert quality.project_gap(3, as_of=DAY) == answer
    assert quality.project_gap(3, as_of=DAY, seed=2) != answer
    assert "is not what the data show" in answer.words


def test_the_middle_of_the_first_generation_is_the_middle_step() -> None:
    answer = quality.project_gap(1, as_of=DAY)
    shares = sorted(step.share for step in answer.steps)
    assert float(answer.gaps[1].value) == pytest.approx(55.9 * (1 - shares[len(shares) // 2]))


def test_an_entered_share_is_compounded_and_stays_entered() -> None:
    answer = quality.project_gap(2, as_of=DAY, share=0.3, share_range=(0.1, 0.5))
    assert [float(figure.value) for figure in answer.gaps] == pytest.approx([55.9, 39.13, 27.391])
    last = answer.gaps[2]
    assert last.basis is Basis.ENTERED
    assert last.range is not None
    assert (last.range.low, last.range.high) == pytest.approx((55.9 * 0.25, 55.9 * 0.81))


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"share": 1.2}, "at most 1"),
        ({"share": 0.3, "share_range": (0.4, 0.5)}, "lie in its range"),
        ({"share_range": (0.1, 0.2)}, "needs the share"),
        ({"generations": 0}, "generations"),
        ({"as_of": date(2025, 9, 1)}, "fewer than two steps"),
        ({"as_of": date(2025, 1, 1)}, "no snapshot"),
    ],
)
def test_a_projection_that_rests_on_nothing_is_refused(named: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        quality.project_gap(**({"as_of": DAY} | named))  # type: ignore[arg-type]


# ── The command line ──────────────────────────────────────────────────────────────────────────


def run(*words: str) -> str:
    result = CliRunner().invoke(quality_group, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_list_says_none_where_there_is_no_score() -> None:
    answer = json.loads(run("list", "--as-of", "2026-11-22", "--json"))
    ratings = {row["model"]: row["rating"] for row in answer["ratings"]}
    assert answer["snapshot"] == "2026-09-22"
    assert ratings["veo-3.1"]["value"] == 1364.2
    assert ratings["kling-3.0"] is None
    assert "no public score" in run("list", "--as-of", "2026-11-22")


def test_show_holds_capabilities_and_scores_with_their_sources() -> None:
    answer = json.loads(run("show", "wan-22-t2v", "--as-of", "2026-11-22", "--json"))
    assert answer["model"] == "wan2.2-t2v-a14b"
    assert answer["capabilities"]["faces"]["value"] == "weak"
    assert answer["capabilities"]["faces"]["source"]["document"].startswith("Wan 2.2's MoE")
    assert all(row["publisher"] and row["seen"] for row in answer["scores"])
    assert "not for routing" in run("show", "wan-22-t2v", "--as-of", "2026-11-22")


def test_enter_remove_and_audit_from_the_command_line(own_store: Path) -> None:
    who = ("--who", "Ann", "--why", "our own votes")
    ends = ("--rating", "1350", "--low", "1300", "--high", "1400", "--from", "2026-11-01")
    assert run("enter", "kling-3.0", *ends, *who) == "entered: kling-3.0 t2v 2026-11-01\n"
    line = next(
        line for line in run("list", "--as-of", "2026-11-22").splitlines() if "kling-3.0 " in line
    )
    assert line.split() == ["kling-3.0", "1350", "(1300", "to", "1400)", "entered"]
    run("enter", "kling-3.0", "--feature", "text", "--value", "good", *who)
    run("remove", "kling-3.0 text", *who)
    rows = json.loads(run("audit", "--json"))
    assert [(row["kind"], row["action"]) for row in rows] == [
        ("rating", "entered"), ("capability", "entered"), ("capability", "removed"),
    ]  # fmt: skip
    with pytest.raises(InvalidArgument, match="range"):
        run("enter", "kling-3.0", "--rating", "1350", *who)
    with pytest.raises(InvalidArgument, match="--low"):
        run("enter", "kling-3.0", "--feature", "text", "--value", "good", "--low", "3", *who)


def test_gap_prints_the_steps_and_refuses_half_a_range() -> None:
    answer = json.loads(run("gap", "--as-of", "2026-11-22", "--json"))
    assert len(answer["steps"]) == 9
    assert answer["gaps"][1]["basis"] == "estimated"
    assert "closed" in run("gap", "--share", "0.3", "--as-of", "2026-11-22")
    with pytest.raises(InvalidArgument, match="two ends"):
        run("gap", "--share", "0.3", "--low", "0.2")


# ── The page ──────────────────────────────────────────────────────────────────────────────────


def opened(section: str = "") -> AppTest:
    app = AppTest.from_string(
        "from costlab.pages import quality\nquality.page()", default_timeout=120
    )
    if section:
        app.session_state["quality-section"] = section
    app.run()
    assert not app.exception
    assert not app.error
    return app


def on(app: AppTest, day: date) -> AppTest:
    app.date_input(key="quality-day").set_value(day).run()
    assert not app.exception
    return app


def test_the_page_states_its_answer_with_the_library_s_own_figure() -> None:
    app = on(opened(), DAY)
    app.selectbox(key="quality-rival").set_value("veo-3.1").run()
    assert app.header[0].value == (
        "On 2026-11-22 people prefer Veo 3.1 to Wan 2.2 in 79 % of votes"
    )
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Rating of veo-3.1"] == "1364"
    assert shown["Rating of Wan 2.2"] == "1132"
    assert shown["What sound alone is worth"] == "86"
    assert any("No public score" in caption.value for caption in app.caption)
    app.selectbox(key="quality-mode").set_value("an image").run()
    assert not app.exception
    assert "prefer" in app.header[0].value


@pytest.mark.parametrize("day", [date(2025, 9, 1), date(2025, 1, 1)])
def test_the_page_opens_on_days_with_little_or_nothing_known(day: date) -> None:
    app = on(opened(), day)
    assert not app.error
    words = "Nobody had voted" if day.month == 1 else "No price of a rated model is known"
    assert words in app.header[0].value


def test_a_rating_entered_on_the_page_joins_the_frontier_and_is_audited(own_store: Path) -> None:
    app = opened("What you know")
    app.selectbox(key="quality-enter-model").set_value("kling-3.0")
    app.text_input(key="quality-rating-who").set_value("Ann")
    app.text_input(key="quality-rating-why").set_value("our own votes")
    next(b for b in app.button if b.label == "Enter the rating").click().run()
    assert not app.exception
    assert not app.error
    rating = quality.rating("kling-3.0", as_of=date.today())  # noqa: DTZ011  the page's day
    assert rating is not None
    assert (rating.value, rating.basis) == (1200, Basis.ENTERED)
    assert [row.who for row in quality.audit()] == ["Ann"]
    assert "kling-3.0" in app.selectbox(key="quality-rival").options


def test_an_entry_without_a_name_is_refused_in_words(own_store: Path) -> None:
    app = opened("What you know")
    next(b for b in app.button if b.label == "Enter the rating").click().run()
    assert not app.exception
    assert "needs who makes it and why" in app.error[0].value


def test_an_entered_share_moves_the_projection() -> None:
    app = on(opened("How far open weights trail"), DAY)
    app.toggle(key="quality-own-share").set_value(True).run()
    assert any("After 4 generations: 13 points (3 – 37)" in c.value for c in app.caption)
