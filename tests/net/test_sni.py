# SPDX-License-Identifier: Apache-2.0
"""Unmodified TLS clients reach a server behind NAT by its name; the relay never sees a key."""
import os
import re

from peers import PAGE, WebCa, need, nginx, openssl, spki_pin
from runner import limit
from world import World

PUBLIC = {"www.example.org": "home/web", "none.example.org": "home/nothing",
          "down.example.org": "home/down", "private.example.org": "home/private",
          "away.example.org": "nobody/web"}


def web_at_home(lab):
    """A real HTTPS server at home, its own CA, published by name; (world, relay, web's CA)."""
    w = World(lab).two_homes()
    ca = WebCa(lab)
    w.web_chain, w.web_key = ca.issue("www.example.org")
    nginx(w.home, "nginx", 8443, tls=(w.web_chain, w.web_key))
    relay = w.relay(public=PUBLIC)
    w.agent(w.home, "home", publish={"web": "127.0.0.1:8443", "down": "127.0.0.1:9",
                                    "private": "127.0.0.1:8443"}, public=["web", "down"])
    return w, relay, ca


def test_curl_by_name(lab):
    w, relay, ca = web_at_home(lab)
    page = w.visitor.run(["curl", "-sSf", "-m", "10", "--cacert", ca.certificate,
                          "https://www.example.org/"]).stdout
    assert page == PAGE, page
    # The relay's own name gets the relay's own certificate and page.
    own = w.visitor.run(["curl", "-sSf", "-m", "10", "--cacert", w.ca,
                         "https://relay.example.org/"]).stdout
    assert "<html" in own.lower() or "<!doctype" in own.lower(), own
    # The published name must not be answered with a certificate of the relay's CA.
    wrong = w.visitor.run(["curl", "-sS", "-m", "10", "--cacert", w.ca,
                           "https://www.example.org/"], check=False)
    assert wrong.returncode == 60, f"status {wrong.returncode}: {wrong.stderr}"
    relay.wait_idle()


def test_openssl_by_name(lab):
    w, _relay, ca = web_at_home(lab)
    for name, trust in (("www.example.org", ca.certificate), ("relay.example.org", w.ca)):
        for version in ("-tls1_2", "-tls1_3"):
            done = w.visitor.run([need("openssl"), "s_client", "-connect", f"{name}:443",
                                  "-servername", name, "-CAfile", trust, "-verify_hostname", name,
                                  "-verify_return_error", version, "-quiet"],
                                 input=f"GET / HTTP/1.1\r\nHost: {name}\r\n"
                                       "Connection: close\r\n\r\n".encode(), check=False)
            assert "HTTP/1.1 200" in done.stdout, f"{name} {version}: {done.stdout}{done.stderr}"
            assert ("served by nginx" in done.stdout) == (name == "www.example.org")
        old = w.visitor.run([need("openssl"), "s_client", "-connect", f"{name}:443", "-tls1_1",
                             "-cipher", "ALL:@SECLEVEL=0"], input=b"", check=False)
        assert old.returncode, f"{name} accepts TLS 1.1"


@limit(90)
def test_scanner(lab):
    """A scanner sees a well-configured web server."""
    w = World(lab).one_host()
    w.relay()
    done = w.visitor.run([need("sslscan"), "--no-colour", "--no-heartbleed",
                          "--sni-name=relay.example.org", "45.0.0.2:443"], timeout=60)
    for version, state in (("SSLv2", "disabled"), ("SSLv3", "disabled"), ("TLSv1.0", "disabled"),
                           ("TLSv1.1", "disabled"), ("TLSv1.2", "enabled"),
                           ("TLSv1.3", "enabled")):
        assert re.search(rf"^{re.escape(version)}\s+{state}", done.stdout, re.MULTILINE), \
            f"{version} is not {state}:\n{done.stdout}"
    assert "relay.example.org" in done.stdout, "no certificate was shown"
    weak = re.findall(r"^.*\b(?:RC4|3DES|NULL|EXP|MD5|anon|ADH)\b.*$", done.stdout, re.MULTILINE)
    assert not [x for x in weak if x.startswith(("Accepted", "Preferred"))], weak
    assert "certificate request" not in done.stdout.lower()


