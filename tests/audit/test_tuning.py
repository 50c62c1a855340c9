"""The times of the ledger fit together."""

from mcpgov.audit.tuning import Tuning


def test_what_is_kept_back_is_written_long_before_anybody_who_waits_gives_up() -> None:
    tuning = Tuning()
    assert 0 < tuning.linger <= 0.005
    assert 100 * tuning.linger <= min(tuning.patience, tuning.closing)


def test_what_is_asked_of_a_store_is_bounded() -> None:
    tuning = Tuning()
    assert 0 < tuning.batch < tuning.waiting
