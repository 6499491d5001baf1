# SPDX-License-Identifier: Apache-2.0
"""tag: what a TLS session exports, from the secrets that a client logs, and the tag made of it; and
records of that session that no library would make."""
import ctypes
import ctypes.util
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


def logged(secrets, name):
    """A secret of the log at this path, in the format of SSLKEYLOGFILE, with one session in it; and
    its hash algorithm."""
    with open(secrets, encoding="ascii") as f:
        secret = bytes.fromhex(re.search(rf"^{name} \S+ (\S+)$", f.read(), re.MULTILINE).group(1))
    return secret, "sha384" if len(secret) == 48 else "sha256"


def export(secrets, label):
    """32 bytes of RFC 8446 section 7.5 with an empty context; secrets: the path of the log."""
    secret, algorithm = logged(secrets, "EXPORTER_SECRET")
    empty = hashlib.new(algorithm, b"").digest()
    derived = expand(algorithm, secret, f"EXPORTER-postern-{label}".encode(), empty, len(secret))
    return expand(algorithm, derived, b"exporter", empty, 32)


def key_of(bundle):
    """The newest of a file's tag keys."""
    return bytes.fromhex(re.search(r"^  tag_keys: (?:\|\n    )?[\"']?([0-9a-f]{64})",
                                   get_block(bundle, "identity"), re.MULTILINE).group(1))


def tag(bundle, secrets):
    return hmac.new(key_of(bundle), b"postern/2 tag\0" + export(secrets, "tag"), "sha256").digest()


class Sealer:
    """A client's records of TLS 1.3 behind its handshake (RFC 8446 section 5.2), of whatever is put
    inside; the session's own library must not have written any."""

    GET_TAG = 0x10
    CIPHERS = {"TLS_AES_128_GCM_SHA256": ("EVP_aes_128_gcm", 16),
               "TLS_AES_256_GCM_SHA384": ("EVP_aes_256_gcm", 32),
               "TLS_CHACHA20_POLY1305_SHA256": ("EVP_chacha20_poly1305", 32)}

    def __init__(self, secrets, cipher):
        self.crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
        function, size = self.CIPHERS[cipher]
        for name in (function, "EVP_CIPHER_CTX_new"):
            getattr(self.crypto, name).restype = ctypes.c_void_p
        self.cipher = ctypes.c_void_p(getattr(self.crypto, function)())
        secret, algorithm = logged(secrets, "CLIENT_TRAFFIC_SECRET_0")
        self.key = expand(algorithm, secret, b"key", b"", size)
        self.iv = int.from_bytes(expand(algorithm, secret, b"iv", b"", 12), "big")
        self.count = 0

    def __call__(self, kind, content, padding=0):
        """kind None: there is none."""
        inside = content + (b"" if kind is None else bytes([kind])) + bytes(padding)
        head = b"\x17\x03\x03" + (len(inside) + 16).to_bytes(2, "big")
        nonce = (self.iv ^ self.count).to_bytes(12, "big")
        self.count += 1
        out, tag_bytes, n = (ctypes.create_string_buffer(len(inside) + 32),
                             ctypes.create_string_buffer(16), ctypes.c_int())
        c, context = self.crypto, ctypes.c_void_p(self.crypto.EVP_CIPHER_CTX_new())
        ok = (c.EVP_EncryptInit_ex(context, self.cipher, None, self.key, nonce) == 1
              and c.EVP_EncryptUpdate(context, None, ctypes.byref(n), head, len(head)) == 1
              and c.EVP_EncryptUpdate(context, out, ctypes.byref(n), inside, len(inside)) == 1
              and c.EVP_EncryptFinal_ex(context, None, ctypes.byref(n)) == 1
              and c.EVP_CIPHER_CTX_ctrl(context, self.GET_TAG, 16, tag_bytes) == 1)
        c.EVP_CIPHER_CTX_free(context)
        assert ok, "libcrypto seals no record"
        return head + out.raw[:len(inside)] + tag_bytes.raw
