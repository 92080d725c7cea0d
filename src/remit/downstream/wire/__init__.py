"""The bytes on the wire: values → path segments, queries, headers, cookies and bodies (rules)."""
