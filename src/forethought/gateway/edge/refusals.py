"""Fields with which a client would choose where a request goes, as whom, or what runs there."""

from __future__ import annotations

REFUSED = frozenset(
    {
        # where and as whom
        "api_base", "api_key", "api_type", "api_version", "azure_ad_token", "base_url", "bootstrap_host",
        "bootstrap_port", "bootstrap_room", "custom_llm_provider", "default_headers", "default_query", "deployment_id",
        "extra_body", "extra_headers", "extra_query", "headers", "kv_transfer_params", "organization", "proxies",
        "proxy_server_request", "region_name", "user_config",
        # another choice than the one that is recorded and paid for
        "context_window_fallback_dict", "fallbacks", "mock_response", "mock_tool_calls", "model_list", "models",
        "provider", "route",
        # templates, patterns, files and code that the upstream would run or load
        "chat_template", "chat_template_kwargs", "custom_logit_processor", "ebnf", "guided_grammar", "guided_regex",
        "logits_processors", "lora_path", "lora_request", "media_io_kwargs", "mm_processor_kwargs", "model_path",
        "prompt_embeds", "regex", "tokenizer", "vllm_xargs",
    }
)  # fmt: skip
"""Each is answered with a 400, code `field_refused`."""

REFUSED_FAMILIES = ("aws_", "azure_", "litellm_", "vertex_")
"""Beginnings of names that are refused alike."""


def is_refused(name: str) -> bool:
    """Whether a field is refused under this name, in whatever case it is spelt."""
    folded = name.casefold()
    return folded in REFUSED or folded.startswith(REFUSED_FAMILIES)
