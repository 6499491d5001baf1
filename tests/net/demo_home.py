#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""demo-home: a relay behind a home router, reachable because postern-natd keeps its ports mapped.

A home with a router that does NAT and speaks PCP and UPnP (miniupnpd), a relay and natd in it, an
agent beside the relay, and a laptop on the internet that dials the home's public address.  Then the
router is switched off and on again, and everything comes back by itself.
"""
import argparse
import hashlib
import json
import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import enter                                              # noqa: E402
from demo import paint, say, step                         # noqa: E402
from gateway import Gateway                               # noqa: E402
from netlab import Lab, wait_until                        # noqa: E402
from peers import MIB, need                               # noqa: E402
from world import World, set_blocks                       # noqa: E402

SIZE = 32 * MIB
FORWARD = 8080
LAN, WAN = "192.168.77", "45.0.0.10"
OFF_S = 3.0  # how long the router is without power
PROGRAMS = ("postern-relayd", "postern-agent", "postern-natd", "postern")

PICTURE = """
          home                           router             the internet
  +---------------------+          +---------------+
  | postern-relayd :443 |   asks   |  NAT          |       +---------------+
  | postern-natd      --|--------> |  PCP, UPnP    | <-----| laptop        |
  | 192.168.77.2        |          |  45.0.0.10    |  443  | postern-agent |
  +---------------------+          +---------------+       | 45.0.0.100    |
  | nas: postern-agent  |                                  +---------------+
  | 192.168.77.3        |          a STUN server: 45.0.0.3
  +---------------------+
"""


class Home:
    """The cast, and what each step needs of it."""

    def __init__(self, lab):
        self.lab = lab
        self.world = w = World(lab)
        lab.internet()
        w.laptop = lab.public("laptop", "45.0.0.100")
        self.stun_host = lab.public("stun", "45.0.0.3")
        self.stun_host.ip("addr", "add", "45.0.0.4/24", "dev", "eth0")
        self.router, w.relay_host, w.home = lab.home("home", WAN, LAN, ["relay", "nas"])
        w.relay_name = "home.example.org"
        self.gateway = Gateway(lab, self.router, LAN)
        self.socket = lab.path("natd.sock")
        self.natd = self.relay = self.nas = self.laptop = None

    def start_programs(self):
        lab, w = self.lab, self.world
        self.start_stun()
        self.gateway.start()
        self.natd = w.relay_host.start(
            [f"{lab.build}/postern-natd", "--map", "tcp:443", "--map", "udp:443", "--stun",
             "stun.example.org:3478", "--socket", self.socket, "--log-level", "info"], "natd")
        self.natd.must_end_well = True
        self.relay = w.relay()
        root = lab.path("files")
        os.makedirs(root)
        w.home.start([need("python3"), "-m", "http.server", "80", "--directory", root], "files")
        wait_until("the nas serves files", lambda: accepts(w.home, "127.0.0.1", 80))
        nas = w.issue_agent("nas", publish={"files": "127.0.0.1:80"})
        # Beside the relay it dials the LAN's address; the relay's certificate names the public one.
        set_blocks(nas, {"relays": f"  - address: {LAN}.2:443\n    server_name: {w.relay_name}"})
        self.nas = w.start_agent(w.home, nas, "nas")
        return root

    def start_stun(self):
        """A relay answers STUN, too: this one stands on the internet and does nothing else."""
        w = self.world
        out = self.lab.path("stun.yaml")
        w.tool("pki", "issue", w.pki, "relay", "stun", "--host", "stun.example.org", "--listen",
               "45.0.0.3:443", "--out", out)
        set_blocks(out, {"engine": self.lab.engine, "stun":
                         "  behaviour:\n    address: 45.0.0.3:3478\n    other: 45.0.0.4:3479"})
        w.start_relay(out, self.stun_host)

    def nat_status(self, *more):
        return self.world.relay_host.run([f"{self.lab.build}/postern", "nat", "status", "--socket",
                                          self.socket, *more]).stdout

    def verified(self, name):
        mappings = json.loads(self.nat_status("--json"))["mappings"]
        return any(m["name"] == name and m["state"] == "verified" for m in mappings)

    def wait_mapped(self):
        """Seconds until both ports are in the router's tables."""
        start = time.monotonic()
        wait_until("both ports are mapped", lambda: len(self.gateway.mappings()) == 2, 30)
        return time.monotonic() - start


def fetch(home):
    """The nas's file through laptop, router, relay and nas: (SHA-256, MiB/s)."""
    start = time.monotonic()
    digest = hashlib.sha256()
    with home.world.laptop.connect("127.0.0.1", FORWARD, timeout=30) as s:
        s.sendall(b"GET /file.bin HTTP/1.0\r\nHost: nas\r\n\r\n")
        reader = s.makefile("rb", buffering=1 << 20)
        if b" 200 " not in reader.readline():
            raise AssertionError("the nas did not answer with the file")
        while reader.readline() not in (b"\r\n", b""):
            pass
        done = 0
        while piece := reader.read(1 << 20):
            digest.update(piece)
            done += len(piece)
    if done != SIZE:
        raise AssertionError(f"{done} of {SIZE} bytes arrived")
    return digest.hexdigest(), done / (time.monotonic() - start) / MIB


