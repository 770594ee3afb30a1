"""What providers report of the tokens of a call. No I/O.

They agree on the names of the two sums, and call the parts of these as follows:

- OpenAI, Azure, OpenRouter, vLLM, Qwen, GLM, xAI: `prompt_tokens_details.cached_tokens` and
  `completion_tokens_details.reasoning_tokens`; gateways to OpenAI's Responses API:
  `input_tokens_details` and `output_tokens_details`
- DeepSeek: `prompt_cache_hit_tokens`; Kimi: `cached_tokens`; gateways to Anthropic:
  `cache_read_input_tokens`; Perplexity: `reasoning_tokens`
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from myagent.models.base import Usage

_CACHED = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",),
    ("cached_tokens",),
    ("cache_read_input_tokens",),
)
_REASONING = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    ("reasoning_tokens",),
)


def read_usage(reported: Mapping[str, Any]) -> Usage:
    """The usage in a reply.

    A part that is no count is taken for 0, and none is above its sum. Raises `AttributeError`,
    `TypeError` or `ValueError` if the sums are no numbers.
    """
    prompt = int(reported.get("prompt_tokens") or 0)
    completion = int(reported.get("completion_tokens") or 0)
    reasoning = _first_count(reported, _REASONING)
    # xAI does not count reasoning as a part of the completion, but beside it.
    if reasoning and reported.get("total_tokens") == prompt + completion + reasoning:
        completion += reasoning
    cached = _first_count(reported, _CACHED)
    return Usage(prompt, completion, min(cached, prompt), min(reasoning, completion))


def _first_count(reported: Mapping[str, Any], paths: Sequence[Sequence[str]]) -> int:
    """The first count above 0 at one of the paths, else 0."""
    return next(filter(None, (_count_at(reported, path) for path in paths)), 0)


def _count_at(reported: Mapping[str, Any], path: Sequence[str]) -> int:
    value: Any = reported
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if type(value) not in (int, float) or not math.isfinite(value):
        return 0
    return max(int(value), 0)
