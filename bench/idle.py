#!/usr/bin/env python3
"""What the daemon costs: idle, by the shard, and in bytes written for a byte put.

  bench/idle.py BUILD_DIR DATA_DIR

Puts are single PutRecord calls, open loop, over 32 connections. Bytes written are those of
/proc/PID/io: all that the process gave to the device. Zero-filling ahead of need is done before and
comes on top, once in a slot's life. Writes bench/results/idle.json.
"""
import argparse
import base64
import json
import os
import pathlib
import selectors
import socket
import time

from support import measure, server

IDLE_SECONDS = 20
SHARDS = 4000
RATES = {1: 20, 100: 10, 10_000: 10}  # puts a second: for so many seconds
DATA_BYTES = (100, 1024)
CONNECTIONS = 32
STEP = 0.01


def idle(daemon):
    """Share of one CPU while nothing happens, and resident KiB."""
    time.sleep(2)  # what the start left to do
    cpu, begin = daemon.cpu_seconds(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    used = (daemon.cpu_seconds() - cpu) / (time.monotonic() - begin)
    return {"cpu_percent": round(100 * used, 3), "resident_kib": daemon.resident_kib()}


def put_at(client, request, rate, seconds):
    """Sends and drains; returns how many answers came."""
    poll = selectors.DefaultSelector()
    connections = []
    for _ in range(min(CONNECTIONS, rate)):
        connection = socket.create_connection(("127.0.0.1", client.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        poll.register(connection, selectors.EVENT_READ)
        connections.append(connection)
    begin, sent, answered = time.monotonic(), 0, 0
    while answered < rate * seconds and time.monotonic() < begin + seconds + 10:
        due = min(int((time.monotonic() - begin) * rate), rate * seconds)
        for _ in range(due - sent):
            connections[sent % len(connections)].send(request)
            sent += 1
        for key, _ in poll.select(timeout=min(STEP, 1 / rate)):
            answered += key.fileobj.recv(1 << 20).count(b"HTTP/1.1 200")
    for connection in connections:
        connection.close()
    return answered


def write_cost(daemon, client, data_bytes, rate, seconds):
    body = {"StreamName": "bench", "PartitionKey": "vehicle-00000001",
            "Data": base64.b64encode(os.urandom(data_bytes)).decode()}
    time.sleep(0.5)  # the last idle block
    io, metrics = daemon.process_io()["write_bytes"], daemon.metrics()
    answered = put_at(client, client.request_bytes("PutRecord", body), rate, seconds)
    time.sleep(0.5)
    io = daemon.process_io()["write_bytes"] - io
    now = daemon.metrics()
    stored = (now["penstock_kinesis_acknowledged_records_total"]
              - metrics["penstock_kinesis_acknowledged_records_total"])
    if answered != rate * seconds or stored != answered:
        raise RuntimeError(f"{rate} puts a second: {answered} answers, {stored} stored")
    blocks = now["penstock_journal_blocks_total"] - metrics["penstock_journal_blocks_total"]
    payload = stored * (data_bytes + len(body["PartitionKey"]))
    return {"puts_a_second": rate, "data_bytes": data_bytes, "written_per_payload_byte":
            round(io / payload, 2), "records_a_block": round(stored / blocks, 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    options = parser.parse_args()
    with measure.scratch(options.data) as data:
        daemon = server.Penstockd(options.build, data / "penstock", journal_mib=1536)
        daemon.start()
        daemon.wait_for_journal()
        none = idle(daemon)
        print("no stream", none)
        client = daemon.client()
        client.create_stream("bench", 1)
        written = []
        for data_bytes in DATA_BYTES:
            for rate, seconds in RATES.items():
                written.append(write_cost(daemon, client, data_bytes, rate, seconds))
                print(written[-1])
        before = daemon.resident_kib()
        client.create_stream("many", SHARDS)
        many = idle(daemon)
        shard_bytes = round((many["resident_kib"] - before) * 1024 / SHARDS)
        print("idle with shards", many, shard_bytes)
        daemon.stop()
    figures = {
        "idle_cpu_percent": {"value": none["cpu_percent"], "target": 1.0},
        "idle_resident_mib": {"value": round(none["resident_kib"] / 1024, 1), "target": 64},
        "idle_shard_bytes": {"value": shard_bytes, "target": 4096}}
    for figure in figures.values():
        figure["verdict"] = "met" if figure["value"] < figure["target"] else "missed"
    print(json.dumps(figures))
    measure.write_result("idle", {
        "manifest": measure.manifest(options.data, "bench/idle.py build-bench DIR"),
        "cells": 1, "cores": 1, "idle": "wait", "figures": figures, "no_stream": none,
        f"with_{SHARDS}_shards": many, "written": written})


if __name__ == "__main__":
    main()
