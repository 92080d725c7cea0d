// oauth4webapi: a generic token endpoint request. It writes token_type in lower case.
import * as oauth from "oauth4webapi";

const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

export async function exchange(sent) {
  const insecure = { [oauth.allowInsecureRequests]: true };
  const issuer = new URL(sent.issuer);
  const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const client = { client_id: sent.client_id };
  const parameters = {
    subject_token: sent.subject_token,
    subject_token_type: ACCESS_TOKEN,
    actor_token: sent.actor_token,
    actor_token_type: ACCESS_TOKEN,
    audience: sent.audience,
    scope: sent.scope,
  };
  const grant = "urn:ietf:params:oauth:grant-type:token-exchange";
  const proof = oauth.ClientSecretBasic(sent.client_secret);
  try {
    const answer = await oauth.genericTokenEndpointRequest(server, client, proof, grant, parameters, insecure);
    return await oauth.processGenericTokenEndpointResponse(server, client, answer);
  } catch (error) {
    if (error instanceof oauth.ResponseBodyError) return { error: error.error };
    throw error;
  }
}
