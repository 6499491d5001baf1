# SPDX-License-Identifier: Apache-2.0
"""Data flows through what natd maps: each protocol, TCP and UDP, ranges, pinholes."""
import re

from natd import Natd, WAN, answer, home, home6, reaches, visit
from netlab import wait_until
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


def renewed_pinhole(lab, port, file):
    """A pinhole of PCP's that was renewed, after which miniupnpd's own deletion by PCP refuses all
    nonces: natd is ended."""
    gateway, host, server = home6(lab)
    answer(host, port, address="::")
    natd = Natd(host, "--map", f"tcp:{port}", file=file)
    natd.wait_mapped(f"tcp:{port}", f"tcp:{port}/ipv6")
    assert natd.mapping(port=port, family="ipv6")["by"] == "PCP"
    wait_until("what the gateway speaks is known", lambda: all(
        p["state"] != "probing" for p in natd.call("status")["protocols"]))
    visit(server, "tcp", port, SIX)
    natd.call("renew")
    gateway.process.wait_for_line(f"updating pinhole to {SIX}:{port} TCP")
    natd.wait_mapped(f"tcp:{port}/ipv6")
    natd.stop()
    gateway.process.wait_for_line(f"Unauthorized to remove PCP mapping internal port {port}")
    return gateway, server, natd.process.log()


@once
def test_natd_pinhole_that_pcp_does_not_delete(lab):
    """It is renewed for a second, of which the gateway makes its shortest lease, and named."""
    gateway, server, log = renewed_pinhole(lab, 443, "upnp: false\n")
    assert gateway.mappings() == {}
    assert "stopped: 1 mapping was deleted at the gateway, 1 may be left" in log, log
    left = re.search(r"tcp 443 \(IPv6\) may be left at the gateway for another (\d+) s: PCP did not "
                     r"confirm its end; delete it there by hand", log)
    assert left and int(left[1]) <= 11, log
    wait_until("its short lease is over", lambda: not reaches(server, "tcp", 443, SIX), 20)


@once
def test_natd_pinhole_that_upnp_deletes(lab):
    """UPnP tells its number, and deletes it by that, from port 1024 up."""
    _gateway, server, log = renewed_pinhole(lab, 5443, "natpmp: false\n")
    assert "stopped: 2 mappings were deleted at the gateway, 0 may be left" in log, log
    assert not reaches(server, "tcp", 5443, SIX), "the pinhole is still there"


@once
def test_natd_pinholes_by_upnp(lab):
    pinholes(lab, "UPnP", 5443, "pcp: false\nnatpmp: false\n")
