# SPDX-License-Identifier: Apache-2.0
"""tag: what a TLS session exports, from the secrets that a client logs, and the tag made of it."""
import hashlib
import hmac
import re

from world import get_block

TAG_BYTES = 32


def expand(algorithm, secret, label, context, length):
    """HKDF-Expand-Label (RFC 8446 section 7.1), to one block of the hash at most."""
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + bytes([len(context)]) + context
    return hmac.new(secret, info + b"\1", algorithm).digest()[:length]


def export(secrets, label):
    """32 bytes of RFC 8446 section 7.5 with an empty context; secrets: the path of the log, in the
    format of SSLKEYLOGFILE, with one session in it."""
    with open(secrets, encoding="ascii") as f:
        secret = bytes.fromhex(re.search(r"^EXPORTER_SECRET \S+ (\S+)$", f.read(),
                                         re.MULTILINE).group(1))
    algorithm = "sha384" if len(secret) == 48 else "sha256"
    empty = hashlib.new(algorithm, b"").digest()
    derived = expand(algorithm, secret, f"EXPORTER-postern-{label}".encode(), empty, len(secret))
    return expand(algorithm, derived, b"exporter", empty, 32)


def key_of(bundle):
    """The newest of a file's tag keys."""
    return bytes.fromhex(re.search(r"^  tag_keys: (?:\|\n    )?[\"']?([0-9a-f]{64})",
                                   get_block(bundle, "identity"), re.MULTILINE).group(1))


def tag(bundle, secrets):
    return hmac.new(key_of(bundle), b"postern/2 tag\0" + export(secrets, "tag"), "sha256").digest()
