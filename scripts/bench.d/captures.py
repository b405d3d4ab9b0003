"""Captures for the rows: frames read from a pcap of microseconds, and written with exact gaps."""

import struct

HEADER = struct.Struct("<IHHiIII")
PACKET = struct.Struct("<IIII")
DEVICE_MAC = bytes([2, 0, 0, 0, 0, 2])


def frames(path):
    """The frames of a pcap of this machine's byte order."""
    data = path.read_bytes()
    at, end = HEADER.size, len(data)
    while at + PACKET.size <= end:
        size = PACKET.unpack_from(data, at)[2]
        at += PACKET.size
        yield data[at : at + size]
        at += size


def to_device(bench, count):
    """So many mixed frames to the device; those from it are left out, since a replay is one side's."""
    found = [frame for frame in frames(bench.traffic(count * 9 // 4)) if frame[:6] == DEVICE_MAC]
    assert len(found) >= count, f"{len(found)} frames to the device, not {count}"
    return found[:count]


def write(path, recorded, gap_us, times=1):
    """Writes frames with that gap between each two, all of them so many times."""
    with open(path, "wb") as out:
        out.write(HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        at = 1_700_000_000_000_000
        for _ in range(times):
            for frame in recorded:
                out.write(PACKET.pack(at // 1_000_000, at % 1_000_000, len(frame), len(frame)))
                out.write(frame)
                at += gap_us
    return path
