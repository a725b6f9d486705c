"""Comfy partner nodes: a reseller whose credits are 211 to the dollar.

A node sends each maker's own request to ``https://api.comfy.org/proxy/…``. Paths, model names,
fields and answers are those of the OpenAPI description that comfy-cli 1.23.0 ships
(comfy_cli/command/generate/spec/openapi.yml); LTX-2, which that no longer lists, is as in
comfyanonymous/ComfyUI, commit 2bf859de, comfy_api_nodes/nodes_ltxv.py. Answers state what was made,
never what Comfy took for it. Gemini Omni Flash cannot be priced and stays in plain words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from costlab.catalog.billing import (
    IMAGE,
    PROMPT,
    VIDEO,
    Adapter,
    Plan,
    adapter,
    frame_size,
    neutral_payload,
)

Request = tuple[str, dict[str, Any]]
"""A path below the proxy and the body that it gets."""


class Comfy(Adapter):
    """Comfy partner nodes: a reseller whose credits are 211 to the dollar."""

    provider = "comfy"
    name = "Comfy partner nodes"
    answer_paths: ClassVar = {
        "id": (
            "data.task_id", "data.0.id", "data.id", "output.task_id", "task.id", "Resp.id",
            "Resp.video_id", "task_id", "id", "name", "request_id",
        ),
        "status": (
            "data.task_status", "data.0.status", "data.status", "output.task_status",
            "task.status", "Resp.status", "state", "status", "done",
        ),
        "video_url": (
            "data.task_result.videos.0.url", "data.0.outputs.0.url", "output.video_url",
            "task.content.url", "content.video_url", "Resp.url", "assets.video", "output.0.url",
            "output.0", "creations.0.url", "video.url", "result.sample", "result.video_url",
            "response.videos.0.gcsUri", "file.download_url",
        ),
        "billed_seconds": (
            "data.task_result.videos.0.duration", "data.0.outputs.0.duration",
            "usage.output_video_duration", "usage.duration", "usage.video_duration",
            "task.duration", "video.duration", "duration",
        ),
    }  # fmt: skip
    statuses: ClassVar = {
        **dict.fromkeys(
            ("submitted", "created", "queueing", "queued", "Queueing", "Preparing", "Pending",
             "pending", "PENDING", "THROTTLED"), "queued"
        ),
        **dict.fromkeys(
            ("processing", "dreaming", "running", "in_progress", "Processing", "Reasoning",
             "Generating", "RUNNING", "5", "False"), "running"
        ),
        **dict.fromkeys(
            ("succeed", "succeeded", "success", "completed", "done", "Success", "Ready",
             "SUCCEEDED", "1", "True"), "succeeded"
        ),
        **dict.fromkeys(
            ("failed", "cancelled", "expired", "Fail", "FAILED", "CANCELED", "CANCELLED", "Error",
             "Request Moderated", "Content Moderated", "6", "7", "8"), "failed"
        ),
    }  # fmt: skip

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the maker's request at the proxy's address."""
        for family, build in FAMILIES.items():
            if plan.sku.head.endpoint.startswith(family):
                path, body = build(plan)
                return {"url": f"https://api.comfy.org/proxy/{path}", "json": body}
        return neutral_payload(plan)


def maker_body(maker: str, plan: Plan, model: str) -> dict[str, Any]:
    """Return what the maker's own adapter would send, for a model by the proxy's name."""
    body: dict[str, Any] = adapter(maker).payload(plan)["json"]
    return {**body, "model": model}


def kling(plan: Plan) -> Request:
    """Return Kling's task."""
    path = "image2video" if plan.request.mode == "i2v" else "text2video"
    return f"kling/v1/videos/{path}", adapter("kling").payload(plan)["json"]


def kling_omni(plan: Plan) -> Request:
    """Return the task of Kling's omni models; an edit keeps the video's own shape and length."""
    mode = plan.request.mode
    body: dict[str, Any] = {
        "model_name": plan.sku.head.endpoint,
        "prompt": PROMPT,
        "mode": {"720p": "std", "1080p": "pro"}.get(plan.resolution, plan.resolution),
        "sound": "on" if plan.audio else "off",
    }
    if mode == "edit":
        video = {"video_url": VIDEO, "refer_type": "base", "keep_original_sound": "no"}
        body["video_list"] = [video]
    else:
        body["duration"] = str(int(plan.seconds))
        if mode == "i2v":
            body["image_list"] = [{"image_url": IMAGE, "type": "first_frame"}]
        else:
            body["aspect_ratio"] = plan.request.aspect
    return "kling/v1/videos/omni-video", body


