// openid-client: a generic grant request, here with client_secret_post.
import * as client from "openid-client";

const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

export async function exchange(sent) {
  const config = await client.discovery(
    new URL(sent.issuer), sent.client_id, undefined, client.ClientSecretPost(sent.client_secret),
    { algorithm: "oauth2", execute: [client.allowInsecureRequests] },
  );
  try {
    return await client.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:token-exchange", {
      subject_token: sent.subject_token,
      subject_token_type: ACCESS_TOKEN,
      actor_token: sent.actor_token,
      actor_token_type: ACCESS_TOKEN,
      audience: sent.audience,
      scope: sent.scope,
    });
  } catch (error) {
    if (error instanceof client.ResponseBodyError) return { error: error.error };
    throw error;
  }
}
