"""docs/configuration.md is made from the settings.

`python -m tests.settings.test_configuration_reference` writes it anew.
"""

from pathlib import Path
from typing import Any

from case_monitor.domain.methods import METHODS
from case_monitor.domain.metric import Metric
from case_monitor.domain.metrics import METRICS
from case_monitor.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
HEAD = """\
# Configuration

`case-monitor.yaml`, or another file with `--config` or `CASE_MONITOR_CONFIG`. Relative paths, also those in
`sqlite:///` URLs, are relative to that file.

Every field may come from the environment instead: `CASE_MONITOR_` and the field's name, with two
underscores for each level below (`CASE_MONITOR_PROTOCOL__SAMPLE_SIZE=1000`); it goes before the file. A field
that does not exist, or has a wrong value, is an error that names its path, and so is a variable `CASE_MONITOR_*` that
nothing reads.

Passwords in `database_url`, `tracking_uri` and `registry_uri` are percent-encoded: @ as %40, / as %2F, ? as %3F, # as
%23, a space as %20. One that is not is refused, and not repeated; behind a host, an @ is written as %40 as well.

A longer example:

```yaml
tracking_uri: sqlite:///mlflow.db
database_url: sqlite:///case-monitor.db
alias: champion
protocol: { methods: [case, gradcam, layercam], sample_size: 1000 }
policy:
  gate_method: gradcam # the method whose maps you show to people
  thresholds:
    - { metric: agreement_median, method: gate, limit: 0.5, allowed_regression: 0.2, greater_is_better: false }
    - { metric: confidence_drop_5_vs_random, method: gate, limit: 0.0, greater_is_better: true }
    - { metric: accuracy, limit: 0.9, allowed_regression: 0.02, greater_is_better: true }
    - { metric: recall, per_class: true, limit: 0.6, greater_is_better: true, severity: warn }
models:
  flowers:
    split: { kind: image_folder, path: validation }
```

Other splits:

- `split: { kind: table, path: validation.csv, path_column: file, label_column: species }`
- `split: { kind: imagenet, path: val, truth: LOC_val_solution.csv, names: LOC_synset_mapping.txt }`
- `split: { kind: webdataset, path: shards, label_field: class, labels: names }`
- `split: { kind: huggingface, path: beans, split: validation, label_column: labels }`
- `split: { kind: fetched, url: "s3://bucket/validation", format: table, options: { path: labels.parquet } }`
- DICOM, or 16 bits, beside the split: `preprocessing: { mean: [0.5], std: [0.5], window: [-160, 240] }`

`policy: contrast` and `policy: paper` are rules by a word, and `policy: { thresholds: contrast, min_samples: 200 }`
sets other fields beside them; so do `CASE_MONITOR_POLICY=contrast` and `CASE_MONITOR_POLICY__MIN_SAMPLES=200`. What
each asks is in [the README](../README.md#verdicts-and-exit-codes).

A `policy` or `protocol` below a model replaces the general one as a whole. A threshold may name the metrics
[below](#metrics-of-the-thresholds). A field that comes twice is an error.
"""
DEFINITIONS = Settings.model_json_schema()["$defs"]
SECTIONS = {
    "ModelSettings": "`models.<name>`",
    "Preprocessing": "`models.<name>.preprocessing`",
    "ImageFolderSplit": "`models.<name>.split`, kind `image_folder`",
    "TableSplit": "`models.<name>.split`, kind `table`",
    "ImagenetSplit": "`models.<name>.split`, kind `imagenet`",
    "CifarSplit": "`models.<name>.split`, kind `cifar10` or `cifar100`",
    "NpzSplit": "`models.<name>.split`, kind `npz`",
    "HuggingfaceSplit": "`models.<name>.split`, kind `huggingface`",
    "WebdatasetSplit": "`models.<name>.split`, kind `webdataset`",
    "ArtifactSplit": "`models.<name>.split`, kind `mlflow_artifact`",
    "FetchedSplit": "`models.<name>.split`, kind `fetched`",
    "FunctionSplit": "`models.<name>.split`, kind `function`",
    "TrustedProxy": "`trusted_proxy`",
    "IsolationSettings": "`isolation`",
    "ThreadsEngine": "`engine`, kind `threads`",
    "RayEngine": "`engine`, kind `ray`",
    "Policy": "`policy`",
    "Threshold": "`policy.thresholds[]`",
    "Protocol": "`protocol`",
}
METRIC_HEAD = """
## Metrics of the thresholds

What each means is in [method.md](method.md); `q` stands for an area and fill of the protocol, as in `confidence_drop_5`
and `confidence_drop_50_blur`. A `limit` lies inside the range. Metrics of maps need a `method`, those of the model have
none. *Per class*: with `per_class: true`. *Regression*: `allowed_regression` may be set, below the width of the range.

| metric | of | range | better | judged | regression |
| --- | --- | --- | --- | --- | --- |
"""


