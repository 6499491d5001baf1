# SPDX-License-Identifier: Apache-2.0
"""console: how a test acts as an operator, by command or by lines of JSON-RPC."""
import itertools
import json
import os
import signal
import socket
import time

from netlab import wait_until
from peers import receive_all


class Console:
    """The postern command on a host, with a console's certificate or over the Unix socket."""

    def __init__(self, host, *way, env=None):
        self.host, self.way, self.env = host, way, env
        self.program = os.path.join(host.lab.build, "postern")

    def argv(self, *arguments):
        return [self.program, *self.way, *map(str, arguments)]

    def run(self, *arguments, check=True, timeout=30):
        return self.host.run(self.argv(*arguments), timeout=timeout, check=check, env=self.env)

    def json(self, *arguments, **options):
        return json.loads(self.run(*arguments, "--json", **options).stdout)

    def refused(self, *arguments):
        """What it says when it fails, as it must."""
        done = self.run(*arguments, check=False)
        assert done.returncode, f"{' '.join(map(str, arguments))} succeeded: {done.stdout[-500:]}"
        assert "Sanitizer" not in done.stderr, done.stderr[-1500:]
        assert len(done.stderr.strip()) > 20, f"no sentence: {done.stderr!r}"
        return done.stderr

    def at(self, relay):
        """The same console, for one of its relays."""
        return Console(self.host, *self.way, "--at", relay, env=self.env)

    def follow(self, *arguments, name="follow"):
        """Starts a command that goes on; its records are in the process's log."""
        process = self.host.start(self.argv(*arguments), name)
        process.ended_by_us = True
        return process

    def edited(self, change, name="edit.yaml", agent=None):
        """The configuration in force with change(text) made to it, as a file."""
        words = ("agent", "config", "get", agent) if agent else ("relay", "config", "get")
        return self.host.lab.write(name, change(self.run(*words).stdout))

    def revision(self):
        return self.json("relay", "status")["revision"]


def console(w, host=None, name="boss", relays=None, trust="ca"):
    """Issues a console's file and gives it to a host."""
    out = w.lab.path(f"{name}.yaml")
    to = [x for r in relays or [f"{w.relay_name}:{w.relay_port}"] for x in ("--relay", r)]
    w.tool("pki", "issue", w.pki, "console", name, *to, "--trust", trust, "--out", out)
    return Console(host or w.visitor, "--as", out)


class Rpc:
    """A connection to a control socket: one JSON object on a line, each way."""

    def __init__(self, path, timeout=10.0):
        self.sock = socket.socket(socket.AF_UNIX)
        wait_until(f"{path} exists", lambda: os.path.exists(path), 5)
        self.sock.connect(path)  # waits while the queue is full, as it would not with a timeout
        self.sock.settimeout(timeout)
        self.file = self.sock.makefile("rb")
        self.numbers = itertools.count(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def send(self, text):
        self.sock.sendall(text if isinstance(text, bytes) else text.encode())

    def line(self):
        got = self.file.readline()
        assert got.endswith(b"\n"), f"the connection ended: {got[-200:]!r}"
        return json.loads(got)

    def call(self, method, **params):
        """The whole response."""
        number = next(self.numbers)
        self.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method,
                              "params": params}) + "\n")
        while (got := self.line()).get("id") != number:
            assert "method" in got, f"an answer to nothing: {got}"
        return got

    def result(self, method, **params):
        got = self.call(method, **params)
        assert "result" in got, f"{method}: {got.get('error')}"
        return got["result"]

    def error(self, method, **params):
        got = self.call(method, **params)
        assert "error" in got, f"{method} succeeded: {str(got)[:300]}"
        return got["error"]["code"]


def as_user(uid, function, timeout=20):
    """What function() gives to a process of another user, as JSON can carry it."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            theirs.sendall(json.dumps(function()).encode())
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        ours.settimeout(timeout)
        try:
            got = receive_all(ours)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert got, f"user {uid}: it failed"
    return json.loads(got)


def in_utc(seconds):
    """The time so many seconds from now, as a configuration writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
