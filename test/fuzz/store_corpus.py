#!/usr/bin/env python3
"""store_corpus.py DIR - writes the seeds of control_fuzz, index_fuzz, log_fuzz,
val_fuzz and stores_fuzz to DIR/control and so on.

The store is a real one that the targets make (store_fuzz.h); a seed says which
of its bytes become what. Offsets are those of docs/format.md: each field of a
head once with a few values that readers like least."""
import os
import struct
import sys

NASTY = [0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 33, 1 << 40,
         (1 << 64) - 8, (1 << 64) - 1]
# (offset, bytes) of fields
CONTROL = ([(at, 8) for at in (0, 16, 32, 40, 48, 64, 128, 216, 224)] +
           [(at, 4) for at in (8, 12, 192, 196, 200, 204, 208, 212, 304, 328)] +
           [(312, 8), (320, 8)] +
           [(368 + 40 * d + f, 8) for d in (0, 1, 2, 3, 63)
            for f in (0, 8, 16, 24, 32)] +
           [(2928 + at, n) for at, n in ((0, 4), (4, 4), (8, 8), (16, 8),
                                         (24, 8), (32, 8))] +
           [(8048, 4), (8056, 8), (8064, 8), (8080, 4)])
INDEX = ([(at, 8) for at in (0, 16, 24, 32, 48, 56, 64, 72, 96, 104, 112, 120,
                             136)] +
         [(at, 4) for at in (8, 12, 80, 84, 88, 92, 128, 132)] +
         [(264 + 4 * level, 4) for level in range(12)] +
         [(312 + 4 * bucket, 4) for bucket in range(0, 1024, 100)] +
         # nodes and versions follow the buckets
         [(312 + 4096 + at, 8) for at in range(0, 400, 8)] +
         [(312 + 4096 + at, 4) for at in range(0, 200, 4)])
LOG = ([(at, 8) for at in (0, 16, 24, 32, 40, 48, 56, 72)] +
       [(8, 4), (64, 4), (92, 4)] +
       [(96 + at, n) for at, n in ((0, 4), (4, 4), (8, 8), (16, 8), (24, 8),
                                   (32, 4), (36, 4), (40, 1), (41, 1),
                                   (42, 1), (43, 4), (60, 8))])
VAL = ([(0, 8), (8, 4), (12, 8), (20, 8), (44, 4), (48, 8), (49, 1)])


def patch(off, data):
    return struct.pack("<IB", off, len(data)) + data


def stores(folder):
    """Some fields of each file at once; which file has which number, the
    fuzzer finds out."""
    os.makedirs(folder, exist_ok=True)
    for mode in range(16):
        value = NASTY[mode % len(NASTY)]
        parts = []
        for number in range(8):
            fields = (LOG, INDEX, VAL, CONTROL)[number % 4]
            off, n = fields[(mode * 7 + number) % len(fields)]
            data = (value & ((1 << 8 * n) - 1)).to_bytes(n, "little")
            parts.append(bytes([number]) + patch(off, data))
        with open(os.path.join(folder, "%02d" % mode), "wb") as f:
            f.write(bytes([mode]) + b"".join(parts))


def main():
    stores(os.path.join(sys.argv[1], "stores"))
    for target, fields, modes in (("control", CONTROL, (0, 1, 2)),
                                  ("index", INDEX, (0, 1, 2)),
                                  ("log", LOG, (0, 1, 2)),
                                  ("val", VAL, (0, 1, 2, 4, 12))):
        folder = os.path.join(sys.argv[1], target)
        os.makedirs(folder, exist_ok=True)
        for mode in modes:
            # all fields at once, one file a value: the fuzzer takes it apart
            for i, value in enumerate(NASTY):
                each = [patch(off, (value & ((1 << 8 * n) - 1)
                                    ).to_bytes(n, "little"))
                        for off, n in fields]
                for part in range(0, len(each), 10):
                    name = "%d-%02d-%02d" % (mode, i, part // 10)
                    if (i + part // 10) % 4:
                        continue
                    with open(os.path.join(folder, name), "wb") as f:
                        f.write(bytes([mode]) + b"".join(each[part:part + 10]))


main()
