"""What every test starts from: property tests that give the same verdict on every run and on every machine."""

from hypothesis import settings

from tests.examples import ASKED

FEWEST = 100  # examples of a property that does not say how many

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=max(ASKED, FEWEST))
settings.load_profile("repeatable")
