"""Azure OpenAI: Sora 2 as a cloud service."""

from __future__ import annotations

from costlab.providers.openai import OpenAI


class Azure(OpenAI):
    """Azure OpenAI: Sora 2 as a cloud service, with OpenAI's own requests and answers."""

    provider = "azure"
    name = "Azure OpenAI"
    jobs_url = "https://RESOURCE.openai.azure.com/openai/v1/videos"


ADAPTER = Azure()
