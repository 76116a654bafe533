"""A good model in a process of its own: the same figures to the last bit, and no answer of another's."""

import copy
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from case_monitor.domain.diagnostics import DIAGNOSTICS, score_names
from case_monitor.domain.errors import ConfigError, ModelError, TargetLayerError
from case_monitor.domain.protocol import Protocol
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.measuring.held_model import HeldModel
from case_monitor.measuring.measured_model import At, ToDraw, ToExplain
from tests.isolation.confine.programs import needs_confinement
from tests.isolation.models import IMAGE, ISOLATION, confined, predicted
from tests.isolation.networks import FailsAtTheThird, Network
from tests.support.models_here import saved

PROTOCOL = Protocol(
    methods=("case", "gradcam", "scorecam"),
    areas=(0.5, 0.05),
    fills=("mean", "blur"),
    diagnostics=DIAGNOSTICS,
    batch_size=4,
)
AT = At(layer="conv", contrast={0: {1: 0.5, 2: 0.25}, 1: {0: 1.0}}, batch_size=4)


def batches(count: int = 5, size: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(size, 1, 12, 12, generator=generator) for _ in range(count)]


@pytest.fixture(scope="module")
def here() -> HeldModel:
    return HeldModel(model=Network().eval(), protocol=PROTOCOL, device="cpu")


@pytest.fixture(scope="module")
def there() -> Iterator[ConfinedModel]:
    with confined(Network().eval(), protocol=PROTOCOL) as model:
        yield model


@pytest.fixture
def to_explain(here: HeldModel) -> list[ToExplain]:
    images = batches()
    answers = list(here.predict(images[0][:1], iter(images), "conv"))
    return [
        ToExplain(
            images=shown,
            classes=torch.from_numpy(answer.logits).topk(2).indices,
            logits=torch.from_numpy(answer.logits),
            seeds=np.arange(len(shown)) + 10**9,
        )
        for shown, answer in zip(images, answers, strict=True)
    ]


class TestTheSame:
    @pytest.mark.parametrize("layer", ["auto", "conv"])
    def test_survey(self, here: HeldModel, there: ConfinedModel, layer: str) -> None:
        ours, theirs = here.survey(batches()[0][:1], layer), there.survey(batches()[0][:1], layer)
        assert (theirs.layer, theirs.batch_size) == (ours.layer, ours.batch_size)
        assert theirs.isolation == there.load()

    def test_layers(self, here: HeldModel, there: ConfinedModel) -> None:
        found = there.layers(batches()[0][:2])
        assert found == here.layers(batches()[0][:2])
        assert "conv" in found

    def test_predict(self, here: HeldModel, there: ConfinedModel) -> None:
        images = batches()
        ours, theirs = (list(model.predict(images[0][:1], iter(images), "conv")) for model in (here, there))
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.logits.tobytes() == other.logits.tobytes()
            assert mine.active_channels.tolist() == other.active_channels.tolist()

    @pytest.mark.parametrize("by", PROTOCOL.methods)
    def test_explain(self, here: HeldModel, there: ConfinedModel, to_explain: list[ToExplain], by: str) -> None:
        seen: list[float] = []
        first, at = to_explain[0].images[:1], replace(AT, shown=by)
        ours = list(here.explain(first, iter(to_explain), at, lambda done, _: None))
        theirs = list(there.explain(first, iter(to_explain), at, lambda done, _: seen.append(done)))
        for mine, other in zip(ours, theirs, strict=True):
            assert {m: maps.numpy().tobytes() for m, maps in mine.maps.items()} == {
                m: maps.numpy().tobytes() for m, maps in other.maps.items()
            }
            assert mine.drops.broken.tolist() == other.drops.broken.tolist()
            assert {key: drop.tobytes() for key, drop in mine.drops.values.items()} == {
                key: drop.tobytes() for key, drop in other.drops.values.items()
            }
            margins, others = mine.drops.margins, other.drops.margins
            assert {key: m.tobytes() for key, m in margins.items()} == {key: m.tobytes() for key, m in others.items()}
            assert margins.keys() == {(by, "fidelity_margin"), ("", "pair_margin"), (by, "shown_margin")}
            assert mine.diagnosed.broken.tolist() == other.diagnosed.broken.tolist()
            diagnosed, others = mine.diagnosed.values, other.diagnosed.values
            assert {k: d.tobytes() for k, d in diagnosed.items()} == {k: d.tobytes() for k, d in others.items()}
            assert set(diagnosed) == set(score_names(DIAGNOSTICS, PROTOCOL.methods))
            for name in ("pair", "shown", "place"):
                ours_drawn, theirs_drawn = (getattr(e.evidence, name).numpy() for e in (mine, other))
                assert ours_drawn.tobytes() == theirs_drawn.tobytes()
        assert seen
        assert max(seen) <= 3

    def test_draw(self, here: HeldModel, there: ConfinedModel, to_explain: list[ToExplain]) -> None:
        drawn = [ToDraw(images=batch.images, classes=batch.classes[:, :1]) for batch in to_explain]
        ours, theirs = (list(model.draw(iter(drawn), AT, ("gradcam", "layercam"))) for model in (here, there))
        for mine, other in zip(ours, theirs, strict=True):
            assert {m: maps.numpy().tobytes() for m, maps in mine.items()} == {
                m: maps.numpy().tobytes() for m, maps in other.items()
            }

    def test_no_batches(self, there: ConfinedModel) -> None:
        assert list(there.predict(IMAGE, iter([]), "conv")) == []

    def test_without_a_fixed_size(self) -> None:
        with confined(Network().eval(), protocol=Protocol()) as model:
            ours = HeldModel(model=Network().eval(), protocol=Protocol(), device="cpu").survey(batches()[0][:1], "auto")
            assert model.survey(batches()[0][:1], "auto").batch_size == ours.batch_size


