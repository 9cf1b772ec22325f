"""httpd.site.caching: how long what may be kept, by names as build tools, site generators and people make them."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from httpd.protocol.message import replaced
from httpd.site.caching import AN_HOUR, IMMUTABLE, REVALIDATE, cache_control, has_content_hash
from httpd.site.static import StaticFiles
from httpd.site.types import media_type

from .exchange import Answer, Exchange, get

# What the tools named: their own documentation, and sites built with them.
HASHED = """
webpack         main.3f2a9c1b.js  787.cb6f1e0c.chunk.js  main.8f4b6e2a.chunk.css  runtime~main.a1b2c3d4.js
webpack         main.a3b4c5d6e7f8a9b0c1d2.js  logo.6ce24c58023cc2f8fd88fe9d219db6c6.svg
webpack         6ce24c58023cc2f8fd88fe9d219db6c6.woff2  vendors-0a1b2c3d.min.js
Next            framework-2c79e2a64abdb08b.js  index-0d1f8a4c9a5c5d7b.js  3a1f8a4c9a5c5d7b.css
Next            e4af272ccee01ff0-s.p.woff2
Gatsby          component---src-pages-index-js-0a1b2c3d4e5f6a7b8c9d.js  styles.5f1e2d3c4b5a69788796.css
Vue             app.8f3bc2a1.js  chunk-vendors.6b1c2f3d.js
Vite            index-BfK3xQ9a.css  index-CjL2qx3Z.js  vendor-B4xK9f2Q.js  logo-Dq3xZ8kP.png  inter-C8r2xWQ1.woff2
Vite_4          index-8f3bc2a1.js  index.4889a8d3.css
SvelteKit       start.Cz8fR1aQ.js  BQ3xYz1a.js  0.D8sK2aPq.js
Nuxt            entry.CkYx1a2B.css
VitePress       guide_index.md.Bq3x9ZkP.lean.js  inter-roman-latin.Di8DUHzh.woff2
Astro           index.Bx3kQ9fz.css
esbuild         app-5YGHZ2PT.js
Angular         main-5YGHZ2PT.js  styles-KJ3QOVW5.css  polyfills-FFHMD2TL.js
Parcel          index.e31bb0bc.js  src.5f1e2d3c.css
Trunk           app-3f2a9c1b4d5e6f70.js  app-3f2a9c1b4d5e6f70_bg.wasm
MkDocs          bundle.d7c377c4.min.js  main.484c7ddc.min.css  palette.ab4e12ef.min.css  search.6ce7567c.min.js
mdBook          book-a0b12cfe.js  font-awesome-799aeb25.css  elasticlunr-ef4e11c1.min.js
rustdoc         main-20a3ad099b048cf2.js  rustdoc-aa0817cf.css  SourceSerif4-Regular-0d2f5e6a.ttf.woff2
Docusaurus      935f2afb.5a6b7c8d.js  styles.4fa0b5c3.css
Sphinx          graphviz-1f0e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c.svg  3b1f8a4c9a5c5d7be31bb0bc5f1e2d3c00112233.png
Django          base.27e20196a850.js  admin.5d41402abc4b.css
Rails           application-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.css
Hugo            main.min.e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.css
GWT             B1946AC92492D2347C6235B4D2611184.cache.js
maps            main.3f2a9c1b.js.map  index-BfK3xQ9a.css.map  app-5YGHZ2PT.mjs.map
documents       manual-BfK3xQ9a.pdf  manual.3f2a9c1b.pdf  icons.3f2a9c1b.eot  boat-Dq3xZ8kP.glb
Storybook       main.5d4e0a4b.iframe.bundle.js
"""

# And these say nothing of their content: names, versions, dates, numbers, words, and hashes that read like them.
NOT_HASHED = """
libraries       jquery-3.7.1.min.js  bootstrap.min.css  bootstrap-5.3.3.bundle.min.js  d3.v7.min.js  vue.global.prod.js
libraries       react-dom.production.min.js  htmx.org@2.0.4.js  chart-4.4.1.umd.js  polyfill-es2015.js  three.r128.js
libraries       katex-0.16.22.min.css  normalize.8.0.1.css  font-awesome-4.7.0.css  fontawesome-webfont.woff2
pages           my-beautiful-page.js  license-agreement.js  main.js  style.css  app.css  a.js  index.js  README.js
dates           photo-20260101.jpg  photo-2026-01-01.jpg  IMG_20260101_123456.jpg  24dec2026.png  1feb2019.jpg
dates           photo-2019feb12.jpg  Screenshot-2026-01-01-at-10.11.12.png  logo-1735689600.png  a.20260101T101112Z.js
numbers         photo-12345678.jpg  DSC_00012345.jpg  1234567890123456.png  51234567890_o.jpg  100000000000.png
words           facade.js  deadbeef.js  photo-decadeface.jpg  cafe2026.png  faced123.css  feedface.css
words           banner-Overview.png  site-HomePage.css  a.ReadMore.js  my-Chapter2.png
words           banner-iPadOS17.png  a-iPhone15.jpg  image-cafe1234.png
words           lib-Win32API.js  MyScript.js  UserList.js  CHANGELOG.css  page-ORIGINAL.jpg
words           foo-my_Page2.js  my-Big-App2.js
words           video-MPEG4AVC.mp4  part-COVID2020.png  site-REPORT24.css  HomePage2.js  jquery.Timepicker2.js
sizes           cropped-icon-32x32.png  photo-1024x768.jpg  logo@2x.png  video-1080p60.mp4  favicon-196x196.png
UUIDs           3f2a9c1b-1234-4abc-9def-0123456789ab.jpg  photo-3F2A9C1B-1234-4ABC-9DEF-0123456789AB.png
languages       lunr.ar.min.js  messages.zh_Hant.js  tinyseg.js
short           main.3f2a9c.js  v1a2b3c.css  index-Bx3kQ9.css
unlucky         general-2459343d.css  main-Ddvw3iap.js  chunk-ABCDEFGH.js
entries         remoteEntry.js  flutter_bootstrap.js  main.dart.js  hello.nocache.js
"""


def rows(table: str) -> list[str]:
    return [name for line in table.strip().splitlines() for name in line.split()[1:]]


def told(name: str) -> str:
    return cache_control(name, media_type(name))


@pytest.mark.parametrize("name", rows(HASHED))
def test_a_content_hash_in_the_name_is_for_ever(name: str) -> None:
    assert told(name) == IMMUTABLE


@pytest.mark.parametrize("name", rows(NOT_HASHED))
def test_another_name_is_for_an_hour(name: str) -> None:
    assert told(name) == AN_HOUR


@pytest.mark.parametrize(
    "name",
    [
        *("index.html", "page.htm", "page.xhtml", "index.8f3bc2a1.html", "data.json", "main.js.map"),
        *("data.3f2a9c1b.json", "user-5f1e2d3c4b5a69788796a5b4.json", "3f2a9c1b.map"),
        *("feed.xml", "feed.rss", "feed.atom", "sitemap.xml", "site.webmanifest", "manifest.json", "page.jsonld"),
        "index.rdf",
        *("sw.js", "sw.min.js", "sw.mjs", "my-sw.js", "service-worker.js", "serviceworker.js", "service_worker.js"),
        *("ServiceWorker.js", "firebase-messaging-sw.js", "pwabuilder-sw.js", "ngsw-worker.js", "safety-worker.js"),
        *("OneSignalSDKWorker.js", "OneSignalSDKUpdaterWorker.js", "flutter_service_worker.js", "registerSW.js"),
        *("expo-service-worker.js", "worker-basic.min.js", "app.3f2a9c1b.sw.js", "offline.appcache"),
    ],
)
def test_what_has_an_address_of_its_own_is_asked_about_every_time(name: str) -> None:
    assert told(name) == REVALIDATE


@pytest.mark.parametrize(
    "name",
    [
        *("report.pdf", "report-20260101.pdf", "license-agreement.txt", "notes.md", "data.csv", "film.mp4", "a.zip"),
        *("answer.js", "netsw.js", "workers.js", "web-worker.js", "LICENSE", "binary", "strange.xyzzy", "", ".", "..."),
        # A hash, perhaps, but of what nobody builds: a commit, a person's number.
        *("linux-3f2a9c1b.tar.gz", "notes.3f2a9c1b.txt", "tool-5YGHZ2PT.zip"),
        *("logo-5YGHZ2PT.svg", "photo.js\udcff.png"),
    ],
)
def test_the_rest_is_for_an_hour(name: str) -> None:
    assert told(name) == AN_HOUR


def test_most_hashes_are_seen() -> None:
    """The forms in their own proportions: what chance makes look like a word or a number is few enough."""
    chance = random.Random(7)

    def seen(alphabet: str, length: int) -> float:
        names = (f"index-{''.join(chance.choices(alphabet, k=length))}.js" for _ in range(2_000))
        return sum(has_content_hash(name, capitals=True) for name in names) / 2_000

    assert seen("0123456789abcdef", 8) > 0.85
    assert seen("0123456789abcdef", 20) > 0.98
    assert seen(string.ascii_letters + string.digits + "-_", 8) > 0.5
    assert seen(string.ascii_uppercase + "234567", 8) > 0.6


def test_a_long_name_costs_no_more_than_its_length() -> None:
    assert not has_content_hash("-" * 255)
    assert told("a-" * 120 + "sw.css") == AN_HOUR
    assert told("sw." * 80 + "js") == REVALIDATE


# ---- served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("index.html", "index-BfK3xQ9a.css", "photo.jpg", "sw.js", "about.html", "feed.xml"):
        (tmp_path / name).write_text(name)
    (tmp_path / "docs").mkdir()
    (tmp_path / "big.bin").write_bytes(b"b" * 200_000)
    return tmp_path


def ask(site: StaticFiles, path: str, *fields: str, method: str = "GET") -> Answer:
    [answer] = Exchange([get(path, *fields, method=method)], site).answers(method)
    return answer


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/", REVALIDATE),
        ("/index.html", REVALIDATE),
        ("/about", REVALIDATE),
        ("/sw.js", REVALIDATE),
        ("/feed.xml", REVALIDATE),
        ("/docs/", REVALIDATE),
        ("/index-BfK3xQ9a.css", IMMUTABLE),
        ("/photo.jpg", AN_HOUR),
        ("/big.bin", AN_HOUR),
    ],
)
def test_every_form_of_an_answer_says_so(folder: Path, path: str, wanted: str) -> None:
    site = StaticFiles(folder)
    for _ in range(2):
        whole = ask(site, path)
        assert (whole.status, whole["cache-control"]) == (200, wanted)
        assert ask(site, path, method="HEAD")["cache-control"] == wanted
        if etag := whole["etag"]:
            again = ask(site, path, f"If-None-Match: {etag}")
            assert (again.status, again["cache-control"]) == (304, wanted)
        if whole["accept-ranges"]:
            part = ask(site, path, "Range: bytes=0-2")
            assert (part.status, part["cache-control"]) == (206, wanted)


def test_configured_field_lines_stand_in_the_place_of_ours(folder: Path) -> None:
    site = StaticFiles(folder, headers=[("cache-control", "no-store"), ("X-Frame-Options", "DENY")])
    for path in ("/", "/index-BfK3xQ9a.css", "/big.bin"):
        answer = ask(site, path)
        assert (answer["cache-control"], answer["x-frame-options"]) == ("no-store", "DENY")
        assert answer["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 200), ("/docs", "GET", 308), ("/docs/", "GET", 200), ("/none", "GET", 404), ("/", "POST", 405)],
)
def test_no_answer_leaves_its_type_to_be_guessed(folder: Path, path: str, method: str, status: int) -> None:
    answer = ask(StaticFiles(folder), path, "Content-Length: 0", method=method)
    assert (answer.status, answer["x-content-type-options"]) == (status, "nosniff")


@pytest.mark.parametrize(
    ("by", "result"),
    [
        ([], [("A", "1"), ("B", "2"), ("Vary", "x")]),
        ([("b", "3")], [("A", "1"), ("Vary", "x"), ("b", "3")]),
        ([("B", "3"), ("B", "4")], [("A", "1"), ("Vary", "x"), ("B", "3"), ("B", "4")]),
        ([("vary", "y")], [("A", "1"), ("B", "2"), ("Vary", "x"), ("vary", "y")]),
    ],
)
def test_field_lines_replace_those_of_their_name(by: list[tuple[str, str]], result: list[tuple[str, str]]) -> None:
    assert replaced([("A", "1"), ("B", "2"), ("Vary", "x")], by) == result
