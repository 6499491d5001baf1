# SPDX-License-Identifier: Apache-2.0
"""A certificate of a public CA, by real ACME clients against Pebble: the commands of docs/acme.md, as
they stand there. What stands around them tells the clients which server is meant, and whom to trust."""
import base64
import contextlib
import json
import os
import re
import signal

from console import Console
from netlab import wait_until
from peers import WebCa, echo, need, openssl, wait_for_port
from runner import limit
from test_policy import reachable, says
from test_renew import keys_in, serial_of, shown, state
from world import RELAY_NAME, World, set_blocks

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/acme.md")
DIRECTORY, ROOT = "https://acme.example.org/dir", "https://acme.example.org:15000/roots/0"
SYSTEM_CAS = "/etc/ssl/certs/ca-certificates.crt"


def open_text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class AcmeServer:
    """Pebble: its CA is new at each start, and every order has a challenge of its own."""

    def __init__(self, lab):
        host = lab.public("acme", "45.0.0.40")
        self.web = WebCa(lab, "Web CA of Pebble")
        certificate, key = self.web.issue("acme.example.org")
        config = lab.write("pebble.json", json.dumps({"pebble": {
            "listenAddress": "0.0.0.0:443", "managementListenAddress": "0.0.0.0:15000",
            "certificate": certificate, "privateKey": key, "httpPort": 80, "tlsPort": 443,
            "ocspResponderURL": "", "externalAccountBindingRequired": False}}))
        self.process = host.start(
            [need("pebble"), "-strict", "-config", config], "pebble",
            env={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0",
                 "PEBBLE_WFE_NONCEREJECT": "0"})  # certbot bears one refusal, not two
        for port in (443, 15000):
            wait_for_port(host, port)
        got = host.run([need("curl"), "-sSf", "--cacert", self.web.certificate, ROOT]).stdout
        self.root = lab.write("public-root.pem", got)

    def challenges(self):
        """How many it has found answered."""
        return len(re.findall("set VALID by completed challenge", self.process.log()))


def root_alone_answers(host, recipes):
    """Where the agent leads challenges no user of its host but root can listen: such a user would get
    a certificate for the relay's name while no client of root's runs."""
    first = int(host.run(["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"]).stdout)
    ports = {int(port) for part in recipes.sections.values() for text in part
             for port in re.findall(r"(?:acme=|-b |tls\.port )127\.0\.0\.1[:@](\d+)", text)}
    assert len(ports) == 1 and max(ports) < first, ports


class Recipes:
    """The shell commands of the page, section by section, and a host's system to run them in."""

    def __init__(self, lab, server):
        self.lab = lab
        page = open_text(PAGE)
        self.sections = {title: re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for title, text in
                         re.findall(r"^##+ (.*)\n((?:(?!##).*\n)*)", page, re.MULTILINE)}
        self.there = {"/var/lib/postern-acme": lab.path("operator"), "postern-tls": "root",
                      "/etc/postern/tls": lab.path("tls")}
        assert os.path.exists(SYSTEM_CAS), f"no {SYSTEM_CAS}: apt-get install ca-certificates"
        both = open_text(server.root) + open_text(server.web.certificate)
        self.trusted = lab.write("system-cas.pem", both)
        self.env = {"SSL_CERT_FILE": self.trusted}
        need("ualpn", "uacme")
        mine = lab.path("certbot")
        os.mkdir(lab.path("bin"))
        for name, command in {
                "uacme": f'{need("uacme")} -a {DIRECTORY} -c {lab.path("uacme")} "$@"',
                "lego": f'{need("lego")} --server {DIRECTORY} "$@"',
                "certbot": f'{need("certbot")} "$@" --server {DIRECTORY} --config-dir {mine} '
                           f"--work-dir {mine}/work --logs-dir {mine}/logs",
                "groupadd": "true",
                "systemctl": f'echo "$@" > {lab.path("asked-of-systemctl")}'}.items():
            os.chmod(lab.write(f"bin/{name}", f"#!/bin/sh\n{command}\n"), 0o755)

    def text(self, title, n=0):
        commands = self.sections[title][n]
        for written, here in self.there.items():
            commands = commands.replace(written, here)
        return commands

    def run(self, host, commands, where="operator"):
        """As a system's own process 1 the shell reaps daemons that are over, so that they seem so."""
        os.makedirs(self.lab.path(where), exist_ok=True)
        mount = (f"mount --bind {self.trusted} {SYSTEM_CAS} && "
                 f"PATH={self.lab.path('bin')}:{self.lab.build}:$PATH exec sh -e -c \"$1\"")
        return host.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", mount,
                         "sh", commands], timeout=60, cwd=self.lab.path(where), env=self.env)


