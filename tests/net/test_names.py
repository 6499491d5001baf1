# SPDX-License-Identifier: Apache-2.0
"""Names: servers that are silent, change or are found late; answers that come in part; what is said."""
import os
import shutil
import threading
import time

from names import A, AAAA, CNAME, Dns, Etc
from peers import WebCa, echo, nginx
from runner import limit
from world import World

RELAY = {"relay.example.org": {A: ["45.0.0.2"]}}
ZONE = {**RELAY, "nas.lan": {A: ["127.0.0.1"]}}


def cast(lab):
    """A relay, and a service on the home host; the home's agent is the test's to start."""
    w = World(lab).two_homes()
    w.home.serve(7000, echo)
    w.relay()
    return w


def answers(w, port=7001, timeout=30.0):
    """Whether the echo service answers a new session, and how long it took."""
    start = time.monotonic()
    try:
        with w.laptop.connect("127.0.0.1", port, timeout=timeout) as s:
            s.sendall(b"ping")
            got = s.recv(4)
    except OSError:
        got = b""
    return got == b"ping", time.monotonic() - start


def up(p, within):
    start = time.monotonic()
    p.wait_for_line(r"link: up\b", within)
    return time.monotonic() - start


@limit(60)
def test_dropped_aaaa(lab):
    """Something on the way drops the questions for AAAA: A does not wait for them."""
    w = cast(lab)
    servers = [Dns(w.home, ZONE, f"127.0.0.{i}", silent=(AAAA,)) for i in (1, 2)]
    etc = Etc(lab, "nameserver 127.0.0.1\nnameserver 127.0.0.2\n")
    config = w.issue_agent("home", publish={"echo": "nas.lan:7000"})
    etc.agent(w.home, config, "home", wait=3)
    w.agent(w.laptop, "laptop", forward={7001: "home/echo"})
    for _ in range(3):
        ok, took = answers(w)
        assert ok and took < 1, (ok, took)
    assert servers[0].asked("nas.lan")


@limit(60)
def test_odd_answers(lab):
    """A server that fails for AAAA in each way; an alias, and a short name through the search list."""
    w = cast(lab)
    zone = {"relay.example.org": {CNAME: ["r.cdn.example.net"]}, "r.cdn.example.net": {A: ["45.0.0.2"]},
            "nas.lan": {CNAME: ["nas2.lan"]}, "nas2.lan": {A: ["127.0.0.1"]}}
    w.agent(w.laptop, "laptop", forward={7001: "home/echo"})
    for code in (0, 2, 3, 4, 5):
        dns = Dns(w.home, zone, rcode={AAAA: code} if code else {})
        etc = Etc(lab, "search corp.example lan\nnameserver 127.0.0.1\noptions ndots:2\n")
        target = "nas.lan" if code else "nas"
        config = w.issue_agent("home", publish={"echo": f"{target}:7000"}, out=f"home-{code}.yaml")
        p = etc.agent(w.home, config, "home", wait=5)
        ok, took = answers(w)
        assert ok and took < 3, (code, ok, took)
        p.signal(15)
        p.wait()
        dns.close()
        shutil.rmtree(etc.dir)


@limit(60)
def test_a_server_that_fails_is_not_called_silent(lab):
    w = cast(lab)
    Dns(w.home, {}, rcode={A: 2, AAAA: 2})
    config = w.issue_agent("home", publish={"echo": "nas.lan:7000"}, blocks={"retry_max": "1s"})
    p = Etc(lab).agent(w.home, config, "home", wait=None)
    said = p.wait_for_line(r"link: .*could not be resolved.*", 8).group(0)
    assert "name server 127.0.0.1 does not tell: it fails, or refuses" in said, said


@limit(60)
def test_first_server_dead(lab):
    """It costs the first who asks a second, and those after them nothing."""
    w = cast(lab)
    Dns(w.home, {**ZONE, "other.lan": {A: ["127.0.0.1"]}})
    etc = Etc(lab, "nameserver 45.0.0.99\nnameserver 127.0.0.1\n")
    config = w.issue_agent("home", publish={"echo": "nas.lan:7000", "other": "other.lan:7000"})
    p = etc.agent(w.home, config, "home", wait=4)
    w.agent(w.laptop, "laptop", forward={7001: "home/echo", 7002: "home/other"})
    for port in (7001, 7002):
        ok, took = answers(w, port)
        assert ok and took < 0.8, (ok, took)
    p.wait_for_line(r"names: name server 45\.0\.0\.99 does not answer; .* after 127\.0\.0\.1", 2)


