"""Fixtures: a stub that plays what a test wants, and clients of it."""

import pytest
from edge_baselines.llm.client import Client
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.stub.plays import rules
from edge_baselines.llm.stub.server import StubServer


@pytest.fixture(scope="module")
def server():
    with StubServer(rules()) as stub:
        yield stub


@pytest.fixture
def connect(server):
    """Makes clients of the stub, and closes them."""
    clients = []

    def make(play=None, base_url=None, **changes):
        server.play = play or rules()
        server.requests.clear()
        server.headers.clear()
        options = {"base_url": base_url or server.base_url, "model": "stub-1", "deadline_s": 5.0, **changes}
        clients.append(Client(LlmSettings(**options)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
