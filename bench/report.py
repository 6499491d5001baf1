# SPDX-License-Identifier: Apache-2.0
"""report: from samples to the table: medians, ranges, and ratios to the best peer."""
import statistics


class Row:
    """One line of the table: a field of one measurement's result."""

    def __init__(self, title, test, field, higher=False, digits=1, aim=None, only_secure=False):
        self.title, self.test, self.field = title, test, field
        self.higher, self.digits, self.aim = higher, digits, aim
        self.only_secure = only_secure  # the ratio is to peers that do TLS handshakes too


ROWS = (
    Row("bulk, 1 session (Gbit/s)", "bulk1", "gbit_per_s", higher=True, aim=1.8),
    Row("bulk, 64 sessions (Gbit/s)", "bulk64", "gbit_per_s", higher=True, aim=1.8),
    Row("relay CPU, 1 session (s/GiB)", "bulk1", "cpu_s_per_gib", digits=3, aim=0.5),
    Row("relay CPU, 64 sessions (s/GiB)", "bulk64", "cpu_s_per_gib", digits=3, aim=0.5),
    Row("ping-pong, 1 session, p50 (us)", "ping1", "p50_us"),
    Row("ping-pong, 1 session, p99 (us)", "ping1", "p99_us", aim=1.0),
    Row("ping-pong, 1,000 sessions, p50 (us)", "ping1000", "p50_us"),
    Row("ping-pong, 1,000 sessions, p99 (us)", "ping1000", "p99_us", aim=1.0),
    Row("new sessions (1/s)", "rate", "per_s", higher=True, digits=0, only_secure=True),
    Row("relay CPU per new session (us)", "rate", "cpu_us_each", digits=0, only_secure=True),
    Row("new sessions, warm legs (1/s)", "warm", "per_s", higher=True, digits=0),
    Row("STUN answers (1/s)", "stun", "per_s", higher=True, digits=0),
    Row("relay CPU per STUN answer (us)", "stun", "cpu_us_each", digits=2, aim=0.5),
    Row("user memory per idle session (bytes)", "idle", "bytes_per_session", digits=0, aim=1024),
)
MEMORY_FIELD = "bytes_per_session"  # its aim is absolute


def samples(results, relay, row):
    return [r[row.field] for r in results.get((relay.name, row.test), [])]


def median(results, relay, row):
    values = samples(results, relay, row)
    return statistics.median(values) if values else None


def number(value, digits):
    return f"{value:,.{digits}f}"


def cell(results, relay, row):
    values = samples(results, relay, row)
    if not values:
        return "–"
    text = number(statistics.median(values), row.digits)
    if len(values) > 1:
        text += f" ({number(min(values), row.digits)}–{number(max(values), row.digits)})"
    return text


def ratio_to_best(results, relays, ours, row, tuned):
    """Ours by the best peer's median; tuned: peers beyond their shipped settings count too."""
    mine = median(results, ours, row)
    theirs = [median(results, r, row) for r in relays
              if r.peer and (tuned or not r.tuned) and (r.secure or not row.only_secure)]
    theirs = [value for value in theirs if value is not None]
    if mine is None or not theirs:
        return None
    best = max(theirs) if row.higher else min(theirs)
    return mine / best if best else None


def verdict(results, relays, ours, row):
    """(text of the aim, met or None)."""
    if row.aim is None:
        return "", None
    if row.field == MEMORY_FIELD:
        mine = median(results, ours, row)
        return "≤ 1,024", None if mine is None else mine <= row.aim
    ratio = ratio_to_best(results, relays, ours, row, False)
    sign = "≥" if row.higher else "≤"
    if ratio is None:
        return f"{sign} {row.aim:.1f}", None
    return f"{sign} {row.aim:.1f}", ratio >= row.aim if row.higher else ratio <= row.aim


def lines(results, relays, ours):
    """The table's cells: a head and one list per row."""
    has_tuned = any(r.tuned for r in relays)
    head = ["", *[r.name for r in relays], "ratio"] + (["ratio, tuned"] if has_tuned else [])
    out = [head + ["aim", "met"]]
    for row in ROWS:
        cells = [row.title] + [cell(results, r, row) for r in relays]
        for tuned in [False, True] if has_tuned else [False]:
            ratio = ratio_to_best(results, relays, ours, row, tuned)
            cells.append("" if ratio is None else f"{ratio:.2f}")
        aim, met = verdict(results, relays, ours, row)
        out.append(cells + [aim, {None: "", True: "yes", False: "no"}[met]])
    return out


def plain(table):
    """For a terminal: one block per row, since seven columns with ranges fit no screen."""
    head, out = table[0], []
    for row in table[1:]:
        cells = dict(zip(head, row))
        aim = f"   aim {cells['aim']}: {'met' if cells['met'] == 'yes' else 'NOT MET'}" \
            if cells["met"] else ""
        ratio = f"   ratio to best peer {cells['ratio']}" if cells["ratio"] else ""
        tuned = cells.get("ratio, tuned", "")
        if tuned and tuned != cells["ratio"]:
            ratio += f" (tuned peers too: {tuned})"
        out.append(f"{row[0]}{ratio}{aim}")
        out += [f"    {name:<14} {cells[name]}" for name in head[1:head.index("ratio")]
                if cells[name] != "–"]
    return "\n".join(out)


def markdown(table):
    rows = ["| " + " | ".join(row) + " |" for row in table]
    rule = "|" + "|".join(["---"] + ["--:"] * (len(table[0]) - 1)) + "|"
    return "\n".join([rows[0], rule] + rows[1:])
