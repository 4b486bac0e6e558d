"""The app as a real server in a process of its own, for every test that talks to it."""

import re

import pytest
import torch

from tests.real import served

torch.set_num_threads(1)  # two workers share the cores, and networks of this size gain nothing from a second one


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Address of a freshly started app, without a trailing slash. Its log may hold no traceback, no Gradio warning."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with served("app.py", log=log) as address:
        yield address
    assert not re.search("Traceback|gradio.*Warning", log.read_text()), log.read_text()
