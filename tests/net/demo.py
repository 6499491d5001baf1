#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""demo: Postern at work, for real, in a minute: two homes that cannot be dialled, and a relay.

Builds the networks, issues the identities, starts the three programs, moves a file from one home
to the other, fetches a page from an unmodified web server by its name, and leaves nothing behind.
"""
import argparse
import hashlib
import os
import re
import sys
import textwrap
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import enter                                              # noqa: E402
from netlab import Lab, LoopbackLab                       # noqa: E402
from peers import MIB, WebCa, need, nginx                 # noqa: E402
from world import World                                   # noqa: E402

SIZE = 256 * MIB
FORWARD_PORT = 8080
TTY = sys.stdout.isatty()
COLOURS = {"good": "32", "name": "36", "dim": "2", "head": "1"}


def paint(kind, text):
    if not TTY or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{COLOURS[kind]}m{text}\033[0m"


def say(text=""):
    print(text, flush=True)


def step(text):
    say(f"{paint('good', '*')} {text}")


# ---- the picture --------------------------------------------------------------------------------

def picture(p):
    """Who is where, in 80 columns."""
    def box(text):
        return f"| {text:<15} |"

    edge, gap = "+" + "-" * 17 + "+", " " * 10
    rows = [
        (f"{'home A':^19}", f"{p['relay_name']:^19}", f"{'home B':^19}", gap, gap),
        (edge, edge, edge, gap, gap),
        (box("laptop"), box(p["where"]), box("home"), f"{p['nat_a']:^10}",
         f"{p['nat_b']:^10}"),
        (box(p["laptop"]), box(p["relay"]), box(p["home"]), f"{p['wan_a']:^10}",
         f"{p['wan_b']:^10}"),
        (box("postern-agent"), box("postern-relayd"), box("postern-agent"), " ======>  ",
         "  <====== "),
        (box(f"forward :{p['forward']}"), box("holds no key"), box(f"nginx {p['nginx']}"),
         gap, gap),
        (edge, edge, edge, gap, gap),
    ]
    lines = [f"  {a}{x}{b}{y}{c}".rstrip() for a, b, c, x, y in rows]
    middle = " " * (2 + 19 + 10 + 9)
    lines += [middle + "^", middle + "|  TLS 443, by name: www.example.org",
              middle + f"curl on {p['visitor']}: unmodified, no agent"]
    for line in lines:
        assert len(line) <= 80, line
        line = re.sub(r"postern-\w+", lambda m: paint("name", m.group()), line)
        say(re.sub(r"=+>|<=+", lambda m: paint("good", m.group()), line))


# ---- the file -----------------------------------------------------------------------------------

def make_file(path):
    """SIZE bytes that do not compress, and their SHA-256."""
    digest = hashlib.sha256()
    with open(path, "wb") as f:
        for _ in range(SIZE // (4 * MIB)):
            piece = os.urandom(4 * MIB)
            digest.update(piece)
            f.write(piece)
    return digest.hexdigest()


class Progress:
    """A bar on a terminal; elsewhere a line for every quarter."""

    def __init__(self, total):
        self.total, self.start, self.next = total, time.monotonic(), 0.0

    def show(self, done):
        now = time.monotonic()
        share, rate = done / self.total, done / max(now - self.start, 1e-6) / MIB
        text = f"{done // MIB:4d} of {self.total // MIB} MiB  {rate:6.0f} MiB/s"
        if TTY:
            if now >= self.next or done == self.total:
                self.next = now + 0.05
                bar = "#" * int(share * 36)
                print(f"\r  [{paint('good', bar)}{' ' * (36 - len(bar))}] {text}",
                      end="\n" if done == self.total else "", flush=True)
        elif share >= self.next + 0.25:
            self.next += 0.25
            say(f"  {share:4.0%}  {text}")
        return rate


def fetch(w, port):
    """Reads the file through the forward; (SHA-256, MiB/s)."""
    digest, progress = hashlib.sha256(), Progress(SIZE)
    with w.laptop.connect("127.0.0.1", port, timeout=30) as s:
        s.sendall(b"GET /file.bin HTTP/1.0\r\nHost: files\r\n\r\n")
        reader = s.makefile("rb", buffering=1 << 20)
        status = reader.readline()
        if b" 200 " not in status:
            raise AssertionError(f"the far end said {status!r}")
        while reader.readline() not in (b"\r\n", b""):
            pass
        done, rate, buffer = 0, 0.0, bytearray(1 << 20)
        view = memoryview(buffer)
        while got := reader.readinto1(view):
            digest.update(view[:got])
            done += got
            rate = progress.show(done)
    if done != SIZE:
        raise AssertionError(f"{done} of {SIZE} bytes arrived")
    return digest.hexdigest(), rate


# ---- the two stages -----------------------------------------------------------------------------

def in_namespaces(lab):
    w = World(lab).two_homes("port-restricted", "symmetric")
    w.ports = {"files": 80, "web": 443, "forward": FORWARD_PORT}
    w.plan = {"relay_name": w.relay_name, "relay": "45.0.0.2:443", "laptop": "192.168.10.2",
              "home": "192.168.20.2", "visitor": "45.0.0.100", "where": "on the internet",
              "forward": w.ports["forward"], "nginx": ":80 :443", "nat_a": "NAT", "nat_b": "NAT",
              "wan_a": "45.0.0.10", "wan_b": "45.0.0.20"}
    return w


def on_loopback(lab):
    w = World(lab)
    for name in ("relay_host", "visitor", "laptop", "home"):
        setattr(w, name, lab.host(name))
    w.relay_name = w.relay_address = "127.0.0.1"
    w.relay_port = lab.free_port()
    w.ports = {"files": lab.free_port(), "web": lab.free_port(), "forward": lab.free_port()}
    here = "127.0.0.1"
    w.plan = {"relay_name": "relay", "relay": f"{here}:{w.relay_port}", "laptop": here,
              "home": here, "visitor": here, "where": "same machine",
              "forward": w.ports["forward"], "nginx": f":{w.ports['web']}",
              "nat_a": "", "nat_b": "", "wan_a": "loopback", "wan_b": "loopback"}
    return w


def show(lab, w):
    start = time.monotonic()
    root = lab.path("files-root")
    os.makedirs(root)
    digest = make_file(os.path.join(root, "file.bin"))
    ca = WebCa(lab)
    nginx(w.home, "files", w.ports["files"])
    nginx(w.home, "web", w.ports["web"], tls=ca.issue("www.example.org"))
    step("postern pki: a CA, and one file for each of relay, home and laptop")
    relay = w.relay(public={"www.example.org": "home/web"})
    home = w.agent(w.home, "home", public=["web"],
                   publish={"files": f"127.0.0.1:{w.ports['files']}",
                            "web": f"127.0.0.1:{w.ports['web']}"})
    laptop = w.agent(w.laptop, "laptop", forward={w.ports["forward"]: "home/files"})
    step("relay and both agents are up; no connection went into a home")
    say()
    picture(w.plan)
    say()
    step(f"{SIZE // MIB} MiB from home B to home A, encrypted from agent to agent")
    got, rate = fetch(w, w.ports["forward"])
    if got != digest:
        raise AssertionError(f"SHA-256 {got} arrived, {digest} was sent")
    say(f"  SHA-256 {got[:32]}... {paint('good', 'is the same at both ends')}")
    step("https://www.example.org/ by an unmodified curl: TLS ends in nginx at home B")
    page = w.visitor.run(
        [need("curl"), "-sSf", "-m", "20", "--noproxy", "*", "--cacert", ca.certificate,
         "--connect-to", f"www.example.org:443:{w.plan['relay']}", "-w",
         "%{http_version} %{ssl_verify_result}", "https://www.example.org/"]).stdout
    title = re.search(r"<h1>(.*)</h1>", page).group(1)
    say(f"  200 OK, certificate of \"Example Web CA\": {paint('good', title)}")
    relay.wait_idle()
    what_the_relay_saw(relay, rate)
    for p in (laptop, home, relay.process):
        p.signal(15)
        p.wait(10)
    return time.monotonic() - start


def what_the_relay_saw(relay, rate):
    status = relay.status()
    say()
    say(paint("head", "What the relay saw"))
    say(f"  sessions      {status['sessions_total']}, from {status['links']} agents and one "
        "stranger")
    say(f"  bytes         {status['bytes_total']:,} of other people's TLS, at {rate:.0f} MiB/s")
    say("  keys to it    none: the agents' TLS ends at the agents, the page's in nginx")
    for line in restrictions(relay):
        say(f"  {line}")


def restrictions(relay):
    """What the kernel forbids the relay, as it logged when it sealed itself, and its engine."""
    sealed = re.search(r"cannot dial out; enforced by: ([^;\n]*)", relay.log(), re.MULTILINE)
    if sealed:
        words = ", ".join(sealed.group(1).split())
        yield from textwrap.wrap(f"the kernel refuses: {words}", 78,
                                 initial_indent="cannot dial   ", subsequent_indent=" " * 14)
    engine = re.search(r"engine: (\w+)", relay.log())
    if engine:
        yield f"engine        {engine.group(1)}"


NEXT = """
{head} (after 'make install')
  postern pki init pki
      your own CA; its key stays on this machine
  postern pki issue pki relay r1 --host relay.example.org \\
      --listen 0.0.0.0:443 --out r1.yaml
  postern pki issue pki agent home --relay relay.example.org:443 \\
      --publish ssh=127.0.0.1:22 --out home.yaml
  postern pki issue pki agent laptop --relay relay.example.org:443 \\
      --forward 127.0.0.1:2222=home/ssh --out laptop.yaml
      one file for each machine; then, on the machine that it is for:
  postern-relayd -c r1.yaml
  postern-agent -c home.yaml
  postern-agent -c laptop.yaml
  ssh -p 2222 127.0.0.1
      on the laptop: that is home"""


def main():
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--build", default="build", metavar="DIR", help="where the programs are")
    parser.add_argument("--loopback", action="store_true", help="do not use namespaces")
    options = parser.parse_args()
    missing = [p for p in ("postern-relayd", "postern-agent", "postern")
               if not os.access(os.path.join(options.build, p), os.X_OK)]
    if missing:
        print(f"{options.build} has no {', '.join(missing)}; run 'make' first", file=sys.stderr)
        return 2
    kind, stage = Lab, in_namespaces
    try:
        if options.loopback:
            raise enter.Refused("as you asked")
        enter.enter()
    except enter.Refused as e:
        kind, stage = LoopbackLab, on_loopback
        say(f"No network namespaces ({e}):\neverything runs on loopback, without NAT.\n")
    enter.on_signals()
    say(paint("head", "Postern: two homes that cannot be dialled meet at a relay that never dials"))
    lab = kind(options.build, "auto", "demo")
    try:
        with lab:
            took = show(lab, stage(lab))
    except KeyboardInterrupt:
        say("\nstopped; nothing is left behind")
        return 130
    except (AssertionError, OSError) as e:
        say(f"\nthe demo failed: {e}\n{lab.report}")
        return 1
    say()
    step(f"done in {took:.0f} s; all of it is gone again")
    say(NEXT.format(head=paint("head", "What to type next")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
