"""HTTP checks against a real server with TLS, reached by address and not by name."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from webserver import Site

from ccci_probe.connection import covers, session
from ccci_probe.http import HttpCheck, attempt, differences
from ccci_probe.polling import Polled, Seen, Series, failure_id, poll, retries_told

JSON = {"Content-Type": "application/json"}


def ask(site: Site, path: str = "/", host: str = "app.ci.test", address: str = "127.0.0.1", **check: Any) -> Seen:
    made = HttpCheck("one", site.url(path, host), **check)
    return attempt(made, session(address, site.ca_file), address, site.ca_file)


def test_the_ingress_is_reached_under_the_apps_own_name(site: Site) -> None:
    seen = ask(site, text="Hello", content_type="text/html")
    assert (seen.outcome, seen.observed) == (
        "pass",
        f"status 200, text/html; charset=utf-8, {len(site.answers['/'][2])} bytes",
    )
    assert site.seen[0][2]["host"] == f"app.ci.test:{site.port}"


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ({"status": (204,)}, "status 200"),
        ({"text": "Bye"}, "the text is not there"),
        ({"not_text": "Hello"}, "the unwanted text is there"),
        ({"content_type": "application/json"}, "content type text/html"),
        ({"json": {"a": 1}}, "the body is no JSON"),
        ({"body_equals": "Hello"}, "the body differs"),
        ({"sha256": "0" * 64}, "SHA-256 "),
        ({"redirect_to": "/login"}, "redirect to nowhere"),
        ({"response_headers": {"X-Robots-Tag": "none"}}, "header X-Robots-Tag: none"),
    ],
)
def test_a_miss_says_what_it_saw(site: Site, check: dict[str, Any], said: str) -> None:
    seen = ask(site, **check)
    assert seen.outcome == "fail"
    assert said in seen.observed
    assert "<h1>Hello</h1>" in seen.evidence


def test_bodies_are_compared_byte_by_byte(site: Site) -> None:
    body = "ümlaut\r\n\x00end".encode()
    site.answers["/raw"] = (200, {}, body)
    assert ask(site, "/raw", body_equals=body.decode()).outcome == "pass"
    assert ask(site, "/raw", body_equals=body.decode() + " ").outcome == "fail"
    assert ask(site, "/raw", sha256=hashlib.sha256(body).hexdigest().upper()).outcome == "pass"


def test_json_may_hold_more_than_what_is_wanted(site: Site) -> None:
    site.answers["/json"] = (
        200,
        JSON,
        json.dumps({"status": "ok", "list": [{"id": 1, "n": "a"}, 2], "x": True}).encode(),
    )
    assert ask(site, "/json", json={"status": "ok", "list": [{"id": 1}]}).outcome == "pass"
    seen = ask(site, "/json", json={"status": "ready"})
    assert seen.observed.startswith('JSON status is "ok"')
    assert ask(site, "/json", json={"x": 1}).outcome == "fail"


def test_differences_name_their_place() -> None:
    assert differences({"a": {"b": [1]}}, {"a": {"b": [2]}}) == ["a.b has no 1"]
    assert differences({"a": {}}, {"a": []}) == ["a is [], no object"]
    assert differences([], {}) == ["document is {}, no list"]


def test_redirects_are_judged_and_followed_only_when_asked(site: Site) -> None:
    site.answers["/old"] = (302, {"Location": "/"}, b"")
    assert ask(site, "/old").observed == "status 302"
    assert ask(site, "/old", status=(302,), redirect_to="/").outcome == "pass"
    assert ask(site, "/old", follow=True, text="Hello").outcome == "pass"


def test_what_is_sent_arrives(site: Site) -> None:
    site.answers["/post"] = (201, JSON, b'{"id": 7}')
    seen = ask(site, "/post", method="POST", body_json={"name": "x"}, headers={"X-Key": "k"}, status=(201,))
    assert seen.data["json"] == {"id": 7}  # type: ignore[index]
    method, _, headers, body = site.seen[0]
    assert (method, headers["x-key"], json.loads(body)) == ("POST", "k", {"name": "x"})


def test_the_certificate_is_judged(site: Site) -> None:
    assert ask(site, tls={"name": "app.ci.test"}).observed.startswith(
        "a certificate for *.ci.test by commonName=ccci test"
    )
    assert ask(site, tls={"name": "app.ci.test", "issuer": "ccci test authority"}).outcome == "pass"
    assert ask(site, tls={"name": "app.ci.test", "issuer": "Let's Encrypt"}).outcome == "fail"
    assert ask(site, host="app.else.test", tls={"name": "app.else.test"}).outcome == "fail"
    assert ask(site, "/none", tls={"name": "app.ci.test"}).outcome == "pass"
    assert ask(site, "/none", tls={"name": "app.ci.test"}, text="Hello").outcome == "fail"


def test_a_certificate_of_another_authority_or_name_is_never_accepted(site: Site) -> None:
    wrong_name = ask(site, host="app.else.test")
    assert (wrong_name.outcome, "TLS: " in wrong_name.observed) == ("fail", True)
    check = HttpCheck("one", site.url(), tls={"name": "app.ci.test"})
    for judged in (check, HttpCheck("one", site.url())):
        stranger = attempt(judged, session("127.0.0.1", None), "127.0.0.1", None)
        assert (stranger.outcome, "TLS: " in stranger.observed) == ("fail", True)


def test_names_of_certificates() -> None:
    assert covers(["*.ci.test"], "App.ci.test")
    assert not covers(["*.ci.test"], "a.b.ci.test")
    assert not covers(["*.ci.test"], "ci.test")
    assert not covers([], "ci.test")


def test_an_ingress_that_does_not_listen_is_infrastructures_fault(site: Site) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for check in (
        HttpCheck("one", f"https://app.ci.test:{port}/"),
        HttpCheck("one", f"https://a.ci.test:{port}/", tls={}),
    ):
        seen = attempt(check, session("127.0.0.1", site.ca_file), "127.0.0.1", site.ca_file)
        assert seen.outcome == "error"
        assert "Connection refused" in seen.observed
    unknown = attempt(HttpCheck("one", "https://no-such-host.invalid/"), session(None, None), None, None)
    assert unknown.outcome == "error"


def test_an_app_that_hangs_up_or_is_slow_is_its_own_fault(site: Site) -> None:
    site.answers["/cut"] = lambda count: None
    assert ask(site, "/cut").outcome == "fail"

    def slow(count: int) -> Any:
        time.sleep(1)
        return (200, {}, b"late")

    site.answers["/slow"] = slow
    assert ask(site, "/slow", timeout=0.2).observed == "no answer within 0 s"


def test_a_host_that_nobody_serves_gets_a_hint(site: Site) -> None:
    assert "Traefik" in ask(site, "/none").hint


def test_polling_waits_for_the_characteristic_answer(site: Site) -> None:
    site.answers["/boot"] = lambda count: (200, JSON, b'{"status": "ok"}') if count > 2 else (200, {}, b"starting up")
    check = HttpCheck("one", site.url("/boot"), json={"status": "ok"})
    polled = poll(
        lambda: attempt(check, session("127.0.0.1", site.ca_file), "127.0.0.1", site.ca_file), time.monotonic() + 10
    )
    assert (polled.seen.outcome, polled.tries) == ("pass", 4)
    assert polled.tries_told.startswith(" after 4 tries in ")


def test_polling_ends_with_the_last_answer() -> None:
    answers = iter([Seen("error", "first"), Seen("fail", "second"), Seen("fail", "last")])
    polled: Polled = poll(lambda: next(answers, Seen("fail", "last")), time.monotonic() + 0.8)
    assert (polled.seen.observed, polled.seconds < 1) == ("last", True)
    assert poll(lambda: Seen("fail", "once"), time.monotonic() - 5).tries == 1


def test_each_retry_is_told_and_equal_ones_are_one_line() -> None:
    answers = iter([Seen("fail", "a"), Seen("fail", "a"), Seen("error", "b"), Seen("pass", "c")])
    polled = poll(lambda: next(answers), time.monotonic() + 20)
    first, second = polled.evidence.splitlines()
    assert (first.startswith("after 0.0 s to 0."), first.endswith(" s, 2 times: a")) == (True, True), first
    assert second.endswith(" s: b")
    lost = poll(lambda: Seen("fail", "x", "the answer"), time.monotonic() - 1)
    assert lost.evidence == "the answer", "the last try is told as what was observed"


def test_many_different_retries_are_cut_in_the_middle() -> None:
    lines = retries_told((float(n), f"try {n}") for n in range(40))
    assert (len(lines), lines[0], lines[6], lines[-1]) == (
        13, "after 0.0 s: try 0", "… 28 more", "after 39.0 s: try 39",
    )  # fmt: skip


def test_a_write_is_sent_again_after_a_5xx_and_never_after_an_answer(site: Site) -> None:
    def send(path: str, **wanted: Any) -> Polled:
        check = HttpCheck("one", site.url(path), method="POST", **wanted)
        ways = session("127.0.0.1", site.ca_file)
        return poll(lambda: attempt(check, ways, "127.0.0.1", site.ca_file), time.monotonic() + 8)

    late = [None, (500, JSON, b'{"error": "connection lost"}'), (201, JSON, b"{}")]
    site.answers["/late"] = lambda count: late[count]
    polled = send("/late", status=(201,))
    assert (polled.seen.outcome, polled.tries) == ("pass", 3)
    assert "the connection was cut off" in polled.evidence
    assert 'status 500: {"error": "connection lost"}' in polled.evidence
    site.answers["/refused"] = lambda count: (409, JSON, b"{}") if count == 0 else (201, JSON, b"{}")
    assert (send("/refused", status=(201,)).tries, len(site.seen)) == (1, 4)
    site.answers["/other"] = lambda count: (201, JSON, b'{"id": 1}')
    assert (send("/other", status=(201,), json={"id": 2}).tries, len(site.seen)) == (1, 5)


@pytest.mark.parametrize(
    ("seen", "purpose", "name"),
    [
        (Seen("fail", "x", placeholder=True), "boot", "boot-placeholder"),
        (Seen("fail", "x"), "boot", None),
        (Seen("fail", "x", placeholder=True), "test", None),
        (Seen("fail", "x", placeholder=True), "gate", "subservice-race"),
        (Seen("error", "x"), "gate", None),
        (Seen("fail", "x", failure_id="wrong-service"), "gate", "wrong-service"),
        (Seen("pass", "x"), "gate", None),
    ],
)
def test_what_a_failure_is_called(seen: Seen, purpose: str, name: str | None) -> None:
    assert failure_id(seen, purpose) == name


def test_a_placeholder_is_the_right_status_with_other_content(site: Site) -> None:
    site.answers["/boot"] = (200, {}, b"starting up\nplease wait")
    seen = ask(site, "/boot", json={"status": "ok"})
    assert (seen.placeholder, seen.observed) == (True, "the body is no JSON: starting up please wait")
    assert not ask(site, "/none", json={"status": "ok"}).placeholder


def test_an_operation_that_is_lost_asks_the_rest_once() -> None:
    series = Series(30, operation=True)
    assert series.deadline(5) - time.monotonic() > 4
    series.add(poll(lambda: Seen("fail", "x"), time.monotonic()))
    assert series.deadline(None) <= time.monotonic() + 0.01
    patient = Series(30, operation=False)
    patient.add(poll(lambda: Seen("fail", "x"), time.monotonic()))
    assert patient.deadline(None) - time.monotonic() > 29


def test_successes_must_come_in_a_row() -> None:
    flapping = [Seen("pass", "a"), Seen("fail", "b"), Seen("pass", "c"), Seen("pass", "d"), Seen("pass", "e")]
    answers = iter(flapping)
    assert poll(lambda: next(answers), time.monotonic() + 20, successes=3).tries == 5
    answers = iter(flapping)
    seen = poll(lambda: next(answers), time.monotonic() - 1, successes=2).seen
    assert (seen.outcome, "1 of 2 successes" in seen.observed) == ("fail", True)


@contextmanager
def dripping(leaf: Path) -> Iterator[int]:
    """A server that sends one byte of a long body every tenth of a second; its port."""
    listener, over = socket.create_server(("127.0.0.1", 0)), threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)

    def serve() -> None:
        plain, _ = listener.accept()
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            until = time.monotonic() + 20
            while not over.wait(0.1) and time.monotonic() < until:
                connection.sendall(b"x")

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.close()


def test_an_app_that_drips_its_answer_is_not_listened_to_for_ever(authority: tuple[Path, Path, Path]) -> None:
    ca_file, began = str(authority[0]), time.monotonic()
    with dripping(authority[1]) as port:
        check = HttpCheck("one", f"https://app.ci.test:{port}/", timeout=0.3)
        seen = attempt(check, session("127.0.0.1", ca_file), "127.0.0.1", ca_file)
    assert (seen.outcome, "no answer within" in seen.observed) == ("fail", True), seen
    assert time.monotonic() - began < 6
