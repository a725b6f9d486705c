"""Request logs priced request by request under any policy, on one machine or on Ray."""

from costlab.replay.prices import Desk, Outcome, Pricer, Question, Step, one
from costlab.replay.run import BY, Checked, Fleet, Refused, Replay, replay

__all__ = [
    "BY",
    "Checked",
    "Desk",
    "Fleet",
    "Outcome",
    "Pricer",
    "Question",
    "Refused",
    "Replay",
    "Step",
    "one",
    "replay",
]
