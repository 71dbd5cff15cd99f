"""What of an answer is kept, and what it rests on."""

from __future__ import annotations

import pytest

from edgekit.knowledge.grounding import Given, ground

CARDS = Given("What does a card cost?", "Membership is free for residents. People from elsewhere pay 25 euros a year.")
FEES = Given("What happens if I am late?", "After the due date each item costs 20 cents a day, at most 10 euros.")
GUARD = Given("May I bring a dog?", "Guide dogs are welcome. Other animals must not come in.")


@pytest.mark.parametrize(
    ("answer", "kept", "sources"),
    [
        ("People from elsewhere pay 25 euros a year.", "People from elsewhere pay 25 euros a year.", (0,)),
        ("Each item costs 20 cents a day. Bananas are yellow.", "Each item costs 20 cents a day.", (1,)),
        (
            "Residents are free. Late items cost 20 cents a day.",
            "Residents are free. Late items cost 20 cents a day.",
            (0, 1),
        ),
        ("People from elsewhere pay 35 euros a year.", "", ()),
        ("Membership is not free for residents.", "", ()),
        ("Other animals must not come in.", "Other animals must not come in.", (2,)),
        ("What does a card cost?", "", ()),
        ("A card costs.", "", ()),
        ("Yes. You may.", "", ()),
        ("Membership is free. Membership is free.", "Membership is free.", (0,)),
        ("", "", ()),
    ],
)
def test_only_what_a_passage_says_is_kept(answer: str, kept: str, sources: tuple[int, ...]) -> None:
    grounded = ground(answer, [CARDS, FEES, GUARD], "What does it cost?")
    assert (grounded.text, grounded.sources) == (kept, sources)


def test_where_two_support_a_sentence_the_more_relevant_is_its_source() -> None:
    assert ground("Membership is free for residents.", [CARDS, CARDS], "Is it?").sources == (0,)


def test_repeating_the_question_is_no_answer() -> None:
    assert ground("Residents from elsewhere.", [CARDS], "Are there residents from elsewhere?").text == ""
