"""File names to media types, from our own table.

The system's tables differ from machine to machine (and a registry can be changed by any program), so the same site
would be served differently; this one is the same everywhere.  Text is declared as UTF-8.
"""

from __future__ import annotations

__all__ = ["UNKNOWN", "is_compact", "media_type"]

UNKNOWN = "application/octet-stream"

# One line a media type, then the extensions that mean it.
_TABLE = """
text/html                   html htm shtml
text/css                    css
text/javascript             js mjs cjs
text/plain                  txt text log asc conf cfg ini toml env lock diff patch sum srt tex sty bib
text/plain                  py pyi pyx rb pl pm lua r jl sh bash zsh fish bat ps1 c h cc cpp cxx hh hpp go rs java kt
text/plain                  swift cs php sql tsx jsx vue svelte scss sass less styl el lisp hs ml scala clj erl
text/plain                  ex exs zig nim d dart pas f90 asm s mk cmake gradle graphql proto rst adoc org po pot
text/plain                  csh ksh tcl ada v vhd f glsl wgsl vert frag wat astro mdx properties tf hcl nix ass
text/plain                  md5 sha1 sha256 sha512 sums
text/markdown               md markdown mkd
text/csv                    csv
text/tab-separated-values   tsv
text/calendar               ics ifb
text/vcard                  vcf
text/vtt                    vtt
text/cache-manifest         appcache
text/xsl                    xsl xslt
text/turtle                 ttl
text/x-opml                 opml

application/json            json map topojson har
application/ld+json         jsonld
application/geo+json        geojson
application/jsonl           jsonl ndjson
application/manifest+json   webmanifest
application/yaml            yaml yml
application/xml             xml dtd xsd rng
application/xhtml+xml       xhtml xht
application/rss+xml         rss
application/atom+xml        atom
application/rdf+xml         rdf
application/mathml+xml      mathml
application/wasm            wasm
application/pdf             pdf
application/rtf             rtf
application/postscript      ps eps ai
application/epub+zip        epub
application/x-ipynb+json    ipynb
application/n-triples       nt
application/x-sqlite3       sqlite sqlite3 db
application/vnd.apache.parquet parquet
application/vnd.pmtiles     pmtiles
application/vnd.mapbox-vector-tile mvt pbf
application/x-hdf5          h5 hdf5
application/x-bittorrent    torrent
application/x-x509-ca-cert  crt pem der cer
application/x-pkcs12        p12 pfx
application/pkix-crl        crl
application/pgp-signature   sig
application/pgp-keys        gpg
application/vnd.apple.pkpass pkpass
application/x-apple-aspen-config mobileconfig

image/svg+xml               svg
image/png                   png
image/apng                  apng
image/jpeg                  jpg jpeg jpe jfif
image/gif                   gif
image/webp                  webp
image/avif                  avif
image/avif-sequence         avifs
image/heic                  heic
image/heif                  heif
image/jxl                   jxl
image/jp2                   jp2
image/bmp                   bmp
image/tiff                  tif tiff
image/x-portable-anymap     pnm pbm pgm ppm
image/ktx2                  ktx2
image/x-icon                ico cur
image/vnd.adobe.photoshop   psd

font/woff2                  woff2
font/woff                   woff
font/ttf                    ttf
font/otf                    otf
font/collection             ttc
application/vnd.ms-fontobject  eot

audio/mpeg                  mp3 mp2
audio/mp4                   m4a m4b
audio/aac                   aac
audio/ogg                   oga ogg opus spx
audio/flac                  flac
audio/wav                   wav
audio/webm                  weba
audio/x-matroska            mka
audio/midi                  mid midi kar
audio/aiff                  aif aiff aifc
audio/x-mpegurl             m3u
audio/x-scpls               pls

video/mp4                   mp4 m4v
video/iso.segment           m4s
video/webm                  webm
video/ogg                   ogv
video/mp2t                  ts m2ts
video/mpeg                  mpg mpeg
video/quicktime             mov qt
video/x-matroska            mkv
video/x-msvideo             avi
video/x-ms-wmv              wmv
video/x-flv                 flv
video/3gpp                  3gp
application/vnd.apple.mpegurl  m3u8
application/dash+xml        mpd

model/gltf+json             gltf
model/gltf-binary           glb
model/obj                   obj
model/stl                   stl
model/3mf                   3mf
model/ply                   ply
model/vnd.usdz+zip          usdz

application/zip             zip whl
application/gzip            gz tgz
application/zstd            zst tzst
application/x-brotli        br
application/x-bzip2         bz2 tbz2
application/x-xz            xz txz
application/x-lzip          lz
application/x-7z-compressed 7z
application/x-tar           tar
application/vnd.rar         rar
application/java-archive    jar war ear
application/x-cpio          cpio
application/vnd.debian.binary-package  deb udeb
application/x-rpm           rpm
application/vnd.android.package-archive  apk
application/x-apple-diskimage  dmg
application/x-iso9660-image iso
application/vnd.ms-cab-compressed  cab
application/x-msi           msi
application/x-chrome-extension crx
application/x-xpinstall     xpi

application/msword          doc dot
application/vnd.ms-excel    xls
application/vnd.ms-powerpoint  ppt
application/vnd.openxmlformats-officedocument.wordprocessingml.document    docx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet          xlsx
application/vnd.openxmlformats-officedocument.presentationml.presentation  pptx
application/vnd.oasis.opendocument.text          odt
application/vnd.oasis.opendocument.spreadsheet   ods
application/vnd.oasis.opendocument.presentation  odp
application/vnd.oasis.opendocument.graphics      odg
application/vnd.google-earth.kml+xml             kml
application/vnd.google-earth.kmz                 kmz
application/gpx+xml                              gpx
"""

