# SPDX-License-Identifier: Apache-2.0
"""No plain text on the wire: captures of every kind of traffic, searched for names and measured.

Each line of KINDS is a kind of traffic: its name, and a function of the cast that makes some of it
and checks that it worked. A new kind of traffic is a new line. All of them run under one capture at
the relay, where both legs of each session pass; then no direction of any connection may show a name,
and what it carries has to be as random bytes.
"""
import time
import zlib

from capture import APPLICATION_DATA, HANDSHAKE, Capture, records_of
from console import console
from netlab import wait_until
from peers import WebCa, data, echo, need, nginx, receive_all, receive_exactly, sha256
from runner import limit
from test_renew import state
from world import RELAY_NAME, World

AGENTS = ASKING, PUBLISHING, STOLEN, AWAY = "walnut-desk", "quince-shed", "pear-loft", "medlar-hut"
ECHO, PAGES, CONSOLE, SERVER = "cellar-echo", "marmalade-web", "orchard-boss", "www.orchard.example"
SITE, AWAY_SERVER = "damson-site", f"away.{SERVER}"
WORDS = ["postern", *AGENTS, ECHO, PAGES, SITE, CONSOLE, SERVER]
PORT, SOCKS = 7000, 1080
CHI_SQUARE_MAX = 400  # 255 degrees of freedom: mean 255, and 6 standard deviations of 22.6
CHI_SQUARE_LEAST = 256 * 5  # bytes from which on the measure means something


class Cast:
    """A relay, an asking agent, a publishing one, an unmodified client and a console."""

    def __init__(self, lab):
        self.w = w = World(lab).two_homes()
        self.lab, self.ca = lab, WebCa(lab)
        self.page = data(20000, seed=15)
        nginx(w.home, port=8443, tls=self.ca.issue(SERVER), files={"page.bin": self.page})
        nginx(w.home, "site", 8080, files={"page.bin": self.page})
        w.home.serve(PORT, echo)
        self.capture = Capture(w.relay_host, condition="ip")
        w.relay(public={SERVER: f"{PUBLISHING}/{PAGES}", AWAY_SERVER: f"{AWAY}/{PAGES}"},
                blocks={"site": f"  to: {PUBLISHING}/{SITE}",
                        "tls": f"  acme: {PUBLISHING}/{PAGES}",
                        "state_dir": state(lab, "relay-state")})
        w.agent(w.home, PUBLISHING, public=[PAGES, SITE],
                publish={ECHO: f"127.0.0.1:{PORT}", PAGES: "127.0.0.1:8443",
                         SITE: "127.0.0.1:8080"},
                blocks={"state_dir": state(lab, "home-state")})
        w.agent(w.laptop, ASKING, forward={PORT: f"{PUBLISHING}/{ECHO}"}, socks5=SOCKS)
        w.agent(w.laptop, STOLEN)
        self.boss = console(w, name=CONSOLE)

    def agent_session(self, size=3000):
        content = (b"plain text, and names too: " + " ".join(WORDS).encode()) * 100
        with self.w.laptop.connect("127.0.0.1", PORT) as s:
            s.sendall(content[:size])
            s.shutdown(1)
            assert receive_all(s) == content[:size]

    def curl(self, host, *options):
        got = self.lab.path("page.bin")
        host.run(["curl", "-sSf", "-m", "20", "--cacert", self.ca.certificate, *options, "-o", got])
        with open(got, "rb") as f:
            assert sha256(f.read()) == sha256(self.page)

    def public_session(self, version):
        self.curl(self.w.visitor, f"--tlsv{version}", "--tls-max", version,
                  "--resolve", f"{SERVER}:443:45.0.0.2", f"https://{SERVER}/page.bin")

    def web_site(self):
        self.curl(self.w.visitor, "--cacert", self.w.ca, "-A", " ".join(WORDS), "--resolve",
                  f"{RELAY_NAME}:443:45.0.0.2", f"https://{RELAY_NAME}/page.bin")

    def socks5(self):
        self.curl(self.w.laptop, "--socks5-hostname", f"127.0.0.1:{SOCKS}", "--connect-to",
                  f"{SERVER}:443:{PAGES}.{PUBLISHING}.postern:443", f"https://{SERVER}/page.bin")

    def stun(self):
        for agent in (ASKING, PUBLISHING):
            wait_until(f"{agent} is told its address", lambda a=agent: "seen_udp" in self.boss.json(
                "agent", "status", a)["links"][0], 5)

    def one_off(self):
        text = " ".join(WORDS)
        done = self.w.laptop.run([f"{self.lab.build}/postern", "--as",
                                  self.lab.path(f"{ASKING}.yaml"), "connect",
                                  f"{PUBLISHING}/{ECHO}"], input=text.encode())
        assert done.stdout == text, done

    def visitor_says(self, *options):
        """As a client that is refused."""
        done = self.w.visitor.run([need("openssl"), "s_client", "-connect", "45.0.0.2:443",
                                   *options], input=b"", check=False)
        assert done.returncode, done.stdout
        return done.stderr

    def acme(self):
        said = self.visitor_says("-servername", RELAY_NAME, "-alpn", "acme-tls/1")
        assert "no application protocol" in said, said  # nginx says

    def public_away(self):
        said = self.visitor_says("-servername", AWAY_SERVER)
        assert "unrecognized name" in said or "internal error" in said, said

    def renewed(self):
        """Both ends of a session that goes on."""
        with self.w.laptop.connect("127.0.0.1", PORT, timeout=20) as s:
            for who in ("relay", "renew"), ("agent", "renew", PUBLISHING):
                s.sendall(b"hello")
                assert receive_exactly(s, 5) == b"hello"
                self.boss.run(*who, self.w.pki)
                time.sleep(2)  # for what the agents prove

    def revoked(self):
        self.boss.run("revoke", STOLEN)
        wait_until("it is out", lambda: STOLEN not in str(self.boss.json("relay", "agents")))

    def console_at_relay(self):
        assert len(self.boss.json("relay", "agents")["agents"]) == 3

    def console_at_agent(self):
        assert PUBLISHING in self.boss.run("agent", "status", PUBLISHING).stdout


