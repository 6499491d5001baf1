# SPDX-License-Identifier: Apache-2.0
"""Ways out as people have them: rules and tables, nexthop objects, links without a gateway, a VPN;
and what natd and a probe say of each."""
import os

from fakes import FakeGateway
from natd import LAN, Natd, SERVER, WAN, home, home6, lan
from netlab import wait_until
from runner import limit, once
from test_nat_command import nat, told
from test_natd_network import tunnel
from test_stun_client import OTHER, coturn

STUN = ("--stun", f"{SERVER}:3478")
ROUTER, HOST = f"{LAN}.1", f"{LAN}.2"


def judged(natd, verdict, timeout=15):
    """What natd says of outside, once that is its verdict."""
    last = {}

    def look():
        last.update(natd.call("status")["external"])
        return last["verdict"] == verdict

    try:
        wait_until(f"verdict {verdict}", look, timeout)
    except TimeoutError:
        raise AssertionError(f"not {verdict}: {last}") from None
    return natd.call("status")["external"]


def by_rule(host):
    """The main table has no default route; a rule leads to one that has."""
    host.ip("route", "del", "default")
    host.ip("route", "add", "default", "via", ROUTER, "dev", "eth0", "table", "100")
    host.ip("rule", "add", "from", "all", "lookup", "100", "priority", "1000")


def by_nexthop(host):
    host.ip("route", "del", "default")
    host.ip("nexthop", "add", "id", "7", "via", ROUTER, "dev", "eth0")
    host.ip("nexthop", "add", "id", "8", "group", "7")
    with host.inside():
        with open("/proc/sys/net/ipv4/nexthop_compat_mode", "w", encoding="ascii") as f:
            f.write("0")
    host.ip("route", "add", "default", "nhid", "8")


def by_hops(host):
    """Two next hops, both of them this router."""
    host.ip("route", "del", "default")
    host.ip("route", "add", "default", "nexthop", "via", ROUTER, "dev", "eth0", "weight", "1",
            "nexthop", "via", ROUTER, "dev", "eth0", "onlink", "weight", "2")


def test_natd_way_by_rule(lab):
    """By another table, which a rule names; also one that comes while natd runs."""
    _gateway, host, _server = home(lab)
    by_rule(host)
    natd = Natd(host, "--map", "tcp:443")
    natd.wait_mapped("tcp:443")
    host.ip("rule", "del", "priority", "1000")
    wait_until("no way out", lambda: not natd.call("status")["network"]["up"])
    host.ip("rule", "add", "from", "all", "lookup", "100", "priority", "1000")
    natd.wait_mapped("tcp:443")


@once
def test_natd_way_by_nexthop(lab):
    """By an object, of which a route says the number alone; and by several hops."""
    for way in (by_nexthop, by_hops):
        with type(lab)(lab.build, lab.engine, lab.name) as own:
            _gateway, host, _server = home(own)
            way(host)
            natd = Natd(host, "--map", "tcp:443")
            natd.wait_mapped("tcp:443")
            natd.stop()


def vpn(host):
    """A tunnel that has both halves of the internet, as OpenVPN does it."""
    fd = tunnel(host, "vpn0")
    for half in ("0.0.0.0/1", "128.0.0.0/1"):
        host.ip("route", "add", half, "dev", "vpn0")
    return fd


def test_natd_way_past_a_vpn(lab):
    """The home's gateway is asked, and what outside sees of it; but the VPN takes the answers."""
    _gateway, host, server = home(lab)
    coturn(lab, server, SERVER, OTHER)
    fd = vpn(host)
    natd = Natd(host, "--map", "tcp:443", *STUN)
    natd.wait_mapped("tcp:443")
    said = judged(natd, "vpn")
    assert "vpn0" in said["sentence"] and HOST in said["advice"] and said["stun"] == WAN, said
    assert natd.call("status")["network"]["tunnel"] == "vpn0"
    found = told(host, "probe", "--socket", natd.socket, code=4)
    assert any("VPN" in x for x in found["meaning"]), found["meaning"]
    # A rule for our own address leads the answers past it.
    host.ip("route", "add", "default", "via", ROUTER, "table", "100")
    host.ip("rule", "add", "from", HOST, "lookup", "100", "priority", "1000")
    judged(natd, "one_nat")
    host.ip("rule", "del", "priority", "1000")
    judged(natd, "vpn")
    os.close(fd)
    judged(natd, "one_nat")
    natd.wait_mapped("tcp:443")
    assert natd.call("status")["network"]["number"] == 1


