"""No key ever leaves: row LF-44 of the fault matrix, and where settings come from."""

import json
import logging

import pytest
from edge_baselines.llm import client as client_module
from edge_baselines.llm.breaker import Breaker
from edge_baselines.llm.client import Client, Outcome
from edge_baselines.llm.extra import require_extra
from edge_baselines.llm.faults import FAULTS
from edge_baselines.llm.settings import API_KEY, LlmSettings
from edge_baselines.llm.stub import faults as stub_faults
from edge_baselines.llm.stub.replies import Reply
from edge_baselines.llm.transcript import Transcript
from llm_toys import advise, ask, body, make_advisor

from edge_gym.errors import EdgeGymInputError

pytest_plugins = ("llm_network",)
CANARY = "sk-canary-0123456789abcdef"


class Everything(logging.Handler):
    """Keeps every record, formatted."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


def test_LF_44_no_key_ever_leaves(connect, server, monkeypatch, tmp_path, capfd):
    """Every fault, with an endpoint that repeats the key wherever it can, everything logged, everything searched."""
    monkeypatch.setenv(API_KEY, CANARY)
    handler = Everything()
    logging.getLogger().addHandler(handler)
    levels = {name: logging.getLogger(name).level for name in ("", *client_module.LOGGERS)}
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)

    def echo(name):
        def play(request):
            reply = stub_faults.FAULTS[name](request)
            pieces = tuple(p.replace(b"nothing to do", CANARY.encode()).replace(b"status", CANARY.encode()) for p in
                           reply.pieces) if len(reply.pieces) < 50 else reply.pieces  # fmt: skip
            return Reply(reply.status, {**reply.headers, "X-Echo": CANARY}, f"a/{CANARY}", pieces)

        return play

    try:
        client = connect(deadline_s=0.3)
        path = tmp_path / "t.jsonl"
        advisor = advise(client, path=path, mode="record", retries=0, breaker=Breaker(in_a_row=10**6, window=10**6))
        seen = []
        for i, name in enumerate(stub_faults.FAULTS):
            server.play = echo(name)
            advisor.shut = ""
            seen.append(ask(advisor, text=f"{name} {i}", now=i))
        assert all(headers["authorization"] == f"Bearer {CANARY}" for headers in server.headers)
        written = path.read_text()
    finally:
        logging.getLogger().removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    assert len(handler.lines) > 500 and "[key]" in written, "nothing was logged, or nothing was echoed"
    everything = [*handler.lines, written, repr(seen), repr(vars(advisor.settings)), repr(client), *capfd.readouterr()]
    assert [text for text in everything if CANARY in text] == []


@pytest.mark.parametrize(
    "address",
    [f"http://user:{CANARY}@host/v1", f"https://host/v1?key={CANARY}", f"https://host/v1#{CANARY}", f"ftp://{CANARY}",
     f"https://{CANARY}@host", CANARY, f"http://host:{CANARY}/v1", f"http://host:99999/{CANARY}",
     f"https://host/\n{CANARY}", f"https://host/{CANARY * 200}", CANARY.encode()],
)  # fmt: skip
def test_LF_44_no_key_in_an_address(address):
    with pytest.raises(EdgeGymInputError) as caught:
        LlmSettings(base_url=address)
    assert CANARY not in str(caught.value) and API_KEY in str(caught.value)


def test_LF_44_a_key_does_not_travel_unencrypted(monkeypatch):
    monkeypatch.setenv(API_KEY, CANARY)
    with pytest.raises(EdgeGymInputError, match="https"):
        Client(LlmSettings(base_url="http://example.org/v1", model="m"))
    with pytest.raises(EdgeGymInputError, match="EDGE_GYM_LLM_MODEL"):
        Client(LlmSettings(base_url="https://example.org/v1"))
    Client(LlmSettings(base_url="https://example.org/v1", model="m")).close()
    monkeypatch.delenv(API_KEY)
    Client(LlmSettings(base_url="http://example.org/v1", model="m")).close()


def test_a_key_that_cannot_be_sent(connect, monkeypatch):
    monkeypatch.setenv(API_KEY, f"{CANARY}\n\u00e9")
    outcome = connect().attempt(body(), 5.0)
    assert isinstance(outcome, Outcome) and outcome.fault in FAULTS and CANARY not in outcome.detail


def test_settings_from_the_environment(monkeypatch):
    monkeypatch.setenv("EDGE_GYM_LLM_BASE_URL", "https://example.org/v1")
    monkeypatch.setenv("EDGE_GYM_LLM_MODEL", "m")
    monkeypatch.setenv(API_KEY, CANARY)
    settings = LlmSettings.from_env(deadline_s=3)
    assert (settings.base_url, settings.model, settings.deadline_s) == ("https://example.org/v1", "m", 3.0)
    assert CANARY not in repr(settings) and CANARY not in json.dumps(vars(settings))
    with pytest.raises(EdgeGymInputError, match="deadline_s"):
        LlmSettings(deadline_s=-1)


def test_a_missing_package_says_what_to_type():
    with pytest.raises(EdgeGymInputError, match=r"pip install -c constraints.txt -e '\.\[llm\]'"):
        require_extra(("no_such_package_here",))
    with pytest.raises(EdgeGymInputError, match="client"):
        make_advisor(None)
    assert Transcript(None, "off").mode == "off"