KINDS = [
    ("an agent's session", Cast.agent_session),
    ("one of many bytes", lambda c: c.agent_session(5500)),
    ("one that is refused", lambda c: c.boss.refused("agent", "status", "nobody-here")),
    ("a public session, TLS 1.2", lambda c: c.public_session("1.2")),
    ("a public session, TLS 1.3", lambda c: c.public_session("1.3")),
    ("the web site behind an agent", Cast.web_site),
    ("SOCKS5", Cast.socks5),
    ("agents ask by STUN", Cast.stun),
    ("a console at the relay", Cast.console_at_relay),
    ("a console at an agent", Cast.console_at_agent),
    ("a session of one command", Cast.one_off),
    ("a public name whose agent is away", Cast.public_away),
    ("a challenge of ACME", Cast.acme),
    ("new keys and certificates, and their proofs", Cast.renewed),
    ("a revocation, signed and told", Cast.revoked),
]


def chi_square(content):
    counts, expected = [0] * 256, len(content) / 256
    for byte in content:
        counts[byte] += 1
    return sum((n - expected) ** 2 for n in counts) / expected


def looks_random(content):
    """Why it does not, or None."""
    if len(content) >= CHI_SQUARE_LEAST and chi_square(content) > CHI_SQUARE_MAX:
        return f"chi-square of {len(content)} bytes is {chi_square(content):.0f}"
    packed = len(zlib.compress(content, 9))
    return f"{len(content)} bytes pack to {packed}" if packed < len(content) else None


def names_in(content):
    return [word for word in WORDS if word.encode() in content.lower()]


def own_words(records, visitor):
    """What an unmodified client and its server say in clear by nature: the handshake of TLS, at the
    client's own leg. There the server's name alone may stand."""
    clear = b"".join(body for kind, body in records if kind == HANDSHAKE)
    return [SERVER] if visitor and SERVER.encode() in clear else []


@limit(180)
def test_no_plain_text_on_the_wire(lab):
    cast = Cast(lab)
    for name, make in KINDS:
        try:
            make(cast)
        except Exception as e:
            raise AssertionError(f"{name}: {e}") from e
    wait_until("sessions are over", lambda: cast.boss.json("relay", "status")["sessions"] == 0)
    streams = cast.capture.stop().streams()
    ends, clear, measured = set(), 0, 0
    datagrams = list(cast.capture.datagrams())
    assert len(datagrams) >= 2 * len(AGENTS), "no STUN was captured"
    for source, sport, to, port, payload in datagrams:
        assert not names_in(payload), f"UDP {source}:{sport} -> {to}:{port} shows a name"
    for (source, sport, to, port), stream in streams.items():
        where = f"{'.'.join(map(str, source))}:{sport} -> {'.'.join(map(str, to))}:{port}"
        records = list(records_of(stream))
        visitor = bytes([45, 0, 0, 100]) in (source, to)
        allowed = own_words(records, visitor)
        clear += len(allowed)
        shown = [word for word in names_in(stream) if word not in allowed]
        assert not shown, f"{where} shows {shown} in clear"
        content = b"".join(body for kind, body in records if kind == APPLICATION_DATA)
        assert not names_in(content), f"{where}: application data shows {names_in(content)}"
        assert not (why := looks_random(content)), f"{where} is not as random bytes: {why}"
        measured += len(content) >= CHI_SQUARE_LEAST
        ends.add(source)
    # What the measure is worth: names were found where they are, text is no random bytes.
    assert clear >= 2, "the clients' own hellos were not found: was anything searched?"
    assert looks_random(b"a page of text " * 100) and looks_random(bytes(300))
    assert {bytes([45, 0, 0, n]) for n in (2, 10, 20, 100)} <= ends, f"captured only {ends}"
    assert measured >= 2 * len(KINDS), f"only {measured} directions had enough to measure"
    print(f"{len(KINDS)} kinds, {len(streams)} directions, {measured} of them long enough")
