# SPDX-License-Identifier: Apache-2.0
"""To every client but an agent the relay is a plain, well-configured web server."""
import re
import socket
import time

from peers import ends, receive_all, tls_context
from world import World

HOST = "Host: relay.example.org\r\n"


class Front:
    """The relay's front, and requests to it exactly as written."""

    def __init__(self, lab, **blocks):
        self.w = World(lab).one_host()
        self.relay = self.w.relay(blocks=blocks)
        self.context = tls_context(self.w.ca)
        self.context.set_alpn_protocols(["h2", "http/1.1"])

    def connect(self):
        raw = self.w.visitor.connect("45.0.0.2", 443)
        return self.context.wrap_socket(raw, server_hostname="relay.example.org")

    def ask(self, request):
        """The whole answer up to the end of the connection."""
        with self.connect() as s:
            s.sendall(request if isinstance(request, bytes) else request.encode())
            return parse(receive_all(s))

    def status(self, request):
        return self.ask(request)[0]


def parse(reply):
    """(status, {field: value}, body)"""
    head, _, body = reply.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    match = re.fullmatch(r"HTTP/1\.1 (\d{3}) .+", lines[0])
    assert match, f"not a status line: {lines[0]!r}"
    fields = {}
    for line in lines[1:]:
        name, colon, value = line.partition(": ")
        assert colon and name, f"not a field: {line!r}"
        fields[name.lower()] = value
    return int(match.group(1)), fields, body


