"""What lets a change pass."""

import pytest

from benchmarks.guard import verdict


@pytest.mark.parametrize(("ratio", "word"), [(3.0, "good"), (5.19, "good"), (5.21, "too much"), (40.0, "too much")])
def test_thirty_percent_more_than_recorded_is_too_much(ratio: float, word: str) -> None:
    passed, told = verdict(ratio, 4.0)
    assert passed is (word == "good")
    assert f"{ratio:.1f} times" in told
    assert told.endswith(f": {word}")
