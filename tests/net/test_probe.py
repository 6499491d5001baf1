# SPDX-License-Identifier: Apache-2.0
"""A prober tells the relay from Debian's nginx by nothing: the same bytes, and the same ends."""
import contextlib
import re
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import hello
from ja4 import ALPN, GROUPS, KEY_SHARE, SERVER_NAME, SIGNATURES, VERSIONS
from peers import nginx, tls_context
from rogue import Tls, pem
from runner import limit, once
from tag import Sealer
from world import World

PAGE = "<html><h1>hi</h1></html>\n"
H = b"Host: relay.example.org\r\n"
WAIT = 1.5  # for what stays open
WORKERS = 24

# What may differ, and why: everything else must not.
DIFFERENCES = (
    (rb"(?s)^\x16\x03\x03.*( (?:END|OPEN))$", rb"a handshake\1"),  # random
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
    "large body": http(b"POST / HTTP/1.1", b"Content-Length: 1048577"),
    "large body, as much as may": http(b"POST / HTTP/1.1", b"Content-Length: 1048576"),
    "large body, elsewhere": http(b"PUT /x HTTP/1.1", b"Content-Length: 4000000",
                                  body=b"x" * 20000),
    "large body of a get": http(b"GET / HTTP/1.1", b"Content-Length: 1048577"),
    "large body of HEAD": http(b"HEAD / HTTP/1.1", b"Content-Length: 1048577"),
    "large body of TRACE": http(b"TRACE / HTTP/1.1", b"Content-Length: 1048577"),
    "large body, 1.0": b"POST / HTTP/1.0\r\nContent-Length: 1048577\r\n\r\n",
    "large body, chrome": http(b"POST / HTTP/1.1", b"Content-Length: 1048577",
                               b"User-Agent: Chrome/99"),
    "large body, expect": http(b"POST / HTTP/1.1", b"Content-Length: 1048577",
                               b"Expect: 100-continue"),
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


# Behind the handshake: what is said in TLS as bytes, what goes past it, and how it ends.
NOTIFY, END = "close_notify", "the end of TCP"


class Clear(bytes):
    """Bytes that go past the TLS session."""


RECORDS = {
    "close_notify": (NOTIFY,), "the end": (END,), "close_notify and the end": (NOTIFY, END),
    "a request, close_notify": (http(), NOTIFY), "a request, the end": (http(), END),
    "half a head, close_notify": (b"GET / HT", NOTIFY), "half a head, the end": (b"GET / HT", END),
    "a body, the end": (http(b"POST / HTTP/1.1", b"Content-Length: 5"), END),
    "bytes behind close_notify": (http(), NOTIFY, Clear(http())),
    "a request in clear": (Clear(http()),),
    "garbage": (Clear(b"\x01\x02\x03\x04\x05\x06\x07\x08"),),
    "zeros": (Clear(bytes(64)),), "half a record": (Clear(b"\x17\x03\x03\x00\x20hello"),),
    "a record that is no one's": (Clear(b"\x17\x03\x03\x00\x20" + b"a" * 32),),
    "a record of 16 bytes": (Clear(b"\x17\x03\x03\x00\x10" + b"a" * 16),),
    "a record of one byte": (Clear(b"\x17\x03\x03\x00\x01a"),),
    "an empty record": (Clear(b"\x17\x03\x03\x00\x00"),),
    "a record that is too long": (Clear(b"\x17\x03\x03\x48\x00" + b"a" * 300),),
    "a record of another version": (Clear(b"\x17\x02\x00\x00\x20" + b"a" * 32),),
    "a record of another type": (Clear(b"\x63\x03\x03\x00\x20" + b"a" * 32),),
    "an alert in clear": (Clear(b"\x15\x03\x03\x00\x02\x01\x00"),),
    "a fatal alert in clear": (Clear(b"\x15\x03\x03\x00\x02\x02\x28"),),
    "an alert of one byte": (Clear(b"\x15\x03\x03\x00\x01\x02"),),
    "change cipher spec": (Clear(b"\x14\x03\x03\x00\x01\x01"),),
    "a handshake in clear": (Clear(b"\x16\x03\x03\x00\x04\x01\x00\x00\x00"),),
    "a request, garbage": (http(), Clear(b"\x01\x02\x03\x04\x05\x06\x07\x08")),
    "a request, a record that is no one's": (
        http(), Clear(b"\x17\x03\x03\x00\x20" + b"a" * 32)),
    "half a head, a record that is no one's": (
        b"GET / HT", Clear(b"\x17\x03\x03\x00\x20" + b"a" * 32)),
}
RECORDS = {f"TLS 1.{version}, {name}": (version, *parts)
           for version in (2, 3) for name, parts in RECORDS.items()}
ALERT, HANDSHAKE, DATA = 21, 22, 23
SEALED = {
    "a request": ((DATA, http()),), "nothing": ((DATA, b""),),
    "nothing, and a request": ((DATA, b""), (DATA, http())),
    "nothing 32 times, and a request": (*[(DATA, b"")] * 32, (DATA, http())),
    "nothing 40 times, and a request": (*[(DATA, b"")] * 40, (DATA, http())),
    "padding, and a request": ((DATA, b"", 1000), (DATA, http(), 5000)),
    "no type": ((None, b""),), "zeros": ((None, bytes(100)),), "an odd type": ((99, b"abc"),),
    "as much as may": ((DATA, b"x" * 16384),), "more than may": ((DATA, b"x" * 16385),),
    "a byte at a time": tuple((DATA, bytes([c])) for c in http()),
    "change cipher spec": ((20, b"\1"),), "no alert": ((ALERT, b""),),
    "half an alert": ((ALERT, b"\2"),), "three alerts": ((ALERT, b"\1\0" * 3),),
    "close_notify": ((ALERT, b"\1\0"),), "close_notify as fatal": ((ALERT, b"\2\0"),),
    "a warning": ((ALERT, b"\1\x5a"), (DATA, http())),
    "ten warnings": (*[(ALERT, b"\1\x5a")] * 10, (DATA, http())),
    "a fatal alert": ((ALERT, b"\2\x28"),), "an odd alert": ((ALERT, b"\7\7"),),
    "no handshake": ((HANDSHAKE, b""),), "an odd handshake": ((HANDSHAKE, b"\x63\0\0\0"),),
    "a ClientHello": ((HANDSHAKE, b"\1\0\0\2\3\3"),),
    "Finished": ((HANDSHAKE, b"\x14\0\0\x20" + b"a" * 32),),
    "a certificate": ((HANDSHAKE, b"\x0b\0\0\4\0\0\0\0"),),
    "a large handshake": ((HANDSHAKE, b"\x18\x7f\xff\xff" + b"a" * 100),),
    "half a KeyUpdate": ((HANDSHAKE, b"\x18\0\0"), (DATA, http())),
    "an odd KeyUpdate": ((HANDSHAKE, b"\x18\0\0\1\7"),),
    "an empty KeyUpdate": ((HANDSHAKE, b"\x18\0\0\0"),),
    "KeyUpdate with more": ((HANDSHAKE, b"\x18\0\0\1\0\x18"),),
    "KeyUpdate, and the old key": ((HANDSHAKE, b"\x18\0\0\1\0"), (DATA, http())),
    "KeyUpdate that asks": ((HANDSHAKE, b"\x18\0\0\1\1"),),
}

def alert(version, number):
    return b"\x15\x03" + bytes([version]) + b"\0\2\2" + bytes([number]) + b" END"


UNEXPECTED, MAC, FAILURE, ILLEGAL, DECODE, DECRYPT, VERSION, NAME = 10, 20, 40, 47, 50, 51, 70, 112
WORDS = {UNEXPECTED: "SSLV3_ALERT_UNEXPECTED_MESSAGE", MAC: "SSLV3_ALERT_BAD_RECORD_MAC",
         ILLEGAL: "SSLV3_ALERT_ILLEGAL_PARAMETER", DECODE: "TLSV1_ALERT_DECODE_ERROR",
         DECRYPT: "TLSV1_ALERT_DECRYPT_ERROR", 80: "TLSV1_ALERT_INTERNAL_ERROR"}


def told(number):
    return f" {WORDS[number]} END".encode()


# What nginx leaves to its TLS library, where OpenSSL, which Debian's has, does otherwise than
# BoringSSL: the probes, what comes of each from either, and why. Nothing else may differ.
LIBRARIES = (
    ("first byte (16|[89a-f].)|hello, record version 2.1", b" END", alert(1, VERSION),
     "what is no record of a version is ended by the one, and told so by the other"),
    # The alert is the same, in a record of TLS 1.2 from the one and of 1.0 from the other.
    ("ServerHello first|hello, a byte behind", alert(3, UNEXPECTED), alert(1, UNEXPECTED), "1.0"),
    ("hello, (two names|a name and more|its length one less|of garbage)",
     alert(3, DECODE), alert(1, DECODE), "1.0"),
    ("hello, (an odd version|TLS 1.1 alone)", alert(3, VERSION), alert(1, VERSION), "1.0"),
    ("hello, a name with a zero", alert(3, NAME), alert(1, NAME), "1.0"),
    # Another alert.
    ("hello of letters", alert(3, UNEXPECTED), alert(1, ILLEGAL), "a handshake of an odd kind"),
    ("hello, an extension twice", alert(3, ILLEGAL), alert(1, DECODE), "RFC 8446 leaves it open"),
    ("hello, a name of another kind", alert(3, DECODE), alert(1, NAME), "so does RFC 6066"),
    ("hello, (no|half a) version", alert(3, VERSION), alert(1, DECODE), "read as a list or not"),
    ("hello, an odd group", alert(3, ILLEGAL), alert(3, FAILURE), "no group in common"),
    ("hello, a share of zeros", alert(3, ILLEGAL), alert(3, DECODE), "a point of low order"),
    ("hello, an odd signature", alert(3, FAILURE), b"a handshake END",
     "the one chooses before it answers, the other when it signs"),
    ("hello, an empty name", b"a handshake OPEN", alert(1, NAME), "taken for none, or for a fault"),
    ("hello, an empty name", b"a handshake END", alert(1, NAME), "the same, of who closes"),
    ("hello, with an alert inside", alert(1, UNEXPECTED), b" END", "taken for the end"),
    # Records behind the handshake.
    ("TLS 1.2, (a record of (16 bytes|one byte)|an empty record|an alert in clear|"
     "a fatal alert in clear|an alert of one byte|change cipher spec|a handshake in clear)",
     told(80), told(MAC), "too short to be deciphered"),
    ("TLS 1.3, (a record of another type|an alert in clear|a fatal alert in clear|"
     "an alert of one byte|change cipher spec|a handshake in clear)",
     told(UNEXPECTED), told(MAC), "whether the type is looked at before the bytes are deciphered"),
    ("no type", told(MAC), told(DECRYPT), "nothing inside"),
    ("zeros", told(UNEXPECTED), told(DECRYPT), "nothing but padding inside"),
    ("no alert|half an alert|three alerts", told(UNEXPECTED), told(DECODE), "an alert's length"),
    ("an odd alert", b" END", told(ILLEGAL), "a level that there is none of"),
    ("no handshake", told(UNEXPECTED), b" OPEN", "an empty record of the handshake"),
    ("an odd KeyUpdate", told(ILLEGAL), told(DECODE), "one that is neither asked for nor not"),
)


def between_libraries(name, a, b):
    """Whether these two answers to a probe are listed."""
    return any(re.fullmatch(probes, name) and (a, b) == (openssl, boringssl)
               for probes, openssl, boringssl, _why in LIBRARIES)


def read_to_end(sock, tick=None):
    """What comes, and how it ends. tick: called each time that nothing came; True: go on."""
    got = b""
    try:
        while True:
            try:
                if not (more := sock.recv(65536)):
                    return got + b" END"
                got += more
            except TimeoutError:
                if not tick or not tick():
                    return got + b" OPEN"
    except (ConnectionResetError, BrokenPipeError):
        return got + b" END"  # what it did not read is thrown away, which is the kernel's word
    except ssl.SSLError as e:
        return got + f" {e.reason}".encode()


def hear_records(session):
    """The same of a session whose records go through our hands: its own end, and that of TCP."""
    got, how = b"", ""
    while True:
        try:
            while not how:
                if more := session.tls.read(65536):
                    got += more
                else:
                    how = f" {NOTIFY}"
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            how = f" {NOTIFY}"
        except ssl.SSLError as e:
            how = f" {e.reason}"
        try:
            wire = session.sock.recv(65536)
        except TimeoutError:
            return got + f"{how} OPEN".encode()
        except ConnectionResetError:
            wire = b""
        if not wire:
            return got + f"{how} END".encode()
        session.incoming.write(wire)


def normal(reply):
    for pattern, instead in DIFFERENCES:
        reply = re.sub(pattern, instead, reply)
    return reply


class Probing:
    wait = WAIT

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
        self.context = self.make_context()
        self.contexts = {2: self.make_context(ssl.TLSVersion.TLSv1_2),
                         3: self.make_context(ssl.TLSVersion.TLSv1_3)}

    def make_context(self, version=None):
        context = tls_context(self.w.ca)
        context.set_alpn_protocols(["http/1.1"])
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def raw(self, port, data, tick=None, ends=False):
        with self.w.visitor.connect("45.0.0.2", port) as s:
            s.settimeout(self.wait)
            s.sendall(data)
            if ends:
                s.shutdown(socket.SHUT_WR)
            return normal(read_to_end(s, tick and (lambda: tick(s))))

    def ended(self, port, data):
        return self.raw(port, data, ends=True)

    def inside(self, port, data, tick=None):
        with self.w.visitor.connect("45.0.0.2", port) as raw:
            with self.context.wrap_socket(raw, server_hostname="relay.example.org",
                                          suppress_ragged_eofs=False) as s:
                s.settimeout(self.wait)
                try:
                    s.sendall(data)
                except OSError:
                    pass
                return normal(read_to_end(s, tick and (lambda: tick(s))))

    def records(self, port, parts):
        with self.w.visitor.connect("45.0.0.2", port) as raw:
            raw.settimeout(self.wait)
            session = Tls(raw, self.contexts[parts[0]], False)
            wire = b""
            for part in parts[1:]:
                if part == NOTIFY:
                    with contextlib.suppress(ssl.SSLWantReadError):
                        session.tls.unwrap()
                elif isinstance(part, bytes) and not isinstance(part, Clear):
                    session.tls.write(part)
                wire += part if isinstance(part, Clear) else session.outgoing.read()
            with contextlib.suppress(OSError):
                raw.sendall(wire)  # in one piece: what is read together is answered otherwise
                if END in parts:
                    raw.shutdown(socket.SHUT_WR)
            return normal(hear_records(session))

    def sealed(self, port, parts):
        secrets = self.w.lab.path(f"{port}-{id(parts)}.secrets")
        context = self.make_context(ssl.TLSVersion.TLSv1_3)
        context.keylog_filename = secrets
        with self.w.visitor.connect("45.0.0.2", port) as raw:
            raw.settimeout(self.wait)
            session = Tls(raw, context, False)
            seal = Sealer(secrets, session.tls.cipher()[0])
            with contextlib.suppress(OSError):
                raw.sendall(b"".join(seal(*part) for part in parts))
            return normal(hear_records(session))

    def compare(self, way, probes):
        """All of them at both, several at a time; what differs."""
        def one(item):
            name, data = item
            return name, way(8443, data), way(443, data)
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(one, probes.items()))

    def must_not_differ(self, way, probes):
        differ = [f"{name}: nginx {a!r}, the relay {b!r}"
                  for name, a, b in self.compare(way, probes)
                  if a != b and not between_libraries(name, a, b)]
        assert not differ, f"{len(differ)} of {len(probes)} differ:\n" + "\n".join(differ)


