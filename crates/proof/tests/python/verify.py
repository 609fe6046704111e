#!/usr/bin/env python3
"""A verifier of a cloud-mining operator's public record, from its published documents alone.

Usage: python3 verify.py FOLDER [RECEIPTS…]

FOLDER is the record as published: `key`, `checkpoint`, `tile/…`, `data/…`. RECEIPTS are files of a customer's receipts: a
series, or JSON, one or one a line; or proofs of what is owed, as JSON. One line is printed:

    yes …           everything that is checked holds; exit status 0
    no REASON …     the first lie or malformed thing; exit status 1

Checked: the signed head and every tile of the log, changes of keys, each lane's chain of checkpoints, every
share (coinbase, stamp, merkle branch, proof of work, order, no hash twice), the trees of shares, of allocation and
of what was sold, statements of funds with their files of reserves, and what gateways signed that they accepted; of receipts
every step from the contract's leaf to a signed beginning of this log.

Left out, because a folder alone does not show it or because other tools do it better:
  - signatures of holders of coins and accounts (BIP-322, EIP-191): only their place and form are read, and whether
    the coins were unspent at their block is for somebody with a node to say;
  - the tree of what is owed and the private parts of contracts, which are not public: customers check their own proofs (RECEIPTS);
  - lines of witnesses, and whether this head continues one seen earlier or elsewhere;
  - hashes of the Ethash family, which the standard library does not have: of its shares everything else is checked;
  - epochs published as unproven have no record: only their chain and sold tree are checked, and they are counted apart;
  - whether jobs extend the real chain or have the network's target.
"""
import base64
import hashlib
import json
import os
import re
import stat
import struct
import sys

class Lie(Exception):
    """The record is false, or not in the one form that is allowed."""

