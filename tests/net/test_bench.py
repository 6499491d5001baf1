# SPDX-License-Identifier: Apache-2.0
"""bench/load, which speaks to a relay as agents and consoles do, still does."""
import json
import os

from runner import once
from world import World


def measured(w, test, *words):
    """One short measurement through the relay."""
    load = os.path.join(w.lab.build, "bench", "load")
    assert os.path.exists(load), f"{load} is not there: make B={w.lab.build} {load}"
    done = w.relay_host.run(
        [load, "--path", "postern", "--test", test, "--relay", "127.0.0.1:443",
         "--source", w.lab.path("source.yaml"), "--sink", w.lab.path("sink.yaml"),
         "--console", w.lab.path("console.yaml"), "--warm", "0.1", "--seconds", "0.5",
         "--deadline", "30", *words], check=False, timeout=60)
    assert done.returncode == 0, f"{test}: {done.stderr}"
    return json.loads(done.stdout)


@once
def test_bench_measures_a_relay(lab):
    w = World(lab)
    w.one_host()
    w.relay()
    w.issue_agent("source")
    w.issue_agent("sink", publish={"bench": "127.0.0.1:9"})
    w.tool("pki", "issue", w.pki, "console", "bench", "--relay", f"{w.relay_name}:443", "--out",
           lab.path("console.yaml"))
    assert measured(w, "bulk", "--poll", "10")["bytes"] > 0
    assert measured(w, "ping", "--sessions", "2")["per_s"] > 0
    assert measured(w, "rate", "--workers", "2")["sessions"] > 0
