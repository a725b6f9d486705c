"""How good each model's clips are, what better ones cost, and what each model can make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Literal

import streamlit as st

from costlab import catalog, present, quality, scenarios, store, unitcost
from costlab.core import Basis, ClipRequest, CostlabError, Figure
from costlab.pages import choose, look
from costlab.quality import gap

Mode = Literal["t2v", "i2v"]
WAN: dict[Mode, str] = {"t2v": "wan2.2-t2v-a14b", "i2v": "wan2.2-i2v-a14b"}
NO_SCORE = "no public score"
INTERVAL_HELP = (
    "The bars hold the true rating with 95 % probability, as the board prints them; where a copy "
    "prints none, the last printed one is drawn."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A model with the price of one clip of 5 s at 720p and its rating, or what is suggested."""

    model: str
    usd: Figure
    seller: str
    stale: bool
    rating: Figure | None
    suggested: Figure | None


def page() -> None:
    """Draw the page."""
    columns = st.columns([2, 2, 2, 3])
    as_of = columns[0].date_input("As of", value=_today(), key="quality-day")
    mode: Mode = (
        "t2v" if columns[1].selectbox("From", ["text", "an image"], key="quality-mode") == "text"
        else "i2v"
    )  # fmt: skip
    audio = columns[2].toggle("With sound", key="quality-sound")
    old = columns[3].toggle(
        "Also undated and old prices, resellers",
        value=True,
        key="quality-old",
        help="Without them only sellers' own prices seen in the last weeks are drawn.",
    )
    try:
        priced = _priced(as_of, mode, audio, old, store.version())
        figures = _answer(as_of, mode, audio, priced)
        _prices_and_ratings(priced)
        _ratings(as_of, mode, audio, priced)
        look.tabs(
            {
                "What each model can make": _matrix,
                "How far open weights trail": partial(_gap, as_of),
                "What you know": partial(_entries, as_of),
                "What was read": partial(_sources, as_of),
            },
            key="quality-section",
        )
        if figures:
            look.proof(figures, key="quality-proof")
    except CostlabError as error:
        look.refusal(error)


def _today() -> date:
    return date.today()  # noqa: DTZ011  the day where the person sits


@st.cache_resource(max_entries=32, show_spinner="Pricing a clip everywhere …")
def _priced(as_of: date, mode: Mode, audio: bool, old: bool, version: str) -> tuple[Priced, ...]:
    """Return who makes a clip of 5 s at 720p on that day, cheapest first, with the ratings."""
    del version
    request = ClipRequest(seconds=Decimal(5), resolution="720p", mode=mode, audio=audio)
    own = [
        (cost.model, cost.usd, cost.route.partition("@")[2], cost.stale)
        for cost in _self_hosted(request, WAN[mode], as_of)
    ]
    bought = [
        (quoted.model, quoted.figure(), quoted.provider, quoted.stale)
        for quoted in catalog.rank(request, as_of).served
        if old or not (quoted.stale or quoted.head.channel == "reseller")
    ]
    rows = []
    for model, usd, seller, stale in (*own, *bought):
        rating = quality.rating(model, mode, as_of=as_of, audio=audio)
        suggested = None if rating else quality.suggestion(model, mode, as_of=as_of)
        rows.append(
            Priced(
                model=model,
                usd=usd,
                seller=seller,
                stale=stale,
                rating=rating,
                suggested=suggested,
            )
        )
    return tuple(sorted(rows, key=lambda row: float(row.usd.value)))


def _self_hosted(request: ClipRequest, model: str, as_of: date) -> tuple[unitcost.UnitCost, ...]:
    """Return what the clip costs on the first deployment of ``model`` in the shipped scenario;
    empty where it cannot make it or its GPUs have no price on that day."""
    for deployment in scenarios.scenario(choose.FIRST).deployments:
        if deployment.model_id == model:
            try:
                return (unitcost.self_hosted(deployment, request, as_of),)
            except CostlabError:
                return ()
    return ()


