"""What every class of LangChain's standard suite here has in common: where it connects to, and the files it sends.

The suite downloads its picture and its document; here it gets small ones, so that no test needs a network.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests, chat_models

from tests.clients.conftest import Gateway

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
Details = dict[Literal["invoke", "stream"], list[Any]]


class Offline:
    """Stands where the suite has `httpx`, of which it uses `get(url).content` only."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content

    @staticmethod
    def get(url: str, **options: Any) -> Offline:
        return Offline(PIXEL if url.endswith(".png") else b"%PDF-1.4\n%%EOF\n")


class Unstoppable:
    """Over OpenAI's wire of responses, which has no stop sequences: what asks for one is refused by name."""

    @pytest.mark.xfail(reason="that wire has no stop sequences", raises=NotImplementedError, strict=True)
    def test_stop_sequence(self, model: BaseChatModel) -> None:
        with pytest.raises(Exception, match="has no stop sequences"):
            model.invoke("hi", stop=["you"])
        raise NotImplementedError  # the suite lets its tests be replaced by what is expected to fail


class ChatSuite(ChatModelIntegrationTests):
    """`route` is what the client names as its model; `other` another name, for the tests that change it."""

    route: ClassVar[str]
    other: ClassVar[str]
    gate: ClassVar[Gateway]

    @pytest.fixture(autouse=True)
    def _connected(self, gate: Gateway) -> Iterator[None]:
        type(self).gate = gate
        real, chat_models.httpx = chat_models.httpx, Offline
        yield
        chat_models.httpx = real

    @property
    def model_override_value(self) -> str:
        return self.other

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supported_usage_metadata_details(self) -> Details:
        return {"invoke": ["cache_read_input"], "stream": ["cache_read_input"]}

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        model = self.chat_model_class(**self.chat_model_params)
        found: Any = None
        for piece in model.stream("Answer from the cache.") if stream else [model.invoke("Answer from the cache.")]:
            found = piece if found is None else found + piece
        assert isinstance(found, AIMessage)
        assert found.usage_metadata is not None
        assert found.usage_metadata["input_token_details"]["cache_read"] == 12
        return found
