package remit.authz

import rego.v1

pairs := {role: scopes |
	some role in input.subject.properties.roles
	scopes := [scope | some scope in input.token.scopes; endswith(scope, ":read")]
}

decision := {
	"allow": count([role | some role, scopes in pairs; count(scopes) > 0]) > 0,
	"reasons": [{"code": "pair", "message": concat(" ", array.concat([role], sort(scopes)))} | some role, scopes in pairs],
}