def _answer(as_of: date, mode: Mode, audio: bool, priced: Sequence[Priced]) -> dict[str, Figure]:
    wan = quality.rating(WAN[mode], mode, as_of=as_of, audio=audio)
    rated = [row for row in priced if row.rating is not None and "wan2.2" not in row.model]
    if wan is None:
        st.header(f"Nobody had voted on clips of Wan 2.2 by {as_of}")
        st.caption("Pick a later day: the first snapshot of the arena is of 2025-08-28.")
        return {}
    if not rated:
        st.header(f"No price of a rated model is known on {as_of}")
        st.caption("Pick a later day, or draw undated and old prices too.")
        return {}
    names = [row.model for row in sorted(rated, key=lambda row: -_value(row.rating))]
    heading = st.container()
    chosen = st.selectbox("Compare Wan 2.2 with", names, key="quality-rival")
    rival = next(row for row in rated if row.model == chosen)
    assert rival.rating is not None
    share = quality.preference(f"votes for {chosen} against Wan 2.2", rival.rating, wan)
    with heading:
        st.header(
            f"On {as_of} people prefer {catalog.model(chosen).name} to Wan 2.2 in "
            f"{present.percent(share.value)} of votes"
        )
        st.markdown(_prices_said(chosen, rival, WAN[mode], priced))
    worth = quality.sound_worth(mode, as_of=as_of)
    figures = {
        "votes for it": share,
        f"rating of {chosen}": rival.rating,
        "rating of Wan 2.2": wan,
        **({"what sound alone is worth": worth} if worth else {}),
    }
    for column, (label, figure) in zip(st.columns(len(figures)), figures.items(), strict=True):
        with column:
            if figure.unit == "points":
                _points_tile(label, figure)
            else:
                look.tile("Votes for it", figure, "Expected share of blind votes between the two.")
    if worth:
        st.caption(
            "The arena has one pool for silent clips and clips with sound, so part of a lead may "
            "be sound. Points are compared inside one snapshot only."
        )
    return figures


def _prices_said(chosen: str, rival: Priced, wan: str, priced: Sequence[Priced]) -> str:
    said = [f"{present.money(_usd(rival))} on {chosen} from {rival.seller}"]
    said += [
        f"{present.money(_usd(row))} for Wan 2.2 on rented {row.seller} that is always busy"
        for row in priced
        if row.model == wan
    ]
    hosted = next((row for row in priced if row.rating and row.model.endswith("wan2.2-a14b")), None)
    if hosted is not None:
        said.append(f"{present.money(_usd(hosted))} hosted by {hosted.seller}")
    return f"Five seconds at 720p: {', '.join(said)}.".replace("$", r"\$")


def _points_tile(label: str, figure: Figure) -> None:
    st.metric(_titled(label), f"{_value(figure):.0f}")
    ends = f" {figure.range.low:.0f} – {figure.range.high:.0f}" if figure.range else ""
    st.caption(look.badge(figure.basis) + ends)


def _titled(words: str) -> str:
    return words[0].upper() + words[1:]


def _value(figure: Figure | None) -> float:
    return float(figure.value) if figure is not None else 0.0


def _usd(row: Priced) -> float:
    return float(row.usd.value)


# ── What a point of rating costs ──────────────────────────────────────────────────────────────


def _prices_and_ratings(priced: Sequence[Priced]) -> None:
    st.subheader("What better clips cost")
    rated = [row for row in priced if row.rating is not None]
    unrated = sorted({row.model for row in priced if row.rating is None})
    if rated:
        best = quality.frontier(
            [
                quality.Point(route=f"{row.model} {row.seller}", usd=_usd(row), rating=row.rating)
                for row in rated
            ]
        )
        kept = {point.route for point in best}
        on_line = [row for row in rated if f"{row.model} {row.seller}" in kept]
        names = ", ".join(f"**{row.model}** {present.money(_usd(row))}" for row in on_line)
        st.markdown(
            f"Nothing is both cheaper and better than: {names}.".replace("$", r"\$"),
            help=INTERVAL_HELP,
        )
        _scatter(rated, on_line)
    if unrated:
        st.caption(
            f"No public score, so not compared (none is not zero): {', '.join(unrated)}. "
            "Enter a rating with its range below to compare them."
        )
    suggested = [
        f"{row.model} {_value(row.suggested):.0f} ({_interval(row.suggested)})"
        for row in priced
        if row.suggested is not None
    ]
    if suggested:
        st.caption(
            f"{look.badge(Basis.ESTIMATED)} What the scores of another board suggest in arena "
            f"points, to enter if you agree: {', '.join(dict.fromkeys(suggested))}."
        )


