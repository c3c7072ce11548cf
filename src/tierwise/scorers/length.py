"""The free check `length`: how long an answer is, against its prompt; and against a route's norm, where one is known.

It fails nothing: of real answers, neither the shortest nor the longest are wrong often enough for that. What a length
is worth, a verifier learns from the route's own outcomes. Knows nothing of tokens.
"""

from __future__ import annotations

from math import log

from tierwise.types import Answer, Checks, Evidence, Message, Request, Text


def length(request: Request, answer: Answer, checks: Checks) -> Evidence:
    """The value is ln((1 + answer) / (1 + prompt)) in characters, of the choice furthest from the prompt's length.

    Of an answer, tool names and arguments count; of a prompt, the texts of all messages. The value lies within
    +-30 for any text that fits in memory. None while an answer is not complete or has no choice.
    """
    if not answer.complete or not answer.choices:
        return Evidence("length", None)
    asked = sum([_length(message) for message in request.messages])
    ratios = []
    for choice in answer.choices:
        calls = sum([len(call.name) + len(call.arguments) for call in choice.tool_calls])
        ratios.append(norm_ratio(len(choice.text) + calls, asked))
    furthest = max(ratios, key=abs)
    return Evidence("length", None, f"{asked} characters asked", furthest)


def norm_ratio(chars: int, norm: float) -> float:
    """ln((1 + chars) / (1 + norm)): 0 at the norm, symmetric in ratio. `norm` is a length in characters, at least 0."""
    return log((1.0 + chars) / (1.0 + norm))


def _length(message: Message) -> int:
    if isinstance(message.content, str):
        return len(message.content)
    return sum([len(part.text) for part in message.content if isinstance(part, Text)])
