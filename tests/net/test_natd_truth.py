# SPDX-License-Identifier: Apache-2.0
"""natd says what is so: behind one NAT, two, or the provider's; and what proves a mapping."""
import time

from fakes import FakeGateway
from natd import LAN, Natd, SERVER, WAN, answer, home, home_behind, lan, visit
from netlab import wait_until
from peers import echo
from runner import once
from test_natd_ways import judged
from test_stun_client import OTHER, coturn
from world import World, set_blocks

STUN = ("--stun", f"{SERVER}:3478")
PRIVATE, SHARED = ("10.99.0.10", "10.99.0"), ("100.64.0.10", "100.64.0")
PROTOCOLS = ("", "pcp: false\nupnp: false\n", "pcp: false\nnatpmp: false\n")


def behind_another(lab, place, word):
    """miniupnpd behind another router, asked by each protocol: one verdict, one advice."""
    _gateway, host, server = home_behind(lab, *place)
    coturn(lab, server, SERVER)
    said = set()
    for n, switches in enumerate(PROTOCOLS):
        natd = Natd(host, "--map", "tcp:443", *STUN, file=switches or None, name=f"natd{n}")
        natd.wait_state("refused mapped verified", 15, port=443)
        wait_until("the way behind it", lambda natd=natd: f"{place[1]}.1" in
                   natd.call("status")["external"]["sentence"], 15)
        one = judged(natd, word)
        assert one["stun"] == WAN, one
        said.add((one["sentence"], one["advice"]))
        natd.stop()
    assert len(said) == 1, said
    return said.pop()


@once
def test_natd_double_nat(lab):
    sentence, advice = behind_another(lab, PRIVATE, "double_nat")
    assert "another NAT is behind it: the next router is 10.99.0.1" in sentence, sentence
    assert "bridge mode" in advice


@once
def test_natd_behind_the_providers_nat(lab):
    """miniupnpd keeps its address to itself, when that is one of RFC 6598, as with a private one: the
    way behind it tells whose the NAT is."""
    sentence, advice = behind_another(lab, SHARED, "cgnat")
    assert "no external address" in sentence and "carrier-grade NAT" in sentence, sentence
    assert "bridge mode" not in advice and "provider" in advice, advice


@once
def test_natd_gateway_that_asked_outside(lab):
    """The gateway has its address from outside, as by a STUN test of its own, behind the provider's
    NAT: what outside sees is what it gives, and nothing comes in there."""
    _gateway, host, server = home_behind(lab, *SHARED, more=[f"ext_ip={WAN}"])
    coturn(lab, server, SERVER, OTHER)
    natd = Natd(host, "--map", "tcp:443", *STUN)
    natd.wait_mapped("tcp:443")
    wait_until("the way behind it", lambda: "100.64.0.1" in
               natd.call("status")["external"]["sentence"], 15)
    said = judged(natd, "plausible")
    assert "100.64.0.1" in said["sentence"] and said["gateway"] == said["stun"] == WAN, said
    natd.stop()
    natd = Natd(host, "--map", "udp:5000", *STUN, name="udp")
    said = judged(natd, "cgnat")
    assert "did not come in" in said["sentence"] and "bridge" not in said["advice"], said
    assert natd.mapping("udp", 5000)["state"] == "mapped"


@once
def test_natd_gateway_behind_a_firewall(lab):
    """The address is right, and there is no other NAT; but only answers come in."""
    gateway, host, server = home(lab)
    coturn(lab, server, SERVER, OTHER)
    gateway.router.nft("table inet wall {\n chain before {\n type filter hook prerouting priority "
                       "-150;\n iifname \"wan0\" ct state new drop\n }\n}\n")
    natd = Natd(host, "--map", "udp:5000", *STUN)
    said = judged(natd, "filtered")
    assert "did not come in" in said["sentence"] and "firewall" in said["advice"], said
    gateway.router.nft("delete table inet wall\n")
    natd.call("renew")
    natd.stop()
    natd = Natd(host, "--map", "udp:5000", *STUN, name="again")
    said = judged(natd, "one_nat")
    natd.wait_state("verified", 15, protocol="udp", port=5000)


