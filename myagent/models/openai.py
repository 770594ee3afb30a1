"""Models behind an OpenAI-compatible server."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncGenerator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from myagent.messages import ChatMessage
from myagent.models.addresses import address_of, named, proxy_for, secrets_in
from myagent.models.base import Completion, ModelError, TakenBack, ToolSpec
from myagent.models.chunks import Reply, parse_chunk
from myagent.models.clients import LoopClients
from myagent.models.masking import key_secrets, masked
from myagent.models.reported import reported
from myagent.models.requests import RequestEncoder

if TYPE_CHECKING:
    import httpx2

    from myagent.models.body import ReplyBody
    from myagent.models.transport import ModelClient

TIMEOUT_S = 300.0
"""How long a server may send nothing, unless another limit is set."""


class OpenAIModel:
    """A chat model reached through the openai package.

    The package does authentication, retries (429 and 5xx, honouring
    Retry-After), addresses and connections; the request is written and the
    reply read here, which costs a fraction of what its typed interface does.
    One object may serve any number of sessions and event loops.

    Settings left out are the package's own (`OPENAI_API_KEY`,
    `OPENAI_BASE_URL`). `timeout_s` is how long a reply may take to begin,
    `stall_timeout_s`, no longer than that, how long it may then be silent.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout_s: float = TIMEOUT_S,
        stall_timeout_s: float | None = None,
        max_retries: int = 3,
    ) -> None:
        self.model = model
        self._api_key = api_key
        self._used_key = api_key or ""
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._stall_timeout_s = timeout_s if stall_timeout_s is None else stall_timeout_s
        self._max_retries = max_retries
        self._refused_fields: set[str] = set()
        self._thinks_untagged = False
        self._encoder = RequestEncoder(model)
        self._clients = LoopClients(self._open_client)

    def __repr__(self) -> str:
        return f"OpenAIModel({self.model!r})"

    @property
    def address(self) -> str:
        """The address of the server, including `/v1`."""
        return address_of(self._base_url)

    def prepare(self) -> None:
        """Imports what the first call needs, which takes a second. Raises `ImportError`."""
        import myagent.models.body
        import myagent.models.failures
        import myagent.models.transport  # noqa: F401

    async def aclose(self) -> None:
        """Closes the running loop's connections; the next call opens new ones."""
        await self._clients.aclose()

    async def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> AsyncGenerator[str | TakenBack | Completion, None]:
        """Asks the model, see `ChatModel.stream`.

        Cancelling is safe, and so is closing the generator: both end the
        HTTP request at once.
        """
        reply = Reply(_origin(self.address, self.model), thinks_untagged=self._thinks_untagged)
        try:
            response = await self._ask(messages, tools)
            try:
                async with contextlib.aclosing(self._chunks(response, reply)) as chunks:
                    async for chunk in chunks:
                        for piece in reply.add(chunk):
                            yield piece
            finally:
                await response.aclose()
            for piece in reply.close():
                yield piece
            completion = reply.completion(with_calls=bool(tools))
        except ModelError as error:
            error.secrets = self._secrets()
            error.cause = masked(error.cause, error.secrets)
            raise
        self._thinks_untagged = reply.thinks_untagged
        yield completion

    async def _chunks(
        self, response: httpx2.Response, reply: Reply
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yields the reply's chunks; what follows the model's last word may get lost."""
        from myagent.models.body import ReplyBody

        body = ReplyBody(response, stall_timeout_s=self._stall_timeout_s)
        try:
            async with contextlib.aclosing(body.events()) as events:
                async for data in events:
                    yield parse_chunk(data)
        except ModelError:
            if not reply.is_finished:
                raise
        # Some servers give no finish reason: then `[DONE]` is their word that all was said.
        is_whole = body.is_done and reply.has_begun and reply.stranger is None
        if not (reply.is_finished or is_whole):
            raise self._cut_off(reply, body)

    async def _ask(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> httpx2.Response:
        """The response, its head read. Raises `ModelError`."""
        self._import()
        from myagent.models import failures

        origin, without = _origin(self.address, self.model), frozenset(self._refused_fields)
        body = self._encoder.encode(messages, tools, origin=origin, without=without)
        try:
            return await (await self._clients.get()).ask(body)
        except failures.CALL_FAILURES as error:
            field = failures.refused_field(error)
            if field is None or field in without:
                asked = failures.Asked(self.model, self.address)
                raise failures.model_error(error, asked) from error
        self._refused_fields.add(field)
        return await self._ask(messages, tools)

    def _import(self) -> None:
        """Raises `ModelError` where a package is not installed, or can't be imported now."""
        try:
            self.prepare()
        except ModuleNotFoundError as error:
            raise ModelError(
                "The model can't be asked: the agent's environment lacks the package '{package}'.",
                is_retryable=False,
                package=error.name,
            ) from error
        except (ImportError, AttributeError) as error:
            if "partially initialized module" in str(error):
                # Threads of the agent import the same package at this moment.
                raise ModelError(
                    "The model can't be asked just now: one of its packages is being imported.",
                    is_retryable=True,
                    cause=str(error),
                ) from error
            if isinstance(error, AttributeError):
                raise
            raise ModelError(
                "The model can't be asked: one of its packages can't be imported.",
                is_retryable=False,
                cause=str(error),
            ) from error

    def _open_client(self) -> ModelClient:
        from myagent.models import transport

        client = transport.open_client(
            api_key=self._api_key,
            address=self.address,
            timeout_s=self._timeout_s,
            max_retries=self._max_retries,
        )
        self._used_key = client.api_key
        return client

    def _secrets(self) -> frozenset[str]:
        """What errors may quote: a provider the key, a transport the address or the proxy."""
        proxy = proxy_for(self.address) or ""
        return key_secrets(self._used_key) | secrets_in(self.address) | secrets_in(proxy)

    def _cut_off(self, reply: Reply, body: ReplyBody) -> ModelError:
        if reply.stranger is not None:
            return ModelError(
                "The model failed while it was answering.",
                is_retryable=True,
                may_ask_again=True,
                cause=f"no finish reason, and last: {reported(reply.stranger).words}",
            )
        if reply.has_begun:
            return ModelError(
                "The connection to the model was lost in the middle of its answer.",
                is_retryable=True,
                may_ask_again=True,
                cause="the reply ended without a finish reason",
            )
        begin = " ".join(body.head.decode("utf-8", "replace").split())
        return ModelError(
            "The model's server gave no reply that can be read.",
            is_retryable=True,
            cause=f"{named(self.address)}/chat/completions: it began with {begin!r}",
        )


@lru_cache(maxsize=64)
def _origin(address: str, model: str) -> str:
    """See `Reasoning`: a digest, because the address may contain a password."""
    return hashlib.sha256(f"{address}\n{model}".encode()).hexdigest()[:16]
