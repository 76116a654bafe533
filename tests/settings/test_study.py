"""What a study is made of: which cells it has, and what is no study."""

from pathlib import Path

import pytest

from case_monitor.domain.errors import ConfigError
from case_monitor.settings.study import PAPER_IMAGES, cells_of, read_study, small_study, study_text

PAPER = """\
data:
  imagenet: {kind: image_folder, path: val}
models:
  resnet50: {torchvision: resnet50, weights: resnet50.pth, data: imagenet}
  densenet201: {torchvision: densenet201, weights: [a.pth, b.pth], data: imagenet}
  flowers: {versions: [4, 7], layers: [features.3]}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "study.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_papers_layers_and_images_are_the_defaults(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, PAPER))
    assert study.models["resnet50"].explained == ("layer4.2.conv3",)
    assert study.models["densenet201"].explained == (
        "features.denseblock4.denselayer32.conv2",
        "features.norm5",
    )
    assert study.protocol.sample_size == PAPER_IMAGES == 1000
    assert set(study.protocol.methods) == {"case", "gradcam", "gradcam++", "scorecam", "ablationcam", "layercam"}


def test_a_protocol_without_a_number_of_images_has_the_papers(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, PAPER + "protocol: {methods: [case, gradcam]}\n"))
    assert (study.protocol.methods, study.protocol.sample_size) == (("case", "gradcam"), 1000)
    again = tmp_path / "again"
    again.mkdir()
    assert read_study(written(again, study_text(study))) == study
    smaller = study.protocol.__class__(sample_size=500)  # the default of a configuration is kept when it is asked for
    kept = study_text(study.model_copy(update={"protocol": smaller}))
    assert read_study(written(again, kept)).protocol.sample_size == 500


def test_cells_go_seed_by_seed(tmp_path: Path) -> None:
    cells = [str(ref) for ref in cells_of(read_study(written(tmp_path, PAPER)))]
    assert cells == [
        "resnet50/1 at layer4.2.conv3",
        "densenet201/1 at features.denseblock4.denselayer32.conv2",
        "densenet201/1 at features.norm5",
        "flowers/4 at features.3",
        "densenet201/2 at features.denseblock4.denselayer32.conv2",
        "densenet201/2 at features.norm5",
        "flowers/7 at features.3",
    ]


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, PAPER))
    assert study.models["resnet50"].weights == (tmp_path / "resnet50.pth",)
    assert dict(study.data["imagenet"])["path"] == tmp_path / "val"


def test_a_study_that_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, PAPER))
    again = tmp_path / "again"
    again.mkdir()
    assert read_study(written(again, study_text(study))) == study


def test_the_small_preset_has_the_papers_four_and_five_seeds(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, study_text(small_study())))
    cells = cells_of(study)
    assert len(cells) == 2 * 5 * (3 + 2)  # DenseNet at two layers
    assert {model.title for model in study.models.values()} == {"ResNet", "VGG", "DenseNet", "ConvNeXt"}
    assert {len(model.numbers) for model in study.models.values()} == {5}
    assert all(model.explained != ("auto",) for model in study.models.values())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{torchvision: resnet50, timm: resnet50, data: d}", "one of torchvision, timm and small was expected"),
        ("{torchvision: resnet50, data: d}", "weights: one or more were expected for a torchvision model, none came"),
        ("{data: d}", "versions: one or more were expected for a registered model, none came"),
        ("{torchvision: resnet50, weights: a.pth}", "data: one of the study's data sets was expected, none came"),
        ("{torchvision: resnet50, weights: a.pth, data: other}", "one of data (d) was expected, other came"),
        ("{small: resnet, data: d}", "digits or shapes was expected for a small network, d came"),
        ("{small: resnet, data: digits, weights: a.pth}", "weights: nothing was expected beside small"),
        ("{versions: [1], weights: a.pth}", "weights: nothing was expected beside versions"),
        ("{versions: [1, 1]}", "each layer and version once was expected, one came twice"),
        ("{versions: [1], layers: [a, a]}", "each layer and version once was expected, one came twice"),
        (
            "{torchvision: resnet50, weights: a.pth, data: d, seeds: 4}",
            "seeds: nothing was expected beside torchvision",
        ),
        ("{small: resnet, data: digits}\n  a/b: {small: vgg, data: digits}", "a name without / and :"),
        (
            "{small: resnet, data: digits, title: T}\n  n: {small: vgg, data: digits, title: T}",
            "another one than that of m",
        ),
        ("{versions: [1], layer: a}", "models.m.layer: no such field"),
        ("{small: alexnet, data: digits}", "models.m.small"),
    ],
)
def test_what_is_no_model_of_a_study_is_named(tmp_path: Path, model: str, message: str) -> None:
    text = f"data:\n  d: {{kind: npz, path: d.npz}}\nmodels:\n  m: {model}\n"
    with pytest.raises(ConfigError) as refused:
        read_study(written(tmp_path, text))
    assert message in str(refused.value)
    assert "study.yaml" in str(refused.value)


def test_a_data_set_cannot_take_the_name_of_one_that_is_there(tmp_path: Path) -> None:
    text = "data:\n  digits: {kind: npz, path: d.npz}\nmodels:\n  m: {small: vgg, data: digits}\n"
    with pytest.raises(ConfigError, match=r"data.digits: m is trained on the images of this name"):
        read_study(written(tmp_path, text))


@pytest.mark.parametrize("text", ["", "models: {}\n", "data: {}\n"])
def test_a_study_of_nothing_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="models"):
        read_study(written(tmp_path, text))


def test_a_study_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--preset small"):
        read_study(tmp_path / "none.yaml")
