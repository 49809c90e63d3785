"""The Docker client's pure parts, and what it makes of answers that a healthy daemon never gives."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ccci_host import command_checks, docker, docker_exec
from ccci_host.docker import Client, DockerError, LimitReached
from ccci_host.docker_exec import demultiplex

PING = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"
Daemon = Callable[..., Client]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that gives each connection the next prepared answer, then hangs up; for None it stays silent.
    With `holds` it does not hang up."""
    path = str(tmp_path / "docker.sock")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    silent = threading.Event()

    def serve(answers: list[bytes | None], holds: bool) -> None:
        for answer in answers:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                if answer is not None:
                    connection.sendall(answer)
                if answer is None or (holds and answer is not PING):
                    silent.wait(5)

    def prepare(*answers: bytes | None, timeout: float = 5.0, holds: bool = False) -> Client:
        server.bind(path)
        server.listen()
        threading.Thread(target=serve, args=([PING, *answers], holds), daemon=True).start()
        return Client(path, timeout=timeout)

    yield prepare
    silent.set()
    server.close()


@pytest.mark.parametrize(
    ("engine", "spoken"),
    [("1.41", (1, 41)), ("1.44", (1, 44)), ("1.52", (1, 44)), ("", (1, 44)), ("nonsense", (1, 44))],
)
def test_it_speaks_the_newest_version_that_both_sides_know(engine: str, spoken: tuple[int, int]) -> None:
    assert docker.negotiated(engine) == spoken


def test_query_values_become_what_the_api_reads() -> None:
    query = {"all": True, "v": False, "tail": 5, "since": None, "filters": {"label": ["a=b"]}}
    assert docker.encoded(query) == "?all=true&v=false&tail=5&filters=%7B%22label%22%3A+%5B%22a%3Db%22%5D%7D"
    assert docker.encoded(None) == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.123456789Z", 1.123456789),
        ("1970-01-01T01:00:01.5+01:00", 1.5),
        ("0001-01-01T00:00:00Z", 0.0),
    ],
)
def test_times_with_any_number_of_decimals(text: str, seconds: float) -> None:
    assert docker.timestamp(text) == pytest.approx(seconds)


def test_a_time_that_docker_does_not_write() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        docker.timestamp("yesterday")


def test_frames_are_taken_apart_even_when_the_last_one_was_cut() -> None:
    raw = b"\x01\0\0\0\0\0\0\x04out\n" + b"\x02\0\0\0\0\0\0\x04err\n" + b"\x01\0\0\0\0\0\0\x09cut"
    assert list(demultiplex(raw)) == [(1, b"out\n"), (2, b"err\n"), (1, b"cut")]


def test_output_of_a_terminal_has_no_frames() -> None:
    assert list(demultiplex(b"plain text\n")) == [(1, b"plain text\n")]


