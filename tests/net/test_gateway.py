# SPDX-License-Identifier: Apache-2.0
"""What the tests' own gateway does, seen by others' clients: the ground that the rest stands on."""
from fakes import FakeGateway
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


@once
def test_fake_gateway_maps_for_others(lab):
    """The fakes keep to their protocols as others' clients understand them."""
    lab.internet()
    router, host = lab.home("alice", "45.0.0.10", "192.168.77", ["host"])
    fake = FakeGateway(lab, router, "192.168.77.1", pcp=True, natpmp=True, upnp={"version": 2})
    host.run(["natpmpc", "-g", "192.168.77.1", "-a", "4848", "4848", "tcp", "300"])
    out = host.run(["upnpc", "-m", "eth0", "-a", "192.168.77.2", "3838", "3838", "udp", "600"]).stdout
    assert "external 45.0.0.10:3838 UDP is redirected to internal 192.168.77.2:3838" in out, out
    assert {k: m.port for k, m in fake.mappings.items()} == {("udp", 3838): 3838,
                                                              ("tcp", 4848): 4848}
    host.run(["natpmpc", "-g", "192.168.77.1", "-a", "4848", "4848", "tcp", "0"])
    host.run(["upnpc", "-m", "eth0", "-d", "3838", "udp"])
    assert fake.mappings == {}
