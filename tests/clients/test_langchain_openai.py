"""LangChain's standard suite over ChatOpenAI, in both of its modes, and over OpenAIEmbeddings."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests

from tests.clients.conftest import Gateway
from tests.clients.suite import ChatSuite, Unstoppable


class _Chat(ChatSuite):
    route, other = "support", "premium"
    options: ClassVar[dict[str, Any]] = {}

    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": self.route, "base_url": self.gate.url, "api_key": self.gate.key, "stream_usage": True} | (
            self.options
        )

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True


class TestChat(_Chat):
    """Chat Completions over OpenAI's wire."""

    @property
    def supports_pdf_inputs(self) -> bool:
        return True  # the same wire takes them as they are

    @property
    def supports_audio_inputs(self) -> bool:
        return True


class TestChatCrossed(_Chat):
    """Chat Completions over Anthropic's wire, which takes no `file` and no `input_audio` parts: refused by name."""

    route, other = "direct", "claude"


class TestChatOverResponses(Unstoppable, _Chat):
    """Chat Completions over OpenAI's wire of responses."""

    route, other = "latest", "modern"


class TestResponsesStraight(_Chat):
    """Responses over their own wire."""

    route, other = "latest", "modern"
    options: ClassVar[dict[str, Any]] = {"use_responses_api": True}

    @property
    def supports_pdf_inputs(self) -> bool:
        return True


class TestResponses(_Chat):
    """Responses over OpenAI's wire of chat, which has no documents in tools' results."""

    options: ClassVar[dict[str, Any]] = {"use_responses_api": True}


class TestResponsesCrossed(_Chat):
    """Responses over Anthropic's wire."""

    route, other = "direct", "claude"
    options: ClassVar[dict[str, Any]] = {"use_responses_api": True}


class TestEmbeddings(EmbeddingsIntegrationTests):
    """Vectors of one model: there is no other wire of providers that has them."""

    gate: ClassVar[Gateway]

    @pytest.fixture(autouse=True)
    def _connected(self, gate: Gateway) -> None:
        type(self).gate = gate

    @property
    def embeddings_class(self) -> type[OpenAIEmbeddings]:
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        # its own count of tokens would download a vocabulary
        return {
            "model": "cheap",
            "base_url": self.gate.url,
            "api_key": self.gate.key,
            "check_embedding_ctx_length": False,
        }