@limit(90)
def test_servers_change_while_busy(lab):
    """A network manager writes another server while names are asked for all the time."""
    w = cast(lab)
    zone = {"nas.lan": {A: ["127.0.0.1"]}}
    old, new = Dns(w.home, zone, ttl=0), Dns(w.home, zone, "127.0.0.2", ttl=0)
    etc = Etc(lab, hosts="127.0.0.1 localhost\n45.0.0.2 relay.example.org\n")
    config = w.issue_agent("home", publish={"echo": "nas.lan:7000"})
    etc.agent(w.home, config, "home")
    w.agent(w.laptop, "laptop", forward={7001: "home/echo"})
    assert answers(w)[0]
    results, threads, stop = [], [], threading.Event()

    def client():
        while not stop.wait(0.2):
            t = threading.Thread(target=lambda: results.append((time.monotonic(), answers(w))))
            threads.append(t)
            t.start()

    asking = threading.Thread(target=client)
    asking.start()
    try:
        time.sleep(1)
        old.off = True
        time.sleep(2)
        assert not new.seen
        etc.write("resolv.conf", "nameserver 127.0.0.2\n")
        changed = time.monotonic()
        time.sleep(6)
    finally:
        stop.set()
        asking.join()
        for t in threads:
            t.join()
    assert new.seen and new.seen[0][0] - changed < 2, new.seen[:1]
    late = [r for at, r in results if at - r[1] > changed + 2]
    assert len(late) > 10 and all(ok for ok, _ in late), late


@limit(60)
def test_answers_are_kept(lab):
    """Each session does not ask anew; what an operator writes into hosts counts at once."""
    w = cast(lab)
    dns = Dns(w.home, {"nas.lan": {A: ["127.0.0.1"]}}, ttl=300)
    etc = Etc(lab, hosts="127.0.0.1 localhost\n45.0.0.2 relay.example.org\n")
    config = w.issue_agent("home", publish={"echo": "nas.lan:7000"})
    etc.agent(w.home, config, "home")
    w.agent(w.laptop, "laptop", forward={7001: "home/echo"})
    for _ in range(6):
        assert answers(w)[0]
    assert 1 <= dns.asked("nas.lan") <= 3, dns.seen
    etc.write("hosts", "127.0.0.1 localhost\n45.0.0.2 relay.example.org\n127.0.0.9 nas.lan\n")
    time.sleep(1.2)  # it is looked once a second
    before = dns.asked("nas.lan")
    assert answers(w)[0]
    assert dns.asked("nas.lan") == before, "hosts is asked first"


def elsewhere(lab, parent):
    path = f"{parent}/postern-names-{os.getpid()}-{lab.name.replace('/', '-')}"
    shutil.rmtree(path, ignore_errors=True)
    lab.callbacks.append(lambda: shutil.rmtree(path, ignore_errors=True))
    return path


def make(path, mode=0o644):
    os.makedirs(path, 0o755, exist_ok=True)
    os.chmod(path, 0o755)
    with open(f"{path}/resolv.conf", "w", encoding="ascii") as f:
        f.write("nameserver 127.0.0.53\n")
    os.chmod(f"{path}/resolv.conf", mode)


@limit(90)
def test_resolv_conf_leads_elsewhere(lab):
    """A link beneath /run to what is made only later, and one out of both at the start."""
    w = cast(lab)
    Dns(w.home, RELAY, "127.0.0.53")
    etc = Etc(lab)
    path = elsewhere(lab, "/run")
    etc.link("resolv.conf", f"{path}/resolv.conf")
    config = w.issue_agent("home", blocks={"retry_max": "1s"})
    p = etc.agent(w.home, config, "home", wait=None)
    said = p.wait_for_line(r"link: .*could not be resolved.*", 8).group(0)
    assert "/etc/resolv.conf cannot be read: No such file or directory" in said, said
    make(path)
    up(p, 4)
    p.signal(15)
    p.wait()
    path = elsewhere(lab, "/var/tmp")
    make(path)
    etc.link("resolv.conf", f"{path}/resolv.conf")
    p = etc.agent(w.home, config, "home", wait=4)
    p.signal(15)
    p.wait()


@limit(60)
def test_what_hung_is_named(lab):
    """The name servers, by their addresses; a file that may not be read."""
    w = cast(lab)
    dns = Dns(w.home, ZONE)
    dns.off = True
    etc = Etc(lab, "nameserver 127.0.0.1\nnameserver 45.0.0.99\n")
    config = w.issue_agent("home", publish={"echo": "nas.lan:7000"}, blocks={"retry_max": "1s"})
    p = etc.agent(w.home, config, "home", wait=None)
    said = p.wait_for_line(r"link: .*relay\.example\.org.*could not be.*", 8).group(0)
    assert "name servers 127.0.0.1 and 45.0.0.99 do not answer" in said, said
    assert "firewall" not in said, said
    dns.off = False
    up(p, 8)
    dns.off = True
    w.agent(w.laptop, "laptop", forward={7001: "home/echo"})
    p.remember()
    assert not answers(w)[0]
    said = p.wait_for_line(r"nas\.lan.*could not be.*", 4).group(0)
    assert "name servers 127.0.0.1 and 45.0.0.99 do not answer" in said, said


