#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes rpmdb.sqlite and rpmdb.sqlite-wal, beside itself, with SQLite itself.

The database has 14 packages, p00 to p13, each with more files than fit on a
page of 512 bytes; the write-ahead log replaces p03 by another version and adds
"committed"; what follows in it was never committed.
"""
import os
import shutil
import sqlite3
import struct

here = os.path.dirname(os.path.abspath(__file__))
db = os.path.join(here, "rpmdb.sqlite")
work = db + ".work"


def header(name, version, files):
    dirs, bases = "/usr/lib/%s/" % name, ["f%02d" % i for i in range(files)]
    tags = [
        (1000, 6, [name]), (1001, 6, [version]), (1002, 6, ["1.fc40"]), (1004, 9, ["summary"]),
        (1014, 6, ["MIT"]), (1022, 6, ["noarch"]), (1116, 4, [0] * files), (1117, 8, bases), (1118, 8, [dirs]),
    ]
    index, data = b"", b""
    for tag, kind, values in tags:
        if kind == 4:
            data += b"\0" * (-len(data) % 4)
        index += struct.pack(">IIII", tag, kind, len(data), len(values))
        for v in values:
            data += struct.pack(">I", v) if kind == 4 else v.encode() + b"\0"
    return struct.pack(">II", len(tags), len(data)) + index + data


for suffix in ("", "-wal", "-shm"):
    for f in (db + suffix, work + suffix):
        if os.path.exists(f):
            os.remove(f)

c = sqlite3.connect(work, isolation_level=None)
c.execute("PRAGMA page_size = 512")
c.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
c.execute("CREATE TABLE Name (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
for i in range(14):
    c.execute("INSERT INTO Packages (blob) VALUES (?)", (header("p%02d" % i, "1.%d" % i, 10 * i),))
c.execute("PRAGMA journal_mode = wal")
c.execute("PRAGMA wal_autocheckpoint = 0")
c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
c.execute("UPDATE Packages SET blob = ? WHERE hnum = 4", (header("p03", "2.0", 5),))
c.execute("INSERT INTO Packages (blob) VALUES (?)", (header("committed", "1", 1),))
size = os.path.getsize(work + "-wal")
c.execute("PRAGMA cache_size = 1")
c.execute("BEGIN")
for i in range(40):  # more than the cache holds, so that it goes to the log
    c.execute("INSERT INTO Packages (blob) VALUES (?)", (header("lost%d" % i, "1", 40),))
assert os.path.getsize(work + "-wal") > size
shutil.copy(work, db)
shutil.copy(work + "-wal", db + "-wal")
with open(db + "-wal", "r+b") as f:
    f.truncate(size + 8 * (512 + 24))
c.execute("ROLLBACK")
c.close()
for suffix in ("", "-wal", "-shm"):
    if os.path.exists(work + suffix):
        os.remove(work + suffix)
