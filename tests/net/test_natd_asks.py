# SPDX-License-Identifier: Apache-2.0
"""Mappings that other programs of natd's host ask for, as other users and over a real gateway."""
import signal

from console import Rpc, as_user
from natd import LAN, Natd, answer, home, reaches, visit
from netlab import wait_until

WEB, OTHER, GROUP = 4711, 4712, 4800
ALLOW = f"""\
map: [{{protocol: tcp, port: 443, ipv6: false}}]
allow:
- {{user: '{WEB}', ports: [8000-8009], most: 3}}
- {{group: '{GROUP}', protocol: udp}}
"""
CONFIGURED = {("tcp", 443): f"{LAN}.2:443"}


def command(host, natd, uid, *words, groups=()):
    """'postern nat ...' as that user, without any capability."""
    lab = host.lab
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}",
            f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups",
            f"{lab.build}/postern", "nat", *words, "--socket", natd.socket]


def run(host, natd, uid, *words, code=0, groups=()):
    done = host.run(command(host, natd, uid, *words, groups=groups), check=False, timeout=60)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def asked(gateway, *ports):
    """The router has the configuration's mapping and these: {("tcp", 8000): 8001} by outside."""
    want = dict(CONFIGURED)
    for protocol, outside, inside in ports:
        want[(protocol, outside)] = f"{LAN}.2:{inside}"
    wait_until(f"the router has {want}", lambda: gateway.mappings() == want, 20)


def test_natd_asks_stay_with_their_command(lab):
    """Open while the command runs, gone when it is interrupted, and asked again of a new natd."""
    gateway, host, server = home(lab)
    answer(host, 8001)
    natd = Natd(host, file=ALLOW)
    natd.wait_mapped("tcp:443")
    asking = host.start(command(host, natd, WEB, "map", "tcp:8001:8000", "--name", "web"), "asking")
    visit(server, "tcp", 8000)
    asked(gateway, ("tcp", 8000, 8001))
    assert natd.mapping(port=8001)["asked_by"] == [{"user": WEB, "name": "web"}]
    assert natd.mapping()["configured"] and not natd.mapping()["asked_by"]
    page = run(host, natd, OTHER, "status")
    assert f"asked for by web, uid {WEB}" in page, page
    natd.stop()
    assert gateway.mappings() == {}
    natd = Natd(host, file=ALLOW)
    asked(gateway, ("tcp", 8000, 8001))
    assert "it is asked again when it is there" in asking.log(), asking.log()
    asking.signal(signal.SIGINT)
    assert asking.wait(10) == 0, asking.log()
    asked(gateway)
    assert not reaches(server, "tcp", 8000)


def test_natd_asks_for_a_lease_and_by_right(lab):
    """A lease outlives its command; a reload that takes the right away ends it."""
    gateway, host, server = home(lab)
    answer(host, 8001)
    natd = Natd(host, file=ALLOW)
    natd.wait_mapped("tcp:443")
    page = run(host, natd, WEB, "map", "tcp:8001", "--lease", "1h")
    assert page.startswith("tcp 8001 is mapped at 45.0.0.10:8001: "), page
    visit(server, "tcp", 8001)
    assert 3500 < natd.mapping(port=8001)["asked_by"][0]["left_s"] <= 3600
    page = run(host, natd, OTHER, "map", "udp:9000", "--lease", "1m", groups=[GROUP])
    assert "mapped at 45.0.0.10:9000" in page, page
    asked(gateway, ("tcp", 8001, 8001), ("udp", 9000, 9000))
    for uid, words, says in (
            (OTHER, ("tcp:8002",), f"user {OTHER} may not ask for mappings"),
            (WEB, ("tcp:22",), "may not ask for tcp port 22"),
            (WEB, ("tcp:8002:22",), "tcp port 8002 at external port 22"),
            (WEB, ("tcp:8002:443",), "at external port 443"),
            (0, ("tcp:8002:443",), "leads to another port of this host already (tcp 443)"),
            (0, ("tcp:443:8002",), "the configuration maps tcp 443")):
        page = run(host, natd, uid, "map", *words, "--lease", "1h", code=1)
        assert says in page, page
    natd.process.wait_for_line(rf"notice .*tcp port 8002 is asked for by uid {OTHER}, and refused: ")
    assert "is not asked for by this user" in run(host, natd, OTHER, "unmap", "tcp:8001", code=1)
    asked(gateway, ("tcp", 8001, 8001), ("udp", 9000, 9000))
    natd.reload(ALLOW.replace("8000-8009", "8002-8009"))
    natd.process.wait_for_line(rf"warning .*tcp 8001 is no longer asked for by postern \(uid {WEB}\)")
    asked(gateway, ("udp", 9000, 9000))
    run(host, natd, 0, "unmap", "udp:9000")
    asked(gateway)
    refused = natd.call("status")["counts"]["asks"]["refused"]
    assert (refused["no_right"], refused["port"], refused["configured"]) == (1, 3, 2), refused


def test_natd_asks_of_a_connection(lab):
    """A program hears where its port is reached; when it dies, that ends 10 s later."""
    gateway, host, _server = home(lab)
    natd = Natd(host, file=ALLOW)
    natd.wait_mapped("tcp:443")

    def external():
        with Rpc(natd.socket) as rpc:
            rpc.result("events", follow=True, limit=0)
            rpc.result("map", protocol="udp", port=8005, any=True, name="agent")
            while True:
                event = rpc.line()["params"]
                if event["kind"] == "mapping" and event["port"] == 8005 and "external" in event:
                    return event["external"]

    assert as_user(WEB, external) == "45.0.0.10:8005"
    natd.mapping("udp", 8005)
    natd.process.wait_for_line(r"udp 8005 is no longer asked for by agent", 20)
    asked(gateway)


def test_natd_asks_by_name_of_user(lab):
    """Names are looked up at the start, and again by a sealed natd; one that is none is told."""
    gateway, host, _server = home(lab)
    natd = Natd(host, file="allow: [{group: no-such-group}, {user: no-such-user}]\n")
    natd.process.wait_for_line(r"allow\[0\]: there is no group no-such-group")
    natd.process.wait_for_line(r"allow\[1\]: there is no user no-such-user")
    nobody = 65534
    assert "may not ask" in run(host, natd, nobody, "map", "tcp:8000", "--lease", "1h", code=1)
    natd.reload("allow: [{user: nobody}, {group: daemon}]\n")
    assert natd.count_lines(r"there is no") == 0
    run(host, natd, nobody, "map", "tcp:8000", "--lease", "1h")
    run(host, natd, 1, "map", "tcp:8001", "--lease", "1h")
    wait_until("both", lambda: set(gateway.mappings()) == {("tcp", 8000), ("tcp", 8001)})


def test_natd_asks_names_are_read_again(lab):
    """A sealed natd finds users and groups by their names, and tells those that it does not find."""
    _gateway, host, _server = home(lab)
    natd = Natd(host, file="allow: [{user: nobody}]\n")
    natd.reload("allow: [{group: daemon}, {user: no-such-user}]\n")
    natd.process.wait_for_line(r"allow\[1\]: there is no user no-such-user")
    assert natd.count_lines(r"there is no group") == 0
