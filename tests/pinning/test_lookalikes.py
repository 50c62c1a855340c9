"""Letters that pass for those of ASCII are found, and honest writing in other scripts is left alone."""

from __future__ import annotations

import pytest

from mcpgov.pinning.lookalikes import alike, lookalikes, skeleton


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("d\u0435lete_file", [1]),
        ("\u0441opy", [0]),
        ("\u03bfpen", [0]),
        ("\U0001d41dele\uff54e", [0, 4]),
        ("copy \u0441\u043e\u0440\u0443 now please", [5, 6, 7, 8]),
        ("g\u0435t l\u0456st", [1, 5]),
    ],
)
def test_a_letter_that_passes_for_another_is_found(text: str, places: list[int]) -> None:
    assert list(lookalikes(text)) == places


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "\u0421\u043e\u0437\u0434\u0430\u0451\u0442 \u0441\u0442\u0440\u0430\u043d\u0438\u0446\u044b \u0432 Notion API",
        "\u043e\u043d\u0430 \u0438 \u0441\u0443\u0445\u043e \u043f\u043e\u0435\u0442",
        "5 \u03bcs at \u0394T, \u03b1-helix, \u03b1 and \u03c9",
        "\u4f7f\u7528API\u306e\u30c6\u30b9\u30c8",
        "caf\u00e9 na\u00efve \u00fcber \u015fifre",
        "\U0001f600 ok \u00b2",
    ],
)
def test_honest_writing_is_left_alone(text: str) -> None:
    assert list(lookalikes(text)) == []


def test_names_that_look_alike_have_one_skeleton() -> None:
    assert skeleton("d\u0435lete_l1st") == skeleton("delete_IIst")
    assert skeleton("delete") != skeleton("delate")


def test_names_that_may_be_taken_for_one_another_are_grouped() -> None:
    names = ["get_issue", "get-issue", "get_1ssue", "getIssue", "list_repos", "list_repo"]
    assert list(alike(names)) == [
        ("get-issue", "getIssue", "get_1ssue", "get_issue"),
        ("get_1ssue", "get_issue"),
    ]
    assert list(alike(["a", "b"])) == []
