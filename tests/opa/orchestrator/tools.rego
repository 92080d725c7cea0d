package orchestrator

default result["allowed"] := false

bearer := payload if {
	header := input.request.http.headers.Authorization
	startswith(header, "Bearer ")
	[_, payload, _] := io.jwt.decode(substring(header, 7, -1))
}

result["allowed"] if {
	input.request.mcp.tool.params.name == "get_orders"
	some role in bearer.roles
	role in ["intern", "support-lead"]
}

result["allowed"] if {
	input.request.mcp.tool.params.name == "refund_orders"
	contains(bearer.scope, "orders:write")
	input.request.mcp.tool.params.arguments.amount <= 1000
}

result["external_message"] := sprintf("%s may not use %s", [bearer.sub, input.request.mcp.tool.params.name]) if {
	not result.allowed
}