class TestItsProcess:
    def test_one_serves_request_after_request(self, there: ConfinedModel) -> None:
        there.load()
        before = there._process
        images = batches()
        answers = there.predict(images[0][:1], iter(images), "conv")
        for _ in images:
            next(answers)
        del answers  # nobody asked for more than there is
        there.survey(images[0][:1], "auto")
        assert there._process is before

    def test_what_is_not_taken_is_no_part_of_another_request(self, here: HeldModel, there: ConfinedModel) -> None:
        images = batches()
        [expected] = here.predict(IMAGE, iter(images[4:]), "conv")
        next(there.predict(IMAGE, iter(images), "conv"))
        [found] = there.predict(IMAGE, iter(images[4:]), "conv")
        assert found.logits.tobytes() == expected.logits.tobytes()

    def test_two_requests_at_once_mix_no_answers(self, here: HeldModel, there: ConfinedModel) -> None:
        images = batches()
        expected = [answer.logits.tobytes() for answer in here.predict(IMAGE, iter(images), "conv")]
        older = there.predict(IMAGE, iter(images), "conv")
        next(older)
        newer = there.predict(IMAGE, iter(images[::-1]), "conv")
        assert next(newer).logits.tobytes() == expected[4]
        with pytest.raises(ModelError, match=r"^model digits/1: "):
            next(older)
        assert [answer.logits.tobytes() for answer in newer] == expected[3::-1]

    def test_ctrl_c_during_a_batch(self, here: HeldModel, there: ConfinedModel) -> None:
        def interrupted() -> Iterator[Tensor]:
            yield from batches()[:3]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(there.predict(IMAGE, interrupted(), "conv"))
        [found] = there.predict(IMAGE, iter(batches()[4:]), "conv")
        [expected] = here.predict(IMAGE, iter(batches()[4:]), "conv")
        assert found.logits.tobytes() == expected.logits.tobytes()

    def test_two_threads(self) -> None:
        found: dict[int, float] = {}

        def work(bias: int) -> None:
            with confined(networks[bias]) as model:
                found[bias] = max((predicted(model, 4) - expected[bias]).abs().max().item() for _ in range(5))

        networks = {bias: Network(bias).eval() for bias in (0, 100)}  # not in the threads: they draw from one generator
        expected = {bias: network(IMAGE).detach() for bias, network in networks.items()}
        threads = [threading.Thread(target=work, args=(bias,)) for bias in expected]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == pytest.approx({0: 0, 100: 0}, abs=1e-3)

    def test_it_travels_without_its_process(self, there: ConfinedModel) -> None:
        there.load()
        twin = pickle.loads(pickle.dumps(there))
        assert twin._process is None
        assert torch.equal(predicted(twin), predicted(there))
        path = twin._files.path
        twin.end()
        del twin
        assert not path.exists()


