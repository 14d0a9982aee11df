import pytest

from jobs.rows.examples import check_examples

FIELDS = {
    "resident_id": {"from": "证号", "type": "resident_id", "required": True},
    "registered_on": {"from": "登记", "type": "date"},
}
GOOD = {"证号": "11010519491231002X", "登记": "2026年1月5日"}
BAD = {"证号": "110105194912310021", "登记": "2026-02-30"}


@pytest.fixture
def problems(contract_of, types, codes):
    def problems(*examples):
        return check_examples(contract_of(FIELDS, examples=list(examples)), types, codes)

    return problems


def test_examples_that_come_out_as_stated_have_no_problem(problems):
    assert not problems(
        {"given": GOOD, "accepted": True},
        {"given": GOOD, "accepted": {"registered_on": "2026-01-05"}},
        {"given": BAD, "rejected": ["resident_id.check_character", "registered_on.not_a_date"]},
    )


@pytest.mark.parametrize(
    ("example", "says"),
    [
        ({"given": BAD, "accepted": True}, "stated as accepted, but rejected"),
        ({"given": GOOD, "rejected": ["resident_id.required"]}, "rejected for nothing"),
        ({"given": BAD, "rejected": ["registered_on.not_a_date"]}, "stated registered_on.not_a_date"),
        ({"given": GOOD, "accepted": {"registered_on": "2026-01-06"}}, "registered_on became"),
        ({"given": GOOD, "accepted": {"seen_on": "2026-01-06"}}, "is no field"),
    ],
)
def test_an_example_that_comes_out_otherwise_is_named(problems, example, says):
    found = problems(example)
    assert len(found) == 1
    assert found[0].startswith("examples[0]: ")
    assert says in found[0]
