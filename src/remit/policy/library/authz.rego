# The decision where a policy brings no `package remit.authz` of its own: that of the standard policy.
package remit.authz

import rego.v1

# METADATA
# entrypoint: true
decision := data.remit.standard.decision