class TestAgainstItsAnswers:
    """What leaves its process is changed by hand, in the test's process, before it is looked at."""

    @pytest.fixture
    def changed(self, there: ConfinedModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
        from case_monitor.isolation.model_process import ModelProcess

        heads: dict[str, object] = {}
        receive = ModelProcess.receive

        def changed(self: ModelProcess, *rest: object) -> object:
            frame = receive(self, *rest)  # type: ignore[arg-type]
            if frame.head.get("is") == "answer":
                frame.head.update(heads)  # type: ignore[attr-defined]
                for name, change in heads.items():
                    if name in frame.arrays:
                        frame.arrays[name] = change(copy.deepcopy(frame.arrays[name]))  # type: ignore[index,operator]
            return frame

        monkeypatch.setattr(ModelProcess, "receive", changed)
        yield heads
        there.end()

    @pytest.mark.parametrize("layer", ["head", "", 3, "conv\n"])
    def test_another_layer(self, there: ConfinedModel, changed: dict[str, object], layer: object) -> None:
        changed["layer"] = layer
        with pytest.raises(ModelError, match=r"^model digits/1: .*layer conv was expected"):
            there.survey(IMAGE, "conv")

    @pytest.mark.parametrize("layers", [None, "conv", ["x"] * 9, [3], ["a\n"], ["x" * 1001]])
    def test_layers_that_are_no_names(self, there: ConfinedModel, changed: dict[str, object], layers: object) -> None:
        changed["layers"] = layers
        with pytest.raises(ModelError, match=r"^model digits/1: .*layers as "):
            there.layers(IMAGE)

    @pytest.mark.parametrize("size", [3, 5, 65536])
    def test_another_size_of_batches_than_the_protocol_names(
        self, there: ConfinedModel, changed: dict[str, object], size: int
    ) -> None:
        changed["batch_size"] = size
        with pytest.raises(ModelError, match=r"^model digits/1: .*batch_size from 4 to 4"):
            there.survey(IMAGE, "conv")

    def test_larger_batches_than_anybody_takes(self, changed: dict[str, object]) -> None:
        changed["batch_size"] = 65536
        with confined(Network()) as model, pytest.raises(ModelError, match=r"batch_size from 1 to 64 was expected"):
            model.survey(IMAGE, "conv")

    def test_maps_of_another_size_from_batch_to_batch(
        self, there: ConfinedModel, changed: dict[str, object], to_explain: list[ToExplain]
    ) -> None:
        explained = there.explain(to_explain[0].images[:1], iter(to_explain), AT, lambda *_: None)
        next(explained)
        for method in PROTOCOL.methods:
            changed[f"map {method}"] = lambda maps: maps[..., :2]
        with pytest.raises(ModelError, match=r"^model digits/1: .*maps of \(10, 10\), as before"):
            next(explained)
        with pytest.raises(ModelError, match=r"maps of \(10, 10\), as before"):
            next(there.apart(IMAGE).explain(to_explain[0].images[:1], iter(to_explain), AT, lambda *_: None))

    @pytest.mark.parametrize("name", ["place", "shown"])
    def test_evidence_of_another_size_than_the_maps(
        self, there: ConfinedModel, changed: dict[str, object], to_explain: list[ToExplain], name: str
    ) -> None:
        changed[f"map {name}"] = lambda maps: maps[..., :2]
        with pytest.raises(
            ModelError, match=r"^model digits/1: .*maps of (1 classes and of one size|\(10, 10\), as before)"
        ):
            next(there.explain(to_explain[0].images[:1], iter(to_explain), AT, lambda *_: None))

    @pytest.mark.parametrize("name", ["case fidelity_margin", " pair_margin"])
    def test_margins_without_end(
        self, there: ConfinedModel, changed: dict[str, object], to_explain: list[ToExplain], name: str
    ) -> None:
        changed[f"margin {name}"] = lambda margins: np.full_like(margins, np.inf)
        with pytest.raises(ModelError, match=r"^model digits/1: .*_margin as finite numbers"):
            next(there.explain(to_explain[0].images[:1], iter(to_explain), AT, lambda *_: None))

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("case deletion_auc", 1.1, "deletion_auc as finite numbers from 0 to 1"),
            ("random road", -1.1, "road as finite numbers from -1 to 1"),
            ("gradcam max_sensitivity", np.inf, "max_sensitivity as finite numbers from 0 to any"),
            ("gradcam max_sensitivity", -0.1, "max_sensitivity as finite numbers from 0 to any"),
        ],
    )
    def test_diagnostics_that_cannot_be(
        self,
        there: ConfinedModel,
        changed: dict[str, object],
        to_explain: list[ToExplain],
        name: str,
        value: float,
        expected: str,
    ) -> None:
        changed[f"diagnosed {name}"] = lambda scores: np.full_like(scores, value)
        with pytest.raises(ModelError, match=rf"^model digits/1: .*{expected}"):
            next(there.explain(to_explain[0].images[:1], iter(to_explain), AT, lambda *_: None))


def test_an_error_in_a_later_batch_is_told_though_more_was_sent() -> None:
    images = [torch.full((1, 1, 4, 4), float(n)) for n in range(6)]
    with confined(FailsAtTheThird().eval()) as model, pytest.raises(ModelError, match=r"ValueError: three$"):
        list(model.predict(images[0], iter(images), "conv"))


def test_an_error_of_its_kind_names_the_model(there: ConfinedModel) -> None:
    with pytest.raises(TargetLayerError, match=r"^model digits/1: "):
        list(there.predict(IMAGE, iter([IMAGE]), "nowhere"))


def test_it_is_in_no_process_before_it_is_asked() -> None:
    model = ConfinedModel(saved(Network()), Protocol(), "cpu", ISOLATION)
    assert model._process is None
    model.end()


@needs_confinement
def test_a_compiler_has_no_place_there() -> None:
    protocol = replace(PROTOCOL, compile=True)
    with confined(Network().eval(), protocol=protocol) as model, pytest.raises(ConfigError, match=r"protocol\.compile"):
        model.load()