def kling_turbo(plan: Plan) -> Request:
    """Return the task of Kling 3.0 Turbo, whose inputs are a list of contents."""
    settings = {"resolution": plan.resolution, "duration": int(plan.seconds)}
    if plan.request.mode == "i2v":
        contents = [{"type": "prompt", "text": PROMPT}, {"type": "first_frame", "url": IMAGE}]
        return "kling/image-to-video/kling-3.0-turbo", {"contents": contents, "settings": settings}
    return "kling/text-to-video/kling-3.0-turbo", {
        "prompt": PROMPT,
        "settings": {**settings, "aspect_ratio": plan.request.aspect},
    }


def minimax(plan: Plan) -> Request:
    """Return MiniMax's task, of the second API version for H3."""
    if plan.sku.head.endpoint == "MiniMax-H3":
        body = maker_body("minimax", plan, "MiniMax-H3")
        return "minimax/v2/video_generation", body
    body = {
        "model": plan.sku.head.endpoint,
        "prompt": PROMPT,
        "duration": int(plan.seconds),
        "resolution": plan.resolution.upper(),
    }
    if plan.request.mode == "i2v":
        body["first_frame_image"] = IMAGE
    return "minimax/video_generation", body


def wan(plan: Plan) -> Request:
    """Return Alibaba's task; Wan 2.5 and 2.6 name the frame by its size, or the image's own."""
    name, mode = plan.sku.head.endpoint, plan.request.mode
    path = "wan/api/v1/services/aigc/video-generation/video-synthesis"
    if name.startswith(("wan2.7", "happyhorse")):
        return path, maker_body("alibaba", plan, f"{name}-{mode}")
    family, _, suffix = name.partition("-")
    parameters: dict[str, Any] = {"duration": int(plan.seconds), "audio": bool(plan.audio)}
    inputs = {"prompt": PROMPT}
    if mode == "i2v":
        inputs["img_url"] = IMAGE
        parameters["resolution"] = plan.resolution.upper()
    else:
        width, height = frame_size(plan.model, plan.resolution, plan.request.aspect)
        parameters["size"] = f"{width}*{height}"
    model = "-".join(part for part in (family, mode, suffix) if part)
    return path, {"model": model, "input": inputs, "parameters": parameters}


SEEDANCE = {
    "seedance-2.0": "dreamina-seedance-2-0-260128",
    "seedance-2.0-fast": "dreamina-seedance-2-0-fast-260128",
    "seedance-2.0-mini": "dreamina-seedance-2-0-mini",
    "seedance-2.5": "dreamina-seedance-2-5-260628",
}


def seedance(plan: Plan) -> Request:
    """Return ByteDance's task; the first generation has no switch for sound."""
    name = plan.sku.head.endpoint
    if name == "seedance-1-0-lite":
        name = f"seedance-1-0-lite-{plan.request.mode}-250428"
    body = maker_body("volcengine", plan, SEEDANCE.get(name, name))
    if name.startswith("seedance-1-0"):
        del body["generate_audio"]
    return "byteplus/api/v3/contents/generations/tasks", body


def veo(plan: Plan) -> Request:
    """Return Vertex's prediction, whose model is part of the path."""
    _, version, *kind = plan.sku.head.endpoint.split("-")
    version = version if "." in version else f"{version}.0"
    model = "-".join(("veo", version, *kind, "generate-001"))
    return f"veo/{model}/generate", adapter("vertex").payload(plan)["json"]


def grok(plan: Plan) -> Request:
    """Return xAI's request."""
    model = plan.sku.head.endpoint
    if plan.request.mode == "edit":
        return "xai/v1/videos/edits", {"model": model, "prompt": PROMPT, "video": {"url": VIDEO}}
    return "xai/v1/videos/generations", maker_body("xai", plan, model)


def ltx(plan: Plan) -> Request:
    """Return Lightricks' request; LTX-2 is answered by the video itself, 2.5 by a job."""
    name = plan.sku.head.endpoint
    version = "v2" if name.startswith("ltx-2.5") else "v1"
    path = "image-to-video" if plan.request.mode == "i2v" else "text-to-video"
    return f"ltx/{version}/{path}", maker_body("ltx", plan, name.replace(".", "-"))


