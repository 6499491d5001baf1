# SPDX-License-Identifier: Apache-2.0
"""A host whose address changes: what its natd had mapped under the old one, and what it asks for
under the new one; and what natd tells when it ends."""
import os

from natd import LAN, Natd, answer, home, visit
from netlab import wait_until

MAP = ("--map", "tcp:443")


def state_dir(lab):
    path = lab.path("state")
    os.mkdir(path, 0o700)
    return path


def move(host, last):
    """From .2 to another address, as by DHCP: the old one is gone at once."""
    host.ip("addr", "del", f"{LAN}.2/24", "dev", "eth0")
    host.ip("addr", "add", f"{LAN}.{last}/24", "dev", "eth0")
    host.ip("route", "replace", "default", "via", f"{LAN}.1")


def die(natd, state):
    """As by a power cut, once what is mapped has been written down."""
    written = os.path.join(state, "natd.mappings")
    wait_until("the mapping is written down",
               lambda: os.path.exists(written) and os.path.getsize(written) > 60, 30)
    natd.process.must_end_well = False
    natd.process.kill()


def leads_to(gateway, last):
    return gateway.mappings() == {("tcp", 443): f"{LAN}.{last}:443"}


def test_natd_moved_replaces_by_upnp(lab):
    """The entry of the old address is deleted, and the port maps to the new one, briefly at first."""
    gateway, host, server = home(lab, natpmp=False, secure=False)
    answer(host, 443)
    state = state_dir(lab)
    natd = Natd(host, *MAP, "--state-dir", state)
    natd.wait_mapped("tcp:443")
    die(natd, state)
    move(host, 9)
    natd = Natd(host, *MAP, "--state-dir", state)
    natd.process.wait_for_line(
        rf"tcp 443 may still lead to {LAN}\.2, an old address of this host", 15)
    wait_until("the port leads to the new address", lambda: leads_to(gateway, 9), 30)
    visit(server, "tcp", 443)
    natd.wait_mapped("tcp:443")
    assert natd.mapping()["lifetime_s"] == 120, natd.mapping()
    assert natd.call("status")["former"] == []
    natd.stop()
    assert gateway.mappings() == {}
    assert "stopped: 1 mapping was deleted at the gateway, 0 may be left" in natd.process.log()


def test_natd_moved_leaves_another_host_alone(lab):
    """What leads to a host that has the old address now stays, and is told."""
    gateway, host, other, _server = home(lab, hosts=("host", "other"), natpmp=False,
                                         secure=False)
    state = state_dir(lab)
    natd = Natd(host, *MAP, "--state-dir", state)
    natd.wait_mapped("tcp:443")
    die(natd, state)
    move(host, 9)
    other.ip("addr", "add", f"{LAN}.2/24", "dev", "eth0")
    natd = Natd(host, *MAP, "--state-dir", state)
    natd.process.wait_for_line(rf"warning .*tcp 443 leads to {LAN}\.2, which was this host's and is "
                               r"another one's now: it is left alone", 20)
    former, = natd.call("status")["former"]
    assert former["other_host"] and former["address"] == f"{LAN}.2", former
    natd.wait_state("conflicting")
    assert leads_to(gateway, 2)


def test_natd_moved_where_the_gateway_refuses(lab):
    """A gateway that lets each host delete its own only: said, and asked for again later."""
    gateway, host, _server = home(lab, natpmp=False)
    state = state_dir(lab)
    natd = Natd(host, *MAP, "--state-dir", state)
    natd.wait_mapped("tcp:443")
    die(natd, state)
    move(host, 9)
    natd = Natd(host, *MAP, "--state-dir", state)
    natd.process.wait_for_line(rf"warning .*tcp 443 to {LAN}\.2, this host's old address, is not "
                               "deleted by the gateway", 20)
    natd.wait_state("conflicting")
    assert leads_to(gateway, 2)
    former, = natd.call("status")["former"]
    assert former["by"] == "UPnP" and not former["other_host"], former


def test_natd_moved_by_pcp(lab):
    """Only the old address could delete it: told, with its end; the new address gets short leases."""
    gateway, host, _server = home(lab, upnp=False)
    natd = Natd(host, "--map", "tcp:443", "--state-dir", state_dir(lab))
    natd.wait_mapped("tcp:443")
    assert natd.mapping()["lifetime_s"] == 7200
    wait_until("the gateway is known", lambda: os.path.exists(
        lab.path("state/natd.mappings")), 30)
    move(host, 9)
    natd.process.wait_for_line(rf"tcp 443 may still lead to {LAN}\.2", 30)
    former, = natd.call("status")["former"]
    assert former["by"] == "PCP" and 6000 < former["left_s"] <= 7200, former
    natd.wait_state("conflicting", timeout=20)
    assert leads_to(gateway, 2)


def test_natd_moved_and_kept_the_old_address(lab):
    """A host that has both addresses is told nothing of the old one: it is its own."""
    gateway, host, _server = home(lab)
    natd = Natd(host, *MAP, "--state-dir", state_dir(lab))
    natd.wait_mapped("tcp:443")
    host.ip("addr", "add", f"{LAN}.9/24", "dev", "eth0")
    host.ip("route", "replace", "default", "via", f"{LAN}.1", "src", f"{LAN}.9")
    wait_until("the port leads to the new address", lambda: leads_to(gateway, 9), 20)
    assert natd.call("status")["former"] == []
    assert natd.wait_state("mapped verified")["lifetime_s"] == 120


def test_natd_tells_what_is_left(lab):
    """A gateway that is gone when natd ends: what it may still hold is named."""
    gateway, host, _server = home(lab)
    natd = Natd(host, *MAP)
    natd.wait_mapped("tcp:443")
    gateway.router.nft('add rule inet filter input iifname "lan0" drop\n')
    natd.stop()
    log = natd.process.log()
    assert "tcp 443 may be left at the gateway for another " in log, log
    assert "stopped: 0 mappings were deleted at the gateway, 1 may be left" in log, log
