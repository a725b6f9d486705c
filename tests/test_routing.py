from __future__ import annotations

from decimal import Decimal

import pytest

from costlab import routing, traffic
from costlab.core import BadData, UnknownName


def segment(**named: object) -> traffic.Segment:
    return traffic.Segment(**{"name": "s", "share": 1, "seconds": Decimal(5), **named})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wish", "route"),
    [
        ({"stage": "preview", "audio": True, "quality": "premium"}, "wan-22-t2v"),
        ({"tier": "basic", "audio": True}, "wan-22-t2v"),
        ({"audio": True, "quality": "premium"}, "veo-31-standard"),
        ({"quality": "premium"}, "kling-30-omni"),
        ({}, "wan-22-t2v"),
    ],
)
def test_the_article_s_router_decides_in_the_article_s_order(
    wish: dict[str, object], route: str
) -> None:
    parts = routing.decide(routing.policy("article"), segment(**wish), [])
    assert parts == (routing.Part(route=route, share=1.0),)


def option(route: str, usd: float, **named: object) -> routing.Option:
    return routing.Option(**{"route": route, "model": route, "kind": "api", "usd": usd, **named})  # type: ignore[arg-type]


def cheapest(**named: object) -> routing.Policy:
    return routing.parse_policy({"id": "p", "title": "P", "kind": "cheapest", **named})


def chosen(policy: routing.Policy, wish: traffic.Segment, *options: routing.Option) -> str | None:
    return routing.pick(routing.decide(policy, wish, options), 0.5)


def test_cheapest_takes_the_cheapest_and_breaks_ties_by_name() -> None:
    offered = [option("b", 0.1), option("a", 0.1), option("c", 0.2)]
    assert chosen(cheapest(), segment(), *offered) == "a"
    assert chosen(cheapest(), segment()) is None


def test_a_quality_floor_takes_no_route_below_it_nor_one_that_nobody_rated() -> None:
    offered = [
        option("unrated", 0.1),
        option("poor", 0.2, rating=1100.0),
        option("good", 0.4, rating=1300.0),
        option("better", 0.5, rating=1400.0),
    ]
    assert chosen(cheapest(min_quality=1200), segment(), *offered) == "good"
    assert chosen(cheapest(min_quality=1200), segment(min_quality=1350.0), *offered) == "better"
    assert chosen(cheapest(), segment(min_quality=1450.0), *offered) is None
    assert "no public rating" in routing.unfit(cheapest(min_quality=1200), segment(), offered[0])


def test_a_latency_limit_holds_for_people_and_not_for_batch_work() -> None:
    offered = [option("slow", 0.1, latency_s=300.0), option("fast", 0.4, latency_s=30.0)]
    assert chosen(cheapest(max_latency_s=120), segment(), *offered) == "fast"
    assert chosen(cheapest(max_latency_s=120), segment(batch=True), *offered) == "slow"
    assert chosen(cheapest(), segment(max_latency_s=20.0), *offered) is None
    assert chosen(cheapest(max_latency_s=120), segment(), option("unknown", 0.1)) is None


def test_spot_gpus_are_kept_for_batch_work_where_the_policy_says_so() -> None:
    policy = cheapest(batch_on_spot=True)
    spot = option("spot", 0.1, kind="self_hosted", spot=True)
    steady = option("steady", 0.3, kind="self_hosted")
    assert chosen(policy, segment(), spot, steady) == "steady"
    assert chosen(policy, segment(batch=True), spot, steady) == "spot"
    assert chosen(cheapest(), segment(), spot, steady) == "spot"


@pytest.mark.parametrize(
    ("condition", "wish", "holds"),
    [
        ({"seconds": {"at_most": 5}}, {}, True),
        ({"seconds": {"above": 5}}, {}, False),
        ({"seconds": {"above": 4, "below": 6}}, {}, True),
        ({"seconds": 5}, {}, True),
        ({"resolution": {"at_least": "1080p"}}, {}, False),
        ({"resolution": {"at_least": "720p"}}, {"resolution": "4k"}, True),
        ({"tier": ["basic", "free"]}, {"tier": "free"}, True),
        ({"tier": ["basic", "free"]}, {"tier": "pro"}, False),
        ({"max_latency_s": {"below": 60}}, {}, False),
        ({"max_latency_s": {"below": 60}}, {"max_latency_s": 30.0}, True),
        ({"faces": True, "audio": False}, {"faces": True}, True),
    ],
)
def test_conditions_are_values_lists_or_bounds(
    condition: dict[str, object], wish: dict[str, object], holds: bool
) -> None:
    rule = routing.Rule(when=condition, route="x")
    assert not rule.problems()
    assert rule.matches(segment(**wish).features()) is holds


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"route": "x", "when": {"tier": {"above": "basic"}}}, "has no order"),
        ({"route": "x", "when": {"seconds": {"more": 5}}}, "bounds are above"),
        ({"route": "x", "when": {"seconds": "long"}}, "must be a number"),
        ({"route": "x", "when": {"audio": "yes"}}, "must be true or false"),
        ({"route": "x", "when": {"resolution": {"at_least": "8k"}}}, "must be one of"),
        ({"route": "x", "when": {"tier": []}}, "matches nothing"),
        ({"route": "x", "split": {"y": 1}}, "either a route or a split"),
        ({}, "either a route or a split"),
        ({"split": {"x": 0.5, "y": 0.4}}, "sum to 1"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rule: dict[str, object], found: str) -> None:
    with pytest.raises(BadData, match=found):
        routing.parse_policy({"id": "p", "title": "P", "rules": [rule]})


def test_a_split_sends_single_requests_in_its_shares_and_each_always_the_same_way() -> None:
    rule = routing.Rule(split={"a": 0.2, "b": 0.5, "c": 0.3})
    places = [routing.fraction(f"request-{n}") for n in range(20_000)]
    sent = [routing.pick(rule.parts, place) for place in places]
    for route, share in (rule.split or {}).items():
        assert sent.count(route) / len(sent) == pytest.approx(share, abs=0.01)
    assert routing.fraction("request-7") == places[7]


def test_the_place_of_an_id_is_fnv_1a_finished_by_murmur() -> None:
    value = 0xE40C292C  # FNV-1a of "a", printed in the FNV test suite
    value = ((value ^ value >> 16) * 0x85EBCA6B) % 2**32
    value = ((value ^ value >> 13) * 0xC2B2AE35) % 2**32
    assert routing.fraction("a") == (value ^ value >> 16) / 2**32


def test_rules_that_no_segment_reaches_are_named() -> None:
    mix = traffic.mix("overnight-batch")
    words = [rule.words for rule in routing.unreached(routing.policy("article"), mix.segments)]
    assert words == [
        "stage is preview → wan-22-t2v",
        "with audio → veo-31-standard",
        "quality is premium → kling-30-omni",
        "otherwise → wan-22-t2v",
    ]


def test_a_policy_with_an_unknown_condition_is_refused() -> None:
    with pytest.raises(BadData, match=r"rules\[1\].when.colour: unknown condition"):
        routing.parse_policy(
            {"id": "p", "title": "P", "rules": [{"when": {"colour": "red"}, "route": "x"}]}
        )


def test_an_unknown_policy_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean article"):
        routing.policy("artikel")
