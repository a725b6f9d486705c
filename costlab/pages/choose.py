"""The scenario that a page is about: chosen by id, kept in the address so that a link opens it."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from costlab import scenarios

FIRST = "social-app"


def scenario(label: str, key: str) -> scenarios.Scenario:
    """Let a person choose a scenario; the address's ``?<key>=<id>`` chooses the first time."""
    known = scenarios.known()
    titles = Counter(item.title for item in known.values())
    asked = st.query_params.get(key, FIRST)
    chosen = st.selectbox(
        label,
        list(known),
        index=list(known).index(asked if asked in known else FIRST),
        format_func=lambda name: (
            known[name].title if titles[known[name].title] == 1 else f"{known[name].title} ({name})"
        ),
        key=key,
    )
    st.query_params[key] = chosen
    for text in scenarios.unusable():
        st.warning(f"A saved scenario can no longer be used. {text}", icon=":material/warning:")
    return known[chosen]
