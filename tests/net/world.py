# SPDX-License-Identifier: Apache-2.0
"""world: Postern's programs in a lab: the operator's CA, the relay, agents, and what they log."""
import os
import re
import signal
import subprocess

from netlab import wait_until

RELAY_NAME, SECOND_NAME = "relay.example.org", "relay2.example.org"
RELAY6_NAME = "relay6.example.org"


class Relay:
    """A running postern-relayd."""

    def __init__(self, process, config):
        self.process, self.config = process, config
        self.log, self.wait_for_line = process.log, process.wait_for_line
        self.remember, self.signal = process.remember, process.signal

    @property
    def pid(self):
        return self.process.pid

    def status(self, timeout=5.0):
        """Its counters, as SIGUSR1 makes it log them: {"sessions": 0, "refused_PROOF": 1, ...}."""
        self.remember()
        self.signal(signal.SIGUSR1)
        line = self.wait_for_line(r"status: (.*)$", timeout).group(1)
        return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}

    def wait_status(self, key, at_least, timeout=10.0):
        return wait_until(f"relay counts {key}>={at_least}",
                          lambda: self.status().get(key, 0) >= at_least, timeout, 0.1)

    def wait_idle(self, timeout=10.0):
        wait_until("relay has no session", lambda: self.status()["sessions"] == 0, timeout, 0.1)


