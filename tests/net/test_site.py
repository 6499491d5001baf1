# SPDX-License-Identifier: Apache-2.0
"""A web site behind an agent: strangers get what nginx with proxy_pass gives them."""
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

from netlab import wait_until
from peers import PROXY_S, nginx, receive_all, tls_context
from rogue import pem
from runner import limit
from test_probe import H, INSIDE, WORKERS, Probing, http
from world import World, get_block, set_blocks

WEB, PROXIED, AWAY = 9000, 8443, 8444
SERVER = subprocess.run(["nginx", "-v"], capture_output=True, text=True,
                        check=True).stderr.split("nginx version: ")[1].split()[0]
BIG = b"0123456789abcdef" * 65536


class WebServer:
    """Answers in the order of fields in which nginx hands answers on, so that its proxy changes
    nothing, and remembers what it was asked."""

    def __init__(self, host):
        self.asked, self.connections, self.ended = [], 0, []
        host.serve(WEB, self.serve)

    def serve(self, sock, _peer):
        self.connections += 1
        data = b""
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    if not (more := sock.recv(65536)):
                        self.ended.append("end")
                        return
                    data += more
                head, data = data.split(b"\r\n\r\n", 1)
                fields = {k.strip().lower(): v.strip() for k, _, v in
                          (line.partition(b":") for line in head.split(b"\r\n")[1:])}
                want = int(fields.get(b"content-length", 0))
                while len(data) < want:
                    data += sock.recv(65536)
                body, data = data[:want], data[want:]
                self.asked.append((head, body))
                if not self.answer(sock, head, body):
                    return
        except ConnectionResetError:
            self.ended.append("reset")
            raise

    @staticmethod
    def answer(sock, head, body):
        line = head.split(b"\r\n", 1)[0]
        method, path = line.split(b" ")[:2]
        keep = line.endswith(b"HTTP/1.1") and b"Connection: close" not in head
        status, content, more = b"200 OK", b"<h1>" + path + b"</h1>" + body, b"X-A: b\r\n"
        if path == b"/missing":
            status = b"404 Not Found"
        elif path == b"/big":
            content = BIG
        elif path == b"/cookie":
            more = b"Set-Cookie: a=b; Path=/\r\nX-A: b\r\n"
        answer = (b"HTTP/1.1 " + status + b"\r\nServer: " + SERVER.encode() +
                  b"\r\nDate: " + time.strftime("%a, %d %b %Y %H:%M:%S GMT",
                                                time.gmtime()).encode() +
                  b"\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: " %
                  len(content) + (b"keep-alive" if keep else b"close") + b"\r\n" + more + b"\r\n")
        sock.sendall(answer + (b"" if method == b"HEAD" else content))
        return keep


# What the web server answers, and what nginx answers by itself.
REQUESTS = {
    "get": http(), "head": http(b"HEAD / HTTP/1.1"), "other page": http(b"GET /a/b?c=d HTTP/1.1"),
    "missing": http(b"GET /missing HTTP/1.1"), "cookie": http(b"GET /cookie HTTP/1.1"),
    "big": http(b"GET /big HTTP/1.1"), "close": http(b"GET / HTTP/1.1", b"Connection: close"),
    "post": http(b"POST /form HTTP/1.1", b"Content-Length: 5", body=b"hello"),
    "put": http(b"PUT /file HTTP/1.1", b"Content-Length: 70000", body=b"x" * 70000),
    "delete": http(b"DELETE /file HTTP/1.1"), "options": http(b"OPTIONS / HTTP/1.1"),
    "two": http() + http(b"GET /2 HTTP/1.1", b"Connection: close"),
    "five": http() * 4 + http(b"GET /5 HTTP/1.1", b"Connection: close"),
    "long field": http(b"GET / HTTP/1.1", b"X: " + b"a" * 8000),
} | {name: INSIDE[name] for name in (
    "no host", "two hosts", "lower", "ssh", "zeros", "one byte", "two bytes", "2.0", "h2 preface",
    "method TRACE", "method CONNECT", "gzip", "length of letters", "line of 8193", "many fields",
    "percent nul", "dots beyond", "no colon", "HELLO without a tag", "32 bytes", "frame 2")}

# Each leaves the connection where the next request could come, or not.
LATE = {name: INSIDE[name] for name in ("get", "head", "1.0", "close", "chrome", "post", "0.9")}


class Sites(Probing):
    def __init__(self, lab, served=True):  # pylint: disable=super-init-not-called
        self.w = World(lab).two_homes()
        self.relay = self.w.relay(blocks={
            "site": f"  server: {SERVER}\n  to: home/www"})
        bundle = lab.path("relay.yaml")
        files = [lab.write(f"probe.{part}", pem(bundle, part)) for part in ("certificate", "key")]
        self.web = WebServer(self.w.relay_host) if served else None
        nginx(self.w.relay_host, "proxied", PROXIED, tls=files, proxy=f"127.0.0.1:{WEB}")
        self.context = tls_context(self.w.ca)
        self.context.set_alpn_protocols(["http/1.1"])

    def agent(self, **more):
        return self.w.agent(self.w.home, "home", publish={"www": f"45.0.0.2:{WEB}"},
                            public=["www"], **more)

    def differ(self, probes):
        return [f"{name}: nginx {a[:900]!r}, the relay {b[:900]!r}"
                for name, a, b in self.compare(self.inside, probes) if a != b]

    def connect(self):
        return self.context.wrap_socket(self.w.visitor.connect("45.0.0.2", 443),
                                        server_hostname="relay.example.org",
                                        suppress_ragged_eofs=False)