# Whole names, where there is no extension.
_NAMES = """
text/plain  authors changelog changes cname contributing contributors copying copyright dockerfile install licence
text/plain  license makefile news notice procfile readme security thanks todo version
"""

# What is compressed in itself: another coding costs time and saves nothing.  Families, and then who of them is not.
_COMPACT = (
    "image/", "audio/", "video/", "font/woff", "application/zip", "application/gzip", "application/zstd",
    "application/x-brotli", "application/x-bzip2", "application/x-xz", "application/x-lzip",
    "application/x-7z-compressed", "application/vnd.rar", "application/java-archive",
    "application/vnd.debian.binary-package", "application/x-rpm", "application/vnd.android.package-archive",
    "application/x-apple-diskimage", "application/vnd.ms-cab-compressed", "application/x-chrome-extension",
    "application/x-xpinstall", "application/epub+zip", "application/pdf",
    "application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.",
    "application/vnd.google-earth.kmz", "model/vnd.usdz+zip",
)  # fmt: skip
_LOOSE = (
    "image/svg+xml", "image/bmp", "image/x-icon", "image/vnd.adobe.photoshop", "image/tiff",
    "image/x-portable-anymap", "audio/wav", "audio/aiff", "audio/midi", "audio/x-mpegurl", "audio/x-scpls",
)  # fmt: skip


def _by_extension(table: str) -> dict[str, str]:
    found = {}
    for line in filter(None, table.splitlines()):
        kind, *extensions = line.split()
        declared = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
        found.update(dict.fromkeys(extensions, declared))
    return found


_TYPES = _by_extension(_TABLE)
_TYPES_OF_NAMES = _by_extension(_NAMES)


def media_type(name: str) -> str:
    """The Content-Type of a file by its name (RFC 9110 §8.3): the last extension decides, without regard to case.

    Text types carry `charset=utf-8`.  A name that says nothing is "application/octet-stream", which no browser runs.
    """
    stem, dot, extension = name.rpartition(".")
    if dot and stem:
        return _TYPES.get(extension.lower(), UNKNOWN)
    return _TYPES_OF_NAMES.get(name.lower(), UNKNOWN)


def is_compact(kind: str) -> bool:
    """Whether content of this media type is compressed in itself, so that a content coding is not worth trying."""
    return kind.startswith(_COMPACT) and not kind.startswith(_LOOSE)