def _scatter(rated: Sequence[Priced], on_line: Sequence[Priced]) -> None:
    named = {id(row) for row in rated if row in on_line or row.model in WAN.values()}
    ratings = [row.rating for row in rated if row.rating is not None]
    look.chart(
        [
            {
                "type": "scatter",
                "mode": "lines",
                "line": {"shape": "hv", "color": "#9E9E9E", "dash": "dot"},
                "x": [_usd(row) for row in on_line],
                "y": [_value(row.rating) for row in on_line],
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": [_usd(row) for row in rated],
                "y": [_value(rating) for rating in ratings],
                "text": [row.model if id(row) in named else "" for row in rated],
                "textposition": "bottom right",
                "marker": {
                    "size": 10,
                    "color": [look.colour(row.model) for row in rated],
                    "symbol": ["circle-open" if row.stale else "circle" for row in rated],
                },
                "error_y": {
                    "type": "data",
                    "array": [r.range.high - _value(r) if r.range else 0 for r in ratings],
                    "arrayminus": [_value(r) - r.range.low if r.range else 0 for r in ratings],
                    "color": "#999",
                    "thickness": 1,
                },
                "customdata": [
                    [row.model, row.seller, rating.basis.value, "old price" if row.stale else ""]
                    for row, rating in zip(rated, ratings, strict=True)
                ],
                "hovertemplate": "%{customdata[0]} from %{customdata[1]}: $%{x:.4f}, %{y:.0f} "
                "points, %{customdata[2]} %{customdata[3]}<extra></extra>",
            },
        ],
        {
            "height": 440,
            "xaxis": {
                "title": {"text": "USD per clip of 5 s at 720p"},
                "rangemode": "tozero",
                "tickprefix": "$",
            },
            "yaxis": {"title": {"text": "arena points"}},
        },
        key="quality-frontier",
        alt=f"Rating against the price of a clip, {len(rated)} offers. Nothing is both cheaper and "
        "better than: "
        + ", ".join(
            f"{row.model} {present.money(_usd(row))} at {_value(row.rating):.0f} points"
            for row in on_line
        )
        + ".",
    )
    st.caption("Hollow marks: the price is old or undated. The dotted line joins what is worth it.")


def _ratings(as_of: date, mode: Mode, audio: bool, priced: Sequence[Priced]) -> None:
    board = quality.snapshot(mode, as_of=as_of)
    if not board:
        return
    whole = "the whole board" if board[0].score.extent == "board" else "an extract of the board"
    prices = {row.model: row for row in reversed(priced)}

    def draw() -> None:
        st.dataframe(
            [
                {
                    "Model": f"{row.model} ({row.recipe})" if row.recipe else row.model,
                    "Points": _value(row.rating) if row.rating else None,
                    "Interval": _interval(row.rating),
                    "Known": row.rating.basis.value if row.rating else NO_SCORE,
                    "Published": _value(row.published) if row.published else None,
                    "USD per clip": _usd(prices[row.model]) if row.model in prices else None,
                    "Seconds to the video": _value(latency)
                    if (latency := quality.latency(row.model, as_of=as_of, mode=mode))
                    else None,
                    "Note": row.rating.source.note if row.rating and row.rating.source else "",
                }
                for row in quality.ranking(mode, as_of=as_of, audio=audio)
            ],
            hide_index=True,
            column_config={
                "Points": st.column_config.NumberColumn(format="%.0f"),
                "Published": st.column_config.NumberColumn(format="%.0f"),
                "USD per clip": st.column_config.NumberColumn(format="$%.3f"),
                "Seconds to the video": st.column_config.NumberColumn(format="%.0f"),
            },
        )

    look.folded(f"Every rating in {whole} of {board[0].score.opens}", draw, key="quality-ratings")


def _interval(figure: Figure | None) -> str:
    if figure is None or figure.range is None:
        return ""
    return f"{figure.range.low:.0f} – {figure.range.high:.0f}"


# ── What each model can make ──────────────────────────────────────────────────────────────────


def _matrix() -> None:
    rows = quality.matrix()
    st.dataframe(
        [
            {
                "Model": row.model,
                **{
                    _titled(quality.WORDS[feature]): fact.value
                    for feature, fact in row.facts.items()
                },
            }
            for row in rows
        ],
        hide_index=True,
    )
    st.caption(
        "“unknown” where no source says. On faces and lettering the only word is that of the "
        "article that started costlab, on Wan 2.2: a claim without a test."
    )
    look.folded("Where does a row come from?", _facts, key="quality-able-open")