def browse(w, root):
    """A browser's visit, by the CA's root alone: curl's status, 60 for a CA that it does not know."""
    done = w.visitor.run(["curl", "-sSf", "-m", "10", "--cacert", root, f"https://{RELAY_NAME}/"],
                         check=False)
    assert done.returncode or "<html" in done.stdout.lower(), done
    return done.returncode


# ---- where the key is ---------------------------------------------------------------------------

def secret_of(path):
    """The number that a key of P-256 is, in both orders of its bytes."""
    text = openssl("pkey", "-in", path, "-noout", "-text").decode()
    digits = re.search(r"priv:\n((?: +[0-9a-f:]+\n)+)", text).group(1)
    number = bytes.fromhex(re.sub(r"[^0-9a-f]", "", digits))[-32:].rjust(32, b"\0")
    return number, number[::-1]


def memory_has(pid, needles):
    """Whether one of these stands in what a process can write."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            start, end, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            size = int(end, 16) - int(start, 16)
            if not mode.startswith("rw") or size > 1 << 30:  # a sanitizer's own
                continue
            content = b""
            with contextlib.suppress(OSError):  # shared with a ring
                memory.seek(int(start, 16))
                content = memory.read(size)
            if any(n in content for n in needles):
                return True
    return False


def processes_of(relay):
    """[(name, pid)] of a relay and its children."""
    pids = [relay.pid]
    for task in os.listdir(f"/proc/{relay.pid}/task"):
        with open(f"/proc/{relay.pid}/task/{task}/children", encoding="ascii") as f:
            pids += map(int, f.read().split())
    return [(open_text(f"/proc/{pid}/comm").strip(), pid) for pid in pids]


def key_stays(lab, relay, key):
    """It is in the signer's memory and file, and nowhere else."""
    needles = secret_of(key)
    having = [name for name, pid in processes_of(relay) if memory_has(pid, needles)]
    assert having == ["postern-signer"], having
    for directory, _, files in os.walk(lab.dir):
        for path in (os.path.join(directory, name) for name in files):
            if path == key or not os.path.isfile(path):
                continue
            with open(path, "rb") as f:
                content = f.read()
            for block in re.findall(rb"-----BEGIN [^-]*-----([^-]*)-----END", content):
                digits = re.sub(rb"\\n|[^A-Za-z0-9+/]", b"", block)  # in a log, too
                content += base64.b64decode(digits[:len(digits) // 4 * 4])
            assert not any(n in content for n in needles), f"{path} has the key of {key}"


# ---- the ways -----------------------------------------------------------------------------------

class Scene:
    """A relay with a state_dir, whose signer makes keys; two homes."""

    def __init__(self, lab, blocks):
        self.lab, self.w = lab, World(lab).two_homes()
        self.server = AcmeServer(lab)
        self.recipes = Recipes(lab, self.server)
        self.where = state(lab, "relay-state")
        self.relay = self.w.relay(blocks={"state_dir": self.where, **blocks})

    def agent(self, host, name, **issue):
        return self.w.agent(host, name, env=self.recipes.env, trust="system", **issue)

    def in_force(self, name):
        """This file's certificate is what a browser is shown; the key that is for it."""
        path = os.path.join(self.lab.path("operator"), name)
        wait_until("the certificate that came back",
                   lambda: shown(self.w) == serial_of(self.w, path), 5)
        assert browse(self.w, self.server.root) == 0
        (key,) = keys_in(self.where)
        key = os.path.join(self.where, key)
        assert openssl("pkey", "-in", key, "-pubout") == \
            openssl("x509", "-in", path, "-noout", "-pubkey")
        key_stays(self.lab, self.relay, key)
        return key


@limit(180)
def test_acme(lab):
    """Behind an agent: by uacme, again by it, and by lego."""
    s = Scene(lab, {"tls": "\n  acme: inside/acme"})
    w, r = s.w, s.recipes
    root_alone_answers(w.home, r)
    r.run(w.home, r.text("Behind an agent"), where=".")
    os.makedirs(lab.path("operator"))
    os.rename(lab.path("ops.yaml"), lab.path("operator/ops.yaml"))
    set_blocks(lab.path("inside.yaml"), {"engine": lab.engine})
    w.start_agent(w.home, lab.path("inside.yaml"), "inside", env=r.env)
    w.home.serve(7000, echo)
    s.agent(w.home, "home", publish={"echo": "127.0.0.1:7000"})
    s.agent(w.laptop, "laptop", forward={7000: "home/echo"})
    boss = Console(w.home, "--as", lab.path("operator/ops.yaml"), env=r.env)
    daily = r.text("uacme", 1)
    assert daily.startswith("#!/bin/sh -e\n") and " 2592000 " in daily
    wait_until("a session", lambda: reachable(w.laptop), 10)
    assert browse(w, s.server.root) == 60
    with w.laptop.connect("127.0.0.1", 7000, timeout=20) as session:
        says(session)
        r.run(w.home, r.text("uacme", 0))
        r.run(w.home, daily)
        assert s.server.challenges() == 1, s.server.process.tail()
        first = s.in_force("relay-cert.pem")
        says(session)
        # Who signs in now is shown it; who does not trust by the system does not take it.
        s.agent(w.router_b, "other", forward={7001: "home/echo"})
        wait_until("a session of the new agent", lambda: reachable(w.router_b, 7001), 10)
        w.agent(w.router_a, "stubborn", wait=False).wait_for_line("write trust: system")
        # On the next day there is nothing to do; years later there is.
        r.run(w.home, daily)
        assert s.server.challenges() == 1 and s.in_force("relay-cert.pem") == first
        r.run(w.home, daily.replace(" 2592000 ", f" {6 * 366 * 86400} "))
        assert s.server.challenges() == 2, s.server.process.tail()
        assert s.in_force("relay-cert.pem") != first and not os.path.exists(first)
        says(session)
        assert not os.path.exists("/run/ualpn.sock"), "ualpn still runs"
        # A chain that ends too early would cut off all that trust by it.
        boss.run("relay", "request", "--front", "--out", lab.path("q.csr"))
        alone = lab.write("alone.pem", openssl("x509", "-in", lab.path("operator/relay-cert.pem")))
        why = boss.refused("relay", "certificate", "--front", alone)
        assert "this console would be cut off" in why and "Pebble Intermediate CA" in why, why
    # What a start knows is the newest.
    s.relay.signal(signal.SIGTERM)
    s.relay.process.wait()
    s.relay = w.start_relay(s.relay.config)
    assert shown(w) == serial_of(w, lab.path("operator/relay-cert.pem"))
    wait_until("all agents", lambda: reachable(w.laptop) and reachable(w.router_b, 7001), 30)
    wait_until("the agent with the client", lambda: "inside" in
               [a["agent"] for a in boss.json("relay", "agents")["agents"]], 30)
    r.run(w.home, r.text("lego"))
    assert s.server.challenges() == 3, s.server.process.tail()
    s.in_force(f".lego/certificates/{RELAY_NAME}.crt")


@limit(120)
def test_acme_by_port_80(lab):
    """On the relay's host: by a request, twice; and with the key in a file, renewed by certbot."""
    control = lab.path("control")
    os.mkdir(control)
    s = Scene(lab, {"control": f"\n  socket: {control}/relay.sock"})
    w, r = s.w, s.recipes
    r.there["postern relay"] = f"postern --socket {control}/relay.sock relay"
    s.agent(w.home, "home")
    serials = []
    for n in (1, 2):
        r.run(w.relay_host, r.text("On the relay's host, by a request"))
        assert s.server.challenges() == n, s.server.process.tail()
        s.in_force("relay-full.pem")
        serials.append(shown(w))
    assert serials[0] != serials[1]
    s.relay.signal(signal.SIGTERM)
    s.relay.process.wait()
    tls = r.there["/etc/postern/tls"]
    config = w.issue_relay(name="files", blocks={
        "tls": f"\n  certificate_file: {tls}/fullchain.pem\n  key_file: {tls}/privkey.pem"})
    r.run(w.relay_host, r.text("On the relay's host, in files"))
    assert os.stat(f"{tls}/privkey.pem").st_mode & 0o777 == 0o640
    relay = w.start_relay(config)
    os.unlink(lab.path("asked-of-systemctl"))
    before = shown(w)
    assert browse(w, s.server.root) == 0 and before == serial_of(w, f"{tls}/fullchain.pem")
    r.run(w.relay_host, "certbot renew --force-renewal --no-random-sleep-on-renew")
    assert open_text(lab.path("asked-of-systemctl")) == "reload postern-relayd\n"
    relay.signal(signal.SIGHUP)
    relay.wait_for_line(f"the certificate in {tls}/fullchain.pem is in force")
    assert before != shown(w) == serial_of(w, f"{tls}/fullchain.pem")
    assert browse(w, s.server.root) == 0
