"""A scenario while it is edited: its history, its address, its file.

What has been edited lives in the page's state as plain data and, packed, in the address's
``draft``, so that a link opens the same view on another machine with the same data.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from costlab import scenarios, store, traffic
from costlab.core import BadData, canonical_json, plain
from costlab.scenarios import Scenario
from costlab.traffic import TrafficMix

PARAMETER = "draft"
LONGEST = 6000
"""Characters of the packed draft; browsers and proxies take addresses of 8,000 or more."""
_MOST_BYTES = 1_000_000


@dataclass
class Drafts:
    """The edits of one scenario in one browser tab, oldest first, and where in them one stands."""

    id: str
    bodies: list[dict[str, Any]]
    position: int = 0
    generation: int = 0
    """Goes up with every jump, so that widgets are drawn anew from the draft jumped to."""
    drawn: dict[str, Any] = field(default_factory=dict)
    fresh: bool = True

    @property
    def key(self) -> str:
        """What the keys of this draft's widgets begin with."""
        again = f"{self.generation}-" if self.generation else ""
        return f"{self.id}-{again}"

    @property
    def now(self) -> tuple[Scenario, TrafficMix]:
        """The scenario and mix that the widgets are drawn from.

        They keep what a person changes until they are drawn afresh, after a jump or on coming back
        to the page: then from where one stands.
        """
        self.fresh = f"{self.key}policy" not in st.session_state
        if self.fresh:
            self.drawn = self.bodies[self.position]
        return _parsed(self.drawn, "draft")

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier draft."""
        return self.position > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a later draft."""
        return self.position < len(self.bodies) - 1

    @property
    def changed(self) -> bool:
        """Whether the draft differs from the scenario it began with."""
        return self.bodies[self.position] != self.bodies[0]

    def keep(self, scenario: Scenario, mix: TrafficMix) -> None:
        """Remember what the widgets say now, where it is new, and put it into the address."""
        body = _body(scenario, mix)
        if self.fresh:
            self.bodies[self.position] = body
        elif body != self.bodies[self.position]:
            self.bodies[self.position + 1 :] = [body]
            self.position += 1
        if self.changed:
            packed = pack(body)
            if len(packed) <= LONGEST:
                st.query_params[PARAMETER] = packed
        else:
            st.query_params.pop(PARAMETER, None)

    def undo(self) -> None:
        """Step back."""
        self._jump(self.position - 1)

    def redo(self) -> None:
        """Step forward."""
        self._jump(self.position + 1)

    def start_over(self) -> None:
        """Go back to the scenario as it was chosen, as one more step."""
        self.bodies[self.position + 1 :] = [self.bodies[0]]
        self._jump(self.position + 1)

    def _jump(self, to: int) -> None:
        self.position = to
        self.generation += 1


def of(asked: Scenario, mix: TrafficMix) -> Drafts:
    """Return the drafts of a scenario; the address's draft is the first edit where it fits."""
    key = f"drafts-{asked.id}"
    if key not in st.session_state:
        history = Drafts(id=asked.id, bodies=[_body(asked, mix)])
        packed = st.query_params.get(PARAMETER)
        if packed:
            body = unpack(packed)
            if body["scenario"].get("id") == asked.id:
                history.bodies.append(_body(*_parsed(body, "the address's draft")))
                history.position = 1
        st.session_state[key] = history
    found: Drafts = st.session_state[key]
    return found


def _body(scenario: Scenario, mix: TrafficMix) -> dict[str, Any]:
    return {"scenario": plain(scenario), "mix": plain(mix)}


def _parsed(body: dict[str, Any], where: str) -> tuple[Scenario, TrafficMix]:
    return (
        scenarios.parse_scenario(body["scenario"], f"{where}, scenario"),
        traffic.parse_mix(body["mix"], f"{where}, mix"),
    )


def pack(body: dict[str, Any]) -> str:
    """Return a draft as a short text for an address."""
    return base64.urlsafe_b64encode(zlib.compress(canonical_json(body).encode(), 9)).decode()


def unpack(text: str) -> dict[str, Any]:
    """Return the draft of an address; raises `BadData` for anything else."""
    try:
        opened = zlib.decompressobj()
        raw = opened.decompress(base64.urlsafe_b64decode(text), _MOST_BYTES)
        body = json.loads(raw)
    except (ValueError, zlib.error) as error:
        raise BadData("the address's draft", ["cannot be read: open the page anew"]) from error
    if not isinstance(body, dict) or not all(isinstance(body.get(k), dict) for k in _KEYS):
        raise BadData("the address's draft", ["is no scenario: open the page anew"])
    return body


_KEYS = ("scenario", "mix")


def as_file(scenario: Scenario, mix: TrafficMix) -> str:
    """Return a scenario with its traffic as the text of a YAML file."""
    return store.dump_yaml(_body(scenario, mix))


def from_file(content: bytes, name: str) -> tuple[Scenario, TrafficMix]:
    """Return the scenario and traffic of such a file; raises `BadData` naming field and fault."""
    try:
        body = store.load_yaml(content.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        raise BadData(name, ["is not UTF-8 text"]) from error
    if not isinstance(body, dict) or not all(isinstance(body.get(k), dict) for k in _KEYS):
        raise BadData(name, ["expected a file with scenario and mix, as this page downloads it"])
    return _parsed(body, name)
