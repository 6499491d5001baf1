# SPDX-License-Identifier: Apache-2.0
"""A prober tells the relay from Debian's nginx by nothing: the same bytes, and the same ends."""
import re
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor

import hello
from peers import nginx, tls_context
from rogue import pem
from runner import limit
from world import World

PAGE = "<html><h1>hi</h1></html>\n"
H = b"Host: relay.example.org\r\n"
WAIT = 1.5  # for what stays open
WORKERS = 24

# What may differ, and why: everything else must not.
DIFFERENCES = (
    (rb"Date: [^\r]*", b"Date: *"),            # the time
    (rb"Last-Modified: [^\r]*", b"Last-Modified: *"),  # of nginx's file; of ours by its content
    (rb'ETag: "[0-9a-f]+-', b'ETag: "*-'),     # nginx makes it of that time and the length
    (rb"0{6}\d{14}", b"*"),                    # a counter of nginx's process, between parts
)


def http(line=b"GET / HTTP/1.1", *fields, body=b""):
    return line + b"\r\n" + H + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


INSIDE = {
    "get": http(), "head": http(b"HEAD / HTTP/1.1"), "index": http(b"GET /index.html HTTP/1.1"),
    "1.0": b"GET / HTTP/1.0\r\n\r\n",
    "1.0 keep-alive": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "0.9": b"GET /\r\n", "0.9 lf": b"GET /\n", "0.9 no page": b"GET /x\r\n",
    "0.9 of another method": b"HEAD /\r\n", "1.2": http(b"GET / HTTP/1.2"),
    "1.99": http(b"GET / HTTP/1.99"), "1.100": http(b"GET / HTTP/1.100"),
    "2.0": http(b"GET / HTTP/2.0"), "3": http(b"GET / HTTP/3"), "1.": http(b"GET / HTTP/1."),
    "0.1": http(b"GET / HTTP/0.1"), "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "close": http(b"GET / HTTP/1.1", b"Connection: close"),
    "close and keep": http(b"GET / HTTP/1.1", b"Connection: keep-alive, close"),
    "no such page": http(b"GET /nope HTTP/1.1"),
    "no such page, HEAD": http(b"HEAD /nope HTTP/1.1"),
    "below the page": http(b"GET /index.html/ HTTP/1.1"), "a folder": http(b"GET /a/ HTTP/1.1"),
    "healthz": http(b"GET /healthz HTTP/1.1"), "favicon": http(b"GET /favicon.ico HTTP/1.1"),
    "chrome": http(b"GET /nope HTTP/1.1", b"User-Agent: x (KHTML, like Gecko) Chrome/99 Safari/1"),
    "msie": http(b"GET /nope HTTP/1.1", b"User-Agent: Mozilla/4.0 (compatible; MSIE 8.0)"),
    "firefox": http(b"GET /nope HTTP/1.1", b"User-Agent: Gecko/20100101 Firefox/115.0"),
    "post": http(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello"),
    "post elsewhere": http(b"POST /nope HTTP/1.1", b"Content-Length: 0"),
    "post, no body": http(b"POST / HTTP/1.1"),
    "post, cut": http(b"POST / HTTP/1.1", b"Content-Length: 50", body=b"hello"),
    "post, close, cut": http(b"POST / HTTP/1.1", b"Connection: close", b"Content-Length: 50"),
    "post, expect": http(b"POST / HTTP/1.1", b"Content-Length: 5", b"Expect: 100-continue"),
    "chunked": http(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked",
                    body=b"5\r\nhello\r\n0\r\n\r\n" + http(b"GET /x HTTP/1.1")),
    "chunked, bad": http(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"x\r\n"),
    "chunked get, bad": http(b"GET / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"x\r\n"),
    "chunked, cut": http(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"5\r\nhe"),
    "get with a body": http(b"GET / HTTP/1.1", b"Content-Length: 5",
                            body=b"hello" + http(b"GET /x HTTP/1.1")),
    "gzip": http(b"POST / HTTP/1.1", b"Transfer-Encoding: gzip"),
    "both lengths": http(b"POST / HTTP/1.1", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunked 1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "length of letters": http(b"POST / HTTP/1.1", b"Content-Length: x"),
    "length below 0": http(b"POST / HTTP/1.1", b"Content-Length: -1"),
    "length twice": http(b"POST / HTTP/1.1", b"Content-Length: 1", b"Content-Length: 1"),
    "huge length": http(b"GET / HTTP/1.1", b"Content-Length: 99999999999999999999"),
    "no host": b"GET / HTTP/1.1\r\n\r\n", "two hosts": b"GET / HTTP/1.1\r\n" + H + H + b"\r\n",
    "empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "odd host": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host with dots": b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n",
    "host with slash": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with port": b"GET / HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "host literal": b"GET / HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
    "line feeds": b"GET / HTTP/1.1\nHost: a\n\n", "lines before": b"\r\n\r\n" + http(),
    "absolute": http(b"GET http://relay.example.org/ HTTP/1.1"),
    "absolute, no path": http(b"GET http://relay.example.org HTTP/1.1"),
    "absolute, query": http(b"GET http://relay.example.org?x HTTP/1.1"),
    "absolute, literal": http(b"GET http://[::1]:3/ HTTP/1.1"),
    "absolute, odd": http(b"GET http:/x HTTP/1.1"), "authority": http(b"GET a:443 HTTP/1.1"),
    "ssh": b"SSH-2.0-OpenSSH_9.0\r\n", "frame 1": b"\x01\x01\x00\x01\x00",
    "frame 2": b"\x02\x01\x00\x01\x00", "one byte": b"\x01", "zeros": bytes(64),
    "32 bytes": bytes(range(160, 192)), "HELLO without a tag": b"\x02\x01\x00\x05abcde",
    "two bytes": b"GE", "space": b" ", "lower": http(b"get / HTTP/1.1"),
    "tab": http(b"GET\t/ HTTP/1.1"), "two spaces": http(b"GET  /  HTTP/1.1 "),
    "space in path": http(b"GET /a b HTTP/1.1"), "fragment": http(b"GET /#x HTTP/1.1"),
    "query": http(b"GET /?a=b&c HTTP/1.1"), "dots": http(b"GET /./a/../ HTTP/1.1"),
    "dots beyond": http(b"GET /../x HTTP/1.1"), "slashes": http(b"GET ////index.html HTTP/1.1"),
    "percent": http(b"GET /%69ndex.html HTTP/1.1"), "percent bad": http(b"GET /%zz HTTP/1.1"),
    "percent nul": http(b"GET /%00 HTTP/1.1"), "percent cut": http(b"GET /% HTTP/1.1"),
    "percent dots": http(b"GET /%2e%2e/x HTTP/1.1"), "percent slash": http(b"GET /%2f HTTP/1.1"),
    "percent query": http(b"GET /index.html%3fx HTTP/1.1"),
    "eight bits": http(b"GET /\xc3\xa9 HTTP/1.1"), "control": http(b"GET /\x01 HTTP/1.1"),
    "star": http(b"OPTIONS * HTTP/1.1"), "no version": http(b"GET / "),
    "version": http(b"GET / HTTQ/1.1"),
    "bad field": http(b"GET / HTTP/1.1", b"no colon"), "colon": http(b"GET / HTTP/1.1", b": x"),
    "no colon": http(b"GET / HTTP/1.1", b"nocolon"), "folded": http(b"GET / HTTP/1.1", b" folded"),
    "space before colon": http(b"GET / HTTP/1.1", b"A : b"),
    "underscore": http(b"GET / HTTP/1.1", b"a_b: c"), "nul": http(b"GET / HTTP/1.1", b"A: b\0c"),
    "bare cr": http(b"GET / HTTP/1.1", b"A: b\rc"), "odd name": http(b"GET / HTTP/1.1", b"A(b: c"),
    "expect": http(b"GET / HTTP/1.1", b"Expect: 100-continue"),
    "expect other": http(b"GET / HTTP/1.1", b"Expect: coffee"),
    "expect twice": http(b"GET / HTTP/1.1", b"Expect: 1", b"Expect: 1"),
    "upgrade": http(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket"),
    "h2c": http(b"GET / HTTP/1.1", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                b"HTTP2-Settings: AAMAAABkAAQAAP__"),
    "since far": http(b"GET / HTTP/1.1", b"If-Modified-Since: Mon, 01 Jan 2035 00:00:00 GMT"),
    "since nonsense": http(b"GET / HTTP/1.1", b"If-Modified-Since: x"),
    "unmodified since": http(b"GET / HTTP/1.1",
                             b"If-Unmodified-Since: Mon, 01 Jan 1990 00:00:00 GMT"),
    "unmodified since far": http(b"GET / HTTP/1.1",
                                 b"If-Unmodified-Since: Mon, 01 Jan 2035 00:00:00 GMT"),
    "match any": http(b"GET / HTTP/1.1", b"If-Match: *"),
    "match other": http(b"GET / HTTP/1.1", b'If-Match: "x"'),
    "none match any": http(b"GET / HTTP/1.1", b"If-None-Match: *"),
    "none match other": http(b"GET / HTTP/1.1", b'If-None-Match: "x"'),
    "none match twice": http(b"GET / HTTP/1.1", b"If-None-Match: *", b"If-None-Match: *"),
    "range if": http(b"GET / HTTP/1.1", b"Range: bytes=0-3", b'If-Range: "x"'),
    "range twice": http(b"GET / HTTP/1.1", b"Range: bytes=0-3", b"Range: bytes=4-5"),
    "range of HEAD": http(b"HEAD / HTTP/1.1", b"Range: bytes=0-3"),
    "range of nothing": http(b"GET /nope HTTP/1.1", b"Range: bytes=0-3"),
    "pipelined": http() + http(b"GET /nope HTTP/1.1", b"Connection: close"),
    "pipelined behind close": http(b"GET / HTTP/1.1", b"Connection: close") + http(),
    "pipelined bad": http() + b"\x01",
    "line of 8192": b"GET /" + b"a" * 8176 + b" HTTP/1.1\r\n" + H + b"\r\n",
    "line of 8193": b"GET /" + b"a" * 8177 + b" HTTP/1.1\r\n" + H + b"\r\n",
    "long line": b"GET /" + b"a" * 20000,
    "long field": http(b"GET / HTTP/1.1", b"X: " + b"a" * 9000),
    "field of 8000": http(b"GET / HTTP/1.1", b"X: " + b"a" * 8000),
    "many fields": http(b"GET / HTTP/1.1", *[b"X: a"] * 6000),
}
INSIDE |= {f"method {m}": http(m.encode() + b" / HTTP/1.1") for m in (
    "OPTIONS", "TRACE", "CONNECT", "DELETE", "PUT", "PATCH", "FOO", "PROPFIND", "M-SEARCH", "A_B",
    "GETS", "G3T")}
INSIDE |= {f"range {r}": http(b"GET / HTTP/1.1", b"Range: " + r.encode()) for r in (
    "bytes=0-3", "bytes=-4", "bytes=4-", "bytes=0-1,3-4", "bytes=1000-", "bytes=3-1", "bytes=",
    "bytes=x", "bites=0-3", "bytes= 0 - 3", "bytes=0-24,0-1", "bytes=0-0,1-1,2-2", "bytes=-0",
    "BYTES=0-3", "bytes=0-99999999999999999999")}

CLEAR = {f"first byte {b:02x}": bytes([b]) + b"\x01\x02\r\n\r\n" for b in range(256)}
CLEAR |= {
    "http": http(), "http 1.0": b"GET / HTTP/1.0\r\n\r\n", "http 0.9": b"GET /\r\n",
    "http post": http(b"POST / HTTP/1.1", b"Content-Length: 5", body=b"hello"),
    "http, no host": b"GET / HTTP/1.1\r\n\r\n", "http lower": b"get / HTTP/1.0\r\n\r\n",
    "http trace": http(b"TRACE / HTTP/1.1"), "http 2.0": http(b"GET / HTTP/2.0"),
    "a letter": b"G", "ssh": b"SSH-2.0-OpenSSH_9.0\r\n", "lines": b"\r\n\r\n",
    "alert": b"\x15\x03\x01\x00\x02\x01\x00", "data": b"\x17\x03\x03\x00\x05hello",
    "change cipher spec": b"\x14\x03\x03\x00\x01\x01", "empty record": b"\x16\x03\x01\x00\x00",
    "record head": b"\x16\x03\x01", "one byte of TLS": b"\x16",
    "hello of letters": b"\x16\x03\x01\x00\x20" + b"a" * 32,
    "ServerHello first": b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
}


def by_library(data):
    """What nginx leaves to its TLS library, OpenSSL in Debian and BoringSSL here: whether an alert
    comes, and which. That the connection ends, and whether, is compared all the same where both
    libraries can tell; OpenSSL waits for more bytes of a record than BoringSSL does."""
    return data[:1] == b"\x16" or data[:1] >= b"\x80"


def read_to_end(sock):
    got = b""
    try:
        while more := sock.recv(65536):
            got += more
        return got + b" END"
    except TimeoutError:
        return got + b" OPEN"
    except ConnectionResetError:
        return got + b" END"  # what it did not read is thrown away, which is the kernel's word
    except ssl.SSLError as e:
        return got + f" {e.reason}".encode()


def normal(reply):
    for pattern, instead in DIFFERENCES:
        reply = re.sub(pattern, instead, reply)
    return reply


class Probing:
    def __init__(self, lab):
        self.w = World(lab).one_host()
        page = "".join(f"    {line}\n" for line in PAGE.splitlines())
        version = subprocess.run(["nginx", "-v"], capture_output=True, text=True,
                                 check=True).stderr.split("nginx version: ")[1].split()[0]
        self.relay = self.w.relay(blocks={
            "site": f"  server: {version}\n  page: |\n{page}", "stun": "  enabled: false"})
        bundle = lab.path("relay.yaml")
        files = [lab.write(f"probe.{part}", pem(bundle, part)) for part in ("certificate", "key")]
        nginx(self.w.relay_host, "probed", 8443, tls=files,
              files={"index.html": PAGE.encode()})
        self.context = tls_context(self.w.ca)
        self.context.set_alpn_protocols(["http/1.1"])

    def raw(self, port, data):
        with self.w.visitor.connect("45.0.0.2", port) as s:
            s.settimeout(WAIT)
            s.sendall(data)
            return normal(read_to_end(s))

    def inside(self, port, data):
        with self.w.visitor.connect("45.0.0.2", port) as raw:
            with self.context.wrap_socket(raw, server_hostname="relay.example.org",
                                          suppress_ragged_eofs=False) as s:
                s.settimeout(WAIT)
                try:
                    s.sendall(data)
                except OSError:
                    pass
                return normal(read_to_end(s))

    def compare(self, way, probes):
        """All of them at both, several at a time; what differs."""
        def one(item):
            name, data = item
            return name, way(8443, data), way(443, data)
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(one, probes.items()))


@limit(180)
def test_probe_inside(lab):
    probing = Probing(lab)
    differ = [f"{name}: nginx {a!r}, the relay {b!r}"
              for name, a, b in probing.compare(probing.inside, INSIDE) if a != b]
    assert not differ, f"{len(differ)} of {len(INSIDE)} differ:\n" + "\n".join(differ)


@limit(180)
def test_probe_in_clear(lab):
    probing = Probing(lab)
    message = hello.Client(probing.context, "relay.example.org").message()
    probes = dict(CLEAR)
    for at in (1, 4, 5, 40, len(message) - 1):  # cut short: both wait
        probes[f"hello cut at {at}"] = hello.records(message, ())[:5 + at]
    differ = []
    for name, a, b in probing.compare(probing.raw, probes):
        if by_library(probes[name]):
            # Nothing but an alert, and then the end; or silence.
            if not re.fullmatch(rb"(?s)(\x15\x03.\x00\x02..)? (END|OPEN)", b):
                differ.append(f"{name}: the relay says {b!r}")
        elif a != b:
            differ.append(f"{name}: nginx {a!r}, the relay {b!r}")
    assert not differ, f"{len(differ)} of {len(probes)} differ:\n" + "\n".join(differ)
    assert len(probes) + len(INSIDE) >= 400
