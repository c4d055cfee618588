"""The network as it can be: rows LF-01 to LF-16, LF-36 and LF-45 of the fault matrix, over loopback sockets."""

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from urllib.parse import urlsplit

import pytest
from edge_baselines.llm.client import fault_of_status, retry_after
from edge_baselines.llm.faults import LlmUnavailable
from edge_baselines.llm.settings import API_KEY
from edge_baselines.llm.stub import faults as stub_faults
from edge_baselines.llm.stub.faults import fault
from edge_baselines.llm.stub.plays import rules
from edge_baselines.llm.stub.replies import Reply, completion, message
from edge_baselines.llm.stub.server import StubServer
from llm_toys import TOOLS, advise, ask, body, counted, plan_of

CLOSED = [("set_risk_gate", {"node": "rtx_4090-7", "level": "closed"}), ("finish", {"reason": "done"})]
pytest_plugins = ("llm_network",)
SHORT = 0.25  # s, deadline where it is meant to pass
PLENTY = 60.0  # s, deadline where an answer is expected: nothing waits for it
SOON = 10.0  # s, by when it has been noticed on a busy machine; what is waited for takes much longer
CANARY = "sk-canary-0123456789abcdef"


def closed_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_an_answer_over_the_network(connect, server):
    client = connect()
    assert plan_of(ask(advise(client))) == CLOSED
    (request,), (headers,) = server.requests, server.headers
    assert [tool["function"]["name"] for tool in request["tools"]] == [tool.name for tool in TOOLS]
    assert headers["accept-encoding"] == "identity" and headers["x-client-request-id"].endswith("-0")
    assert "openai-organization" not in headers or not headers["openai-organization"]


def test_LF_01_refused(connect):
    client = connect(base_url=f"http://127.0.0.1:{closed_port()}/v1")
    advisor = advise(client)
    waits = []
    advisor.exchange.sleep = waits.append
    assert ask(advisor).fault == "connection" and counted(advisor)["calls"] == 3
    assert len(waits) == 2 and 0.0005 <= waits[0] <= 0.0015 and 0.001 <= waits[1] <= 0.003
    for now in range(1, 5):
        ask(advisor, now=now)
    assert advisor.breaker.state == "open" and counted(advisor)["calls"] == 15
    assert ask(advisor, now=5).fault == "breaker" and counted(advisor)["calls"] == 15


def test_LF_01_no_such_host(connect, monkeypatch):
    def nowhere(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    client = connect(base_url="http://localhost:9/v1")
    assert client.attempt(body(), PLENTY).fault == "dns"


def test_LF_01_a_name_that_does_not_resolve_in_time(connect, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(60) and [])
    client = connect(base_url="http://localhost:9/v1")
    client._start()
    began = time.monotonic()
    outcome = client.attempt(body(), SHORT)
    release.set()
    assert outcome.fault == "deadline" and time.monotonic() - began < SOON


def test_LF_02_connecting_hangs(connect):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):  # a full queue of connections: the next one gets no answer at all
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        client = connect(base_url=f"http://127.0.0.1:{full.getsockname()[1]}/v1", connect_timeout_s=0.1)
        outcome = client.attempt(body(), PLENTY)
        for filler in fillers:
            filler.close()
    assert outcome.fault == "connect_timeout"


@pytest.mark.parametrize("name", ["silence", "trickle"])
@pytest.mark.parametrize("stream", [False, True])
def test_LF_03_LF_04_silence_and_a_byte_at_a_time(connect, name, stream):
    client = connect(fault(name), deadline_s=SHORT, stream=stream)
    client._start()
    advisor = advise(client)
    began = time.monotonic()
    decision = ask(advisor)
    assert decision.fault == "deadline" and time.monotonic() - began < SOON
    assert counted(advisor)["calls"] == 1 and SHORT <= decision.thinking_s + 0.05 <= SHORT + 0.1