class World:
    """A lab with Postern in it.  Hosts are made by one of the topologies below."""

    def __init__(self, lab, pki="pki"):
        self.lab = lab
        self.pki = lab.path(pki)
        self.tool("pki", "init", self.pki)
        self.ca = os.path.join(self.pki, "ca.pem")
        self.relay_name, self.relay_address, self.relay_port = RELAY_NAME, "0.0.0.0", 443

    def tool(self, *arguments, check=True):
        """Runs the postern command."""
        argv = [os.path.join(self.lab.build, "postern"), *map(str, arguments)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30,
                              stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise AssertionError(f"postern {' '.join(argv[1:])}: status {done.returncode}: "
                                 f"{done.stdout}{done.stderr}")
        return done

    # ---- topologies

    def two_homes(self, nat_a="port-restricted", nat_b="port-restricted"):
        """Two homes behind NAT, a relay and a visitor on the internet."""
        lab = self.lab
        lab.internet()
        self.relay_host = lab.public("relay", "45.0.0.2")
        self.visitor = lab.public("visitor", "45.0.0.100")
        self.router_a, self.laptop = lab.home("a", "45.0.0.10", "192.168.10", ["laptop"], nat_a)
        self.router_b, self.home = lab.home("b", "45.0.0.20", "192.168.20", ["home"], nat_b)
        return self

    def with_ipv6(self):
        """The same two homes with IPv6 beside: prefixes of their own, a firewall and no NAT."""
        addresses = [(self.relay_host, "eth0", "2a00:45::2/64"),
                     (self.visitor, "eth0", "2a00:45::64/64")]
        for n, (router, host) in enumerate(((self.router_a, self.laptop),
                                            (self.router_b, self.home)), 10):
            lan, wan = f"2a00:45:{n}::", f"2a00:45::{n}"
            addresses += [(router, "wan0", f"{wan}/64"), (router, "lan0", f"{lan}1/64"),
                          (host, "eth0", f"{lan}2/64")]
            with router.inside(), open("/proc/sys/net/ipv6/conf/all/forwarding", "w",
                                       encoding="ascii") as f:
                f.write("1")
        for host, interface, address in addresses:
            host.ip("-6", "addr", "add", address, "dev", interface, "nodad")
        for n, (router, host) in enumerate(((self.router_a, self.laptop),
                                            (self.router_b, self.home)), 10):
            host.ip("-6", "route", "add", "default", "via", f"2a00:45:{n}::1")
            for other in (self.relay_host, self.visitor):
                other.ip("-6", "route", "add", f"2a00:45:{n}::/64", "via", f"2a00:45::{n}")
        self.relay_name, self.relay_address = RELAY6_NAME, "[::]"
        return self

    def one_host(self):
        """Everything on one public host, for tests of the relay's front alone."""
        self.lab.internet()
        self.relay_host = self.lab.public("relay", "45.0.0.2")
        self.visitor = self.lab.public("visitor", "45.0.0.100")
        return self

    def two_relays(self):
        """Two homes, and another relay's host; relays() tells both addresses in order."""
        self.two_homes()
        self.second_host = self.lab.public("relay2", "45.0.0.3")
        return self

    def relays(self):
        return [f"{name}:{self.relay_port}" for name in (self.relay_name, SECOND_NAME)]

    # ---- programs

    def issue_relay(self, name="relay", public=None, blocks=None, host=None):
        out = self.lab.path(f"{name}.yaml")
        names = [x for sni, to in (public or {}).items() for x in ("--public", f"{sni}={to}")]
        self.tool("pki", "issue", self.pki, "relay", name, "--host", host or self.relay_name,
                  "--listen", f"{self.relay_address}:{self.relay_port}", *names, "--out", out)
        threads = {"threads": self.lab.threads} if self.lab.threads else {}
        set_blocks(out, {"engine": self.lab.engine, **threads, **(blocks or {})})
        return out

    def issue_agent(self, name, publish=None, forward=None, public=(), allow=None,
                    socks5=None, expires=None, blocks=None, out=None, relays=None, trust=None):
        """forward is {local port: "AGENT/SERVICE"}; publish is {service: "ADDR:PORT"}."""
        out = self.lab.path(out or f"{name}.yaml")
        argv = ["pki", "issue", self.pki, "agent", name]
        for relay in relays or [f"{self.relay_name}:{self.relay_port}"]:
            argv += ["--relay", relay]
        for service, target in (publish or {}).items():
            argv += ["--publish", f"{service}={target}"]
        for port, to in (forward or {}).items():
            argv += ["--forward", f"127.0.0.1:{port}={to}"]
        for service in public:
            argv += ["--public", service]
        for service, agents in (allow or {}).items():
            for agent in agents:
                argv += ["--allow", f"{service}={agent}"]
        if socks5:
            argv += ["--socks5", f"127.0.0.1:{socks5}"]
        if expires:
            argv += ["--expires", expires]
        if trust:
            argv += ["--trust", trust]
        self.tool(*argv, "--out", out)
        set_blocks(out, {"engine": self.lab.engine, **(blocks or {})})
        return out

    def start_relay(self, config, host=None, wait=True):
        process = (host or self.relay_host).start(
            [f"{self.lab.build}/postern-relayd", "-c", config, "--log-level", "info"], "relay")
        process.must_end_well = True
        if wait:
            process.wait_for_line(r"relay: listening\b.*address=")
        return Relay(process, config)

    def start_agent(self, host, config, name="agent", wait=True, env=None, forwards=0):
        process = host.start(
            [f"{self.lab.build}/postern-agent", "-c", config, "--log-level", "info"],
            f"agent-{name}", env=env)
        process.must_end_well = True
        process.config = config
        if wait:
            process.wait_for_line(r"link: up\b.*relay=")
        for _ in range(forwards):
            process.wait_for_line(r"(forward|socks5): listening\b")
        return process

    def relay(self, public=None, blocks=None):
        return self.start_relay(self.issue_relay(public=public, blocks=blocks))

    def agent(self, host, name, wait=True, env=None, **issue):
        """Issues a bundle and starts its agent."""
        config = self.issue_agent(name, **issue)
        expected = 1 if issue.get("forward") or issue.get("socks5") else 0
        return self.start_agent(host, config, name, wait, env, expected if wait else 0)

    def pair(self, port, service="echo", target=None, relay_blocks=None, home_blocks=None,
             laptop_blocks=None, **home):
        """The usual cast: a relay, "home" that publishes one service, "laptop" that forwards the
        same port to it.  Returns (relay, home's agent, laptop's agent)."""
        relay = self.relay(blocks=relay_blocks)
        home_agent = self.agent(self.home, "home", publish={service: target or f"127.0.0.1:{port}"},
                                blocks=home_blocks, **home)
        laptop_agent = self.agent(self.laptop, "laptop", forward={port: f"home/{service}"},
                                  blocks=laptop_blocks)
        return relay, home_agent, laptop_agent


# ---- configuration files ------------------------------------------------------------------------

def write_private(path, text):
    """A file that may hold keys."""
    with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        f.write(text)


def set_blocks(path, blocks):
    """Replaces or adds top-level keys of a YAML file: a value, or an indented block of lines."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for key, value in blocks.items():
        text = with_block(text, key, value)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def with_block(text, key, value):
    """The same for a text and one key."""
    value = str(value).strip("\n")
    block = f"{key}: {value}\n" if "\n" not in value and not value.startswith(" ") else \
        f"{key}:\n{value}\n"
    regex = re.compile(rf"^{re.escape(key)}:.*\n(?:(?:[ \t-].*)?\n)*", re.MULTILINE)
    text, found = regex.subn(lambda m: block, text, count=1)
    return text if found else text.rstrip("\n") + "\n" + block


def get_block(path, key):
    """The lines below a top-level key."""
    with open(path, encoding="utf-8") as f:
        return re.search(rf"^{re.escape(key)}:.*\n((?:(?:[ \t-].*)?\n)*)", f.read(),
                         re.MULTILINE).group(1)


# ---- what the kernel knows about a process ------------------------------------------------------

def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory_kb(pid, field="RssAnon"):
    """Not VmRSS: how much of a shared library the kernel maps beside is its own affair."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        return int(re.search(rf"^{field}:\s+(\d+) kB", f.read(), re.MULTILINE).group(1))


def sanitized(lab):
    """Whether the programs have a sanitizer in them, whose own use of memory and time says nothing."""
    with open(f"{lab.build}/postern-relayd", "rb") as f:
        return b"__asan_init" in f.read()


def check_growth(lab, programs, before, after, limit_bytes):
    """Memory of each program."""
    if sanitized(lab):
        print("built with a sanitizer: memory is not compared")
        return
    for p, a, b in zip(programs, before, after):
        assert (b - a) * 1024 < limit_bytes, \
            f"{p.name} grew by {b - a} kB, and {limit_bytes >> 10} kB are much"


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        user, system = f.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
