# SPDX-License-Identifier: Apache-2.0
"""What systemd's journal gets, from a sealed relay and a sealed agent."""
import os
import re
import socket

from console import console
from netlab import wait_until
from peers import echo, receive_exactly
from world import World

SOCKET = "/run/systemd/journal/socket"


class Journal:
    """Takes the place of journald."""

    def __init__(self):
        os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(SOCKET)
        self.sock.setblocking(False)
        self.entries = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        os.unlink(SOCKET)

    def read(self):
        try:
            while True:
                lines = self.sock.recv(65536).decode().rstrip("\n").split("\n")
                self.entries.append(dict(line.split("=", 1) for line in lines))
        except BlockingIOError:
            return self.entries

    def wait_for(self, **fields):
        """The first entry with these fields."""
        def look():
            return next((e for e in self.read()
                         if all(e.get(k) == v for k, v in fields.items())), None)
        return wait_until(f"an entry with {fields}", look, 5)


def as_journal(lab, name):
    """The environment of a program whose log is the journal, as it must believe."""
    path = lab.write(f"{name}.log", "")
    found = os.stat(path)
    return {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


def start(host, config, program, name):
    process = host.start([f"{host.lab.build}/{program}", "-c", config, "--log-level", "info"], name,
                         env=as_journal(host.lab, name))
    process.must_end_well = True
    return process


def test_journal_fields(lab):
    """Audit records, events and lines of the log are entries with fields, and nothing is told twice."""
    with Journal() as journal:
        w = World(lab).two_homes()
        w.home.serve(7000, echo)
        relay = start(w.relay_host, w.issue_relay(), "postern-relayd", "relay")
        def listening():
            return next((e for e in journal.read() if "relay: listening" in e["MESSAGE"]), None)
        line = wait_until("the relay listens", listening, 10)
        assert line["PRIORITY"] == "5" and line["POSTERN_AREA"] == "relay", line
        assert line["SYSLOG_IDENTIFIER"] == "postern-relayd", line
        home = start(w.home, w.issue_agent("home", publish={"echo": "127.0.0.1:7000"}),
                     "postern-agent", "home")
        journal.wait_for(SYSLOG_IDENTIFIER="postern-agent", POSTERN_KIND="link.up")
        w.agent(w.laptop, "laptop", forward={7000: "home/echo"})
        with w.laptop.connect("127.0.0.1", 7000) as s:
            s.sendall(b"hello")
            assert receive_exactly(s, 5) == b"hello"
        closed = journal.wait_for(SYSLOG_IDENTIFIER="postern-relayd",
                                  POSTERN_KIND="session.closed")
        wanted = {"PRIORITY": "6", "POSTERN_FROM": "laptop", "POSTERN_TO": "home",
                  "POSTERN_SERVICE": "echo"}
        assert wanted.items() <= closed.items(), closed
        assert int(closed["POSTERN_BYTES_UP"]) >= 5, closed  # the agents' own TLS comes to it
        assert int(closed["POSTERN_BYTES_DOWN"]) >= 5, closed
        assert closed["POSTERN_SOURCE"].startswith("45.0.0.") and "POSTERN_REASON" in closed, closed
        assert closed["MESSAGE"].startswith("session.closed session="), closed
        opened = journal.wait_for(SYSLOG_IDENTIFIER="postern-relayd",
                                  POSTERN_KIND="session.opened")
        assert opened["POSTERN_SESSION"] == closed["POSTERN_SESSION"], opened
        console(w).run("grant", "mole", "home/echo")
        changed = journal.wait_for(SYSLOG_IDENTIFIER="postern-relayd",
                                   POSTERN_KIND="config.applied")
        assert changed["PRIORITY"] == "5" and changed["POSTERN_WHO"] == "console:boss", changed
        up = journal.wait_for(SYSLOG_IDENTIFIER="postern-agent", POSTERN_KIND="link.up")
        assert up["POSTERN_RELAY"] == "relay.example.org:443", up
        kinds = [(e["SYSLOG_IDENTIFIER"], e["POSTERN_KIND"]) for e in journal.read()
                 if e.get("POSTERN_KIND", "").startswith(("session.", "link."))]
        assert len(kinds) == len(set(kinds)), kinds
        lines = [e["MESSAGE"] for e in journal.read() if "POSTERN_AREA" in e]
        assert not [x for x in lines if re.match(r"(session: (open|closed|refused)|link: up)\b", x)
                    and "transient=yes" not in x], lines
        assert relay.log() == home.log() == "", (relay.log(), home.log())