def read_one(sock, head_only=False):
    """One reply of a connection that stays open, by its Content-Length."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = sock.recv(1)
        assert more, f"closed within a reply: {got!r}"
        got += more
    status, fields, _ = parse(got)
    body = b""
    while not head_only and len(body) < int(fields.get("content-length", 0)):
        body += sock.recv(int(fields["content-length"]) - len(body))
    return status, fields, body


def test_front_pages(lab):
    front = Front(lab)
    close = HOST + "Connection: close\r\n\r\n"
    status, fields, body = front.ask("GET / HTTP/1.1\r\n" + close)
    assert status == 200 and "text/html" in fields["content-type"], fields
    assert int(fields["content-length"]) == len(body) > 0
    assert "postern" not in repr((fields, body)).lower(), "the page tells what this is"
    head = front.ask("HEAD / HTTP/1.1\r\n" + close)
    assert head[0] == 200 and head[2] == b"" and head[1]["content-length"] == str(len(body))
    assert front.status("GET /healthz HTTP/1.1\r\n" + close) == 404, "nobody asked for it"
    status, fields, body = front.ask("GET /nothing/here HTTP/1.1\r\n" + close)
    assert status == 404 and int(fields["content-length"]) == len(body)
    assert front.status("GET /?a=b HTTP/1.1\r\n" + close) == 200
    assert front.status("GET / HTTP/1.0\r\n\r\n") == 200
    for method in ("POST", "DELETE", "BREW"):
        status, fields, _ = front.ask(f"{method} / HTTP/1.1\r\nContent-Length: 0\r\n" + close)
        assert status == 405, (method, status, fields)


def test_front_connections(lab):
    front = Front(lab)
    get = "GET / HTTP/1.1\r\n" + HOST + "\r\n"
    with front.connect() as s:
        assert s.selected_alpn_protocol() == "http/1.1"
        for _ in range(3):  # kept alive
            s.sendall(get.encode())
            assert read_one(s)[0] == 200
        # Pipelined: answered in order.
        s.sendall((get + get.replace("GET / ", "GET /missing ") + get.replace("GET", "HEAD") +
                   get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).encode())
        got = [read_one(s)[0], read_one(s)[0], read_one(s, True)[0], read_one(s)[0]]
        assert got == [200, 404, 200, 200], got
        assert ends(s, 5), "Connection: close was not honoured"
    with front.connect() as s:  # in pieces
        for piece in get:
            s.sendall(piece.encode())
        assert read_one(s)[0] == 200
    with front.connect() as s:  # HTTP/1.0 closes unless asked to stay
        s.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert read_one(s)[0] == 200


def test_front_refusals(lab):
    front = Front(lab)
    cases = {
        "no such thing\r\n\r\n": 400,
        "GET / HTTP/1.1\r\n\r\n": 400,                                     # no Host
        "GET / HTTP/1.1\r\n" + HOST + HOST + "\r\n": 400,                  # two of them
        "GET / HTTP/1.1\r\n" + HOST + "Bad Field: x\r\n\r\n": 400,
        "GET / HTTP/1.1\r\n" + HOST + " folded: x\r\n\r\n": 400,
        "GET / HTTP/1.1\r\n" + HOST + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx": 400,
        "GET / HTTP/1.1\r\n" + HOST + "Content-Length: 1\r\n"
        "Transfer-Encoding: chunked\r\n\r\n": 400,
        "GET / HTTP/2.0\r\n" + HOST + "\r\n": 505,
        "GET /" + "a" * 9000 + " HTTP/1.1\r\n" + HOST + "\r\n": 414,
        "GET / HTTP/1.1\r\n" + HOST + "X: " + "a" * 16000 + "\r\n\r\n": 400,
        "GET / HTTP/1.1\r\n" + HOST + "X: a\r\n" * 8000 + "\r\n": 400,
    }
    for request, expected in cases.items():
        got = front.status(request)
        assert got == expected, f"{request[:60]!r}...: {got}, not {expected}"
    assert front.relay.status().get("refused_HTTP_BAD", 0) >= len(cases) - 2


def test_front_plain_http(lab):
    """Clear text on the TLS port gets what web servers say there."""
    front = Front(lab)
    for request in (b"GET / HTTP/1.1\r\nHost: relay.example.org\r\n\r\n",
                    b"HEAD / HTTP/1.0\r\n\r\n",
                    b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                    b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n"):
        with front.w.visitor.connect("45.0.0.2", 443) as s:
            s.sendall(request)
            assert parse(receive_all(s))[0] == 400, request
    with front.w.visitor.connect("45.0.0.2", 443) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for letter in b"GET /\r\n":
            s.sendall(bytes([letter]))
            time.sleep(0.02)
        assert b"plain HTTP request was sent to HTTPS port" in receive_all(s), "letter by letter"
    assert front.relay.status()["refused_PLAIN_HTTP"] == 5


def test_front_slow_request(lab):
    """A client that does not finish a request, or asks nothing more, is let go."""
    front = Front(lab, limits="  http_idle: 1s\n  first: 1s")
    with front.connect() as idle, front.connect() as slow:
        idle.sendall(("GET / HTTP/1.1\r\n" + HOST + "\r\n").encode())
        assert read_one(idle)[0] == 200
        start = time.monotonic()
        slow.sendall(b"GET / HTTP/1.1\r\nX")
        slow.settimeout(0.2)
        while time.monotonic() - start < 8:  # a drip does not buy time
            try:
                slow.sendall(b"y")
                if not slow.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        took = time.monotonic() - start
        assert took < 6, f"a dripping request lived {took:.1f} s"
        assert ends(idle, 5), "an idle connection was kept"


def test_front_large_page(lab):
    """The operator's own page, to readers that are slow or have already closed their side."""
    words = "".join(f"<p>line {n} of the operator's own page</p>" for n in range(1400))
    front = Front(lab, site=f"  page: |\n    <!doctype html>{words}\n")
    get = ("GET / HTTP/1.1\r\n" + HOST + "\r\n").encode()
    last = get.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    status, _, body = front.ask(last)
    assert status == 200 and len(body) > 50000 and b"line 1399 of" in body, (status, len(body))
    with front.connect() as s:
        s.sendall(get)
        socket.socket.shutdown(s, socket.SHUT_WR)  # TCP's end only, without close_notify
        assert parse(receive_all(s))[2] == body
    with front.connect() as s:
        s.sendall(get * 19 + last)
        got = b""
        for _ in range(20):
            time.sleep(0.02)
            got += s.recv(1000)
        got += receive_all(s)
    assert got.count(b"line 1399 of") == 20 and got.endswith(body), f"{len(got)} bytes arrived"