@limit(180)
def test_probe_inside(lab):
    probing = Probing(lab)
    probing.must_not_differ(probing.inside, INSIDE)


def hellos(message):
    """A client's hello, cut short, and spoilt in all ways that a hello can be."""
    head, found = hello.extensions(message)
    whole = hello.records(message, ())

    def other(kind, body):
        return hello.records(hello.rebuild(head, [(k, body if k == kind else b)
                                                  for k, b in found]), ())

    probes = {f"hello cut at {at}": whole[:5 + at] for at in (1, 4, 5, 40, len(message) - 1)}
    probes |= {f"hello, {what}": data for what, data in {
        "an extension twice": hello.records(hello.rebuild(head, found + found[:1]), ()),
        "without extensions": hello.records(hello.rebuild(head, []), ()),
        "without any list of them": hello.records(
            b"\x01" + (len(head) - 4).to_bytes(3, "big") + head[4:], ()),
        "two names": other(SERVER_NAME, b"\0\x10" + b"\0\0\5a.org" * 2),
        "an empty name": other(SERVER_NAME, b"\0\3\0\0\0"),
        "a name of another kind": other(SERVER_NAME, b"\0\5\1\0\2ab"),
        "a name and more": other(SERVER_NAME, b"\0\10\0\0\5a.orgx"),
        "a name with a zero": other(SERVER_NAME, b"\0\10\0\0\5a\0org"),
        "no name": hello.records(hello.rebuild(head, [x for x in found
                                                      if x[0] != SERVER_NAME]), ()),
        "another name": other(SERVER_NAME, b"\0\10\0\0\5b.org"),
        "h2 alone": other(ALPN, b"\0\3\2h2"), "an odd protocol": other(ALPN, b"\0\2\1x"),
        "an empty protocol": other(ALPN, b"\0\1\0"), "no protocol": other(ALPN, b"\0\0"),
        "no version": other(VERSIONS, b"\0"), "half a version": other(VERSIONS, b"\1\3"),
        "an odd version": other(VERSIONS, b"\2\x7f\x7f"),
        "TLS 1.1 alone": other(VERSIONS, b"\2\3\2"),
        "no group": other(GROUPS, b"\0\0"), "half a group": other(GROUPS, b"\0\1\0"),
        "an odd group": other(GROUPS, b"\0\2\x7f\x7f"),
        "no signature": other(SIGNATURES, b"\0\0"),
        "an odd signature": other(SIGNATURES, b"\0\2\x7f\x7f"),
        "no share": other(KEY_SHARE, b"\0\0"),
        "half a share": other(KEY_SHARE, b"\0\4\0\x1d\0\x20"),
        "a share of zeros": other(KEY_SHARE, b"\0\x24\0\x1d\0\x20" + bytes(32)),
        "its length one more": whole[:8] + bytes([whole[8] + 1]) + whole[9:],
        "its length one less": whole[:8] + bytes([whole[8] - 1]) + whole[9:],
        "a byte behind": hello.records(message + b"\0", ()),
        "record version 3.9": b"\x16\x03\x09" + whole[3:],
        "record version 2.1": b"\x16\x02\x01" + whole[3:],
        "in three records": hello.records(message, (10, 60)),
        "behind an empty record": b"\x16\x03\x01\0\0" + whole,
        "with an empty record inside": hello.records(message, (60, 60)),
        "with an alert inside": hello.records(message, (60,))[:65] + b"\x15\x03\x01\0\2\1\0"
                                + hello.records(message, (60,))[65:],
        "behind a warning": b"\x15\x03\x01\0\2\1\0" + whole,
        "and garbage": whole + b"garbage!", "and a request": whole + http(),
        "and an empty record": whole + b"\x16\x03\x01\0\0",
        "and a warning": whole + b"\x15\x03\x03\0\2\1\x64",
        "and close_notify": whole + b"\x15\x03\x03\0\2\1\0",
        "and a fatal alert": whole + b"\x15\x03\x03\0\2\2\x28",
        "and data": whole + b"\x17\x03\x03\0\x20" + b"a" * 32,
        "and change cipher spec": whole + b"\x14\x03\x03\0\1\1",
        "and a large record": whole + b"\x17\x03\x03\x7f\xff" + b"a" * 200,
        "twice": whole + whole,
        "of garbage": b"\x16\x03\x01\0\x40\1\0\0\x3c" + b"\x5a" * 60,
    }.items()}
    return probes


