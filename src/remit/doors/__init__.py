"""The ways in. Each turns what arrives into a `ToolCall`, hands it to the bridge, and renders what comes back."""
