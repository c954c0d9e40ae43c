# SPDX-License-Identifier: Apache-2.0
"""A guestbook that keeps its entries in memory."""

from flask import Flask, jsonify, request

app = Flask(__name__)
entries = []


@app.get("/entries")
def show():
    return jsonify(entries)


@app.post("/entries")
def sign():
    entry = (request.get_json(silent=True) or {}).get("entry", "").strip()
    if not entry:
        return jsonify(error="an entry needs some text"), 400
    entries.append(entry)
    return jsonify(number=len(entries)), 201
