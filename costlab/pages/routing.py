"""Which route takes which clip: a policy beside what it serves, misses and costs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from costlab import handover, present, projection, routing, scenarios, store
from costlab.core import BadData, CostlabError, plain
from costlab.pages import cheapest, choose, look

ASKED = ("stage", "tier", "quality", "mode", "audio", "batch")
CHOICES = {
    "stage": ("preview", "final"),
    "quality": ("standard", "premium"),
    "mode": ("t2v", "i2v"),
    "audio": ("yes", "no"),
    "batch": ("yes", "no"),
}
BESIDE = ("article", "article-repaired", "all-api", "all-self-hosted", "cheapest-capable")
EMPTY = "any"


@st.cache_resource(max_entries=128, show_spinner="Working out where the clips go …")
def routed(
    asked: scenarios.Scenario, policy: routing.Policy, version: str
) -> projection.Projection:
    """Return the projection under a policy, remembered until the data or either changes."""
    del version
    return projection.project(asked, policy=policy)


def page() -> None:
    """Draw the page."""
    top, pick = st.columns(2)
    with top:
        asked = choose.scenario("Scenario", "routed")
    known = routing.policies()
    linked = st.query_params.get("policy", asked.policy)
    chosen = pick.selectbox(
        "Policy",
        list(known),
        index=list(known).index(linked if linked in known else asked.policy),
        format_func=lambda name: known[name].title,
        key=f"policy-{asked.id}",
    )
    st.query_params["policy"] = chosen
    answer_here = st.container()
    try:
        policy = _edit(known[chosen])
        answer = routed(asked, policy, store.version())
        with answer_here:
            _answer(answer)
            _flows_and_misses(answer)
        look.tabs(
            {
                "Beside other policies": partial(_beside, asked, policy, known),
                "The cheapest split there is": partial(cheapest.section, asked),
                "Keep it, hand it over": partial(_keep, policy, answer),
            },
            key="routing-section",
        )
        look.proof(answer.figures(), key="routing-proof")
    except CostlabError as error:
        look.refusal(error)


def _answer(answer: projection.Projection) -> None:
    cost = answer.summary.get("usd_per_accepted_clip")
    found = answer.check()
    failing = found["violating_share"]
    if cost is None:
        st.header("This policy serves nothing of what the mix wants")
    elif failing:
        mend = found["added_usd_per_month"]
        st.header(
            f"{present.percent(failing)} of requests are not served as asked; mending it "
            f"{'adds' if mend >= 0 else 'saves'} {present.money(abs(mend))} a month"
        )
    else:
        st.header(
            f"Every request is served as asked, at {present.money(cost.value)} an accepted clip"
        )
    st.markdown("\n".join(f"{n}. {line}" for n, line in enumerate(answer.policy.words, 1)))
    tiles = st.columns(4)
    with tiles[0]:
        look.tile("USD per accepted clip", cost)
    with tiles[1]:
        look.tile("USD a month", answer.summary["usd_per_month"])
    with tiles[2]:
        look.tile("GPUs", answer.summary.get("gpus"))
    with tiles[3]:
        st.metric("Not served as asked", present.percent(failing))
        st.caption("no route, or a route below what was asked")


def _flows_and_misses(answer: projection.Projection) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader("Where the clips go")
        look.flows(
            [
                (
                    result.of,
                    "not served" if result.reason else str(result.route),
                    result.segment.share,
                )
                for result in answer.segments
                if result.segment.share > 0
            ],
            key="routing-flows",
        )
    with right:
        st.subheader("What is not served as asked")
        found = answer.check()
        if not found["violations"]:
            st.success("Nothing: every request gets what it asks.", icon=":material/check:")
        else:
            st.dataframe(
                [
                    {
                        "Segment": one["segment"],
                        "Clips": one["share"],
                        "Why": "; ".join(one["reasons"]),
                        "Who could": one["fix"] or "nothing here can",
                        "Adds a month": one["added_usd_per_month"],
                    }
                    for one in found["violations"]
                ],
                hide_index=True,
                placeholder="–",
                column_config={
                    "Clips": st.column_config.NumberColumn(format="percent", width="small"),
                    "Adds a month": st.column_config.NumberColumn(
                        format="$%,.0f", help="On top of what the segment costs by use today."
                    ),
                },
            )
        if found["unmatched_share"]:
            st.warning(f"{present.percent(found['unmatched_share'])} of clips match no rule.")
        if found["unreached_rules"]:
            st.info(
                "Rules that no request of this mix reaches:\n"
                + "\n".join(f"- {words}" for words in found["unreached_rules"]),
                icon=":material/info:",
            )


# ── The editor ────────────────────────────────────────────────────────────────────────────────


def _edit(policy: routing.Policy) -> routing.Policy:
    """Return the policy as edited; raises `BadData` naming what it gets wrong."""
    section = look.editor("Change the policy", key="routing-edit")
    if section is None:
        return policy
    with section:
        body: dict[str, Any] = plain(policy)
        key = f"rules-{policy.id}"
        if policy.kind == "rules":
            st.markdown(
                "The first rule that holds decides. *any* asks nothing; what the columns cannot "
                "say stands under *more*, such as `seconds: {at_most: 5}`."
            )
            rows = st.data_editor(
                [_row(rule) for rule in policy.rules],
                num_rows="dynamic",
                key=key,
                column_config={
                    **{name: _choice(name) for name in CHOICES},
                    "tier": st.column_config.TextColumn(default=EMPTY),
                    "more": st.column_config.TextColumn(
                        help="Further conditions, as YAML: resolution: {at_least: 1080p}"
                    ),
                    "goes to": st.column_config.TextColumn(
                        required=True,
                        help="A route, or a split such as wan-22-t2v 0.9, kling-30 0.1",
                    ),
                },
            )
            body["rules"] = [_rule(row, number) for number, row in enumerate(rows, 1)]
        else:
            body["among"] = st.segmented_control(
                "Choose among",
                ["all", "api", "self_hosted"],
                default=policy.among,
                required=True,
                format_func=lambda name: {"all": "everything", "api": "APIs",
                                          "self_hosted": "own GPUs"}[name],
                key=f"{key}-among",
            )  # fmt: skip
        body |= _limits(policy, key)
    return routing.parse_policy(body, "policy as edited")


def _choice(name: str) -> Any:
    return st.column_config.SelectboxColumn(
        {"audio": "sound"}.get(name, name), options=[EMPTY, *CHOICES[name]], default=EMPTY,
        required=True,
    )  # fmt: skip


def _row(rule: routing.Rule) -> dict[str, str]:
    when = dict(rule.when or {})
    row = {}
    for name in ASKED:
        value = when.get(name)
        simple = value is not None and not isinstance(value, (dict, list, tuple))
        known = CHOICES.get(name)
        said = str(value)
        if isinstance(value, bool):
            said = "yes" if value else "no"
        if simple and (known is None or said in known):
            del when[name]
            row[name] = said
        else:
            row[name] = EMPTY
    row["more"] = ", ".join(f"{name}: {_flow(value)}" for name, value in when.items())
    row["goes to"] = (
        str(rule.route)
        if rule.split is None
        else ", ".join(f"{route} {share:g}" for route, share in rule.split.items())
    )
    return row


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {v}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(str(one) for one in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rule(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    when: dict[str, Any] = {}
    for name in ASKED:
        said = row.get(name)
        if said and said != EMPTY:
            when[name] = said == "yes" if name in ("audio", "batch") else said
    where = f"rule {number}, more"
    if row.get("more"):
        more = store.load_yaml("{" + str(row["more"]) + "}", where)
        if not isinstance(more, dict):
            raise BadData(where, [f"write conditions as name: value, found {row['more']!r}"])
        when |= more
    goes = str(row.get("goes to") or "").strip()
    rule: dict[str, Any] = {"when": when or None}
    if "," not in goes:
        return rule | {"route": goes or None}
    split = {}
    for part in goes.split(","):
        route, _, share = part.strip().rpartition(" ")
        try:
            split[route.strip()] = float(share)
        except ValueError:
            raise BadData(
                f"rule {number}, goes to",
                [f"write a split as 'route 0.9, other 0.1', found {goes!r}"],
            ) from None
    return rule | {"split": split}


def _limits(policy: routing.Policy, key: str) -> dict[str, Any]:
    first, second, third = st.columns(3)
    quality = first.number_input(
        "Rated at least (arena points)", value=policy.min_quality, step=10.0, format="%.0f",
        placeholder="no floor", key=f"{key}-quality",
        help="Blind votes of people; the Quality page shows every model's.",
    )  # fmt: skip
    latency = second.number_input(
        "At most seconds to a video", value=policy.max_latency_s, step=10.0, format="%.0f",
        min_value=1.0, placeholder="no limit", key=f"{key}-latency",
    )  # fmt: skip
    spot = third.toggle(
        "Batch work on spot GPUs", value=policy.batch_on_spot, key=f"{key}-spot",
        help="And everything else on the other deployments.",
    )  # fmt: skip
    budget = first.number_input(
        "At most USD a month for APIs",
        value=float(policy.budget.usd_per_month) if policy.budget else None,
        step=500.0, min_value=0.0, format="%.0f", placeholder="no cap", key=f"{key}-budget",
    )  # fmt: skip
    then = second.text_input(
        "Once spent, to",
        value=policy.budget.then if policy.budget else "wan-22-t2v",
        key=f"{key}-then", disabled=budget is None,
    )  # fmt: skip
    over = first.text_input(
        "When own GPUs are full, to",
        value=policy.overflow.to if policy.overflow else "",
        placeholder="nobody: clips wait", key=f"{key}-over",
    )  # fmt: skip
    wait = second.number_input(
        "After waiting (s)",
        value=float(policy.overflow.after_wait_s) if policy.overflow else 0.0,
        min_value=0.0, step=10.0, format="%.0f", key=f"{key}-wait", disabled=not over,
    )  # fmt: skip
    return {
        "min_quality": quality,
        "max_latency_s": latency,
        "batch_on_spot": spot,
        "budget": None if budget is None else {"usd_per_month": f"{budget:.2f}", "then": then},
        "overflow": {"to": over, "after_wait_s": wait} if over else None,
    }


# ── Beside others ─────────────────────────────────────────────────────────────────────────────


def _beside(
    asked: scenarios.Scenario, policy: routing.Policy, known: Mapping[str, routing.Policy]
) -> None:
    tried = [policy, *(known[name] for name in BESIDE if name in known and name != policy.id)]
    rows = []
    for one in tried:
        try:
            answer = routed(asked, one, store.version())
        except CostlabError:
            continue
        if cost := answer.summary.get("usd_per_accepted_clip"):
            rows.append((one.title, cost, answer))
    rows.sort(key=lambda row: float(row[1].value))
    look.cost_bars(
        [title for title, _, _ in rows],
        [cost for _, cost, _ in rows],
        key="routing-beside",
        unit="USD per accepted clip",
        colours=[look.PALETTE[0] if a.policy == policy else look.QUIET for _, _, a in rows],
    )
    st.dataframe(
        [
            {
                "Policy": title,
                "USD an accepted clip": float(cost.value),
                "USD a month": float(answer.summary["usd_per_month"].value),
                "Served": float(answer.summary["served_share"].value),
                "Not as asked": answer.check()["violating_share"],
                "Mean rating": float(answer.summary["mean_rating"].value)
                if "mean_rating" in answer.summary
                else None,
                "GPUs": int(answer.summary["gpus"].value) if "gpus" in answer.summary else 0,
            }
            for title, cost, answer in rows
        ],
        hide_index=True,
        placeholder="no public rating",
        column_config={
            "Mean rating": st.column_config.NumberColumn(
                format="%.0f", help="Arena points of the routes, by accepted clips."
            ),
            "USD an accepted clip": st.column_config.NumberColumn(format="$%.3f"),
            "USD a month": st.column_config.NumberColumn(format="$%,.0f"),
            "Served": st.column_config.NumberColumn(format="percent"),
            "Not as asked": st.column_config.NumberColumn(format="percent"),
        },
    )


# ── Keeping and handing over ──────────────────────────────────────────────────────────────────


def _keep(policy: routing.Policy, answer: projection.Projection) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader("Keep it")
        with st.form("keep-policy", border=False, enter_to_submit=False):
            identity = st.text_input("Save as", placeholder="my-policy").strip()
            person = st.text_input("Your name", placeholder="optional").strip()
            if st.form_submit_button("Save policy", icon=":material/save:"):
                if not identity:
                    st.error("Give the policy a short name to save it under.")
                elif identity in routing.policies():
                    st.error(f"{identity} is there already: take another name.")
                else:
                    kept = replace(policy, id=identity, title=identity)
                    routing.save_policy(plain(kept), who=person)
                    st.success(f"Saved; use it as `costlab project … --policy {identity}`")
    with right:
        st.subheader("Hand it to engineering")
        rules = policy if policy.kind == "rules" else handover.as_rules(answer)
        st.caption(
            "The decision as JSON with its schema, a TypeScript and a Python function without "
            "dependencies, and test vectors with the right answers."
        )
        st.download_button(
            "Download the code", partial(_zipped, rules), f"{rules.id}.zip", "application/zip",
            on_click="ignore", icon=":material/download:",
        )  # fmt: skip
        look.folded(
            "See the TypeScript",
            lambda: st.code(handover.typescript(rules), language="typescript"),
            key="routing-code",
        )


def _zipped(rules: routing.Policy) -> bytes:
    """Return everything that engineers take, as one zip; the same policy gives the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in handover.files(rules).items():
            entry = zipfile.ZipInfo(f"{rules.id}/{name}", (1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, text)
    return packed.getvalue()
