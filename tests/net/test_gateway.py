# SPDX-License-Identifier: Apache-2.0
"""What the tests' own gateway does, seen by others' clients: the ground that the rest stands on."""
from gateway import Gateway
from netlab import wait_until
from runner import once


def home(lab, **options):
    lab.internet()
    lab.public("server", "45.0.0.2")
    router, host = lab.home("alice", "45.0.0.10", "192.168.77", ["host"])
    router.ip("route", "add", "default", "via", "45.0.0.2")
    return Gateway(lab, router, "192.168.77", **options).start(), host


@once
def test_gateway_maps_by_upnp_and_natpmp(lab):
    gateway, host = home(lab)
    host.run(["upnpc", "-m", "eth0", "-a", "192.168.77.2", "3838", "3838", "udp", "600"])
    host.run(["natpmpc", "-g", "192.168.77.1", "-a", "4848", "4848", "tcp", "300"])
    wait_until("both mappings", lambda: gateway.mappings() == {
        ("udp", 3838): "192.168.77.2:3838", ("tcp", 4848): "192.168.77.2:4848"})
    gateway.drop_mappings()
    assert gateway.mappings() == {}
    gateway.reboot(http_port=5555)
    out = host.run(["upnpc", "-m", "eth0", "-s"]).stdout
    assert "http://192.168.77.1:5555/" in out and "ExternalIPAddress = 45.0.0.10" in out, out
