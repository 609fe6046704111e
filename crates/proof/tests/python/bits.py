#!/usr/bin/env python3
"""Changes bits of a published folder, one at a time, and asks the second verifier: each must be a lie, and none make it stumble.

Usage: python3 bits.py FOLDER STEP      (every STEPth bit of all files, in the order of their names)
"""
import functools
import os
import sys

import verify

# The same signatures are looked at again and again.
verify.signed = functools.lru_cache(maxsize=None)(verify.signed)

def files(folder):
    for place, _, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names)

def main(folder, step):
    count, bit = 0, 0
    for path in sorted(files(folder)):
        with open(path, "rb") as file:
            own = file.read()
        while bit < 8 * len(own):
            changed = bytearray(own)
            changed[bit // 8] ^= 1 << bit % 8
            with open(path, "wb") as file:
                file.write(changed)
            try:
                said = "yes " + verify.verify(folder)
            except verify.Lie:
                said = None
            except Exception as error:
                said = f"stumbled: {type(error).__name__}: {error}"
            if said:
                print(f"{os.path.relpath(path, folder)}, bit {bit}: {said}")
                return 1
            count, bit = count + 1, bit + step
        with open(path, "wb") as file:
            file.write(own)
        bit -= 8 * len(own)
    print(f"{count} bits, each a lie")
    return 0

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
