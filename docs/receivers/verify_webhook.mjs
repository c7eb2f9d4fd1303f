// Verify a webhook with nothing but Node's standard library.
import { createHmac, createPublicKey, timingSafeEqual, verify as verifyEd25519 } from "node:crypto";

// Answer 401: it was not signed with this key, was changed on the way, or is too old.
export class NotTrusted extends Error {}

// Returns the event. `key` is the secret, or the public key (whpk_…) of the webhook's key pair;
// `body` is a Buffer with the raw body, as it came: do not parse it before.
export function verify(key, headers, body, { toleranceSeconds = 300 } = {}) {
  const found = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]),
  );
  const id = found["webhook-id"] ?? "";
  const timestamp = found["webhook-timestamp"] ?? "";
  if (!/^[0-9]+$/.test(timestamp)) throw new NotTrusted("the webhook headers are missing");
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > toleranceSeconds) {
    throw new NotTrusted("the webhook is too old, or a clock is wrong");
  }

  const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  // During a rotation there are several signatures; one that matches is enough.
  const signatures = (found["webhook-signature"] ?? "").split(" ");
  if (!signatures.some((signature) => matches(key, signature, content))) {
    throw new NotTrusted("no signature matches");
  }
  return JSON.parse(body.toString("utf8"));
}

function matches(key, signature, content) {
  const [version, encoded = ""] = signature.split(",");
  const given = Buffer.from(encoded, "base64");
  if (key.startsWith("whpk_")) {
    return version === "v1a" && verifyEd25519(null, content, publicKey(key), given);
  }
  const expected = createHmac("sha256", secretBytes(key)).update(content).digest();
  return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
}

// What follows `whsec_` is base64; a secret of your own is used as it stands.
function secretBytes(secret) {
  return secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
}

function publicKey(text) {
  const x = Buffer.from(text.slice(5), "base64").toString("base64url");
  return createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x } });
}