@once
def test_natd_way_by_a_link(lab):
    """PPPoE on this host: no gateway to ask, and an address of the internet."""
    lab.internet()
    server, host = lab.public("server", SERVER), lab.public("host", WAN)
    coturn(lab, server, SERVER, OTHER)
    host.ip("route", "add", "default", "dev", "eth0", "scope", "link")
    natd = Natd(host, "--map", "tcp:443", *STUN)
    said = judged(natd, "no_nat")
    assert said["sentence"] == f"outside sees {WAN}, this host's own address: there is no NAT", said
    network = natd.call("status")["network"]
    assert network["up"] and network["address"] == WAN and "gateway" not in network, network
    natd.wait_state("unsupported")
    page = nat(host, "status", "--socket", natd.socket).stdout
    assert "1 mapping for IPv4 is not needed" in page and "unsupported" not in page, page
    found = told(host, "probe", *STUN)
    assert found["reachable"] and found["behaviour"]["nat"] == "open", found
    said = host.run([f"{lab.build}/postern-natd", "--dry-run", "--map", "tcp:443", *STUN], timeout=40).stdout
    assert "tcp 443: needs no mapping" in said, said
    # A firewall of its own lets in answers only.
    host.nft("table inet wall {\n chain input {\n type filter hook input priority 0;\n"
             ' iifname "eth0" ct state new drop\n }\n}\n')
    found = told(host, "probe", *STUN, code=4)
    assert "a firewall lets in only answers" in found["meaning"][0], found["meaning"]


@once
def test_natd_way_of_ipv6_alone(lab):
    """Sentences are those of IPv6, and its pinholes are kept."""
    _gateway, host, server = home6(lab)
    coturn(lab, server, SERVER, OTHER)
    host.ip("route", "del", "default")
    host.ip("addr", "del", f"{HOST}/24", "dev", "eth0")
    host.ip("-6", "route", "replace", "default", "via", "2001:db8:77::1", "dev", "eth0")
    natd = Natd(host, "--map", "tcp:8443", *STUN)
    natd.wait_mapped("tcp:8443/ipv6")
    said = judged(natd, "ipv6_only")
    assert "IPv6 alone" in said["sentence"] and "pinholes" in said["advice"], said
    found = told(host, "probe", "--socket", natd.socket, code=3)
    assert not any("STUN" in x for x in found["meaning"]), found["meaning"]


@once
def test_natd_way_that_is_none(lab):
    """Neither a route nor an answer: said as what it is."""
    router, server, host = lan(lab)
    coturn(lab, server, SERVER, OTHER)
    router.nft('insert rule inet filter forward meta l4proto udp drop\n')
    natd = Natd(host, "--map", "tcp:443", *STUN)
    said = judged(natd, "blocked", 30)
    assert "captive portal" in said["sentence"] and "sign in" in said["advice"], said
    assert told(host, "probe", "--socket", natd.socket, code=5)["external"]["verdict"] == "blocked"
    host.ip("route", "del", "default")
    said = judged(natd, "offline")
    assert "no default route" in said["sentence"], said
    natd.stop()
    found = told(host, "probe", code=5)
    assert found["network"]["up"] is False and found["mappings"] == [], found


