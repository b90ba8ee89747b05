"""Frames of Kafka's protocol by hand, in versions without tagged fields."""

import struct


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">h", len(value)) + value


def request(api, version, body, client, correlation=1):
    """With its size before it."""
    frame = struct.pack(">hhi", api, version, correlation) + text(client) + body
    return struct.pack(">i", len(frame)) + frame
