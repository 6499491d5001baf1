# SPDX-License-Identifier: Apache-2.0
"""manage: what managing a relay costs: asking it, reconfiguring it, and keeping to limits.

Everything here runs on Postern's relay alone. Samples are gathered by the names that report.MANAGED
has rows for.
"""
import contextlib
import json
import os
import socket
import subprocess
import time

RULES, AGENTS, SESSIONS = 10000, 5000, 1000
POLLS_PER_S = 10
MB = 1_000_000
SESSION_RATE, AGENT_RATE, RELAY_RATE = 20, 50, 100  # MB per second
CALL_LIMIT_S = 20
TESTS = ("polled", "apply", "limits", "policy")


class Failed(Exception):
    """A call was refused, or something did not come about in time."""


class Calls:
    """The relay's Unix socket: one call at a time."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(CALL_LIMIT_S)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def timed(self, method, **params):
        """The result, and the milliseconds from the call's first byte to the answer's last."""
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n"
        started = time.monotonic()
        self.sock.sendall(line.encode())
        answer = self.file.readline()
        took_ms = (time.monotonic() - started) * 1e3
        got = json.loads(answer)
        if "result" not in got:
            raise Failed(f"{method}: {json.dumps(got.get('error'))[:300]}")
        return got["result"], took_ms

    def __call__(self, method, **params):
        return self.timed(method, **params)[0]


# ---- being asked --------------------------------------------------------------------------------

def polled(measure, relay, plan, add):
    """Pairs of the same measurement, with a console that asks and without, in turns."""
    words = ["--test", "bulk", "--sessions", "64", "--seconds", plan.pair_s]
    for pair in range(plan.pairs):
        got = {}
        for poll in (0, POLLS_PER_S) if pair % 2 else (POLLS_PER_S, 0):
            got[poll] = measure(relay, [*words, "--poll", poll])
        quiet, asked = got[0], got[POLLS_PER_S]
        if quiet and asked:
            add("polled_ratio", asked["gbit_per_s"] / quiet["gbit_per_s"])
            add("polls_per_s", asked["polls_per_s"])
            add("poll_ms", asked["poll_ms"])


# ---- being reconfigured -------------------------------------------------------------------------

def rules(rate):
    """Every agent asks for something; the last rule lets the generator's own sessions be."""
    out = [{"from": [f"agent-{i % AGENTS}"], "to": [f"agent-{(i * 7919 + 1) % AGENTS}/web"],
            "rate": rate} for i in range(RULES - 1)]
    return out + [{"from": ["source"], "to": ["sink/bench"]}]


def apply_samples(calls, base, name, times, add):
    many = rules("1MB/s")
    one = [{**many[0], "rate": "3MB/s"}, *many[1:]]
    steps = ((None, many[-1:]), ("new", many), ("other", rules("2MB/s")), (None, many),
             ("one", one))
    for _ in range(times):
        for what, policy in steps:
            _, took_ms = calls.timed("config.apply", config={**base, "policy": policy})
            if what:
                add(f"apply_{what}{name}", took_ms)
    calls("config.apply", config=base)


@contextlib.contextmanager
def held_sessions(load, relay, calls):
    """So many sessions stand, each greeted once."""
    process = subprocess.Popen([load, *relay.options(), "--test", "idle", "--sessions",
                                str(SESSIONS), "--workers", "16", "--seconds", "600",
                                "--deadline", "600"], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + CALL_LIMIT_S
        while calls("status")["sessions"] < SESSIONS:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{SESSIONS} sessions did not come about")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def applied(load, relay, plan, add):
    with Calls(relay.socket) as calls:
        base = calls("config.get")["config"]
        apply_samples(calls, base, "", plan.applies, add)
        with held_sessions(load, relay, calls):
            apply_samples(calls, base, "_live", plan.applies, add)
            if calls("status")["sessions"] < SESSIONS:
                raise Failed("sessions ended when rules changed that are not theirs")


# ---- keeping to limits --------------------------------------------------------------------------

def limits(measure, relay, plan, add):
    """Percent by which the bytes that arrive in ten seconds differ from what a limit says."""
    with Calls(relay.socket) as calls:
        base = calls("config.get")["config"]
        for key, rate, sessions in (("per_session", SESSION_RATE, 1), ("per_agent", AGENT_RATE, 8),
                                    ("relay", RELAY_RATE, 64)):
            calls("config.apply", config={**base, "bandwidth": {key: f"{rate}MB/s"}})
            got = measure(relay, ["--test", "bulk", "--sessions", sessions, "--warm", "2",
                                  "--seconds", plan.limits_s])
            if got:
                bytes_per_s = got["gbit_per_s"] * 1e9 / 8
                add(f"limit_{key}", abs(bytes_per_s / (rate * MB) - 1) * 100)
        calls("config.apply", config=base)


# ---- deciding -----------------------------------------------------------------------------------

def decisions(program):
    """Of each policy: its name, what a decision and what compiling takes."""
    done = subprocess.run([program, "--json"], stdout=subprocess.PIPE, text=True, timeout=120,
                          check=True)
    return json.loads(done.stdout)


# ---- all of it ----------------------------------------------------------------------------------

def run(measure, load, relay, plan, wanted, progress):
    """Samples by name, and the decisions. relay is stopped before and after."""
    samples = {}

    def add(name, value):
        samples.setdefault(name, []).append(value)

    work = {"polled": lambda: polled(measure, relay, plan, add),
            "apply": lambda: applied(load, relay, plan, add),
            "limits": lambda: limits(measure, relay, plan, add)}
    for name in (name for name in work if name in wanted):
        progress(f"managing: {name}")
        relay.start()
        try:
            work[name]()
        finally:
            relay.stop()
    found = []
    if "policy" in wanted:
        progress("managing: policy")
        found = decisions(os.path.join(os.path.dirname(load), "policy"))
    return samples, found