@once
def test_natd_way_by_two_lines(lab):
    """Two STUN servers see two addresses: both are shown, whatever the gateway says."""
    gateway, host, server = home(lab)
    coturn(lab, server, SERVER)
    other = lab.public("other", OTHER)
    coturn(lab, other, OTHER)
    gateway.router.ip("addr", "add", "45.0.0.20/24", "dev", "wan0")
    snat = (f'insert rule inet filter postrouting ip daddr {OTHER} oifname "wan0" '
            "snat ip to 45.0.0.20\n")
    gateway.router.nft(snat)
    both = ("--map", "tcp:443", *STUN, "--stun", f"{OTHER}:3478")
    natd = Natd(host, *both)
    natd.wait_mapped("tcp:443")
    said = judged(natd, "several_exits")
    assert sorted(said["stun_seen"]) == [WAN, "45.0.0.20"] and "stun" not in said, said
    assert WAN in said["sentence"] and "45.0.0.20" in said["sentence"], said
    assert "several ways out" in host.run([f"{lab.build}/postern", "nat", "status", "--socket",
                                           natd.socket], check=False).stdout
    natd.stop()
    gateway.stop()
    gateway.router.nft(snat)
    FakeGateway(lab, gateway.router, ROUTER, natpmp=True, control={"external": None})
    natd = Natd(host, *both, name="second")
    said = judged(natd, "filtered")
    assert WAN in said["sentence"] and "45.0.0.20" in said["sentence"], said


# What the gateway says of its external address; what is said of that, and how a probe ends. Outside
# sees the router's own address, and nothing is behind it.
TOLD = (
    ("192.168.178.20", "double_nat", "192.168.178.20 is private", "bridge mode", 4),
    ("10.1.2.3", "double_nat", "10.1.2.3 is private", "if the outer router is yours", 4),
    ("100.64.3.4", "cgnat", "share among customers", "ask the provider", 4),
    ("192.0.0.2", "cgnat", "DS-Lite", "ask the provider", 4),
    ("169.254.7.7", "double_nat", "not one of the internet", "if the outer router is yours", 4),
    ("45.9.9.9", "several_exits", "but the gateway gives 45.9.9.9", "each of these addresses", 3),
    (WAN, "one_nat", "the gateway's external address", "", 0),
)


@once
@limit(180)
def test_natd_way_behind_what_the_gateway_tells(lab):
    """One gateway that tells one address after the other."""
    router, server, host = lan(lab)
    coturn(lab, server, SERVER)
    fake = FakeGateway(lab, router, ROUTER, pcp=True, natpmp=True, control={"external": WAN})
    for n, (external, verdict, sentence, advice, code) in enumerate(TOLD):
        fake.control.external = external
        natd = Natd(host, "--map", "udp:5000", *STUN, name=f"natd{n}")
        natd.wait_mapped("udp:5000")
        said = judged(natd, verdict)
        assert sentence in said["sentence"] and advice in said.get("advice", ""), said
        assert bool(said.get("advice")) == bool(advice), said
        told(host, "probe", "--socket", natd.socket, code=code)
        natd.stop()


@once
def test_natd_way_by_a_link_behind_a_nat(lab):
    """A modem's link: our address is a private one, or one that a provider shares among customers."""
    for lan_of, sentence in (("10.77.7", "NAT is at the provider's end"),
                             ("100.64.7", "share among customers")):
        with type(lab)(lab.build, lab.engine, lab.name) as own:
            own.internet()
            server = own.public("server", SERVER)
            coturn(own, server, SERVER)
            router, host = own.home("isp", WAN, lan_of, ["host"])
            router.ip("route", "add", "default", "via", SERVER)
            with router.inside():
                with open("/proc/sys/net/ipv4/conf/lan0/proxy_arp", "w", encoding="ascii") as f:
                    f.write("1")
            host.ip("route", "del", "default")
            host.ip("route", "add", "default", "dev", "eth0", "scope", "link")
            natd = Natd(host, "--map", "tcp:443", *STUN)
            said = judged(natd, "cgnat")
            assert sentence in said["sentence"] and "bridge" not in said["advice"], said
            told(host, "probe", "--socket", natd.socket, *STUN, code=4)
            natd.stop()


@once
def test_natd_way_of_a_silent_gateway(lab):
    """It speaks nothing: said with what outside sees, and without."""
    _router, server, host = lan(lab)
    coturn(lab, server, SERVER)
    for n, (stun, sentence, advice) in enumerate((
            (STUN, f"outside sees {WAN}; the gateway {ROUTER} does not tell", "by hand"),
            ((), f"the gateway {ROUTER} does not tell its external address", "switch on"))):
        natd = Natd(host, "--map", "tcp:443", *stun, name=f"natd{n}")
        natd.wait_state("unsupported", 30)
        said = judged(natd, "unknown")
        assert sentence in said["sentence"] and advice in said["advice"], said
        natd.stop()