@limit(180)
def test_a_site_behind_an_agent(lab):
    sites = Sites(lab)
    sites.agent()
    differ = sites.differ(REQUESTS)
    assert not differ, f"{len(differ)} of {len(REQUESTS)} differ:\n" + "\n".join(differ)


@limit(180)
def test_a_site_that_is_away(lab):
    sites = Sites(lab, served=False)
    for agent in (False, True):  # not there; there, and nothing listens at its target
        if agent:
            sites.agent()
        differ = sites.differ(INSIDE)
        assert not differ, f"{len(differ)} of {len(INSIDE)} differ:\n" + "\n".join(differ)


@limit(90)
def test_a_site_that_is_late(lab):
    """An agent that does not take the session, and a web server that does not answer nginx."""
    sites = Sites(lab, served=False)
    set_blocks(sites.relay.config, {"limits": f"  open: {PROXY_S}s"})
    sites.relay.signal(signal.SIGHUP)
    sites.relay.wait_for_line(r"configuration revision=\d+ by SIGHUP")
    sites.wait = 3 * PROXY_S
    sites.w.relay_host.serve(WEB, lambda sock, _peer: sock.recv(65536) and time.sleep(sites.wait))
    agent = sites.agent()
    agent.signal(signal.SIGSTOP)
    try:
        answers = sites.compare(sites.inside, LATE)
    finally:
        agent.signal(signal.SIGCONT)
    for name, a, b in answers:
        assert b"504 Gateway Time-out" in a and a == b, f"{name}: nginx {a!r}, the relay {b!r}"


@limit(60)
def test_a_site_hears_its_clients(lab):
    """Requests arrive as they were sent, and on one connection; an end is an end, and a client that
    breaks off a reset."""
    sites = Sites(lab)
    sites.agent()
    with sites.connect() as s:
        s.sendall(http(b"GET /1 HTTP/1.1", b"X-Odd:  two  blanks"))
        assert b"<h1>/1</h1>" in s.recv(65536)
        s.sendall(http(b"POST /2 HTTP/1.1", b"Content-Length: 3", body=b"abc"))
        assert b"<h1>/2</h1>abc" in s.recv(65536)
        assert sites.web.connections == 1
        s.unwrap().close()
    wait_until("the end arrives", lambda: sites.web.ended == ["end"])
    assert sites.web.asked[0][0] == (b"GET /1 HTTP/1.1\r\n" + H + b"X-Odd:  two  blanks")
    with sites.connect() as s:
        s.sendall(http(b"GET /3 HTTP/1.1"))
        assert b"<h1>/3</h1>" in s.recv(65536)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until("the reset arrives", lambda: sites.web.ended == ["end", "reset"])
    # TLS 1.2 is as good, with another end of its records.
    sites.context.maximum_version = ssl.TLSVersion.TLSv1_2
    with sites.connect() as s:
        assert s.version() == "TLSv1.2"
        s.sendall(http(b"GET /big HTTP/1.1", b"Connection: close"))
        assert receive_all(s).endswith(BIG)
    sites.relay.wait_idle()


@limit(60)
def test_a_site_is_told_its_clients_addresses(lab):
    sites = Sites(lab, served=False)
    first = []

    def serve(sock, _peer):
        first.append(sock.recv(4096))
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    sites.w.relay_host.serve(WEB, serve)
    config = sites.w.issue_agent("home", publish={"www": f"45.0.0.2:{WEB}"}, public=["www"])
    lines = get_block(config, "publish").rstrip().split("\n")
    indent = re.match(r" *", lines[-1]).group(0)
    set_blocks(config, {"publish": "\n".join([*lines, f"{indent}proxy_protocol: true"])})
    sites.w.start_agent(sites.w.home, config, "home")
    assert sites.inside(443, http()).endswith(b"Connection: close\r\n\r\n END")
    signature, rest = first[0][:16], first[0][16:]
    assert signature[:12] == b"\r\n\r\n\0\r\nQUIT\n" and signature[12:14] == b"\x21\x11", first
    assert rest[:8] == bytes([45, 0, 0, 100, 45, 0, 0, 2]), first


def receive_slowly(sites, results):
    with sites.connect() as s:
        s.sendall(http(b"GET /big HTTP/1.1", b"Connection: close"))
        time.sleep(1)
        results.append(receive_all(s).endswith(BIG))


@limit(60)
def test_a_site_of_many(lab):
    """Many at a time, slow ones too. Another configuration counts for those that come then."""
    sites = Sites(lab)
    sites.agent()
    results = []
    threads = [threading.Thread(target=receive_slowly, args=(sites, results))
               for _ in range(WORKERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [True] * WORKERS, results
    set_blocks(sites.relay.config, {"site": "  page: hello"})
    sites.relay.signal(signal.SIGHUP)
    wait_until("the page is there", lambda: sites.inside(443, http()).endswith(b"hello OPEN"))
