import threading

import numpy as np
import pytest
import torch

from ddpm_core import ParticleNoise


def philox(seed, t, *shape):
    bits = np.random.Philox(key=np.array([seed, t], dtype=np.uint64))
    return torch.from_numpy(np.random.Generator(bits).standard_normal(shape, dtype=np.float32))


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_noise_is_a_stream_of_its_own_for_every_step_in_any_order(seed):
    """Two samplers that step differently still meet the same noise at t."""
    noise = ParticleNoise(seed, 33)
    for t in (1000, 0, 3, 1000, 2**32, 0):
        assert noise(t).equal(philox(seed, t, 33, 2))
    assert noise.start().equal(noise(0))


def test_the_noise_of_a_step_does_not_change_with_the_next():
    noise = ParticleNoise(1, 5, (1, 4, 4))
    first = noise(2)
    noise(1)
    assert first.equal(philox(1, 2, 5, 1, 4, 4))


def test_two_threads_may_share_the_noise():
    """The server samples for several people at once."""
    noise, wrong = ParticleNoise(2, 5_000), []

    def draw(t):
        expected = philox(2, t, 5_000, 2)
        wrong.extend(t for _ in range(200) if not noise(t).equal(expected))

    threads = [threading.Thread(target=draw, args=(t,)) for t in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_noise_is_drawn_where_philox_has_a_plain_lock(monkeypatch):
    """As before numpy 2.3, which Python 3.10 has: whoever holds that lock cannot draw, and waited for ever."""

    class Philox(np.random.Philox):
        lock = threading.Lock()

    monkeypatch.setattr(np.random, "Philox", Philox)
    drawing = threading.Thread(target=ParticleNoise(seed=0, n=3).start, daemon=True)
    drawing.start()
    drawing.join(timeout=10)
    assert not drawing.is_alive()
