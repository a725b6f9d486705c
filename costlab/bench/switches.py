"""Turning a recipe's switches on, and checking that they did something.

diffusers accepts several switches that then do nothing for Wan, so none is believed: each is read
back from the modules, caches and tiling are proven by counting what was computed. What could not
be done is reported as ``not applied: why``, and such a configuration is not timed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo.utils

from costlab.bench.meter import Counted
from costlab.bench.plan import THRESHOLD_CACHES, Item

APPLIED = "applied"


class Refused(Exception):
    """A switch cannot be turned on here; the text says why."""


class Switches:
    """The switches of one configuration on one pipeline: apply, watch, verify.

    ``report`` maps every switch to `APPLIED` or to why not.
    """

    def __init__(self, item: Item, pipe: Any, device: torch.device) -> None:
        self.item = item
        self.recipe = item.recipe
        self.pipe = pipe
        self.device = device
        self.accelerated = device.type != "cpu"
        second = getattr(pipe, "transformer_2", None)
        self.experts = [pipe.transformer] + ([second] if second is not None else [])
        self.report: dict[str, str] = {}
        self._swap_hooks: list[Any] = []
        self._counters: list[Counted] = []
        self._tiled = 0

    @property
    def refused(self) -> dict[str, str]:
        """The switches that were not applied, with their reasons."""
        return {name: why for name, why in self.report.items() if why != APPLIED}

    def apply(self) -> None:
        """Turn every switch on, in the order in which they build on one another."""
        r = self.recipe
        steps: dict[str, Callable[[], None]] = {
            "vae_dtype": self._vae_dtype,
            "vae_tiling": self._vae_tiling,
            "lora": self._lora,
            "fuse_qkv": self._fuse_qkv,
            "quantize": self._quantize,
            "storage": self._storage,
            "attention": self._attention,
            "cache": self._cache,
            "text_encoder": self._text_encoder,
            "experts": self._experts,
            "offload": self._offload,
            "context_parallel": self._context_parallel,
            "compile": self._compile,
        }
        by_name = {switch.split("=")[0]: switch for switch in r.switches}
        for name, step in steps.items():
            self._try(by_name[name], step)
        for switch in r.switches:
            self.report.setdefault(switch, self.report[by_name[_parent(switch)]])

    def _try(self, switch: str, step: Callable[[], None]) -> None:
        try:
            step()
        except torch.OutOfMemoryError:
            raise
        except Refused as reason:
            self.report[switch] = f"not applied: {reason}"
        except Exception as error:  # a library's refusal, whatever its type, is the answer
            self.report[switch] = f"not applied: {_words(error)}"
        else:
            self.report[switch] = APPLIED

    def _deny(self, name: str, reason: str) -> None:
        for switch in self.report:
            if switch.split("=")[0] == name:
                self.report[switch] = f"not applied: {reason}"

    def _vae_dtype(self) -> None:
        found = str(next(self.pipe.vae.parameters()).dtype).removeprefix("torch.")
        if found != self.recipe.vae_dtype:
            raise Refused(f"the VAE is {found}")

    def _vae_tiling(self) -> None:
        if not self.recipe.vae_tiling:
            return
        vae = self.pipe.vae
        vae.enable_tiling()
        inner = vae.tiled_decode

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._tiled += 1
            return inner(*args, **kwargs)

        vae.tiled_decode = counted

    def _lora(self) -> None:
        kind = self.recipe.lora
        if kind == "none":
            return
        from peft import LoraConfig

        config = LoraConfig(
            r=self.recipe.lora_rank,
            lora_alpha=self.recipe.lora_rank,
            init_lora_weights="gaussian",
            target_modules=["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"],
        )
        names = ("first", "second") if kind == "swapped" else ("first",)
        for expert in self.experts:
            for name in names:
                with warnings.catch_warnings():  # a second adapter is what "swapped" is about
                    warnings.filterwarnings("ignore", message="Already found a `peft_config`")
                    expert.add_adapter(config, adapter_name=name)
            expert.set_adapter("first")
            for name, parameter in expert.named_parameters():
                if "lora_B" in name:
                    parameter.data.normal_(std=1e-3)
            expert.requires_grad_(False)
            if not any("lora_A" in name for name, _ in expert.named_parameters()):
                raise Refused("no layer took the adapter")
            if expert.active_adapters() != ["first"]:
                raise Refused(f"the adapters in use are {expert.active_adapters()}")
            if kind == "fused":
                before = expert.blocks[0].attn1.to_q.weight.detach().clone()
                expert.fuse_lora()
                expert.unload_lora()
                if torch.equal(before, expert.blocks[0].attn1.to_q.weight):
                    raise Refused("fusing left the weights as they were")

    def swap_adapter(self, clip: int) -> None:
        """Switch to the other adapter, as a server does between two customers' clips."""
        if self.recipe.lora == "swapped":
            for expert in self.experts:
                expert.set_adapter(("second", "first")[clip % 2])

    def _fuse_qkv(self) -> None:
        if not self.recipe.fuse_qkv:
            return
        for expert in self.experts:
            expert.fuse_qkv_projections()
            if not all(block.attn1.fused_projections for block in expert.blocks):
                raise Refused("the projections are still apart")

    def _quantize(self) -> None:
        kind = self.recipe.quantize
        if kind == "none":
            return
        if kind == "fp8_dynamic" and (
            self.device.type != "cuda" or torch.cuda.get_device_capability(self.device) < (8, 9)
        ):
            raise Refused("fp8 products need a card of compute capability 8.9 or newer")
        from torchao.quantization import (
            Float8DynamicActivationFloat8WeightConfig,
            Float8WeightOnlyConfig,
            Int8DynamicActivationInt8WeightConfig,
            Int8WeightOnlyConfig,
            quantize_,
        )

        config = {
            "fp8_weight_only": Float8WeightOnlyConfig,
            "int8_weight_only": Int8WeightOnlyConfig,
            "int8_dynamic": Int8DynamicActivationInt8WeightConfig,
            "fp8_dynamic": Float8DynamicActivationFloat8WeightConfig,
        }[kind]()
        for expert in self.experts:
            quantize_(expert.blocks, config)
            weight = expert.blocks[0].attn1.to_q.weight
            if not type(weight.data).__module__.startswith("torchao"):
                raise Refused("the weights are still plain tensors")

    def _storage(self) -> None:
        if self.recipe.storage == "bf16":
            return
        for expert in self.experts:
            expert.enable_layerwise_casting(
                storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16
            )
            if expert.blocks[0].attn1.to_q.weight.dtype != torch.float8_e4m3fn:
                raise Refused("the weights are not stored as fp8")

    def _attention(self) -> None:
        backend = self.recipe.attention
        for expert in self.experts:
            expert.set_attention_backend(backend)
            for block in expert.blocks:
                for attention in (block.attn1, block.attn2):
                    found = attention.processor._attention_backend
                    if str(getattr(found, "value", found)) != backend:
                        raise Refused(f"a block uses {found}")

    def _cache(self) -> None:
        kind = self.recipe.cache
        if kind == "none":
            return
        if kind in THRESHOLD_CACHES and self.item.weights == "synthetic":
            raise Refused("it skips by what it sees, and random weights show it nothing real")
        from diffusers import (
            FirstBlockCacheConfig,
            PyramidAttentionBroadcastConfig,
            TaylorSeerCacheConfig,
        )

        options = dict(self.recipe.cache_options)
        pipe = self.pipe
        for expert in self.experts:
            if kind == "taylorseer_lite":
                config: Any = TaylorSeerCacheConfig(use_lite_mode=True, **options)
            elif kind == "pab":
                config = PyramidAttentionBroadcastConfig(
                    spatial_attention_block_identifiers=("blocks",),
                    cross_attention_block_identifiers=("blocks",),
                    current_timestep_callback=lambda: pipe.current_timestep,
                    **options,
                )
            else:
                config = FirstBlockCacheConfig(**options)
            expert.enable_cache(config)

    def _text_encoder(self) -> None:
        if self.recipe.text_encoder == "offload" and not self.accelerated:
            raise Refused("there is no accelerator to take it off")
        if self.recipe.text_encoder == "offload" and self.recipe.offload != "none":
            raise Refused("the offload mode already moves it")

    def _experts(self) -> None:
        kind = self.recipe.experts
        if kind == "resident":
            return
        if len(self.experts) < 2:
            raise Refused("the model has one expert")
        if kind == "shared":
            first, second = (expert.blocks[0].attn1.to_q.weight for expert in self.experts)
            if first.data_ptr() != second.data_ptr():
                raise Refused("the experts lie in memory twice")
            return
        if not self.accelerated:
            raise Refused("there is no accelerator to swap them on")
        if self.recipe.offload != "none":
            raise Refused("the offload mode already moves them")
        from accelerate import cpu_offload_with_hook

        previous = None
        for expert in self.experts:
            _, previous = cpu_offload_with_hook(expert, self.device, prev_module_hook=previous)
            self._swap_hooks.append(previous)
            if next(expert.blocks.parameters()).device.type != "cpu":
                raise Refused("an expert does not wait off the card")
        self._bring_the_rest()

    def _bring_the_rest(self) -> None:
        """Put the parts that do not come and go onto the card."""
        for name in ("vae", "text_encoder", "image_encoder"):
            if (part := getattr(self.pipe, name, None)) is not None:
                part.to(self.device)

    def after_clip(self) -> None:
        """Put the last expert back where it waits between clips."""
        for hook in self._swap_hooks:
            hook.offload()

    def _offload(self) -> None:
        kind = self.recipe.offload
        if kind == "none":
            return
        if not self.accelerated:
            raise Refused("there is no accelerator to offload from")
        if kind == "model":
            self.pipe.enable_model_cpu_offload(device=self.device)
        elif kind == "sequential":
            self.pipe.enable_sequential_cpu_offload(device=self.device)
        else:
            for expert in self.experts:
                expert.enable_group_offload(
                    onload_device=self.device,
                    offload_device=torch.device("cpu"),
                    offload_type="block_level" if kind == "group_block" else "leaf_level",
                    num_blocks_per_group=1 if kind == "group_block" else None,
                    use_stream=True,
                )
            self._bring_the_rest()
        where = next(self.experts[0].blocks.parameters()).device.type
        if where == "cuda":
            raise Refused("the weights stayed on the card")

    def _context_parallel(self) -> None:
        degree = self.recipe.context_parallel
        if degree == 1:
            return
        ranks = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        if ranks != degree:
            raise Refused(f"it needs {degree} processes under torchrun, this run has {ranks}")
        if not torch.accelerator.device_count():
            raise Refused("there are no cards to share a clip between")
        from diffusers import ContextParallelConfig

        for expert in self.experts:
            expert.enable_parallelism(config=ContextParallelConfig(ulysses_degree=degree))
            if any(block.attn1.processor._parallel_config is None for block in expert.blocks):
                raise Refused("a block computes the whole sequence by itself")

    def _compile(self) -> None:
        kind = self.recipe.compile
        if kind == "none":
            return
        for expert in self.experts:
            if kind == "regional":
                expert.compile_repeated_blocks(fullgraph=True)
                compiled = all(b._compiled_call_impl is not None for b in expert.blocks)
            else:
                expert.compile()
                compiled = expert._compiled_call_impl is not None
            if not compiled:
                raise Refused("the module is not compiled")

    def encoded(self) -> None:
        """Do with the text encoder what the recipe says, once the prompt is encoded."""
        kind = self.recipe.text_encoder
        if kind == "free":
            self.pipe.text_encoder = None
        elif kind == "offload":
            self.pipe.text_encoder.to("cpu")
        if kind != "keep" and self.device.type == "cuda":
            torch.cuda.empty_cache()

    def before_encode(self) -> None:
        """Bring an offloaded text encoder back; part of what encoding costs."""
        if self.recipe.text_encoder == "offload":
            self.pipe.text_encoder.to(self.device)

    def watch(self) -> None:
        """Start counting what is computed; compiled blocks allow no counters inside them."""
        if self.recipe.cache != "none":
            self._counters = [Counted(expert) for expert in self.experts]
        torch._dynamo.utils.counters.clear()

    def verify(self) -> list[str]:
        """Check by what was counted in the window that the switches worked; returns flags."""
        flags = []
        if self._counters:
            counts = [(counter.close(), counter.forwards) for counter in self._counters]
            computed = sum(sum(parts.values()) for parts, _ in counts)
            possible = sum(forwards * len(parts) for parts, forwards in counts)
            flags.append(f"{computed} of {possible} parts of a block were computed")
            if computed >= possible:
                self._deny("cache", "every part of a block was computed every time")
            self._counters = []
        if self.recipe.vae_tiling and not self._tiled:
            self._deny("vae_tiling", "the picture is no larger than one tile")
        if _graphs():
            flags.append("graphs were compiled inside the window")
        return flags

    def verify_compiled(self) -> None:
        """Check after the warm-up that compiled graphs were made."""
        if self.recipe.compile != "none" and not _graphs():
            self._deny("compile", "no graph was compiled")

    def blame(self, error: Exception) -> bool:
        """Lay a failure of the warm-up on the switch that can fail only then, if there is one."""
        for name, usual in (
            ("compile", "none"),
            ("attention", "native"),
            ("quantize", "none"),
            ("cache", "none"),
            ("context_parallel", 1),
        ):
            if getattr(self.recipe, name) != usual:
                self._deny(name, _words(error))
                return True
        return False


def _graphs() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def _words(error: Exception) -> str:
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {first[:200]}"


def _parent(switch: str) -> str:
    name = switch.split("=")[0]
    if name.startswith("cache."):
        return "cache"
    return {"lora_rank": "lora"}.get(name, name)
