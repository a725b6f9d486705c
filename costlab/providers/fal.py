"""fal: a queue in front of many models; Wan is billed by frames, Kling has sound on by default."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any, ClassVar

from costlab.catalog.billing import PROMPT, Adapter, Plan, Terms, plain_number, with_image
from costlab.catalog.book import Price
from costlab.catalog.names import Model
from costlab.core import CannotServe, ClipRequest, Source

WAN_FRAMES = (17, 161)
WAN_FPS = (4, 60)
BILLED_FPS = 16
"""fal counts Wan's video seconds at 16 frames each, whatever the output rate."""


class Fal(Adapter):
    """fal: a queue in front of many models; Wan is billed by frames, Kling has sound by default."""

    provider = "fal"
    name = "fal"
    terms = Terms(
        failed_billed=False,
        moderated_billed=None,
        at_once=(2, 40),
        concurrency={"new account": "2 at once", "with purchases": "up to 40 at once"},
        note="5xx is never charged, 422 may be; a cold start is not billed; credits lapse",
        source=Source(
            publisher="fal.ai",
            document="docs/model-apis/faq",
            locator="fal.ai/docs/model-apis/faq",
        ),
    )
    answer_paths: ClassVar = {
        "id": ("request_id",),
        "status": ("status",),
        "video_url": ("video.url", "response.video.url"),
        "billed_seconds": ("video.duration",),
    }
    statuses: ClassVar = {"IN_QUEUE": "queued", "IN_PROGRESS": "running", "COMPLETED": "succeeded"}

    def made_seconds(
        self, row: Price, model: Model, request: ClipRequest, resolution: str
    ) -> Decimal:
        """Return the clip length; Wan's follows from its frames."""
        if row.unit != "second_of_16_frames":
            return super().made_seconds(row, model, request, resolution)
        return Decimal(wan_frames(request)) / self.fps(request)

    def billed_seconds(
        self, row: Price, model: Model, request: ClipRequest, seconds: Decimal
    ) -> tuple[Decimal, str]:
        """Return the seconds billed; Wan's are its frames / 16."""
        if row.unit != "second_of_16_frames":
            return super().billed_seconds(row, model, request, seconds)
        frames = wan_frames(request)
        billed = Decimal(frames) / BILLED_FPS
        return billed, f"{frames} frames / {BILLED_FPS} = {plain_number(billed)} s"

    def fps(self, request: ClipRequest) -> int:
        """Return the output frame rate of a Wan clip."""
        return request.fps or BILLED_FPS

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the queue request of the model's endpoint."""
        row = plan.sku.head
        body: dict[str, Any] = {"prompt": PROMPT, "aspect_ratio": plan.request.aspect}
        endpoint = row.endpoint
        if row.unit == "second_of_16_frames":
            body |= {
                "num_frames": wan_frames(plan.request),
                "frames_per_second": self.fps(plan.request),
                "resolution": plan.resolution,
            }
        else:
            body |= {"duration": plain_number(plan.seconds), "resolution": plan.resolution}
            if row.audio is not None:
                body["generate_audio"] = row.audio
        if endpoint.count("/") < 4 and not endpoint.endswith(("-to-video", "turbo", "lora")):
            endpoint += "/image-to-video" if plan.request.mode == "i2v" else "/text-to-video"
        named = "/" in row.endpoint  # the price page names some models without their path
        return {
            "url": f"https://queue.fal.run/{endpoint}" if named else None,
            "json": with_image(body, plan, "image_url", "video_url"),
        }


def wan_frames(request: ClipRequest) -> int:
    """Return the frames of a Wan clip: the smallest 4k + 1 that spans the seconds wanted.

    Raises `CannotServe` outside fal's 17 to 161 frames and 4 to 60 frames a second.

    >>> wan_frames(ClipRequest(seconds=Decimal(5)))
    81
    >>> wan_frames(ClipRequest(seconds=Decimal(3), fps=24))
    73
    """
    fps = request.fps or BILLED_FPS
    if not WAN_FPS[0] <= fps <= WAN_FPS[1]:
        raise CannotServe(f"fal makes Wan at {WAN_FPS[0]}–{WAN_FPS[1]} frames a second, not {fps}")
    intervals = int((request.seconds * fps).to_integral_value(rounding=ROUND_CEILING))
    frames = max(4 * -(-intervals // 4) + 1, WAN_FRAMES[0])
    if frames > WAN_FRAMES[1]:
        raise CannotServe(f"fal makes at most {WAN_FRAMES[1]} frames of Wan, {frames} are wanted")
    return frames


ADAPTER = Fal()