def accepts(host, address, port):
    """Whether a connection from host is taken there right now."""
    try:
        host.connect(address, port, timeout=0.3).close()
        return True
    except OSError:
        return False


def reachable(home):
    """Whether a stranger on the internet reaches the relay."""
    return accepts(home.world.laptop, WAN, 443)


def show(home):
    root = home.start_programs()
    data = os.urandom(SIZE)
    with open(os.path.join(root, "file.bin"), "wb") as f:
        f.write(data)
    digest = hashlib.sha256(data).hexdigest()
    say(PICTURE.strip("\n"))
    say()
    home.wait_mapped()
    step("postern-natd found the router and mapped 443, TCP and UDP")
    log = home.natd.log()
    say(f"  {paint('dim', sentence(log, 'tcp 443: .*-> mapped'))}")
    step(f"an agent outside dials {WAN}:443, and reaches the nas behind the relay")
    home.laptop = home.world.agent(home.world.laptop, "laptop", forward={FORWARD: "nas/files"})
    got, rate = fetch(home)
    check(got, digest)
    say(f"  {SIZE // MIB} MiB at {rate:.0f} MiB/s, SHA-256 {got[:16]}... "
        f"{paint('good', 'is right')}")
    wait_until("tcp 443 is verified", lambda: home.verified("tcp 443"), 20, 0.3)
    step("postern nat status")
    say("  " + home.nat_status().rstrip("\n").replace("\n", "\n  "))
    reboot(home)
    got, rate = fetch_again(home)
    check(got, digest)
    step(f"the same file, with no hand laid on anything: {rate:.0f} MiB/s, "
         f"{paint('good', 'SHA-256 is right')}")
    for p in (home.laptop, home.nas, home.natd):
        p.signal(15)
        p.wait(10)
    left = home.gateway.mappings()
    if left:
        raise AssertionError(f"natd left mappings behind: {left}")
    step("natd has ended, and its mappings are gone from the router")


def reboot(home):
    step(f"the router loses power for {OFF_S:.0f} seconds: mappings and connections are gone")
    home.natd.remember()
    home.gateway.power_off()
    if reachable(home):
        raise AssertionError("a router without power lets connections in")
    time.sleep(OFF_S)
    home.gateway.power_on()
    start = time.monotonic()
    took = home.wait_mapped()
    wait_until("the relay is reachable", lambda: reachable(home), 30)
    since = home.natd.log()[home.natd.mark:]
    for pattern in ("the gateway restarted: .*", "tcp 443: .*-> mapped.*"):
        say(f"  {paint('dim', sentence(since, pattern))}")
    step(f"{paint('good', 'mapped again')} {took:.2f} s after it was back, and a stranger reaches the "
         f"relay after {time.monotonic() - start:.2f} s")


def fetch_again(home):
    """The agent outside notices by itself that its link is dead, if it is, and dials again."""
    last = [None]

    def look():
        try:
            last[0] = fetch(home)
        except (OSError, AssertionError):
            return False
        return True

    wait_until("the agent outside is back", look, 60, 0.5)
    return last[0]


def sentence(log, pattern):
    """The last log line that fits, without its date."""
    lines = [line for line in log.splitlines() if re.search(pattern, line)]
    return re.sub(r"^\S+ ", "", lines[-1]) if lines else f"(no line: {pattern})"


def check(got, digest):
    if got != digest:
        raise AssertionError(f"SHA-256 {got} arrived, {digest} was sent")


def main():
    parser = argparse.ArgumentParser(prog="demo-home", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--build", default="build", metavar="DIR", help="where the programs are")
    options = parser.parse_args()
    missing = [p for p in PROGRAMS if not os.access(os.path.join(options.build, p), os.X_OK)]
    if missing:
        print(f"{options.build} has no {', '.join(missing)}; run 'make' first", file=sys.stderr)
        return 2
    try:
        enter.enter()
    except enter.Refused as e:
        print(f"This demo is about a router, and needs network namespaces.\n{e}", file=sys.stderr)
        return 1
    enter.on_signals()
    start = time.monotonic()
    say(paint("head", "Postern at home: a relay behind a router that needs no configuration"))
    lab = Lab(options.build, "auto", "demo-home")
    try:
        with lab:
            show(Home(lab))
    except KeyboardInterrupt:
        say("\nstopped; nothing is left behind")
        return 130
    except (AssertionError, OSError) as e:
        say(f"\nthe demo failed: {e}\n{lab.report}")
        return 1
    say()
    step(f"done in {time.monotonic() - start:.0f} s; all of it is gone again")
    return 0


if __name__ == "__main__":
    sys.exit(main())
