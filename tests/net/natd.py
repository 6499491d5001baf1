# SPDX-License-Identifier: Apache-2.0
"""natd: postern-natd on a host, and what its socket says."""
import json
import socket

from netlab import wait_until


class Natd:
    """natd on a host.  arguments are those of its command line."""

    def __init__(self, host, *arguments, name="natd"):
        lab = host.lab
        self.socket = lab.path(name + ".sock")
        self.process = host.start(
            [f"{lab.build}/postern-natd", "--engine", lab.engine, "--log-level", "debug",
             "--socket", self.socket, *arguments], name)
        self.process.must_end_well = True
        self.process.wait_for_line(r"ready engine=")

    def call(self, method, timeout=30.0, **params):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(self.socket)
            s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                  "params": params}).encode() + b"\n")
            answer = json.loads(s.makefile().readline())
        assert "error" not in answer, answer
        return answer["result"]

    def follow(self, timeout=30.0):
        """What happened, and what happens from now on."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(self.socket)
            s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"events","params":{"follow":true}}\n')
            lines = s.makefile()
            yield from json.loads(lines.readline())["result"]["events"]
            for line in lines:
                yield json.loads(line)["params"]

    def mapping(self, protocol="tcp", port=443, family="ipv4"):
        for m in self.call("status")["mappings"]:
            if (m["protocol"], m["port"], m["family"]) == (protocol, port, family):
                return m
        raise AssertionError(f"no mapping of {protocol} {port} {family}")

    def wait_state(self, states, timeout=10.0, **which):
        """The mapping, once its state is one of these words."""
        return wait_until(
            f"a mapping that is {states}",
            lambda: (m := self.mapping(**which))["state"] in states.split() and m, timeout)
