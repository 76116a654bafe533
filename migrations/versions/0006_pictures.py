"""The gallery's pictures, what every image is predicted as, and links to the runs that found and published it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("evaluations", sa.Column("mlflow_experiment_id", sa.Text(), nullable=True))
    op.add_column("evaluations", sa.Column("flow_run_id", sa.Text(), nullable=True))
    op.create_index(op.f("ix_evaluations_updated_at"), "evaluations", ["updated_at"])
    op.create_table(
        "gallery_images",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sample_id", sa.Text(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("top2", sa.Integer(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_gallery_images_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "position", name=op.f("pk_gallery_images")),
    )
    op.create_table(
        "gallery_maps",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("rank IN (1, 2)", name=op.f("ck_gallery_maps_rank")),
        sa.ForeignKeyConstraint(
            ["evaluation_id", "position"],
            ["gallery_images.evaluation_id", "gallery_images.position"],
            name=op.f("fk_gallery_maps_evaluation_id_gallery_images"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "position", "method", "rank", name=op.f("pk_gallery_maps")),
    )
    op.create_table(
        "predictions",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("target", sa.LargeBinary(), nullable=False),
        sa.Column("preds", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_predictions_evaluation_id_evaluations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", name=op.f("pk_predictions")),
    )


def downgrade() -> None:
    op.drop_table("predictions")
    op.drop_table("gallery_maps")
    op.drop_table("gallery_images")
    op.drop_index(op.f("ix_evaluations_updated_at"), "evaluations")
    op.drop_column("evaluations", "flow_run_id")
    op.drop_column("evaluations", "mlflow_experiment_id")