def _facts() -> None:
    rows = {row.model: row for row in quality.matrix()}
    chosen = st.selectbox("Model", list(rows), key="quality-able")
    st.dataframe(
        [
            {
                "What": quality.WORDS[feature],
                "Value": fact.value,
                "Known": fact.basis.value if fact.basis else "",
                "Publisher": fact.source.publisher if fact.source else "",
                "Document": fact.source.document if fact.source else "",
                "Seen": (fact.source.seen or "undated") if fact.source else "",
                "Note": fact.source.note if fact.source else "",
                "Published": fact.published.value if fact.published else "",
            }
            for feature, fact in rows[chosen].facts.items()
        ],
        hide_index=True,
    )


# ── The gap of open weights ───────────────────────────────────────────────────────────────────


def _gap(as_of: date) -> None:
    columns = st.columns(3)
    generations = columns[0].slider("Generations ahead", 1, 8, 4, key="quality-generations")
    own = columns[1].toggle("Enter the share that a generation closes", key="quality-own-share")
    share = columns[2].slider(
        "Share closed (%)", 0, 100, (10, 50), key="quality-share", disabled=not own
    )
    try:
        answer = quality.project_gap(
            generations,
            as_of=as_of,
            share=sum(share) / 200 if own else None,
            share_range=(share[0] / 100, share[1] / 100) if own else None,
        )
    except CostlabError as error:
        st.info(str(error), icon=":material/info:")
        return
    st.markdown(answer.words)
    left, right = st.columns(2)
    with left:
        past = gap.history(as_of=as_of)
        look.chart(
            [
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "line": {"color": look.colour("wan"), "shape": "linear"},
                    "x": [day.day.isoformat() for day in past],
                    "y": [day.points for day in past],
                    "customdata": [[day.best, day.open or "not collected"] for day in past],
                    "hovertemplate": "%{x}: %{y:.0f} points, %{customdata[0]} over "
                    "%{customdata[1]}<extra></extra>",
                }
            ],
            {
                "height": 320,
                "xaxis": {"title": {"text": "snapshot of the arena"}},
                "yaxis": {"title": {"text": "points behind the best"}, "rangemode": "tozero"},
            },
            key="quality-gap-past",
            alt="Points that open weights are behind the best model of the arena: "
            + " and ".join(f"{day.points:.0f} on {day.day}" for day in (past[0], past[-1]))
            + f", the ends of {len(past)} snapshots.",
        )
    with right:
        ranges = [figure.range for figure in answer.gaps]
        values = [_value(figure) for figure in answer.gaps]
        look.chart(
            [
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "line": {"color": look.colour("veo"), "dash": "dot"},
                    "x": list(range(len(values))),
                    "y": values,
                    "error_y": {
                        "type": "data",
                        "array": [
                            r.high - v if r else 0 for r, v in zip(ranges, values, strict=True)
                        ],
                        "arrayminus": [
                            v - r.low if r else 0 for r, v in zip(ranges, values, strict=True)
                        ],
                        "color": "#666",
                    },
                    "hovertemplate": "after %{x} generations: %{y:.0f} points<extra></extra>",
                }
            ],
            {
                "height": 320,
                "xaxis": {"title": {"text": "generations from now"}, "dtick": 1},
                "yaxis": {"title": {"text": "points behind the best"}, "rangemode": "tozero"},
            },
            key="quality-gap-next",
            alt="Points that open weights are behind the best, projected: "
            f"{values[0]:.0f} now, {values[-1]:.0f} after {generations} generations.",
        )
    last = answer.gaps[-1]
    st.caption(
        f"{look.badge(last.basis)} After {generations} generations: {_value(last):.0f} points"
        + (f" ({_interval(last)})" if last.range else "")
        + ". A modelling input: the steps seen so far, drawn again, or the share you enter."
    )
    look.folded(
        "The steps that were observed",
        lambda: st.dataframe(
            [
                {
                    "Line": step.line,
                    "From": step.before,
                    "To": step.after,
                    "Gap": round(step.gap_before),
                    "Gap after": round(step.gap_after),
                    "Closed (%)": round(100 * step.share),
                }
                for step in answer.steps
            ],
            hide_index=True,
        ),
        key="quality-steps",
    )


# ── What people enter ─────────────────────────────────────────────────────────────────────────


