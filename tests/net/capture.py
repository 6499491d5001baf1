# SPDX-License-Identifier: Apache-2.0
"""capture: what an observer of the wire sees, by tshark and by a reader of our own."""
import signal
import struct
import subprocess
import time
from collections import defaultdict

from peers import need

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
RECORD_MAX = 16384 + 256


class Capture:
    """A recording of one interface, from start to stop()."""

    def __init__(self, host, interface="eth0", condition="tcp port 443", name="capture"):
        self.path = host.lab.path(f"{name}.pcap")
        self.process = host.start(
            [need("dumpcap", "tshark"), "-P", "-q", "-i", interface, "-B", "64", "-f", condition,
             "-w", self.path], name)
        self.process.wait_for_line(r"^File: ")

    def stop(self):
        time.sleep(1)  # what the kernel still holds is not asked for at the end
        self.process.signal(signal.SIGINT)
        self.process.wait(10)
        lost = self.process.wait_for_line(r"received/dropped on interface.*: (\d+)/(\d+)", 5)
        assert lost.group(2) == "0", f"the capture lost {lost.group(2)} packets"
        return self

    def fields(self, names, condition=""):
        """Rows of tshark's opinion."""
        # Two passes: the first learns which later frame completes what a frame begins.
        argv = [need("tshark"), "-n", "-2", "-r", self.path, "-T", "fields",
                "-E", "occurrence=a", "-E", "separator=\t", *[x for n in names for x in ("-e", n)],
                "-o", "tcp.desegment_tcp_streams:TRUE", "-o", "tls.desegment_ssl_records:TRUE",
                "-o", "tcp.reassemble_out_of_order:TRUE"]  # as two cores may record them
        if condition:
            argv += ["-Y", condition]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return [dict(zip(names, line.split("\t"))) for line in done.stdout.splitlines()]

    def frames(self):
        """Each IPv4 packet's protocol, header and what is behind it."""
        with open(self.path, "rb") as f:
            raw = f.read()
        assert struct.unpack_from("<I", raw)[0] in (0xA1B2C3D4, 0xA1B23C4D), "not a pcap file"
        at = 24
        while at + 16 <= len(raw):
            kept = struct.unpack_from("<8xII", raw, at)[0]
            frame = raw[at + 16:at + 16 + kept]
            at += 16 + kept
            if frame[12:14] != b"\x08\x00":
                continue
            ip = frame[14:]
            header = (ip[0] & 15) * 4
            yield ip[9], ip[:header], ip[header:struct.unpack_from("!H", ip, 2)[0]]

    def datagrams(self):
        """(source, source port, destination, destination port, payload) of UDP."""
        for protocol, ip, udp in self.frames():
            if protocol == 17:
                sport, dport = struct.unpack_from("!HH", udp)
                yield ip[12:16], sport, ip[16:20], dport, udp[8:]

    def packets(self):
        """(source, source port, destination, destination port, sequence, flags, payload)."""
        for protocol, ip, tcp in self.frames():
            if protocol != 6:
                continue
            sport, dport, sequence = struct.unpack_from("!HHI", tcp)
            yield (ip[12:16], sport, ip[16:20], dport, sequence, tcp[13],
                   tcp[(tcp[12] >> 4) * 4:])

    def streams(self):
        """Reassembled bytes of each direction: {(source, port, destination, port): bytes}."""
        starts, parts = {}, defaultdict(dict)
        for src, sport, dst, dport, sequence, flags, payload in self.packets():
            key = (src, sport, dst, dport)
            if flags & 2:
                starts[key] = (sequence + 1) & 0xFFFFFFFF
            if payload:
                assert key in starts, "the capture began too late"
                offset = (sequence - starts[key]) & 0xFFFFFFFF
                if len(parts[key].get(offset, b"")) < len(payload):
                    parts[key][offset] = payload
        out = {}
        for key, pieces in parts.items():
            stream = bytearray()
            for offset in sorted(pieces):
                assert offset <= len(stream), f"hole in the capture of {key}"
                stream += pieces[offset][len(stream) - offset:]
            out[key] = bytes(stream)
        return out


def walk_records(stream):
    """[(type, version, length)] of a TLS stream; asserts that it is nothing else."""
    found, at = [], 0
    while at < len(stream):
        assert len(stream) - at >= 5, f"a record header is cut off at {at} of {len(stream)}"
        kind, version, length = struct.unpack_from("!BHH", stream, at)
        assert kind in (20, 21, 22, 23) and version in (0x0301, 0x0303), \
            f"no TLS record at {at}: {stream[at:at + 5].hex()}"
        assert 0 < length <= RECORD_MAX, f"record of {length} bytes at {at}"
        assert at + 5 + length <= len(stream), f"the record at {at} is cut off"
        found.append((kind, version, length))
        at += 5 + length
    return found


def records_of(stream):
    """Each record's type and body."""
    at = 0
    for kind, _version, length in walk_records(stream):
        yield kind, stream[at + 5:at + 5 + length]
        at += 5 + length


def check_order(found):
    """Handshake records come before the first application data, and only there."""
    data_seen = False
    for n, (kind, _version, _length) in enumerate(found):
        data_seen = data_seen or kind == APPLICATION_DATA
        assert not (data_seen and kind in (HANDSHAKE, CHANGE_CIPHER_SPEC)), \
            f"record {n} of {len(found)} is of type {kind} after application data"
