# SPDX-License-Identifier: Apache-2.0
"""natd: postern-natd on a host, what its socket says, and what its mappings carry.

    gateway, host, server = home(lab)
    answer(host, 443, 5000)
    natd = Natd(host, "--map", "tcp:443", file="lifetime: 2m")
    natd.wait_state("mapped")
    visit(server, "tcp", 443)
"""
import json
import re
import signal
import socket
import threading

from fakes import answer_datagrams
from gateway import Gateway
from netlab import wait_until
from peers import echo

SERVER, WAN, LAN = "45.0.0.2", "45.0.0.10", "192.168.77"
ADDRESSES6 = (("router", "lan0", "2001:db8:77::1"), ("router", "wan0", "2001:db8:1::10"),
              ("host", "eth0", "2001:db8:77::2"), ("server", "eth0", "2001:db8:1::2"))


def lan(lab, wan=WAN, hosts=("host",), server=SERVER):
    """A home on the internet and a server there: (router, server, *hosts).  No gateway runs."""
    lab.internet()
    visitor = lab.public("server", server)
    router, *made = lab.home("alice", wan, LAN, list(hosts))
    router.ip("route", "add", "default", "via", server)
    return router, visitor, *made


def home(lab, hosts=("host",), **options):
    """lan() with miniupnpd on the router: (gateway, *hosts, server)."""
    router, server, *made = lan(lab, hosts=hosts)
    return Gateway(lab, router, LAN, **options).start(), *made, server


def home_behind(lab, wan, nat, hosts=("host",), **options):
    """home() whose router is a customer of another one that does NAT: wan is its address there,
    nat.1 that of the other's LAN.  (gateway, *hosts, server)"""
    lab.internet()
    server = lab.public("server", SERVER)
    outer, = lab.home("isp", WAN, nat, [])
    outer.ip("route", "add", "default", "via", SERVER)
    router = lab.host("rtr-alice")
    lab.wire(router, "wan0", f"{wan}/24", outer, "lan0")
    router.ip("route", "add", "default", "via", f"{nat}.1")
    lab.bridge(router, "lan0")
    router.ip("addr", "add", f"{LAN}.1/24", "dev", "lan0")
    forward(router, 4)
    made = []
    for n, name in enumerate(hosts, 2):
        host = lab.host(name)
        lab.wire(host, "eth0", f"{LAN}.{n}/24", router, "lan0")
        host.ip("route", "add", "default", "via", f"{LAN}.1")
        made.append(host)
    return Gateway(lab, router, LAN, **options).start(), *made, server


def forward(router, version):
    name = "ip_forward" if version == 4 else "conf/all/forwarding"
    with router.inside():
        with open(f"/proc/sys/net/ipv{version}/{name}", "w", encoding="ascii") as f:
            f.write("1")


def home6(lab, **options):
    """home() with IPv6, of which the router lets nothing in by itself."""
    gateway, host, server = home(lab, ipv6=True, **options)
    machines = {"router": gateway.router, "host": host, "server": server}
    for name, dev, address in ADDRESSES6:
        machines[name].ip("addr", "add", f"{address}/64", "dev", dev, "nodad")
    forward(gateway.router, 6)
    host.ip("route", "add", "default", "via", "2001:db8:77::1")
    server.ip("route", "add", "default", "via", "2001:db8:1::10")
    gateway.reboot()  # it reads its addresses once
    return gateway, host, server


# ---- what flows ---------------------------------------------------------------------------------

def _open(host, family, kind):
    with host.inside():
        s = socket.socket(family, kind)
    host.lab.callbacks.append(s.close)
    s.settimeout(5)
    return s


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def answer(host, *ports, address="0.0.0.0"):
    """Servers on host: echo over TCP, and over UDP each datagram with the server's name in front."""
    for port in ports:
        u = _open(host, _family(address), socket.SOCK_DGRAM)
        u.bind((address, port))
        answer_datagrams(host.lab, u, lambda data, _peer: host.name.encode() + b":" + data)
        if ":" not in address:
            host.serve(port, echo, address)
            continue
        t = _open(host, socket.AF_INET6, socket.SOCK_STREAM)
        t.bind((address, port))
        t.listen(8)
        answer_connections(t)


