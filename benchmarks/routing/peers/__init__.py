"""The field's routers, one a file, each from its paper."""
