"""httpd.site.types: names to media types."""

from __future__ import annotations

import re

import pytest

from httpd.site import types
from httpd.site.types import UNKNOWN, media_type


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("INDEX.HTM", "text/html; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("app.min.mjs", "text/javascript; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("README", "text/plain; charset=utf-8"),
        ("Makefile", "text/plain; charset=utf-8"),
        ("README.md", "text/markdown; charset=utf-8"),
        ("data.csv", "text/csv; charset=utf-8"),
        ("subtitles.vtt", "text/vtt; charset=utf-8"),
        ("data.json", "application/json"),
        ("main.js.map", "application/json"),
        ("site.webmanifest", "application/manifest+json"),
        ("feed.xml", "application/xml"),
        ("feed.atom", "application/atom+xml"),
        ("picture.svg", "image/svg+xml"),
        ("picture.png", "image/png"),
        ("picture.JPG", "image/jpeg"),
        ("picture.webp", "image/webp"),
        ("picture.avif", "image/avif"),
        ("favicon.ico", "image/x-icon"),
        ("font.woff2", "font/woff2"),
        ("font.ttf", "font/ttf"),
        ("song.mp3", "audio/mpeg"),
        ("film.mp4", "video/mp4"),
        ("film.webm", "video/webm"),
        ("stream.m3u8", "application/vnd.apple.mpegurl"),
        ("part.ts", "video/mp2t"),
        ("module.wasm", "application/wasm"),
        ("paper.pdf", "application/pdf"),
        ("archive.tar.gz", "application/gzip"),
        ("archive.zip", "application/zip"),
        ("package-1.0-py3-none-any.whl", "application/zip"),
        ("SHA256SUMS.sha256", "text/plain; charset=utf-8"),
        ("shader.wgsl", "text/plain; charset=utf-8"),
        ("vocabulary.ttl", "text/turtle; charset=utf-8"),
        ("segment-1.m4s", "video/iso.segment"),
        ("map.pmtiles", "application/vnd.pmtiles"),
        ("table.parquet", "application/vnd.apache.parquet"),
        ("tool.deb", "application/vnd.debian.binary-package"),
        ("binary", UNKNOWN),
        ("strange.xyzzy", UNKNOWN),
        ("trailing.", UNKNOWN),
        ("", UNKNOWN),
        ("html", UNKNOWN),
        (".html", UNKNOWN),
        ("a.html\udcff", UNKNOWN),
    ],
)
def test_the_last_extension_decides(name: str, kind: str) -> None:
    assert media_type(name) == kind


def test_every_type_is_well_formed_and_no_extension_stands_twice() -> None:
    lines = [line.split() for line in types._TABLE.splitlines() if line]
    for kind, *extensions in lines:
        assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+", kind)
        assert extensions
    every = [extension for _, *extensions in lines for extension in extensions]
    assert sorted(every) == sorted(set(every))
    assert all(extension == extension.lower() for extension in every)


def test_what_a_browser_would_run_is_only_what_says_so() -> None:
    assert media_type("upload.html.bin") == UNKNOWN
    assert media_type("notes.txt") == "text/plain; charset=utf-8"
