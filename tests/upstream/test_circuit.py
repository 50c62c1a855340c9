"""An upstream that does not answer is left alone for longer and longer, and tried by one request at a time."""

from functools import reduce

from mcpgov.upstream.circuit import ENOUGH, Circuit


def failed(times: int, circuit: Circuit | None = None) -> Circuit:
    return reduce(lambda now, _: now.failed(100.0), range(times), circuit or Circuit())


def test_it_opens_after_enough_failures_in_a_row_and_not_before() -> None:
    assert failed(ENOUGH - 1).wait(100.0) == 0.0
    assert failed(ENOUGH).wait(100.0) == 5.0
    assert failed(ENOUGH).wait(104.0) == 1.0
    assert failed(ENOUGH).wait(105.0) == 0.0


def test_failures_of_requests_that_were_on_their_way_make_it_no_longer() -> None:
    assert failed(1000, failed(ENOUGH)) == failed(ENOUGH)


def test_one_request_tries_while_the_others_wait() -> None:
    trying = failed(ENOUGH).tried()
    assert trying.wait(200.0) > 0
    assert trying.left().wait(200.0) == 0.0


def test_a_request_while_it_is_shut_is_no_trial() -> None:
    assert Circuit().tried() == Circuit()


def test_pauses_double_to_a_minute_however_often_it_fails() -> None:
    circuit, pauses = failed(ENOUGH), list[float]()
    for _ in range(2000):
        pauses.append(circuit.wait(100.0))
        circuit = circuit.tried().failed(100.0)
    assert pauses[:6] == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert set(pauses[4:]) == {60.0}
