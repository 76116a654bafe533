"""Does each method tell classes apart, in each of several versions?"""

from collections.abc import Collection

from sqlalchemy import Engine, select

from case_monitor.store.connection import reading
from case_monitor.store.tables import MetricSummaryRow


def adjusted_p_values(
    engine: Engine, evaluation_ids: Collection[int], methods: Collection[str]
) -> dict[tuple[int, str], float | None]:
    """(evaluation, method) -> p of "median agreement is 0.5 or more", adjusted over the methods; None: undefined."""
    table = MetricSummaryRow
    query = select(table.evaluation_id, table.method, table.p_adjusted).where(
        table.metric == "agreement_median",
        table.method.in_(methods),
        table.evaluation_id.in_(evaluation_ids),
        table.class_idx.is_(None),
    )
    with reading(engine) as connection:
        return {(row.evaluation_id, row.method): row.p_adjusted for row in connection.execute(query)}
