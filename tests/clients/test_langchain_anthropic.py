"""LangChain's standard suite over ChatAnthropic."""

from __future__ import annotations

from typing import Any

from langchain_anthropic import ChatAnthropic

from tests.clients.suite import ChatSuite, Unstoppable


class _Messages(ChatSuite):
    route, other = "direct", "claude"

    @property
    def chat_model_class(self) -> type[ChatAnthropic]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": self.route, "base_url": self.gate.root, "api_key": self.gate.key}

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True


class TestMessages(_Messages):
    """Messages over Anthropic's wire."""

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True


class TestMessagesCrossed(_Messages):
    """Messages over OpenAI's wire, which takes no `document` blocks: refused by name."""

    route, other = "support", "premium"


class TestMessagesOverResponses(Unstoppable, _Messages):
    """Messages over OpenAI's wire of responses."""

    route, other = "latest", "modern"
