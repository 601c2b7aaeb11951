"""Files that hold no text to read, by their suffixes, and what to do with them instead."""

from __future__ import annotations

from collections.abc import Mapping

_ARCHIVE = "is an archive; unpack it and index the folder."
_IMAGE = "is a picture of a kind that is not read; save it as PNG, JPEG, TIFF or WebP."
_RECORDING = "is a recording; index its transcript."
_PROGRAM = "is a program or its data, which holds no text to read."
_FONT = "is a font, which holds no text to read."
_DATABASE = "is a database; export what is to be found as CSV or JSON."
_MODEL = "holds a model's weights, which are no text."

REASONS: Mapping[str, str] = {
    suffix: reason
    for reason, suffixes in (
        (_ARCHIVE, ".zip .tar .gz .tgz .bz2 .tbz2 .xz .txz .7z .rar .zst .lz4 .cab .dmg .jar .war .deb .rpm .whl"),
        (_IMAGE, ".gif .bmp .heic .heif .avif .ico .svg .psd .emf .wmf"),
        (_RECORDING, ".mp3 .wav .flac .ogg .oga .opus .m4a .aac .wma .mp4 .m4v .mkv .mov .avi .webm .wmv .mpg .mpeg"),
        (_PROGRAM, ".exe .dll .so .dylib .msi .apk .class .pyc .pyd .wasm .swf"),
        (_FONT, ".ttf .otf .woff .woff2 .eot"),
        (_DATABASE, ".db .sqlite .sqlite3 .mdb .accdb .parquet .feather .pst .ost"),
        (_MODEL, ".safetensors .gguf .onnx .pt .pth .pkl .npy .npz"),
    )
    for suffix in suffixes.split()
}
"""File name suffix, in small letters -> why the file is refused, a sentence without a subject."""
