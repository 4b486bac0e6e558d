"""The app as a real server in a process of its own, for every test that talks to it."""

import pytest

from tests.real import served


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Address of a freshly started app, without a trailing slash. Its log may hold no traceback when the tests end."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with served("app.py", log=log) as address:
        yield address
    assert "Traceback" not in log.read_text(), log.read_text()
