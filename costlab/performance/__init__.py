"""What a Wan clip takes on a GPU: seconds, joules, watts, GiB, each with a 90 % interval.

::

    question ─▶ recipe ─▶ terms (physics) ─▶ calibrated terms (fit) ─▶ prediction (answer)
    published clips + own runs that count ───────▲
"""

from costlab.performance.accuracy import Accuracy, accuracy_report
from costlab.performance.answer import (
    CALIBRATION,
    Prediction,
    predict,
    predict_all,
    predict_rows,
    replaced,
)
from costlab.performance.ask import Question, question
from costlab.performance.counted import RUNS, measured, why_not
from costlab.performance.gpus import GPUS, Gpu, gpu, gpus
from costlab.performance.published import CLIPS, LEFT_OUT, clips, left_out

SHELVES = (GPUS, CLIPS, LEFT_OUT, CALIBRATION, RUNS)

__all__ = [
    "SHELVES", "Accuracy", "Gpu", "Prediction", "Question", "accuracy_report", "clips", "gpu",
    "gpus", "left_out", "measured", "predict", "predict_all", "predict_rows", "question",
    "replaced", "why_not",
]  # fmt: skip
