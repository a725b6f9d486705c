"""Work that a page starts and does not wait for: it goes on in a thread and survives a reload."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from costlab.core import CostlabError
from costlab.pages import look

MOST_KEPT = 32
EVERY_S = 0.5


@dataclass
class Task:
    """One piece of work: how far it is, and what came of it."""

    title: str
    done: int = 0
    of: int = 0
    result: Any = None
    refusal: CostlabError | None = None
    crash: str = ""
    finished: threading.Event = field(default_factory=threading.Event)

    def progress(self, done: int, of: int) -> None:
        """Take note of how far the work is."""
        self.done, self.of = done, of


_TASKS: OrderedDict[str, Task] = OrderedDict()
_LOCK = threading.Lock()


def task(key: str) -> Task | None:
    """Return the work once started under a key, whether it goes on or is done."""
    with _LOCK:
        return _TASKS.get(key)


def start(key: str, title: str, work: Callable[[Callable[[int, int], None]], Any]) -> Task:
    """Start work under a key, or return what is there; ``work`` is told how to report progress."""
    with _LOCK:
        if key in _TASKS:
            return _TASKS[key]
        started = _TASKS[key] = Task(title=title)
        while len(_TASKS) > MOST_KEPT:
            _TASKS.popitem(last=False)

    def run() -> None:
        try:
            started.result = work(started.progress)
        except CostlabError as error:
            started.refusal = error
        except Exception as error:
            started.crash = f"{type(error).__name__}: {error}"
            raise
        finally:
            started.finished.set()

    threading.Thread(target=run, name=title, daemon=True).start()
    return started


def watch(shown: Task) -> bool:
    """Draw the progress of work that goes on; return whether its result is there to be shown."""
    if not shown.finished.is_set():
        _moving(shown)
        return False
    if shown.refusal:
        look.refusal(shown.refusal)
    elif shown.crash:
        st.error(f"This ended in a fault of costlab: {shown.crash}. Please report it.")
    return shown.result is not None


@st.fragment(run_every=EVERY_S)
def _moving(shown: Task) -> None:
    if shown.finished.is_set():
        st.rerun()
    share = shown.done / shown.of if shown.of else 0.0
    said = f" {shown.done} of {shown.of}" if shown.of else " …"
    st.progress(min(share, 1.0), text=f"{shown.title}{said}")
