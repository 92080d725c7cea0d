// oidc-provider as it comes, where anybody may sign in under any name. Setup: one line of JSON in; where it listens:
// one line out.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const setup = JSON.parse(await createInterface(process.stdin)[Symbol.asyncIterator]().next().then((line) => line.value));

const http = createServer().listen(0, "127.0.0.1");
await new Promise((listening) => http.once("listening", listening));
const issuer = `http://127.0.0.1:${http.address().port}`;

const { privateKey } = await generateKeyPair("ES256", { extractable: true });
const provider = new Provider(issuer, {
  clients: setup.clients.map((client) => ({
    ...client, redirect_uris: [setup.redirect_uri], id_token_signed_response_alg: "ES256",
  })),
  jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: "ES256", use: "sig", kid: "key-1" }] },
  claims: { openid: ["sub"], profile: ["name", "groups"] },
  conformIdTokenClaims: false, // the ID token has what was asked for, not the userinfo endpoint alone
  findAccount: async (_, sub) => ({ accountId: sub, claims: async () => ({ sub, name: "Carol C", groups: ["sales"] }) }),
});
http.on("request", provider.callback());
process.stdout.write(`${JSON.stringify({ issuer })}\n`);
