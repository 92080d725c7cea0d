// The official TypeScript SDK as a program on somebody's computer. Its argument is JSON, {server, era, document}.
// Standard output, a line of JSON each: {open: URL} for whoever has the browser, at the end {steps, tokens, client, era}.
import { createServer } from 'node:http';

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

const { server, era, document } = JSON.parse(process.argv[2]);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

let arrived;
const waiting = createServer((request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  response.setHeader('Content-Type', 'text/html');
  response.end('<!doctype html><link rel="icon" href="data:,"><title>Done</title><h1>Back at the client</h1>');
  if (url.pathname === '/callback') arrived(url.searchParams);
});
await new Promise((listening) => waiting.listen(0, '127.0.0.1', listening));

const kept = { tokens: [], client: undefined, verifier: '', state: '' };
let answer;
const provider = {
  redirectUrl: `http://127.0.0.1:${waiting.address().port}/callback`,
  clientMetadataUrl: document,
  get clientMetadata() {
    return {
      client_name: 'TypeScript SDK',
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
    };
  },
  state: () => (kept.state = crypto.randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens.at(-1),
  saveTokens: (tokens) => { kept.tokens.push(tokens); },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  redirectToAuthorization: (url) => {
    answer = new Promise((resolve) => { arrived = resolve; });
    say({ open: url.href });
  },
};

const transport = () => new StreamableHTTPClientTransport(new URL(server), { authProvider: provider });
const negotiation = { versionNegotiation: { mode: era === 'modern' ? { pin: '2026-07-28' } : 'legacy' } };
let client;
let used;

async function connect() {
  used = transport();
  client = new Client({ name: 'typescript-sdk', version: '1' }, negotiation);
  await client.connect(used);
}

// What every program does with this SDK: the redirect ends the attempt, its answer begins the next.
async function signingIn(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof UnauthorizedError) && !(error.cause instanceof UnauthorizedError)) throw error;
    const query = await answer;
    if (query.get('state') !== kept.state) throw new Error('the state is not the one that was sent');
    await used.finishAuth(query);
    return await attempt();
  }
}

async function call(name, args) {
  const result = await client.callTool({ name, arguments: args });
  return { tool: name, error: result.isError === true, text: result.content[0].text };
}

const order = { order_id: 'O1001' };
const steps = [];
await signingIn(connect);
steps.push(await call('get_order', order));
steps.push(await signingIn(() => call('refund_order', { ...order, amount: 100, reason: 'late' })));
// The server takes this one for spent, as it does when it has expired: the SDK renews it without a word.
kept.tokens.push({ ...kept.tokens.at(-1), access_token: `${kept.tokens.at(-1).access_token.slice(0, -8)}AAAAAAAA` });
steps.push(await call('get_order', order));
say({ steps, tokens: kept.tokens, client: kept.client, era: client.getNegotiatedProtocolVersion?.() ?? '' });
await client.close();
waiting.close();