def test_LF_04_headers_that_come_byte_by_byte(connect):
    def serve(listener, stop):
        with contextlib.suppress(OSError), listener.accept()[0] as connection:  # whoever asked has gone
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 1000:
                if stop.wait(0.02):
                    return
                connection.sendall(bytes([byte]))

    stop = threading.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(30.0)
        thread = threading.Thread(target=serve, args=(listener, stop))
        thread.start()
        outcome = connect(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1").attempt(body(), SHORT)
        stop.set()
        thread.join()
    assert outcome.fault == "deadline" and outcome.latency_s < SOON


def test_LF_05_no_tls_at_all(connect, server):
    advisor = advise(connect(base_url=server.base_url.replace("http:", "https:")))
    assert ask(advisor).fault == "tls" and counted(advisor)["calls"] == 1


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_LF_05_a_certificate_that_nobody_signed(connect, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    job = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*job, *name, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with StubServer(rules()) as stub:
        stub._server.socket = context.wrap_socket(stub._server.socket, server_side=True)
        stub._server.handle_error = lambda *_: None
        port = urlsplit(stub.base_url).port
        advisor = advise(connect(base_url=f"https://localhost:{port}/v1"))
        assert ask(advisor).fault == "tls" and stub.requests == []


def test_LF_06_a_wait_that_was_asked_for(connect):
    advisor = advise(connect(fault("retry_after_2", rules(), 1)))
    waits = []
    advisor.exchange.sleep = waits.append
    decision = ask(advisor)
    assert plan_of(decision) == CLOSED and waits == [2.0] and decision.thinking_s > 2.0


@pytest.mark.parametrize(
    ("name", "calls"),
    [("retry_after_day", 1), ("retry_after_date", 1), ("retry_after_words", 3), ("retry_after_negative", 3),
     ("retry_after_past", 3)],
)  # fmt: skip
def test_LF_07_waits_that_are_not_obeyed(connect, name, calls):
    advisor = advise(connect(fault(name)))
    waits = []
    advisor.exchange.sleep = waits.append
    assert ask(advisor).fault == "rate_limit" and counted(advisor)["calls"] == calls
    assert sum(waits) < 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("2", 2.0), ("0.5", 0.5), ("", None), ("-1", None), ("1e3", None), ("NaN", None), ("inf", None),
     ("\u0663", None), ("9" * 400, None), ("Mon, 99 Foo 2024", None), ("Fri, 31 Dec 1999 23:59:59 GMT", None)],
)  # fmt: skip
def test_LF_07_reading_the_header(value, seconds):
    assert retry_after({"retry-after": value}) == seconds
    assert retry_after({"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"}) > 1e8


def test_LF_08_the_quota_is_used_up(connect, caplog):
    advisor = advise(connect(fault("quota")))
    assert ask(advisor).fault == "quota" and counted(advisor)["calls"] == 1
    for now in range(3):
        assert ask(advisor, now=now).fault == "shut"
    warnings = [record for record in caplog.records if record.name == "edge_gym.llm"]
    assert len(warnings) == 1 and counted(advisor)["calls"] == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
def test_LF_09_errors_of_the_server(connect, status):
    advisor = advise(connect(fault(f"status_{status}", rules(), 1)))
    assert plan_of(ask(advisor)) == CLOSED and counted(advisor)["server"] == 1
    advisor = advise(connect(fault(f"status_{status}", rules(), 10)))
    results = [ask(advisor, now=now).fault for now in range(4)]
    assert results == ["server", "server", "server", None] and counted(advisor)["server"] == 10


@pytest.mark.parametrize("status", [401, 403])
def test_LF_10_a_key_that_is_not_accepted(connect, status):
    client = connect(fault(f"status_{status}"))
    advisor = advise(client)
    with pytest.raises(LlmUnavailable, match="auth"):
        advisor.preflight()
    assert ask(advisor).fault == "auth" and ask(advisor).fault == "shut" and counted(advisor)["calls"] == 1


@pytest.mark.parametrize("stream", [False, True])
def test_LF_10_preflight_lets_pass_what_may_pass(connect, stream):
    for name in ("rate_limit", "status_503"):
        advise(connect(fault(name), stream=stream)).preflight()
    advise(connect(stream=stream)).preflight()
    with pytest.raises(LlmUnavailable, match="connection"):
        advise(connect(base_url=f"http://127.0.0.1:{closed_port()}/v1")).preflight()


def test_LF_11_a_prompt_that_is_too_long_is_shortened_once(connect, server):
    advisor = advise(connect(fault("context_too_long", rules(), 1)))
    decision = ask(advisor, shrink=lambda: "short")
    assert decision.fault is None and [r["messages"][1]["content"] == "short" for r in server.requests] == [False, True]
    advisor = advise(connect(fault("context_too_long")))
    assert ask(advisor, shrink=lambda: "short").fault == "context_too_long" and len(server.requests) == 2
    advisor = advise(connect(fault("context_too_long")))
    assert ask(advisor).fault == "context_too_long" and advisor.breaker._row == 0
    assert fault_of_status(400, "This model's maximum context length is 4096 tokens") == "context_too_long"


