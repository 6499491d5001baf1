# SPDX-License-Identifier: Apache-2.0
"""Data flows through what natd maps: each protocol, TCP and UDP, ranges, pinholes."""
from natd import Natd, WAN, answer, home, home6, reaches, visit
from runner import once

INSIDE = "192.168.77.2"
SIX = "2001:db8:77::2"
MAPS = ("--map", "tcp:443", "--map", "udp:443:8443", "--map", "tcp:5000-5003:6000-6003",
        "--map", "udp:7000-7002")
TABLE = {("tcp", 443): f"{INSIDE}:443", ("udp", 8443): f"{INSIDE}:443",
         **{("tcp", 6000 + n): f"{INSIDE}:{5000 + n}" for n in range(4)},
         **{("udp", 7000 + n): f"{INSIDE}:{7000 + n}" for n in range(3)}}


def flows(lab, by, file=None, **options):
    """Everything in MAPS is mapped by this protocol, carries data, and ends with natd."""
    gateway, host, server = home(lab, **options)
    answer(host, *sorted({int(to.rpartition(":")[2]) for to in TABLE.values()}))
    natd = Natd(host, *MAPS, file=file)
    wanted = [m for m in natd.call("status")["mappings"] if m["family"] == "ipv4"]
    natd.wait_mapped(*(f"{m['protocol']}:{m['port']}" for m in wanted))
    assert gateway.mappings() == TABLE
    for m in wanted:
        m = natd.mapping(m["protocol"], m["port"])
        assert (m["by"], m["external"]) == (by, f"{WAN}:{m['wanted_port']}"), m
        visit(server, m["protocol"], m["wanted_port"])
    natd.stop()
    assert gateway.mappings() == {}
    assert not any(reaches(server, protocol, port, timeout=0.1) for protocol, port in TABLE)


def test_natd_data_by_pcp(lab):
    flows(lab, "PCP")


@once
def test_natd_data_by_natpmp(lab):
    flows(lab, "NAT-PMP", "pcp: false\nupnp: false\n")


def test_natd_data_by_upnp(lab):
    flows(lab, "UPnP", natpmp=False)


def pinholes(lab, by, port, file):
    gateway, host, server = home6(lab)
    answer(host, port, address="::")
    assert not reaches(server, "tcp", port, SIX, 0.3), "the router lets all in"
    natd = Natd(host, "--map", f"tcp:{port}", "--map", f"udp:{port}", file=file)
    natd.wait_mapped(*(f"{p}:{port}{f}" for p in ("tcp", "udp") for f in ("", "/ipv6")))
    for protocol in ("tcp", "udp"):
        m = natd.mapping(protocol, port, "ipv6")
        assert (m["by"], m["external"]) == (by, f"[{SIX}]:{port}"), m
        visit(server, protocol, port, SIX)
    assert gateway.mappings() == {("tcp", port): f"{INSIDE}:{port}",
                                  ("udp", port): f"{INSIDE}:{port}"}
    gateway.reboot()
    visit(server, "tcp", port, SIX)
    natd.stop()
    assert not reaches(server, "tcp", port, SIX), "the pinhole is still there"
    assert gateway.mappings() == {}


@once
def test_natd_pinholes_by_pcp(lab):
    pinholes(lab, "PCP", 443, "upnp: false\n")


@once
def test_natd_pinholes_by_upnp(lab):
    pinholes(lab, "UPnP", 5443, "pcp: false\nnatpmp: false\n")
