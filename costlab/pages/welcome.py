"""The first visit: what the pages answer and in which order to read them, until put away."""

from __future__ import annotations

import streamlit as st

from costlab import store
from costlab.core import CostlabError

STEPS = (
    ("What does a clip cost?", ".", "This page: a scenario's answer and its parts."),
    ("What if it were otherwise?", "scenario", "Change anything; undo, save, share."),
    ("Where should each clip go?", "routing", "What a policy fails, and what mending costs."),
    ("How many GPUs, bought how?", "capacity", "The cheapest fleet that keeps a promised wait."),
    ("Can I defend the number?", "prices", "Each figure opens to its dated row or run."),
)


def show() -> None:
    """Draw the welcome where nobody has put it away yet, in this store or this visit."""
    if st.session_state.get("welcomed") or store.entries("welcome"):
        return
    with st.container(border=True):
        st.markdown("**New here?** Five questions, a page each. The scenarios are examples.")
        for column, (question, page, words) in zip(st.columns(len(STEPS)), STEPS, strict=True):
            column.markdown(f"[{question}]({page})  \n:small[{words}]")
        st.button("Put away", icon=":material/close:", on_click=_put_away, key="welcome-away")


def _put_away() -> None:
    st.session_state["welcomed"] = True
    try:
        store.add_entry("welcome", "seen", {"pages": len(STEPS)})
    except (CostlabError, OSError):
        return
