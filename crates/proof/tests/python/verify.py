"""A second verifier of the public record, small and slow, with nothing but Python's standard library.

It is written from docs/record-format.md and shares no code with the first. Usage: verify.py FOLDER; prints
`yes …` or `no …` and exits 0 or 1.
"""

import base64
import hashlib
import os
import struct
import sys


class Lie(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Lie(what)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def sha2(data):
    return sha(sha(data))


# --- Ed25519 (RFC 8032, section 5.1) ---
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * I % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def decompress(b):
    y = int.from_bytes(b, "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def mul(s, p):
    q = (0, 1, 1, 0)
    while s:
        if s & 1:
            q = add(q, p)
        p = add(p, p)
        s >>= 1
    return q


BY = 4 * pow(5, P - 2, P) % P
BX = recover_x(BY, 0)
B = (BX, BY, 1, BX * BY % P)


def signed(key, text, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r = decompress(key), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    p, q = mul(s, B), add(r, mul(h, a))
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


# --- trees ---
def tree(leaves, parent, empty):
    """The root of RFC 6962's shape, given how two become one."""
    if not leaves:
        return empty
    while len(leaves) > 1:
        pairs = [parent(leaves[i], leaves[i + 1]) for i in range(0, len(leaves) - 1, 2)]
        leaves = pairs + leaves[len(leaves) & ~1:]
    return leaves[0]


def plain_root(leaves):
    return tree(leaves, lambda l, r: sha(b"\1", l, r), sha())


def sum_parent(l, r):
    sums = tuple(a + b for a, b in zip(l[0], r[0]))
    need(all(s < 1 << 128 for s in sums), "a sum overflows")
    raw = lambda n: b"".join(s.to_bytes(16, "big") for s in n[0]) + n[1]
    return (sums, sha(b"\2", raw(l), raw(r)))


# --- reading ---
class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(0 <= n <= len(self.data) - self.at, "bytes are missing")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def end(self):
        need(self.at == len(self.data), "bytes follow the end")


def b64(text):
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text, "base64 of another form")
    return raw


def key_id(name, key):
    return sha(name.encode(), b"\n\x01", key)[:4]


def pieces(n):
    return [(i, 256) for i in range(n // 256)] + ([(n // 256, n % 256)] if n % 256 else [])


def tile_path(kind, n, width):
    parts = ["%03d" % (n % 1000)]
    n //= 1000
    while n:
        parts.insert(0, "x%03d" % (n % 1000))
        n //= 1000
    return "tile/%s/%s%s" % (kind, "/".join(parts), "" if width == 256 else ".p/%d" % width)


class Record:
    def __init__(self, folder):
        self.folder = folder

    def file(self, name):
        try:
            with open(os.path.join(self.folder, name), "rb") as f:
                return f.read()
        except FileNotFoundError:
            raise Lie("no file " + name)

    def data(self, digest, size):
        raw = self.file("data/" + digest.hex())
        need(len(raw) == size and sha(raw) == digest, "a file is not the one of its name")
        return raw

    # --- the log ---
    def verify(self):
        note = self.file("checkpoint").decode()
        body, lines = note[:note.rindex("\n\n") + 1], note[note.rindex("\n\n") + 2:]
        need(lines.endswith("\n"), "a note without an end")
        origin, size, root = body.split("\n")[:3]
        need(size == str(int(size)) and 0 < int(size) <= 1 << 24, "an impossible size")
        size, root = int(size), b64(root)
        entries = []
        for n, width in pieces(size):
            r = Reader(self.file(tile_path("entries", n, width)))
            entries += [r.take(r.number(2)) for _ in range(width)]
            r.end()
        hashes = [sha(b"\0", e) for e in entries]
        need(plain_root(hashes) == root, "the entries are not the checkpoint's")
        level = 0
        while hashes:
            for n, width in pieces(len(hashes)):
                need(self.file(tile_path(level, n, width)) == b"".join(hashes[n * 256:n * 256 + width]), "a tile is wrong")
            hashes = [plain_root(hashes[i:i + 256]) for i in range(0, len(hashes) & ~255, 256)]
            level += 1
        key_text = self.file("key").decode()
        need(key_text.endswith("\n"), "a key without an end")
        name, kid, raw = key_text[:-1].split("+", 2)
        raw = b64(raw)
        need(name == origin and raw[0] == 1 and kid == key_id(name, raw[1:]).hex(), "a key of another form")
        self.origin, self.keys, self.lanes, self.shares = origin, [raw[1:]], {}, 0
        self.hashes, self.statement, self.stated_at = [sha(b"\0", e) for e in entries], 0, 0
        recovery = None
        for at, entry in enumerate(entries):
            r = Reader(entry)
            if entry.startswith(b"gruve log 1\0"):
                need(at == 0, "a second head")
                r.take(12)
                need(r.take(r.number(1)).decode() == origin and r.take(32) == self.keys[0], "another log")
                recovery = r.take(32)
                r.end()
            elif entry.startswith(b"gruve keys 1\0"):
                need(at > 0, "no head")
                r.take(13)
                by, to, s1, s2 = r.take(32), r.take(32), r.take(64), r.take(64)
                r.end()
                need(by == self.keys[-1] or (by == recovery and any(recovery)), "nobody may appoint")
                text = b"gruve keys 1\0" + bytes([len(origin)]) + origin.encode() + at.to_bytes(8, "big") + by + to
                need(signed(by, text, s1) and signed(to, text, s2), "a change of keys without signatures")
                self.keys.append(to)
            elif entry.startswith(b"gruve funds 1\0"):
                need(at > 0, "no head")
                self.funds(r, at)
            else:
                need(at > 0, "no head")
                self.epoch(entry)
        key = self.keys[-1]
        good = []
        for line in lines[:-1].split("\n"):
            dash, who, raw = line.split(" ")
            raw = b64(raw)
            need(dash == "\u2014", "not a signature line")
            if who == origin and raw[:4] == key_id(origin, key):
                good.append(signed(key, body.encode(), raw[4:]))
        need(good and all(good), "not signed by the operator")
        return size

    # --- one statement of funds: all but the signatures of coins, which need secp256k1 ---
    def funds(self, r, at):
        r.take(14)
        number, when = r.number(8), r.number(8)
        need(number == self.statement + 1 and when >= self.stated_at, "statements out of order")
        self.statement, self.stated_at = number, when
        f = Reader(self.data(r.take(32), r.number(8)))
        count, names, held = r.number(1), [], {}
        need(1 <= count <= 16, "a statement of nothing, or too much")
        for _ in range(count):
            name = self.name(r)
            names.append(name)
            r.take(48)
            leaves, shown, reserves = r.number(8), r.number(1), r.number(16)
            need(0 < leaves <= 1 << 24 and leaves & (leaves - 1) == 0 and shown <= 2, "a tree of another size")
            need(shown or not reserves, "reserves that nothing shows")
            if shown:
                held[name] = (shown, reserves)
        r.end()
        need(names == sorted(set(names)), "assets that do not ascend")
        need(f.take(8) == b"GRUVRSV1" and f.number(8) == number, "another file of reserves")
        size, root = f.number(8), f.take(32)
        need(size <= at and plain_root(self.hashes[:size]) == root, "reserves of another history")
        need(f.number(1) == len(held), "other assets")
        for name in sorted(held):
            need(self.name(f) == name and f.number(1) == held[name][0], "other assets")
            f.take(40)
            need(self.holders(f, held[name][0]) == held[name][1], "another sum")
        f.end()

    def name(self, r):
        n = r.number(1)
        need(1 <= n <= 32, "a name of another size")
        name = r.take(n)
        need(all(chr(c).isalnum() and c < 128 or c in b"/-_." for c in name), "a name of other characters")
        return name

    def holders(self, f, shown):
        count, total, last, seen = f.number(4), 0, b"", set()
        need(count <= 1 << 16, "too many holders")
        for _ in range(count):
            n = f.number(1)
            need(n == 20 if shown == 2 else 1 <= n <= 75, "a holder of another size")
            of = f.take(n)
            need(of > last, "holders that do not ascend")
            last = of
            signature = f.number(2)
            need(0 < signature <= 8192, "no signature")
            f.take(signature)
            if shown == 2:
                total += f.number(16)
                continue
            coins, before = f.number(4), None
            need(coins, "a holder of nothing")
            for _ in range(coins):
                coin = (f.take(32), f.number(4))
                need((before is None or coin > before) and coin not in seen, "a coin twice")
                before = coin
                seen.add(coin)
                total += f.number(8)
        return total

    # --- one epoch ---
    def epoch(self, entry):
        r = Reader(entry)
        need(r.take(14) == b"gruve epoch 2\0", "an unknown entry")
        s = {"lane": r.take(r.number(1)).decode(), "algorithm": r.number(1), "proven": r.number(1)}
        need(s["algorithm"] < 4 and s["proven"] < 2, "an impossible lane")
        for name in ("epoch", "prev"):
            s[name] = r.number(8)
        s["prev_checkpoint"] = r.take(32)
        r.number(8)
        s["shares"], s["house"], s["other"] = r.number(8), r.number(16), r.number(16)
        s["share_root"] = r.take(32)
        s["allocation"] = ((r.number(16),), r.take(32))
        s["surplus"], s["contracts"] = r.number(16), r.number(8)
        s["sold_root"] = ((r.number(16), r.number(16), r.number(16)), r.take(32))
        record, sold = (r.take(32), r.number(8)), (r.take(32), r.number(8))
        s["rules"] = (r.number(1), r.number(1), r.number(1))
        r.end()
        lane = self.lanes.setdefault(s["lane"], {"entries": [], "seen": {}})
        before = lane["entries"][-1][:2] if lane["entries"] else (0, bytes(32))
        need((s["prev"], s["prev_checkpoint"]) == before and s["epoch"] > before[0], "an epoch that does not follow")
        owners = {}
        if s["proven"]:
            need(s["algorithm"] < 2, "nothing proves this algorithm")
            owners = self.record(s, lane, self.data(*record))
        else:
            need(record == (bytes(32), 0), "an unproven epoch with a record")
        self.sums(s, owners, self.data(*sold))
        lane["entries"].append((s["epoch"], sha(b"gruve checkpoint 1\0", entry), s["rules"], s["shares"] > 0))

    def sums(self, s, owners, raw):
        r = Reader(raw)
        need(r.take(8) == b"GRUVSLD1" and r.take(r.number(1)).decode() == s["lane"], "another sold tree")
        need(r.number(8) == s["epoch"], "another epoch's sold tree")
        leaves, given, last, short = [], [], b"", False
        for _ in range(min(r.number(8), len(raw))):
            body = r.take(113)
            need(body[:16] > last or not leaves, "contracts that are not sorted")
            last = body[:16]
            sums = struct.unpack(">16s16s16s", body[17:65])
            sums = tuple(int.from_bytes(v, "big") for v in sums)
            short |= sums[1] < int.from_bytes(body[65:81], "big")
            leaves.append((sums, sha(b"\0", body[17:65], body[:17], body[65:])))
            if sums[1]:
                given.append(allocation(1, body[:16], sums[1]))
        r.end()
        root = tree(leaves, sum_parent, ((0, 0, 0), sha()))
        need(len(leaves) == s["contracts"] and root == s["sold_root"], "another sold root")
        need(root[0][1] + s["surplus"] == s["house"], "not all of the house's work went to somebody")
        need(not (short and s["surplus"]), "surplus before contracts")
        if s["proven"]:
            all_leaves = [allocation(0, bytes(16), s["surplus"])] if s["surplus"] else []
            all_leaves += given + [allocation(2, o, w) for o, w in sorted(owners.items())]
            need(tree(all_leaves, sum_parent, ((0,), sha())) == s["allocation"], "another allocation root")

    def checkpoint(self, lane, epoch, of):
        known = [e for e in lane["entries"] if e[0] <= epoch - 2]
        at = [e for e in known if e[0] == of] or [(0, bytes(32))][of:]
        need(at, "a checkpoint that no entry has")
        need(sum(1 for e in known if e[0] > of and e[3]) <= 6, "a stale checkpoint")
        return at[0][1]

    def record(self, s, lane, raw):
        r = Reader(raw)
        need(r.take(8) == b"GRUVREC1" and r.take(r.number(1)).decode() == s["lane"], "another record")
        need(r.number(8) == s["epoch"], "another epoch's record")
        jobs, owner_count = r.number(4), r.number(4)
        need(jobs <= 60480 and owner_count <= 1 << 20, "absurd counts")
        owners = [r.take(16) for _ in range(owner_count)]
        need(owners == sorted(set(owners)), "owners that are not sorted")
        jobs = [self.job(r, s, lane) for _ in range(jobs)]
        numbers = [j["job"] for j in jobs]
        need(numbers == sorted(set(numbers)), "jobs that are not sorted")
        rules = [e[2] for e in lane["entries"] if e[0] <= s["epoch"] - 2]
        low, high = rules[-1][:2] if rules else (0, 100)
        work, leaves, used, late = {}, [], set(), {}
        sections = r.number(1)
        need(1 <= sections <= 3, "an impossible number of sections")
        before = None
        for i in range(sections):
            epoch, count = r.number(8), r.number(8)
            if i == 0:
                need(epoch == s["epoch"], "a section of another epoch")
            else:
                need(s["epoch"] - 2 <= epoch < s["epoch"] and (i == 1 or epoch > before) and count, "a bad late section")
            before = epoch
            need(count <= 1 << 23, "absurd counts")
            seen, last, full = set(), None, None
            while count:
                index, k = r.number(4), r.number(1)
                n, column = r.number(2), r.number(4)
                need(index < len(jobs) and 0 < n <= min(4096, count) and k <= 100, "an impossible block")
                need(low <= k <= high, "a class out of range")
                job = jobs[index]
                e = job["extranonce"]
                need(job["epoch"] == epoch, "a job of another epoch")
                used.add(index)
                if full is not None and (index, k, e) == full[0]:
                    need(full[1] == 4096, "a block cut where none ends")
                full = ((index, k, e), n)
                extranonces = varints(r.take(column), n, e)
                nonces = [r.take(4) for _ in range(n)]
                times, versions, whose = (fixed(r, n) for _ in range(3))
                coinbase = job["build"](e, k)
                for x, nonce, time, version, who in zip(extranonces, nonces, times, versions, whose):
                    time = (job["ntime"] + ((time >> 1) ^ -(time & 1))) & 0xFFFFFFFF
                    version = ((version << 13 | version >> 19) & 0xFFFFFFFF) ^ job["version"]
                    need(who <= len(owners), "an unknown owner")
                    order = (index, k, e, x, time, nonce, version)
                    need(last is None or order > last, "shares that are not sorted")
                    last = order
                    tx = coinbase(x, s["algorithm"])
                    node = sha2(tx)
                    for sibling in job["branch"]:
                        node = sha2(node + sibling)
                    header = struct.pack("<I", version) + job["prev_hash"] + node + struct.pack("<II", time, job["bits"]) + nonce[::-1]
                    digest = sha2(header) if s["algorithm"] == 0 else hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=32)
                    need(int.from_bytes(digest, "little") < 1 << (256 - k), "a share below its target")
                    need(digest not in seen, "a share twice")
                    seen.add(digest)
                    owner = owners[who - 1] if who else None
                    work[owner] = work.get(owner, 0) + (1 << k)
                    canonical = job["job"].to_bytes(8, "big") + bytes([k, e]) + x + bytes(12 - e)
                    canonical += struct.pack(">I", time) + nonce + struct.pack(">I", version)
                    canonical += b"\1" + owner if owner else bytes(17)
                    leaves.append(sha(b"\0", canonical))
                count -= n
            need(not seen & lane["seen"].get(epoch, set()), "a late share twice")
            late[epoch] = seen
        r.end()
        need(len(used) == len(jobs) and all(o in work for o in owners), "a record that is padded")
        need(len(leaves) == s["shares"] and plain_root(leaves) == s["share_root"], "other shares than the entry's")
        house = work.pop(None, 0)
        need((house, sum(work.values())) == (s["house"], s["other"]), "other work than the entry's")
        for epoch, seen in late.items():
            lane["seen"].setdefault(epoch, set()).update(seen)
        self.shares += len(leaves)
        return work

    def job(self, r, s, lane):
        j = {name: r.number(8) for name in ("job", "epoch", "checkpoint", "issued", "height")}
        j["prev_hash"] = r.take(32)
        j["bits"], j["version"], j["ntime"] = r.number(4), r.number(4), r.number(4)
        j["extranonce"] = r.number(1)
        need(j["extranonce"] <= 12, "a long extranonce")
        prefix = r.take(r.number(1))
        suffix = r.take(r.number(4))
        need(len(prefix) <= 160 and len(suffix) <= 1 << 16, "a long coinbase")
        j["branch"] = [r.take(32) for _ in range(r.number(1))]
        need(len(j["branch"]) <= 32, "a long branch")
        checkpoint = self.checkpoint(lane, j["epoch"], j["checkpoint"])
        origin, name = self.origin.encode(), s["lane"].encode()
        commitments = [
            sha(b"gruve stamp 1\0", struct.pack(">H", len(origin)), origin, key, bytes([len(name)]), name,
                j["epoch"].to_bytes(8, "big"), checkpoint)
            for key in self.keys
        ]

        def build(e, k):
            raw = bytearray(prefix + bytes(e) + suffix)
            commitment, at, script = coinbase_stamp(raw)
            need(commitment in commitments, "a stamp of another log, lane, epoch or history")
            need(raw[at] == 0, "a class in the record's coinbase")
            need(script[0] <= len(prefix) and len(prefix) + e <= script[1], "an extranonce outside the script")
            raw[at] = k

            def with_extranonce(x, algorithm):
                tx = bytes(raw[:len(prefix)]) + x + bytes(raw[len(prefix) + e:])
                tags = tx[script[0]:script[1]].count(b"\xfa\xbemm")
                need(algorithm != 1 or tags < 2, "two merge-mining tags")
                return tx

            return with_extranonce

        j["build"] = build
        return j


def allocation(kind, who, work):
    return ((work,), sha(b"\0", work.to_bytes(16, "big"), bytes([kind]), who))


def varints(raw, n, e):
    r, out, total = Reader(raw), [], 0
    for _ in range(n):
        value, shift = 0, 0
        while True:
            b = r.number(1)
            value |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                need(b or shift == 7, "a number with zeros in front")
                break
        total += value
        need(total < 1 << (8 * e), "an extranonce that does not fit")
        out.append(total.to_bytes(e, "big"))
    r.end()
    return out


def fixed(r, n):
    width = r.number(1)
    need(width <= 4, "a wide column")
    values = [r.number(width) for _ in range(n)]
    need((max(values).bit_length() + 7) // 8 == width, "a column wider than it needs")
    return values


def coinbase_stamp(raw):
    """Commitment, place of the class byte, and the script's place, from the first byte on."""
    r = Reader(bytes(raw))

    def count():
        n = int.from_bytes(r.take(1), "little")
        if n < 0xFD:
            return n
        size = {0xFD: 2, 0xFE: 4, 0xFF: 8}[n]
        v = int.from_bytes(r.take(size), "little")
        need(v >= {2: 0xFD, 4: 1 << 16, 8: 1 << 32}[size], "a long count")
        return v

    r.take(4)
    need(count() == 1 and r.take(36) == bytes(32) + b"\xff" * 4, "not a coinbase")
    n = count()
    need(2 <= n <= 100, "not a coinbase")
    script = (r.at, r.at + n)
    r.take(n + 4)
    found = None
    for _ in range(count()):
        value = r.take(8)
        out = r.take(count())
        skip = {0x4C: 1, 0x4D: 2, 0x4E: 4}
        push = None
        if len(out) > 1 and out[0] == 0x6A:
            if 1 <= out[1] <= 75:
                push = out[2:]
            elif out[1] in skip:
                push = out[2 + skip[out[1]]:]
        if push is not None and push.startswith(b"gruv"):
            need(found is None, "two stamps")
            need(value == bytes(8) and len(out) == 40 and out[1] == 0x26 and out[6] == 1 and out[39] <= 100, "a stamp of another form")
            found = (out[7:39], r.at - 1)
    r.take(4)
    r.end()
    need(found is not None, "no stamp")
    return found[0], found[1], script


def main():
    record = Record(sys.argv[1])
    try:
        entries = record.verify()
    except (Lie, ValueError, UnicodeDecodeError, IndexError, KeyError) as e:
        print("no", e)
        return 1
    print("yes", entries, "entries,", record.shares, "shares")
    return 0


if __name__ == "__main__":
    sys.exit(main())