@once
def test_natd_gateway_that_is_wrong_about_itself(lab):
    """It says that it has no external address; outside sees one, and no other NAT is on the way."""
    router, server, host = lan(lab)
    coturn(lab, server, SERVER, OTHER)
    FakeGateway(lab, router, f"{LAN}.1", pcp=True, natpmp=True, control={"external": None},
                upnp={"external": None, "error": {"AddPortMapping": 501}})
    natd = Natd(host, "--map", "tcp:443", *STUN)
    said = judged(natd, "filtered")
    assert "a test of its own may be wrong" in said["sentence"], said
    assert "bridge" not in said["advice"], said


@once
def test_natd_double_nat_that_looks_mapped(lab):
    """The gateway believes that it has a public address (ext_ip); STUN knows better."""
    _gateway, host, server = home_behind(lab, *PRIVATE, more=["ext_ip=45.9.9.9"])
    coturn(lab, server, SERVER)
    natd = Natd(host, "--map", "tcp:443", "--map", "udp:5000", *STUN)
    natd.wait_mapped("tcp:443", "udp:5000")
    judged(natd, "double_nat")
    m = wait_until("why it is not verified", lambda: (
        x if (x := natd.mapping("udp", 5000)).get("unproven") else None))
    assert m["state"] == "mapped" and m["unproven"], m


def test_natd_sees_short_visits(lab):
    """Of a visit that its client ends nothing stays here; it proves the mapping all the same."""
    _gateway, host, server = home(lab)
    answer(host, 443)
    natd = Natd(host, "--map", "tcp:443")
    natd.wait_mapped("tcp:443")
    time.sleep(8)  # by now it looks only now and then
    assert natd.mapping()["state"] == "mapped"
    visit(server, "tcp", 443)
    m = natd.wait_state("verified", 3)
    assert f"a connection from {SERVER}" in m["proof"] and m["proven_s"] <= 3, m
    time.sleep(4)
    assert natd.mapping()["proven_s"] >= 3
    visit(server, "tcp", 443)
    wait_until("the second visit renewed the proof", lambda: natd.mapping()["proven_s"] < 2, 3)


@once
def lead_back(router, source):
    """Hairpinning: visits of the LAN to the external address are led to the host there, and seem to
    come from source."""
    for name in ("all", "lan0"):
        with router.inside():
            with open(f"/proc/sys/net/ipv4/conf/{name}/send_redirects", "w", encoding="ascii") as f:
                f.write("0")
    router.nft(f"""table ip hairpin {{
  chain inwards {{ type nat hook prerouting priority -110; policy accept;
    iifname "lan0" ip daddr {WAN} tcp dport 443 dnat to {LAN}.2:443
  }}
  chain outwards {{ type nat hook postrouting priority 90; policy accept;
    oifname "lan0" ip saddr {LAN}.0/24 ip daddr {LAN}.0/24 snat to {source}
  }}
}}
""")


def test_natd_visits_from_the_lan_prove_nothing(lab):
    """Neither a neighbour's nor, by the external address, one that the router leads back in, whichever
    of its two addresses that seems to come from."""
    gateway, host, neighbour, server = home(lab, hosts=("host", "neighbour"))
    seen = []

    def note(sock, peer):
        seen.append(peer[0])
        echo(sock, peer)

    host.serve(443, note)
    natd = Natd(host, "--map", "tcp:443")
    natd.wait_mapped("tcp:443")

    def come(address, source):
        seen.clear()
        for _ in range(5):
            with neighbour.connect(address, 443) as s:
                s.sendall(b"x")
                assert s.recv(1) == b"x"
                time.sleep(0.3)  # it is seen while it lasts, and once it is over
        assert seen == [source] * 5, seen
        time.sleep(3)
        m = natd.mapping()
        assert m["state"] == "mapped" and "proven_s" not in m, m

    come(f"{LAN}.2", f"{LAN}.3")
    for source in (f"{LAN}.1", WAN):
        lead_back(gateway.router, source)
        come(WAN, source)
        gateway.router.nft("delete table ip hairpin\n")
    visit(server, "tcp", 443)
    natd.wait_state("verified", 3)


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
    assert "advice" not in judged(natd, "one_nat")
    m = natd.wait_state("verified", 15, protocol="udp", port=5000)
    assert OTHER in m["proof"], m
    assert natd.mapping()["state"] == "mapped" and "nothing has come in" in wait_until(
        "why not", lambda: natd.mapping().get("unproven"))
    with server.connect(WAN, 443) as s:
        s.sendall(b"x")
        assert SERVER in natd.wait_state("verified", 15)["proof"]
    visit(server, "tcp", 443)