@limit(180)
def test_probe_in_clear(lab):
    probing = Probing(lab)
    probes = CLEAR | hellos(hello.Client(probing.context, "relay.example.org").message())
    probing.must_not_differ(probing.raw, probes)
    probing.must_not_differ(probing.ended, {name: data for name, data in probes.items()
                                            if not name.startswith("first byte")} | {
        "nothing": b"", "half a request": b"GET / HT", "a head and half": http() + b"GET"})
    assert len(probes) + len(INSIDE) + len(RECORDS) + len(SEALED) >= 500


@limit(180)
def test_probe_records(lab):
    probing = Probing(lab)
    probing.must_not_differ(probing.records, RECORDS)
    probing.must_not_differ(probing.sealed, SEALED)


# Who is waited for, and for how long: nginx's word counts.
PATIENCE = {
    "silence": (False, b""), "half a hello": (False, b"\x16\x03\x01\x02"),
    "half a request in clear": (False, b"GET / HT"),
    "a handshake alone": (True, b""), "half a head": (True, b"GET / HTTP/1.1\r\nHost"),
    "a request": (True, http()), "a request and half": (True, http() + b"GET"),
    "a body": (True, http(b"POST / HTTP/1.1", b"Content-Length: 5000")),
    "a body of a last request": (True, http(b"POST / HTTP/1.1", b"Content-Length: 5000",
                                            b"Connection: close")),
    "a large body": (True, http(b"POST / HTTP/1.1", b"Content-Length: 5000000")),
    "nonsense": (True, b"\x01"),
}
DRIPPING = {"a body": b"x", "a large body": b"x", "half a head": b": x\r\nA"}


