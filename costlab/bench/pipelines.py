"""The diffusers pipelines of every Wan model: full size, small stand-in, or from a folder.

Random weights keep the architecture exact: same shapes, dtypes and kernels as a checkpoint loaded
with ``dtype=bfloat16``, which leaves some parameters in fp32. What they cannot stand for is
loading, picture quality, and anything that depends on the data (threshold caches; power by a few
per cent).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed
from transformers import UMT5Config, UMT5EncoderModel

from costlab.bench.plan import Item
from costlab.core import BadData
from costlab.wan import Architecture, architecture

SEED = 20261122


def build(item: Item, device: torch.device) -> tuple[Any, bool]:
    """Return the pipeline and whether it is a stand-in rather than the model it is named after.

    Real weights are read with the same calls a server uses; raises `BadData` where the folder
    holds no Wan pipeline of that mode.
    """
    arch = architecture(item.setting.model)
    if item.weights == "real":
        return _from_folder(item, arch, device)
    return _synthetic(item, arch, device), item.tiny


def _pipeline_class(mode: str) -> Any:
    return WanImageToVideoPipeline if mode == "i2v" else WanPipeline


def _home(item: Item, device: torch.device) -> torch.device:
    """Where weights lie before the first clip: offloading moves them to the card when needed."""
    away = item.recipe.offload != "none" or item.recipe.experts == "swap"
    return torch.device("cpu") if away else device


def _from_folder(item: Item, arch: Architecture, device: torch.device) -> tuple[Any, bool]:
    folder = Path(item.path or "")
    index = folder / "model_index.json"
    wanted = _pipeline_class(item.setting.mode)
    try:
        named = json.loads(index.read_text(encoding="utf-8")).get("_class_name")
    except (OSError, json.JSONDecodeError) as error:
        raise BadData(str(folder), [f"no diffusers pipeline: {error}"]) from error
    if not isinstance(named, str) or not named.startswith("Wan"):
        raise BadData(str(folder), [f"model_index.json names {named!r}, expected a Wan pipeline"])
    vae_dtype = getattr(torch, item.recipe.vae_dtype)
    vae = AutoencoderKLWan.from_pretrained(
        folder, subfolder="vae", dtype=vae_dtype, local_files_only=True
    )
    extra: dict[str, Any] = {}
    if wanted is WanImageToVideoPipeline and not arch.clip_image_encoder:
        extra = {"image_encoder": None, "image_processor": None}
    pipe = wanted.from_pretrained(
        folder, vae=vae, dtype=torch.bfloat16, local_files_only=True, **extra
    )
    pipe.scheduler = UniPCMultistepScheduler.from_config(
        pipe.scheduler.config, flow_shift=item.setting.shift
    )
    pipe.set_progress_bar_config(disable=True)
    config = pipe.transformer.config
    shape = (config.num_layers, config.num_attention_heads * config.attention_head_dim)
    if _home(item, device) == device:
        pipe.to(device)
    return pipe, shape != (arch.layers, arch.dim)


def _synthetic(item: Item, arch: Architecture, device: torch.device) -> Any:
    recipe, tiny = item.recipe, item.tiny
    generator = torch.Generator(device).manual_seed(SEED)
    home = _home(item, device)

    def filled(make: Any, dtype: torch.dtype, lies: torch.device) -> Any:
        with torch.device("meta"):
            module = make()
        module = fill(module, dtype, device, generator)
        return module.to(lies) if lies != device else module

    width = _TINY_TEXT if tiny else _TEXT
    text_encoder = filled(lambda: UMT5EncoderModel(UMT5Config(**width)), torch.bfloat16, home)
    shape = transformer_config(arch, tiny)

    def expert() -> Any:
        return filled(lambda: WanTransformer3DModel(**shape), torch.bfloat16, home)

    transformer = expert()
    second = None
    if arch.experts == 2:
        second = twin(transformer, shape) if recipe.experts == "shared" else expert()
    vae = filled(
        lambda: AutoencoderKLWan(**vae_config(arch, tiny)), getattr(torch, recipe.vae_dtype), home
    )
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        num_train_timesteps=1000,
        flow_shift=item.setting.shift,
    )
    parts: dict[str, Any] = {
        "tokenizer": byte_tokenizer(),
        "text_encoder": text_encoder,
        "vae": vae,
        "scheduler": scheduler,
        "transformer": transformer,
        "transformer_2": second,
        "boundary_ratio": arch.boundary,
        "expand_timesteps": arch.per_token_time,
    }
    if arch.clip_image_encoder:
        parts |= _clip(tiny, filled, home)
    pipe = _pipeline_class(item.setting.mode)(**parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


_TEXT: dict[str, Any] = {
    "vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_heads": 64,
    "num_layers": 24, "relative_attention_num_buckets": 32, "dropout_rate": 0.0,
    "feed_forward_proj": "gated-gelu", "is_encoder_decoder": False, "use_cache": False,
}  # fmt: skip
_TINY_TEXT: dict[str, Any] = {
    **_TEXT, "vocab_size": 512, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4,
    "num_layers": 1,
}  # fmt: skip


def transformer_config(arch: Architecture, tiny: bool) -> dict[str, Any]:
    """Return the transformer's configuration; the small one keeps channels and experts."""
    shape: dict[str, Any] = {
        "patch_size": (1, 2, 2),
        "num_attention_heads": 2 if tiny else arch.heads,
        "attention_head_dim": 12 if tiny else arch.dim // arch.heads,
        "in_channels": arch.in_channels,
        "out_channels": arch.out_channels,
        "text_dim": _TINY_TEXT["d_model"] if tiny else _TEXT["d_model"],
        "freq_dim": 256,
        "ffn_dim": 32 if tiny else arch.ffn,
        "num_layers": 2 if tiny else arch.layers,
        "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads",
        "rope_max_seq_len": 1024,
    }
    if arch.clip_image_encoder:
        image = _TINY_CLIP["hidden_size"] if tiny else _CLIP["hidden_size"]
        shape |= {"image_dim": image, "added_kv_proj_dim": 24 if tiny else arch.dim}
    return shape


