"""What the model sees: images beside the values that preprocessing makes of them."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.gallery import INPUT_RANGE, Gallery
from case_monitor.evidence.pictures import style
from case_monitor.evidence.pictures.image_rows import show

_ROWS = ("for people", "for the model")
_CHANNELS = 4
"""Of so many the figures are said."""


def model_inputs(evaluation: Evaluation, gallery: Gallery) -> Figure:
    """A row of images as people see them, and below each the model's input on one scale for all.

    With the wrong mean or scale the lower row is too bright, too dark or flat; with channels in another order its
    colours are others.
    """
    first = gallery.by_class
    if first.inputs is None or not len(first.sample_ids):
        return style.notice(evaluation, "No input of the model", "No image was explained.")
    inputs, count = first.inputs, len(first.sample_ids)
    height, width = first.images.shape[1:3]
    cell = 1.2 * min(max(height / width, 0.5), 2.0)
    fig = style.new_figure(max(1.2 * count + 1.4, 7.5), 1.0 + 2 * (cell + 0.1))
    detail = (
        f"{style.subject(evaluation)} · below: black is {-INPUT_RANGE:g} and white {INPUT_RANGE:g} · mean per channel "
        f"{_numbers(inputs.means)}, SD {_numbers(inputs.sds)}: about 0 and 1 where the model was trained like that"
    )
    style.header(fig, "What the model gets to see", detail)
    for row, (name, pictures) in enumerate(zip(_ROWS, (first.images, inputs.pixels), strict=True)):
        for column, picture in enumerate(pictures):
            ax: Axes = fig.add_subplot(2, count, row * count + column + 1)
            show(ax, picture)
            ax.set_xticks([])
            ax.set_yticks([])
            if column == 0:
                ax.set_ylabel(name, fontsize=8, color=style.INK)
    return style.literal(fig)


def _numbers(values: FloatArray) -> str:
    more = " …" if len(values) > _CHANNELS else ""
    return " ".join(f"{value:.2f}" for value in values[:_CHANNELS].tolist()) + more
