# SPDX-License-Identifier: Apache-2.0
"""PROXY protocol on both sides, HTTP proxies in between, and middleboxes that open TLS."""
import os
import socket
import struct

import hello
from peers import (ConnectProxy, WebCa, echo, ends, intercept_tls, nginx, receive_exactly,
                   tls_context)
from world import World, get_block, set_blocks

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def proxy_v2(source, destination, command=1):
    """A PROXY protocol v2 header for TCP over IPv4."""
    body = (socket.inet_aton(source[0]) + socket.inet_aton(destination[0]) +
            struct.pack("!HH", source[1], destination[1]))
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, 0x11, len(body)) + body


def read_proxy_v2(sock):
    """((source address, port), (destination address, port)) of a header that must be there."""
    head = receive_exactly(sock, 16)
    assert head[:12] == SIGNATURE, f"no PROXY v2 header: {head!r}"
    command, family, length = struct.unpack("!BBH", head[12:])
    body = receive_exactly(sock, length)
    assert command == 0x21 and family == 0x11, (command, family)
    sport, dport = struct.unpack_from("!HH", body, 8)
    return (socket.inet_ntoa(body[:4]), sport), (socket.inet_ntoa(body[4:8]), dport)


LISTEN_WITH_PROXY = {"listen": "  - address: 0.0.0.0:443\n    proxy_protocol: true"}


def test_proxy_header_on_listener(lab):
    """Behind a load balancer the client's address is the one in the header."""
    w = World(lab).two_homes()
    ca = WebCa(lab)
    nginx(w.home, port=8443, tls=ca.issue("www.example.org"))
    relay = w.relay(public={"www.example.org": "home/web"}, blocks=LISTEN_WITH_PROXY)
    header = proxy_v2(("203.0.113.9", 4711), ("45.0.0.2", 443))
    v1 = b"PROXY TCP4 203.0.113.9 45.0.0.2 4711 443\r\n"
    local = SIGNATURE + struct.pack("!BBH", 0x20, 0, 0)

    def page(prefix, pause):
        client = hello.Client(tls_context(w.ca), "relay.example.org")
        with w.visitor.connect("45.0.0.2", 443) as s:
            hello.send_pieces(s, [prefix, client.flight] if pause else [prefix + client.flight])
            client.finish(s)
            return client.get(s, "relay.example.org")

    for prefix in (header, v1, local):
        for pause in (False, True):
            assert page(prefix, pause).startswith(b"HTTP/1.1 200"), prefix
    # Byte by byte, header and hello together.
    client = hello.Client(tls_context(w.ca), "relay.example.org")
    with w.visitor.connect("45.0.0.2", 443) as s:
        hello.send_pieces(s, [bytes([b]) for b in header + client.flight], 0.001)
        client.finish(s)
    before = relay.status().get("refused_PROXY_HEADER", 0)
    client = hello.Client(tls_context(w.ca), "relay.example.org")
    for bad in (client.flight, header[:12] + b"\x31" + header[13:], b"PROXY TCP4 oops\r\n",
                b"PROXY TCP4 1.2.3.4 5.6.7.8 99999 1\r\n"):
        with w.visitor.connect("45.0.0.2", 443) as s:
            s.sendall(bad)
            assert ends(s, 5), f"not closed after {bad[:20]!r}"
    after = relay.status().get("refused_PROXY_HEADER", 0)
    assert after - before == 4, (before, after)


def test_proxy_header_to_service(lab):
    """A published service that wants to know learns who the client is."""
    w = World(lab).two_homes()
    seen = []

    def server(sock, _peer):
        seen.append(read_proxy_v2(sock))
        echo(sock, _peer)

    w.home.serve(7000, server)
    w.relay(public={"www.example.org": "home/web"})
    config = w.issue_agent("home", publish={"web": "127.0.0.1:7000"}, public=["web"])
    publish = get_block(config, "publish").replace("proxy_protocol: false", "").rstrip()
    lines = publish.splitlines()
    indent = " " * (len(lines[0]) - len(lines[0].lstrip(" -")))
    set_blocks(config, {"publish": "\n".join([*lines, f"{indent}proxy_protocol: true"])})
    w.start_agent(w.home, config, "home")
    w.agent(w.laptop, "laptop", forward={7000: "home/web"})

    with w.laptop.connect("127.0.0.1", 7000) as s:
        s.sendall(b"ping")
        assert receive_exactly(s, 4) == b"ping"
        # As the relay saw the agent that asks, which cannot say otherwise: its router's address.
        assert seen[-1][0][0] == "45.0.0.10", seen
    # By name: a stranger's TLS client, as the relay sees it.
    client = hello.Client(tls_context(w.ca), "www.example.org")
    with w.visitor.connect("45.0.0.2", 443) as s:
        s.sendall(client.flight)
        assert receive_exactly(s, len(client.flight)) == client.flight  # echoed
        assert seen[-1] == (s.getsockname(), ("45.0.0.2", 443)), (seen[-1], s.getsockname())