def _entries(as_of: date) -> None:
    st.caption(
        "An entry is one more dated row: what was published stays visible beside it, and taking "
        "it away is a row too."
    )
    models = [model.id for model in catalog.models()]
    with st.form("quality-rating", clear_on_submit=True):
        st.markdown("**A rating**, in arena points, with the range it may lie in")
        columns = st.columns(3)
        model = columns[0].selectbox("Model", models, key="quality-enter-model")
        mode = columns[1].selectbox("Rated as", list(quality.MODES), key="quality-enter-mode")
        recipe = columns[2].text_input(
            "Recipe (empty: the authors' own)", placeholder="4 steps, no guidance"
        )
        ends = st.columns(4)
        value = ends[0].number_input("Points", 0.0, 3000.0, 1200.0, step=10.0)
        low = ends[1].number_input("Lower end", 0.0, 3000.0, 1150.0, step=10.0)
        high = ends[2].number_input("Upper end", 0.0, 3000.0, 1250.0, step=10.0)
        first = ends[3].date_input("Holds from", value=as_of)
        who, why = _who("rating")
        if st.form_submit_button("Enter the rating", icon=":material/edit_document:"):
            quality.enter(
                quality.EnteredRating(
                    model=model,
                    mode=mode,
                    recipe=recipe.strip(),
                    value=value,
                    low=low,
                    high=high,
                    valid_from=first,
                ),
                who=who,
                why=why,
            )
            st.rerun()
    with st.form("quality-feature", clear_on_submit=True):
        st.markdown("**A capability**")
        columns = st.columns(3)
        model = columns[0].selectbox("Model", models, key="quality-feature-model")
        feature = columns[1].selectbox(
            "What", list(quality.VOCABULARY), format_func=quality.WORDS.__getitem__
        )
        said = columns[2].text_input("Value", placeholder="yes, no, good, weak, 1080p, 4,6,8 …")
        who, why = _who("feature")
        if st.form_submit_button("Enter the capability", icon=":material/edit_document:"):
            entry = quality.EnteredFeature(model=model, feature=feature, value=said.strip())
            quality.enter(entry, who=who, why=why)
            st.rerun()
    standing = quality.standing()
    if standing:
        what, by, because, go = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
        chosen = what.selectbox("Take away", [one.name for one in standing])
        leaver = by.text_input("Who takes it away")
        reason = because.text_input("Why is it taken away")
        if go.button("Take away", icon=":material/undo:"):
            quality.remove(chosen, who=leaver, why=reason)
            st.rerun()
    rows = quality.audit()
    if rows:
        st.dataframe(
            [
                {
                    "Entered": f"{row.entered_at:%Y-%m-%d %H:%M}",
                    "Name": row.name,
                    "What": row.action,
                    "Who": row.who,
                    "Why": row.why,
                }
                for row in rows
            ],
            hide_index=True,
        )


def _who(key: str) -> tuple[str, str]:
    left, right = st.columns(2)
    who = left.text_input("Who enters it", key=f"quality-{key}-who")
    return who, right.text_input("Why", key=f"quality-{key}-why")


# ── Sources ───────────────────────────────────────────────────────────────────────────────────


def _sources(as_of: date) -> None:
    look.folded(
        "Every score of a model, with where it was read",
        partial(_scores, as_of),
        key="quality-every-score",
    )
    look.folded("What was read and is not used, with the reason", _unused, key="quality-unused")


def _scores(as_of: date) -> None:
    chosen = st.selectbox("Model", [m.id for m in catalog.models()], key="quality-scores")
    rows = [row.to_dict() for row in quality.scores(chosen, as_of=as_of)]
    if rows:
        st.dataframe([_shown(row) for row in rows], hide_index=True)
    else:
        st.info(f"{chosen} has {NO_SCORE} of any kind.", icon=":material/info:")


def _unused() -> None:
    st.dataframe(
        [
            {"What": name.name, "Rows": None, "Why": name.why}
            for name in quality.names()
            if not name.models
        ]
        + [
            {"What": f"{row.table}: {', '.join(row.items)}", "Rows": row.rows, "Why": row.why}
            for row in quality.left_out()
        ],
        hide_index=True,
    )


def _shown(row: Mapping[str, object]) -> dict[str, object]:
    return {
        "Board": row["board"],
        "As": row["variant"] or row["name"],
        "Score": row["value"],
        "±": row["plus_minus"],
        "Votes": row["votes"],
        "Sound": row["sound"],
        "Seen": row["seen"],
        "For routing": "yes" if row["routing"] else row["why_not"],
        "Publisher": row["publisher"],
        "Document": row["document"],
        "Note": row["note"],
    }
