"""HTTP requests passed on to APIs with delegated tokens: by this process, or by a proxy that asks it."""
