"""Evidence waits from the moment in which its evaluation is stored until MLflow has it, on both databases."""

from sqlalchemy import Engine, delete

from case_monitor.store.connection import writing
from case_monitor.store.read.outbox import load_evidence, look_into, waiting_ids
from case_monitor.store.tables import EvaluationRow
from case_monitor.store.write import save_evaluation
from case_monitor.store.write.outbox import note_failure, settle
from tests.support.factories import an_evaluation, some_evidence
from tests.support.rows import rows_of


def test_it_comes_back_as_it_was_kept(engine: Engine) -> None:
    evaluation = an_evaluation()
    evaluation_id = save_evaluation(engine, evaluation, evidence=some_evidence(evaluation))
    assert load_evidence(engine, evaluation_id) == some_evidence(evaluation)
    assert waiting_ids(engine) == [evaluation_id]


def test_once_settled_it_waits_no_more_and_the_run_is_known(engine: Engine) -> None:
    evaluation = an_evaluation()
    evidence = some_evidence(evaluation)
    evaluation_id = save_evaluation(engine, evaluation, evidence=evidence)
    assert settle(engine, evaluation_id, evidence, "r1", "7")
    assert (load_evidence(engine, evaluation_id), waiting_ids(engine)) == (None, [])
    [row] = rows_of(engine, "evaluations")
    assert (row["mlflow_run_id"], row["mlflow_experiment_id"]) == ("r1", "7")
    assert not settle(engine, evaluation_id, evidence, "r2", "7")  # whoever sent it too, and was later
    assert rows_of(engine, "evaluations")[0]["mlflow_run_id"] == "r1"


def test_an_evaluation_that_is_saved_anew_has_its_new_evidence_sent(engine: Engine) -> None:
    """What was on its way while it was saved says nothing about it."""
    evaluation = an_evaluation()
    old, new = some_evidence(evaluation), some_evidence(evaluation, second=1)
    evaluation_id = save_evaluation(engine, evaluation, evidence=old)
    assert save_evaluation(engine, evaluation, evidence=new) == evaluation_id
    assert not settle(engine, evaluation_id, old, "r1", "7")
    assert load_evidence(engine, evaluation_id) == new
    save_evaluation(engine, evaluation)
    assert waiting_ids(engine) == []


def test_the_oldest_comes_first_and_failures_are_told(engine: Engine) -> None:
    assert (look_into(engine).count, look_into(engine).since) == (0, None)
    ids = []
    for version, second in ((1, 30), (2, 10)):
        evaluation = an_evaluation(version=version)
        ids.append(save_evaluation(engine, evaluation, evidence=some_evidence(evaluation, second=second)))
    assert waiting_ids(engine) == [ids[1], ids[0]]
    note_failure(engine, ids[0], "the server is gone")
    note_failure(engine, ids[0], "it still is")
    found = look_into(engine)
    assert found.since is not None
    assert (found.count, found.since.second, found.failure) == (2, 10, "it still is")
    assert {row["evaluation_id"]: row["tries"] for row in rows_of(engine, "outbox")} == {ids[0]: 2, ids[1]: 0}


def test_it_goes_with_its_evaluation(engine: Engine) -> None:
    evaluation = an_evaluation()
    save_evaluation(engine, evaluation, evidence=some_evidence(evaluation))
    with writing(engine) as connection:
        connection.execute(delete(EvaluationRow))
    assert rows_of(engine, "outbox") == []