def test_dockers_own_words_reach_the_error(daemon: Daemon) -> None:
    body = b'{"message":"config x is in use"}'
    client = daemon(b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    with pytest.raises(DockerError, match="409 to DELETE /configs/x: config x is in use") as caught:
        client.delete("/configs/x")
    assert (caught.value.status, caught.value.message) == (409, "config x is in use")


def test_a_chunked_answer(daemon: Daemon) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert daemon(head + b'5\r\n[{"a"\r\n4\r\n:1}]\r\n0\r\n\r\n').get("/services") == [{"a": 1}]


def test_an_answer_that_is_cut_short(daemon: Daemon) -> None:
    client = daemon(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n[{"a":')
    with pytest.raises(DockerError, match="broke off its answer to GET /services") as caught:
        client.get("/services")
    assert caught.value.status == 0


def test_an_answer_without_end_is_not_kept(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "MOST_ANSWER", 1000)
    client = daemon(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n\r\n" + b"x" * 5000)
    with pytest.raises(DockerError, match="longer than 0 MiB"):
        client.get("/containers/x/archive", path="/marker")


def test_a_command_that_writes_without_end_is_the_recipes_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_exec, "MOST_OUTPUT", 1000)
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"HTTP/1.1 101 UPGRADED\r\n\r\n" + b"\x01\0\0\0\0\0\0\x02y\n" * 500)
        client: Any = Client()
        client.connect, client.versioned = lambda limit: ours, lambda path: path
        client.post = lambda *_: {"Id": "e"}
        client.get = lambda *_, **__: [{"Id": "c", "Created": 1}]
        client.services = lambda stack: [{"Spec": {"Name": "a_app"}}]
        one, _ = command_checks.run(client, "a", {"id": "x", "service": "app", "argv": ["yes"]})
    assert (one.outcome, one.observed) == ("fail", "`yes` in container c wrote more than 0 MiB")


def test_a_daemon_that_hangs_up_without_an_answer(daemon: Daemon) -> None:
    with pytest.raises(DockerError, match="broke off GET /info"):
        daemon(b"").get("/info")


def test_a_daemon_that_stays_silent(daemon: Daemon) -> None:
    with pytest.raises(LimitReached, match=r"did not answer GET /info within 0\.2 s"):
        daemon(None, timeout=0.2).get("/info")


def test_a_daemon_that_stops_in_the_middle_of_an_answer(daemon: Daemon) -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"
    with pytest.raises(LimitReached, match=r"did not go on with its answer to GET /info for 0\.2 s"):
        daemon(begun, timeout=0.2, holds=True).get("/info")


@pytest.mark.parametrize(("answer", "lives"), [(PING, True), (None, False)])
def test_whether_a_daemon_lives(
    answer: bytes | None, lives: bool, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "PING_LIMIT", 0.2)
    assert daemon(answer).answers() is lives


def test_a_socket_that_nobody_listens_on_is_dead(tmp_path: Path) -> None:
    assert not Client(str(tmp_path / "nothing.sock")).answers()


def test_no_daemon_at_all(tmp_path: Path) -> None:
    with pytest.raises(DockerError, match=r"does not answer on .*nothing\.sock"):
        Client(str(tmp_path / "nothing.sock")).get("/info")


def test_a_stream_ends_with_what_was_complete(daemon: Daemon) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    stream = daemon(head + b'{"status":"a"}\r\n{"status":"b"}{"sta').stream("POST", "/images/create")
    assert next(stream) == {"status": "a"}
    assert next(stream) == {"status": "b"}
    with pytest.raises(DockerError, match="broke off"):
        next(stream)


def test_service_logs_are_put_in_the_order_of_time() -> None:
    text = "2026-01-01T00:00:02.5Z late\n2026-01-01T00:00:01.5Z early word\n"
    assert docker._in_time_order(text) == "early word\nlate\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"


def frame(payload: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def test_logs_are_the_payloads_of_their_frames(daemon: Daemon) -> None:
    raw = HEAD + frame(b"one\n") + frame(b"two\n", 2)
    assert daemon(raw).logs("containers", "c") == "one\ntwo\n"


def test_of_a_long_log_the_end_is_kept_from_a_whole_line_on(daemon: Daemon) -> None:
    lines = [f"line {number} {'x' * 90}\n".encode() for number in range(5000)]
    text = daemon(HEAD + b"".join(map(frame, lines))).logs("containers", "c", most=2000)
    assert 1800 < len(text) <= 2000
    assert text == b"".join(lines)[-len(text) :].decode()
    assert text.startswith("line 49")


def test_of_a_line_without_an_end_the_last_bytes_are_kept(daemon: Daemon) -> None:
    assert daemon(HEAD + b"".join([frame(b"y" * 9000)] * 9 + [frame(b"end")])).logs("containers", "c", most=100) == (
        "y" * 97 + "end"
    )


def test_the_log_of_a_terminal_is_bounded_too(daemon: Daemon) -> None:
    assert daemon(HEAD + b"z" * 300_000 + b"\nlast\n").logs("containers", "c", most=50) == "last\n"


def test_a_terminal_that_pretends_to_be_a_frame_does_not_fill_the_memory() -> None:
    class Endless:
        """64 MiB of one "frame"; what is held at most is what the test looks at."""

        def __init__(self) -> None:
            self.pieces, self.ccci_socket = [b"\x01\0\0\0\xff\xff\xff\xff", *[b"a" * 65536] * 1024], self

        def settimeout(self, seconds: float) -> None:
            assert seconds > 0

        def read1(self, size: int) -> bytes:
            return self.pieces.pop(0) if self.pieces else b""

    response: Any = Endless()
    payloads, was_cut = docker._last_frames(response, "GET /logs", 100_000, 30)
    assert was_cut
    assert sum(map(len, payloads)) < 400_000


def test_a_log_that_does_not_end_reaches_its_limit(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "_set_timeout", lambda response, seconds: (_ for _ in ()).throw(TimeoutError()))
    with pytest.raises(LimitReached, match="GET /containers/c/logs within 5 s"):
        daemon(HEAD + frame(b"one\n")).logs("containers", "c")


def test_logs_of_a_service_are_sorted_after_they_were_cut(daemon: Daemon) -> None:
    lines = [f"2026-01-01T00:00:{number:02d}.5Z word {number}\n".encode() for number in (3, 9, 1, 2)]
    assert daemon(HEAD + b"".join(map(frame, lines))).logs("services", "s", most=80) == "word 1\nword 2\n"