def need(condition, reason):
    if not condition:
        raise Lie(reason)

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def sha2(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()

def be(value, width):
    return value.to_bytes(width, "big")

ZERO = bytes(32)
LIMIT16 = 1 << 128

# ---- Reading ---------------------------------------------------------------------------------------------------
class Folder:
    """Reads files, never more than their stated or allowed length; a pipe or device cannot hang the reader."""
    def __init__(self, path):
        self.path = path
        need(os.path.isdir(path), "no such folder")

    def read(self, name, most, least=0):
        path = os.path.join(self.path, name)
        try:
            info = os.stat(path)
            need(stat.S_ISREG(info.st_mode), f"{name} is not a file")
            need(least <= info.st_size <= most, f"{name} is too long or too short")
            with open(path, "rb") as file:
                data = file.read(most + 1)
        except OSError as error:
            raise Lie(f"{name} cannot be read ({error.strerror})")
        need(least <= len(data) <= most, f"{name} changed while it was read")
        return data

    def text(self, name, most):
        return utf8(self.read(name, most), name)

    def data(self, digest, length):
        """A file named by its hash, of the length that the log says."""
        data = self.read("data/" + digest.hex(), length, length)
        need(sha(data) == digest, f"data/{digest.hex()} is not what its name says")
        return data

class Reader:
    """Walks over bytes from front to back; everything must be there, and nothing more."""
    def __init__(self, data, what):
        self.bytes, self.at, self.what = data, 0, what

    def take(self, n):
        need(n <= len(self.bytes) - self.at, f"{self.what}: cut short")
        self.at += n
        return self.bytes[self.at - n:self.at]

    def number(self, n, most=None, name="number"):
        value = int.from_bytes(self.take(n), "big")
        need(most is None or value <= most, f"{self.what}: {name} is over {most}")
        return value

    def expect(self, literal, name="beginning"):
        need(self.take(len(literal)) == literal, f"{self.what}: wrong {name}")

    def text(self):
        raw = self.take(self.number(1))
        need(raw and utf8(raw, self.what), f"{self.what}: empty name")
        return raw

    def end(self):
        need(self.at == len(self.bytes), f"{self.what}: bytes left over")

def utf8(raw, what):
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Lie(f"{what}: not text")

def unbase64(text, what):
    """Only the canonical form: decoding and encoding again gives the same text, padding bits included."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Lie(f"{what}: not base64")
    need(base64.b64encode(data).decode() == text, f"{what}: base64 not in canonical form")
    return data

# ---- Ed25519 (RFC 8032) ----------------------------------------------------------------------------------------
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)

def point_add(a, b):
    """Extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z."""
    u, v = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    w, z = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = v - u, z - w, z + w, v + u
    return e * f % P, g * h % P, f * g % P, e * h % P

def point_times(scalar, point):
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = point_add(result, point)
        point = point_add(point, point)
        scalar >>= 1
    return result

def point_decode(raw):
    """None for anything that is not the one encoding of a point on the curve."""
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT_OF_MINUS_1 % P
    if x * x % P != square or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P

def point_encode(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")

BASE = point_decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def signed(key, message, signature):
    if len(signature) != 64:
        return False
    a, first, s = point_decode(key), point_decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or first is None or s >= ORDER:
        return False
    # A key of small order has signatures that anybody can make; with such a beginning one signature fits many texts.
    if point_encode(IDENTITY) in (point_encode(point_times(8, a)), point_encode(point_times(8, first))):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    minus_a = (P - a[0], a[1], a[2], P - a[3])
    return point_encode(point_add(point_times(s, BASE), point_times(k, minus_a))) == signature[:32]

# ---- Trees -----------------------------------------------------------------------------------------------------
def fold(leaves, join, empty):
    """Root of a tree that splits at the largest power of two below its size: complete subtrees are joined as soon as
    there are two of a size, the rest from the right at the end."""
    stack = []
    for count, leaf in enumerate(leaves):
        while count & 1:
            leaf = join(stack.pop(), leaf)
            count >>= 1
        stack.append(leaf)
    while len(stack) > 1:
        right = stack.pop()
        stack.append(join(stack.pop(), right))
    return stack[0] if stack else empty

def hash_root(leaves):
    return fold(leaves, lambda left, right: sha(b"\1", left, right), sha())

def sum_node(left, right):
    """Node of a tree that adds up: (tuple of sums, hash). Both children's sums are hashed, so neither can be bent."""
    sums = tuple(a + b for a, b in zip(left[0], right[0]))
    need(all(s < LIMIT16 for s in sums), "a sum does not fit 16 bytes")
    return sums, sha(b"\2", *(be(s, 16) for s in left[0]), left[1], *(be(s, 16) for s in right[0]), right[1])

# ---- The log ---------------------------------------------------------------------------------------------------
def tile_name(level, place, width):
    thousands = f"x{place // 1000:03}/" if place >= 1000 else ""  # never a million: 2^24 entries are 65,536 tiles
    return f"tile/{level}/{thousands}{place % 1000:03}" + (f".p/{width}" if width < 256 else "")

# Names of keys: no white space, no plus, no control characters.
NAME = r"([^+\s\x00-\x1f\x7f-\x9f]+)"

def key_id(name, key):
    return sha(name, b"\n\1", key)[:4]

def read_key(folder):
    match = re.fullmatch(NAME + r"\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)\n", folder.text("key", 1024))
    need(match, "key: not one line of name+id+base64")
    raw, name = unbase64(match[3], "key"), match[1].encode()
    need(len(raw) == 33 and raw[0] == 1, "key: not an Ed25519 key")
    need(key_id(name, raw[1:]).hex() == match[2], "key: its id is not that of name and key")
    return name, raw[1:]

def read_checkpoint(folder):
    return read_note(folder.text("checkpoint", 16384))

def read_note(note):
    """Text that is signed, origin, size, root and the signatures as (name, id, signature)."""
    need(len(note.encode()) <= 16384, "checkpoint: too long")
    text, gap, tail = note.partition("\n\n")
    lines = text.split("\n")
    need(gap and len(lines) == 3 and tail.endswith("\n"), "checkpoint: not a signed note of three lines")
    need(not any(ord(c) < 32 and c != "\n" for c in note), "checkpoint: control characters")
    need(re.fullmatch(r"[1-9][0-9]{0,7}", lines[1]) and int(lines[1]) <= 1 << 24, "checkpoint: bad size")
    root = unbase64(lines[2], "checkpoint: root")
    need(len(root) == 32, "checkpoint: root has not 32 bytes")
    signatures = []
    for line in tail[:-1].split("\n"):
        match = re.fullmatch("— " + NAME + r" ([A-Za-z0-9+/=]+)", line)
        need(match, "checkpoint: bad signature line")
        raw = unbase64(match[2], "checkpoint: signature")
        need(len(raw) > 4, "checkpoint: short signature")
        signatures.append((match[1].encode(), raw[:4], raw[4:]))
    return (text + "\n").encode(), lines[0].encode(), int(lines[1]), root, signatures

def read_log(folder, size, root):
    """All entries and their leaf hashes; the tiles' hashes are made again and compared, level by level."""
    entries = []
    for first in range(0, size, 256):
        width = min(256, size - first)
        name = tile_name("entries", first // 256, width)
        tile = Reader(folder.read(name, 256 * 2050), name)
        for _ in range(width):
            entries.append(tile.take(tile.number(2, 2048, "length of an entry")))
        tile.end()
    leaves = [sha(b"\0", entry) for entry in entries]
    need(hash_root(leaves) == root, "the entries are not those of the checkpoint's root")
    level, hashes = 0, leaves
    while hashes:
        for first in range(0, len(hashes), 256):
            part = hashes[first:first + 256]
            name = tile_name(level, first // 256, len(part))
            need(folder.read(name, 32 * 256) == b"".join(part), f"{name} has wrong hashes")
        hashes = [hash_root(hashes[i:i + 256]) for i in range(0, len(hashes) - 255, 256)]
        level += 1
    return entries, leaves

def check_other_files(folder, size):
    """Files that nothing names are no part of the record, but they are what their names say: parts of tiles begin as what
    they have grown to, or go on from it; files below `data` have the hash that they are named for."""
    now, count, level = {}, size, 0
    while count:
        for first in range(0, count, 256):
            width = min(256, count - first)
            for kind in (str(level), "entries")[:2 if level == 0 else 1]:
                now[tile_name(kind, first // 256, 256)] = tile_name(kind, first // 256, width)
        count, level = count // 256, level + 1
    for place, _, files in os.walk(folder.path):
        for file in files:
            name = os.path.relpath(os.path.join(place, file), folder.path).replace(os.sep, "/")
            if re.fullmatch(r"data/[0-9a-f]{64}", name):
                need(stat.S_ISREG(os.stat(os.path.join(place, file)).st_mode), f"{name} is not a file")
                digest = hashlib.sha256()
                with open(os.path.join(place, file), "rb") as data:
                    while piece := data.read(1 << 16):
                        digest.update(piece)
                need(digest.hexdigest() == name[5:], f"{name} is not what its name says")
            part = re.fullmatch(r"(tile/.*)\.p/([1-9][0-9]{0,2})", name)
            if part and part[1] in now and int(part[2]) < 256:
                own, grown, width = folder.read(name, 256 * 2050), folder.read(now[part[1]], 256 * 2050), int(part[2])
                if "entries" in name:
                    tile = Reader(own, name)
                    for _ in range(width):
                        tile.take(tile.number(2, 2048, "length of an entry"))
                    tile.end()
                else:
                    need(len(own) == 32 * width, f"{name} has another length than its name says")
                need(own.startswith(grown) or grown.startswith(own), f"{name} is no beginning of what it has grown to")

# ---- Coinbase and stamp ----------------------------------------------------------------------------------------
def read_count(tx):
    """Bitcoin's variable number; a longer form than needed would give one transaction several encodings."""
    first = tx.take(1)[0]
    if first < 0xFD:
        return first
    width = {0xFD: 2, 0xFE: 4, 0xFF: 8}[first]
    value = int.from_bytes(tx.take(width), "little")
    need(value >= {2: 0xFD, 4: 1 << 16, 8: 1 << 32}[width], f"{tx.what}: a count not in its shortest form")
    return value

def is_stamp_like(script):
    """OP_RETURN and at once a push, in any of its encodings, behind whose length the mark stands, whatever length it says."""
    if len(script) < 2 or script[0] != 0x6A or not 1 <= script[1] <= 0x4E:
        return False
    skip = {0x4C: 3, 0x4D: 4, 0x4E: 6}.get(script[1], 2)
    return script[skip:skip + 4] == b"gruv"

def read_coinbase(before, extra, after, what):
    """Commitment of the one stamp, place of its class byte in the coinbase, where the script begins and ends, and the
    scripts and values of outputs that are worth something."""
    tx = Reader(before + bytes(extra) + after, what)
    tx.take(4)
    need(read_count(tx) == 1, f"{what}: not one input (or the witness form)")
    tx.expect(ZERO + b"\xff\xff\xff\xff", "outpoint")
    length = read_count(tx)
    need(2 <= length <= 100, f"{what}: script has {length} bytes")
    start, stop = tx.at, tx.at + length
    tx.take(length + 4)
    need(start <= len(before) and len(before) + extra <= stop, f"{what}: extranonce is not inside the script")
    stamps, paid, values = [], [], []
    for _ in range(read_count(tx)):
        value = int.from_bytes(tx.take(8), "little")
        script = tx.take(read_count(tx))
        if is_stamp_like(script):
            stamps.append((value, script, tx.at - 1))
        elif value:
            paid.append(script)
            values.append(value)
    tx.take(4)
    tx.end()
    need(len(stamps) == 1, f"{what}: {len(stamps)} stamps")
    value, script, place = stamps[0]
    need(value == 0 and len(script) == 40 and script[:7] == b"\x6a\x26gruv\x01", f"{what}: stamp has another form")
    need(script[39] == 0, f"{what}: the stamp's class is not zero in the record")
    return (script[7:39], place, start, stop), paid, values

# ---- Epochs ----------------------------------------------------------------------------------------------------
EPOCH_FORMS = (b"gruve epoch 2\0", b"gruve epoch 3\0")  # the latter names the places of rewards

class Epoch:
    """An entry of the log for one epoch of one lane."""
    def __init__(self, raw, what):
        r = Reader(raw, what)
        form = r.take(14)
        need(form in EPOCH_FORMS, f"{what}: wrong beginning")
        self.what, self.lane = what, r.text()
        need(re.fullmatch(rb"[a-z][a-z0-9-]{0,15}", self.lane), f"{what}: bad name of a lane")
        self.algorithm, self.proven = r.number(1, 3, "algorithm"), r.number(1, 1, "proven")
        self.epoch, self.before = r.number(8), (r.number(8), r.take(32))
        self.length = r.number(8)
        need(self.length > 0, f"{what}: epochs have no length")
        self.shares, self.house, self.others, self.share_root = r.number(8), r.number(16), r.number(16), r.take(32)
        self.allocation = (r.number(16),), r.take(32)
        self.surplus, self.contracts = r.number(16), r.number(8, 1 << 26, "number of contracts")
        self.sold_root = (r.number(16), r.number(16), r.number(16)), r.take(32)
        self.record, self.sold = (r.take(32), r.number(8)), (r.take(32), r.number(8))
        self.rules = (r.number(1, 100, "lowest class"), r.number(1, 100, "highest class"),
                      r.number(1, 100, "threshold of opened shares"))
        need(self.rules[0] <= self.rules[1], f"{what}: lowest class above the highest")
        self.places = None
        if form == EPOCH_FORMS[1]:
            self.places = r.take(32), r.number(8)
            need(self.places[1], f"{what}: a form with places that names none")
        r.end()
        self.checkpoint = sha(b"gruve checkpoint 1\0", raw)

class Lane:
    """What the log has told of one lane so far."""
    def __init__(self):
        self.entries = []  # in the order of the log, which is that of their epochs
        self.leaves = set()  # of all shares
        self.lists = {}    # places of rewards, by the file that has them
        self.hashes = {}   # epoch: hashes of all its shares so far, as long as late ones may still come

    def bindings(self, epoch):
        """Entries whose checkpoints the stamps of an epoch's jobs may hold, by their epochs; under 0 None, which is none."""
        bind, behind = {}, 0
        for e in reversed(self.entries):
            if e.epoch + 2 <= epoch:
                bind[e.epoch] = e
                behind += bool(e.shares or e.house or e.others)
                if behind > 6:
                    return bind
        bind[0] = None
        return bind

    def list_of(self, folder, name, named):
        """The places in that file; the last few are kept."""
        if named not in self.lists:
            if len(self.lists) > 8:
                self.lists.clear()
            self.lists[named] = Places(folder, name, named)
        return self.lists[named]

    def highest_threshold(self, first, last):
        """The highest of opened shares that may bind a share of these epochs: see K in the document, for each of them."""
        highest, with_work = 0, 0
        for e in reversed(self.entries):
            if e.epoch + 2 > last:
                continue
            highest = max(highest, e.rules[2])
            with_work += e.epoch + 2 <= first and bool(e.shares or e.house or e.others)
            if with_work == 7:
                break
        return highest

class Places:
    """To whom jobs may pay that hold an entry's checkpoint: the file that the entry names."""
    def __init__(self, folder, lane, named):
        r = Reader(folder.data(*named), "places of " + lane.decode())
        form = r.take(8)
        need(form in (b"GRUVPLC1", b"GRUVPLC2", b"GRUVPLC3"), f"{r.what}: of no known form")
        need(r.text() == lane, f"{r.what}: of another lane")
        # Without a fee the house has nothing of a block that pays an owner.
        self.lane, self.fee, self.least = lane, 0, 0
        # Several scripts in published parts are named in the third form alone, which may do without a fee.
        self.has_parts = form == b"GRUVPLC3"
        if form != b"GRUVPLC1":
            self.fee, self.least = r.number(2, 9999, "fee"), r.number(8)
            need(self.fee or self.has_parts and not self.least, f"{r.what}: a form with a fee that names none")
        listed = [r.take(32) for _ in range(r.number(4, 1024, "number of places"))]
        r.end()
        need(listed, f"{r.what}: none")
        need(all(a < b for a, b in zip(listed, listed[1:])), f"{r.what}: out of order, or one twice")
        self.listed = frozenset(listed)

    def has(self, kind, ident, script):
        return sha(b"gruve place 1\0", be(len(self.lane), 1), self.lane, be(kind, 1), ident, script) in self.listed

    def check(self, scripts, values, owner, what):
        """Whom a job's block would pay for a share of `owner` (None: the house), and how much (None: a header does not say)."""
        own = [self.has(0, bytes(16), script) for script in scripts]
        shared = None
        if self.has_parts and owner is not None and values is not None:
            shared = partners([(s, v) for s, v, is_house in zip(scripts, values, own) if not is_house])
        if shared is None or not self.has(2, owner, shared):
            for script, is_house in zip(scripts, own):
                need(is_house or owner is not None and self.has(1, owner, script),
                     f"{what}: pays to a place that was not published before for such a share")
        if all(own) or values is None:
            return
        whole = sum(values)
        need(whole < 1 << 64, f"{what}: the house takes another part of more than there is")
        fee = whole * self.fee // 10000
        need(sum(v for v, is_house in zip(values, own) if is_house) == (fee if fee >= self.least else 0),
             f"{what}: pays the house another part than was published before")

def partners(own):
    """Outputs of one owner, by script and value, as its place has them: how many, the scripts, and the parts of all but the
    first in basis points; None where they are no parts."""
    whole = sum(value for _, value in own)
    if not 2 <= len(own) <= 8 or not 10000 <= whole < 1 << 64:
        return None
    parts = [-(-value * 10000 // whole) for _, value in own[1:]]
    if sum(parts) >= 10000 or any(whole * p // 10000 != value for p, (_, value) in zip(parts, own[1:])):
        return None
    return be(len(own), 1) + b"".join(be(len(s), 4) + s for s, _ in own) + b"".join(be(p, 2) for p in parts)

def check_sold(folder, entry):
    """Checks what the epoch was sold to; gives the contracts that got work, as (id, work)."""
    what = entry.what + ", sold tree"
    r = Reader(folder.data(*entry.sold), what)
    r.expect(b"GRUVSLD1")
    need(r.text() == entry.lane and r.number(8) == entry.epoch, f"{what}: of another lane or epoch")
    need(r.number(8, 1 << 26, "number of contracts") == entry.contracts, f"{what}: number of contracts is not the entry's")
    need(len(r.bytes) - r.at == 113 * entry.contracts, f"{what}: wrong length")
    contracts, last = r.at, b""

    def one_by_one():
        r.at = contracts
        for _ in range(entry.contracts):
            ident, kind, rate, allocated, owed, entitled, private = (
                r.take(16), r.number(1, 1, "kind"), *(r.number(16) for _ in range(4)), r.take(32))
            yield ident, kind, rate, allocated, owed, entitled, private

    def leaves():
        for ident, kind, rate, allocated, owed, entitled, private in one_by_one():
            sums = be(rate, 16) + be(allocated, 16) + be(owed, 16)
            yield (rate, allocated, owed), sha(b"\0", sums, ident, be(kind, 1), be(entitled, 16), private)

    claims, is_above, is_one_short, got = 0, False, False, []
    for ident, _, rate, allocated, _, entitled, _ in one_by_one():
        need(last < ident, f"{what}: contracts out of order, or one twice")
        is_above = is_above or entitled > rate * entry.length // 1000000
        claims, is_one_short, last = claims + entitled, is_one_short or allocated < entitled, ident
        if allocated:
            got.append((ident, allocated))
    need(claims < LIMIT16, f"{what}: a sum does not fit 16 bytes")
    root = fold(leaves(), sum_node, ((0, 0, 0), sha()))
    need(root == entry.sold_root, f"{what}: sums or hash of the root are not the entry's")
    need(root[0][1] + entry.surplus == entry.house, f"{what}: allocated work and surplus are not the house's work")
    need(not is_above, f"{what}: a claim on more than the rate makes in an epoch")
    if is_one_short:
        need(not entry.surplus, f"{what}: less allocated than entitled, with a surplus")
        for ident, _, _, allocated, _, entitled, _ in one_by_one():
            part, rest = divmod(entry.house * entitled, claims)
            need(allocated - part in (0, 1 if rest else 0), f"{what}: contract {ident.hex()} has not its part of what all had to share")
    return got

def read_rlp(r):
    """The next item, in its shortest form: whether it is a list, and what is in it."""
    first = r.number(1)
    if first < 0x80:
        return False, bytes([first])
    is_list = first >= 0xC0
    short = first - (0xC0 if is_list else 0x80)
    if short < 56:
        own = r.take(short)
        need(is_list or short != 1 or own[0] >= 0x80, f"{r.what}: a byte with a length that it does not need")
        return is_list, own
    length = r.take(short - 55)
    need(length[0] and int.from_bytes(length, "big") > 55, f"{r.what}: a length not in its shortest form")
    return is_list, r.take(int.from_bytes(length, "big"))

def compact(target):
    """Bits of a target: the least size whose number keeps its highest bit clear; what is behind three bytes is lost."""
    size = target.bit_length() // 8 + 1
    return size << 24 | (target >> 8 * (size - 3) if size > 3 else target << 8 * (3 - size))

# Parts of a header by their least and greatest lengths: the block before, uncles, who is paid, three roots, bloom, difficulty,
# height, two of gas, time. Extra data follow.
HEADER = [(32, 32), (32, 32), (20, 20)] + [(32, 32)] * 3 + [(256, 256), (0, 32)] + [(0, 8)] * 4

def read_header(job, height):
    """The extra data of a job's header, and who is paid by it, as outputs' scripts are given."""
    what = job["what"] + ": not a header"
    need(job["extra"] == 8 and not job["head"] and not job["branch"] and not job["version"] and not job["time"]
         and len(job["tail"]) <= 1024, f"{job['what']}: a header and nothing else may stand there")
    whole = Reader(job["tail"], what)
    is_list, inside = read_rlp(whole)
    whole.end()
    need(is_list, f"{what}: no list")
    r, parts = Reader(inside, what), []
    while r.at < len(inside):
        is_list, part = read_rlp(r)
        need(not is_list, f"{what}: a list in it")
        parts.append(part)
    need(len(parts) > len(HEADER), f"{what}: parts are missing")
    need(all(least <= len(part) <= most for part, (least, most) in zip(parts, HEADER)), f"{what}: a part of another length")
    difficulty, own_height = parts[7:9]
    need(difficulty[:1] != b"\0" and own_height[:1] != b"\0", f"{what}: a number with zeros before it")
    difficulty, own_height = (int.from_bytes(number, "big") for number in (difficulty, own_height))
    bits = compact((1 << 256) // difficulty if difficulty > 1 else (1 << 256) - 1)
    need((parts[0], own_height, bits) == (job["previous"], height, job["bits"]),
         f"{job['what']}: says something else than its header")
    need(len(parts[len(HEADER)]) == 32, f"{job['what']}: extra data are no stamp")
    return parts[len(HEADER)], [parts[2]]

TAG = b"\xfa\xbe\x6d\x6d"

def is_target(bits):
    """Whether compact bits are a target that a hash can reach or miss."""
    size, mantissa = bits >> 24, bits & 0xFFFFFF
    target = mantissa << 8 * (size - 3) if size >= 3 else mantissa >> 8 * (3 - size)
    return mantissa < 0x800000 and 0 < target < 1 << 256

def read_aux(r, what, chains):
    """The blocks of other chains that a job is for: (chain, hash, target) of each. `chains` are those of the record so far,
    with the names of their coins."""
    blocks = []
    for _ in range(r.number(1, 32, "number of blocks of other chains")):
        chain, coin = r.number(4), r.text()
        need(re.fullmatch(rb"[A-Z0-9]{1,16}", coin), f"{what}: bad name of a coin")
        need(not blocks or blocks[-1][0] < chain, f"{what}: blocks of other chains out of order, or two of one")
        blocks.append((chain, r.take(32), r.number(4)))
        r.take(8)  # its height: the operator's word
        chains.add((chain, coin))
        need(len(chains) <= 32, f"{r.what}: more chains than one record may name")
    return blocks

def check_aux(job):
    """The coinbase commits to the blocks that the job names, and to nothing beside them."""
    what = job["what"]
    start, stop = job["stamp"][2:]
    coinbase, extra_from = job["head"] + bytes(job["extra"]) + job["tail"], len(job["head"])
    tag = coinbase.find(TAG, start, stop)
    if not job["aux"]:
        need(tag < 0, f"{what}: commits to blocks that are not named")
        return
    need(tag >= 0, f"{what}: no merge-mining tag")
    need(coinbase.count(TAG, start, stop) == 1, f"{what}: two merge-mining tags")
    at, end = tag + 4, tag + 44
    need(end <= stop, f"{what}: its tag is cut by the end of the script")
    need(end <= extra_from or extra_from + job["extra"] <= at, f"{what}: its tag is cut by the extranonce")
    size, nonce = struct.unpack("<II", coinbase[at + 32:end])
    height = size.bit_length() - 1
    need(size and size == 1 << height and height <= 30, f"{what}: its tag is cut, or of no size that a tree has")
    level = {}
    for chain, block, _ in job["aux"]:
        r = (nonce * 1103515245 + 12345 + chain) % (1 << 32)
        slot = (r * 1103515245 + 12345) % (1 << 32) % size
        need(slot not in level, f"{what}: two chains have one slot")
        level[slot] = block
    nothing = ZERO
    for _ in range(height):  # only what is not like the nodes of empty slots is kept
        level = {i: sha2(level.get(2 * i, nothing) + level.get(2 * i + 1, nothing)) for i in {slot // 2 for slot in level}}
        nothing = sha2(nothing + nothing)
    need(level[0] == coinbase[at:at + 32][::-1], f"{what}: commits to other blocks than are named")

def read_jobs(r, count, algorithm, merged):
    jobs, begin, epochs, chains = [], r.at, set(), set()
    for _ in range(count):
        job = {"number": r.number(8), "epoch": r.number(8), "known": r.number(8)}
        need(not jobs or jobs[-1]["number"] < job["number"], f"{r.what}: jobs out of order")
        r.take(8)  # when it was given out: nothing in the record speaks against any value
        height = r.number(8)
        what = job["what"] = f"{r.what}, job {job['number']}"
        job["previous"], job["bits"], job["version"], job["time"] = r.take(32), r.number(4), r.number(4), r.number(4)
        job["extra"] = r.number(1, 12, "length of extranonces")
        job["head"] = r.take(r.number(1, 160, "length of a coinbase's beginning"))
        job["tail"] = r.take(r.number(4, 65536, "length of a coinbase's end"))
        job["branch"] = [r.take(32) for _ in range(r.number(1, 32, "number of siblings"))]
        job["aux"] = read_aux(r, what, chains) if merged else []
        if algorithm >= 2:
            need(not job["aux"], f"{what}: a header and nothing else may stand there")
            job["header"], job["paid"] = read_header(job, height)
            epochs.add(height // (30000 if algorithm == 2 else 60000))
            need(len(epochs) <= 2 and max(epochs) < 1024, f"{what}: headers of more of the algorithm's epochs than one can see")
        else:
            job["stamp"], job["paid"], job["values"] = read_coinbase(job["head"], job["extra"], job["tail"], what)
            need(is_target(job["bits"]) and all(is_target(b[2]) for b in job["aux"]), f"{what}: bits that are no target")
            script = (job["head"] + bytes(job["extra"]) + job["tail"])[job["stamp"][2]:job["stamp"][3]]
            job["tags"] = script.count(TAG)
            if merged:
                check_aux(job)
        jobs.append(job)
        need(r.at - begin <= 64 << 20, f"{r.what}: jobs of more than 64 MiB")
    need(not merged or any(job["aux"] for job in jobs), f"{r.what}: no job names a block of another chain")
    return jobs

def check_stamp(job, checkpoints, entry, origin, keys):
    """The stamp binds a job to operator, lane and epoch, and by a checkpoint to a time before which it was not made."""
    need(job["known"] in checkpoints, f"{job['what']}: its stamp holds no checkpoint that it may hold")
    rest = be(len(entry.lane), 1) + entry.lane + be(job["epoch"], 8) + checkpoints[job["known"]][0]
    commitments = [sha(b"gruve stamp 1\0", be(len(origin), 2), origin, key, rest) for key in keys]
    if "header" in job:
        need(any(base64.b64encode(c[:24]) == job["header"] for c in commitments), f"{job['what']}: its stamp has another commitment")
        lowest, highest, threshold = checkpoints[job["known"]][1]
        need(threshold and threshold >= highest, f"{job['what']}: no one class was fixed for all shares of its header")
    else:
        need(job["stamp"][0] in commitments, f"{job['what']}: its stamp has another commitment")

def read_extranonces(r, count, bits):
    """Numbers in seven-bit groups, each the difference to the one before."""
    part = Reader(r.take(r.number(4)), r.what + ", extranonces")
    values, value = [], 0
    for _ in range(count):
        shift, group = 0, 0x80
        while group & 0x80:
            need(shift < 98, f"{part.what}: a number is too long")
            group = part.take(1)[0]
            value += (group & 0x7F) << shift
            shift += 7
        need(group or shift == 7, f"{part.what}: a number not in its shortest form")
        need(value < 1 << bits, f"{part.what}: a number is too large")
        values.append(value)
    part.end()
    return values

def read_column(r, count):
    width = r.number(1, 4, "width of a column")
    values = [r.number(width) for _ in range(count)]
    need((max(values).bit_length() + 7) // 8 == width, f"{r.what}: a column is wider than needed")
    return values

def check_share(job, place_of_class, k, threshold, extranonce, time, nonce, version, algorithm):
    """The share's hash, which reaches its class and the threshold: of the Ethash family what the hash is made of instead."""
    what = f"{job['what']}, share {extranonce:x}/{time}/{nonce:08x}"
    extra = be(extranonce, job["extra"])
    if algorithm >= 2:
        need(not (time or nonce or version), f"{what}: a nonce has nothing beside it")
        return job["tail"] + extra
    coinbase = bytearray(job["head"] + extra + job["tail"])
    coinbase[place_of_class] = k
    start, stop = job["stamp"][2:]
    if job["tags"]:
        need(job["tags"] == 1 and coinbase.count(TAG, start, stop) == 1, f"{what}: a share with a second merge-mining tag")
    else:
        tag = coinbase.find(TAG, start, stop)  # the first has most behind it
        need(tag < 0 or stop - (tag + 4) < 40, f"{what}: a share with a second merge-mining tag, of its extranonce alone")
    root = sha2(coinbase)
    for sibling in job["branch"]:
        root = sha2(root + sibling)
    header = struct.pack("<I32s32sIII", version, job["previous"], root, time, job["bits"], nonce)
    digest = sha2(header) if algorithm == 0 else hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=32)
    number = int.from_bytes(digest, "little")
    need(number < 1 << 256 - k, f"{what}: a share above its class's target")
    need(number < 1 << 256 - threshold, f"{what}: opened below the threshold fixed before")
    return digest

def read_block(r, jobs, owners, last):
    """A block's job, class and shares: (extranonce, time, nonce, version, owner) of each. `last` is that of the block before:
    place of its job, class, its shares."""
    place, k, count = r.number(4), r.number(1, 100, "class"), r.number(2, 4096, "number of shares in a block")
    need(place < len(jobs), f"{r.what}: a block of a job that is not there")
    need(count, f"{r.what}: a block's number of shares is not that of its section, but none")
    job = jobs[place]
    extranonces = read_extranonces(r, count, 8 * job["extra"])
    nonces = struct.unpack(f">{count}I", r.take(4 * count))
    times, versions, whose = read_column(r, count), read_column(r, count), read_column(r, count)
    need(max(whose) <= len(owners), f"{r.what}: a share of an owner that is not there")
    shares = []
    for extranonce, time, nonce, version, owner in zip(extranonces, times, nonces, versions, whose):
        time = -(time + 1 >> 1) if time & 1 else time >> 1
        version = (version << 13 | version >> 19) & 0xFFFFFFFF
        shares.append((extranonce, job["time"] + time & 0xFFFFFFFF, nonce, job["version"] ^ version,
                       owners[owner - 1] if owner else None))
    before = []
    if last:
        need(last[:2] <= (place, k), f"{r.what}: blocks out of order")
        if last[:2] == (place, k):
            need(len(last[2]) == 4096, f"{r.what}: a block that is not full before another of its job and class")
            before = last[2][-1:]
    order = [share[:4] for share in before + shares]
    need(all(a < b for a, b in zip(order, order[1:])), f"{r.what}: shares out of order, or one twice")
    return place, k, shares

def read_section(folder, r, epoch, count, jobs, owners, work, lane, entry, origin, keys):
    """Checks a section's shares, adds their work to that of their owners, and gives the leaves of the share tree."""
    bind, hashes, last, judged = lane.bindings(epoch), lane.hashes.setdefault(epoch, set()), None, set()
    checkpoints = {e: (b.checkpoint, b.rules) if b else (ZERO, (0, 100, 0)) for e, b in bind.items()}
    while count:
        last = read_block(r, jobs, owners, last)
        place, k, shares = last
        job = jobs[place]
        need(len(shares) <= count, f"{r.what}: a block's number of shares is not that of its section, but more")
        count -= len(shares)
        need(job["epoch"] == epoch, f"{job['what']}: its stamp is of another epoch than its section")
        if "used" not in job:
            check_stamp(job, checkpoints, entry, origin, keys)
            job["used"] = True
        lowest, highest, threshold = checkpoints[job["known"]][1]
        need(lowest <= k <= highest, f"{r.what}: class {k} is out of what the lane is bound to")
        by = bind[job["known"]]
        places = lane.list_of(folder, entry.lane, by.places) if by and by.places else None
        for extranonce, time, nonce, version, owner in shares:
            digest = check_share(job, job["stamp"][1] if "stamp" in job else None, k, threshold, extranonce, time, nonce, version,
                                 entry.algorithm)
            need(digest not in hashes, f"{job['what']}: a hash that was counted already")
            hashes.add(digest)
            if places and (place, owner) not in judged:
                places.check(job["paid"], job.get("values"), owner, job["what"])
                judged.add((place, owner))
            work[owner] = work.get(owner, 0) + (1 << max(k, threshold))
            leaf = sha(b"\0", be(job["number"], 8), be(k, 1), be(job["extra"], 1), be(extranonce, job["extra"]).ljust(12, b"\0"),
                       struct.pack(">III", time, nonce, version), b"\1" + owner if owner else bytes(17))
            lane.leaves.add(leaf)
            yield leaf

def check_record(folder, entry, lane, origin, keys, allocated_of):
    what = entry.what + ", record"
    r = Reader(folder.data(*entry.record), what)
    form = r.take(8)
    need(form in (b"GRUVREC1", b"GRUVREC2"), f"{what}: wrong beginning")
    need(r.text() == entry.lane and r.number(8) == entry.epoch, f"{what}: of another lane or epoch")
    job_count, counts, work = r.number(4, 60480, "number of jobs"), [], {}
    owners = [r.take(16) for _ in range(r.number(4, 1 << 20, "number of owners"))]
    need(all(a < b for a, b in zip(owners, owners[1:])), f"{what}: owners out of order")
    jobs = read_jobs(r, job_count, entry.algorithm, form == b"GRUVREC2")

    def leaves():
        last, sections = 0, r.number(1, 3, "number of sections")
        need(sections, f"{what}: no section")
        for i in range(sections):
            epoch, count = r.number(8), r.number(8, 1 << 23, "number of shares")
            if i == 0:
                need(epoch == entry.epoch, f"{what}: the first section is not of its own epoch")
            else:
                need(last < epoch < entry.epoch <= epoch + 2, f"{what}: late sections out of order or too late")
                need(count, f"{what}: an empty late section")
                last = epoch
            counts.append(count)
            yield from read_section(folder, r, epoch, count, jobs, owners, work, lane, entry, origin, keys)

    root = hash_root(leaves())
    r.end()
    need(all("used" in job for job in jobs), f"{what}: a job without a share")
    need(all(owner in work for owner in owners), f"{what}: an owner without a share")
    need(sum(counts) == entry.shares, f"{what}: number of shares is not the entry's")
    need(root == entry.share_root, f"{what}: root of the shares is not the entry's")
    house = work.pop(None, 0)
    need(house == entry.house, f"{what}: the house's work is not the entry's")
    need(sum(work.values()) == entry.others, f"{what}: the owners' work is not the entry's")
    allocation = [(entry.surplus, bytes(17))] if entry.surplus else []
    allocation += [(amount, b"\1" + name) for name, amount in allocated_of]
    allocation += [(work[owner], b"\2" + owner) for owner in owners]
    root = fold((((amount,), sha(b"\0", be(amount, 16), data)) for amount, data in allocation), sum_node, ((0,), sha()))
    need(root == entry.allocation, f"{entry.what}: the allocation tree is not the entry's")

def check_epoch(folder, entry, lanes, origin, keys):
    """Checks what an entry says of an epoch, and its files; from then on it is one of its lane's."""
    lane = lanes.setdefault(entry.lane, Lane())
    before = lane.entries[-1] if lane.entries else None
    need(entry.before == ((before.epoch, before.checkpoint) if before else (0, ZERO)),
         f"{entry.what}: does not follow the lane's entry before")
    need(entry.epoch > (before.epoch if before else 0), f"{entry.what}: epochs do not grow")
    if before:
        need((entry.algorithm, entry.length) == (before.algorithm, before.length), f"{entry.what}: the lane has changed")
        need(entry.places or not before.places, f"{entry.what}: names no places any more")
    if entry.places:
        lane.list_of(folder, entry.lane, entry.places)
    allocated_of = check_sold(folder, entry)
    if entry.proven:
        check_record(folder, entry, lane, origin, keys, allocated_of)
    else:
        need(entry.record == (ZERO, 0), f"{entry.what}: unproven, but names a record")
    lane.entries.append(entry)
    for epoch in [e for e in lane.hashes if e + 1 < entry.epoch]:
        del lane.hashes[epoch]  # no late section of an entry to come can be of it

# ---- Statements of funds ---------------------------------------------------------------------------------------
NOT_SHOWN, COINS, ACCOUNTS = range(3)
SIGNATURES = {COINS: rb"(smp|ful)?[A-Za-z0-9+/]+=*", ACCOUNTS: rb"(0x)?[0-9a-fA-F]{128}(00|01|1[bBcC])"}

def asset_name(r):
    name = r.take(r.number(1, 32, "length of an asset's name"))
    need(re.fullmatch(rb"[A-Za-z0-9/_.-]+", name), f"{r.what}: bad name of an asset")
    return name

class Funds:
    """A statement of funds: its number, when it speaks, its file of reserves; by asset root and leaves of what is owed, and
    which reserves are shown."""
    def __init__(self, raw, what):
        r = Reader(raw, what)
        r.expect(b"gruve funds 1\0")
        self.number, self.at = r.number(8), r.number(8)
        self.file = r.take(32), r.number(8, 32 << 20, "length of reserves")
        self.owed, self.shown, names = {}, [], []
        for _ in range(r.number(1, 16, "number of assets")):
            names.append(asset_name(r))
            root, leaves = ((r.number(16),), r.take(32)), r.number(8, 1 << 24, "number of leaves of what is owed")
            need(leaves >= 64 and not leaves & leaves - 1, f"{what}: number of leaves is no power of two from 64 on")
            self.owed[names[-1]] = root, leaves
            how, amount = r.number(1, ACCOUNTS, "way to show reserves"), r.number(16)
            if how == NOT_SHOWN:
                need(amount == 0, f"{what}: reserves that are not shown")
            else:
                self.shown.append((names[-1], how, amount))
        r.end()
        need(names, f"{what}: of no asset")
        need(all(a < b for a, b in zip(names, names[1:])), f"{what}: assets out of order, or one twice")

def check_funds(folder, raw, place, leaves, last):
    """Checks a statement, and gives what the next one must follow: its number, when it speaks, its place in the log."""
    own = Funds(raw, f"entry {place}, statement of funds")
    what = f"entry {place}, statement of funds"
    need(own.number == last[0] + 1, f"{what}: not the next number")
    need(own.at >= last[1], f"{what}: speaks of a time before the statement before")
    check_reserves(Reader(folder.data(*own.file), what + ", reserves"), own.number, (last[2], place), leaves, own.shown)
    return own.number, own.at, place

def check_reserves(r, number, places, leaves, shown):
    """The file of a statement shows what its entry says, for a log of its time."""
    r.expect(b"GRUVRSV1")
    need(r.number(8) == number, f"{r.what}: of another statement")
    size, root = r.number(8), r.take(32)
    need(size <= places[1] and hash_root(leaves[:size]) == root, f"{r.what}: root is not that of a beginning of this log")
    need(not places[0] or size > places[0], f"{r.what}: signed before the statement before was in the log")
    need(r.number(1) == len(shown), f"{r.what}: not the assets that the entry shows")
    seen = set()
    for name, how, amount in shown:
        need(asset_name(r) == name and r.number(1) == how, f"{r.what}: not the assets that the entry shows")
        r.take(8)  # height
        block, held, last = r.take(32), 0, b""
        for _ in range(r.number(4, 65536, "number of holders")):
            holder = r.take(r.number(1, 75 if how == COINS else 20, "length of a holder"))
            need(len(holder) == 20 or how == COINS and holder, f"{r.what}: a holder of another size")
            need(last < holder, f"{r.what}: holders out of order, or one twice")
            last = holder
            signature = r.take(r.number(2, 8192, "length of a signature"))
            need(re.fullmatch(SIGNATURES[how], signature), f"{r.what}: a holder's signature has another form")
            if how == ACCOUNTS:
                need((block, holder) not in seen, f"{r.what}: an account shown twice at one block")
                seen.add((block, holder))
                held += r.number(16)
                continue
            coins, coin_before = r.number(4), b""
            need(coins, f"{r.what}: a holder without coins")
            for _ in range(coins):
                coin = r.take(36)
                need(coin_before < coin and coin not in seen, f"{r.what}: coins out of order, or one twice")
                coin_before = coin
                seen.add(coin)
                held += r.number(8)
        need(held == amount, f"{r.what}: what holders of {name.decode()} have is not what the entry says")
    r.end()

# ---- What gateways accepted ------------------------------------------------------------------------------------
class Accepted:
    """A gateway's signed note: which shares it accepted of a lane, and in which epochs they may be counted."""
    def __init__(self, folder, lane, number, origin, keys):
        name = f"accepted/{lane}/{number}"
        note = folder.text(name, 16384)
        need(not any(ord(c) < 32 and c != "\n" for c in note), f"{name}: control characters")
        text, _, tail = note.partition("\n\n")
        lines, line = (text + "\n").split("\n"), re.fullmatch("— " + NAME + r" ([A-Za-z0-9+/=]+)\n", tail)
        need(len(lines) == 9 and line, f"{name}: not a signed note of eight lines with one signature")
        form, named, of_lane, own, due, between, count, root, _ = lines
        need(form in ("gruve accepted 1", "gruve accepted 2"), f"{name}: wrong beginning")
        need(named.encode() == origin and of_lane == lane and own == number, f"{name}: of another log, lane or place")
        plain = "(0|[1-9][0-9]{0,19})"
        due, between = re.fullmatch(f"{plain} {plain}", due), re.fullmatch(f"{plain} {plain}", between)
        need(due and between and all(re.fullmatch(plain, n) for n in (own, count)), f"{name}: numbers in another form")
        self.first, self.last, since, self.until = int(due[1]), int(due[2]), int(between[1]), int(between[2])
        need(max(self.last, self.until, int(own)) < 1 << 64 and int(count) <= 1 << 20, f"{name}: a number that is too large")
        need(self.first <= self.last and since <= self.until, f"{name}: said to be due at another time")
        raw = unbase64(line[2], f"{name}: signature")
        of_id = [key for key in keys if line[1].encode() == origin and raw[:4] == key_id(origin, key)]
        need(any(signed(key, (text + "\n").encode(), raw[4:]) for key in of_id), f"{name}: not signed by a key of the log")
        # Signed: now its leaves.
        width = 33 if form.endswith("2") else 32
        data = folder.read(f"{name}.leaves", width * int(count), width * int(count))
        parts = [data[at:at + width] for at in range(0, len(data), width)]
        need(unbase64(root, f"{name}: root") == hash_root([sha(b"\0", p) for p in parts] if width == 33 else parts),
             f"{name}: other leaves than those that were signed")
        self.shares, self.name = [(p[:32], p[32] if width == 33 else 0) for p in parts], name

def check_accepted_range(folder, lane, origin, keys):
    """Which notes are there, for who cannot list files: signed, or the two numbers alone, which claim nothing."""
    name, plain = f"accepted/{lane}/range", "(0|[1-9][0-9]{0,19})"
    note = folder.text(name, 16384)
    text, _, tail = note.partition("\n\n")
    lines, line = (text + "\n").split("\n"), re.fullmatch("— " + NAME + r" ([A-Za-z0-9+/=]+)\n", tail)
    if not tail:
        lines = ["gruve accepted range 1", origin.decode(), lane] + lines[:-1]
    need(len(lines) == 5 and lines[0] == "gruve accepted range 1", f"{name}: wrong beginning, or other lines")
    need(lines[1].encode() == origin and lines[2] == lane, f"{name}: of another log or lane")
    numbers = re.fullmatch(f"{plain} {plain}", lines[3])
    need(numbers and int(numbers[1]) <= int(numbers[2]) < 1 << 64, f"{name}: not the numbers of two notes")
    if not tail:
        return need(note == lines[3] + "\n", f"{name}: more than two numbers")
    need(line, f"{name}: not one signature")
    raw = unbase64(line[2], f"{name}: signature")
    of_id = [key for key in keys if line[1].encode() == origin and raw[:4] == key_id(origin, key)]
    need(any(signed(key, (text + "\n").encode(), raw[4:]) for key in of_id), f"{name}: not signed by a key of the log")

def check_accepted(folder, lanes, origin, keys):
    """Every share that was signed for and is due is in a record. Gives the number of those that were found there."""
    found, paths = 0, []
    for place, _, files in os.walk(os.path.join(folder.path, "accepted")):
        paths += [os.path.relpath(os.path.join(place, file), folder.path).replace(os.sep, "/") for file in files]
    for path in sorted(paths):
        if "/." in path or path.endswith(".leaves"):
            continue
        if path.endswith("/range"):
            lane = re.fullmatch(r"accepted/([a-z][a-z0-9-]{0,15})/range", path)
            need(lane, f"{path}: not of a lane")
            check_accepted_range(folder, lane[1], origin, keys)
            continue
        parts = re.fullmatch(r"accepted/([a-z][a-z0-9-]{0,15})/([0-9]+)", path)
        need(parts, f"{path}: no note of a lane's")
        note, lane = Accepted(folder, parts[1], parts[2], origin, keys), lanes.get(parts[1].encode())
        if lane is None:
            continue
        end = note.until // lane.entries[0].length
        need(note.last in (end, end + 1), f"{note.name}: said to be due at another time")
        found += sum(leaf in lane.leaves for leaf, _ in note.shares)
        if lane.entries[-1].epoch < note.last or not all(
                e.proven for e in lane.entries if note.first <= e.epoch <= note.last):
            continue  # nothing is due, or nobody can say
        threshold = lane.highest_threshold(note.first, note.last)
        missing = sum(level >= threshold and leaf not in lane.leaves for leaf, level in note.shares)
        need(not missing, f"{note.name}: {missing} shares that a gateway signed for are not in the record")
    return found

# ---- The whole -------------------------------------------------------------------------------------------------
def read_head(raw, name, key):
    r = Reader(raw, "entry 0")
    r.expect(b"gruve log 1\0", "beginning: not a head")
    need(r.text() == name, "entry 0: another origin than that of `key`")
    need(r.take(32) == key, "entry 0: another key than that of `key`")
    recovery = r.take(32)
    r.end()
    return recovery

def read_change(raw, place, origin, keys, recovery):
    """A change of keys must be signed by whoever may appoint, and by the new key, for this place in this log."""
    what = f"entry {place}, change of keys"
    r = Reader(raw, what)
    r.expect(b"gruve keys 1\0")
    appoints, new, by_one, by_other = r.take(32), r.take(32), r.take(64), r.take(64)
    r.end()
    need(appoints == keys[-1] or appoints == recovery != ZERO, f"{what}: appointed by a key that may not")
    message = b"gruve keys 1\0" + be(len(origin), 1) + origin + be(place, 8) + appoints + new
    need(signed(appoints, message, by_one), f"{what}: bad signature of the key that appoints")
    need(signed(new, message, by_other), f"{what}: bad signature of the new key")
    return new

def check_head(note, origin, keys, leaves):
    """A beginning of this log, signed by the key that was in force at its size."""
    text, named, size, root, signatures = read_note(note)
    need(named == origin, "receipt: of another log")
    need(size <= len(leaves), "receipt: its head is of a longer log")
    key = [key for first, key in keys if first <= size][-1]
    own = [s for name, ident, s in signatures if name == origin and ident == key_id(origin, key)]
    need(own and all(signed(key, text, s) for s in own), "receipt: its head is not signed by the key in force then")
    need(hash_root(leaves[:size]) == root, "receipt: its head is of another history")
    return size, root

def sides(size, index):
    """Of a leaf's siblings, lowest first: whether each stands to the left."""
    left = []
    while size > 1:
        half = 1 << (size - 1).bit_length() - 1
        left.append(index >= half)
        size, index = (size - half, index - half) if index >= half else (half, index)
    return left[::-1]

def climb(size, index, node, siblings, join):
    """The root that a leaf and its siblings make."""
    need(index < size, "receipt: no such place in its tree")
    path = sides(size, index)
    need(len(path) == len(siblings), "receipt: not so many siblings")
    for is_left, sibling in zip(path, siblings):
        node = join(sibling, node) if is_left else join(node, sibling)
    return node

def check_sold_leaf(entry, contract, kind, index, numbers, private, siblings):
    """The leaf of a contract, by `numbers` (hashrate, allocated, owed, entitled), leads to the root of the entry's sold tree."""
    rate, allocated, owed, entitled = numbers
    sums = be(rate, 16) + be(allocated, 16) + be(owed, 16)
    node = (rate, allocated, owed), sha(b"\0", sums, contract, be(kind, 1), be(entitled, 16), private)
    need(climb(entry.contracts, index, node, siblings, sum_node) == entry.sold_root, f"{entry.what}: the contract is not in the sold tree as it says")

def hide(salt, nonce, terms, units, refund, asset):
    """The private part of a contract's leaf."""
    need(-1 << 63 <= refund < 1 << 63, "receipt: a refund that does not fit 8 bytes")
    return sha(b"gruve sold 1\0", salt, nonce, terms, be(units, 16), refund.to_bytes(8, "big", signed=True), be(len(asset), 1), asset)

def read_step(r, before):
    """A number, written as what lies between it and `before`, modulo 2^128."""
    length = r.number(1, 16, "length of a number")
    raw = r.take(length)
    need(not length or raw[0], f"{r.what}: a number in more bytes than it needs")
    step = int.from_bytes(raw, "big")
    return (before + (-(step + 1 >> 1) if step & 1 else step >> 1)) % LIMIT16

def between(p, end, size):
    """How many leaves each node has that stand between two places of the log."""
    while p < end:
        divides = p & -p or 1 << 63  # anything divides 0
        if end == size and end - p < divides:
            width = end - p
        else:
            width = min(divides, 1 << (end - p).bit_length() - 1)
        yield width
        p += width

def check_series(raw, origin, keys, leaves):
    """Receipts of one contract, as a series. Gives how many."""
    r = Reader(raw, "receipt")
    r.expect(b"GRUVRCP1")
    note = utf8(r.take(r.number(2, 16384, "length of its head")), "receipt, head")
    size, root = check_head(note, origin, keys, leaves)
    contract, kind, nonce, terms = r.take(16), r.number(1, 1, "kind of a contract"), r.take(32), r.take(32)
    asset = r.take(r.number(1))
    nodes = []  # of the log from its first entry on: how many leaves each has, and its hash

    def push(width, digest):
        """Joins what are two halves of a whole; what is left lies from the larger to the smaller."""
        while nodes and nodes[-1][0] == width and not width & width - 1:
            digest = sha(b"\1", nodes.pop()[1], digest)
            width *= 2
        nodes.append((width, digest))

    at, count, last, numbers = 0, 0, None, []
    while (place := r.number(4)) != size:
        need(at <= place < size, "receipt: receipts out of order, or beyond the log")
        for width in between(at, place, size):
            push(width, r.take(32))
        own = r.take(r.number(2, 2048, "length of an entry"))
        push(1, sha(b"\0", own))
        entry = Epoch(own, f"receipt, entry {place}")
        need(last is None or entry.lane == last.lane and entry.epoch > last.epoch, "receipt: of two lanes, or epochs out of order")
        at, count, last, before = place + 1, count + 1, entry, iter(numbers)
        numbers = [read_step(r, next(before, 0)) for _ in range(7)]
        index, rate, allocated, owed, entitled, units, refund = numbers
        need(index < 1 << 64, "receipt: a place that does not fit 8 bytes")
        refund -= LIMIT16 if refund >= LIMIT16 // 2 else 0
        salt, siblings = r.take(32), []
        need(index < entry.contracts, f"{entry.what}: no such place in the sold tree")
        for _ in sides(entry.contracts, index):
            sums = tuple(read_step(r, next(before, 0)) for _ in range(3))
            numbers.extend(sums)
            siblings.append((sums, r.take(32)))
        private = hide(salt, nonce, terms, units, refund, asset)
        check_sold_leaf(entry, contract, kind, index, (rate, allocated, owed, entitled), private, siblings)
    for width in between(at, size, size):
        push(width, r.take(32))
    r.end()
    while len(nodes) > 1:
        width, right = nodes.pop()
        nodes[-1] = nodes[-1][0] + width, sha(b"\1", nodes[-1][1], right)
    need(nodes[0][1] == root, "receipt: of another log than its head's")
    return count

def unhex(text, length=None):
    need(isinstance(text, str) and re.fullmatch("([0-9a-f]{2})*", text), "receipt: not hex")
    raw = bytes.fromhex(text)
    need(length is None or len(raw) == length, "receipt: of another length")
    return raw

def whole(value):
    need(re.fullmatch("0|[1-9][0-9]{0,38}", str(value)) and not isinstance(value, bool), "receipt: not a whole number")
    return int(value)

def logged(one, origin, keys, leaves):
    """An entry that stands in a signed beginning of this log."""
    size, root = check_head(one["checkpoint"], origin, keys, leaves)
    need(one["origin"].encode() == origin, "receipt: of another log")
    own, proof = unhex(one["entry"]), [unhex(h, 32) for h in one["log_proof"]]
    top = climb(size, whole(one["entry_index"]), sha(b"\0", own), proof, lambda left, right: sha(b"\1", left, right))
    need(top == root, "receipt: its entry is not in the log that was signed")
    return own

def check_owed(one, origin, keys, leaves):
    """That a statement of funds counts what is owed to an account."""
    need(one["version"] == 1, "receipt: of an unknown form")
    funds = Funds(logged(one["logged"], origin, keys, leaves), "receipt")
    need(whole(one["statement"]) == funds.number, "receipt: of another statement")
    asset, parts = one["asset"].encode(), [whole(one["owed"][k]) for k in ("available", "held", "maturing", "prepaid")]
    need(asset in funds.owed, "receipt: of an asset that the statement does not name")
    account = unhex(one["account"].replace("-", ""), 16)
    key = sha(b"gruve owed 1\0", unhex(one["salt"], 32), be(funds.number, 8), be(len(asset), 1), asset, b"\0", account)
    need(sum(parts) < LIMIT16, "receipt: a sum does not fit 16 bytes")
    leaf = (sum(parts),), sha(b"\0", be(sum(parts), 16), key, *(be(p, 16) for p in parts))
    siblings = [((whole(s["sum"]),), unhex(s["hash"], 32)) for s in one["owed_proof"]]
    root, count = funds.owed[asset]
    top = climb(count, whole(one["leaf_index"]), leaf, siblings, sum_node)
    need(top == root, "receipt: the account is not counted with these amounts")

def check_receipt(one, origin, keys, leaves):
    """A receipt as JSON, or a proof that a statement counts what is owed."""
    if "owed_proof" in one:
        return check_owed(one, origin, keys, leaves)
    need(one["version"] == 1, "receipt: of an unknown form")
    own = logged(one, origin, keys, leaves)
    p, work = one["private"], one["work"]
    need(type(p["refund_minor"]) is int and type(one["kind"]) is int, "receipt: not a whole number")
    private = hide(unhex(p["salt"], 32), unhex(p["nonce"], 32), unhex(p["terms"], 32), whole(p["units"]),
                   p["refund_minor"], p["refund_asset"].encode())
    sums = lambda of: tuple(whole(of[k]) for k in ("hashrate", "allocated", "owed"))
    siblings = [(sums(s), unhex(s["hash"], 32)) for s in one["sold_proof"]]
    contract = unhex(one["contract"].replace("-", ""), 16)
    check_sold_leaf(Epoch(own, "receipt"), contract, one["kind"], whole(one["leaf_index"]),
                    (*sums(work), whole(one["entitled"])), private, siblings)

def check_receipts(path, origin, keys, leaves):
    with open(path, "rb") as file:
        raw = file.read((1 << 30) + 1)
    need(len(raw) <= 1 << 30, "receipt: a file longer than is read")
    if raw.startswith(b"GRUVRCP1"):
        return check_series(raw, origin, keys, leaves)
    decoder, text, at, count = json.JSONDecoder(), utf8(raw, "receipt").strip(), 0, 0
    while at < len(text):
        try:
            one, at = decoder.raw_decode(text, at)
        except ValueError:
            raise Lie("receipt: not one")
        while text[at:at + 1].isspace():
            at += 1
        try:
            check_receipt(one, origin, keys, leaves)
        except (KeyError, TypeError, AttributeError):
            raise Lie("receipt: a field is not of the form")
        count += 1
    return count

def verify(path, receipts=()):
    folder = Folder(path)
    origin, first_key = read_key(folder)
    text, named, size, root, signatures = read_checkpoint(folder)
    need(named == origin, "checkpoint: another origin than that of `key`")
    entries, leaves = read_log(folder, size, root)
    recovery = read_head(entries[0], origin, first_key)
    # Who signs is settled before the work is counted: changes of keys depend on nothing else in the log.
    keys, changes = [first_key], {}
    for place, raw in enumerate(entries):
        if raw.startswith(b"gruve keys 1\0"):
            need(len(keys) < 256, f"entry {place}, change of keys: more than 256 keys, one after the other")
            changes[place] = read_change(raw, place, origin, keys, recovery)
            keys.append(changes[place])
    own = [s for name, ident, s in signatures if name == origin and ident == key_id(origin, keys[-1])]
    need(own, "checkpoint: not signed by the key in force")
    need(all(signed(keys[-1], text, s) for s in own), "checkpoint: bad signature")

    check_other_files(folder, size)
    lanes, funds, keys = {}, (0, 0, 0), {first_key}
    for place, raw in enumerate(entries[1:], 1):
        if place in changes:
            keys.add(changes[place])
        elif raw.startswith(EPOCH_FORMS):
            check_epoch(folder, Epoch(raw, f"entry {place}"), lanes, origin, keys)
        elif raw.startswith(b"gruve funds 1\0"):
            funds = check_funds(folder, raw, place, leaves, funds)
        else:
            raise Lie(f"entry {place}: of no known kind")
    accepted = check_accepted(folder, lanes, origin, keys)
    told = f", {accepted} accepted shares found" if accepted else ""
    if receipts:
        from_size = [(0, first_key)] + [(place + 1, key) for place, key in sorted(changes.items())]
        told += f", {sum(check_receipts(r, origin, from_size, leaves) for r in receipts)} receipts hold"
    epochs = [e for lane in lanes.values() for e in lane.entries]
    proven = [e for e in epochs if e.proven]
    ethash = sum(e.shares for e in proven if e.algorithm >= 2)
    unhashed = f"; of these {ethash} shares of the Ethash family, whose hashes are not made here" if ethash else ""
    names = ", ".join(sorted(ascii(lane.decode())[1:-1] for lane in lanes)) or "none"
    return (f"{sum(e.shares for e in proven)} shares, work of {sum(e.house + e.others for e in proven)} hashes, "
            f"{len(proven)} epochs proven, {len(epochs) - len(proven)} epochs unproven, {len(lanes)} lanes ({names}), "
            f"{funds[0]} statements of funds, {len(changes)} changes of keys{told}{unhashed}")

def main(arguments):
    if len(arguments) < 2:
        print("no folder named: usage is verify.py FOLDER [RECEIPTS…]")
        return 1
    try:
        print("yes " + verify(arguments[1], arguments[2:]))
        return 0
    except Exception as error:  # whatever else than a lie a hostile folder brings about is a no as well
        reason = str(error) if isinstance(error, Lie) else f"malformed: {type(error).__name__}: {error}"
    print("no " + reason.encode("ascii", "backslashreplace").decode().replace("\n", " "))
    return 1

if __name__ == "__main__":
    sys.exit(main(sys.argv))
