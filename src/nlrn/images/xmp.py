"""XMP packets: the orientation in them, and the pieces that JPEG cuts a long one into."""

import hashlib
import re
import struct
from collections.abc import Iterable

SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
MAX_SEGMENT = 65533
"""Bytes of a segment of a JPEG."""

_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([1-8])")
_EXTENDED = re.compile(rb"\s*xmpNote:HasExtendedXMP\s*=\s*[\"']([0-9A-Fa-f]{32})[\"']")
_EXTENDED_ELEMENT = re.compile(rb"<xmpNote:HasExtendedXMP>\s*([0-9A-Fa-f]{32})\s*</xmpNote:HasExtendedXMP>")
_INSIDE = re.compile(rb"<rdf:RDF[^>]*>(.*)</rdf:RDF>", re.DOTALL)
_PIECE = 65000
_STUB = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    b'xmpNote:HasExtendedXMP="%s"/></rdf:RDF></x:xmpmeta>'
)


def orientation(packet: bytes | None) -> int | None:
    """The orientation in which the picture is stored, 1 to 8, where the packet says so."""
    found = _ORIENTATION.search(packet or b"")
    return int(found[2]) if found else None


def upright(packet: bytes | None) -> bytes | None:
    """The packet with orientation 1."""
    return _ORIENTATION.sub(rb"\g<1>1", packet) if packet else None


def joined(packet: bytes | None, pieces: Iterable[bytes]) -> bytes | None:
    """The packet of a JPEG with what its extension says put into it.

    Args:
        packet: the main one.
        pieces: the segments of the extension without their signature: the sum of it, its length, an offset, content.
            Those of another sum, and an extension that is not whole, are passed over.
    """
    found = packet and (_EXTENDED.search(packet) or _EXTENDED_ELEMENT.search(packet))
    if not packet or not found:
        return packet
    parts: dict[int, bytes] = {}
    length = 0
    for piece in pieces:
        if len(piece) > 40 and piece[:32].upper() == found[1].upper():
            length, offset = struct.unpack_from(">II", piece, 32)
            parts[offset] = piece[40:]
    whole = b"".join(content for _, content in sorted(parts.items()))
    if whole and len(whole) == length and packet == _STUB % found[1]:
        return whole
    inside = _INSIDE.search(whole)
    if inside is None or len(whole) != length or b"</rdf:RDF>" not in packet:
        return packet
    bare = _EXTENDED_ELEMENT.sub(b"", _EXTENDED.sub(b"", packet))
    head, _, tail = bare.rpartition(b"</rdf:RDF>")
    return head + inside[1] + b"</rdf:RDF>" + tail


def segments(packet: bytes) -> list[bytes]:
    """The contents of the APP1 segments of a JPEG that hold the packet: one, or one with an extension behind it."""
    if len(SIGNATURE) + len(packet) <= MAX_SEGMENT:
        return [SIGNATURE + packet]
    name = hashlib.md5(packet, usedforsecurity=False).hexdigest().upper().encode()
    head = EXTENSION + name + struct.pack(">I", len(packet))
    pieces = [
        head + struct.pack(">I", offset) + packet[offset : offset + _PIECE]
        for offset in range(0, len(packet), _PIECE)
    ]
    return [SIGNATURE + _STUB % name, *pieces]