@limit(90)
def test_no_client_certificate(lab):
    """A client certificate is not asked for in the handshake: a browser would prompt."""
    w = World(lab).one_host()
    w.relay()
    for version in ("-tls1_2", "-tls1_3"):
        done = w.visitor.run([need("openssl"), "s_client", "-connect", "relay.example.org:443",
                              "-servername", "relay.example.org", "-CAfile", w.ca, version],
                             input=b"", check=False)
        assert "No client certificate CA names sent" in done.stdout, done.stdout[-800:]
        assert "Verify return code: 0" in done.stdout, done.stdout[-800:]


def chromium(host, url, pin, name):
    """The page as a current browser shows it, accepting no key but the pinned one."""
    profile = host.lab.path(f"chromium-{name}")
    os.makedirs(profile)
    done = host.run(
        [need("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-dev-shm-usage", "--disable-crash-reporter",
         "--disable-breakpad", f"--user-data-dir={profile}",
         f"--ignore-certificate-errors-spki-list={pin}",
         "--host-resolver-rules=MAP * 45.0.0.2", "--dump-dom", url],
        timeout=60, check=False, env={"HOME": profile, "XDG_CONFIG_HOME": profile,
                                      "XDG_CACHE_HOME": profile})
    return done.stdout


@limit(150)
def test_browser(lab):
    w, relay, _ca = web_at_home(lab)
    page = chromium(w.visitor, "https://www.example.org/", spki_pin(w.web_chain), "web")
    assert "served by nginx at home" in page, page[:600]
    relay_chain = lab.write("relay-seen.pem", w.visitor.run(
        ["sh", "-c", "openssl s_client -connect relay.example.org:443 -servername "
         "relay.example.org </dev/null 2>/dev/null | openssl x509"]).stdout)
    assert b"relay.example.org" in openssl("x509", "-in", relay_chain, "-noout", "-ext",
                                           "subjectAltName")
    pin = spki_pin(relay_chain)
    page = chromium(w.visitor, "https://relay.example.org/", pin, "relay")
    assert "<html" in page and "ERR_" not in page and len(page) > 100, page[:600]
    # The proof that a pin counts: the wrong one shows no page.
    page = chromium(w.visitor, "https://www.example.org/", pin, "wrong")
    assert "served by nginx" not in page, "the browser accepted any certificate"
    relay.wait_idle()


def test_name_without_service(lab):
    """A name whose service is not there, or is not public, is closed at once, without a page."""
    w, relay, _ca = web_at_home(lab)
    for name in PUBLIC:
        done = w.visitor.run(["curl", "-sSk", "-m", "5", "--connect-to", f"{name}:443:45.0.0.2",
                              f"https://{name}/"], check=False)
        expected = (0,) if name == "www.example.org" else (35, 52, 56)
        assert done.returncode in expected, f"{name}: status {done.returncode}: {done.stderr}"
    relay.wait_idle()
    status = relay.status()
    for reason in ("SERVICE_UNKNOWN", "TARGET_UNREACHABLE", "AGENT_OFFLINE", "NOT_ALLOWED"):
        assert status.get(f"refused_{reason}", 0) == 1, (reason, status)


def test_names(lab):
    """Names in any case and with a final dot; no name, or one that is not published: our own."""
    w, relay, ca = web_at_home(lab)

    def subject(*options):
        shown = w.visitor.run(["sh", "-c", f"openssl s_client -connect 45.0.0.2:443 "
                               f"{' '.join(options)} </dev/null 2>/dev/null | "
                               "openssl x509 -noout -ext subjectAltName"]).stdout
        return re.search(r"DNS:(\S+)", shown).group(1)

    for name in ("www.example.org", "WWW.Example.ORG", "www.example.org."):
        assert subject("-servername", name) == "www.example.org", name
    for options in (["-noservername"], ["-servername", "other.example.org"],
                    ["-servername", "relay.example.org"]):
        assert subject(*options) == "relay.example.org", options
    relay.wait_idle()


@limit(90)
def test_many_pages(lab):
    """A hundred visitors at once, through a home with one agent."""
    w, relay, ca = web_at_home(lab)
    config = lab.write("curl.conf", "url = https://www.example.org/\noutput = /dev/null\n" * 300)
    done = w.visitor.run(["curl", "-sSf", "-m", "60", "--parallel", "--parallel-max", "100",
                          "--parallel-immediate", "-H", "Connection: close", "--http1.1",
                          "--cacert", ca.certificate, "-w", "%{http_code}\n", "-K", config],
                         timeout=80)
    assert done.stdout.split() == ["200"] * 300, (done.stdout[-200:], done.stderr[-400:])
    relay.wait_idle()
    assert relay.status()["sessions_total"] >= 300