def render() -> str:
    schema = Settings.model_json_schema()
    parts = [HEAD, "## Top level", "", *fields(schema)]
    for name, title in SECTIONS.items():
        definition = schema["$defs"][name]
        parts += ["", f"## {title}", "", " ".join(definition.get("description", "").split()), "", *fields(definition)]
    return (
        "\n".join(parts).rstrip() + "\n" + METRIC_HEAD + "".join(metric_row(m) for m in METRICS.values() if m.by_rules)
    )


def metric_row(metric: Metric) -> str:
    scopes = (
        ("all images", metric.overall, metric.compared),
        ("per class", metric.per_class, metric.compared_per_class),
    )
    judged = ", ".join(scope for scope, there, _ in scopes if there)
    compared = ", ".join(scope for scope, _, is_compared in scopes if is_compared)
    of = "maps" if metric.of_methods else "model"
    better = "greater" if metric.greater_is_better else "smaller"
    note = " (with a baseline)" if metric.needs_baseline else ""
    name = metric.name.format("q")
    return f"| `{name}` | {of} | {metric.low:g} to {metric.high:g} | {better} | {judged}{note} | {compared or 'no'} |\n"


def fields(schema: dict[str, Any]) -> list[str]:
    rows = ["| field | default | meaning |", "| --- | --- | --- |"]
    for name, field in schema["properties"].items():
        if name == "kind":
            continue  # in the title
        shown = "required" if name in schema.get("required", []) else default(field)
        rows.append(f"| `{name}` | {shown} | {meaning(field)} |")
    return rows


def meaning(field: dict[str, Any]) -> str:
    """The field's own description, else that of what it holds."""
    held = DEFINITIONS.get(field.get("$ref", "").rpartition("/")[2], {})
    return " ".join(field.get("description", held.get("description", "")).split())


def default(field: dict[str, Any]) -> str:
    if field.get("format") == "password":
        return f"`{Settings.model_fields['database_url'].default.get_secret_value()}`"
    if "default" not in field or isinstance(field["default"], dict):
        return "see below"
    value = field["default"]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "see [the README](../README.md#verdicts-and-exit-codes)"
    return "none" if value is None else f"`{str(value).replace('|', '/')}`"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()


def test_every_metric_is_explained() -> None:
    page = PAGE.with_name("method.md").read_text(encoding="utf-8")
    for metric in METRICS.values():
        assert f"`{metric.name.format('q')}`" in page, metric.name


def test_every_method_is_explained() -> None:
    page = PAGE.with_name("method.md").read_text(encoding="utf-8")
    for method in METHODS:
        assert f"`{method}`" in page, method


def test_every_field_is_documented() -> None:
    schema = Settings.model_json_schema()
    assert {name for name, definition in schema["$defs"].items() if "properties" in definition} == set(SECTIONS)
    for definition in (schema, *(schema["$defs"][name] for name in SECTIONS)):
        for name, field in definition["properties"].items():
            assert name == "kind" or len(meaning(field)) > 7, name


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
