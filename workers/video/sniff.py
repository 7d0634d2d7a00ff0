"""What a file is, by its first bytes: a container that browsers record, or something to call by its name."""

EBML = b"\x1a\x45\xdf\xa3"
DOCTYPE_WEBM = b"\x42\x82\x84webm"
IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "gzip-compressed data",
    b"\x28\xb5\x2f\xfd": "zstd-compressed data",
    b"OggS": "an Ogg file",
    b"ID3": "an MP3 file",
    b"FLV\x01": "a Flash video",
}
RIFF_FORMS = {b"AVI ": "an AVI video", b"WAVE": "a WAV sound", b"WEBP": "a WebP image"}
TEXT_OPENINGS = {"<!doctype html": "an HTML page", "<html": "an HTML page", "<?xml": "an XML document",
                 "{": "JSON text", "[": "JSON text"}  # fmt: skip


def container_of(head: bytes) -> str | None:
    """`webm`, `matroska` or `mp4`; None when the file is neither."""
    if head.startswith(EBML):
        return "webm" if DOCTYPE_WEBM in head else "matroska"
    if head[4:8] == b"ftyp" and head[8:12] not in IMAGE_BRANDS:
        return "mp4"
    return None


def describe(head: bytes) -> str:
    """What a file seems to be that is none of these containers, in words, with an article."""
    if head[4:8] == b"ftyp":
        return "an AVIF or HEIC image"
    if head.startswith(b"RIFF") and head[8:12] in RIFF_FORMS:
        return RIFF_FORMS[head[8:12]]
    for signature, name in SIGNATURES.items():
        if head.startswith(signature):
            return name
    if not head.strip(b"\0"):
        return "a row of zero bytes"
    try:
        text = head.decode(errors="strict").lstrip("\ufeff \t\r\n").lower()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not just a character that the end of `head` cuts
            return "a file of an unknown kind"
        text = head[: error.start].decode()
    for opening, name in TEXT_OPENINGS.items():
        if text.startswith(opening):
            return name
    return (
        "text"
        if text.isprintable() or not set(text) & set(map(chr, range(9)))
        else "a file of an unknown kind"
    )
