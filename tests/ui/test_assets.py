"""What a browser gets: a small page, and everything else once, for ever."""

import gzip
import json
import posixpath
import re
import urllib.request

import pytest

from ddpm_ui.server.assets import FILES, MODULES, VERSION
from ddpm_ui.words import STRINGS


def get(address, **headers):
    return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=60)


def test_the_page_is_small(server):
    """Two hundred people open it at once: it says nothing twice, and nothing that only Python needs."""
    with get(f"{server}/", **{"Accept-Encoding": "gzip"}) as response:
        body = response.read()
    assert len(body) <= 40_000
    assert len(gzip.decompress(body)) <= 200_000


def test_a_label_has_its_words_in_the_page(server):
    with get(f"{server}/config") as response:
        config = json.load(response)
    words, parts = config["i18n_translations"], json.dumps(config["components"])
    asked = set(re.findall(r"__i18n__[^}]*?key\W+([\w.]+)", parts))
    assert len(asked) > 100
    for language, own in words.items():
        assert own.items() <= STRINGS[language].items()
        assert asked <= own.keys()


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_kept_for_ever(server, path):
    for encoding, read in (("gzip", gzip.decompress), ("identity", bytes)):
        with get(f"{server}/lab/assets-{VERSION}/{path}", **{"Accept-Encoding": encoding}) as response:
            assert "immutable" in response.headers["Cache-Control"]
            assert response.headers.get("Content-Encoding", "identity") == encoding
            assert read(response.read()) == FILES[path]


def test_modules_import_what_is_there():
    """Each is fetched ahead, so none waits for another one to be read."""
    imported = re.compile(r'^import .*?"(\.[^"]+)";$', re.MULTILINE)
    for path in MODULES:
        for target in imported.findall(FILES[path].decode()):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) in MODULES, f"{path}: {target}"


def test_scripts_are_read_in_a_hall():
    """Modules of one responsibility, in lines that fit."""
    for path in MODULES:
        lines = FILES[path].decode().splitlines()
        assert len(lines) <= 300, path
        assert all(len(line) <= 120 for line in lines), path