def answer_connections(listener):
    """One after the other, which is enough for a visitor."""
    def loop():
        listener.settimeout(None)
        try:
            while True:
                sock, peer = listener.accept()
                with sock:
                    echo(sock, peer)
        except OSError:
            pass

    threading.Thread(target=loop, daemon=True).start()


def reaches(visitor, protocol, port, address=WAN, timeout=0.5):
    """Whether a host outside gets an answer through a mapping, now."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with _open(visitor, _family(address), kind) as s:
        s.settimeout(timeout)
        try:
            s.connect((address, port))
            s.sendall(b"visitor")
            got = s.recv(100)
        except OSError:
            return False
    assert got.endswith(b"visitor"), got
    return True


def visit(visitor, protocol, port, address=WAN):
    """A host outside gets an answer through a mapping; the first packets may be lost."""
    wait_until(f"an answer from {protocol} {port}",
               lambda: reaches(visitor, protocol, port, address), 10)


# ---- natd ---------------------------------------------------------------------------------------

class Natd:
    """natd on a host.  arguments are those of its command line, file its configuration."""

    def __init__(self, host, *arguments, name="natd", file=None, container=""):
        """container: the engine of the one that it is told to be in; "": none, whatever runs it."""
        lab = host.lab
        self.lab, self.file = lab, name + ".yaml"
        self.socket = lab.path(name + ".sock")
        if file is not None:
            arguments = ("-c", lab.write(self.file, file), *arguments)
        self.process = host.start(
            ["env", f"container={container}", f"{lab.build}/postern-natd", "--engine", lab.engine, "--log-level", "debug",
             "--socket", self.socket, *arguments], name)
        self.process.must_end_well = True
        self.process.wait_for_line(r"ready engine=")

    def call(self, method, timeout=30.0, **params):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(self.socket)
            s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                  "params": params}).encode() + b"\n")
            answer = json.loads(s.makefile().readline())
        assert "error" not in answer, answer
        return answer["result"]

    def follow(self, timeout=30.0):
        """What happened, and what happens from now on."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(self.socket)
            s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"events","params":{"follow":true}}\n')
            lines = s.makefile()
            yield from json.loads(lines.readline())["result"]["events"]
            for line in lines:
                yield json.loads(line)["params"]

    def mapping(self, protocol="tcp", port=443, family="ipv4"):
        for m in self.call("status")["mappings"]:
            if (m["protocol"], m["port"], m["family"]) == (protocol, port, family):
                return m
        raise AssertionError(f"no mapping of {protocol} {port} {family}")

    def wait_state(self, states, timeout=10.0, **which):
        """The mapping, once its state is one of these words."""
        return wait_until(
            f"a mapping that is {states}",
            lambda: (m := self.mapping(**which))["state"] in states.split() and m, timeout)

    def wait_mapped(self, *ports, timeout=10.0):
        """Once all of these, such as "tcp:443" or "udp:443/ipv6", are mapped, perhaps verified."""
        for text in ports:
            which, _, family = text.partition("/")
            protocol, port = which.split(":")
            self.wait_state("mapped verified", timeout, protocol=protocol, port=int(port),
                            family=family or "ipv4")

    def reload(self, file):
        self.process.remember()
        self.lab.write(self.file, file)
        self.process.signal(signal.SIGHUP)
        self.process.wait_for_line(r"new configuration is in force")

    def stop(self):
        """Ends as people end it: with its mappings deleted."""
        self.process.signal(signal.SIGTERM)
        assert self.process.wait() == 0

    def children(self, of=None):
        """The process ids of launchers and of what they started."""
        of = of or self.process.pid
        with open(f"/proc/{of}/task/{of}/children", encoding="ascii") as f:
            found = [int(p) for p in f.read().split()]
        return found + [c for p in found for c in self._children_of(p)]

    def _children_of(self, pid):
        try:
            return self.children(pid)
        except OSError:  # it has ended meanwhile
            return []

    def count_lines(self, pattern):
        """How many lines that fit were logged since process.remember()."""
        return len(re.findall(pattern, self.process.log()[self.process.mark:], re.MULTILINE))