@limit(60)
def test_this_hosts_own_lack(lab):
    """No local port, and no descriptor: neither is blamed on the relay or a firewall."""
    w = cast(lab)
    etc = Etc(lab, hosts="127.0.0.1 localhost\n45.0.0.2 relay.example.org\n")
    config = w.issue_agent("home", publish={"echo": "127.0.0.1:7000"}, blocks={"retry_max": "1s"})
    w.home.run(["sysctl", "-w", "net.ipv4.ip_local_port_range=40000 40000"])
    busy = [w.home.connect("45.0.0.2", 443)]
    p = etc.agent(w.home, config, "home", wait=None)
    said = p.wait_for_line(r"link: .*no local port left.*", 5).group(0)
    assert "net.ipv4.ip_local_port_range" in said and "firewall" not in said, said
    w.home.run(["sysctl", "-w", "net.ipv4.ip_local_port_range=40000 50000"])
    up(p, 4)
    busy[0].close()


@limit(90)
def test_an_address_that_is_no_relay_is_tried_last(lab):
    """Behind one address somebody accepts and says nothing, or another server answers."""
    w = cast(lab)
    other = lab.public("other", "45.0.0.1")  # addresses are tried in their order
    mute = other.listen(443)
    w.agent(w.laptop, "laptop", forward={7001: "home/echo"})
    for kind, said in (("mute", r"accepted the connection at 45\.0\.0\.1:443 but did not finish"),
                       ("web", r"is another server, .*it answered at 45\.0\.0\.1:443")):
        if kind == "web":
            mute.close()
            nginx(other, port=443, tls=WebCa(lab).issue("www.example.net"))
        dns = Dns(w.home, {"relay.example.org": {A: ["45.0.0.1", "45.0.0.2"]}})
        etc = Etc(lab)
        config = w.issue_agent("home", publish={"echo": "127.0.0.1:7000"}, out=f"home-{kind}.yaml",
                               blocks={"dial": "4s", "retry_max": "2s"})
        start = time.monotonic()
        p = etc.agent(w.home, config, "home", wait=None)
        up(p, 8)
        p.wait_for_line(said, 1)
        # The legs find it, too.
        ok, took = answers(w)
        assert ok and took < 1.5, (ok, took)
        assert time.monotonic() - start < 8
        p.signal(15)
        p.wait()
        dns.close()
        shutil.rmtree(etc.dir)


@limit(60)
def test_many_addresses(lab):
    """Of twenty the last is the relay."""
    w = cast(lab)
    Dns(w.home, {"relay.example.org": {A: [f"45.0.0.{n}" for n in range(130, 149)] + ["45.0.0.2"]}})
    config = w.issue_agent("home", publish={"echo": "127.0.0.1:7000"})
    Etc(lab).agent(w.home, config, "home", wait=9)


@limit(60)
def test_nat64(lab):
    """A network with IPv6 alone: the relay's IPv4 address by a name with A alone, and bare."""
    w = World(lab)
    lab.internet()
    w.relay_host, w.home = lab.public("relay", "45.0.0.2"), lab.public("home", "45.0.0.20")
    w.home.ip("addr", "flush", "dev", "eth0")
    w.home.ip("addr", "add", "64:ff9b::20/96", "dev", "eth0", "nodad")
    # In the place of a translator: the relay has the address that one would lead to it from.
    w.relay_host.ip("addr", "add", "64:ff9b::45.0.0.2/96", "dev", "eth0", "nodad")
    Dns(w.home, {"relay.example.org": {A: ["45.0.0.2"]},
                 "ipv4only.arpa": {A: ["192.0.0.170"], AAAA: ["64:ff9b::192.0.0.170"]}})
    etc = Etc(lab)
    w.relay_address = "[::]"
    for n, host in enumerate(("relay.example.org", "45.0.0.2")):
        w.relay_name = host
        relay = w.start_relay(w.issue_relay(f"relay{n}"))
        config = w.issue_agent("home", out=f"home{n}.yaml")
        p = etc.agent(w.home, config, "home", wait=5)
        p.signal(15)
        p.wait()
        relay.process.signal(15)
        relay.process.wait()
