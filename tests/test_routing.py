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
    assert routing.decide(routing.policy("article"), segment(**wish), {}) == route


def test_cheapest_takes_the_cheapest_and_breaks_ties_by_name() -> None:
    policy = routing.policy("cheapest-capable")
    assert routing.decide(policy, segment(), {"b": 0.1, "a": 0.1, "c": 0.2}) == "a"
    assert routing.decide(policy, segment(), {}) is None


def test_rules_that_no_segment_reaches_are_named() -> None:
    mix = traffic.mix("overnight-batch")
    words = [rule.words for rule in routing.unreached(routing.policy("article"), mix.segments)]
    assert words == [
        "stage is preview → wan-22-t2v",
        "audio is True → veo-31-standard",
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
