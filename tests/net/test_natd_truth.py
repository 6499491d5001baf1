# SPDX-License-Identifier: Apache-2.0
"""natd says what is so: behind one NAT, two, or the provider's; and what proves a mapping."""
from natd import Natd, SERVER, WAN, answer, home, home_behind, visit
from netlab import wait_until
from runner import once
from test_stun_client import OTHER, coturn
from world import World, set_blocks

STUN = ("--stun", f"{SERVER}:3478")
PRIVATE, SHARED = ("10.99.0.10", "10.99.0"), ("100.64.0.10", "100.64.0")
PROTOCOLS = ("", "pcp: false\nupnp: false\n", "pcp: false\nnatpmp: false\n")


def verdict(natd):
    """The verdict and the advice, once STUN and the gateway have spoken."""
    said = wait_until("STUN's answer", lambda: (
        x if "stun" in (x := natd.call("status")["external"]) else None), 15)
    natd.wait_state("refused mapped verified", 15, port=443)
    said = natd.call("status")["external"]
    assert said["stun"] == WAN, said
    return said["verdict"], said.get("advice", "")


def behind_another(lab, place):
    """miniupnpd behind another router, asked by each protocol: one verdict, one advice."""
    _gateway, host, server = home_behind(lab, *place)
    coturn(lab, server, SERVER)
    said = set()
    for n, switches in enumerate(PROTOCOLS):
        natd = Natd(host, "--map", "tcp:443", *STUN, file=switches or None, name=f"natd{n}")
        said.add(verdict(natd))
        natd.stop()
    assert len(said) == 1, said
    return said.pop()


@once
def test_natd_double_nat(lab):
    word, advice = behind_another(lab, PRIVATE)
    assert word == "double_nat" and "bridge mode" in advice


@once
def test_natd_behind_the_providers_nat(lab):
    """miniupnpd keeps its address to itself, when that is one of RFC 6598, as with a private one."""
    word, advice = behind_another(lab, SHARED)
    assert word in ("double_nat", "cgnat") and advice


@once
def test_natd_double_nat_that_looks_mapped(lab):
    """The gateway believes that it has a public address (ext_ip); STUN knows better."""
    _gateway, host, server = home_behind(lab, *PRIVATE, more=["ext_ip=45.9.9.9"])
    coturn(lab, server, SERVER)
    natd = Natd(host, "--map", "tcp:443", "--map", "udp:5000", *STUN)
    natd.wait_mapped("tcp:443", "udp:5000")
    word, _advice = verdict(natd)
    assert word == "double_nat"
    m = wait_until("why it is not verified", lambda: (
        x if (x := natd.mapping("udp", 5000)).get("unproven") else None))
    assert m["state"] == "mapped" and m["unproven"], m


def test_natd_asks_a_relay(lab):
    """A relay with two addresses: it tells the external address and proves the UDP mapping; TCP is
    verified by the first visitor."""
    w = World(lab)
    _gateway, host, server = home(lab)
    server.ip("addr", "add", f"{OTHER}/24", "dev", "eth0")
    out = lab.path("relay.yaml")
    w.tool("pki", "issue", w.pki, "relay", "stun", "--host", "relay.example.org", "--listen",
           f"{SERVER}:443", "--out", out)
    set_blocks(out, {"engine": lab.engine, "stun":
                     f"  behaviour:\n    address: {SERVER}:3478\n    other: {OTHER}:3479"})
    w.start_relay(out, server)
    answer(host, 443)
    natd = Natd(host, "--map", "tcp:443", "--map", "udp:5000", *STUN)
    natd.wait_mapped("tcp:443", "udp:5000")
    assert verdict(natd) == ("one_nat", "")
    m = natd.wait_state("verified", 15, protocol="udp", port=5000)
    assert OTHER in m["proof"], m
    assert natd.mapping()["state"] == "mapped" and "nothing has come in" in wait_until(
        "why not", lambda: natd.mapping().get("unproven"))
    with server.connect(WAN, 443) as s:
        s.sendall(b"x")
        assert SERVER in natd.wait_state("verified", 15)["proof"]
    visit(server, "tcp", 443)
