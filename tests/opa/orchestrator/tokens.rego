package orchestrator

default result["allowed"] := false

asked := {scope | some scope in split(input.request.oauth.scope, " "); scope != ""}

held := {scope | some scope in split(input.request.oauth.subject_token.claims.scope, " "); scope != ""}

result["allowed"] if {
	input.request.oauth.grant_type == "urn:ietf:params:oauth:grant-type:token-exchange"
	count(asked - held) == 0
}

result["allowed"] if input.request.mcp.tool.params.name == "get_orders"

result["external_message"] := "more scopes than the user has" if count(asked - held) > 0