@pytest.mark.parametrize("status", [404, 410])
def test_LF_12_a_model_that_is_gone(connect, status):
    advisor = advise(connect(fault(f"status_{status}")))
    with pytest.raises(LlmUnavailable, match="model_gone"):
        advisor.preflight()
    assert ask(advisor).fault == "model_gone" and ask(advisor).fault == "shut"


@pytest.mark.parametrize("name", ["huge", "gzip_bomb"])
def test_LF_14_a_body_without_end(connect, name):
    stub_faults.FAULTS[name]({})  # made beforehand: packing it takes longer than unpacking a part
    outcome = connect(fault(name)).attempt(body(), PLENTY)
    assert outcome.fault == "too_large"


def test_LF_15_a_redirect_is_not_followed(connect, server, monkeypatch):
    monkeypatch.setenv(API_KEY, CANARY)
    with StubServer(rules()) as other:
        play = lambda request: Reply(307, {"Location": f"{other.base_url}/chat/completions"})  # noqa: E731
        outcome = connect(play).attempt(body(), PLENTY)
        assert outcome.fault == "redirect" and other.requests == [] and len(server.requests) == 1


def test_LF_16_a_body_cut_short(connect):
    assert connect(fault("cut_body")).attempt(body(), PLENTY).fault == "connection"
    advisor = advise(connect(fault("stream_cut", rules(), 1), stream=True))
    assert plan_of(ask(advisor)) == CLOSED and counted(advisor)["stream"] == 1


def test_LF_36_a_late_answer_is_never_taken_for_another(connect):
    """The answer to an abandoned request arrives while the next one is under way."""

    def play(request):
        if "late" in request["messages"][1]["content"]:
            time.sleep(0.2)
            return stub_faults.FAULTS["same_call"](request)
        return rules()(request)

    client = connect(play)
    client._start()
    assert client.attempt(body(text="late"), 0.05).fault == "deadline"
    outcome = client.attempt(body(), PLENTY)
    assert [name for name, _ in outcome.answer.calls] == ["set_risk_gate", "finish"]


def test_LF_36_the_same_answer_sent_twice(connect):
    def twice(request):
        once = rules()(request)
        raw = once.pieces[0]
        extra = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        return Reply(pieces=(raw, extra), length=len(raw))

    advisor = advise(connect(twice))
    assert [plan_of(ask(advisor)) for _ in range(3)] == [CLOSED] * 3


def test_LF_36_every_request_has_its_own_connection(connect):
    """An endpoint that would keep the connection, and sends a second answer on it after a while."""
    good = json.dumps(completion(message(calls=stub_faults.GOOD), usage=None)).encode()
    late = json.dumps(completion(message(calls=[stub_faults.GATE]), usage=None)).encode()
    accepted = []

    def serve(listener):
        for _ in range(2):
            connection, _ = listener.accept()
            accepted.append(connection)
            connection.recv(100_000)
            for raw in (good, late):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(30.0)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        client = connect(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        outcomes = [client.attempt(body(), PLENTY) for _ in range(2)]
        thread.join(5.0)
    for connection in accepted:
        connection.close()
    assert [[name for name, _ in outcome.answer.calls] for outcome in outcomes] == [["finish"], ["finish"]]
    assert len(accepted) == 2


def test_the_event_loop_of_the_caller_does_not_matter(connect):
    client = connect()

    async def within():
        return client.attempt(body(), PLENTY)

    assert asyncio.run(within()).fault is None


def test_a_closed_client_starts_again(connect):
    client = connect()
    assert client.attempt(body(), PLENTY).fault is None
    thread = client._thread
    assert thread.is_alive()
    client.close()
    client.close()
    assert not thread.is_alive()
    assert client.attempt(body(), PLENTY).fault is None


def test_a_forked_process_gets_its_own_thread(connect):
    client = connect()
    assert client.attempt(body(), PLENTY).fault is None
    owner, client._owner = client._owner, 0  # as a forked child finds it
    thread, loop, api = client._thread, client._loop, client._api
    assert client.attempt(body(), PLENTY).fault is None and client._thread is not thread
    client.close()
    client._thread, client._loop, client._api, client._owner = thread, loop, api, owner


@pytest.mark.parametrize("hours", [-1, 1])
def test_LF_45_the_clock_on_the_wall_does_not_matter(connect, monkeypatch, hours):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)
    outcome = connect().attempt(body(), PLENTY)
    assert outcome.fault is None and 0 <= outcome.latency_s < PLENTY
