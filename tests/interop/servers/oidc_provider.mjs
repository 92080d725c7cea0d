// oidc-provider with a token exchange grant of 30 lines: what the library leaves to its user. Client authentication,
// resource indicators, signing and errors are its own. Setup: one line of JSON in; where it listens: one line out.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from "jose";
import Provider, { errors } from "oidc-provider";

const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const setup = JSON.parse(await createInterface(process.stdin)[Symbol.asyncIterator]().next().then((line) => line.value));

const http = createServer().listen(0, "127.0.0.1");
await new Promise((listening) => http.once("listening", listening));
const issuer = `http://127.0.0.1:${http.address().port}`;

const { privateKey } = await generateKeyPair("ES256", { extractable: true });
const key = { ...(await exportJWK(privateKey)), alg: "ES256", use: "sig", kid: "key-1" };
const keys = createLocalJWKSet({ keys: [{ ...key, d: undefined }] });
const acts = new WeakMap(); // token → its act claim

const servers = {
  // The client's own tokens, fit for actor_token, are for the issuer; users sign in to the client.
  [issuer]: { audience: issuer, scope: "" },
  [setup.client_id]: { audience: setup.client_id, scope: setup.scopes.join(" ") },
  [setup.resource]: { audience: setup.resource, scope: setup.scopes.join(" ") },
};

async function getResourceServerInfo(_, resource) {
  if (!Object.hasOwn(servers, resource)) throw new errors.InvalidTarget();
  return { ...servers[resource], accessTokenFormat: "jwt", accessTokenTTL: 120, jwt: { sign: { alg: "ES256" } } };
}

const provider = new Provider(issuer, {
  clients: [{
    client_id: setup.client_id, client_secret: setup.client_secret, token_endpoint_auth_method: setup.auth,
    grant_types: ["client_credentials", TOKEN_EXCHANGE], redirect_uris: [], response_types: [],
    id_token_signed_response_alg: "ES256",
  }],
  jwks: { keys: [key] },
  scopes: setup.scopes,
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: { enabled: true, getResourceServerInfo, defaultResource: async () => issuer },
  },
  findAccount: async (_, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
  extraTokenClaims: async (_, token) => (acts.has(token) ? { act: acts.get(token) } : undefined),
  ttl: { ClientCredentials: 300 },
});

async function accessToken(client, sub, resource, scope, act) {
  const token = new provider.AccessToken({ accountId: sub, client, scope, gty: "token-exchange", grantId: "grant" });
  token.resourceServer = new provider.ResourceServer(resource, await getResourceServerInfo(null, resource));
  if (act) acts.set(token, act);
  return token;
}

async function verified(name, token, audience) {
  try {
    return (await jwtVerify(token, keys, { issuer, audience, typ: "at+jwt" })).payload;
  } catch {
    throw new errors.InvalidRequest(`${name} is not acceptable`);
  }
}

provider.registerGrantType(TOKEN_EXCHANGE, async (ctx) => {
  const { client, params } = ctx.oidc;
  const subject = await verified("subject_token", params.subject_token, client.clientId);
  const actor = await verified("actor_token", params.actor_token, issuer);
  if (actor.client_id !== client.clientId) throw new errors.InvalidRequest("actor_token is not the client's own");
  const held = subject.scope.split(" ");
  const scope = params.scope ?? subject.scope;
  if (!scope.split(" ").every((one) => held.includes(one))) throw new errors.InvalidScope("too wide", scope);
  const act = { sub: actor.sub, iss: actor.iss, ...(subject.act && { act: subject.act }) };
  const token = await accessToken(client, subject.sub, params.resource, scope, act);
  token.expiresIn = Math.min(120, subject.exp - Math.floor(Date.now() / 1000));
  ctx.body = {
    access_token: await token.save(), issued_token_type: ACCESS_TOKEN, token_type: token.tokenType,
    expires_in: token.expiration, scope: token.scope,
  };
}, [
  "subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type", "audience",
  "resource", "scope",
], ["audience", "resource"]);

http.on("request", provider.callback());
const client = await provider.Client.find(setup.client_id);
const signedIn = await accessToken(client, "alice", setup.client_id, setup.scopes.join(" "));
process.stdout.write(`${JSON.stringify({
  issuer, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`,
  subject_tokens: { [setup.client_id]: await signedIn.save() },
})}\n`);