# ---- HTTP CONNECT -------------------------------------------------------------------------------

def office(lab, password="open sesame"):
    """A laptop in an office that lets nothing out but its proxy; (world, proxy)."""
    w = World(lab).two_homes()
    proxy_host = lab.public("proxy", "45.0.0.30")
    proxy = ConnectProxy(proxy_host, 3128, "alice", password)
    w.router_a.nft('add table inet office\n'
                   'add chain inet office f { type filter hook forward priority -10; }\n'
                   'add rule inet office f iifname "lan0" ip daddr != 45.0.0.30 reject\n')
    w.home.serve(7000, echo)
    w.relay()
    w.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"})
    try:
        w.laptop.connect("45.0.0.2", 443, timeout=1).close()
    except OSError:
        return w, proxy
    raise AssertionError("the direct way is open: the test proves nothing")


def through(w):
    with w.laptop.connect("127.0.0.1", 7000) as s:
        s.sendall(b"through the proxy")
        assert receive_exactly(s, 17) == b"through the proxy"


def test_connect_proxy_config(lab):
    w, proxy = office(lab)
    w.agent(w.laptop, "laptop", forward={7000: "home/echo"},
            blocks={"proxy": '"http://alice:open%20sesame@45.0.0.30:3128"'})
    through(w)
    assert ("CONNECT", "relay.example.org:443") in proxy.requests, proxy.requests
    assert not proxy.refused


def test_connect_proxy_environment(lab):
    w, proxy = office(lab)
    url = "http://alice:open%20sesame@proxy.example.org:3128"
    agent = w.agent(w.laptop, "laptop", forward={7000: "home/echo"}, env={"HTTPS_PROXY": url})
    through(w)
    assert proxy.requests and "sesame" not in agent.log(), "the password was logged"
    with open(f"/proc/{agent.pid}/cmdline", "rb") as f:
        assert b"sesame" not in f.read()


def test_connect_proxy_password(lab):
    """A wrong password is told in a sentence that says what to change."""
    w, proxy = office(lab)
    agent = w.agent(w.laptop, "laptop", forward={7000: "home/echo"}, wait=False,
                    blocks={"proxy": '"http://alice:wrong@45.0.0.30:3128"'})
    line = agent.wait_for_line(r"^.*\b407\b.*$", 15).group(0)
    assert "proxy" in line.lower() and "password" in line.lower(), line
    assert "wrong@" not in line, "the password was logged"
    assert proxy.refused
    again = w.agent(w.laptop, "laptop2", forward={7001: "home/echo"}, wait=False,
                    blocks={"proxy": '"http://45.0.0.30:3129"'})
    again.wait_for_line(r"(?i)proxy.*45\.0\.0\.30:3129|45\.0\.0\.30:3129.*proxy", 15)


def test_interception(lab):
    """A middlebox that opens TLS is named, and nothing is sent through it."""
    w = World(lab).two_homes()
    ca = WebCa(lab, "Example Corp Inspection")
    intercept_tls(w.router_a, 8443, *ca.issue("relay.example.org"), ("45.0.0.2", 443))
    w.router_a.nft('add table ip box\n'
                   'add chain ip box p { type nat hook prerouting priority -110; }\n'
                   'add rule ip box p iifname "lan0" tcp dport 443 redirect to :8443\n')
    relay = w.relay()
    agent = w.agent(w.laptop, "laptop", forward={7000: "home/echo"}, wait=False)
    line = agent.wait_for_line(r"^.*TLS is being intercepted by.*$", 15).group(0)
    assert "Example Corp Inspection" in line, line
    assert "relay=relay.example.org:443: TLS is being" in line, f"not once whose it is: {line}"
    assert relay.status()["links"] == 0
    assert os.path.exists(f"/proc/{agent.pid}"), "the agent gave up"
