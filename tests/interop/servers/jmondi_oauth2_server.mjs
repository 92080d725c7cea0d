// @jmondi/oauth2-server: its token exchange grant leaves out issued_token_type, names the client `cid` and signs
// with a shared secret unless given another JWT service. It takes the users of another issuer, whose keys it is told,
// and takes its client for the actor. Setup: one line of JSON in; where it listens: one line out.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { AuthorizationServer, DateInterval, JwtService, OAuthException } from "@jmondi/oauth2-server";
import { SignJWT, createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from "jose";

const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const setup = JSON.parse(await createInterface(process.stdin)[Symbol.asyncIterator]().next().then((line) => line.value));

const http = createServer().listen(0, "127.0.0.1");
await new Promise((listening) => http.once("listening", listening));
const issuer = `http://127.0.0.1:${http.address().port}`;

const { publicKey, privateKey } = await generateKeyPair("RS256");
const jwks = { keys: [{ ...(await exportJWK(publicKey)), alg: "RS256", use: "sig", kid: "key-1" }] };

class Signing extends JwtService {
  sign(claims) {
    return new SignJWT(claims).setProtectedHeader({ alg: "RS256", typ: "JWT", kid: "key-1" }).sign(privateKey);
  }
  // Who acts is the client: this callback is the one that is told both.
  extraTokenFields({ user, client }) {
    return user ? { act: { sub: client.id, iss: issuer, ...(user.act && { act: user.act }) } } : {};
  }
}

const client = {
  id: setup.client_id, name: "Agent runner", secret: setup.client_secret, redirectUris: [],
  allowedGrants: [TOKEN_EXCHANGE], scopes: [],
};
const clients = {
  getByIdentifier: async (id) => (id === client.id ? client : undefined),
  isClientValid: async (grant, found, secret) => found.allowedGrants.includes(grant) && secret === found.secret,
};
const tokens = {
  issueToken: async (owner, scopes, user) => ({
    accessToken: crypto.randomUUID(), accessTokenExpiresAt: new Date(), client: owner, user, scopes,
  }),
  persist: async () => {},
};
const scopes = {
  getAllByIdentifiers: async (names) => names.filter((name) => setup.scopes.includes(name)).map((name) => ({ name })),
  finalize: async (asked) => asked,
};

const subjectKeys = createLocalJWKSet(setup.subject_jwks);
async function processTokenExchange({ subjectToken, audience }) {
  if (!setup.audiences.includes(audience)) throw new OAuthException("unknown audience", "invalid_target");
  try {
    const { payload } = await jwtVerify(subjectToken, subjectKeys, { audience: setup.client_id });
    return { id: payload.sub, act: payload.act };
  } catch {
    throw OAuthException.badRequest("subject_token is not acceptable");
  }
}

const server = new AuthorizationServer(clients, tokens, scopes, new Signing("not used"), { issuer });
server.enableGrantType({ grant: TOKEN_EXCHANGE, processTokenExchange }, new DateInterval("60s"));

async function token(request) {
  const body = Object.fromEntries(new URLSearchParams(await text(request)));
  try {
    const answer = await server.respondToAccessTokenRequest({ headers: request.headers, query: {}, body });
    return [answer.status, answer.body];
  } catch (error) {
    if (!(error instanceof OAuthException)) throw error;
    return [error.status, { error: error.errorType, error_description: error.message }];
  }
}

http.on("request", async (request, response) => {
  const [status, document] = request.url === "/jwks" ? [200, jwks] : await token(request);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(document));
});
process.stdout.write(`${JSON.stringify({ issuer, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks` })}\n`);
