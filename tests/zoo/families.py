"""Image classifiers that people use, from four libraries, randomly initialised and small where they can be.

Each row says at which layer `auto` explains it, and where the tokens of that layer's grid stand; or why it is refused.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

Make = Callable[[], nn.Module]


@dataclass(frozen=True, kw_only=True)
class Family:
    """An architecture.

    Attributes:
        package: whose it is.
        name: as the package calls it.
        make: makes one, of five classes.
        side: of its images.
        layer: that `auto` finds; empty: it is refused.
        before: tokens in front of the grid's, where the layer has tokens.
        blurred: with random weights, a change of one place is seen everywhere alike, or nowhere: of convolutions.
    """

    package: str
    name: str
    make: Make
    side: int
    layer: str = ""
    before: int | None = None
    blurred: bool = False

    def model(self) -> nn.Module:
        """Seeded, in evaluation mode; what starts with zeros does not here, or nothing would depend on anything."""
        torch.manual_seed(0)
        model = self.make().eval()
        for name, parameter in model.named_parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.1)
            elif parameter.ndim < 2 and name.split(".")[-1] in _SCALES and parameter.abs().max() < 0.01:
                nn.init.constant_(parameter, 0.5)
        return model


_SCALES = {"gamma", "gamma1", "gamma2", "gamma3", "gamma_1", "gamma_2", "lambda1", "lambda_1", "lambda_2", "scale"}


def families() -> Iterator[Family]:
    """All of them."""
    yield from _torchvision()
    yield from _timm()
    yield from _vit_pytorch()
    yield from _transformers()


def _rows(package: str, build: Callable[..., nn.Module], usual: int) -> Callable[..., Family]:
    """What makes the rows of a package: a name and what `build` is given beside it; `usual` is the side of images."""

    def row(
        name: str, layer: str, side: int = usual, before: int | None = None, *, blurred: bool = False, **more: Any
    ) -> Family:
        make = partial(build, name, **more)
        return Family(package=package, name=name, make=make, side=side, layer=layer, before=before, blurred=blurred)

    return row


def _of_torchvision(name: str, **more: Any) -> nn.Module:
    import torchvision

    return torchvision.models.get_model(name, num_classes=5, **more)


def _of_timm(name: str, **more: Any) -> nn.Module:
    import timm

    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=5, **more)
    return model


def _of_vit_pytorch(name: str, **more: Any) -> nn.Module:
    module, _, kind = name.partition(".")
    model: nn.Module = getattr(importlib.import_module(f"vit_pytorch.{module}"), kind)(num_classes=5, **more)
    return model


def _of_transformers(name: str, **more: Any) -> nn.Module:
    import transformers

    config = getattr(transformers, f"{name}Config")(num_labels=5, **more)
    model: nn.Module = getattr(transformers, f"{name}ForImageClassification")(config)
    return model


def _torchvision() -> Iterator[Family]:
    of = _rows("torchvision", _of_torchvision, 128)
    yield of("alexnet", "features")
    yield of("convnext_tiny", "features")
    yield of("densenet121", "features")
    yield of("efficientnet_b0", "features", blurred=True)
    yield of("googlenet", "inception5b", 224, init_weights=True)
    yield of("inception_v3", "Mixed_7c", 299, init_weights=True)
    yield of("maxvit_t", "blocks.3", 224)
    yield of("mnasnet0_5", "layers")
    yield of("mobilenet_v3_small", "features")
    yield of("regnet_y_400mf", "trunk_output")
    yield of("resnet18", "layer4")
    yield of("shufflenet_v2_x0_5", "conv5")
    yield of("squeezenet1_1", "classifier.2")
    yield of("swin_t", "permute")
    yield of("vgg11_bn", "features")
    yield of("vit_b_32", "encoder.layers.encoder_layer_11.ln_1", 224, before=1)


def _timm() -> Iterator[Family]:
    of = _rows("timm", _of_timm, 128)
    small = {"img_size": 64, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 2}
    yield of("vit_tiny_patch16_224", "blocks.2.norm1", 64, 1, **small)
    yield of("deit_tiny_distilled_patch16_224", "blocks.2.norm1", 64, 2, **small)
    yield of("vit_small_patch14_reg4_dinov2", "blocks.2.norm1", 64, 5, **small)
    yield of("vit_medium_patch16_reg4_gap_256", "norm", 64, 4, **small)
    yield of("beit_base_patch16_224", "norm", 64, 1, **small)
    yield of("eva02_tiny_patch14_224", "norm", 64, 1, **small)
    yield of("cait_xxs24_224", "blocks_token_only.1.norm1", 64, 1, **{**small, "depth": 2})
    yield of("convit_tiny", "blocks.2.norm1", 64, 1, **{**small, "num_heads": 2, "local_up_to_layer": 1})
    yield of("xcit_nano_12_p16_224", "cls_attn_blocks.1.norm1", 224, 1)
    yield of("mixer_s32_224", "norm", 224, 0)
    yield of("resmlp_12_224", "norm", 224, 0)
    yield of("coat_tiny", "parallel_blocks.5.norm14", 224, 1)
    yield of("pit_ti_224", "transformers.2.blocks.3.norm1", 224, 1)
    yield of("pvt_v2_b0", "stages")
    yield of("twins_svt_small", "norm", 224, 0)
    yield of("tnt_s_patch16_224", "blocks.11.norm_out", 224, 1)
    yield of("crossvit_9_240", "blocks.2.fusion.1.norm1", 240, 1)
    yield of("swinv2_cr_tiny_224", "stages", 224)
    yield of("nest_tiny", "norm", 224)
    yield of("hiera_tiny_224", "blocks.11", 224, 0)
    yield of("volo_d1_224", "aux_head", 224, 0)
    yield of("levit_128s", "", 224)
    yield of("mobilevit_xs", "final_conv")
    yield of("efficientformer_l1", "norm", 224, 0)
    yield of("poolformer_s12", "stages")
    yield of("caformer_s18", "stages")
    yield of("coatnet_nano_rw_224", "norm", 224)
    yield of("edgenext_xx_small", "norm_pre")
    yield of("convnext_atto", "norm_pre")
    yield of("resnetv2_50", "norm")
    yield of("res2net50_26w_4s", "layer4")
    yield of("repvgg_a0", "final_conv", blurred=True)
    yield of("hrnet_w18_small", "final_layer")
    yield of("dla34", "level5")
    yield of("ghostnet_100", "blocks")
    yield of("tf_efficientnetv2_b0", "bn2")
    yield of("nfnet_f0", "final_act")
    yield of("davit_tiny", "norm_pre", 224)
    yield of("focalnet_tiny_srf", "norm")
    yield of("tiny_vit_5m_224", "stages", 224)
    yield of("mambaout_femto", "stages")
    yield of("gcvit_xxtiny", "stages", 224)


def _vit_pytorch() -> Iterator[Family]:
    common = {"image_size": 64, "patch_size": 8, "dim": 32, "depth": 3, "heads": 2, "mlp_dim": 64}

    of = _rows("vit-pytorch", _of_vit_pytorch, 64)
    yield of("vit.ViT", "transformer.layers.1.1", before=1, **common)
    yield of("simple_vit.SimpleViT", "transformer", before=0, **common)
    yield of("simple_vit_with_register_tokens.SimpleViT", "transformer{0+8x8+4}", before=0, **common)
    yield of("deepvit.DeepViT", "transformer.layers.1.1", before=1, **common)
    yield of("cait.CaiT", "patch_transformer", before=0, cls_depth=2, **common)
    yield of("xcit.XCiT", "final_norm", cls_depth=1, **common)
    yield of("parallel_vit.ViT", "transformer.layers.1.1", before=1, num_parallel_branches=2, **common)
    yield of("vit_for_small_dataset.ViT", "transformer.layers.1.1", before=1, **common)
    yield of("cvt.CvT", "layers")
    yield of("regionvit.RegionViT", "layers.3.1", 224, dim=(16, 32, 64, 64), depth=(1, 1, 2, 1))


def _transformers() -> Iterator[Family]:
    common = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
    common |= {"image_size": 64, "patch_size": 8}
    vision = {"vision_config": common}

    of = _rows("transformers", _of_transformers, 64)
    yield of("ViT", "vit.layers.2.layernorm_before", before=1, **common)
    yield of("DeiT", "deit.layers.2.layernorm_before", before=2, **common)
    yield of("ViTMSN", "vit.layers.2.layernorm_before", before=1, **common)
    yield of("Dinov2", "dinov2.layernorm", before=1, **common)
    yield of("Dinov2WithRegisters", "dinov2_with_registers.layernorm", before=5, **common)
    yield of("IJepa", "ijepa.layernorm", before=0, **common)
    yield of("Beit", "beit.layernorm", before=1, **common)
    yield of("CLIP", "vision_model.encoder.layers.2", before=1, **vision)
    yield of("Siglip", "vision_model.post_layernorm", before=0, **vision)
    windows = {"image_size": 64, "embed_dim": 16, "depths": [1, 2], "num_heads": [2, 2], "window_size": 4}
    yield of("Swin", "swin.layernorm", before=0, **windows)
    yield of("Swinv2", "swinv2.layernorm", before=0, **windows)
    stages = {"hidden_sizes": [16, 32, 32, 64], "depths": [1, 1, 2, 1]}
    yield of("ConvNext", "convnext.encoder.stages.3", 128, **stages)
    yield of("ResNet", "resnet.encoder.stages.1", embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1])
    yield of("RegNet", "regnet.encoder.stages.3", 128, embedding_size=16, groups_width=16, **stages)
    yield of("Cvt", "cvt.encoder.stages.2.layers.9.layernorm_before", 128, before=1)
    yield of("Segformer", "segformer.stages.3", 128)
    yield of("PoolFormer", "norm", 128, **stages)
    yield of("MobileViT", "mobilevit.conv_1x1_exp", 128, blurred=True, image_size=128)
    focal = {"focal_levels": [2] * 3, "focal_windows": [3] * 3, "depths": [1, 1, 2], "hidden_sizes": [16, 32, 64]}
    yield of("FocalNet", "focalnet.layernorm", before=0, image_size=64, embed_dim=16, **focal)
