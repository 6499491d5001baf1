# SPDX-License-Identifier: Apache-2.0
"""`make demo` and `make demo-home`: each runs to its end and finds what it sent unchanged."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def run_demo(lab, name):
    """Its output; it builds hosts of its own, inside the namespace of the test."""
    done = subprocess.run([sys.executable, os.path.join(HERE, name), "--build", lab.build],
                          capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"status {done.returncode}: {done.stdout}{done.stderr}"
    assert "all of it is gone again" in done.stdout, done.stdout
    return done.stdout


def test_demo_narrates_two_homes(lab):
    out = run_demo(lab, "demo.py")
    assert "is the same at both ends" in out, out
    assert "served by nginx at home" in out, out


def test_demo_narrates_a_relay_at_home(lab):
    out = run_demo(lab, "demo_home.py")
    assert "is right" in out and "mapped again" in out, out
