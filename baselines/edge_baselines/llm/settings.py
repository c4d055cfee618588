"""How a language model is asked. The key is no setting: it stays in the environment and is read where it is sent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.fields import MAX_TEXT, check, choice, flag, number, text

BASE_URL, MODEL, API_KEY = "EDGE_GYM_LLM_BASE_URL", "EDGE_GYM_LLM_MODEL", "EDGE_GYM_LLM_API_KEY"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, kw_only=True)
class LlmSettings:
    """Endpoint, limits and prices. Every field is safe to print and to store.

    Raises:
        EdgeGymInputError: If a field is out of range, or the URL holds a user, a password or a query.
    """

    base_url: str = text("", "address of an OpenAI-compatible endpoint, as in http://127.0.0.1:8000/v1")
    model: str = text("", "name of the model at that endpoint")
    deadline_s: float = number(
        30.0, 0.0, 3600.0, "s", "for a whole decision, retries and turns included", low_open=True
    )
    connect_timeout_s: float = number(5.0, 0.0, 600.0, "s", "for a connection", low_open=True)
    retries: int = number(2, 0, 10, "attempts", "after the first, for a fault that may pass")
    backoff_s: float = number(0.5, 0.0, 60.0, "s", "wait before the first retry; doubles, with jitter")
    max_turns: int = number(6, 1, 100, "turns", "questions to the model in a decision")
    corrective_turns: int = number(2, 0, 10, "turns", "of these, after a refused answer")
    max_tokens: int = number(1024, 1, 1_000_000, "tokens", "of one answer")
    token_limit: str = choice("max_tokens", TOKEN_LIMITS, "what the endpoint calls that limit")
    temperature: float | None = number(0.0, 0.0, 2.0, "", "of sampling; none leaves it to the endpoint")
    stream: bool = flag(False, "ask for the answer as a stream of events")
    seed: int = number(0, 0, 2**63 - 1, "", "of the jitter between retries")
    price_in: float | None = number(None, 0.0, 1.0, "dollars", "per token of the prompt; none is unknown")
    price_out: float | None = number(None, 0.0, 1.0, "dollars", "per token of the answer; none is unknown")
    allow_unpriced: bool = flag(False, "ask although a price is unknown")
    thinking_s: float | None = number(
        None, 0.0, 3600.0, "s", "declared time of an answer; none takes what was measured"
    )
    thinking_s_per_token: float = number(0.0, 0.0, 60.0, "s", "declared time for each token of the answer, added to it")

    def __post_init__(self) -> None:
        _check_url(self.base_url)  # first, since other errors show the value
        check(self)

    @property
    def is_priced(self) -> bool:
        """Whether both prices are known."""
        return self.price_in is not None and self.price_out is not None

    @classmethod
    def from_env(cls, **changes: Any) -> LlmSettings:
        """Returns the settings with URL and model from EDGE_GYM_LLM_BASE_URL and EDGE_GYM_LLM_MODEL.

        Args:
            changes: Any other field, or those two.
        """
        found: dict[str, Any] = {"base_url": os.environ.get(BASE_URL, ""), "model": os.environ.get(MODEL, "")}
        return cls(**(found | changes))

    def require_endpoint(self) -> None:
        """Refuses to go on without a URL, a model and, where the key would travel unencrypted, encryption.

        Raises:
            EdgeGymInputError: Names what is missing and the variable that holds it.
        """
        for name, variable in (("base_url", BASE_URL), ("model", MODEL)):
            if not getattr(self, name):
                raise EdgeGymInputError(name, MISSING, "given", "LlmSettings", f"set {variable}")
        url = urlsplit(self.base_url)
        if url.scheme == "http" and url.hostname not in LOOPBACK and os.environ.get(API_KEY):
            allowed = "an https address, or the key would travel unencrypted"
            raise EdgeGymInputError("base_url", MISSING, allowed, "LlmSettings", f"or unset {API_KEY}")


def _check_url(address: object) -> None:
    """The address is never repeated in the error: somebody may have put a key into it."""
    if address == "":
        return
    hint = f"the key belongs into {API_KEY}"
    try:
        text = address if isinstance(address, str) and address.isprintable() and len(address) <= MAX_TEXT else ""
        url = urlsplit(text)
        plain = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:  # an impossible port
        plain, text, url = False, "", urlsplit("")
    if not plain or "@" in url.netloc or url.query or url.fragment or "?" in text or "#" in text:
        allowed = "http://host[:port]/path or https://..., without user, query or fragment"
        raise EdgeGymInputError("base_url", MISSING, allowed, "LlmSettings", hint)