@once
@limit(200)
def test_probe_patience(lab):
    """The relay ends a connection when nginx does."""
    probing = Probing(lab)
    probing.wait = 1

    def one(port, probe):
        inside, data, drip = probe
        begun = time.monotonic()

        def tick(sock):
            if drip:
                sock.sendall(drip)
            return time.monotonic() - begun < 100

        reply = (probing.inside if inside else probing.raw)(port, data, tick)
        return reply, time.monotonic() - begun

    probes = {name: (*x, b"") for name, x in PATIENCE.items()}
    probes |= {f"{name} that drips": (*PATIENCE[name], drip) for name, drip in DRIPPING.items()}
    with ThreadPoolExecutor(2 * len(probes)) as pool:
        ends = {name: [pool.submit(one, port, probe) for port in (8443, 443)]
                for name, probe in probes.items()}
        differ = []
        for name, pair in ends.items():
            (a, after_a), (b, after_b) = (x.result() for x in pair)
            print(f"{name}: nginx after {after_a:.1f} s, the relay after {after_b:.1f} s")
            if a != b or abs(after_a - after_b) > 3:
                differ.append(f"{name}: nginx {a!r} after {after_a:.1f} s, "
                              f"the relay {b!r} after {after_b:.1f} s")
    assert not differ, "\n".join(differ)
