# SPDX-License-Identifier: Apache-2.0
"""Which way out natd takes, of several; see portmap/network.h."""
import fcntl
import os
import struct

from natd import Natd
from netlab import wait_until
from runner import once

TUNSETIFF, IFF_TUN = 0x400454ca, 1


def host_with(lab, interfaces):
    """A host with interfaces {name: (address, ...)} that lead nowhere."""
    host = lab.host("host")
    for name, addresses in interfaces.items():
        host.ip("link", "add", name, "type", "veth", "peer", "name", name + "-end")
        host.ip("link", "set", name + "-end", "up")
        host.ip("link", "set", name, "up")
        for address in addresses:
            host.ip("addr", "add", address, "dev", name, "nodad")
    return host


def wait_network(natd, **expected):
    """Until the network's fields are these; None: absent."""
    def look():
        network = natd.call("status")["network"]
        return all(network.get(k) == v for k, v in expected.items()) and network

    return wait_until(f"the network to be {expected}", look)


def tunnel(host, name="tun0"):
    """As a VPN's program makes it, or the link has no carrier; it goes when this is closed."""
    with host.inside():
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN))
    host.ip("addr", "add", "10.8.0.2", "peer", "10.8.0.1", "dev", name)
    host.ip("link", "set", name, "up")
    return fd


@once
def test_natd_network_takes_the_lowest_metric(lab):
    host = host_with(lab, {"lan1": ["192.168.1.2/24"], "lan2": ["192.168.2.2/24"]})
    host.ip("route", "add", "default", "via", "192.168.1.1", "metric", "600")
    host.ip("route", "add", "default", "via", "192.168.2.1", "metric", "100")
    natd = Natd(host, "--map", "tcp:443")
    first = wait_network(natd, interface="lan2", gateway="192.168.2.1", address="192.168.2.2")
    host.ip("link", "set", "lan2", "down")
    second = wait_network(natd, interface="lan1", gateway="192.168.1.1", address="192.168.1.2")
    assert second["number"] > first["number"]
    host.ip("route", "del", "default")
    wait_network(natd, up=False, gateway=None)


@once
def test_natd_network_stays_where_it_is_pinned(lab):
    host = host_with(lab, {"lan1": ["192.168.1.2/24"], "lan2": ["192.168.2.2/24"]})
    host.ip("route", "add", "default", "via", "192.168.2.1", "metric", "100")
    natd = Natd(host, "--map", "tcp:443", "--interface", "lan1")
    wait_network(natd, up=False)
    host.ip("route", "add", "default", "via", "192.168.1.1", "metric", "600")
    wait_network(natd, interface="lan1", gateway="192.168.1.1")


@once
def test_natd_network_passes_tunnels_over(lab):
    host = host_with(lab, {"lan1": ["192.168.1.2/24"]})
    vpn = tunnel(host)
    host.ip("route", "add", "default", "via", "192.168.1.1", "metric", "600")
    host.ip("route", "add", "default", "via", "10.8.0.1", "metric", "50")
    host.ip("route", "add", "default", "dev", "lan1", "metric", "10")  # without a gateway
    natd = Natd(host, "--map", "tcp:443")
    wait_network(natd, interface="lan1", gateway="192.168.1.1")
    os.close(vpn)


@once
def test_natd_network_chooses_its_own_address(lab):
    """That of the gateway's subnet; over IPv6 a global one that lasts."""
    host = host_with(lab, {"lan1": ["172.16.0.9/16", "192.168.1.2/24", "192.168.1.3/24",
                                    "fd00::2/64", "2001:db8:1::2/64"]})
    host.ip("addr", "add", "2001:db8:1::dead/64", "dev", "lan1", "nodad", "preferred_lft", "0")
    host.ip("route", "add", "default", "via", "192.168.1.1")
    host.ip("route", "add", "default", "via", "fe80::1", "dev", "lan1")
    natd = Natd(host, "--map", "tcp:443")
    network = wait_network(natd, address="192.168.1.2", address6="2001:db8:1::2")
    assert network["gateway6"].startswith("fe80::1%"), network
    host.ip("route", "replace", "default", "via", "192.168.1.1", "src", "192.168.1.3")
    wait_network(natd, address="192.168.1.3")
    host.ip("addr", "del", "2001:db8:1::2/64", "dev", "lan1")
    wait_network(natd, address6=None, gateway6=None)
