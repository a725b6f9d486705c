"""The dashboard: navigation only."""

from __future__ import annotations

import streamlit as st

from costlab import store
from costlab.pages import (
    accuracy,
    benchmark,
    capacity,
    claims,
    compare,
    decision,
    look,
    overview,
    patterns,
    prediction,
    prices,
    quality,
    replay,
    reports,
    routing,
    scenario,
    traffic,
)

st.set_page_config(page_title="costlab", page_icon=look.ICON, layout="wide")
page = st.navigation(
    {
        "": [
            st.Page(overview.page, title="Overview", icon=":material/insights:",
                    url_path="overview", default=True),
        ],
        "Decide": [
            st.Page(decision.page, title="Decision", icon=":material/balance:",
                    url_path="decision"),
            st.Page(scenario.page, title="Scenario", icon=":material/tune:", url_path="scenario"),
            st.Page(compare.page, title="Compare", icon=":material/compare_arrows:",
                    url_path="compare"),
            st.Page(reports.page, title="Reports", icon=":material/description:",
                    url_path="reports"),
            st.Page(claims.page, title="Claims", icon=":material/fact_check:", url_path="claims"),
        ],
        "Plan": [
            st.Page(traffic.page, title="Traffic", icon=":material/groups:", url_path="traffic"),
            st.Page(routing.page, title="Routing", icon=":material/alt_route:",
                    url_path="routing"),
            st.Page(patterns.page, title="Patterns", icon=":material/category:",
                    url_path="patterns"),
            st.Page(capacity.page, title="Capacity", icon=":material/dns:", url_path="capacity"),
            st.Page(replay.page, title="Replay", icon=":material/replay:", url_path="replay"),
        ],
        "Facts": [
            st.Page(prices.page, title="Prices", icon=":material/sell:", url_path="prices"),
            st.Page(quality.page, title="Quality", icon=":material/star:", url_path="quality"),
            st.Page(prediction.page, title="Prediction", icon=":material/query_stats:",
                    url_path="prediction"),
            st.Page(accuracy.page, title="Accuracy", icon=":material/target:",
                    url_path="accuracy"),
            st.Page(benchmark.page, title="Benchmark", icon=":material/speed:",
                    url_path="benchmark"),
        ],
    },
    position="top",
)  # fmt: skip
with store.still():
    page.run()
