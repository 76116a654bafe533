"""What the engine promises beside its numbers: one forward, bounded memory, nothing left behind, progress, options."""

import gc
import logging
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import ConfigError
from case_monitor.saliency import METHODS, batch_size_for, fallback, forward, memory, saliency_maps
from case_monitor.saliency.memory import Footprint, footprint, rows_that_fit
from tests.support.toys import a_cnn, some_images

TARGETS = torch.tensor([[0, 1], [2, 3]])
GRADIENT = ("case", "case_full", "case_soft", "gradcam", "gradcam++", "layercam", "hirescam")


class Counted(nn.Module):
    """Counts its forward passes, and the images in them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.passes, self.images = model, 0, 0

    def forward(self, images: Tensor) -> Tensor:
        self.passes, self.images = self.passes + 1, self.images + len(images)
        logits: Tensor = self.model(images)
        return logits


def test_all_gradient_methods_and_targets_share_one_forward_pass() -> None:
    model = Counted(a_cnn(1))
    saliency_maps(model, some_images(), TARGETS, target_layer="model.relu", methods=GRADIENT)
    assert (model.passes, model.images) == (1, 2)


@pytest.mark.parametrize("k", [1, 4])
def test_the_cost_of_case_does_not_depend_on_the_size_of_the_contrast_set(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    grad = torch.autograd.grad

    def counted(outputs: Tensor, inputs: Tensor, cotangents: Tensor, **options: bool) -> tuple[Tensor, ...]:
        calls.append(len(cotangents))
        return grad(outputs, inputs, cotangents, **options)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    model = Counted(a_cnn(1))
    saliency_maps(model, some_images(), TARGETS, target_layer="model.relu", contrast_k=k)
    assert calls == [4], "top-1, top-2, and the mean over the contrast set of each"
    assert model.passes == 1


def test_ablation_cam_runs_few_whole_models_and_score_cam_one_per_live_channel() -> None:
    model = Counted(a_cnn(1))  # 8 channels
    saliency_maps(model, some_images(), TARGETS, target_layer="model.relu", methods=("scorecam",))
    live = 16
    assert model.images <= 2 + live + 1 + 2 + 1, "the pass, the masks, the blank, the check of the fast way, a look"
    fresh = Counted(a_cnn(1))
    saliency_maps(fresh, some_images(), TARGETS, target_layer="model.relu", methods=("ablationcam",))
    plain = fresh.passes
    # Replays pass through the counter, which stands before the layer; the convolutions behind it are not run again.
    convolved = 0

    def hook(_module: nn.Module, args: tuple[Tensor], _output: Tensor) -> None:
        nonlocal convolved
        convolved += len(args[0])

    handle = fresh.model.features[0].register_forward_hook(hook)
    own = fresh.model.features[0].forward
    real: list[int] = []
    fresh.model.features[0].forward = lambda x: real.append(len(x)) or own(x)  # type: ignore[method-assign]
    saliency_maps(fresh, some_images(), TARGETS, target_layer="model.relu", methods=("ablationcam",))
    handle.remove()
    assert plain > 1
    assert sum(real) == 2 + 1, "the pass, and one image by which the replay is checked"


def memory_layout(model: nn.Module) -> list[tuple[int, tuple[int, ...]]]:
    return [(p.data_ptr(), p.stride()) for p in model.parameters()]


@pytest.mark.parametrize("broken", [False, True])
def test_no_weight_is_moved_and_no_forward_replaced(broken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = a_cnn(1), some_images()
    before = memory_layout(model)
    if broken:

        def fails(*_: object) -> Tensor:
            msg = "out of something"
            raise KeyboardInterrupt(msg)

        monkeypatch.setattr("case_monitor.saliency.methods.scorecam._masked_logits", fails)
        monkeypatch.setattr("case_monitor.saliency.methods.ablationcam._rows", fails)
        for method in ("scorecam", "ablationcam"):
            with pytest.raises(KeyboardInterrupt):
                saliency_maps(model, images, TARGETS, target_layer="relu", methods=(method,))
    else:
        saliency_maps(model, images, TARGETS, target_layer="relu", methods=tuple(METHODS))
    assert memory_layout(model) == before
    assert not any("forward" in vars(module) for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_forward_that_the_user_replaced_stays_replaced() -> None:
    model = a_cnn(1)
    model.features[0].forward = own = model.features[0].forward  # type: ignore[method-assign]
    saliency_maps(model, some_images(), TARGETS, target_layer="relu", methods=("ablationcam",))
    assert vars(model.features[0])["forward"] is own


def test_300_calls_leave_no_hook_no_graph_and_no_tensor() -> None:
    model, images = a_cnn(1), some_images()

    def run() -> None:
        saliency_maps(model, images, TARGETS, target_layer="relu", methods=tuple(METHODS))

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(o), Tensor) for o in gc.get_objects())

    run()
    before = tensors()
    for _ in range(300):
        run()
    assert tensors() <= before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not any(p.grad is not None or p.grad_fn is not None for p in model.parameters())


def test_many_images_are_run_in_batches_of_the_size_asked_for_with_the_same_result() -> None:
    images = some_images(11)
    targets = torch.arange(22).view(11, 2) % 5
    whole = saliency_maps(a_cnn(1), images, targets, target_layer="relu", methods=tuple(METHODS), batch_size=11)
    model = Counted(a_cnn(1))
    parts = saliency_maps(model, images, targets, target_layer="model.relu", methods=GRADIENT, batch_size=4)
    assert (model.passes, model.images) == (3, 11)
    for method in GRADIENT:
        torch.testing.assert_close(parts[method], whole[method], rtol=1e-4, atol=1e-7)


def test_without_a_batch_size_it_follows_the_memory_that_one_image_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CPU_BLOCK", 3 * 6 * 12 * 16 * 4)  # three times the first convolution's output
    model = Counted(a_cnn(1))
    images, targets = some_images(11), torch.zeros(11, 1, dtype=torch.long)
    assert batch_size_for(model, images) == 3
    model.passes = 0
    saliency_maps(model, images, targets, target_layer="model.relu", methods=("gradcam",))
    assert model.passes == 4, "11 images by 3; what one image needs is remembered"


def test_the_footprint_by_hand() -> None:
    """A view and an operation in place make nothing new: 400 bytes twice, and one flag of 10 x 10."""
    x = torch.zeros(10, 10)

    def run() -> Tensor:
        y = x + 1
        y.view(100).add_(1)
        return (y * 2 > 1).any()

    needs = footprint(run)
    assert needs.largest == 400
    assert needs.total == 400 + 400 + 100 + 1 + 1


@pytest.mark.parametrize(("largest", "rows"), [(1, 64), (2**20, 32), (2**22, 8), (20 * 2**20, 1), (2**30, 1)])
def test_rows_on_a_cpu_keep_the_largest_tensor_under_32_mib(largest: int, rows: int) -> None:
    assert rows_that_fit(Footprint(largest, 10 * largest), torch.device("cpu")) == rows


@pytest.mark.parametrize(("free", "rows"), [(4000, 10), (40, 1), (4 * 10**9, 512)])
def test_rows_on_a_gpu_take_a_quarter_of_the_free_memory(free: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free, 2 * free))
    assert rows_that_fit(Footprint(50, 100), torch.device("cuda")) == rows


@pytest.mark.parametrize("methods", [("gradcam",), ("scorecam", "case"), tuple(METHODS)])
@pytest.mark.parametrize("batch_size", [2, 5])
def test_progress_never_falls_and_ends_with_all_images(methods: tuple[str, ...], batch_size: int) -> None:
    told: list[tuple[float, int]] = []
    saliency_maps(
        a_cnn(1),
        some_images(5),
        torch.zeros(5, 1, dtype=torch.long),
        target_layer="relu",
        methods=methods,
        batch_size=batch_size,
        progress=lambda done, total: told.append((done, total)),
    )
    done = [d for d, _ in told]
    assert done == sorted(done)
    assert done[-1] == 5
    assert {total for _, total in told} == {5}
    assert ("scorecam" not in methods) or any(d % 1 for d in done), "within an image, too"


def test_maps_are_scaled_only_when_asked() -> None:
    raw = saliency_maps(a_cnn(1), some_images(), TARGETS, target_layer="relu", methods=("gradcam",))["gradcam"]
    scaled = saliency_maps(a_cnn(1), some_images(), TARGETS, target_layer="relu", methods=("gradcam",), min_max=True)[
        "gradcam"
    ]
    low, high = raw.amin((2, 3), keepdim=True), raw.amax((2, 3), keepdim=True)
    assert (high > low).all()
    assert high.max() != 1
    torch.testing.assert_close(scaled, (raw - low) / (high - low))


def test_a_constant_map_scales_to_zero() -> None:
    model = a_cnn(1)
    nn.init.zeros_(model.head.weight)
    maps = saliency_maps(model, some_images(), TARGETS, target_layer="relu", min_max=True)["case"]
    assert not maps.any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ConfigError, "batch_size: 1 or more was expected, 0 came"),
        ({"images": torch.zeros(0, 3, 12, 16), "targets": torch.zeros(0, 1).long()}, ConfigError, "at least 1"),
    ],
)
def test_bad_sizes_are_refused(options: dict[str, object], error: type[Exception], message: str) -> None:
    arguments = {"images": some_images(), "targets": TARGETS} | options
    with pytest.raises(error, match=message):
        saliency_maps(a_cnn(1), target_layer="relu", **arguments)  # type: ignore[arg-type]


# ---- options of Score-CAM's forward passes


def score_cam(model: nn.Module, **options: object) -> Tensor:
    maps = saliency_maps(
        model,
        some_images(),
        TARGETS,
        target_layer="relu",
        methods=("scorecam",),
        size="layer",
        **options,  # type: ignore[arg-type]
    )
    return maps["scorecam"]


def test_bfloat16_is_near_and_really_used() -> None:
    exact, near = score_cam(a_cnn(1)), score_cam(a_cnn(1), amp=torch.bfloat16)
    assert not torch.equal(exact, near)
    torch.testing.assert_close(near, exact, rtol=0.05, atol=0.02 * exact.max().item())


def fake_compiler(compiled: Callable[[Tensor], Tensor]) -> Callable[..., Callable[[Tensor], Tensor]]:
    return lambda run, *, dynamic: lambda images: compiled(run(images))


def test_the_compiled_model_sees_one_shape_only(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: set[torch.Size] = set()

    def compiler(run: Callable[[Tensor], Tensor], *, dynamic: bool) -> Callable[[Tensor], Tensor]:
        assert dynamic is False

        def compiled(images: Tensor) -> Tensor:
            shapes.add(images.shape)
            return run(images)

        return compiled

    expected = score_cam(a_cnn(1), batch_size=3)
    monkeypatch.setattr(torch, "compile", compiler)
    torch.testing.assert_close(score_cam(a_cnn(1), batch_size=3, compile=True), expected)
    assert shapes == {torch.Size([3, 3, 12, 16])}


@pytest.mark.parametrize("fault", ["wrong", "raises"])
def test_a_compiler_that_fails_or_lies_is_left_and_that_is_logged(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(logits: Tensor) -> Tensor:
        if fault == "raises":
            msg = "InvalidCxxCompiler: No working C++ compiler found"
            raise RuntimeError(msg)
        return logits * 1.01

    fallback.warn_once.cache_clear()
    expected = score_cam(a_cnn(1))
    monkeypatch.setattr(torch, "compile", fake_compiler(broken))
    with caplog.at_level(logging.WARNING):
        assert torch.equal(score_cam(a_cnn(1), compile=True), expected)
    (record,) = caplog.records
    assert "compiled forward passes are not used: " in record.message
    assert ("differ by 0.01" if fault == "wrong" else "No working C++ compiler") in record.message


def test_the_fast_forward_runs_the_plain_model_when_nothing_else_agrees(caplog: pytest.LogCaptureFixture) -> None:
    model, images = a_cnn(1), some_images()
    fallback.warn_once.cache_clear()
    wrong = model(images).detach() + 1
    with caplog.at_level(logging.WARNING), forward.fastest_forward(model, model, images, wrong, rows=4) as fast:
        assert not any(p.is_contiguous(memory_format=torch.channels_last) for p in model.parameters() if p.ndim == 4)
        torch.testing.assert_close(fast(images), model(images).detach())
    assert "channels-last forward passes are not used" in caplog.text


def views(images: Tensor, model: nn.Module) -> Tensor:
    """Needs the output of a convolution laid out channel by channel."""
    x = model.features[0](images)
    logits: Tensor = x.view(len(x), -1)[:, :5]
    return logits


@pytest.mark.parametrize("possible", [True, False])
def test_fast_weights_are_used_where_the_model_can_and_put_back(
    possible: bool, caplog: pytest.LogCaptureFixture
) -> None:
    model, images = a_cnn(1), some_images()
    fallback.warn_once.cache_clear()
    before, weight = memory_layout(model), model.features[0].weight

    def logits(x: Tensor) -> Tensor:
        return model(x) if possible else views(x, model)

    expected = logits(images)
    with caplog.at_level(logging.WARNING), forward.fast_weights(model, logits, images):
        assert weight.is_contiguous(memory_format=torch.channels_last) == possible
        torch.testing.assert_close(logits(images), expected)
    assert memory_layout(model) == before
    assert ("channels-last weights are not used: view size" in caplog.text) != possible