def vae_config(arch: Architecture, tiny: bool) -> dict[str, Any]:
    """Return the VAE's configuration; widths from the authors' vae2_1.py and vae2_2.py."""
    if arch.vae == "2.1":
        config: dict[str, Any] = {"base_dim": 96, "z_dim": 16}
        if tiny:
            config |= {"base_dim": 3, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
        return config
    config = {
        "base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, "is_residual": True,
        "in_channels": 12, "out_channels": 12, "patch_size": 2, "scale_factor_spatial": 16,
        "scale_factor_temporal": 4, "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48,
    }  # fmt: skip
    if tiny:
        config |= {"base_dim": 3, "decoder_base_dim": 3, "dim_mult": [1, 1, 1, 1]}
        config |= {"num_res_blocks": 1}
    return config


_CLIP: dict[str, Any] = {
    "hidden_size": 1280, "intermediate_size": 5120, "projection_dim": 1024,
    "num_hidden_layers": 32, "num_attention_heads": 16, "image_size": 224, "patch_size": 14,
}  # fmt: skip
_TINY_CLIP: dict[str, Any] = {
    **_CLIP, "hidden_size": 16, "intermediate_size": 32, "projection_dim": 16,
    "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28,
}  # fmt: skip


def _clip(tiny: bool, filled: Any, home: torch.device) -> dict[str, Any]:
    """Return the image encoder that only Wan 2.1's image-to-video model has (ViT-H/14)."""
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(**(_TINY_CLIP if tiny else _CLIP))
    side = config.image_size
    return {
        "image_encoder": filled(lambda: CLIPVisionModel(config), torch.bfloat16, home),
        "image_processor": CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        ),
    }


def byte_tokenizer() -> Any:
    """Return an offline tokenizer of bytes: the encoder's work depends on 512 ids, not on which."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = {"<pad>": 0, "</s>": 1, "<unk>": 2}
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = special | {symbol: 3 + i for i, symbol in enumerate(symbols)}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def fill(module: Any, dtype: torch.dtype, device: torch.device, generator: torch.Generator) -> Any:
    """Give a module built on meta its memory and seeded random weights, in place.

    Weights are normal with standard deviation fan_in^-0.5, gains one, biases small, so that
    outputs stay finite through all layers. Parameters that ``from_pretrained`` keeps in fp32 are
    fp32 here too. Tied parameters stay tied.
    """
    kept: tuple[str, ...] = ()
    if isinstance(module, WanTransformer3DModel):
        kept = tuple(WanTransformer3DModel._keep_in_fp32_modules or ())
    made: dict[int, torch.nn.Parameter] = {}
    for prefix, part in module.named_modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is None:
                continue
            if id(parameter) not in made:
                words = f"{prefix}.{name}".split(".")
                wide = any(word in words for word in kept)
                made[id(parameter)] = _parameter(
                    name, parameter.shape, torch.float32 if wide else dtype, device, generator
                )
            part._parameters[name] = made[id(parameter)]
        if isinstance(part, WanRotaryPosEmbed):
            fresh = WanRotaryPosEmbed(part.attention_head_dim, part.patch_size, part.max_seq_len)
            for name, buffer in fresh.named_buffers():
                part._buffers[name] = buffer.to(device)
    for prefix, part in module.named_modules():
        for name, buffer in part._buffers.items():
            if buffer is not None and buffer.is_meta:
                part._buffers[name] = _buffer(f"{prefix}.{name}", buffer, device)
    return module.eval().requires_grad_(False)


def _parameter(
    name: str,
    shape: torch.Size,
    dtype: torch.dtype,
    device: torch.device,
    generator: torch.Generator,
) -> torch.nn.Parameter:
    data = torch.empty(shape, dtype=dtype, device=device)
    if name == "gamma" or (name == "weight" and len(shape) == 1):
        data.fill_(1.0)
    elif name == "bias":
        data.normal_(std=0.02, generator=generator)
    elif name == "scale_shift_table":
        data.normal_(std=shape[-1] ** -0.5, generator=generator)
    else:
        data.normal_(std=(data.numel() / shape[0]) ** -0.5, generator=generator)
    return torch.nn.Parameter(data, requires_grad=False)


def _buffer(name: str, buffer: torch.Tensor, device: torch.device) -> torch.Tensor:
    if name.endswith("position_ids"):
        return torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
    raise BadData(name, ["a buffer of the architecture that random weights do not know to fill"])


def twin(module: Any, config: Mapping[str, Any]) -> Any:
    """Return a second transformer object over the same storage, so that hooks tell them apart."""
    with torch.device("meta"):
        other = WanTransformer3DModel(**config)
    parts = dict(module.named_modules())
    for prefix, part in other.named_modules():
        part._parameters.update(parts[prefix]._parameters)
        part._buffers.update(parts[prefix]._buffers)
    return other.eval().requires_grad_(False)
