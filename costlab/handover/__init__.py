"""A policy as engineers take it: JSON with its schema, and the same decision in other languages.

::

    projection ── as_rules ──▶ policy ──▶ document, schema     the policy as data
                                  ├─────▶ typescript, python   the decision as code
                                  └─────▶ select ──▶ vectors   the decision's right answers

What a policy looks at beyond the request travels as `State`: what the month has spent on APIs, and
how long own GPUs would keep a request waiting. `files` is all of it as text.
"""

from costlab.handover.bundle import files, vectors
from costlab.handover.code import python, typescript
from costlab.handover.decision import State, as_rules, select
from costlab.handover.policy_json import document, schema

__all__ = [
    "State", "as_rules", "document", "files", "python", "schema", "select", "typescript",
    "vectors",
]  # fmt: skip
