"""Which operators an exported program may call.

Named one by one: among torch's own are some that open files, and others that trust the sizes they are given.
"""

import re

_NAMES = """
abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
adaptive_max_pool2d add addbmm addcdiv addcmul addmm addmv alias all alpha_dropout amax amin aminmax any arange argmax
argmin argsort asin asinh _assert_scalar _assert_tensor_metadata atan atan2 atanh avg_pool1d avg_pool2d avg_pool3d
baddbmm batch_norm bitwise_and bitwise_not bitwise_or bitwise_xor bmm broadcast_tensors broadcast_to bucketize cat
ceil celu channel_shuffle chunk clamp clamp_max clamp_min clip clone column_stack concat concatenate constant_pad_nd
contiguous conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution copy cos cosh
cosine_similarity cumprod cumsum deg2rad detach diag diag_embed diagonal diff div divide dot dropout einsum elu
embedding empty empty_like eq erf erfc exp exp2 expand expand_as expm1 eye feature_alpha_dropout feature_dropout fill
flatten flip fliplr flipud floor floor_divide fmax fmin fmod frac full full_like gather ge gelu glu greater
greater_equal grid_sampler grid_sampler_2d group_norm gt hardshrink hardsigmoid hardswish hardtanh im2col index
index_add index_fill index_put index_select instance_norm isclose isfinite isinf isnan kthvalue layer_norm le
leaky_relu lerp less less_equal lift_fresh_copy linalg_norm linalg_vector_norm linear linspace log log10 log1p log2
log_sigmoid _log_softmax log_softmax logical_and logical_not logical_or logical_xor logsumexp lt masked_fill
masked_scatter matmul max max_pool1d max_pool2d max_pool2d_with_indices max_pool3d maximum mean median meshgrid min
minimum mish mm moveaxis movedim mul multiply mv nan_to_num narrow _native_batch_norm_legit
_native_batch_norm_legit_no_training native_layer_norm ne neg negative new_empty new_full new_ones new_zeros norm
not_equal numpy_T one_hot ones ones_like outer pad permute pixel_shuffle pixel_unshuffle pow prelu prod rad2deg
reciprocal reflection_pad1d reflection_pad2d relu relu6 remainder repeat repeat_interleave replication_pad1d
replication_pad2d reshape reshape_as rms_norm roll rot90 round rrelu rsqrt rsub scalar_tensor
scaled_dot_product_attention scatter scatter_add select selu sigmoid sign silu sin sinc sinh slice slice_scatter
_softmax softmax softplus softshrink sort split split_with_sizes sqrt square squeeze stack std std_mean sub subtract
sum swapaxes swapdims sym_constrain_range sym_constrain_range_for_size sym_numel sym_size sym_storage_offset
sym_stride t tan tanh tensor_split threshold tile to _to_copy topk transpose tril triu trunc type_as unbind unflatten
unfold unsafe_chunk unsafe_split _unsafe_view unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_linear1d
upsample_nearest1d upsample_nearest2d var var_mean view view_as where xlogy zero zeros zeros_like
"""
_ATEN = frozenset(_NAMES.split())
_OF_NUMBERS = "add sub mul floordiv mod neg pos eq ne lt le gt ge truediv and_ or_"
_OF_SIZES = "max min not int float ite sqrt"
# Of the sizes of inputs.
_SYMBOLIC = frozenset(
    {f"_operator.{name}" for name in _OF_NUMBERS.split()}
    | {f"torch.sym_{name}" for name in _OF_SIZES.split()}
    | {"math.trunc"}
)
_OVERLOAD = re.compile(r"torch\.ops\.aten\.(\w{1,100})\.(\w{1,100})", re.ASCII)


def is_operator(target: str) -> bool:
    """Whether a classifier may need it, also in place.

    >>> is_operator("torch.ops.aten.relu_.default")
    True
    >>> is_operator("torch.load")
    False
    """
    found = _OVERLOAD.fullmatch(target)
    if found is None:
        return target in _SYMBOLIC
    name, overload = found.groups()
    return not overload.startswith("__") and (name in _ATEN or name.removesuffix("_") in _ATEN)