def luma(plan: Plan) -> Request:
    """Return Luma's generation; Ray 3.2 has an API of its own."""
    request = plan.request
    length = f"{int(plan.seconds)}s"
    if plan.sku.head.endpoint == "luma-ray-3.2":
        video: dict[str, Any] = {"resolution": plan.resolution, "duration": length}
        if request.mode == "i2v":
            video["start_frame"] = {"url": IMAGE}
        return "luma_2/generations", {
            "type": "video",
            "model": "ray-3.2",
            "prompt": PROMPT,
            "aspect_ratio": request.aspect,
            "video": video,
        }
    body: dict[str, Any] = {
        "model": plan.sku.head.endpoint.removeprefix("luma-"),
        "prompt": PROMPT,
        "resolution": plan.resolution,
        "duration": length,
        "aspect_ratio": request.aspect,
    }
    if request.mode == "i2v":
        body["keyframes"] = {"frame0": {"type": "image", "url": IMAGE}}
    return "luma/generations", body


def vidu(plan: Plan) -> Request:
    """Return Vidu's task; Q3 makes sound unless told otherwise."""
    body: dict[str, Any] = {
        "model": plan.sku.head.endpoint,
        "prompt": PROMPT,
        "duration": int(plan.seconds),
        "resolution": plan.resolution.replace("2k", "2K"),
    }
    if plan.sku.head.endpoint.startswith("viduq3"):
        body["audio"] = bool(plan.audio)
    if plan.request.mode == "i2v":
        return "vidu/img2video", {**body, "images": [IMAGE]}
    return "vidu/text2video", {**body, "aspect_ratio": plan.request.aspect}


def pixverse(plan: Plan) -> Request:
    """Return PixVerse's task; an image is named by the number that its upload got."""
    row = plan.sku.head
    body: dict[str, Any] = {
        "model": row.endpoint.removeprefix("pixverse-"),
        "prompt": PROMPT,
        "duration": int(plan.seconds),
        "quality": plan.resolution,
        "motion_mode": "fast" if row.tier == "fast-motion" else "normal",
    }
    if plan.request.mode == "i2v":
        return "pixverse/video/img/generate", {**body, "img_id": f"<number got for {IMAGE}>"}
    return "pixverse/video/text/generate", {**body, "aspect_ratio": plan.request.aspect}


def runway(plan: Plan) -> Request:
    """Return Runway's task, a seed included; Aleph 2 keeps the video's shape and length."""
    model = plan.sku.head.endpoint.removeprefix("runway-")
    if plan.request.mode == "edit":
        body = {"model": model, "promptText": PROMPT, "videoUri": VIDEO}
        return "runway/video_to_video", body
    return "runway/image_to_video", {**maker_body("runway", plan, model), "seed": 0}


def flux(plan: Plan) -> Request:
    """Return Black Forest Labs' request; hd is 720p, fhd 1080p."""
    body: dict[str, Any] = {
        "mode": plan.request.mode,
        "prompt": PROMPT,
        "resolution": "fhd" if plan.resolution == "1080p" else "hd",
        "duration": int(plan.seconds),
        "aspect_ratio": plan.request.aspect,
        "generate_audio": bool(plan.audio),
    }
    if plan.request.mode == "i2v":
        body["keyframes"] = IMAGE
    return "bfl/v1/flux-3-video", body


def sora(plan: Plan) -> Request:
    """Return OpenAI's job, sent as a form."""
    return "openai/v1/videos", maker_body("openai", plan, plan.sku.head.endpoint)


def pika(plan: Plan) -> Request:
    """Return Pika's generation, sent as a form; it takes the shape as width / height."""
    across, down = map(int, plan.request.aspect.split(":"))
    body: dict[str, Any] = {
        "promptText": PROMPT,
        "duration": int(plan.seconds),
        "resolution": plan.resolution,
    }
    if plan.request.mode == "i2v":
        return "pika/generate/2.2/i2v", {**body, "image": IMAGE}
    return "pika/generate/2.2/t2v", {**body, "aspectRatio": across / down}


FAMILIES: Mapping[str, Callable[[Plan], Request]] = {
    "kling-v3-omni": kling_omni,
    "kling-video-o1": kling_omni,
    "kling-3.0-turbo": kling_turbo,
    "kling-v": kling,
    "MiniMax": minimax,
    "wan": wan,
    "happyhorse": wan,
    "seedance": seedance,
    "veo": veo,
    "grok": grok,
    "ltx": ltx,
    "luma": luma,
    "vidu": vidu,
    "pixverse": pixverse,
    "runway": runway,
    "flux": flux,
    "sora": sora,
    "pika": pika,
}
"""Who writes the request, by how the price page's name of a model begins; the first match holds."""

ADAPTER = Comfy()
