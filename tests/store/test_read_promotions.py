"""What the audit log says of an alias: who had it last, on which evidence, and which move was never confirmed."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, update

from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.store.connection import writing
from case_monitor.store.read.champions import last_champion
from case_monitor.store.read.promotions import decision_of_run, standing_evidence, unfinished_moves
from case_monitor.store.tables import PromotionRow
from case_monitor.store.write import mark_promotion_applied, note_run, record_promotion, save_evaluation
from tests.support.factories import an_evaluation

PROMOTED, KEPT, WITHHELD, OVERRIDDEN = Decision.PROMOTED, Decision.KEPT, Decision.WITHHELD, Decision.OVERRIDDEN


def evaluated(engine: Engine, version: int = 1, baseline: int | None = None, name: str = "digits") -> int:
    other = None if baseline is None else ModelVersion(name=name, version=baseline, run_id=None, digest=f"{baseline}")
    return save_evaluation(engine, an_evaluation(name=name, version=version, baseline=other))


def decided(
    engine: Engine, evaluation_id: int, version: int, decision: Decision, *, applied: bool = True, **changes: str
) -> int:
    fields = {"model_name": "digits", "alias": "champion", "reason": "so"} | changes
    entry = Promotion(
        version=version,
        previous_version=None,
        decision=decision,
        evaluation_id=evaluation_id,
        decided_by="Ann" if decision is OVERRIDDEN else None,
        **fields,  # type: ignore[arg-type]
    )
    promotion_id = record_promotion(engine, entry)
    if applied:
        mark_promotion_applied(engine, promotion_id)
    return promotion_id


class TestLastChampion:
    def test_none_was_ever_seen(self, engine: Engine) -> None:
        assert last_champion(engine, "digits", "champion") is None
        e = evaluated(engine)
        decided(engine, e, 1, WITHHELD)
        decided(engine, e, 1, PROMOTED, applied=False)
        decided(engine, e, 1, PROMOTED, alias="staging")
        decided(engine, evaluated(engine, name="letters"), 1, PROMOTED, model_name="letters")
        assert last_champion(engine, "digits", "champion") is None

    def test_what_was_promoted_kept_or_overridden_last(self, engine: Engine) -> None:
        for version, decision in enumerate((PROMOTED, KEPT, OVERRIDDEN), start=1):
            before = datetime.now(UTC)
            decided(engine, evaluated(engine, version), version, decision)
            found = last_champion(engine, "digits", "champion")
            assert found is not None
            assert found[0] == version
            assert before <= found[1] <= datetime.now(UTC)

    def test_what_an_evaluation_was_compared_with(self, engine: Engine) -> None:
        decided(engine, evaluated(engine, 1), 1, PROMOTED)
        evaluated(engine, 3, baseline=2)
        found = last_champion(engine, "digits", "champion")
        assert found is not None
        assert found[0] == 2


class TestUnfinishedMoves:
    def test_only_that_of_the_holder_since_the_last_confirmed_one(self, engine: Engine) -> None:
        first, second = evaluated(engine, 1), evaluated(engine, 2)
        older = decided(engine, second, 2, PROMOTED, applied=False)  # died before it moved anything
        assert [p.id for p in unfinished_moves(engine, "digits", "champion", 2)] == [older]
        decided(engine, first, 1, PROMOTED)
        assert unfinished_moves(engine, "digits", "champion", 2) == []
        open_entry = decided(engine, evaluated(engine, 2, baseline=1), 2, PROMOTED, applied=False)
        decided(engine, first, 1, WITHHELD)
        assert [p.id for p in unfinished_moves(engine, "digits", "champion", 2)] == [open_entry]
        assert unfinished_moves(engine, "digits", "champion", 1) == []
        assert unfinished_moves(engine, "digits", "staging", 2) == []

    def test_a_clock_that_was_set_back_hides_none(self, engine: Engine) -> None:
        """The one that was decided first says that it was decided tomorrow."""
        before, last = evaluated(engine, 1), evaluated(engine, 2, baseline=1)
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        decided(engine, before, 1, PROMOTED)
        with writing(engine) as connection:
            connection.execute(update(PromotionRow).values(decided_at=tomorrow))
        open_entry = decided(engine, last, 2, PROMOTED, applied=False)
        assert [p.id for p in unfinished_moves(engine, "digits", "champion", 2)] == [open_entry]
        mark_promotion_applied(engine, open_entry)
        assert standing_evidence(engine, "digits", "champion", 2) == last


class TestStandingEvidence:
    def test_that_of_the_last_applied_promotion(self, engine: Engine) -> None:
        assert standing_evidence(engine, "digits", "champion", 1) is None
        first, second = evaluated(engine, 1), evaluated(engine, 2, baseline=1)
        decided(engine, first, 1, PROMOTED)
        assert standing_evidence(engine, "digits", "champion", 1) == first
        decided(engine, second, 2, WITHHELD)  # another version's fate
        assert standing_evidence(engine, "digits", "champion", 1) == first
        decided(engine, second, 2, PROMOTED)
        decided(engine, second, 2, KEPT)
        assert standing_evidence(engine, "digits", "champion", 2) == second
        assert standing_evidence(engine, "digits", "champion", 1) is None
        assert standing_evidence(engine, "digits", "staging", 2) is None

    def test_none_where_the_verdict_went_against_it(self, engine: Engine) -> None:
        first = evaluated(engine, 1)
        decided(engine, first, 1, PROMOTED)
        decided(engine, evaluated(engine, 1, baseline=9), 1, WITHHELD)
        assert standing_evidence(engine, "digits", "champion", 1) is None
        decided(engine, first, 1, OVERRIDDEN)
        assert standing_evidence(engine, "digits", "champion", 1) is None


def test_a_run_has_the_decision_that_it_came_to(engine: Engine) -> None:
    e = evaluated(engine)
    first, second = decided(engine, e, 1, WITHHELD), decided(engine, e, 1, PROMOTED)
    note_run(engine, "run 1", first)
    note_run(engine, "run 1", first)
    note_run(engine, "run 2", second)
    found = [decision_of_run(engine, run) for run in ("run 1", "run 2", "run 3")]
    assert [None if p is None else p.id for p in found] == [first, second, None]
