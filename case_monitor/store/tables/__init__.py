"""The tables of the results database. docs/database.md explains every column.

Whoever imports `Base` from here has every table in its metadata.
"""

from case_monitor.store.tables.alerts import AlertMarkRow, AlertNoticeRow, AlertRow
from case_monitor.store.tables.base import VERSION_TABLE, Base, UtcDateTime
from case_monitor.store.tables.blobs import GalleryImageRow, GalleryMapRow, PredictionsRow
from case_monitor.store.tables.evaluation_parts import (
    AlertObservationRow,
    ChildRow,
    ClassMetricsRow,
    ConfusionCellRow,
    ContrastMemberRow,
    MetricSummaryRow,
    SampleRow,
    SampleScoreRow,
    ThresholdResultRow,
)
from case_monitor.store.tables.evaluations import NATURAL_KEY, EvaluationRow, ModelVersionRow, name_digest
from case_monitor.store.tables.promotions import PromotionRow, PromotionRunRow
from case_monitor.store.tables.reproductions import ReproductionRow
from case_monitor.store.tables.work import AnnouncementRow, ClaimRow, OutboxRow, WebhookDeliveryRow

__all__ = [
    "NATURAL_KEY",
    "VERSION_TABLE",
    "AlertMarkRow",
    "AlertNoticeRow",
    "AlertObservationRow",
    "AlertRow",
    "AnnouncementRow",
    "Base",
    "ChildRow",
    "ClaimRow",
    "ClassMetricsRow",
    "ConfusionCellRow",
    "ContrastMemberRow",
    "EvaluationRow",
    "GalleryImageRow",
    "GalleryMapRow",
    "MetricSummaryRow",
    "ModelVersionRow",
    "OutboxRow",
    "PredictionsRow",
    "PromotionRow",
    "PromotionRunRow",
    "ReproductionRow",
    "SampleRow",
    "SampleScoreRow",
    "ThresholdResultRow",
    "UtcDateTime",
    "WebhookDeliveryRow",
    "name_digest",
]
